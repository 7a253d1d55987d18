//! The laws of the core, over random schemas and random histories.
//!
//! Each case is a schema (and one for children) and a history, both read off a list of numbers, so that a failure shrinks
//! to short and small ones. The seed is fixed; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` in the environment set others.

mod histories;
mod schemas;

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::engine::Engine;
use abide_core::object::Object;
use abide_core::record::decode::decode_strict;
use abide_core::record::encode::KINDS;
use abide_core::record::{Caller, Event, Genesis, HOST, Mutated, Record};
use abide_core::schema::Refill;
use abide_core::slope::{Allotment, Bucket};
use abide_core::state::State;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngSeed, TestRunner};

use super::world::{self, World, same_engines};
use histories::{Choices, Step, play_step, steps};
use schemas::text_of;

fn config(cases: u32) -> ProptestConfig {
    let own = ProptestConfig::default();
    let seed = if own.rng_seed == RngSeed::Random { RngSeed::Fixed(2026) } else { own.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { own.cases } else { cases };
    ProptestConfig { cases, rng_seed: seed, failure_persistence: None, max_shrink_iters: 20_000, ..own }
}

/// Three lists of numbers: a schema, that of children, and a history are read off them. It shows as what is read.
#[derive(Clone)]
struct Numbers {
    main: Vec<u16>,
    kid: Vec<u16>,
    history: Vec<u16>,
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let list = |length| prop::collection::vec(any::<u16>(), length);
    (list(40..220), list(20..220), list(40..900)).prop_map(|(main, kid, history)| Numbers {
        main,
        kid,
        history,
    })
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "\nmain:{}", text_of(&mut Choices::new(&self.main)))?;
        writeln!(f, "kid:{}", text_of(&mut Choices::new(&self.kid)))?;
        steps(&mut Choices::new(&self.history))
            .iter()
            .enumerate()
            .try_for_each(|(n, step)| writeln!(f, "{n}: {step:?}"))
    }
}

struct Case {
    world: World,
    steps: Vec<Step>,
}

/// Two objects of a random schema, and what is going to happen to them.
fn case(Numbers { main, kid, history }: &Numbers) -> Case {
    let kid = world::schema("kid", &text_of(&mut Choices::new(kid)));
    let main = world::schema("main", &text_of(&mut Choices::new(main)));
    let mut world = World::empty();
    world.know(&kid);
    for id in ["a", "b"] {
        world.begin(id, &main, schemas::policy(), &serde_json::json!({})).unwrap();
    }
    Case { world, steps: steps(&mut Choices::new(history)) }
}

