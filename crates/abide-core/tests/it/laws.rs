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
use abide_core::record::encode::KINDS;
use abide_core::record::{Caller, Event, Mutated, Record};
use abide_core::schema::{Refill, Schema};
use abide_core::slope::{Allotment, Bucket};
use abide_core::state::State;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngSeed, TestRunner};

use super::world::{self, World, same_engines};
use histories::{Choices, RandomGuest, Step, play_step, steps};
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
        versions(&self.main).iter().try_for_each(|text| writeln!(f, "\nmain:{text}"))?;
        writeln!(f, "kid:{}", text_of(&mut Choices::new(&self.kid)))?;
        steps(&mut Choices::new(&self.history))
            .iter()
            .enumerate()
            .try_for_each(|(n, step)| writeln!(f, "{n}: {step:?}"))
    }
}

/// Three versions of a schema, which take each other over: the second is read off the same numbers backwards, the third off some
/// of them.
fn versions(main: &[u16]) -> [String; 3] {
    let backwards: Vec<u16> = main.iter().rev().copied().collect();
    let some = main.get(..main.len() * 2 / 3).unwrap_or_default();
    let of = |numbers: &[u16], version| schemas::version_of(&mut Choices::new(numbers), version);
    [of(main, 1), of(&backwards, 2), of(some, 3)]
}

/// A schema that was in force for an object, and its records under it.
type Era = (Arc<Schema>, Vec<Record>);

struct Case {
    world: World,
    steps: Vec<Step>,
}

/// Two objects of a random schema, and what is going to happen to them.
fn case(Numbers { main, kid, history }: &Numbers) -> Case {
    let versions = versions(main).into_iter().zip(1..);
    let versions: Vec<_> = versions.map(|(text, version)| world::version("main", version, &text)).collect();
    let kid = world::schema("kid", &text_of(&mut Choices::new(kid)));
    let main = Arc::clone(&versions[0]);
    let mut world = World::empty();
    world.versions = versions;
    world.guest = Box::new(RandomGuest);
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
        let mut of: BTreeMap<Arc<str>, Vec<Era>> = BTreeMap::new();
        // A window is measured in time that passed: the recorded time, and what resets have set it back by so far.
        let mut set_back = 0;
        for (mut record, schema) in world.records() {
            let Some(schema) = schema else {
                if let Event::Clock { since, .. } = &record.event {
                    set_back += since.since(record.time).0;
                }
                continue;
            };
            record.time.0 += set_back;
            let eras = of.entry(Arc::clone(&record.object)).or_default();
            match eras.last_mut().filter(|(known, _)| *known == schema) {
                Some((_, records)) => records.push(record),
                None => eras.push((schema, vec![record])),
            }
        }
        for object in world.engine.objects() {
            for (schema, records) in &of[&object.id] {
                if let Some(bound) = bound_of(schema, object.allotment, records) {
                    check_windows(&bound, &costs(records.iter()), &object.id);
                }
            }
            let family = of.iter().filter(|(id, _)| is_in_family(&world.engine, id, &object.id));
            let family: Vec<_> = family.map(|(_, eras)| eras).collect();
            // Under several versions there is no one bound.
            if family.iter().all(|eras| eras.len() == 1)
                && let Some((schema, records)) = of[&object.id].first()
                && let Some(bound) = bound_of(schema, object.allotment, records)
            {
                let all = family.iter().flat_map(|eras| &eras[0].1);
                check_windows(&bound, &costs(all), "a family");
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
        for (record, _) in world.records() {
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
                Event::Upgrade(upgrade) if upgrade.schema.is_some() => {
                    let what = if upgrade.reverts.is_some() { "a reversal" } else { "another schema" };
                    *seen.entry(what.to_owned()).or_default() += 1;
                }
                _ => {}
            }
        }
        for object in world.engine.objects() {
            *seen.entry(format!("in the end {}", object.state.status.name())).or_default() += 1;
            *seen.entry(format!("depth {}", object.depth)).or_default() += 1;
        }
    }
    let kinds = KINDS.iter().map(ToString::to_string);
    let codes =
        "status caller signature argument requires evaluation bounds invariant effect slope drift spawn act";
    let codes = codes.split(' ').map(|code| format!("denied: {code}"));
    let ends = "incomplete active sleeping quarantined sealed terminated";
    let ends = ends.split(' ').map(|status| format!("in the end {status}"));
    let more = ["several counts", "counts in progress", "depth 2", "another schema", "a reversal"]
        .map(str::to_owned);
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

/// What the object may spend under a schema, as the first record under it alone says.
fn bound_of(schema: &Schema, allotment: Option<Allotment>, records: &[Record]) -> Option<Bucket> {
    let own = &schema.trust_slope;
    let time = records.first()?.time;
    match (own.budget, allotment) {
        (None, None) => None,
        (Some(budget), None) => Some(Bucket::full(budget, own.refill, time)),
        (None, Some(part)) => Some(Bucket::full(part.budget, Some(flow(&part)), time)),
        (Some(budget), Some(part)) => {
            let given = flow(&part);
            let slower = |own: Refill| rate(own) <= rate(given);
            let refill = own.refill.map(|own| if slower(own) { own } else { given });
            Some(Bucket::full(budget.min(part.budget), refill, time))
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
