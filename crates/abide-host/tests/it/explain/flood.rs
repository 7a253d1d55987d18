//! What floods cost the disk: as much as a trickle.

use serde_json::json;

use super::scenario::{FAULTY, LAMP, Run};

const TICKS: i64 = 50;

/// How much the log grew, in bytes, while each tick brought so many observations.
fn growth(schema: &'static str, per_tick: i64, observe: impl Fn(&mut Run, i64)) -> u64 {
    let mut run = Run::new(&[schema]);
    run.tick(1);
    let before = run.host.log().end().0;
    for tick in 0..TICKS {
        for n in 0..per_tick {
            observe(&mut run, n);
        }
        run.tick(2 + tick);
    }
    run.host.log().end().0 - before
}

#[test]
fn a_flood_of_denials_takes_no_more_disk_than_a_trickle() {
    // One of each kind, and then a hundred of each, none like the other.
    let denied = |run: &mut Run, n: i64| {
        run.observe("lamp", "observe", &json!({ "lux": -1 - n }));
        run.observe("lamp", "place", &json!({ "to": { "x": -1 - n, "y": n } }));
        run.observe("lamp", "write", &json!({ "note": format!("{n} ").repeat(90) }));
    };
    let (trickle, flood) = (growth(LAMP, 1, denied), growth(LAMP, 100, denied));
    // Counts of more digits, and nothing else.
    assert!(flood < trickle + 500, "{flood} bytes of a flood, {trickle} of a trickle");
}

#[test]
fn what_says_nothing_new_takes_none() {
    let same = |run: &mut Run, _: i64| run.observe("lamp", "observe", &json!({ "lux": 400 }));
    let none = growth(LAMP, 0, same);
    let flood = growth(LAMP, 200, same);
    assert!(flood < none + 2_000, "{flood} bytes of what is ignored but once, {none} of nothing");
}

/// Denials of the object's own doing end in a quarantine, and then there are none.
#[test]
fn an_object_that_cannot_stop_is_stopped() {
    let hot = |run: &mut Run, n: i64| run.observe("faulty", "observe", &json!({ "heat": 30 + n % 3 }));
    let mut run = Run::new(&[FAULTY]);
    for tick in 1..200 {
        hot(&mut run, tick);
        run.tick(tick);
    }
    let kinds = run.kinds("faulty");
    let denials = kinds.iter().filter(|kind| kind.starts_with("denial")).count();
    assert!(kinds.contains(&"quarantine".to_owned()) && denials < 20, "{denials} denials: {kinds:?}");
}
