//! Whether a log is what its host wrote, and all that is wrong with it if it is not.
//!
//! [`verify_folder`] goes over everything from record 0 on and trusts no snapshot: the checksums, hashes, roots and
//! signatures of the log; the certificate of its key; and of each lineage that its records follow one another, decode to
//! their one form, keep the law of the schema when they are admitted again, and come to the state that the host has.

mod bundle;
mod law;
mod lineages;
mod reset;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use abide_core::record::{HOST, Hash, HostGenesis};
use abide_store::merkle::Frontier;
use abide_store::{
    Damage, Disk, FileDisk, LogReader, LogVerifier, OpenError, Position, ReadError, Verification,
};
use serde_json::{Value as Json, json};

use crate::behaviour::{Behaviours, Compiler};
use crate::bundle::agrees;
use crate::history::Problem;
use crate::host::HostError;
use crate::keys;
use crate::view::View;
use lineages::Lineages;

pub use bundle::{VerifiedBundle, verify_bundle};

/// How many problems are told one by one.
const PROBLEMS_MAX: usize = 1000;

/// A key that is known from elsewhere: whose bundle it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedKey {
    /// The host's identity, an nkey `N…`.
    Identity(String),
    /// The log's key, as C2SP writes it: `origin+id+key`.
    Log(String),
}

impl FromStr for TrustedKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains('+') {
            return Ok(Self::Log(text.to_owned()));
        }
        match nkeys::from_public_key(text) {
            Ok((_, _)) if text.starts_with('N') => Ok(Self::Identity(text.to_owned())),
            _ => Err("it is neither the identity of a host (`N…`) nor the key of a log (`origin+id+key`); \
                      `abide keys` of the host tells both"
                .to_owned()),
        }
    }
}

/// What a log or a bundle is held against.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// The key that it must be of. Without one, record 0 is taken on its word as to whose it is.
    pub key: Option<TrustedKey>,
    /// Earlier checkpoints that it must have grown out of, as signed notes.
    pub since: Vec<String>,
    /// Runs rules and behaviours again.
    pub execute: Option<Arc<Compiler>>,
}

impl Against {
    /// Whether a host is the one whose key was given; `false` where none was.
    fn is_of(&self, host: &HostGenesis, log_key: &str) -> Result<bool, String> {
        match &self.key {
            Some(TrustedKey::Identity(key)) if *key == *host.identity => Ok(true),
            Some(TrustedKey::Log(key)) if *key == log_key => Ok(true),
            Some(TrustedKey::Identity(key) | TrustedKey::Log(key)) => Err(format!(
                "it is of the host `{}` with the log key `{log_key}`, and not of `{key}`",
                host.identity
            )),
            None => Ok(false),
        }
    }
}

/// What verifying a log came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The records that were read.
    pub records: u64,
    /// The objects they are of.
    pub objects: u64,
    /// The head: the size of the tree and its root; `None` where something is lost or altered, so that none can be computed.
    pub head: Option<(u64, Hash)>,
    /// How many records came out of running rules and behaviours again, where that was asked for and nothing else is wrong.
    pub executed: Option<u64>,
    /// How many records stand before the first that is wrong or may be: by these alone, something can be told. All of them,
    /// where none is.
    pub sound_records: u64,
    /// What is wrong, in the order of the log: at most 1,000.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub problems_more: u64,
    /// Bytes at the end that are no whole commit: one that is being written, or was when the host was killed. Nobody was
    /// ever shown what is in it.
    pub tail_bytes: u64,
}

impl Verified {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.problems.is_empty()
    }

    /// What `verify --json` prints: `{verified, records, objects, head: {size, root}, problems, …}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "verified": self.is_verified(),
            "records": self.records,
            "objects": self.objects,
            "head": self.head.map(|(size, root)| json!({ "size": size, "root": root.to_string() })),
            "executed": self.executed,
            "problems": self.problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
            "problems_more": self.problems_more,
            "tail_bytes": self.tail_bytes,
        })
    }
}

/// Verifies the log in a data folder, also one that is damaged.
///
/// # Errors
/// When there is no store, or the disk refuses. What is wrong with the log is in the answer.
pub fn verify_folder(folder: &Path, against: &Against) -> Result<Verified, HostError> {
    verify_disk(Arc::new(FileDisk::new(folder)), against)
}

/// As [`verify_folder`], on any disk.
///
/// # Errors
/// As [`verify_folder`].
pub fn verify_disk(disk: Arc<dyn Disk>, against: &Against) -> Result<Verified, HostError> {
    let (reader, lost) = match LogReader::open(Arc::clone(&disk)) {
        Ok(mut reader) => {
            if is_damaged_after(&mut reader)? {
                (LogReader::open_damaged(disk)?, None)
            } else {
                (reader, None)
            }
        }
        Err(OpenError::Damaged(damage)) => (LogReader::open_damaged(disk)?, Some(damage)),
        Err(error) => return Err(error.into()),
    };
    // A log that does not fold has no state to hold against: the pass over it says why.
    let view = View::of_reader(reader.clone(), None).ok().flatten();
    let mut verified = check(&reader, view.as_ref(), lost.as_ref())?;
    if let Some(view) = view {
        hold_against(&view, against, &mut verified)?;
    }
    Ok(verified)
}