proptest! {
    #![proptest_config(config(400))]

    /// [`World`] checks at every record: bounds, invariants, that a denial changes nothing, strict round trips, the chain;
    /// and at every tick that the state is the fold of the lineage.
    #[test]
    fn the_state_is_the_fold_of_a_sound_lineage(numbers in numbers()) {
        let Case { mut world, steps } = case(&numbers);
        for step in &steps {
            let before: Vec<(State, u64)> = states(&world);
            play_step(&mut world, step);
            for (object, (before, length)) in world.engine.objects().iter().zip(&before) {
                unchanged_without_a_record(object, before, *length);
            }
            // Time comes from the recorded clock: nothing is ever due in the past.
            let due = world.engine.next_due();
            prop_assert!(due.is_none_or(|due| due > world.clock.time), "{due:?} at {:?}", world.clock);
        }
    }

    /// An engine that skips what cannot have changed, and one that evaluates every rule of every object at every tick.
    #[test]
    fn skipping_gives_the_same_acts_as_evaluating_everything(numbers in numbers()) {
        let Case { mut world, steps } = case(&numbers);
        let mut all = case(&numbers).world;
        all.engine.evaluate_all(true);
        for (n, step) in steps.iter().enumerate() {
            let told = play_step(&mut world, step);
            let told_all = play_step(&mut all, step);
            prop_assert_eq!(told, told_all, "step {}", n);
            prop_assert_eq!(&world.verdicts, &all.verdicts);
            prop_assert_eq!(world.engine.next_due(), all.engine.next_due(), "step {}", n);
        }
        prop_assert!(world.log == all.log, "the same records, byte for byte");
    }

    /// A host that restarts from its log, or from a snapshot and the rest of its log, goes on as if nothing had happened.
    #[test]
    fn a_restart_changes_nothing(numbers in numbers(), cut in any::<u16>()) {
        let Case { mut world, steps } = case(&numbers);
        let at = usize::from(cut) % steps.len().max(1);
        let (mut snapshot, mut restarted) = (None, false);
        let mut other = case(&numbers).world;
        for (n, step) in steps.iter().enumerate() {
            let before = world.log.len();
            let (told, told_other) = (play_step(&mut world, step), play_step(&mut other, step));
            prop_assert_eq!(told, told_other, "step {}", n);
            prop_assert!(world.log == other.log, "step {}: the same records, byte for byte", n);
            prop_assert_eq!(world.engine.next_due(), other.engine.next_due(), "step {}", n);
            // A snapshot holds what is counted and not committed yet, so it may be taken up at any tick.
            if n == at && cut % 3 == 0 {
                other.engine = Engine::restore(&other.engine.snapshot()).unwrap();
                restarted = true;
            }
            if n == at / 2 {
                snapshot = Some((other.engine.snapshot(), other.log.len()));
            }
            // What was not recorded is forgotten, with the tick in which it was: only a tick that recorded is the last.
            if n >= at && !restarted && world.log.len() > before {
                restarted = true;
                match snapshot.take() {
                    Some((bytes, length)) if cut % 2 == 0 => {
                        let mut engine = Engine::restore(&bytes).unwrap();
                        prop_assert_eq!(engine.snapshot(), bytes, "a snapshot restores to itself");
                        for (bytes, hash) in &other.log[length..] {
                            engine.fold(bytes, *hash).unwrap();
                        }
                        same_engines(&engine, &world.engine);
                        other.engine = engine;
                    }
                    _ => other.restart(),
                }
            }
        }
        same_engines(&world.engine, &other.engine);
    }

    /// Over any window of length t the cost admitted is at most budget + refill × t, for an object and for its family.
    #[test]
    fn the_cost_over_any_window_is_bounded(numbers in numbers()) {
        let Case { mut world, steps } = case(&numbers);
        for step in &steps {
            play_step(&mut world, step);
        }
        let mut of: BTreeMap<Arc<str>, Vec<Record>> = BTreeMap::new();
        for (bytes, _) in &world.log {
            let id = abide_core::record::decode::header(bytes).unwrap().object;
            if &*id != HOST {
                let schema = &world.object(&id).schema;
                of.entry(id).or_default().push(decode_strict(bytes, Some(schema)).unwrap());
            }
        }
        for object in world.engine.objects() {
            if let Some(bound) = bound_of(object, &of[&object.id]) {
                check_windows(&bound, &costs(of[&object.id].iter()), &object.id);
                let family = of.iter().filter(|(id, _)| is_in_family(&world.engine, id, &object.id));
                check_windows(&bound, &costs(family.flat_map(|(_, records)| records)), "a family");
            }
        }
    }
}

/// Laws that nothing puts to the test would hold, too: the random histories reach every kind of record, every check of
/// admission, and every status.
#[test]
fn the_random_histories_reach_everything() {
    let mut runner = TestRunner::new(config(1));
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..300 {
        let numbers = numbers().new_tree(&mut runner).unwrap().current();
        let Case { mut world, steps } = case(&numbers);
        for step in &steps {
            play_step(&mut world, step);
        }
        for (bytes, _) in &world.log {
            let id = abide_core::record::decode::header(bytes).unwrap().object;
            let record =
                decode_strict(bytes, world.engine.object(&id).map(|object| &*object.schema)).unwrap();
            *seen.entry(KINDS[usize::from(record.event.kind())].to_owned()).or_default() += 1;
            match record.event {
                Event::Denial(denied) => {
                    *seen.entry(format!("denied: {}", denied.reason.code.name())).or_default() += 1;
                }
                Event::Denials(counted) if counted.len() > 1 => {
                    *seen.entry("several counts".to_owned()).or_default() += 1;
                }
                Event::Progress(progress) if !progress.pending.is_empty() => {
                    *seen.entry("counts in progress".to_owned()).or_default() += 1;
                }
                _ => {}
            }
        }
        for object in world.engine.objects() {
            *seen.entry(format!("in the end {}", object.state.status.name())).or_default() += 1;
            *seen.entry(format!("depth {}", object.depth)).or_default() += 1;
        }
    }
    // An act without a step needs a behaviour.
    let kinds =
        KINDS.iter().filter(|kind| !["idle", "clock", "upgrade"].contains(kind)).map(ToString::to_string);
    let codes =
        "status caller signature argument requires evaluation bounds invariant effect slope drift spawn";
    let codes = codes.split(' ').map(|code| format!("denied: {code}"));
    let ends = "incomplete active sleeping quarantined sealed terminated";
    let ends = ends.split(' ').map(|status| format!("in the end {status}"));
    let more = ["several counts", "counts in progress", "depth 2"].map(str::to_owned);
    let missed: Vec<_> =
        kinds.chain(codes).chain(ends).chain(more).filter(|what| !seen.contains_key(what)).collect();
    assert!(missed.is_empty(), "no history reached {missed:?}, only {seen:?}");
}

