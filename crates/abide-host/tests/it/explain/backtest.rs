//! Backtests: the law that the schema in force decides the same, over every scenario.

use std::sync::Arc;

use abide_core::guest::NoGuest;
use abide_host::backtest::{Backtested, Rules, Ticks, backtest};

use super::scenario::{FAULTY, Run, SENDER, all, faulty, lineage, schema, sender};

fn tried(run: &Run, object: &str, text: &str) -> Backtested {
    let view = run.view();
    let rules = Rules { schema: schema(text), behaviour: None, guest: &NoGuest };
    let ticks = Ticks::read(&view).unwrap();
    backtest(&view, view.object(object).unwrap(), &rules, &ticks).unwrap()
}

#[test]
fn the_schema_in_force_decides_the_same() {
    for (name, mut run) in all() {
        run.host.finish().unwrap();
        let view = run.view();
        let ticks = Ticks::read(&view).unwrap();
        for object in view.engine().objects() {
            // When the slope could pay again was known from a denial that was only counted, and this host did not tick then. What
            // was upgraded was decided by several schemas.
            if &*object.id == "parent" || object.force > 0 {
                continue;
            }
            let rules = Rules { schema: Arc::clone(&object.schema), behaviour: None, guest: &NoGuest };
            let tried = backtest(&view, object, &rules, &ticks).unwrap();
            assert!(tried.is_same(), "{name}: {:#} {:#?}", tried.to_json(), lineage(&view, &object.id));
            assert_eq!(
                (tried.counts.same, tried.counts.new),
                (tried.counts.recorded, tried.counts.recorded),
                "{name}: {}",
                object.id
            );
        }
    }
}

#[test]
fn the_answer_of_an_effect_that_is_not_ordered_again_is_not_heard() {
    let run = sender();
    let never = SENDER
        .replace("when: self.sent != self.wanted,", "when: self.sent != self.wanted && self.told == 99,");
    let tried = tried(&run, "sender", &never);
    assert_eq!((tried.kinds["send"].recorded, tried.kinds["send"].new), (6, 0));
    // What it answered badly was denied then, and is not asked now; what comes after the seal still is.
    let denied = tried.kinds["denied"];
    assert_eq!((denied.new, denied.same), (1, 1), "{:#}", tried.to_json());
    assert_eq!(tried.differences[0].recorded[0].what, "send");
}

#[test]
fn a_quarantine_that_would_not_have_been_is_told() {
    let run = faulty();
    let patient = FAULTY.replace("denials: 8", "denials: 900");
    let tried = tried(&run, "faulty", &patient);
    assert_eq!((tried.kinds["quarantine"].recorded, tried.kinds["quarantine"].new), (1, 0));
    assert_eq!(tried.remarks.len(), 0, "{:?}", tried.remarks);
}

#[test]
fn what_the_new_schema_lacks_is_left_out_and_said() {
    let run = sender();
    let other = SENDER.replace("want:", "wish:");
    let tried = tried(&run, "sender", &other);
    let remarks: Vec<_> = tried.remarks.iter().map(String::as_str).collect();
    assert_eq!(remarks, ["what was asked of `want` is left out: the schema has no such mutation"]);
}