/// Holds a log against a key and earlier checkpoints and, where nothing is wrong so far, runs it again.
fn hold_against(view: &View, against: &Against, verified: &mut Verified) -> Result<(), HostError> {
    let host = view.engine().host();
    let verifier = LogVerifier::new(&host.origin, &host.log_key)?;
    let mut wrong: Vec<_> = against.is_of(host, &verifier.verifier_key()).err().into_iter().collect();
    for note in &against.since {
        let mut failure = None;
        let root = |size| {
            root_of(view, size).unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        };
        wrong.extend(agrees(&verifier, note, root).err());
        if let Some(error) = failure {
            return Err(error);
        }
    }
    verified.problems.extend(wrong.into_iter().map(whole));
    if let Some(compiler) = against.execute.as_ref().filter(|_| verified.is_verified()) {
        let guest = Behaviours::new(view.reader().blobs(), Arc::clone(compiler));
        verified.executed = Some(bundle::execute(view, &guest, &mut verified.problems)?);
    }
    Ok(())
}

/// The root over the first records of a log; `None` where there are fewer.
fn root_of(view: &View, size: u64) -> Result<Option<[u8; 32]>, HostError> {
    let mut tree = Frontier::default();
    for frame in view.reader().frames(Position::START) {
        if tree.size() >= size {
            break;
        }
        let frame = frame?;
        frame.records().take_while(|record| record.leaf < size).for_each(|record| tree.push(record.hash()));
    }
    Ok((tree.size() == size).then(|| tree.root()))
}

/// Verifies the log of a view: of what was written after it was opened, nothing.
///
/// # Errors
/// When the disk refuses. What is wrong with the log is in the answer.
pub fn verify(view: &View) -> Result<Verified, HostError> {
    check(view.reader(), Some(view), None)
}

/// Whether whole frames follow something that is none. A writer that goes on meanwhile is not mistaken for that.
pub(crate) fn is_damaged_after(reader: &mut LogReader) -> Result<bool, HostError> {
    loop {
        if reader.sound_after(reader.end()).map_err(ReadError::from)?.is_none() {
            return Ok(false);
        }
        if reader.refresh()? == 0 {
            return Ok(true);
        }
    }
}

fn check(reader: &LogReader, view: Option<&View>, lost: Option<&Damage>) -> Result<Verified, HostError> {
    let limit = view.map(View::shown);
    let (log, lineages) = std::thread::scope(|scope| {
        // The hashing and the lineages are each half of the work, and neither needs the other.
        let log = scope.spawn(|| reader.verify());
        let lineages = Lineages::read(reader, limit, false);
        (log.join(), lineages)
    });
    let log = log.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(ReadError::from)?;
    let mut lineages = lineages?;
    if let Some(view) = view {
        lineages.hold_against(view.engine());
    }
    Ok(verdict(reader, &log, lineages, lost)?)
}

fn verdict(
    reader: &LogReader,
    log: &Verification,
    lineages: Lineages,
    lost: Option<&Damage>,
) -> Result<Verified, ReadError> {
    let mut problems = Vec::new();
    let of_record_0 = |what: String| Problem {
        leaf: Some(0),
        seq: Some(0),
        object: Some(HOST.into()),
        tick: Some(0),
        what,
    };
    match lineages.host() {
        Some(host) => {
            if !keys::is_certified(host) {
                let what =
                    format!("the certificate of the log key is not the signature of `{}`", host.identity);
                problems.push(of_record_0(what));
            }
            for used in log.keys.iter().filter(|used| !keys::is_log_key(host, &used.verifier)) {
                let what = format!(
                    "from record {} on, checkpoints are signed by a key that record 0 does not certify",
                    used.size
                );
                problems.push(Problem { leaf: Some(used.size), ..whole(what) });
            }
        }
        None => problems
            .push(of_record_0("it is missing or damaged, and with it what certifies the log key".to_owned())),
    }
    let mut told: Vec<(String, u64)> = Vec::new();
    for damage in log.problems.iter().chain(lost) {
        let place = (damage.path.clone(), damage.offset);
        if !told.contains(&place) {
            problems.push(Problem { leaf: lineages.leaf_of(damage), ..whole(damage.to_string()) });
            told.push(place);
        }
    }
    let (records, objects) = (lineages.records(), lineages.objects());
    let suspect = lineages.suspect();
    problems.extend(lineages.into_problems());
    let wrong = problems.iter().filter_map(|problem| problem.leaf).chain(suspect).min();
    problems.sort_by_key(|problem| problem.leaf.unwrap_or(u64::MAX));
    let problems_more =
        log.problems_more + u64::try_from(problems.len().saturating_sub(PROBLEMS_MAX)).unwrap_or(u64::MAX);
    problems.truncate(PROBLEMS_MAX);
    let head = log.root.map(|root| (log.records, Hash(root)));
    Ok(Verified {
        records,
        objects,
        head,
        executed: None,
        sound_records: wrong.unwrap_or(records),
        problems,
        problems_more,
        tail_bytes: reader.bytes_after_end()?,
    })
}

/// Something wrong with the log as a whole.
fn whole(what: String) -> Problem {
    Problem { object: None, seq: None, leaf: None, tick: None, what }
}
