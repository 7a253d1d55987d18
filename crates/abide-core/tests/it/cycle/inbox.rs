//! Inspect: what is in the inbox at the start of a tick, in order; objects in the order of their genesis.

use abide_core::clock::Clock;
use abide_core::cycle::{Input, Verdict};
use abide_core::record::Caller;
use abide_core::time::Timestamp;
use serde_json::json;

use crate::world::{S, World, policy, schema};

const LAB: &str = r"
fields: { x: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations: { x: { from: [observation], args: { v: { $ref: '#/fields/x' } }, set: { x: args.v } } }
";

#[test]
fn objects_take_their_turns_in_the_order_of_their_genesis_and_inputs_in_theirs() {
    let mut world = World::empty();
    let lab = schema("lab", LAB);
    for id in ["z", "a", "m"] {
        world.begin(id, &lab, policy(), &json!({})).unwrap();
    }
    let mut tickets = Vec::new();
    for (id, v) in [("m", 1), ("a", 2), ("z", 3), ("a", 77), ("m", 4), ("a", 5)] {
        let request = world.request(id, "x", &json!({ "v": v }), Caller::Observation("s".into()));
        tickets.push(world.submit(id, Input::Ask(request)));
    }
    let told = world.tick(1);
    assert_eq!(
        told,
        [
            "z: x by observation, x = 3",
            "a: x by observation, x = 2",
            "a: denied x by observation: argument at argument v",
            "a: x by observation, x = 5",
            "m: x by observation, x = 1",
            "m: x by observation, x = 4",
        ]
    );
    // Every verdict finds its asker.
    let denied: Vec<u64> = world
        .verdicts
        .iter()
        .filter(|(_, v)| matches!(v, Verdict::Denied(_)))
        .map(|(ticket, _)| *ticket)
        .collect();
    assert_eq!((world.verdicts.len(), denied), (6, vec![tickets[3]]));
}

#[test]
fn an_input_for_nobody_does_not_keep_others_from_theirs() {
    use abide_core::engine::Arrival;
    use abide_core::frame::Frame;
    use abide_core::guest::NoGuest;

    let mut world = World::new(LAB);
    let ask = world.request("o", "x", &json!({ "v": 1 }), Caller::Observation("s".into()));
    let arrival = |object, ticket| Arrival { object, input: Input::Ask(ask.clone()), ticket };
    let mut arrivals = vec![arrival(0, 1), arrival(1, 2), arrival(9, 3)];
    let mut frame = Frame::new("NTEST".into());
    let clock = Clock { tick: 1, time: Timestamp(S) };
    // The first tick gives every object a turn; the second only those who have something to do.
    world.engine.tick(clock, &mut Vec::new(), Vec::new(), None, &NoGuest, &mut frame);
    let verdicts = world.engine.tick(
        clock.next(Timestamp(2 * S)),
        &mut arrivals,
        Vec::new(),
        None,
        &NoGuest,
        &mut frame,
    );
    assert_eq!(verdicts, [(2, Verdict::Recorded(1))]);
    assert!(arrivals.is_empty());
}

#[test]
fn time_never_runs_backwards_and_never_stands_still() {
    let clock = Clock { tick: 7, time: Timestamp(100) };
    assert_eq!(clock.next(Timestamp(100)), Clock { tick: 8, time: Timestamp(101) });
    assert_eq!(clock.next(Timestamp(i64::MIN)), Clock { tick: 8, time: Timestamp(101) });
    assert_eq!(clock.next(Timestamp(5_000)), Clock { tick: 8, time: Timestamp(5_000) });
}

#[test]
fn a_tick_in_which_nothing_happens_leaves_nothing() {
    let mut world = World::new(LAB);
    let before = world.log.len();
    for seconds in 1..50 {
        assert!(world.tick(seconds).is_empty());
    }
    assert_eq!(world.log.len(), before);
}

#[test]
fn a_jump_forward_does_not_fill_a_budget_beyond_its_bound() {
    let mut world = World::new(
        r"
fields: { x: { type: integer, minimum: 0, maximum: 99, default: 0 } }
mutations: { x: { from: [behaviour], set: { x: self.x + 1 }, cost: 1 } }
trust_slope: { budget: 3, refill: { amount: 1000000000, per: 1ms } }
",
    );
    let year_2262 = Timestamp(i64::MAX - 1_000);
    world.tick_at(year_2262, Vec::new(), None);
    for _ in 0..5 {
        world.ask("x", &json!({}), Caller::Behaviour);
    }
    let told = world.tick_at(Timestamp(0), Vec::new(), None);
    assert_eq!(told.iter().filter(|told| told.starts_with("x by behaviour")).count(), 3, "{told:?}");
}
