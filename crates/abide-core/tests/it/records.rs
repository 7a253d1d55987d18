//! Records, the fold, restarts: what the log holds is all there is.

use std::sync::Arc;

use abide_core::cycle::Input;
use abide_core::engine::{Engine, FoldError};
use abide_core::record::decode::{DecodeError, decode, decode_strict};
use abide_core::record::{Caller, HOST, Hash};
use abide_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::world::{S, World, policy, schema};

const LAB: &str = r"
fields:
  a: { type: integer, minimum: 0, maximum: 9, default: 0 }
  n: { type: number, minimum: -9, maximum: 9, default: 0 }
mutations:
  set: { from: [observation, operator], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } }
  num: { from: [observation], args: { v: { $ref: '#/fields/n' } }, set: { n: args.v } }
";

fn cursor(n: u8) -> Vec<(Arc<str>, Arc<[u8]>)> {
    vec![("a".into(), Arc::from([n].as_slice()))]
}

/// An object with a short lineage.
fn lived() -> World {
    let mut world = World::new(LAB);
    for (seconds, v) in [(1, 3), (2, 30), (3, 4)] {
        world.observe("set", &json!({ "v": v }));
        world.tick(seconds);
    }
    world.operate("o", "set", &json!({ "v": 5 }));
    world.tick(4);
    world
}

#[test]
fn denials_of_several_kinds_are_counted_in_the_order_they_came() {
    let mut world = World::new(
        r"
fields: { a: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations:
  set: { from: [observation], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } }
rules:
  - { name: r0, when: 12 / self.a > 2, then: retry }
  - { name: r1, when: 7 % self.a > 2, then: retry }
trust_slope: { quarantine: { denials: 12, within: 10s } }
",
    );
    for tick in 1..=4 {
        world.tick(tick);
    }
    let told = world.tick_at(Timestamp(5 * S), cursor(1), None);
    assert!(told.is_empty(), "they are counted: {told:?}");
    assert_eq!(world.state().own_denials.len(), 10);
    // The first frame that follows a restart is checked against the fold of the whole log.
    world.restart();
    world.tick_at(Timestamp(6 * S), cursor(2), None);
}

