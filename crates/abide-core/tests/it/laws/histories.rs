//! Random histories: what comes in, and when.

use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::cycle::Input;
use abide_core::guest::{Act, ActError, ActSpawn, ActStep, Acted, Behaviour, Fault, Guest, Wake};
use abide_core::record::{Caller, Hash, OutcomeStatus};
use abide_core::schema::MutationIx;
use abide_core::time::{Span, Timestamp};
use abide_core::value::Value;
use serde_json::json;

use super::schemas::{MUTATIONS, policy};
use crate::world::{BEHAVIOUR, S, World};

/// A list of numbers that choices are read off; when it is used up, every choice is the first.
pub(super) struct Choices<'a> {
    rest: &'a [u16],
}

impl<'a> Choices<'a> {
    pub(super) fn new(numbers: &'a [u16]) -> Self {
        Self { rest: numbers }
    }

    pub(super) fn pick(&mut self, below: usize) -> usize {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        usize::from(*first) % below.max(1)
    }

    /// Never once the numbers are used up.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.pick(n) == n - 1
    }

    fn is_used_up(&self) -> bool {
        self.rest.is_empty()
    }
}

/// A tick, and what comes in before it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    arrivals: Vec<Incoming>,
    wait: Wait,
    moves_cursor: bool,
    paused: bool,
    /// After the tick the clock is set back by so much.
    set_back: Option<Span>,
}

#[derive(Clone, Debug)]
enum Wait {
    For(i64),
    /// Until something is due, or for a second.
    Due,
}

#[derive(Clone, Debug)]
struct Incoming {
    /// Which of the objects, by number.
    object: usize,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Ask { mutation: usize, v: i64, caller: usize },
    Signed { mutation: usize, v: i64, operator: u8, replayed: bool },
    Act(OperatorAct),
    Upgrade { to: usize },
    Revert,
    Outcome(OutcomeStatus),
    Policy,
}

/// As many ticks as the numbers hold.
pub(super) fn steps(choices: &mut Choices<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    while !choices.is_used_up() {
        let arrivals = (0..choices.pick(4)).map(|_| incoming(choices)).collect();
        let wait = match choices.pick(8) {
            0 | 1 => Wait::Due,
            2 => Wait::For(1),
            3 => Wait::For(S / 3),
            4 | 5 => Wait::For(S),
            6 => Wait::For(7 * S),
            _ => Wait::For(45 * S),
        };
        let (moves_cursor, paused) = (choices.one_in(3), choices.one_in(12));
        let set_back = choices.one_in(12).then(|| Span([1, S / 3, 20 * S, 4000 * S][choices.pick(4)]));
        steps.push(Step { arrivals, wait, moves_cursor, paused, set_back });
    }
    steps
}

fn incoming(choices: &mut Choices<'_>) -> Incoming {
    let object = choices.pick(6);
    let v = i64::try_from(choices.pick(30)).unwrap() - 5;
    let mutation = choices.pick(MUTATIONS.len());
    let what = match choices.pick(16) {
        0..=5 => What::Ask { mutation: 2, v, caller: 0 },
        6 | 7 => What::Ask { mutation, v, caller: 0 },
        8 | 9 => What::Ask { mutation, v, caller: 1 + choices.pick(3) },
        10 | 11 => What::Signed {
            mutation,
            v,
            operator: 1 + u8::from(choices.one_in(4)),
            replayed: choices.one_in(4),
        },
        12 => What::Act(match choices.pick(24) {
            0..=3 => OperatorAct::Behaviour(Behaviour {
                component: Hash([if choices.one_in(2) { 1 } else { 7 }; 32]),
                ..BEHAVIOUR
            }),
            23 => OperatorAct::Seal,
            _ => OperatorAct::Release,
        }),
        // The versions take each other over, but not themselves.
        15 if choices.one_in(2) => match choices.pick(4) {
            0 => What::Revert,
            to => What::Upgrade { to: to - 1 },
        },
        13 | 14 => What::Outcome(
            [OutcomeStatus::Delivered, OutcomeStatus::Failed, OutcomeStatus::Simulated][choices.pick(3)],
        ),
        _ => What::Policy,
    };
    Incoming { object, what }
}

