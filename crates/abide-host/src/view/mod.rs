//! What a log says of its host and objects, for whoever reads it: also while the host that writes it runs.
//!
//! A [`View`] takes no lock and changes nothing. It reads the data folder, folds it into an engine, and answers from both:
//! what an object is now, and each record that made it so. What the records prove is left to [`crate::verify`], how a
//! value came about to [`crate::why`], and a lineage done again to [`crate::history`].

mod lineage;
mod show;
mod words;

use std::path::Path;
use std::sync::Arc;

use abide_core::engine::Engine;
use abide_core::object::Object;
use abide_core::record::{HOST, Hash};
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use abide_store::{Checkpoint, Damage, Disk, FileDisk, LogReader, OpenError, Position, RecordPos};

use crate::ask;
use crate::host::HostError;
use crate::verify::is_damaged_after;

pub use lineage::{Backwards, Link, Records};
pub use show::object_json;
pub use words::describe;
pub(crate) use words::{by, mutation_name, rule_name};

/// A host and its objects as their log tells them.
#[derive(Debug)]
pub struct View {
    reader: LogReader,
    engine: Engine,
    /// The frames before this are folded.
    folded: Position,
    /// The records before this are shown.
    shown: u64,
    /// Whether records of the host's own lineage are left out: the view is of a bundle.
    host_gaps: bool,
}

/// One lineage of a log: an object's, or the host's own.
#[derive(Clone, Copy, Debug)]
pub struct Lineage<'a> {
    /// Whose: an object's id, or `@host`.
    pub id: &'a str,
    /// Its number in the log; 0 is the host.
    pub number: u32,
    /// The schema in force; none for the host.
    pub schema: Option<&'a Arc<Schema>>,
    /// How many records it has.
    pub length: u64,
    /// The hash of the last one.
    pub head: Hash,
}

impl View {
    /// Reads the log in a data folder: all frames that are whole.
    ///
    /// # Errors
    /// When there is no store, it is damaged, or the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, HostError> {
        Self::open_until(folder, None)
    }

    /// As [`View::open`], and shows the first `durable` records only: what a running host has flushed. It does so by whole
    /// commits; one that is durable in part is not shown.
    ///
    /// # Errors
    /// As [`View::open`].
    pub fn open_until(folder: &Path, durable: Option<u64>) -> Result<Self, HostError> {
        Self::open_disk(Arc::new(FileDisk::new(folder)), durable)
    }

    /// As [`View::open_until`], on any disk.
    ///
    /// # Errors
    /// As [`View::open`].
    pub fn open_disk(disk: Arc<dyn Disk>, durable: Option<u64>) -> Result<Self, HostError> {
        let (missing, path) = (OpenError::Missing { path: disk.describe("") }, disk.describe("log"));
        let mut reader = LogReader::open(disk)?;
        if is_damaged_after(&mut reader)? {
            // What stands before the damage is sound, but it is not how the objects are.
            let what = "no whole frame starts there, and whole ones follow".to_owned();
            return Err(OpenError::Damaged(Damage { path, offset: reader.end().0, what }).into());
        }
        Self::of_reader(reader, durable)?.ok_or_else(|| missing.into())
    }

    /// The view that a reader gives; `None` when no record is shown.
    ///
    /// # Errors
    /// As [`View::open`].
    pub fn of_reader(reader: LogReader, durable: Option<u64>) -> Result<Option<Self>, HostError> {
        Self::read(reader, durable, false)
    }

    /// The view of a bundle's records, of which the host's own need not be all; `None` when there are none.
    pub(crate) fn of_bundle(reader: LogReader) -> Result<Option<Self>, HostError> {
        Self::read(reader, None, true)
    }

    fn read(reader: LogReader, durable: Option<u64>, host_gaps: bool) -> Result<Option<Self>, HostError> {
        let snapshot =
            reader.snapshot().filter(|snapshot| durable.is_none_or(|durable| snapshot.size <= durable));
        let restored = snapshot.and_then(|s| Some((Engine::restore(&s.state).ok()?, s.position, s.size)));
        let begun = match restored {
            Some((engine, position, size)) => Some((engine, position, size)),
            None => begin(&reader, durable, host_gaps)?,
        };
        let Some((mut engine, mut folded, mut shown)) = begun else { return Ok(None) };
        fold(&reader, &mut engine, &mut folded, &mut shown, durable)?;
        Ok(Some(Self { reader, engine, folded, shown, host_gaps }))
    }

    /// Reads what was written since: the number of records that came.
    ///
    /// # Errors
    /// As [`View::open`]. The view is then of no further use.
    pub fn refresh(&mut self) -> Result<u64, HostError> {
        self.refresh_until(None)
    }

    /// As [`View::refresh`], and shows the first `durable` records only. What was shown before stays.
    ///
    /// # Errors
    /// As [`View::refresh`].
    pub fn refresh_until(&mut self, durable: Option<u64>) -> Result<u64, HostError> {
        self.reader.refresh()?;
        let before = self.shown;
        fold(&self.reader, &mut self.engine, &mut self.folded, &mut self.shown, durable)?;
        Ok(self.shown - before)
    }

    /// The log.
    #[must_use]
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// The objects and their states.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How many records are shown: the size of the tree.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// The signed head of the log as it is shown.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, HostError> {
        if let Some(last) = self.reader.checkpoint().filter(|checkpoint| checkpoint.size == self.shown) {
            return Ok(Some(last.clone()));
        }
        // What is shown ends before what is written.
        let mut shown = None;
        for frame in self.reader.frames(Position::START) {
            let checkpoint = frame?.checkpoint();
            if checkpoint.size > self.shown {
                break;
            }
            shown = Some(checkpoint);
        }
        Ok(shown)
    }

    /// The time of the last tick that made a record.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.engine.clock().time
    }

    /// The object of that id.
    ///
    /// # Errors
    /// When there is none, with the nearest id.
    pub fn object(&self, id: &str) -> Result<&Object, HostError> {
        Ok(ask::object(&self.engine, id)?)
    }

    /// An object as JSON, as of the last tick: see `docs/explain.md`.
    #[must_use]
    pub fn show(&self, object: &Object) -> serde_json::Value {
        object_json(object, self.time())
    }

    /// Every object as JSON, in the order of their numbers.
    #[must_use]
    pub fn list(&self) -> Vec<serde_json::Value> {
        self.engine.objects().iter().map(|object| self.show(object)).collect()
    }

    /// The lineage of an object, or of the host where the id is `@host`.
    ///
    /// # Errors
    /// When there is no such object, with the nearest id.
    pub fn lineage(&self, id: &str) -> Result<Lineage<'_>, HostError> {
        if id == HOST {
            let (length, head) = self.engine.host_lineage();
            return Ok(Lineage { id: HOST, number: 0, schema: None, length, head });
        }
        Ok(Lineage::of(self.object(id)?))
    }

    /// The records of a lineage from the first on. Each is held against the one before it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn records<'a>(&'a self, lineage: Lineage<'a>) -> Result<Records<'a>, HostError> {
        Records::new(self, lineage)
    }

    /// The records of a lineage from the last on, which reads no more of them than are asked for. Each is held against the
    /// one after it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn backwards<'a>(&'a self, lineage: Lineage<'a>) -> Result<Backwards<'a>, HostError> {
        Backwards::new(self, lineage)
    }

    /// Where the last record of an object starts, of those that are shown.
    fn head(&self, number: u32) -> Result<Option<RecordPos>, HostError> {
        let Some(last) = self.reader.head(number) else { return Ok(None) };
        for record in self.reader.lineage(last) {
            let record = record?;
            if record.leaf < self.shown {
                return Ok(Some(record.pos));
            }
        }
        Ok(None)
    }
}