#[test]
fn what_was_due_in_a_tick_that_left_no_record_is_not_due_again_after_a_restart() {
    let mut world = World::new(
        r"
fields: { a: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations: { act: { from: [rule], set: { a: self.a + 1 } } }
rules: [ { name: r, when: self.a < 9 && now.getSeconds() < 5, every: 10s, then: { mutate: act } } ]
",
    );
    world.begin("other", &schema("other", LAB), policy(), &json!({})).unwrap();
    assert_eq!(world.tick(1), ["act by rule r, a = 1"]);
    assert!(world.tick(11).is_empty(), "it is due, and its guard does not hold");
    let snapshot = world.engine.snapshot();
    let request = world.request("other", "set", &json!({ "v": 1 }), Caller::Observation("s".into()));
    let before = world.log.len();
    world.submit("other", Input::Ask(request));
    world.tick(20);
    assert_eq!(world.engine.next_due(), None);
    let mut restored = Engine::restore(&snapshot).unwrap();
    for (bytes, hash) in &world.log[before..] {
        restored.fold(bytes, *hash).unwrap();
    }
    assert_eq!(restored.next_due(), None);
    world.restart();
    assert_eq!(world.engine.next_due(), None);
    assert_eq!(world.tick(61), ["act by rule r, a = 2"], "it is looked at in the next tick all the same");
}

#[test]
fn a_record_that_does_not_follow_the_one_before_it_is_refused() {
    let world = lived();
    let engine = |records: &[(Vec<u8>, Hash)]| {
        let mut engine = Engine::recover(&records[0].0)?;
        for (bytes, hash) in &records[1..] {
            engine.fold(bytes, *hash)?;
        }
        Ok::<_, FoldError>(engine)
    };
    assert!(engine(&world.log).is_ok());
    // Host, schema, genesis, then what happened to the object.
    let without = |n: usize| {
        let mut records = world.log.clone();
        records.remove(n);
        engine(&records).unwrap_err()
    };
    assert_eq!(without(1), FoldError::Orphan { object: "o".into(), seq: 0 }, "its schema is missing");
    assert_eq!(without(2), FoldError::Orphan { object: "o".into(), seq: 1 }, "its genesis is missing");
    assert_eq!(without(3), FoldError::Chain { object: "o".into(), seq: 2 });
    assert_eq!(without(0), FoldError::Orphan { object: HOST.into(), seq: 1 }, "a log begins with its host");
    let twice = |n: usize| {
        let mut records = world.log.clone();
        records.insert(n, records[n].clone());
        engine(&records).unwrap_err()
    };
    assert_eq!(twice(2), FoldError::Chain { object: "o".into(), seq: 0 }, "it begins twice");
    assert_eq!(twice(4), FoldError::Chain { object: "o".into(), seq: 2 });
    // The chain is by hash: an altered record is not what the next one names.
    let mut records = world.log.clone();
    let at = records[3].0.len() - 1;
    records[3].0[at] ^= 1;
    records[3].1 = Hash::of_record(&records[3].0);
    assert!(engine(&records).is_err());
}

#[test]
fn minus_zero_is_zero_and_the_same_memory_has_the_same_bytes() {
    let mut world = World::new(LAB);
    world.observe("num", &json!({ "v": -0.0 }));
    world.tick(1);
    let mut other = World::new(LAB);
    other.observe("num", &json!({ "v": 0 }));
    other.tick(1);
    assert!(world.log == other.log);
    assert_eq!(world.field("n"), "0.0");
}

#[test]
fn a_snapshot_of_another_version_or_a_damaged_one_is_refused() {
    let world = lived();
    let bytes = world.engine.snapshot();
    let restored = Engine::restore(&bytes).unwrap();
    assert_eq!(restored.snapshot(), bytes);
    let mut another = bytes.clone();
    assert_eq!(another[1], 5, "the version stands first");
    for version in [4, 6] {
        another[1] = version;
        assert_eq!(Engine::restore(&another).unwrap_err(), DecodeError::Version(version.into()));
    }
    for length in 0..bytes.len() {
        assert!(Engine::restore(&bytes[..length]).is_err(), "cut at {length}");
    }
}

proptest! {
    /// Whatever the bytes are, reading them ends in an answer; and what is read strictly has no other bytes.
    #[test]
    fn altered_bytes_are_refused_or_are_another_record(n in 0usize..7, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in prop::option::of(any::<prop::sample::Index>())) {
        let world = lived();
        let (bytes, _) = &world.log[n % world.log.len()];
        let mut altered = bytes.clone();
        for (at, byte) in &changes {
            let at = at.index(altered.len());
            altered[at] = *byte;
        }
        if let Some(cut) = cut {
            altered.truncate(cut.index(altered.len()));
        }
        let schema = &world.object("o").schema;
        for schema in [None, Some(&**schema)] {
            let _ = decode(&altered, schema);
            if let Ok(record) = decode_strict(&altered, schema) {
                let mut again = Vec::new();
                abide_core::record::encode::encode(&record, schema, &mut again);
                prop_assert_eq!(&again, &altered);
            }
        }
        let _ = Engine::recover(&altered);
        let mut engine = Engine::recover(&world.log[0].0).unwrap();
        for (bytes, hash) in &world.log[1..3] {
            engine.fold(bytes, *hash).unwrap();
        }
        let _ = engine.fold(&altered, Hash::of_record(&altered));
    }
}

#[test]
fn the_hosts_own_lineage_is_nobodys_object() {
    let world = lived();
    assert!(world.engine.object(HOST).is_none());
    assert!(world.engine.by_number(0).is_none());
    assert_eq!(world.engine.by_number(1).map(|object| &*object.id), Some("o"));
    assert!(world.engine.by_number(2).is_none());
}
