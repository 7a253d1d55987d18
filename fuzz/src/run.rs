//! A target over its inputs, for a while.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::corpus::corpus;
use crate::mutate::Mutator;
use crate::targets::{Reached, Target};

/// Most inputs that are known at once.
const KNOWN_MAX: usize = 8_192;
/// No input may take longer: thousands of times what they take, so that a busy machine is not mistaken for a bomb.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Inputs that were tried.
    pub inputs: u64,
    /// Different ends that they came to.
    pub ends: usize,
    /// The longest that one took.
    pub slowest: Duration,
}

/// Why a run ended early.
#[derive(Debug)]
pub enum Failure {
    /// An input broke the law of the target; it is kept in that file.
    Broken(PathBuf),
    /// An input took that long; it is kept in that file.
    Slow(PathBuf, Duration),
    /// The corpus cannot be read, or nothing can be kept.
    Io(io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keep = "put it into the target's folder of fuzz/corpus when it is mended";
        match self {
            Self::Broken(path) => write!(f, "`{}` breaks the law of its target; {keep}", path.display()),
            Self::Slow(path, took) => write!(f, "`{}` took {took:?}; {keep}", path.display()),
            Self::Io(error) => write!(f, "the corpus or the folder of failures cannot be used: {error}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Tries a target's corpus and seeds, and then what is made of them, until the time is up.
///
/// # Errors
/// The first input that breaks the law of the target or takes too long.
pub fn fuzz(target: &Target, seed: u64, time: Duration, folder: &Path) -> Result<Tally, Failure> {
    let start = Instant::now();
    let mut trial = Trial::new(target, folder)?;
    let kept: Vec<_> = corpus(target.name)?.into_iter().map(|(_, input)| input).collect();
    let known: Vec<_> = kept.into_iter().chain((target.seeds)()).collect();
    for input in &known {
        trial.on(input)?;
    }
    let mut mutator = Mutator::new(seed, known);
    while start.elapsed() < time {
        let input = mutator.next_input();
        // An input that comes to a new end is worth another change.
        if trial.on(&input)? && mutator.known() < KNOWN_MAX {
            mutator.learn(input);
        }
    }
    Ok(trial.tally)
}

/// Tries one input.
///
/// # Errors
/// When it breaks the law of the target or takes too long.
pub fn replay(target: &Target, input: &[u8], folder: &Path) -> Result<Tally, Failure> {
    let mut trial = Trial::new(target, folder)?;
    trial.on(input)?;
    Ok(trial.tally)
}

/// A target under trial.
struct Trial<'a> {
    target: &'a Target,
    folder: PathBuf,
    /// Holds the input that is being tried: what remains of one that ends the process.
    last: fs::File,
    ends: BTreeSet<Reached>,
    tally: Tally,
}

impl<'a> Trial<'a> {
    fn new(target: &'a Target, folder: &Path) -> io::Result<Self> {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        let last = fs::File::create(folder.join("last"))?;
        Ok(Self { target, folder, last, ends: BTreeSet::new(), tally: Tally::default() })
    }

    /// Whether the input came to an end that no other came to.
    fn on(&mut self, input: &[u8]) -> Result<bool, Failure> {
        self.last.set_len(0)?;
        self.last.write_all_at(input, 0)?;
        let start = Instant::now();
        let end = catch_unwind(AssertUnwindSafe(|| (self.target.run)(input)));
        let took = start.elapsed();
        self.tally.inputs += 1;
        self.tally.slowest = self.tally.slowest.max(took);
        let Ok(end) = end else { return Err(Failure::Broken(self.keep(input)?)) };
        if took > PATIENCE {
            return Err(Failure::Slow(self.keep(input)?, took));
        }
        let is_new = self.ends.insert(end);
        self.tally.ends = self.ends.len();
        Ok(is_new)
    }

    fn keep(&self, input: &[u8]) -> io::Result<PathBuf> {
        let path = self.folder.join(format!("{:08x}", crc32fast::hash(input)));
        fs::write(&path, input)?;
        Ok(path)
    }
}
