//! Evaluate: which rules are ready, which one is chosen, and when.

use abide_core::record::Code;
use abide_core::time::Timestamp;
use serde_json::json;

use crate::world::{S, World};

/// `x` and `y` are observed; `n` counts what a rule did.
fn with(rules: &str, rest: &str) -> World {
    World::new(&format!(
        r"
fields:
  x: {{ type: integer, minimum: -99, maximum: 99, default: 0 }}
  y: {{ type: integer, minimum: -99, maximum: 99, default: 0 }}
  n: {{ type: integer, minimum: 0, maximum: 999, default: 0 }}
mutations:
  x: {{ from: [observation], args: {{ v: {{ $ref: '#/fields/x' }} }}, set: {{ x: args.v }} }}
  y: {{ from: [observation], args: {{ v: {{ $ref: '#/fields/y' }} }}, set: {{ y: args.v }} }}
  act: {{ from: [rule], set: {{ n: self.n + 1 }} }}
  pay: {{ from: [rule], set: {{ n: self.n + 1 }}, cost: 4 }}
  never: {{ from: [rule], requires: self.n > 999, set: {{ n: 0 }} }}
rules:
{rules}
{rest}"
    ))
}

fn x(world: &mut World, seconds: i64, v: i64) -> Vec<String> {
    world.observe("x", &json!({ "v": v }));
    world.tick(seconds)
}

#[test]
fn without_every_a_rule_waits_for_a_field_that_its_guard_reads() {
    let mut world = with("  - { name: r, when: self.x >= 0, then: { mutate: act } }", "");
    assert_eq!(world.tick(1), ["act by rule r, n = 1"], "it has never been chosen");
    assert!(world.tick(2).is_empty());
    world.observe("y", &json!({ "v": 5 }));
    assert_eq!(world.tick(3), ["y by observation, y = 5"], "its guard does not read that");
    assert_eq!(x(&mut world, 4, 0), ["x by observation"], "the field did not change");
    assert_eq!(
        x(&mut world, 5, 1),
        ["x by observation, x = 1", "act by rule r, n = 2"],
        "within the same cycle"
    );
    // Its readiness stays while the guard does not hold.
    assert_eq!(x(&mut world, 6, -1), ["x by observation, x = -1"]);
    assert!(world.tick(7).is_empty());
    assert_eq!(x(&mut world, 8, 3), ["x by observation, x = 3", "act by rule r, n = 3"]);
    assert_eq!(world.engine.next_due(), None);
}

#[test]
fn a_rule_that_changes_what_it_reads_is_ready_again_in_the_next_tick() {
    let mut world = with("  - { name: r, when: self.n < 3, then: { mutate: act } }", "");
    assert_eq!(world.tick(1), ["act by rule r, n = 1"], "one rule a tick");
    assert_eq!(world.tick(2), ["act by rule r, n = 2"]);
    assert_eq!(world.tick(3), ["act by rule r, n = 3"]);
    assert!(world.tick(4).is_empty());
}

#[test]
fn every_counts_from_when_it_was_last_chosen() {
    let mut world = with("  - { name: r, when: self.x >= 0, every: 10s, then: { mutate: act } }", "");
    assert_eq!(world.tick(3), ["act by rule r, n = 1"]);
    assert_eq!(world.engine.next_due(), Some(Timestamp(13 * S)));
    assert_eq!(x(&mut world, 5, 1), ["x by observation, x = 1"], "a change does not make it ready");
    assert!(world.tick_at(Timestamp(13 * S - 1), Vec::new(), None).is_empty(), "not a nanosecond before");
    assert_eq!(world.tick(13), ["act by rule r, n = 2"]);
    // What is due while the guard does not hold is caught up as soon as it does, once, and counts from there.
    x(&mut world, 14, -1);
    assert!(world.tick(40).is_empty());
    assert_eq!(world.engine.next_due(), None, "nothing but a change can bring it about");
    assert_eq!(x(&mut world, 41, 1), ["x by observation, x = 1", "act by rule r, n = 3"]);
    assert_eq!(world.engine.next_due(), Some(Timestamp(51 * S)));
}