fn states(world: &World) -> Vec<(State, u64)> {
    world.engine.objects().iter().map(|object| (object.state.clone(), object.length)).collect()
}

/// What was denied and only counted, or not even that, has changed neither memory nor what the slope holds.
fn unchanged_without_a_record(object: &Object, before: &State, length: u64) {
    if object.length == length {
        assert_eq!(object.state.memory, before.memory);
        assert_eq!(object.state.bucket, before.bucket);
        assert_eq!((object.state.status, &object.state.drift_from), (before.status, &before.drift_from));
    }
}

/// What the lineage alone says that the object may spend.
fn bound_of(object: &Object, records: &[Record]) -> Option<Bucket> {
    let own = &object.schema.trust_slope;
    let Some(Record { event: Event::Genesis(genesis), time, .. }) = records.first() else {
        panic!("a genesis")
    };
    let Genesis { allotment, .. } = &**genesis;
    match (own.budget, allotment) {
        (None, None) => None,
        (Some(budget), None) => Some(Bucket::full(budget, own.refill, *time)),
        (None, Some(part)) => Some(Bucket::full(part.budget, Some(flow(part)), *time)),
        (Some(budget), Some(part)) => {
            let given = flow(part);
            let slower = |own: Refill| rate(own) <= rate(given);
            let refill = own.refill.map(|own| if slower(own) { own } else { given });
            Some(Bucket::full(budget.min(part.budget), refill, *time))
        }
    }
}

fn flow(part: &Allotment) -> Refill {
    Refill { amount: part.refill, per: part.per }
}

#[expect(clippy::cast_precision_loss, reason = "the rates of the random schemas are small")]
fn rate(refill: Refill) -> f64 {
    refill.amount as f64 / refill.per.0 as f64
}

fn is_in_family(engine: &Engine, id: &str, root: &str) -> bool {
    let mut at = Some(id);
    while let Some(id) = at {
        if id == root {
            return true;
        }
        at = engine.object(id).and_then(|object| object.parent.as_deref());
    }
    false
}

/// When what was spent, by those who are bound by the slope.
fn costs<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<(i64, u64)> {
    let mut costs: Vec<(i64, u64)> = records
        .filter_map(|record| match &record.event {
            Event::Mutation(Mutated { cost, caller, .. }) => {
                let free = matches!(
                    caller,
                    Caller::SafeState | Caller::Operator(_) | Caller::Observation(_) | Caller::Parent(_)
                );
                assert!(!free || *cost == 0, "{caller:?} is not charged");
                (*cost > 0).then_some((record.time.0, *cost))
            }
            _ => None,
        })
        .collect();
    costs.sort_unstable();
    costs
}

fn check_windows(bound: &Bucket, costs: &[(i64, u64)], whose: &str) {
    let (amount, per) =
        bound.refill.map_or((0, 1), |refill| (i128::from(refill.amount), i128::from(refill.per.0)));
    for (n, (from, _)) in costs.iter().enumerate() {
        let mut sum = 0;
        for (to, cost) in &costs[n..] {
            sum += i128::from(*cost);
            let window = i128::from(to - from);
            assert!(
                sum * per <= i128::from(bound.capacity) * per + amount * window,
                "{whose}: {sum} in {window} ns of {bound:?}"
            );
        }
    }
}
