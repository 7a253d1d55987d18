//! What a behaviour answers: whatever its steps are, the tick comes to records that verify, and to the same ones when it is
//! run again.
//!
//! A line of the input is the answer of an act, read off byte by byte. That a component's values become those of the core is
//! left to the tests of `abide-wasm`.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use abide_core::engine::{Beginning, Engine};
use abide_core::field::untyped_from_json;
use abide_core::frame::Frame;
use abide_core::guest::{Act, ActError, ActSpawn, ActStep, Acted, Behaviour, Fault, Guest, STEPS_MAX, Wake};
use abide_core::policy::{Grant, Limits, Policy};
use abide_core::record::decode::decode_strict;
use abide_core::record::encode::encode;
use abide_core::record::{Event, HOST, Hash};
use abide_core::schema::{MutationIx, Schema};
use abide_core::time::{Span, Timestamp};
use abide_core::value::Value;
use abide_host::Host;
use abide_host::history::replay;
use abide_host::keys::Keys;
use abide_host::verify::verify;
use abide_host::view::View;
use abide_store::{Commit, Entry, Log, LogOptions, MemoryDisk, Position};
use serde_json::{Value as Json, json};

use super::{Reached, Target};
use crate::random::Random;
use crate::sample::{self, SCHEMA};

pub(super) const TARGET: Target = Target { name: "act", run, seeds };

const TICKS: i64 = 8;
const BEHAVIOUR: Behaviour = Behaviour { component: Hash([1; 32]), config: Hash([2; 32]) };
const RULES: &str = "\
rules:
  - { name: plan, when: now >= now, every: 10s, then: { act: plan } }
  - { name: mend, when: self.level > 9, priority: 1, every: 20s, then: { act: mend } }
  - { name: bud, when: self.seen > 2, every: 1m, then: { act: bud } }
behaviour: { fuel: 1000 }
";

/// Some lines each.
fn seeds() -> Vec<Vec<u8>> {
    let mut random = Random(7);
    let mut seed = || (0..160).map(|_| u8::try_from(random.below(256)).unwrap_or(0)).collect();
    (0..64).map(|_| seed()).collect()
}

/// A host with an object that acts, before its first tick.
struct World {
    keys: Keys,
    engine: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "a world that cannot be made is a broken test, not a finding")]
    WORLD.get_or_init(|| make().expect("the world is made"))
}

fn make() -> Result<World, Box<dyn Error>> {
    let (before, after) = SCHEMA.split_once("rules:\n").ok_or("the sample has rules")?;
    let (_, after) = after.split_once("safe_state:").ok_or("the sample has a safe state")?;
    let text = format!("{before}{RULES}safe_state:{after}").replace("from: [", "from: [behaviour, ");
    let (schema, _) = Schema::load(&text).map_err(|errors| format!("the schema: {errors:?}"))?;
    let (keys, disk) = (sample::keys()?, MemoryDisk::new());
    let mut host = Host::open(Arc::new(disk.clone()), &keys, true, sample::START)?;
    let grant =
        Grant { target: "burners".into(), interface: "example:orchard/burner".into(), functions: Vec::new() };
    let beginning = Beginning {
        id: "one".into(),
        schema: Arc::new(schema),
        behaviour: Some(BEHAVIOUR),
        policy: Policy {
            operators: keys.operators(),
            links: vec![grant],
            limits: Limits { children: 3, depth: 2, ..Limits::default() },
        },
        values: Vec::new(),
    };
    host.begin(&[], &[beginning])?;
    let engine = host.engine().snapshot();
    drop(host);
    Ok(World { keys, engine, files: sample::files(&disk)? })
}

fn run(bytes: &[u8]) -> Reached {
    let guest = Lines(bytes.split(|byte| *byte == b'\n').collect());
    #[expect(clippy::expect_used, reason = "whatever fails here is a finding")]
    let disk = ticks(&guest).expect("what comes of acts is written");
    #[expect(clippy::expect_used, reason = "whatever fails here is a finding")]
    let reached = check(&disk, &guest).expect("what comes of acts is read");
    Reached::of(&reached)
}

