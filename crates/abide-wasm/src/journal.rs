//! The log of an act, bounded in bytes.

use abide_core::guest::{Level, LogLine};

/// What an act has written so far.
#[derive(Debug)]
pub(crate) struct Journal {
    max: usize,
    left: usize,
    lines: Vec<LogLine>,
    out: Vec<u8>,
    err: Vec<u8>,
    is_over: bool,
}

/// A stream of bytes that becomes lines.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn level(self) -> Level {
        match self {
            Self::Out => Level::Info,
            Self::Err => Level::Warn,
        }
    }
}

impl Journal {
    pub(crate) fn new(max: u64) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Self { max, left: max, lines: Vec::new(), out: Vec::new(), err: Vec::new(), is_over: false }
    }

    /// A line, cut where the log is full.
    pub(crate) fn line(&mut self, level: Level, message: &str) {
        if self.is_over {
            return;
        }
        let message = message.trim_end_matches(['\n', '\r']);
        // Each line costs a byte more than it has, so that empty ones are bounded too.
        if message.len() < self.left {
            self.left -= message.len() + 1;
            self.lines.push(LogLine { level, message: message.to_owned() });
            return;
        }
        self.is_over = true;
        let end = message.floor_char_boundary(self.left);
        if let Some(kept) = message.get(..end)
            && !kept.is_empty()
        {
            self.lines.push(LogLine { level, message: kept.to_owned() });
        }
    }

    /// Bytes of a stream: whole lines are written, and the rest is kept for what follows it.
    pub(crate) fn write(&mut self, stream: Stream, mut bytes: &[u8]) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(at);
            self.keep(stream, line);
            self.flush(stream);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(stream, bytes);
    }

    /// Nothing is kept beyond what the log would take.
    fn keep(&mut self, stream: Stream, bytes: &[u8]) {
        let left = self.left;
        let open = self.open(stream);
        let room = (left + 1).saturating_sub(open.len());
        open.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn flush(&mut self, stream: Stream) {
        let line = std::mem::take(self.open(stream));
        self.line(stream.level(), &String::from_utf8_lossy(&line));
    }

    fn open(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }

    /// The lines, with those that no line break has ended, and a last one if there was more than the log takes.
    pub(crate) fn into_lines(mut self) -> Vec<LogLine> {
        for stream in [Stream::Out, Stream::Err] {
            if !self.open(stream).is_empty() {
                self.flush(stream);
            }
        }
        if self.is_over {
            let message =
                format!("the log of this act has more than {} bytes; the rest is dropped", self.max);
            self.lines.push(LogLine { level: Level::Warn, message });
        }
        self.lines
    }
}
