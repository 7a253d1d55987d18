//! A small host in memory with a lineage of its own: what the sound inputs are taken from. It is the same on every machine.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use abide_core::admission::{OperatorAct, OperatorRequest};
use abide_core::bundle::Bundle;
use abide_core::cycle::Input;
use abide_core::engine::{Beginning, Engine};
use abide_core::policy::{Grant, Limits, Policy};
use abide_core::record::Hash;
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_host::Host;
use abide_host::ask::object;
use abide_host::bundle::{ExportOptions, export};
use abide_host::keys::Keys;
use abide_host::view::View;
use abide_store::{Disk as _, LogOptions, LogVerifier, MemoryDisk, OpenMode, Position};
use serde_json::json;

/// A schema with one of everything but acts.
pub const SCHEMA: &str = include_str!("sample.yaml");

/// What its next version says of how it takes over.
const MIGRATION: &str =
    "migration: { from: 1.2.3, set: { recent: '[self.heat]' }, default: { note: none }, remove: [tag] }\n";

/// When the sample begins: 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_767_225_600_000_000_000);
/// Segments are small, so that there are several.
const SEGMENT_BYTES: u64 = 6 * 1024;
/// The folders of a store.
const DIRS: [&str; 3] = ["log", "snapshots", "blobs"];
/// What is observed, a tick each: levels and heats.
const OBSERVED: [(i64, f64); 12] = [
    (5, 3.0),
    (6, 0.5),
    (6, -2.0),
    (2, 0.0),
    (8, 0.25),
    (7, 4.0),
    (4, 2.0),
    (13, 1.0),
    (10, 70.0),
    (11, 5.0),
    (1, 6.0),
    (20, 7.0),
];

/// The host's traces.
#[derive(Debug)]
pub struct Sample {
    /// What its objects are.
    pub schema: Arc<Schema>,
    /// The records of all lineages, in the order of the log.
    pub records: Vec<Vec<u8>>,
    /// The files of its store by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Its objects, exported.
    pub bundle: Bundle,
    /// Checkpoints as signed notes, the last one last.
    pub notes: Vec<String>,
    /// What its notes are checked by.
    pub verifier: LogVerifier,
}

/// The sample, made once.
pub fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "a sample that cannot be made is a broken test, not a finding")]
    SAMPLE.get_or_init(|| make().expect("the sample is made"))
}

/// The keys of every sample.
///
/// # Errors
/// When they are no keys.
pub fn keys() -> Result<Keys, Box<dyn Error>> {
    Ok(Keys::from_seeds([1; 32], [2; 32], [3; 32])?)
}

/// A fresh host on that disk with the object `one`, which `keys` operate.
///
/// # Errors
/// When the object cannot begin.
pub fn host(disk: &MemoryDisk, keys: &Keys, schema: &Arc<Schema>) -> Result<Host, Box<dyn Error>> {
    let options = LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::new(keys.signer()?) };
    let mut host = Host::open_log(Arc::new(disk.clone()), options, keys, true, START)?;
    let grant =
        Grant { target: "burners".into(), interface: "example:orchard/burner".into(), functions: Vec::new() };
    let limits = Limits { children: 3, depth: 2, ..Limits::default() };
    let beginning = Beginning {
        id: "one".into(),
        schema: Arc::clone(schema),
        behaviour: None,
        policy: Policy { operators: keys.operators(), links: vec![grant], limits },
        values: Vec::new(),
    };
    host.begin(&[(Arc::clone(schema), None)], &[beginning])?;
    Ok(host)
}

/// The engine that records fold to, the first of a log first.
///
/// # Errors
/// When they do not fold.
pub fn fold(records: &[Vec<u8>]) -> Result<Engine, Box<dyn Error>> {
    let (first, rest) = records.split_first().ok_or("there are no records")?;
    let mut engine = Engine::recover(first)?;
    for record in rest {
        engine.fold(record, Hash::of_record(record))?;
    }
    Ok(engine)
}