#[test]
fn a_guard_that_watches_the_clock_is_looked_at_whenever_the_host_ticks() {
    let rules = "  - { name: r, when: 'self.x >= 0 && now >= timestamp(\"1970-01-01T00:00:07Z\")', then: { mutate: act } }";
    let mut world = with(rules, "");
    assert!(world.tick(6).is_empty());
    assert_eq!(world.tick(7), ["act by rule r, n = 1"]);
    assert!(world.tick(8).is_empty());
}

#[test]
fn priority_goes_before_the_order_of_the_file_and_one_rule_is_chosen_a_tick() {
    let rules = "
  - { name: third, when: self.x >= 0, then: { mutate: act } }
  - { name: fourth, when: self.x >= 0, then: { mutate: act } }
  - { name: last, priority: -1, when: self.x >= 0, then: { mutate: act } }
  - { name: second, priority: 1, when: self.x >= 0, then: { mutate: act } }
  - { name: idle, priority: 99, when: self.x > 50, then: { mutate: act } }
  - { name: first, priority: 7, when: self.x >= 0, then: { mutate: act } }";
    let mut world = with(rules, "");
    let chosen: Vec<_> = (1..=6).map(|tick| world.tick(tick).join("")).collect();
    let expected = ["first", "second", "third", "fourth", "last"];
    for (n, name) in expected.iter().enumerate() {
        assert_eq!(chosen[n], format!("act by rule {name}, n = {}", n + 1));
    }
    assert_eq!(chosen[5], "");
}

#[test]
fn all_guards_are_evaluated_before_the_chosen_rule_acts() {
    let rules = "
  - { name: takes, when: self.n == 0, then: { mutate: act } }
  - { name: waits, when: self.n == 0, for: 5s, then: { mutate: act } }";
    let mut world = with(rules, "");
    assert_eq!(world.tick(1), ["holds waits true", "act by rule takes, n = 1"]);
    assert_eq!(world.tick(2), ["holds waits false"]);
}

#[test]
fn being_chosen_uses_readiness_up_admitted_or_not() {
    let rules = "
  - { name: vain, when: self.x >= 0, then: { mutate: never } }
  - { name: next, when: self.x >= 0, then: { mutate: act } }";
    let mut world = with(rules, "");
    assert_eq!(world.tick(1), ["denied never by rule vain step 0: requires at `self.n > 999`"]);
    assert_eq!(world.tick(2), ["act by rule next, n = 1"]);
    assert!(world.tick(3).is_empty());
    // The second denial of its kind is counted; it has used the readiness up all the same.
    assert_eq!(x(&mut world, 4, 1), ["x by observation, x = 1"]);
    let told = world.tick(5);
    assert_eq!(told, ["counted 1 × never: requires at `self.n > 999`", "act by rule next, n = 2"]);
    assert!(world.tick(6).is_empty());
}

#[test]
fn a_denial_for_want_of_slope_makes_it_ready_again_when_the_budget_covers_it() {
    let slope = "trust_slope: { budget: 5, refill: { amount: 1, per: 3s } }";
    let mut world = with("  - { name: r, when: self.x >= 0, then: { mutate: pay } }", slope);
    assert_eq!(world.tick(1), ["pay by rule r, n = 1, cost 4"]);
    let told = x(&mut world, 2, 1);
    assert_eq!(told, ["x by observation, x = 1", "denied pay by rule r step 0: slope of the object"]);
    // It held 1 at 1 s: 3 more are there 9 s later.
    assert_eq!(world.engine.next_due(), Some(Timestamp(10 * S)));
    assert!(world.tick_at(Timestamp(10 * S - 1), Vec::new(), None).is_empty());
    world.restart();
    assert_eq!(world.engine.next_due(), Some(Timestamp(10 * S)), "it survives a restart");
    assert_eq!(world.tick(10), ["pay by rule r, n = 2, cost 4"]);
    assert_eq!((world.level("o"), world.engine.next_due()), (0, None));
}

#[test]
fn what_the_budget_can_never_cover_is_not_asked_for_again() {
    let slope = "trust_slope: { budget: 3, refill: { amount: 1, per: 3s } }";
    let mut world = with("  - { name: r, when: self.x >= 0, then: { mutate: pay } }", slope);
    assert_eq!(world.tick(1), ["denied pay by rule r step 0: slope of the object"]);
    assert_eq!(world.engine.next_due(), None);
    assert!(world.tick(100_000).is_empty());
}

