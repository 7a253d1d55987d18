//! A source that is read as it comes: by a thread of its own, or from what a broker delivers.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use abide_core::time::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sha2::{Digest, Sha256};

use super::decode::Decoder;
use super::messages::Listener;
use crate::broker::{Broker, Subscription};

use super::{Input, LINE_BYTES_MAX, LineError, LineProblem, Observation, Source, SourceError};

/// How often a file is looked at for more, and a stop for having been asked.
const POLL: Duration = Duration::from_millis(50);
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// How far a live source has come. Of standard input, a FIFO or messages only `line` is kept: what was read of them is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveCursor {
    /// Bytes of the file that were taken, up to the end of a line.
    pub offset: u64,
    /// Lines that were taken, or messages that came.
    pub line: u64,
    /// Bytes of the last of them, with its line ending.
    pub last_len: u64,
    /// SHA-256 of those.
    pub last_digest: [u8; 32],
}

impl LiveCursor {
    /// Bytes of [`LiveCursor::to_bytes`].
    pub const BYTES: usize = 56;

    /// Offset, line and length, 8 bytes big-endian each, and the digest.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let numbers = [self.offset, self.line, self.last_len].into_iter().flat_map(u64::to_be_bytes);
        for (to, from) in bytes.iter_mut().zip(numbers.chain(self.last_digest)) {
            *to = from;
        }
        bytes
    }

    /// What [`LiveCursor::to_bytes`] wrote; `None` for anything of another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (offset, rest) = bytes.split_first_chunk()?;
        let (line, rest) = rest.split_first_chunk()?;
        let (last_len, digest) = rest.split_first_chunk()?;
        Some(Self {
            offset: u64::from_be_bytes(*offset),
            line: u64::from_be_bytes(*line),
            last_len: u64::from_be_bytes(*last_len),
            last_digest: digest.try_into().ok()?,
        })
    }

    fn after(&self, line: &[u8]) -> Self {
        let len = u64::try_from(line.len()).unwrap_or(u64::MAX);
        Self {
            offset: self.offset.saturating_add(len),
            line: self.line + 1,
            last_len: len,
            last_digest: Sha256::digest(line).into(),
        }
    }
}

/// What comes from a live source.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveEvent {
    /// A line.
    Reading(LiveReading),
    /// A line that could not be read, and where the source stands after it.
    Problem(LineProblem, LiveCursor),
    /// The input has ended; a file never does.
    End,
    /// The input failed: nothing more comes.
    Failed(String),
}

/// One line of a live source.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveReading {
    /// When it says it is from, if the mapping names a column for that.
    pub time: Option<Timestamp>,
    /// The line's number in its file, from 1.
    pub line: u64,
    /// What it asks for, in the order of the mapping.
    pub observations: Vec<Observation>,
    /// Where the source stands once this is recorded.
    pub cursor: LiveCursor,
}

