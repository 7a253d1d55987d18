//! A source that listens: what a message says, in JSON or CBOR, and its subject, taken apart by the columns of a mapping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ciborium::value::Value as Cbor;
use serde_json::{Map, Number, Value as Json};

use super::decode::{path, step};
use super::mapping::{Cell, Row};
use super::{Format, LINE_BYTES_MAX, LineError, LineProblem, LiveCursor, LiveEvent, LiveReading, Source};

/// Where a column takes its value from.
#[derive(Debug)]
enum Place {
    /// `@subject`.
    Subject,
    /// `@subject.N`: a word of it, from 1.
    Word(usize),
    /// `@payload`: all that the message says.
    Payload,
    /// The keys that lead to it.
    Path(Vec<String>),
}

impl Place {
    fn read(column: &str) -> Self {
        let word = || column.strip_prefix("@subject.")?.parse().ok().filter(|n| *n > 0);
        match (column, word()) {
            ("@subject", _) => Self::Subject,
            ("@payload", _) => Self::Payload,
            (_, Some(n)) => Self::Word(n),
            (column, None) => Self::Path(path(column)),
        }
    }
}

/// A message, taken apart.
struct Taken<'a> {
    subject: &'a str,
    payload: Json,
    places: &'a [Place],
}

impl Row for Taken<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        let found = match self.places.get(column) {
            None => None,
            Some(Place::Subject) => Some(Cell::Text(self.subject)),
            Some(Place::Word(n)) => self.subject.split('.').nth(n - 1).map(Cell::Text),
            Some(Place::Payload) => Some(Cell::Json(&self.payload)),
            Some(Place::Path(path)) => {
                path.iter().try_fold(&self.payload, |value, key| step(value, key)).map(Cell::Json)
            }
        };
        found.unwrap_or(Cell::Absent)
    }
}

/// Takes messages as they come, and never waits: those for which there is no room are left out, and counted.
#[derive(Debug)]
pub(super) struct Listener {
    source: Source,
    places: Vec<Place>,
    cursor: LiveCursor,
    events: SyncSender<LiveEvent>,
    left_out: Arc<AtomicU64>,
}

impl Listener {
    pub(super) fn new(
        source: Source,
        cursor: LiveCursor,
        events: SyncSender<LiveEvent>,
        left_out: Arc<AtomicU64>,
    ) -> Self {
        let places = source.mapping.columns().iter().map(|column| Place::read(column)).collect();
        Self { source, places, cursor, events, left_out }
    }

    /// Takes a message.
    pub(super) fn take(&mut self, subject: &str, payload: &[u8]) {
        self.cursor.line += 1;
        let cursor = self.cursor;
        let event = match self.read(subject, payload) {
            Ok(reading) => LiveEvent::Reading(reading),
            Err(error) => {
                let LineError { message, help } = error;
                let source = Arc::clone(&self.source.config.name);
                let message = format!("of `{subject}`: {message}");
                let problem = LineProblem { source, unit: "message", line: cursor.line, message, help };
                LiveEvent::Problem(problem, cursor)
            }
        };
        if let Err(TrySendError::Full(_)) = self.events.try_send(event) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self, subject: &str, payload: &[u8]) -> Result<LiveReading, LineError> {
        if payload.len() > LINE_BYTES_MAX {
            let message = format!("it has {} bytes; at most {LINE_BYTES_MAX} are read", payload.len());
            return Err(LineError::new(message, "split it"));
        }
        let needs = |place: &Place| matches!(place, Place::Path(_) | Place::Payload);
        let payload = if self.places.iter().any(needs) { self.decode(payload)? } else { Json::Null };
        let has_paths = self.places.iter().any(|place| matches!(place, Place::Path(_)));
        if has_paths && !payload.is_object() && !payload.is_array() {
            let help = "a column is a path into an object or a list; for a value that stands alone, name the column `@payload`";
            return Err(LineError::new("it is neither an object nor a list", help));
        }
        let row = Taken { subject, payload, places: &self.places };
        let mapping = &self.source.mapping;
        Ok(LiveReading {
            time: mapping.time(&row)?,
            line: self.cursor.line,
            observations: mapping.observations(&row)?,
            cursor: self.cursor,
        })
    }

    fn decode(&self, payload: &[u8]) -> Result<Json, LineError> {
        if self.source.config.format != Format::Cbor {
            return serde_json::from_slice(payload).map_err(|error| {
                LineError::new(format!("it is not JSON: {error}"), "send one JSON value a message")
            });
        }
        let wrong = |what: String| LineError::new(what, "send one CBOR item a message (RFC 8949)");
        let mut rest = payload;
        let item: Cbor = ciborium::from_reader(&mut rest).map_err(|error| {
            let at = payload.len() - rest.len();
            let why = match error {
                ciborium::de::Error::RecursionLimitExceeded => "it is nested too deep".to_owned(),
                _ => format!("what ends at byte {at} is none"),
            };
            wrong(format!("it is not CBOR: {why}"))
        })?;
        if !rest.is_empty() {
            return Err(wrong(format!("it has {} bytes after its CBOR item", rest.len())));
        }
        json(item).map_err(wrong)
    }
}

/// A CBOR item as JSON: bytes in base64, and as text a number that JSON does not hold. Tags say nothing more.
fn json(item: Cbor) -> Result<Json, String> {
    Ok(match item {
        Cbor::Null => Json::Null,
        Cbor::Bool(value) => value.into(),
        Cbor::Text(text) => text.into(),
        Cbor::Bytes(bytes) => BASE64.encode(bytes).into(),
        Cbor::Float(value) => Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number),
        Cbor::Integer(value) => {
            let value = i128::from(value);
            let number =
                i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
            number.map_or_else(|_| value.to_string().into(), Json::Number)
        }
        Cbor::Tag(_, inner) => json(*inner)?,
        Cbor::Array(items) => items.into_iter().map(json).collect::<Result<_, _>>()?,
        Cbor::Map(entries) => {
            let one = |(key, value)| {
                let key = match key {
                    Cbor::Text(text) => text,
                    Cbor::Integer(number) => i128::from(number).to_string(),
                    _ => return Err("a key of a map is neither a text nor an integer".to_owned()),
                };
                Ok((key, json(value)?))
            };
            Json::Object(entries.into_iter().map(one).collect::<Result<Map<_, _>, _>>()?)
        }
        _ => return Err("it has a kind of item that is not known".to_owned()),
    })
}