#[test]
fn the_remainder_of_a_refill_is_kept() {
    let slope = "trust_slope: { budget: 4, refill: { amount: 1, per: 7s } }";
    let mut world = with("  - { name: r, when: self.x >= 0, then: { mutate: pay } }", slope);
    world.tick(0);
    x(&mut world, 1, 1);
    // A tick each second in between must not lose the sevenths.
    for second in 2..28 {
        assert!(x(&mut world, second, 1).len() <= 2, "{second}");
    }
    assert_eq!(world.engine.next_due(), Some(Timestamp(28 * S + 1)));
    let told = world.tick_at(Timestamp(28 * S + 1), Vec::new(), None);
    assert_eq!(told.last().map(String::as_str), Some("pay by rule r, n = 2, cost 4"));
}

#[test]
fn a_guard_without_a_value_is_false_and_one_denial() {
    let rules = "
  - { name: broken, priority: 1, when: 10 / self.x > 1, then: { mutate: act } }
  - { name: sound, when: self.y > 0, then: { mutate: act } }";
    let mut world = with(rules, "");
    assert_eq!(world.tick(1), ["denied an act by rule broken: evaluation at `10 / self.x > 1`"]);
    world.observe("y", &json!({ "v": 1 }));
    let told = world.tick(2);
    assert_eq!(
        told,
        [
            "y by observation, y = 1",
            // The second one, of this tick, goes before the next record.
            "counted 1 × an act: evaluation at `10 / self.x > 1`",
            "act by rule sound, n = 1",
        ]
    );
    // One a tick, whether or not anything else happens.
    for tick in 3..=10 {
        assert!(world.tick(tick).is_empty());
    }
    let told = x(&mut world, 11, 5);
    assert_eq!(told[0], "counted 8 × an act: evaluation at `10 / self.x > 1`");
    assert_eq!(told[2], "act by rule broken, n = 2", "it was never chosen");
}

#[test]
fn for_means_without_a_break() {
    let mut world = with("  - { name: r, when: self.x > 0, for: 10s, then: { mutate: act } }", "");
    assert!(world.tick(1).is_empty());
    assert_eq!(x(&mut world, 2, 1), ["x by observation, x = 1", "holds r true"]);
    assert_eq!(world.engine.next_due(), Some(Timestamp(12 * S)));
    assert_eq!(x(&mut world, 7, 0), ["x by observation, x = 0", "holds r false"]);
    assert_eq!(world.engine.next_due(), None);
    assert_eq!(x(&mut world, 8, 2), ["x by observation, x = 2", "holds r true"]);
    world.restart();
    assert_eq!(world.engine.next_due(), Some(Timestamp(18 * S)), "it survives a restart");
    assert!(world.tick_at(Timestamp(18 * S - 1), Vec::new(), None).is_empty());
    assert_eq!(world.tick(18), ["act by rule r, n = 1"]);
    // It still holds; only a change makes it ready again, and it has held long enough.
    assert!(world.tick(60).is_empty());
    assert_eq!(x(&mut world, 61, 3), ["x by observation, x = 3", "act by rule r, n = 2"]);
}

#[test]
fn a_break_within_a_tick_is_no_break() {
    let mut world = with("  - { name: r, when: self.x > 0, for: 10s, then: { mutate: act } }", "");
    x(&mut world, 1, 1);
    // A guard is evaluated once a tick, after the inbox.
    world.observe("x", &json!({ "v": 0 }));
    assert_eq!(x(&mut world, 5, 1), ["x by observation, x = 0", "x by observation, x = 1"]);
    assert_eq!(world.tick(11), ["act by rule r, n = 1"]);
}

#[test]
fn for_and_every_must_both_be_met() {
    let mut world = with("  - { name: r, when: self.x > 0, for: 10s, every: 4s, then: { mutate: act } }", "");
    x(&mut world, 0, 1);
    let chosen = |world: &mut World, second| world.tick(second).iter().any(|told| told.starts_with("act"));
    let at: Vec<i64> = (1..=20).filter(|second| chosen(&mut world, *second)).collect();
    assert_eq!(at, [11, 15, 19], "the tick at 0 s was one nanosecond later");
}