/// A source that is being read. At most `capacity` events wait to be taken; then the source waits, and messages are left out.
pub struct Live {
    name: Arc<str>,
    events: Option<Receiver<LiveEvent>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    subscription: Option<Subscription>,
    /// Messages for which there was no room.
    left_out: Arc<AtomicU64>,
    /// How far what was taken last has come.
    cursor: Cell<LiveCursor>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Live {
    /// Opens the source and starts reading: a file after `cursor`, anything else from what comes next; messages from a broker.
    ///
    /// # Errors
    /// If it cannot be opened, if a file's header lacks a column, if a file is not the one that the cursor is of, or if there is no
    /// broker for messages.
    pub fn start(
        source: Source,
        cursor: Option<LiveCursor>,
        capacity: usize,
        broker: Option<&dyn Broker>,
    ) -> Result<Self, SourceError> {
        let name = Arc::clone(&source.config.name);
        let cursor = cursor.unwrap_or_default();
        let (events, receiver) = mpsc::sync_channel(capacity);
        let stopping = Arc::new(AtomicBool::new(false));
        let left_out = Arc::new(AtomicU64::new(0));
        let (mut thread, mut subscription) = (None, None);
        if let Input::Messages { subject, group } = &source.config.input {
            let mut listener = Listener::new(source.clone(), cursor, events, Arc::clone(&left_out));
            let take = Box::new(move |subject: &str, payload: &[u8]| listener.take(subject, payload));
            let listening = match broker {
                Some(broker) => broker.subscribe(subject, group.as_deref(), take),
                None => Err("there is nothing here that carries messages".to_owned()),
            };
            let failed =
                |why| SourceError::Messages { source_name: Arc::clone(&name), subject: subject.clone(), why };
            subscription = Some(listening.map_err(failed)?);
        } else {
            let reader = Lines::open(source, cursor, Arc::clone(&stopping))?;
            thread = Some(thread::spawn(move || reader.run(&events)));
        }
        let cursor = Cell::new(cursor);
        Ok(Self { name, events: Some(receiver), stopping, thread, subscription, left_out, cursor })
    }

    /// The source's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The next event, if one is there.
    #[must_use]
    pub fn try_next(&self) -> Option<LiveEvent> {
        self.told_left_out().or_else(|| self.seen(self.events.as_ref()?.try_recv().ok()?))
    }

    /// The next event; waits for one at most so long.
    #[must_use]
    pub fn next_within(&self, wait_max: Duration) -> Option<LiveEvent> {
        self.told_left_out().or_else(|| self.seen(self.events.as_ref()?.recv_timeout(wait_max).ok()?))
    }

    fn seen(&self, event: LiveEvent) -> Option<LiveEvent> {
        if let LiveEvent::Reading(LiveReading { cursor, .. }) | LiveEvent::Problem(_, cursor) = &event {
            self.cursor.set(*cursor);
        }
        Some(event)
    }

    fn told_left_out(&self) -> Option<LiveEvent> {
        let count = self.left_out.swap(0, Ordering::Relaxed);
        if count == 0 {
            return None;
        }
        let cursor = self.cursor.get();
        let message = format!("after it, {count} came faster than they are taken, and were left out");
        let help = "send less, share the subject between hosts with `group`, or make ticks shorter";
        let problem = LineProblem {
            source: Arc::clone(&self.name),
            unit: "message",
            line: cursor.line,
            message,
            help: help.to_owned(),
        };
        Some(LiveEvent::Problem(problem, cursor))
    }
}

impl Drop for Live {
    /// Ends the reading: what was not taken is read again after a restart.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.subscription = None;
        // A thread that waits to hand an event over wakes when nobody can take it.
        self.events = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads lines and maps them.
struct Lines {
    source: Source,
    decoder: Option<Decoder>,
    input: File,
    /// Whether more may come after an end: so with a file.
    grows: bool,
    cursor: LiveCursor,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that were taken.
    taken: usize,
    stopping: Arc<AtomicBool>,
}

impl Lines {
    fn open(source: Source, cursor: LiveCursor, stopping: Arc<AtomicBool>) -> Result<Self, SourceError> {
        let path = match &source.config.input {
            Input::Stdin => PathBuf::from("-"),
            Input::File(path) => path.clone(),
            Input::Messages { subject, .. } => PathBuf::from(&**subject),
        };
        let read_error = |error| SourceError::Read {
            source_name: Arc::clone(&source.config.name),
            path: path.clone(),
            error,
        };
        let input = open(&source.config.input).map_err(read_error)?;
        let grows = input.metadata().map_err(read_error)?.is_file();
        let decoder = Decoder::without_header(&source.config, &source.mapping);
        let (cursor_at_start, buffer) = (LiveCursor::default(), Vec::new());
        let mut lines =
            Self { source, decoder, input, grows, cursor: cursor_at_start, buffer, taken: 0, stopping };
        if grows && cursor.offset > 0 {
            lines.resume(cursor, &path)?;
        } else if grows {
            lines.read_header(&path)?;
        }
        Ok(lines)
    }

    /// Goes on in a file after a cursor.
    fn resume(&mut self, cursor: LiveCursor, path: &Path) -> Result<(), SourceError> {
        let name = Arc::clone(&self.source.config.name);
        let read_error =
            |error| SourceError::Read { source_name: Arc::clone(&name), path: path.to_owned(), error };
        let changed = || SourceError::Changed {
            source_name: Arc::clone(&name),
            path: path.to_owned(),
            offset: cursor.offset,
        };
        let start = cursor.offset.checked_sub(cursor.last_len).ok_or_else(changed)?;
        let mut last = Vec::new();
        self.input.seek(SeekFrom::Start(start)).map_err(read_error)?;
        (&self.input).take(cursor.last_len).read_to_end(&mut last).map_err(read_error)?;
        let digest: [u8; 32] = Sha256::digest(&last).into();
        if digest != cursor.last_digest || u64::try_from(last.len()).ok() != Some(cursor.last_len) {
            return Err(changed());
        }
        self.input.rewind().map_err(read_error)?;
        self.read_header(path)?;
        self.buffer.clear();
        self.taken = 0;
        self.input.seek(SeekFrom::Start(cursor.offset)).map_err(read_error)?;
        self.cursor = cursor;
        Ok(())
    }

