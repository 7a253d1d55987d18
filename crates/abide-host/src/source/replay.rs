//! Recorded sources, played in the order of their times.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::time::Timestamp;
use sha2::{Digest, Sha256};

use super::decode::Decoder;
use super::{Input, LineError, LineProblem, Mapping, Problems, Reading, Source, SourceConfig, SourceError};

/// How far a replay has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the last reading taken.
    pub time: Timestamp,
    /// How many were taken in all.
    pub count: u64,
    /// Over the readings taken, one after another: `SHA-256(digest before || source name || 0x00 || line)`, from 32
    /// zeros; the line is its bytes without the line ending.
    pub digest: [u8; 32],
}

impl Cursor {
    /// Bytes of [`Cursor::to_bytes`].
    pub const BYTES: usize = 48;

    /// The time (nanoseconds) and the count, 8 bytes big-endian each, and the digest.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let parts = self.time.0.to_be_bytes().into_iter().chain(self.count.to_be_bytes()).chain(self.digest);
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    /// What [`Cursor::to_bytes`] wrote; `None` for anything of another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (count, digest) = rest.split_first_chunk()?;
        Some(Self {
            time: Timestamp(i64::from_be_bytes(*time)),
            count: u64::from_be_bytes(*count),
            digest: digest.try_into().ok()?,
        })
    }
}

/// Why a replay cannot go on from where it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The input is shorter than what was taken.
    #[error(
        "the sources hold {held} readings, but {taken} were taken before, up to {time}; \
         give the run the whole input it began with, or start a new store"
    )]
    Shorter {
        /// How many there are.
        held: u64,
        /// How many were taken.
        taken: u64,
        /// Up to when.
        time: Timestamp,
    },
    /// The readings are others than those that were taken.
    #[error(
        "the sources have changed: the first {taken} readings, up to {time}, are not the ones that were taken before; \
         give the run the input it began with (readings may be added after that time), or start a new store"
    )]
    Changed {
        /// How many were taken.
        taken: u64,
        /// Up to when.
        time: Timestamp,
    },
}

/// Recorded sources as one sequence: by time, then in the order of the sources, then of the lines.
///
/// The input is held in memory as it was read, with 32 bytes beside it for each line; values are parsed when they are
/// taken.
#[derive(Debug)]
pub struct Replay {
    inputs: Vec<ReplayInput>,
    rows: Vec<Row>,
    cursor: Cursor,
    next: usize,
    problems: Problems,
    notes: Vec<String>,
}

#[derive(Debug)]
struct ReplayInput {
    name: Arc<str>,
    mapping: Arc<Mapping>,
    decoder: Option<Decoder>,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    time: Timestamp,
    start: usize,
    line: u64,
    len: u32,
    input: u16,
}

impl Replay {
    /// Reads the whole of every source. Lines that cannot be read are left out, counted and kept for
    /// [`Replay::problems`].
    ///
    /// # Errors
    /// Every source that cannot be read, or whose header lacks a column.
    pub fn open(sources: &[Source]) -> Result<Self, Vec<SourceError>> {
        let mut texts = Vec::new();
        let mut errors = Vec::new();
        for source in sources {
            match read_all(&source.config) {
                Ok(text) => texts.push(text),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Self::of(sources, texts)
    }

    /// The same over text that was read already, one for each source.
    ///
    /// # Errors
    /// Every source whose header lacks a column.
    pub fn of(sources: &[Source], texts: Vec<Vec<u8>>) -> Result<Self, Vec<SourceError>> {
        let mut replay = Self {
            inputs: Vec::new(),
            rows: Vec::new(),
            cursor: Cursor::default(),
            next: 0,
            problems: Problems::default(),
            notes: Vec::new(),
        };
        let mut errors = Vec::new();
        for (source, text) in sources.iter().zip(texts) {
            if let Err(error) = replay.index(source, text) {
                errors.push(error);
            }
        }
        // Stable: lines of one source and time keep their order.
        replay.rows.sort_by_key(|row| (row.time, row.input));
        if errors.is_empty() { Ok(replay) } else { Err(errors) }
    }

    /// How many readings there are in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no readings at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many readings are still to be taken.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rows.len() - self.next
    }

    /// The times of the first reading and of the last.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.rows.first()?.time, self.rows.last()?.time))
    }

    /// The time of the next reading.
    #[must_use]
    pub fn next_time(&self) -> Option<Timestamp> {
        self.rows.get(self.next).map(|row| row.time)
    }