/// Some ticks, and the log that they come to.
fn ticks(guest: &Lines<'_>) -> Result<MemoryDisk, Box<dyn Error>> {
    let World { keys, engine, files } = world();
    let disk = sample::disk(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))?;
    let (mut log, _) = Log::open(Arc::new(disk.clone()), LogOptions::new(keys.signer()?))?;
    let mut engine = Engine::restore(engine)?;
    let mut frame = Frame::new(Arc::clone(&engine.host().identity));
    for n in 1..=TICKS {
        let clock = engine.clock().next(sample::START.saturating_add(Span::from_secs(n * 10)));
        engine.tick(clock, &mut Vec::new(), Vec::new(), None, guest, &mut frame);
        let _ = engine.next_due();
        if frame.is_empty() {
            continue;
        }
        let entries = frame.entries.iter().map(|entry| Entry {
            object: entry.object,
            bytes: frame.record(entry),
            hash: entry.hash.0,
        });
        log.append(Commit { tick: clock.tick, time: clock.time.0, entries })?;
    }
    Ok(disk)
}

/// The log verifies, its records have one form, and the acts that are run again come to them; what they say, by kind.
fn check(disk: &MemoryDisk, guest: &Lines<'_>) -> Result<Vec<String>, Box<dyn Error>> {
    let view = View::open_disk(Arc::new(disk.clone()), None)?;
    let mut reached = Vec::new();
    for frame in view.reader().frames(Position::START) {
        for stored in frame?.records() {
            let schema = view.engine().by_number(stored.object).map(|object| &*object.schema);
            let record = decode_strict(stored.bytes, schema)?;
            let mut again = Vec::new();
            encode(&record, schema, &mut again);
            assert!(again == stored.bytes, "a record is encoded to other bytes: {record:?}");
            reached.push(match &record.event {
                Event::Denial(denied) => format!("{:?} {:?}", denied.reason.code, denied.mutation),
                event => format!("{} {}", event.kind(), &*record.object == HOST),
            });
        }
    }
    let verified = verify(&view)?;
    assert!(verified.is_verified(), "what an act made does not verify: {:?}", verified.problems.first());
    for object in view.engine().objects() {
        let replayed = replay(&view, object, None, Some(guest))?;
        assert!(replayed.agrees(), "run again, acts come to something else: {:?}", replayed.problems.first());
    }
    reached.sort();
    reached.dedup();
    Ok(reached)
}

/// A guest that answers with what the lines say: which of them, the act says.
struct Lines<'a>(Vec<&'a [u8]>);

impl Guest for Lines<'_> {
    fn act(&self, act: &Act<'_>) -> Acted {
        let asked = format!("{} {} {}", act.object, act.rule, act.tick);
        let [first, ..] = Hash::of_record(asked.as_bytes()).0;
        let line = self.0.get(usize::from(first) % self.0.len().max(1)).copied().unwrap_or_default();
        Acted { answer: Choices(line).answer(act.schema), log: Vec::new() }
    }
}

