//! A scenario played: the engine alone, and what it recorded held against what is expected.

use std::sync::Arc;

use abide_core::admission::Request;
use abide_core::clock::Clock;
use abide_core::cycle::Input;
use abide_core::engine::{Arrival, BeginError, Beginning, Engine};
use abide_core::frame::Frame;
use abide_core::guest::{Behaviour, Guest};
use abide_core::policy::{Grant, Policy};
use abide_core::record::decode::decode;
use abide_core::record::{Caller, Event, Hash, HostGenesis, Outcome as EffectOutcome, OutcomeStatus, Record};
use abide_core::time::{Span, Timestamp};
use serde_json::{Map, Value as Json};

use super::{Difference, Expected, Moment, Outcome, Scenario, Suite};

/// The object's id.
const OBJECT: &str = "object";
/// From one tick to the next while something happens.
const TICK: Span = Span::from_millis(1);
/// A rule was chosen, and came to no step.
const IDLE: &str = "idle";
/// Most ticks between two moments: a schema may have something due every millisecond.
const TICKS_MAX: usize = 100_000;

impl Suite {
    /// Plays every scenario whose name contains `filter`. Acts run in the guest, which knows the schema's behaviour.
    ///
    /// One whose object cannot begin says why as its difference.
    pub fn run(&self, guest: &dyn Guest, filter: &str) -> Vec<Outcome> {
        let chosen = self.scenarios.iter().filter(|scenario| scenario.name.contains(filter));
        let outcome = |scenario: &Scenario| match Play::begin(self, scenario, guest) {
            Ok(play) => play.play(scenario),
            Err(error) => {
                let lines = vec![format!("! the object cannot begin: {error}")];
                let differences = vec![Difference { at: scenario.start, lines }];
                Outcome { name: scenario.name.clone(), differences }
            }
        };
        chosen.map(outcome).collect()
    }
}

struct Play<'a> {
    engine: Engine,
    frame: Frame,
    guest: &'a dyn Guest,
    inbox: Vec<Arrival>,
}

/// What an object did.
struct Deed {
    what: String,
    parts: Map<String, Json>,
    line: String,
}

impl<'a> Play<'a> {
    fn begin(suite: &Suite, scenario: &Scenario, guest: &'a dyn Guest) -> Result<Self, BeginError> {
        let identity: Arc<str> = "scenario".into();
        let host = HostGenesis {
            identity: Arc::clone(&identity),
            log_key: [0; 32],
            origin: "scenario".into(),
            certificate: [0; 64],
            replayed: true,
        };
        // Its first turn is the tick after its genesis, which is that of the start.
        let clock = Clock { tick: 0, time: scenario.start.set_back(Span(1)) };
        let mut frame = Frame::new(identity);
        let mut engine = Engine::begin(host, clock, &mut frame);
        for child in &suite.children {
            engine.know(Arc::clone(child), None, &mut frame);
        }
        let effects = suite.schema.mutations.iter().filter_map(|mutation| mutation.effect.as_ref());
        let links = effects.map(|effect| Grant {
            target: "scenario".into(),
            interface: Arc::clone(&effect.interface),
            functions: Vec::new(),
        });
        let behaviour = suite.image.as_ref().map(|_| Behaviour::default());
        let beginning = Beginning {
            id: OBJECT.into(),
            schema: Arc::clone(&suite.schema),
            behaviour: behaviour.filter(|_| !suite.schema.actions().is_empty()),
            policy: Policy { links: links.collect(), ..Policy::default() },
            values: scenario.memory.clone(),
        };
        engine.begin_object(beginning, &mut frame)?;
        Ok(Self { engine, frame, guest, inbox: Vec::new() })
    }

