//! Violation: too many denials of the object's own doing, its safe state, and its release.

use abide_core::admission::OperatorAct;
use abide_core::cycle::Verdict;
use abide_core::record::Caller;
use serde_json::json;

use crate::world::World;

const LAB: &str = r"
fields:
  x: { type: integer, minimum: 0, maximum: 99, default: 0 }
  on: { type: boolean, default: true }
mutations:
  x: { from: [observation, operator], args: { v: { $ref: '#/fields/x' } }, set: { x: args.v } }
  never: { from: [rule, behaviour], args: { v: { $ref: '#/fields/x' } }, requires: self.x > 99, set: { x: 0 } }
  off: { from: [rule], requires: self.on, set: { on: false }, cost: 99 }
rules:
  - { name: vain, when: self.x > 0, then: { mutate: never, args: { v: 1 } } }
safe_state: { mutate: off }
trust_slope: { budget: 1, quarantine: { denials: 3, within: 10s } }
";

fn x(world: &mut World, seconds: i64, v: i64) -> Vec<String> {
    world.observe("x", &json!({ "v": v }));
    world.tick(seconds)
}

#[test]
fn the_nth_denial_of_its_own_doing_trips_it() {
    let mut world = World::new(LAB);
    let denied = "denied never by rule vain step 0: requires at `self.x > 99`";
    assert_eq!(x(&mut world, 1, 1), ["x by observation, x = 1", denied]);
    // What is not its own doing does not count: a bad sensor, a stranger's signature.
    for n in 0..20 {
        world.observe("x", &json!({ "v": 100 + n }));
    }
    let bad = world.signed("o", "x", &json!({ "v": 4 }), 2, 1);
    world.submit("o", abide_core::cycle::Input::Ask(bad));
    world.tick(2);
    assert_eq!(world.state().status.name(), "active");
    let told = x(&mut world, 3, 2);
    assert_eq!(
        told.last().map(String::as_str),
        Some("x by observation, x = 2"),
        "the second is counted: {told:?}"
    );
    let told = x(&mut world, 4, 3);
    assert_eq!(
        told,
        [
            "counted 1 × never: requires at `self.x > 99`",
            "x by observation, x = 3",
            // The one that trips is always written; the safe state is asked in the same tick, and is not charged.
            denied,
            "quarantine",
            "off by safe_state, on = false",
        ]
    );
    assert_eq!(world.level("o"), 1_000_000);
    assert_eq!(world.state().status.name(), "quarantined");

    // It keeps admitting observations and its operators; its rules have stopped, and its behaviour is refused.
    assert_eq!(x(&mut world, 5, 4), ["x by observation, x = 4"]);
    world.operate("o", "x", &json!({ "v": 5 }));
    assert_eq!(world.tick(6), ["x by operator, x = 5"]);
    world.ask("never", &json!({ "v": 1 }), Caller::Behaviour);
    assert_eq!(world.tick(7), ["denied never by behaviour: status of the object"]);
    assert_eq!(world.engine.next_due(), None);
    world.restart();
    assert_eq!(world.state().status.name(), "quarantined");

    // An operator's release is recorded, and its rules run again in that cycle.
    world.act("o", OperatorAct::Release);
    let told = world.tick(30);
    assert_eq!(told, ["release", denied]);
    assert!(matches!(world.verdicts[0].1, Verdict::Recorded(_)));
    assert_eq!(world.state().status.name(), "active");
    assert_eq!(world.state().own_denials.len(), 1, "what came before the quarantine is done with");
}

#[test]
fn denials_outside_the_window_do_not_count() {
    let mut world = World::new(LAB);
    for (n, seconds) in (1..).zip([1, 6, 11, 16, 21, 26]) {
        x(&mut world, seconds, n);
        assert_eq!(world.state().status.name(), "active", "{seconds}: two in any ten seconds");
    }
    x(&mut world, 29, 50);
    assert_eq!(
        world.state().status.name(),
        "quarantined",
        "21 has just gone, 26 and 29 are two: {:?}",
        world.state().own_denials
    );
}

#[test]
fn one_denial_may_be_enough_and_a_behaviours_counts() {
    let mut world = World::new(&LAB.replace("denials: 3", "denials: 1"));
    world.ask("never", &json!({ "v": 1 }), Caller::Behaviour);
    // A second request of the same tick finds it quarantined.
    world.ask("never", &json!({ "v": 1 }), Caller::Behaviour);
    assert_eq!(
        world.tick(1),
        [
            "denied never by behaviour: requires at `self.x > 99`",
            "quarantine",
            "off by safe_state, on = false",
            "denied never by behaviour: status of the object",
        ]
    );
}

#[test]
fn a_safe_state_that_is_denied_is_recorded_and_counts_for_nothing() {
    let mut world =
        World::new(&LAB.replace("default: true", "default: false").replace("denials: 3", "denials: 1"));
    let told = x(&mut world, 1, 1);
    assert_eq!(told[2..], ["quarantine", "denied off by safe_state: requires at `self.on`"]);
    assert!(world.state().own_denials.is_empty());
}

#[test]
fn a_guard_that_fails_trips_it_before_any_rule_acts() {
    let mut world = World::new(
        r"
fields: { x: { type: integer, minimum: 0, maximum: 99, default: 0 } }
mutations: { act: { from: [rule], set: { x: self.x } } }
rules:
  - { name: sound, when: self.x == 0, every: 1s, then: { mutate: act } }
  - { name: broken, when: 1 / self.x > 0, then: { mutate: act } }
trust_slope: { quarantine: { denials: 2, within: 1m } }
",
    );
    let broken = "denied an act by rule broken: evaluation at `1 / self.x > 0`";
    assert_eq!(world.tick(1), [broken, "act by rule sound"]);
    assert_eq!(world.tick(2), [broken, "quarantine"]);
    assert!(world.tick(3).is_empty());
}

#[test]
fn a_hold_starts_anew_after_a_release() {
    let mut world = World::new(
        r"
fields: { x: { type: integer, minimum: 0, maximum: 99, default: 1 } }
mutations:
  act: { from: [rule], set: { x: 0 } }
  never: { from: [behaviour], requires: 1 > 2 || self.x > 99 }
rules: [ { name: r, when: self.x == 1, for: 10s, then: { mutate: act } } ]
trust_slope: { quarantine: { denials: 1, within: 1m } }
",
    );
    assert_eq!(world.tick(1), ["holds r true"]);
    world.ask("never", &json!({}), Caller::Behaviour);
    assert_eq!(world.tick(5)[1..], ["quarantine"]);
    world.act("o", OperatorAct::Release);
    assert_eq!(world.tick(20), ["release", "holds r true"], "it was not evaluated meanwhile");
    assert!(world.tick(29).is_empty());
    assert_eq!(world.tick(30), ["act by rule r, x = 0"]);
}
