//! Act: sleep, retry, terminate.

use abide_core::time::Timestamp;
use serde_json::json;

use crate::world::{S, World};

fn with(rules: &str) -> World {
    World::new(&format!(
        r"
fields:
  x: {{ type: integer, minimum: -99, maximum: 99, default: 0 }}
  n: {{ type: integer, minimum: 0, maximum: 999, default: 0 }}
  t: {{ type: string, maxLength: 30, default: 'no time' }}
mutations:
  x: {{ from: [observation], args: {{ v: {{ $ref: '#/fields/x' }} }}, set: {{ x: args.v }} }}
  t: {{ from: [observation], args: {{ v: {{ $ref: '#/fields/t' }} }}, set: {{ t: args.v }} }}
  act: {{ from: [rule], set: {{ n: self.n + 1 }} }}
  rest: {{ from: [rule], requires: self.x < 50, set: {{ n: 0 }} }}
rules:
{rules}
safe_state: {{ mutate: rest }}
"
    ))
}

fn x(world: &mut World, seconds: i64, v: i64) -> Vec<String> {
    world.observe("x", &json!({ "v": v }));
    world.tick(seconds)
}

#[test]
fn it_sleeps_for_a_span() {
    let rules = "
  - { name: nap, priority: 1, when: self.x == 1, then: { sleep: { for: 10s } } }
  - { name: work, when: self.x > 0, then: { mutate: act } }";
    let mut world = with(rules);
    assert_eq!(x(&mut world, 1, 1), ["x by observation, x = 1", "sleep by nap until 11s"]);
    assert_eq!(world.state().status.name(), "sleeping");
    // It admits mutations meanwhile; its rules wait.
    assert_eq!(x(&mut world, 5, 2), ["x by observation, x = 2"]);
    world.restart();
    assert_eq!(world.engine.next_due(), Some(Timestamp(11 * S)), "it survives a restart");
    assert!(world.tick_at(Timestamp(11 * S - 1), Vec::new(), None).is_empty());
    assert_eq!(world.tick(11), ["wake", "act by rule work, n = 1"], "its rules run in that cycle");
    assert_eq!(world.state().status.name(), "active");
}

#[test]
fn it_sleeps_until_a_condition_holds() {
    let rules = "
  - { name: nap, priority: 1, when: self.x == 1, then: { sleep: { until: self.x > 5 } } }
  - { name: work, when: self.x > 0, then: { mutate: act } }";
    let mut world = with(rules);
    assert_eq!(x(&mut world, 1, 1), ["x by observation, x = 1", "sleep by nap"]);
    assert_eq!(x(&mut world, 2, 5), ["x by observation, x = 5"]);
    assert_eq!(world.engine.next_due(), None);
    world.restart();
    // Within one tick it is the memory after the inbox that counts.
    world.observe("x", &json!({ "v": 6 }));
    assert_eq!(x(&mut world, 3, 4).len(), 2);
    assert_eq!(x(&mut world, 4, 7), ["x by observation, x = 7", "wake", "act by rule work, n = 1"]);
}

#[test]
fn a_condition_that_holds_already_wakes_it_in_the_next_tick() {
    let mut world = with("  - { name: nap, when: self.x == 1, then: { sleep: { until: self.x == 1 } } }");
    assert_eq!(x(&mut world, 1, 1), ["x by observation, x = 1", "sleep by nap"]);
    assert_eq!(world.tick(2), ["wake"], "and it does not fall asleep again");
    assert!(world.tick(3).is_empty());
}