    fn play(mut self, scenario: &Scenario) -> Outcome {
        let mut differences = Vec::new();
        let mut deeds = Vec::new();
        self.tick(scenario.start, &mut deeds);
        for moment in &scenario.moments {
            let is_whole = self.tick_up_to(moment.at, &mut deeds);
            for (mutation, args) in &moment.observations {
                let caller = Caller::Observation("scenario".into());
                let request = Request { mutation: *mutation, args: args.clone(), caller };
                self.inbox.push(Arrival { object: 1, input: Input::Ask(request), ticket: 0 });
            }
            self.tick(moment.at, &mut deeds);
            // To come to nothing is told only to whoever looks for it.
            let looks_at_idle = moment.expected.iter().flatten().any(|expected| expected.what == IDLE);
            deeds.retain(|deed| looks_at_idle || deed.what != IDLE);
            let mut lines = self.compare(moment, &std::mem::take(&mut deeds));
            if !is_whole {
                lines.push(format!("! more than {TICKS_MAX} ticks come before it; put a step in between"));
            }
            if lines.iter().any(|line| !line.starts_with(' ')) {
                differences.push(Difference { at: moment.at, lines });
            }
        }
        Outcome { name: scenario.name.clone(), differences }
    }

    /// The ticks at which something is due before a moment; `false` where there are more than are done.
    fn tick_up_to(&mut self, moment: Timestamp, deeds: &mut Vec<Deed>) -> bool {
        for _ in 0..TICKS_MAX {
            // What an object did may make it act again, in the tick that a running host has next.
            let acted = self.frame.entries.iter().any(|entry| entry.object == 1);
            let next = Some(self.engine.clock().time.saturating_add(TICK))
                .filter(|_| acted || !self.inbox.is_empty());
            let due = match (next, self.engine.next_due()) {
                (Some(next), Some(due)) => Some(next.min(due)),
                (next, due) => next.or(due),
            };
            match due {
                Some(due) if due < moment => self.tick(due, deeds),
                _ => return true,
            }
        }
        false
    }

    fn tick(&mut self, at: Timestamp, deeds: &mut Vec<Deed>) {
        let clock = self.engine.clock().next(at);
        self.engine.tick(clock, &mut self.inbox, Vec::new(), None, self.guest, &mut self.frame);
        // Every effect ends at once, as in a replay: it is simulated.
        for (object, seq) in &self.frame.effects {
            let outcome =
                EffectOutcome { of: *seq, status: OutcomeStatus::Simulated, attempts: 0, message: None };
            self.inbox.push(Arrival { object: *object, input: Input::Outcome(outcome, None), ticket: 0 });
        }
        for entry in self.frame.entries.iter().filter(|entry| entry.object == 1) {
            let schema = self.engine.by_number(1).map(|object| Arc::clone(&object.schema));
            if let Ok(record) = decode(self.frame.record(entry), schema.as_deref()) {
                deeds.extend(self.deed(&record, entry.hash));
            }
        }
    }

    /// What a record tells of the object's doing; `None` of what came from outside.
    fn deed(&self, record: &Record, hash: Hash) -> Option<Deed> {
        let schema = &self.engine.by_number(1)?.schema;
        let Json::Object(json) = record.to_json(hash, Some(schema)) else { return None };
        let object = |name: &str| json.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
        let kind = json.get("kind").and_then(Json::as_str).unwrap_or_default().to_owned();
        let (what, parts) = match &record.event {
            Event::Mutation(mutated) if is_outside(&mutated.caller) => return None,
            Event::Mutation(_) => (json.get("mutation")?.as_str()?.to_owned(), object("args")),
            Event::Denial(_) => {
                let mut parts = object("reason");
                for name in ["mutation", "rule", "step"] {
                    parts.extend(
                        json.get(name).filter(|part| !part.is_null()).map(|p| (name.to_owned(), p.clone())),
                    );
                }
                ("denied".to_owned(), parts)
            }
            Event::Spawn(spawned) => {
                let name = self.engine.schemas().get(&spawned.schema).map_or("?", |schema| &schema.name);
                (kind, Map::from_iter([("schema".to_owned(), name.into())]))
            }
            Event::Sleep { .. } | Event::Retry { .. } | Event::Terminate(_) | Event::Idle(_) => {
                let parts = ["rule", "until", "due", "attempt"].into_iter();
                (kind, parts.filter_map(|name| Some((name.to_owned(), json.get(name)?.clone()))).collect())
            }
            Event::Wake | Event::Quarantine => (kind, Map::new()),
            _ => return None,
        };
        let line = line(&what, &parts);
        Some(Deed { what, parts, line })
    }

