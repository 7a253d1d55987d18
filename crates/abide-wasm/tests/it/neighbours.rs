//! A guest that does harm costs its own object a denial, and no other object a tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::clock::Clock;
use abide_core::engine::{Beginning, Engine};
use abide_core::frame::Frame;
use abide_core::guest::{Act, Acted, Behaviour, Guest};
use abide_core::policy::Policy;
use abide_core::record::decode::decode;
use abide_core::record::{Code, Event, Hash, HostGenesis};
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_wasm::Component;

use crate::guests::{guest, load, schema, with_parts};

/// A guest for each object, by its id.
struct Guests(BTreeMap<&'static str, Component>);

impl Guest for Guests {
    fn act(&self, act: &Act<'_>) -> Acted {
        self.0[act.object].act(act)
    }
}

/// What one object was denied, and what the other did, over so many hours.
pub(crate) fn hours(hostile: &[u8], count: i64) -> (Vec<(Code, String)>, usize) {
    // The sound one raises its level each hour.
    let raise = "(f64.store (i32.const 2064) (f64.add (local.get $level) (f64.const 1))) (call $out (i32.const 2048) (i32.const 1))";
    let schema = schema("behaviour: { fuel: 2000000, memory: 4194304 }\n");
    let guests = BTreeMap::from([
        ("hostile", load(&schema, hostile).unwrap()),
        ("sound", load(&schema, &guest(raise)).unwrap()),
    ]);
    let guests = Guests(guests);
    let host = HostGenesis {
        identity: "N".into(),
        log_key: [0; 32],
        origin: "o".into(),
        certificate: [0; 64],
        replayed: true,
    };
    let mut frame = Frame::new("N".into());
    let mut engine = Engine::begin(host, Clock::default(), &mut frame);
    for id in ["hostile", "sound"] {
        let beginning = Beginning {
            id: id.into(),
            schema: Arc::clone(&schema),
            behaviour: Some(Behaviour { component: Hash([1; 32]), config: Hash([2; 32]) }),
            policy: Policy::default(),
            values: Vec::new(),
        };
        engine.begin_object(beginning, &mut frame).unwrap();
    }
    let (mut denied, mut acts) = (Vec::new(), 0);
    for hour in 1..=count {
        let clock = engine.clock().next(Timestamp(0).saturating_add(Span::from_secs(3600 * hour)));
        engine.tick(clock, &mut Vec::new(), Vec::new(), None, &guests, &mut frame);
        for entry in frame.entries.iter().filter(|entry| entry.object > 0) {
            let schema: &Schema = &schema;
            match decode(frame.record(entry), Some(schema)).unwrap().event {
                Event::Mutation(_) => acts += 1,
                Event::Denial(of) => {
                    denied.push((of.reason.code, of.reason.value.as_deref().unwrap_or_default().to_owned()));
                }
                _ => {}
            }
        }
    }
    assert_eq!(engine.object("sound").unwrap().state.memory.len(), 1);
    (denied, acts)
}

#[test]
fn each_kind_of_harm_is_its_own_objects_denial() {
    let recursion = "(func $r (param i32) (result i32) (i32.add (call $r (local.get 0)) (i32.const 1)))";
    for (harm, value) in [
        (guest("(loop (br 0)) (unreachable)"), "fuel"),
        (guest("(unreachable)"), "trap"),
        (with_parts("", "", recursion, "(call $r (i32.const 1))"), "memory"),
        (guest("(loop (drop (memory.grow (i32.const 16))) (br 0)) (unreachable)"), "memory"),
        // 65 steps of zeroes are 65 mutations to 0.
        (guest("(call $out (i32.const 65536) (i32.const 65))"), "trap"),
        (guest("(drop (memory.grow (i32.const 1))) (call $out (i32.const 65536) (i32.const 65))"), "answer"),
        (guest("(call $out (i32.const -8) (i32.const 1))"), "trap"),
        // A case that the variant lacks.
        (
            guest("(i32.store8 (i32.const 2048) (i32.const 9)) (call $out (i32.const 2048) (i32.const 1))"),
            "trap",
        ),
    ] {
        let (denied, acts) = hours(&harm, 3);
        assert_eq!(acts, 3, "the other object acts each hour");
        let (code, found) = denied.first().expect("it is denied");
        assert_eq!(*code, Code::Act);
        if value == "trap" {
            // What reads beyond the memory may end as a trap or as an answer that does not lift.
            assert!(["trap", "answer"].contains(&&**found), "{found}");
        } else {
            assert_eq!(found, value);
        }
    }
}