#[test]
fn a_condition_on_the_clock_is_looked_at_at_every_tick_and_one_that_fails_is_denied() {
    let until = "until: '10 / self.x > 0 && now > timestamp(\"1970-01-01T00:00:09Z\")'";
    let mut world =
        with(&format!("  - {{ name: nap, when: self.x == 1, then: {{ sleep: {{ {until} }} }} }}"));
    x(&mut world, 1, 1);
    assert!(world.tick(9).is_empty());
    let told = x(&mut world, 20, 0);
    assert!(told[1].starts_with("denied an act by rule nap: evaluation"), "{told:?}");
    assert!(world.tick(21).is_empty(), "it is counted");
    let told = x(&mut world, 22, 2);
    assert!(told[0].starts_with("counted 1 × an act: evaluation"), "{told:?}");
    assert_eq!(told[2], "wake");
}

#[test]
fn it_sleeps_until_a_time_that_is_taken_when_it_falls_asleep() {
    let mut world = with(
        "  - { name: nap, when: self.x == 1, then: { sleep: { until: \"timestamp(self.t) + duration('5s')\" } } }",
    );
    let told = x(&mut world, 1, 1);
    assert!(told[1].starts_with("denied an act by rule nap step 0: evaluation"), "{told:?}");
    assert_eq!(world.state().status.name(), "active");
    world.observe("t", &json!({ "v": "1970-01-01T00:00:10Z" }));
    x(&mut world, 2, 0);
    assert_eq!(x(&mut world, 3, 1), ["x by observation, x = 1", "sleep by nap until 15s"]);
    world.observe("t", &json!({ "v": "1970-01-01T01:00:00Z" }));
    assert_eq!(world.tick(4).len(), 1);
    assert_eq!(world.engine.next_due(), Some(Timestamp(15 * S)));
    assert_eq!(world.tick(20), ["wake"]);
    // A time that has passed wakes it in the next tick.
    world.observe("t", &json!({ "v": "1970-01-01T00:00:00Z" }));
    x(&mut world, 21, 0);
    assert_eq!(x(&mut world, 22, 1)[1], "sleep by nap until 5s");
    assert_eq!(world.tick(23), ["wake"]);
}

#[test]
fn a_retry_comes_back_after_twice_as_long_each_time_and_an_hour_at_most() {
    let mut world = with("  - { name: r, when: self.x == 1, then: retry }");
    assert_eq!(x(&mut world, 1, 1), ["x by observation, x = 1", "retry 1 by r, due 2s"]);
    let mut second = 2;
    for attempt in 2..=16 {
        assert_eq!(world.engine.next_due(), Some(Timestamp(second * S)));
        assert!(world.tick_at(Timestamp(second * S - 1), Vec::new(), None).is_empty());
        world.restart();
        let wait = (1 << (attempt - 1)).min(3600);
        assert_eq!(world.tick(second), [format!("retry {attempt} by r, due {}s", second + wait)]);
        second += wait;
    }
    // While the guard does not hold it is not tried; what was due is made up for once.
    x(&mut world, second - 1, 0);
    assert!(world.tick(second + 10).is_empty());
    assert_eq!(x(&mut world, second + 20, 1)[1], format!("retry 17 by r, due {}s", second + 20 + 3600));
}

#[test]
fn termination_asks_for_the_safe_state_and_ends_all() {
    let rules = "
  - { name: end, when: self.x > 5, then: terminate }
  - { name: r, when: self.x == 1, every: 1s, then: { mutate: act } }";
    let mut world = with(rules);
    assert_eq!(x(&mut world, 1, 1), ["x by observation, x = 1", "act by rule r, n = 1"]);
    assert_eq!(
        x(&mut world, 2, 6),
        ["x by observation, x = 6", "rest by safe_state, n = 0", "terminate by end"]
    );
    assert_eq!((world.state().status.name(), world.engine.next_due()), ("terminated", None));
    assert_eq!(x(&mut world, 3, 1), ["denied x by observation: status of the object"]);
    assert!(world.tick(9).is_empty());

    // A safe state that is denied does not keep it alive.
    let mut world = with(rules);
    let told = x(&mut world, 1, 60);
    assert_eq!(told[1..], ["denied rest by safe_state: requires at `self.x < 50`", "terminate by end"]);
}