/// The rest of a line, which choices are read off; when it is used up, every choice is the first.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn answer(&mut self, schema: &Schema) -> Result<Vec<ActStep>, ActError> {
        match self.below(16) {
            0 => {
                let fault = Fault::ALL.get(self.below(Fault::ALL.len())).copied().unwrap_or(Fault::Error);
                Err(ActError { fault, message: self.text().repeat(self.below(60)) })
            }
            1 => {
                let step = self.step(schema);
                Ok(std::iter::repeat_n(step, STEPS_MAX + self.below(2)).collect())
            }
            most => Ok((0..most % 5).map(|_| self.step(schema)).collect()),
        }
    }

    fn step(&mut self, schema: &Schema) -> ActStep {
        match self.below(16) {
            0 => ActStep::Retry,
            1 => ActStep::Terminate,
            2 => ActStep::Sleep(Wake::After(Span(self.int()))),
            3 => ActStep::Sleep(Wake::At(Timestamp(self.int()))),
            4 | 5 => ActStep::Spawn(self.spawn(schema)),
            _ => self.mutate(schema),
        }
    }

    /// A mutation of the schema, or one more: its arguments of their types, or what the bytes say.
    fn mutate(&mut self, schema: &Schema) -> ActStep {
        let ix = self.below(schema.mutations.len() + 1);
        let fields = schema.mutations.get(ix).map(|mutation| mutation.args.fields.as_slice());
        let mut args: Vec<Value> = Vec::new();
        for field in fields.unwrap_or_default() {
            let json = self.json(2);
            args.push(match self.below(8) {
                0 => self.odd(),
                1 => untyped_from_json(&json),
                2 => Value::Null,
                _ => field.ty.value_from_json(&json).unwrap_or(Value::Null),
            });
        }
        if self.below(16) == 1 {
            args.truncate(self.below(3));
        }
        ActStep::Mutate { mutation: MutationIx(u16::try_from(ix).unwrap_or(u16::MAX)), args }
    }

    fn spawn(&mut self, schema: &Schema) -> ActSpawn {
        let is_known = self.below(8) > 0;
        let mut values = serde_json::Map::new();
        for _ in 0..self.below(3) {
            let field = schema.memory.fields.get(self.below(schema.memory.fields.len()));
            values.insert(field.map_or_else(|| self.text(), |field| field.name.to_string()), self.json(2));
        }
        let mut amount = || match self.below(4) {
            0 => 0,
            1 => u64::try_from(self.below(256)).unwrap_or(0) * 100_000,
            2 => 1,
            _ => self.int().unsigned_abs(),
        };
        let (budget, refill) = (amount(), amount());
        let link = match self.below(4) {
            0 => Some("example:orchard/burner".to_owned()),
            1 => Some(self.text()),
            _ => None,
        };
        ActSpawn {
            schema: if is_known { Arc::clone(&schema.name) } else { self.text().into() },
            values,
            budget,
            refill,
            links: link.into_iter().map(Into::into).collect(),
        }
    }

    /// A value that no JSON says.
    fn odd(&mut self) -> Value {
        match self.below(10) {
            0 => Value::Num(f64::NAN),
            1 => Value::Num(f64::NEG_INFINITY),
            2 => Value::Num(-0.0),
            3 => Value::Int(self.int()),
            4 => Value::Time(Timestamp(self.int())),
            5 => Value::Span(Span(self.int())),
            6 => Value::Bytes(self.text().into_bytes().into()),
            7 => Value::Struct(Arc::from([Value::Null, self.text().as_str().into()])),
            8 => Value::Map(Arc::from([(Arc::from(self.text()), Value::Num(f64::INFINITY))])),
            _ => Value::Struct(Arc::from([])),
        }
    }

    fn json(&mut self, depth: u32) -> Json {
        match self.below(if depth == 0 { 8 } else { 12 }) {
            0 => Json::Null,
            1 => json!(self.below(2) == 0),
            2 | 3 => json!(self.below(24)),
            4 => json!(self.int()),
            5 => json!(f64::from(u32::try_from(self.below(256)).unwrap_or(0)) / 4.0 - 16.0),
            6 => json!(self.text()),
            7 => json!(["idle", "low", "high", "AAEC", "90s", "2026-01-01T00:00:00Z"].get(self.below(6))),
            8 | 9 => (0..self.below(5)).map(|_| self.json(depth - 1)).collect(),
            10 => json!({ "x": self.json(0), "name": self.json(0) }),
            _ => (0..self.below(4))
                .map(|_| (self.text(), self.json(depth - 1)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// A text of a few characters, some of them of several bytes.
    fn text(&mut self) -> String {
        (0..self.below(12)).map(|_| char::from(self.byte())).collect()
    }

    fn int(&mut self) -> i64 {
        let bytes = [0; 8].map(|_: u8| self.byte());
        i64::from_le_bytes(bytes) >> (self.below(8) * 8)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }
}