    /// Reads the header of a file where it is there already, so that a column that it lacks is found before anything
    /// runs.
    fn read_header(&mut self, path: &Path) -> Result<(), SourceError> {
        while self.decoder.is_none() {
            if let Some(line) = self.take_line() {
                self.header(&line)?;
                continue;
            }
            let read = self.fill().map_err(|error| SourceError::Read {
                source_name: Arc::clone(&self.source.config.name),
                path: path.to_owned(),
                error,
            })?;
            if read == 0 {
                break;
            }
        }
        Ok(())
    }

    fn run(mut self, events: &SyncSender<LiveEvent>) {
        loop {
            while let Some(line) = self.take_line() {
                let Some(event) = self.event(&line) else { continue };
                let is_last = matches!(event, LiveEvent::Failed(_));
                if events.send(event).is_err() || is_last {
                    return;
                }
            }
            match self.more() {
                Ok(More::Bytes) => {}
                Ok(More::Stop) => return,
                Ok(More::End) => {
                    // A stream's last line may lack its line feed; of a file, more of it may come.
                    if self.taken < self.buffer.len() {
                        self.buffer.push(b'\n');
                        continue;
                    }
                    let _ = events.send(LiveEvent::End);
                    return;
                }
                Err(error) => {
                    let _ = events.send(LiveEvent::Failed(error.to_string()));
                    return;
                }
            }
        }
    }

    /// What a line is; `None` for a header or a line that holds nothing.
    fn event(&mut self, line: &[u8]) -> Option<LiveEvent> {
        let (number, cursor) = (self.cursor.line, self.cursor);
        let name = Arc::clone(&self.source.config.name);
        if self.decoder.is_none() {
            let error = self.header(line).err()?;
            // Nothing can be read without a header: every further line would say the same.
            return Some(LiveEvent::Failed(error.to_string()));
        }
        let line = trimmed(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        Some(match self.read(line) {
            Ok((time, observations)) => {
                LiveEvent::Reading(LiveReading { time, line: number, observations, cursor })
            }
            Err(error) => LiveEvent::Problem(error.at(&name, number), cursor),
        })
    }

    fn read(&mut self, line: &[u8]) -> Result<(Option<Timestamp>, Vec<Observation>), LineError> {
        let decoder = self.decoder.as_mut().ok_or_else(|| LineError::new("there is no header", "add one"))?;
        let row = decoder.decode(line)?;
        let mapping = &self.source.mapping;
        Ok((mapping.time(&row)?, mapping.observations(&row)?))
    }

    fn header(&mut self, line: &[u8]) -> Result<(), SourceError> {
        let line = trimmed(line);
        if !line.iter().all(u8::is_ascii_whitespace) {
            self.decoder = Some(Decoder::with_header(&self.source.config, &self.source.mapping, line)?);
        }
        Ok(())
    }

    /// The next whole line of what was read, with its line feed. A line beyond the bound is cut there, and what is cut
    /// off is a line again: each is reported, and memory stays bounded.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        let waiting = self.buffer.get(self.taken..).unwrap_or_default();
        let len = match waiting.iter().position(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if waiting.len() > LINE_BYTES_MAX => waiting.len(),
            None => return None,
        };
        let line = waiting.get(..len)?.to_vec();
        self.taken += len;
        self.cursor = self.cursor.after(&line);
        Some(line)
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + CHUNK, 0);
        let result = self.input.read(self.buffer.get_mut(before..).unwrap_or_default());
        self.buffer.truncate(before + result.as_ref().copied().unwrap_or(0));
        result
    }

    /// Waits until there is more, or an end, or a stop.
    fn more(&mut self) -> io::Result<More> {
        loop {
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(More::Stop);
            }
            if !self.grows && !readable(&self.input)? {
                continue;
            }
            match self.fill() {
                Ok(0) if self.grows => thread::park_timeout(POLL),
                Ok(0) => return Ok(More::End),
                Ok(_) => return Ok(More::Bytes),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

enum More {
    Bytes,
    End,
    Stop,
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A FIFO is opened without waiting for somebody to write to it.
fn open(input: &Input) -> io::Result<File> {
    match input {
        Input::Stdin => Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?)),
        Input::File(path) => {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
            File::options().read(true).custom_flags(flags).open(path)
        }
        Input::Messages { .. } => Err(io::Error::from(io::ErrorKind::Unsupported)),
    }
}

/// Whether there is something to read, or an end, within [`POLL`].
fn readable(input: &File) -> io::Result<bool> {
    let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(POLL.subsec_nanos()) };
    let mut fds = [PollFd::new(input, PollFlags::IN)];
    match poll(&mut fds, Some(&wait)) {
        Ok(n) => Ok(n > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