    fn compare(&self, moment: &Moment, deeds: &[Deed]) -> Vec<String> {
        let mut lines = moment.expected.as_ref().map_or_else(Vec::new, |expected| aligned(expected, deeds));
        let Some(object) = self.engine.by_number(1) else { return lines };
        let memory = object.schema.memory.to_json(&object.state.memory);
        for (name, expected) in &moment.memory {
            let found = memory.get(name).cloned().unwrap_or_default();
            // Both go through the field's type, so that 1 is 1.0 and a time may be written with an offset.
            let field = object.schema.memory.slot(name).and_then(|slot| object.schema.memory.get(slot));
            let same = field
                .and_then(|field| Some(field.ty.to_json(&field.ty.value_from_json(expected).ok()?)))
                .is_some_and(|expected| expected == found);
            let shown = |value: &Json| format!("memory {name} = {value}");
            lines.extend(pair(same, &shown(expected), &shown(&found)));
        }
        if let Some(status) = &moment.status {
            let found = object.state.status.name();
            lines.extend(pair(status == found, &format!("status {status}"), &format!("status {found}")));
        }
        lines
    }
}

fn is_outside(caller: &Caller) -> bool {
    !matches!(caller, Caller::Rule | Caller::SafeState | Caller::Behaviour)
}

fn pair(same: bool, expected: &str, found: &str) -> Vec<String> {
    if same { vec![format!("  {found}")] } else { vec![format!("- {expected}"), format!("+ {found}")] }
}

/// Something that was done, on a line.
pub(crate) fn line(what: &str, parts: &Map<String, Json>) -> String {
    let shown: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if shown.is_empty() { what.to_owned() } else { format!("{what} {}", shown.join(" ")) }
}

impl Expected {
    fn is_met_by(&self, deed: &Deed) -> bool {
        self.what == deed.what
            && self
                .parts
                .iter()
                .all(|(name, value)| deed.parts.get(name).is_some_and(|found| same(value, found)))
    }
}

/// Equality of JSON where a number is its value: 1 is 1.0.
pub(crate) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a)),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The longest common sequence of the two, with what only one of them has between.
fn aligned(expected: &[Expected], deeds: &[Deed]) -> Vec<String> {
    let (rows, columns) = (expected.len(), deeds.len());
    let mut longest = vec![vec![0_u32; columns + 1]; rows + 1];
    let at = |table: &Vec<Vec<u32>>, row: usize, column: usize| {
        table.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0)
    };
    let met = |row: usize, column: usize| {
        expected.get(row).zip(deeds.get(column)).is_some_and(|(expected, deed)| expected.is_met_by(deed))
    };
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            let best = if met(row, column) {
                at(&longest, row + 1, column + 1) + 1
            } else {
                at(&longest, row + 1, column).max(at(&longest, row, column + 1))
            };
            if let Some(cell) = longest.get_mut(row).and_then(|row| row.get_mut(column)) {
                *cell = best;
            }
        }
    }
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    while row < rows || column < columns {
        let deed = deeds.get(column).map_or("", |deed| &deed.line);
        if met(row, column) {
            lines.push(format!("  {deed}"));
            (row, column) = (row + 1, column + 1);
        } else if column >= columns
            || (row < rows && at(&longest, row + 1, column) >= at(&longest, row, column + 1))
        {
            lines.extend(expected.get(row).map(|one| format!("- {}", line(&one.what, &one.parts))));
            row += 1;
        } else {
            lines.push(format!("+ {deed}"));
            column += 1;
        }
    }
    lines
}