#[test]
fn an_error_breaks_a_hold() {
    let mut world = with("  - { name: r, when: 10 / self.x > 1, for: 10s, then: { mutate: act } }", "");
    x(&mut world, 1, 2);
    let told = x(&mut world, 5, 0);
    assert_eq!(told[1..], ["denied an act by rule r: evaluation at `10 / self.x > 1`", "holds r false"]);
    assert_eq!(x(&mut world, 6, 2).last().map(String::as_str), Some("holds r true"));
    assert_eq!(world.engine.next_due(), Some(Timestamp(16 * S)));
}

#[test]
fn rules_of_an_incomplete_object_do_not_run() {
    let mut world = World::new(
        r"
fields:
  g: { type: integer, minimum: 0, maximum: 9 }
  n: { type: integer, minimum: 0, maximum: 9, default: 0 }
mutations:
  fill: { from: [observation], args: { v: { $ref: '#/fields/g' } }, set: { g: args.v } }
  act: { from: [rule], set: { n: self.n + 1 } }
rules: [ { name: r, when: self.n == 0, then: { mutate: act } } ]
",
    );
    assert_eq!(world.state().status.name(), "incomplete");
    assert!(world.tick(1).is_empty());
    assert_eq!(world.engine.next_due(), None);
    world.restart();
    world.observe("fill", &json!({ "v": 4 }));
    assert_eq!(
        world.tick(2),
        ["fill by observation, g = 4", "act by rule r, n = 1"],
        "in the cycle that completes it"
    );
    assert_eq!(world.state().status.name(), "active");
}

#[test]
fn what_was_missed_is_made_up_for_once_or_dropped() {
    let rules = "  - { name: r, when: self.x >= 0, every: 10s, then: { mutate: act } }";
    let mut world = with(rules, "missed: coalesce");
    world.tick(5);
    assert_eq!(world.tick_after_pause(58), ["act by rule r, n = 2"]);
    assert_eq!(world.engine.next_due(), Some(Timestamp(68 * S)));

    let mut world = with(rules, "missed: skip");
    world.tick(5);
    assert_eq!(world.tick_after_pause(58), ["pause since 5s"]);
    assert_eq!(world.engine.next_due(), Some(Timestamp(65 * S)), "it keeps its beat");
    world.restart();
    assert_eq!(world.engine.next_due(), Some(Timestamp(65 * S)));
    assert_eq!(world.tick(65), ["act by rule r, n = 2"]);
    // A pause in which nothing was due leaves no trace.
    assert!(world.tick_after_pause(70).is_empty());
    // Due at the very end of the pause is missed, too.
    assert_eq!(world.tick_after_pause(75), ["pause since 70s"]);
}

#[test]
fn an_object_that_has_ended_misses_nothing() {
    let rules = "
  - { name: r, when: self.x >= 0, every: 10s, then: { mutate: act } }
  - { name: end, priority: 1, when: self.n == 1, then: terminate }";
    let mut world = with(rules, "missed: skip");
    world.tick(1);
    assert_eq!(world.tick(2), ["terminate by end"]);
    let length = world.object("o").length;
    for seconds in [100, 200, 300] {
        assert!(world.tick_after_pause(seconds).is_empty());
    }
    assert_eq!(world.object("o").length, length);
}

#[test]
fn a_denied_rule_says_which_check_and_when_it_may_try_again() {
    let slope =
        "trust_slope: { budget: 5, refill: { amount: 1, per: 1s }, quarantine: { denials: 3, within: 1h } }";
    let mut world = with("  - { name: r, when: self.x >= 0, then: { mutate: pay } }", slope);
    world.tick(1);
    x(&mut world, 2, 1);
    let denied = world.state().denied.keys().next().cloned();
    assert!(denied.is_some_and(|key| key.code == Code::Slope));
    assert_eq!(world.state().rules[0].affordable_at, Some(Timestamp(4 * S)));
    assert_eq!(world.state().own_denials, [Timestamp(2 * S)], "it counts as the object's own");
}
