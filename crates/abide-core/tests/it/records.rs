//! Records, the fold, restarts: what the log holds is all there is.

use std::sync::Arc;

use abide_core::time::Timestamp;

use super::world::{S, World};

fn cursor(n: u8) -> Vec<(Arc<str>, Arc<[u8]>)> {
    vec![("a".into(), Arc::from([n].as_slice()))]
}

#[test]
fn denials_of_several_kinds_are_counted_in_the_order_they_came() {
    let mut world = World::new(
        r#"
fields: { a: { type: integer, minimum: 0, maximum: 9, default: 0 } }
mutations:
  set: { from: [observation], args: { v: { $ref: '#/fields/a' } }, set: { a: args.v } }
rules:
  - { name: r0, when: 12 / self.a > 2, then: retry }
  - { name: r1, when: 7 % self.a > 2, then: retry }
trust_slope: { quarantine: { denials: 12, within: 10s } }
"#,
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