/// Plays a step, and gives what it recorded.
pub(super) fn play_step(world: &mut World, step: &Step) -> Vec<String> {
    for incoming in &step.arrivals {
        arrive(world, incoming);
    }
    let now = world.clock.time;
    let time = match step.wait {
        Wait::For(nanos) => now.saturating_add(Span(nanos)),
        Wait::Due => world.engine.next_due().unwrap_or(now.saturating_add(Span::from_secs(1))),
    };
    let cursor = Timestamp(time.0).0.to_be_bytes();
    let cursors =
        if step.moves_cursor { vec![("a".into(), Arc::from(cursor.as_slice()))] } else { Vec::new() };
    let mut told = world.tick_at(time, cursors, step.paused.then_some(now));
    if let Some(by) = step.set_back {
        // It is refused where every object is sealed, or has a policy without this operator.
        told.extend(world.reset(world.clock.time.set_back(by)).unwrap_or_default());
    }
    told
}

fn arrive(world: &mut World, incoming: &Incoming) {
    let objects = world.engine.objects();
    let object = &objects[incoming.object % objects.len()];
    let id = Arc::clone(&object.id);
    match &incoming.what {
        What::Ask { mutation, v, caller } => {
            let caller = match caller {
                0 => Caller::Observation("src".into()),
                1 => Caller::Component("part".into()),
                2 => Caller::Parent("a".into()),
                _ => Caller::Behaviour,
            };
            let request = world.request(&id, MUTATIONS[*mutation], &json!({ "v": v }), caller);
            world.submit(&id, Input::Ask(request));
        }
        What::Signed { mutation, v, operator, replayed } => {
            let counter = if *replayed { 1 } else { world.next_counter(*operator) };
            let request = world.signed(&id, MUTATIONS[*mutation], &json!({ "v": v }), *operator, counter);
            world.submit(&id, Input::Ask(request));
        }
        What::Act(act) => {
            world.act(&id, act.clone());
        }
        What::Upgrade { to } => {
            let to = Arc::clone(&world.versions[to % world.versions.len()]);
            if object.schema.name == to.name && object.schema.version != to.version {
                world.upgrade(&id, &to);
            }
        }
        What::Revert => {
            if let Some(act) = OperatorAct::revert(object) {
                world.act(&id, act);
            }
        }
        What::Outcome(status) => {
            if let Some(of) = object.state.effects.keys().next().copied() {
                world.outcome_of(&id, of, *status, Some(json!({ "v": 4 })));
            }
        }
        What::Policy => {
            let mut policy = policy();
            policy.limits.effects += 1;
            world.submit(&id, Input::Policy(Box::new(policy)));
        }
    }
}

/// A guest whose answer is a function of all that an act is given, and looks random.
pub(super) struct RandomGuest;

impl Guest for RandomGuest {
    fn act(&self, act: &Act<'_>) -> Acted {
        let digest = Hash::of_record(format!("{act:?}").as_bytes());
        let numbers: Vec<u16> =
            digest.0.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let mut choices = Choices::new(&numbers);
        let answer = match choices.pick(10) {
            0 => Err(ActError { fault: Fault::ALL[choices.pick(6)], message: "out of luck".to_owned() }),
            1 => Ok(Vec::new()),
            _ => Ok(act_steps(act, &mut choices)),
        };
        Acted { answer, log: Vec::new() }
    }
}

fn act_steps(act: &Act<'_>, choices: &mut Choices<'_>) -> Vec<ActStep> {
    let open: Vec<usize> = (0..act.schema.mutations.len())
        .filter(|ix| {
            let from = act.schema.mutations[*ix].from;
            choices.one_in(8) || abide_core::schema::CallerKind::Behaviour.is_in(from)
        })
        .collect();
    let mut steps = Vec::new();
    for _ in 0..choices.pick(4) {
        let spawns = open.is_empty() || choices.one_in(6);
        steps.push(if spawns {
            let values = json!({ "a": choices.pick(9) }).as_object().unwrap().clone();
            let (budget, refill) = (1_000_000 * u64::try_from(choices.pick(2)).unwrap(), 0);
            ActStep::Spawn(ActSpawn { schema: "kid".into(), values, budget, refill, links: Vec::new() })
        } else {
            let mutation = MutationIx(u16::try_from(open[choices.pick(open.len())]).unwrap());
            ActStep::Mutate { mutation, args: vec![Value::Int(i64::try_from(choices.pick(12)).unwrap() - 2)] }
        });
    }
    match choices.pick(10) {
        0 => steps.push(ActStep::Sleep(Wake::After(Span::from_secs(5)))),
        1 => steps.push(ActStep::Retry),
        2 if choices.one_in(3) => steps.push(ActStep::Terminate),
        3 => steps.insert(0, ActStep::Retry),
        _ => {}
    }
    steps
}
