//! Effects: ordered by a record, ended by a record, answered by an observation.

use abide_core::record::OutcomeStatus;
use serde_json::json;

use crate::world::World;

const LAB: &str = r"
fields:
  n: { type: integer, minimum: 0, maximum: 9, default: 0 }
  level: { type: number, minimum: 0, maximum: 9, default: 0 }
  said: { type: string, maxLength: 99, default: '' }
mutations:
  open:
    from: [rule]
    set: { n: self.n + 1 }
    effect: { interface: example:lab/valve, function: open, args: ['${self.n}'], valid_for: 1m, result: took, error: failed }
  took: { from: [observation], args: { level: { $ref: '#/fields/level' } }, set: { level: args.level } }
  failed: { from: [observation], args: { message: { type: string, maxLength: 99 } }, set: { said: args.message } }
rules: [ { name: r, when: self.n < 2, then: { mutate: open } } ]
";

#[test]
fn an_outcome_is_recorded_and_its_answer_comes_back_as_an_observation() {
    let mut world = World::new(LAB);
    assert_eq!(world.tick(1), ["open by rule r, n = 1, effect [1]"]);
    assert_eq!(world.tick(2), ["open by rule r, n = 2, effect [2]"]);
    let pending: Vec<u64> = world.state().effects.keys().copied().collect();
    assert_eq!(pending, [1, 2]);
    assert_eq!(
        world.state().effects[&2].key,
        world.object("o").head,
        "the record's hash is the idempotency key"
    );
    world.restart();
    world.outcome(1, OutcomeStatus::Delivered, Some(json!({ "level": 4 })));
    world.outcome(2, OutcomeStatus::Failed, None);
    assert_eq!(
        world.tick(3),
        [
            "outcome of 1: Delivered",
            "took by observation, level = 4.0",
            "outcome of 2: Failed",
            "failed by observation, said = \"it failed\"",
        ]
    );
    assert!(world.state().effects.is_empty());
    // It ends once.
    let length = world.object("o").length;
    world.outcome(1, OutcomeStatus::Delivered, Some(json!({ "level": 5 })));
    world.outcome(99, OutcomeStatus::Delivered, None);
    assert!(world.tick(4).is_empty());
    assert_eq!(world.object("o").length, length);
}

#[test]
fn a_bare_answer_is_the_only_argument_and_a_bad_one_is_denied() {
    let mut world = World::new(LAB);
    world.tick(1);
    world.tick(2);
    world.outcome(1, OutcomeStatus::Delivered, Some(json!(7)));
    assert_eq!(world.tick(3)[1..], ["took by observation, level = 7.0"]);
    world.outcome(2, OutcomeStatus::Delivered, Some(json!({ "level": "high" })));
    assert_eq!(
        world.tick(4),
        ["outcome of 2: Delivered", "denied took by observation: argument at argument level"]
    );
}

#[test]
fn what_is_simulated_has_no_answer_and_what_is_abandoned_has_failed() {
    let mut world = World::new(LAB);
    world.tick(1);
    world.tick(2);
    world.outcome(1, OutcomeStatus::Simulated, Some(json!({ "level": 4 })));
    assert_eq!(world.tick(3), ["outcome of 1: Simulated"]);
    world.outcome(2, OutcomeStatus::Abandoned, None);
    let told = world.tick(4);
    assert_eq!(told[1], "failed by observation, said = \"abandoned: it was no longer valid\"");
}

#[test]
fn an_effect_of_an_object_that_has_ended_still_ends_in_a_record() {
    let mut world = World::new(
        &LAB.replace("rules: [", "rules: [ { name: end, priority: 9, when: self.n == 1, then: terminate },"),
    );
    world.tick(1);
    assert_eq!(world.tick(2), ["terminate by end"]);
    world.outcome(1, OutcomeStatus::Delivered, Some(json!({ "level": 4 })));
    assert_eq!(
        world.tick(3),
        ["outcome of 1: Delivered", "denied took by observation: status of the object"]
    );
    assert!(world.state().effects.is_empty());
}

/// Whoever takes a call knows an object by the names of its properties, not by their order.
#[test]
fn objects_go_out_with_their_names() {
    let mut world = World::new(
        r"
fields:
  n: { type: integer, minimum: 0, maximum: 9, default: 0 }
  wind:
    type: object
    properties: { gust: { type: number }, dir: { type: number, nullable: true }, at: { type: object, properties: { z: { type: integer } } } }
    default: { gust: 3, dir: 5, at: { z: 1 } }
mutations:
  open:
    from: [rule]
    set: { n: self.n + 1 }
    effect:
      interface: example:lab/valve
      function: open
      args: ['${self.wind}', { inner: '${self.wind.at}', list: '${[self.wind.at]}' }, 'at ${self.wind.at}']
      valid_for: 1m
rules: [ { name: r, when: self.n < 1, then: { mutate: open } } ]
",
    );
    let wind = r#"{"at":{"z":1},"dir":5.0,"gust":3.0}"#;
    let inner = r#"{"inner":{"z":1},"list":[{"z":1}]}"#;
    assert_eq!(
        world.tick(1),
        [format!(r#"open by rule r, n = 1, effect [{wind},{inner},"at {{\"z\":1}}"]"#)]
    );
}
