//! Taking lines apart. A record is one line: a quote that is never closed spoils its own line and no other.

use std::sync::Arc;

use super::mapping::{Cell, Mapping, Row};
use super::{Format, LINE_BYTES_MAX, LineError, SourceConfig, SourceError};
use crate::source::config::suggestion;

/// Takes the lines of one source apart.
#[derive(Debug)]
pub(super) enum Decoder {
    /// CSV, its header read.
    Csv(Box<CsvDecoder>),
    /// JSON lines.
    Json {
        /// For each column of the mapping, the keys that lead to it.
        paths: Vec<Vec<String>>,
    },
}

#[derive(Debug)]
pub(super) struct CsvDecoder {
    splitter: Splitter,
    width: usize,
    /// For each column of the mapping, its place in the line.
    places: Vec<usize>,
}

/// A line, taken apart.
pub(super) enum DecodedRow<'a> {
    Csv { fields: Fields<'a>, places: &'a [usize] },
    Json { value: serde_json::Value, paths: &'a [Vec<String>] },
}

impl Decoder {
    /// A decoder for a source that needs no header line; `None` for one that does.
    pub(super) fn without_header(config: &SourceConfig, mapping: &Mapping) -> Option<Self> {
        match config.format {
            Format::Csv { .. } => None,
            Format::Json | Format::Cbor => {
                Some(Self::Json { paths: mapping.columns().iter().map(|c| path(c)).collect() })
            }
        }
    }

    /// A decoder for CSV with that header line.
    pub(super) fn with_header(
        config: &SourceConfig,
        mapping: &Mapping,
        line: &[u8],
    ) -> Result<Self, SourceError> {
        let source_name = || Arc::clone(&config.name);
        let delimiter = match config.format {
            Format::Csv { delimiter } => delimiter,
            Format::Json | Format::Cbor => b',',
        };
        let mut splitter = Splitter::new(delimiter);
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let header = splitter
            .split(line)
            .map_err(|error| SourceError::Header { source_name: source_name(), message: error.message })?;
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let mut places = Vec::new();
        for column in mapping.columns() {
            let mut found = names.iter().enumerate().filter(|(_, name)| **name == **column).map(|(n, _)| n);
            let Some(place) = found.next() else {
                let help = match names.as_slice() {
                    [one] => format!("it is one column, `{one}`: set `delimiter` if that is not a comma"),
                    _ => suggestion(column, names.iter().map(String::as_str), "columns"),
                };
                return Err(SourceError::Column {
                    source_name: source_name(),
                    column: column.to_string(),
                    help,
                });
            };
            if found.next().is_some() {
                return Err(SourceError::Twice { source_name: source_name(), column: column.to_string() });
            }
            places.push(place);
        }
        Ok(Self::Csv(Box::new(CsvDecoder { splitter, width: names.len(), places })))
    }

    /// Takes a line apart; it has no line feed at its end.
    pub(super) fn decode(&mut self, line: &[u8]) -> Result<DecodedRow<'_>, LineError> {
        if line.len() > LINE_BYTES_MAX {
            let message = format!("the line has {} bytes; at most {LINE_BYTES_MAX} are read", line.len());
            return Err(LineError::new(message, "split it"));
        }
        match self {
            Self::Csv(csv) => {
                let fields = csv.splitter.split(line)?;
                if fields.len() != csv.width {
                    let message =
                        format!("the line has {} columns; the header has {}", fields.len(), csv.width);
                    return Err(LineError::new(
                        message,
                        "add or take out what differs; quote a value with a delimiter in it",
                    ));
                }
                Ok(DecodedRow::Csv { fields, places: &csv.places })
            }
            Self::Json { paths } => match serde_json::from_slice(line) {
                Ok(value @ serde_json::Value::Object(_)) => Ok(DecodedRow::Json { value, paths }),
                Ok(_) => Err(LineError::new(
                    "the line is no JSON object",
                    "write one object a line: `{\"name\": value}`",
                )),
                Err(error) => Err(LineError::new(
                    format!("the line is not JSON: {error}"),
                    "write one whole object a line",
                )),
            },
        }
    }
}

impl Row for DecodedRow<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        match self {
            Self::Csv { fields, places } => {
                places.get(column).and_then(|place| fields.get(*place)).map_or(Cell::Absent, Cell::Text)
            }
            Self::Json { value, paths } => {
                let Some(path) = paths.get(column) else { return Cell::Absent };
                path.iter().try_fold(value, |value, key| step(value, key)).map_or(Cell::Absent, Cell::Json)
            }
        }
    }
}

pub(super) fn step<'a>(value: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
    match value {
        serde_json::Value::Object(entries) => entries.get(key),
        serde_json::Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The keys that lead to a value: a JSON pointer (RFC 6901) where it begins with `/`, else names with dots between.
pub(super) fn path(column: &str) -> Vec<String> {
    match column.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect(),
        None => column.split('.').map(str::to_owned).collect(),
    }
}

/// Splits one line of CSV.
#[derive(Debug)]
struct Splitter {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// The fields of a line, without the spaces around them.
pub(super) struct Fields<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl Splitter {
    fn new(delimiter: u8) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, text: Vec::new(), ends: vec![0; 32] }
    }

    fn split(&mut self, line: &[u8]) -> Result<Fields<'_>, LineError> {
        if line.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
            let help = "a value with a quote in it is written in quotes, and the quote twice; a value ends in its line";
            return Err(LineError::new("a quote is opened and not closed", help));
        }
        if std::str::from_utf8(line).is_err() {
            return Err(LineError::new(
                "the line is not UTF-8",
                "convert the file, as in `iconv -f latin1 -t utf-8`",
            ));
        }
        self.reader.reset();
        self.text.resize(line.len().max(1), 0);
        let (mut read, mut written, mut fields) = (0, 0, 0);
        loop {
            let input = line.get(read..).unwrap_or_default();
            let output = self.text.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(fields..).unwrap_or_default();
            let (result, n_in, n_out, n_ends) = self.reader.read_record(input, output, ends);
            (read, written, fields) = (read + n_in, written + n_out, fields + n_ends);
            match result {
                // The next call finds no input, which ends the record.
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                csv_core::ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                csv_core::ReadRecordResult::Record | csv_core::ReadRecordResult::End => break,
            }
        }
        let text = std::str::from_utf8(self.text.get(..written).unwrap_or_default()).unwrap_or_default();
        Ok(Fields { text, ends: self.ends.get(..fields).unwrap_or_default() })
    }
}

impl<'a> Fields<'a> {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, n: usize) -> Option<&'a str> {
        let start = match n.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..*self.ends.get(n)?).map(str::trim)
    }

    fn iter(&self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).filter_map(|n| self.get(n))
    }
}
