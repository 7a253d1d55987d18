//! A log of a million records: verified against hashing alone, recovered without a snapshot, and asked by the command line.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use abide_host::Host;
use abide_host::keys::Keys;
use abide_host::verify::{Against, verify_folder};
use abide_store::merkle::{Frontier, leaf_hash};
use abide_store::{FileDisk, LogReader, Position};
use serde::Serialize;

use crate::host::{HostedObjects, START};
use crate::race::{median, verdict};

/// What verifying owes to hashing the same leaves and nodes alone: the rate of the one over that of the other.
const RATIO_LEAST: f64 = 0.7;
const RECOVERY_SECONDS_MAX: f64 = 3.0;
const ASK_MS_MAX: f64 = 50.0;

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Log {
    records: u64,
    bytes: u64,
    /// Leaves and nodes hashed, the records in memory.
    hash_seconds: f64,
    /// Read, checked and hashed, on the same core.
    verify_seconds: f64,
    ratio: f64,
    /// The whole of `abide verify`: beside that, every record decoded, admitted again and folded.
    law_seconds: f64,
    /// A host opened without a snapshot.
    recovery_seconds: f64,
    show_ms: f64,
    why_ms: f64,
}

/// Makes the log, and measures.
pub(crate) fn run(folder: &Path, objects: u32, quick: bool) -> io::Result<Log> {
    let binary = std::env::current_exe()?.with_file_name("abide");
    if !binary.is_file() {
        return Err(io::Error::other("`abide` is not beside this binary; `cargo xtask bench` builds both"));
    }
    let wanted = if quick { 2 * u64::from(objects) } else { 1_000_000 };
    let mut hosted = HostedObjects::open(folder, objects)?;
    while hosted.records() < wanted {
        hosted.tick()?;
    }
    hosted.finish()?;
    let data = folder.join("data");
    let reader = LogReader::open(Arc::new(FileDisk::new(&data))).map_err(io::Error::other)?;
    let records = Records::read(&reader)?;
    let rounds = if quick { 1 } else { 5 };
    let (mut hashed, mut verified, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let hash = || time(|| records.root());
        let verify = || time(|| reader.verify().map(|found| found.root));
        // Every other round the other way, so that nobody always follows the same neighbour.
        let ((root, alone), (found, checked)) = if round % 2 == 0 {
            let first = hash();
            (first, verify())
        } else {
            let first = verify();
            (hash(), first)
        };
        if found.map_err(io::Error::other)? != Some(root) {
            return Err(io::Error::other("the log does not verify"));
        }
        hashed.push(alone.as_secs_f64());
        verified.push(checked.as_secs_f64());
        ratios.push(alone.as_secs_f64() / checked.as_secs_f64());
    }
    let (all, law) = time(|| verify_folder(&data, &Against::default()));
    if !all.map_err(io::Error::other)?.is_verified() {
        return Err(io::Error::other("the log does not verify"));
    }
    let asked = |arguments: [&str; 2]| {
        let mut times = (0..if quick { 1 } else { 9 })
            .map(|_| ask(&binary, &data, arguments))
            .collect::<io::Result<Vec<_>>>()?;
        Ok::<_, io::Error>(median(&mut times))
    };
    let show_ms = asked(["show", "object-0"])?;
    let why_ms = asked(["why", "object-0.temperature"])?;
    fs::remove_dir_all(data.join("snapshots"))?;
    let keys = Keys::open(&folder.join("keys")).map_err(io::Error::other)?;
    let (host, recovery) = time(|| Host::open_folder(&data, &keys, true, START));
    drop(host.map_err(io::Error::other)?);
    Ok(Log {
        records: records.ends.len() as u64,
        bytes: records.bytes.len() as u64,
        hash_seconds: median(&mut hashed),
        verify_seconds: median(&mut verified),
        ratio: median(&mut ratios),
        law_seconds: law.as_secs_f64(),
        recovery_seconds: recovery.as_secs_f64(),
        show_ms,
        why_ms,
    })
}

/// All records, one after the other.
struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    fn read(reader: &LogReader) -> io::Result<Self> {
        let mut records = Self { bytes: Vec::new(), ends: Vec::new() };
        for frame in reader.frames(Position::START) {
            for record in frame.map_err(io::Error::other)?.records() {
                records.bytes.extend_from_slice(record.bytes);
                records.ends.push(records.bytes.len());
            }
        }
        Ok(records)
    }

    fn root(&self) -> [u8; 32] {
        let mut tree = Frontier::default();
        let mut start = 0;
        for end in &self.ends {
            tree.push(leaf_hash(self.bytes.get(start..*end).unwrap_or_default()));
            start = *end;
        }
        tree.root()
    }
}

fn time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = run();
    (value, start.elapsed())
}

/// What a command takes from its start to its end, in milliseconds.
fn ask(binary: &Path, data: &Path, arguments: [&str; 2]) -> io::Result<f64> {
    let mut command = Command::new(binary);
    command.args(arguments).arg("--data-dir").arg(data).stdin(Stdio::null()).stdout(Stdio::null());
    let (status, elapsed) = time(|| command.status());
    if status?.success() {
        Ok(elapsed.as_secs_f64() * 1e3)
    } else {
        Err(io::Error::other(format!("`abide {}` failed", arguments.join(" "))))
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        writeln!(f, "  {} records of {megabytes:.0} MB in all", self.records)?;
        let good = verdict(self.ratio >= RATIO_LEAST, &format!("at least {RATIO_LEAST}"));
        writeln!(
            f,
            "  {:.2} s to verify the log, {:.2} s to hash its leaves and nodes alone: {:.2}  {good}",
            self.verify_seconds, self.hash_seconds, self.ratio
        )?;
        writeln!(
            f,
            "  {:.2} s for `abide verify`, which also admits and folds every record",
            self.law_seconds
        )?;
        let good =
            verdict(self.recovery_seconds < RECOVERY_SECONDS_MAX, &format!("under {RECOVERY_SECONDS_MAX}"));
        writeln!(f, "  {:.2} s to recover it without a snapshot  {good}", self.recovery_seconds)?;
        for (name, ms) in [("show", self.show_ms), ("why", self.why_ms)] {
            let good = verdict(ms < ASK_MS_MAX, &format!("under {ASK_MS_MAX}"));
            writeln!(f, "  {ms:.1} ms for `abide {name}`  {good}")?;
        }
        Ok(())
    }
}
