//! Abide itself: a host on a real disk, its objects each given one observation a tick.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use abide_core::admission::Request;
use abide_core::cycle::Input;
use abide_core::policy::Policy;
use abide_core::record::Caller;
use abide_core::schema::{MutationIx, Schema};
use abide_core::time::{Span, Timestamp};
use abide_core::value::Value;
use abide_host::keys::Keys;
use abide_host::{Beginning, Host, Ticked};

use crate::append::Batch;
use crate::race::{Contestant, Round};

/// The schema of the baselines' objects, with two rules that look at every new reading.
const SCHEMA: &str = include_str!("../baseline/reading.yaml");

/// When it begins.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000_000_000);

/// A host, and what it takes to make its next observations.
pub(crate) struct HostedObjects {
    host: Host,
    mutation: MutationIx,
    /// Where `at` and `value` stand among the arguments.
    slots: (usize, usize),
    time: Timestamp,
    source: Arc<str>,
}

impl HostedObjects {
    /// A host with that many objects in a folder of its own.
    pub(crate) fn open(folder: &Path, objects: u32) -> io::Result<Self> {
        let (schema, _) = Schema::load(SCHEMA).map_err(|errors| {
            io::Error::other(errors.first().map_or_else(String::new, |first| first.message.clone()))
        })?;
        let schema = Arc::new(schema);
        let time = START;
        let keys = Keys::open(&folder.join("keys")).map_err(io::Error::other)?;
        let mut host =
            Host::open_folder(&folder.join("data"), &keys, true, time).map_err(io::Error::other)?;
        let beginnings: Vec<_> = (0..objects)
            .map(|object| Beginning {
                id: format!("object-{object}").into(),
                schema: Arc::clone(&schema),
                behaviour: None,
                policy: Policy::default(),
                values: Vec::new(),
            })
            .collect();
        host.begin(&[], &beginnings).map_err(io::Error::other)?;
        let missing = || io::Error::other("the schema lacks the mutation or an argument");
        let mutation = schema.mutation("observe_temperature").ok_or_else(missing)?;
        let args =
            schema.mutations.get(usize::from(mutation.0)).map(|found| &found.args).ok_or_else(missing)?;
        let slot = |name: &str| args.slot(name).map(|slot| usize::from(slot.0)).ok_or_else(missing);
        let slots = (slot("at")?, slot("value")?);
        Ok(Self { host, mutation, slots, time, source: "bench".into() })
    }

    /// The records of one tick: what a bare append has to write.
    pub(crate) fn batch(&mut self) -> io::Result<Batch> {
        let end = self.host.log().end();
        self.tick()?;
        let mut records = Vec::new();
        for frame in self.host.log().frames(end) {
            records.extend(frame.map_err(io::Error::other)?.records().map(|record| record.bytes.to_vec()));
        }
        Ok(Batch::of(records))
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> u64 {
        self.host.log().checkpoint().map_or(0, |checkpoint| checkpoint.size)
    }

    /// Ends it in order, with a snapshot.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.host.finish().map(drop).map_err(io::Error::other)
    }

    /// One tick: every object observes, and everything is durable. What it took, without making up the readings.
    pub(crate) fn tick(&mut self) -> io::Result<Duration> {
        self.turn(false)
    }

    fn turn(&mut self, overlaps: bool) -> io::Result<Duration> {
        self.time = self.time.saturating_add(Span::from_secs(1));
        let tenths = u8::try_from(self.time.0 / 1_000_000_000 % 10).unwrap_or(0);
        let objects = self.host.engine().objects().iter();
        let readings: Vec<_> =
            objects.map(|object| (object.number, self.reading(object.number, tenths))).collect();
        let count = readings.len();
        let start = Instant::now();
        for (number, request) in readings {
            self.host.submit(number, Input::Ask(request)).map_err(io::Error::other)?;
        }
        let ticked = if overlaps {
            self.host.tick_ahead(self.time, Vec::new(), None)
        } else {
            self.host.tick(self.time).map(Some)
        };
        let ticked = ticked.map_err(io::Error::other)?;
        let elapsed = start.elapsed();
        enough(ticked.as_ref(), count)?;
        Ok(elapsed)
    }

    /// Waits for the flush of the last tick. What it took.
    fn settle(&mut self) -> io::Result<Duration> {
        let count = self.host.engine().objects().len();
        let start = Instant::now();
        let ticked = self.host.settle().map_err(io::Error::other)?;
        let elapsed = start.elapsed();
        enough(ticked.as_ref(), count)?;
        Ok(elapsed)
    }

    fn reading(&self, number: u32, tenths: u8) -> Request {
        let mut args = vec![Value::Null; 2];
        for (slot, value) in [
            (self.slots.0, Value::Time(self.time)),
            (self.slots.1, Value::Num(f64::from(number % 40) + f64::from(tenths) / 10.0)),
        ] {
            if let Some(arg) = args.get_mut(slot) {
                *arg = value;
            }
        }
        Request { mutation: self.mutation, args, caller: Caller::Observation(Arc::clone(&self.source)) }
    }
}

impl Contestant for HostedObjects {
    fn name(&self) -> &str {
        "abide"
    }

    fn round(&mut self, ticks: u32) -> io::Result<Round> {
        let mut elapsed = Duration::ZERO;
        for _ in 0..ticks {
            elapsed += self.turn(true)?;
        }
        elapsed += self.settle()?;
        Ok(Round { elapsed, flushes: u64::from(ticks) })
    }
}

/// Every object made its record in a tick.
fn enough(ticked: Option<&Ticked>, count: usize) -> io::Result<()> {
    match ticked {
        Some(ticked) if ticked.records < count => {
            Err(io::Error::other(format!("only {} records in a tick", ticked.records)))
        }
        _ => Ok(()),
    }
}