impl<'a> Lineage<'a> {
    /// An object's.
    #[must_use]
    pub fn of(object: &'a Object) -> Self {
        Self {
            id: &object.id,
            number: object.number,
            schema: Some(&object.schema),
            length: object.length,
            head: object.head,
        }
    }
}

/// The engine that the first frame of a log begins: where that frame ends, and its records. The host's first commit holds
/// record 0 before anything else.
fn begin(
    reader: &LogReader,
    durable: Option<u64>,
    host_gaps: bool,
) -> Result<Option<(Engine, Position, u64)>, HostError> {
    let Some(frame) = reader.frames(Position::START).next().transpose()? else { return Ok(None) };
    let mut records = frame.records();
    let Some(first) = records.next() else { return Ok(None) };
    let at = |leaf| move |source| HostError::Fold { leaf, source };
    let mut engine = Engine::recover(first.bytes).map_err(at(first.leaf))?;
    if host_gaps {
        engine.allow_host_gaps();
    }
    let mut size = 1;
    for record in records {
        engine.fold(record.bytes, Hash(record.hash())).map_err(at(record.leaf))?;
        size += 1;
    }
    Ok(durable.is_none_or(|durable| size <= durable).then_some((engine, frame.end(), size)))
}

/// Folds the frames from `folded` on, of those that are durable.
fn fold(
    reader: &LogReader,
    engine: &mut Engine,
    folded: &mut Position,
    shown: &mut u64,
    durable: Option<u64>,
) -> Result<(), HostError> {
    for frame in reader.frames(*folded) {
        let frame = frame?;
        let size = frame.records().last().map_or(*shown, |record| record.leaf + 1);
        if durable.is_some_and(|durable| size > durable) {
            return Ok(());
        }
        for record in frame.records() {
            let at = |source| HostError::Fold { leaf: record.leaf, source };
            engine.fold(record.bytes, Hash(record.hash())).map_err(at)?;
        }
        *folded = frame.end();
        *shown = size;
    }
    Ok(())
}