fn make() -> Result<Sample, Box<dyn Error>> {
    let (schema, _) = Schema::load(SCHEMA).map_err(|errors| format!("the schema: {errors:?}"))?;
    let schema = Arc::new(schema);
    let (keys, disk) = (keys()?, MemoryDisk::new());
    let mut host = host(&disk, &keys, &schema)?;
    let mut notes = Vec::new();
    let mut time = START;
    for (level, heat) in OBSERVED {
        let args = json!({ "level": level, "heat": heat, "at": time.to_string(), "note": "é" });
        let args =
            if level == 6 { json!({ "level": 6, "heat": heat, "at": null, "note": null }) } else { args };
        host.observe("one", "observe", &args)?;
        let place =
            json!({ "to": { "x": 0.25 }, "blob": "AAEC", "counts": { "a": 1, "bb": 2 }, "names": ["z"] });
        host.observe("one", "place", &place)?;
        for _ in 0..3 {
            time = time.saturating_add(Span::from_secs(40));
            host.tick(time)?;
        }
        notes.extend(host.log().checkpoint().map(|checkpoint| checkpoint.note.clone()));
        if level == 8 {
            host.snapshot()?;
        }
    }
    upgrade(&mut host, &keys, &schema, time)?;
    notes.extend(host.log().checkpoint().map(|checkpoint| checkpoint.note.clone()));
    host.finish()?;
    let verifier = host.log().signer().verifier().clone();
    drop(host);
    let view = View::open_disk(Arc::new(disk.clone()), None)?;
    let since: Vec<_> = notes.iter().take(2).cloned().collect();
    let bundle = export(&view, view.engine().objects(), ExportOptions { since: &since, components: true })?;
    let mut records = Vec::new();
    for frame in view.reader().frames(Position::START) {
        records.extend(frame?.records().map(|record| record.bytes.to_vec()));
    }
    Ok(Sample { schema, records, files: files(&disk)?, bundle, notes, verifier })
}

/// Another version of its schema takes force for the object, is used, and is reverted.
fn upgrade(host: &mut Host, keys: &Keys, schema: &Schema, mut time: Timestamp) -> Result<(), Box<dyn Error>> {
    let next = SCHEMA.replace(&*schema.version, "2.0.0").replace("default: idle }", "default: low }");
    let (next, _) =
        Schema::load(&(next + MIGRATION)).map_err(|errors| format!("the next schema: {errors:?}"))?;
    let next = Arc::new(next);
    let number = object(host.engine(), "one")?.number;
    for counter in 1..=2 {
        let act = match counter {
            1 => host.act(number, &next, None)?,
            _ => OperatorAct::revert(object(host.engine(), "one")?).ok_or("there is nothing to revert")?,
        };
        let bytes = act.signed_bytes(object(host.engine(), "one")?.genesis, counter);
        let signature = keys.sign_as_operator(&bytes, counter)?;
        host.submit(number, Input::Operate(OperatorRequest { act, signature }))?;
        host.observe("one", "observe", &json!({ "level": 3, "heat": 1.0, "at": null, "note": null }))?;
        time = time.saturating_add(Span::from_secs(40));
        host.tick(time)?;
    }
    Ok(())
}

pub(crate) fn files(disk: &MemoryDisk) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for dir in DIRS {
        for entry in disk.list(dir).unwrap_or_default() {
            let path = format!("{dir}/{}", entry.name);
            let mut bytes = vec![0; usize::try_from(entry.len)?];
            disk.open(&path, OpenMode::Read)?.read_at(0, &mut bytes)?;
            files.insert(path, bytes);
        }
    }
    Ok(files)
}

/// A disk with those files.
///
/// # Errors
/// When one of them cannot be written.
pub fn disk<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> std::io::Result<MemoryDisk> {
    let disk = MemoryDisk::new();
    DIRS.iter().try_for_each(|dir| disk.create_dir(dir))?;
    for (path, bytes) in files {
        disk.open(path, OpenMode::Replace)?.write_at(0, bytes)?;
    }
    Ok(disk)
}