    /// How far it has come.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The lines that were left out.
    #[must_use]
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// What is worth a word though nothing is wrong: a file without a line.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Goes on after what a cursor has taken, from wherever it stands.
    ///
    /// # Errors
    /// If the readings up to there are not those that were taken. It then stands where it stood.
    pub fn resume(&mut self, cursor: &Cursor) -> Result<(), ResumeError> {
        let (taken, time) = (cursor.count, cursor.time);
        let held = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        let count = usize::try_from(taken).ok().filter(|n| *n <= self.rows.len());
        let Some(count) = count else { return Err(ResumeError::Shorter { held, taken, time }) };
        let before = self.rows.get(..count).unwrap_or_default();
        let found = before.iter().fold(Cursor::default(), |cursor, row| self.after(&cursor, row));
        if found != *cursor {
            return Err(ResumeError::Changed { taken, time });
        }
        self.cursor = found;
        self.next = count;
        Ok(())
    }

    /// The cursor after one more row.
    fn after(&self, cursor: &Cursor, row: &Row) -> Cursor {
        let mut hash = Sha256::new_with_prefix(cursor.digest);
        if let Some(input) = self.inputs.get(usize::from(row.input)) {
            hash.update(input.name.as_bytes());
            hash.update([0]);
            hash.update(input.line(row));
        }
        Cursor { time: row.time, count: cursor.count + 1, digest: hash.finalize().into() }
    }

    fn index(&mut self, source: &Source, text: Vec<u8>) -> Result<(), SourceError> {
        let (config, mapping) = (&source.config, &source.mapping);
        let number = u16::try_from(self.inputs.len()).unwrap_or(u16::MAX);
        let mut decoder = Decoder::without_header(config, mapping);
        for (line, start, bytes) in lines(&text) {
            let Some(decoder) = &mut decoder else {
                decoder = Some(Decoder::with_header(config, mapping, bytes)?);
                continue;
            };
            match place(decoder, mapping, bytes) {
                Ok(time) => {
                    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    self.rows.push(Row { time, start, line, len, input: number });
                }
                Err(error) => self.problems.push(error.at(&config.name, line)),
            }
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            self.notes.push(format!("the source `{}` is empty", config.name));
        }
        let mapping = Arc::clone(mapping);
        self.inputs.push(ReplayInput { name: Arc::clone(&config.name), mapping, decoder, text });
        Ok(())
    }
}

impl Iterator for Replay {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        let row = *self.rows.get(self.next)?;
        self.cursor = self.after(&self.cursor, &row);
        self.next += 1;
        let input = self.inputs.get_mut(usize::from(row.input))?;
        Some(Reading {
            time: row.time,
            source: Arc::clone(&input.name),
            line: row.line,
            observations: input.read(&row),
        })
    }
}

impl ReplayInput {
    fn line(&self, row: &Row) -> &[u8] {
        line_of(&self.text, row)
    }

    /// What the line asks for. It was taken apart before, when its time and its object were read: no error is left.
    fn read(&mut self, row: &Row) -> Vec<super::Observation> {
        let Some(decoder) = &mut self.decoder else { return Vec::new() };
        let decoded = decoder.decode(line_of(&self.text, row));
        decoded.and_then(|decoded| self.mapping.observations(&decoded)).unwrap_or_default()
    }
}

fn line_of<'a>(text: &'a [u8], row: &Row) -> &'a [u8] {
    let end = usize::try_from(row.len).ok().and_then(|len| row.start.checked_add(len)).unwrap_or(usize::MAX);
    text.get(row.start..end).unwrap_or_default()
}

/// The time of a line that can be replayed.
fn place(decoder: &mut Decoder, mapping: &Mapping, line: &[u8]) -> Result<Timestamp, LineError> {
    let row = decoder.decode(line)?;
    let time = mapping.time(&row)?;
    mapping.object(&row)?;
    time.ok_or_else(|| LineError::new("the line has no time", "name the column that holds it under `time`"))
}

/// The lines of a text that hold something: number from 1, start, bytes without the line ending.
fn lines(text: &[u8]) -> impl Iterator<Item = (u64, usize, &[u8])> {
    let mut start = 0;
    let numbered = text.split(|byte| *byte == b'\n').zip(1_u64..).map(move |(bytes, line)| {
        let found = (line, start, bytes.strip_suffix(b"\r").unwrap_or(bytes));
        start += bytes.len() + 1;
        found
    });
    numbered.filter(|(_, _, bytes)| !bytes.iter().all(u8::is_ascii_whitespace))
}

fn read_all(config: &SourceConfig) -> Result<Vec<u8>, SourceError> {
    let (path, text) = match &config.input {
        Input::Stdin => {
            let mut text = Vec::new();
            (PathBuf::from("-"), io::stdin().lock().read_to_end(&mut text).map(|_| text))
        }
        Input::File(path) => (path.clone(), std::fs::read(path)),
        Input::Messages { subject, .. } => {
            (PathBuf::from(&**subject), Err(io::Error::other("messages are not replayed")))
        }
    };
    text.map_err(|error| SourceError::Read { source_name: Arc::clone(&config.name), path, error })
}

impl LineProblem {
    /// The message, with what to do about it.
    #[must_use]
    pub fn with_help(&self) -> String {
        format!("{self}; {}", self.help)
    }
}
