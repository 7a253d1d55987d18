//! What the manifest says of a source, read with the place of everything that may prove wrong when it is bound.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_core::document::{Diagnostics, Key, Node, NodeKind, Reader, nearest};

use super::TimeFormat;
use crate::units;

/// A value and its place in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Bytes of the manifest.
    pub span: Range<usize>,
}

/// A source, as the manifest describes it.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The component's name.
    pub name: Arc<str>,
    /// How its lines are written.
    pub format: Format,
    /// Where they come from.
    pub input: Input,
    /// Whether it drives the clock.
    pub mode: Mode,
    /// Where a line says when it is from; always there when it is replayed.
    pub time: Option<TimeConfig>,
    /// Which object a line is for.
    pub object: ObjectConfig,
    /// Texts that stand for a missing value.
    pub missing: Vec<Box<str>>,
    /// What a line asks for.
    pub observations: Vec<ObservationConfig>,
}

/// How the lines of a source are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv {
        /// An ASCII character.
        delimiter: u8,
    },
    /// A JSON object a line, or a JSON value a message.
    Json,
    /// A CBOR item a message.
    Cbor,
}

/// Where a source's lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input: `-`.
    Stdin,
    /// A file or a FIFO.
    File(PathBuf),
    /// Messages of a subject.
    Messages {
        /// Words with dots between; `*` stands for a word, and `>` at the end for one or more.
        subject: Box<str>,
        /// Who share the messages between them.
        group: Option<Box<str>>,
    },
}

/// What kind of source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `abide+builtin://csv`.
    Csv,
    /// `abide+builtin://jsonl`.
    JsonLines,
    /// `abide+builtin://messaging`.
    Messages,
}

impl Input {
    /// The input that `path` names: `-` is standard input, a relative path is relative to `base`.
    #[must_use]
    pub fn new(path: &str, base: &Path) -> Self {
        if path == "-" { Self::Stdin } else { Self::File(base.join(path)) }
    }
}

/// Whether a source drives the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It holds the past: the times of its lines are the host's time.
    Replay,
    /// It is read as it comes: its lines are taken in at the host's time.
    Live,
}

/// Where a line says when it is from.
#[derive(Clone, Debug)]
pub struct TimeConfig {
    /// The column.
    pub column: At<Box<str>>,
    /// How it is written.
    pub format: TimeFormat,
}

/// Which object a line is for.
#[derive(Clone, Debug)]
pub enum ObjectConfig {
    /// Always that one.
    Fixed(At<Arc<str>>),
    /// The one that a column names.
    Column {
        /// The column.
        column: At<Box<str>>,
        /// From what the column says to an id; where it is empty, the column says the id.
        map: Vec<(Box<str>, At<Arc<str>>)>,
        /// Whether the id is what the column says in lower case.
        lowercase: bool,
    },
}

/// What a line asks for.
#[derive(Clone, Debug)]
pub struct ObservationConfig {
    /// The mutation.
    pub mutation: At<Box<str>>,
    /// Its arguments.
    pub args: Vec<(At<Box<str>>, ArgumentConfig)>,
}

/// Where an argument comes from.
#[derive(Clone, Debug)]
pub enum ArgumentConfig {
    /// It is always that.
    Fixed(At<serde_json::Value>),
    /// From a column.
    Column {
        /// The column.
        column: At<Box<str>>,
        /// The UCUM unit that the column is in.
        unit: Option<At<Box<str>>>,
        /// How a time is written in it.
        format: Option<TimeFormat>,
        /// Where `missing: null` stands: a missing value is null, and not a reason to skip the observation.
        missing_null: Option<Range<usize>>,
    },
}

impl SourceConfig {
    /// Reads the properties of a source. Relative paths are relative to `base`. Whether its columns, mutations and
    /// units fit is found out when it is bound.
    pub fn read(name: Arc<str>, kind: SourceKind, mut reader: Reader<'_>, base: &Path) -> Option<Self> {
        let out = reader.diagnostics();
        let input = match kind {
            SourceKind::Messages => read_subject(&mut reader),
            _ => reader.required_text("path").map(|path| Input::new(path, base)),
        };
        let mode = read_mode(&mut reader, kind);
        let format = match kind {
            SourceKind::Csv => read_delimiter(&mut reader),
            SourceKind::JsonLines => Some(Format::Json),
            SourceKind::Messages => read_encoding(&mut reader),
        };
        let time = match reader.optional("time") {
            Some(node) => read_time(node, out).map(Some),
            None if mode == Some(Mode::Replay) => {
                let message = "a replayed source has no `time`";
                out.error(
                    reader.place(),
                    message,
                    "name the column that holds it, as in `time: { column: time }`",
                );
                None
            }
            None => Some(None),
        };
        let object = reader.required("object").and_then(|node| read_object(node, out));
        let missing = match reader.list("missing") {
            Some(items) => {
                items.iter().filter_map(|item| scalar_text(item, "a missing value", out)).collect()
            }
            None => vec!["".into()],
        };
        let observations = read_observations(&mut reader);
        reader.finish();
        Some(Self {
            name,
            format: format?,
            input: input?,
            mode: mode?,
            time: time?,
            object: object?,
            missing,
            observations: observations?,
        })
    }
}

/// `subject` and `group`.
fn read_subject(reader: &mut Reader<'_>) -> Option<Input> {
    let out = reader.diagnostics();
    let place = reader.place();
    let node = reader.required("subject");
    let group = reader.text("group").map(Box::from);
    if group.as_deref().is_some_and(|group: &str| !is_word(group)) {
        out.error(place, "`group` is no name", "write one word without spaces");
        return None;
    }
    let node = node?;
    let subject = text(node, "`subject`", out)?;
    let is_wild = |word: &str| word.contains(['*', '>']);
    let words: Vec<&str> = subject.split('.').collect();
    let fits = |(n, word): (usize, &&str)| match *word {
        "*" => true,
        ">" => n + 1 == words.len(),
        word => is_word(word) && !is_wild(word),
    };
    if !words.iter().enumerate().all(fits) {
        let help = "write words with dots between, as in `orchard.*.weather`; `*` is any word, and `>` at the end any words";
        out.error(node.span.clone(), format!("`{subject}` is no subject"), help);
        return None;
    }
    Some(Input::Messages { subject: subject.into(), group })
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn read_encoding(reader: &mut Reader<'_>) -> Option<Format> {
    let out = reader.diagnostics();
    let Some(node) = reader.optional("format") else { return Some(Format::Json) };
    match &node.kind {
        NodeKind::Str(text) if text == "json" => Some(Format::Json),
        NodeKind::Str(text) if text == "cbor" => Some(Format::Cbor),
        _ => {
            out.error(
                node.span.clone(),
                "`format` of messages must be `json` or `cbor`",
                "`json` is the default",
            );
            None
        }
    }
}

fn read_mode(reader: &mut Reader<'_>, kind: SourceKind) -> Option<Mode> {
    let out = reader.diagnostics();
    let is_live = kind == SourceKind::Messages;
    let Some(node) = reader.optional("mode") else {
        return Some(if is_live { Mode::Live } else { Mode::Replay });
    };
    match &node.kind {
        NodeKind::Str(text) if text == "replay" && is_live => {
            let help = "take `mode` out; to play messages again, keep them as lines of JSON and read those";
            out.error(node.span.clone(), "messages come as they come: they are not replayed", help);
            None
        }
        NodeKind::Str(text) if text == "replay" => Some(Mode::Replay),
        NodeKind::Str(text) if text == "live" => Some(Mode::Live),
        _ => {
            let help = "`replay` plays a recording by its own times; `live` reads lines as they come";
            out.error(node.span.clone(), "`mode` must be `replay` or `live`", help);
            None
        }
    }
}

fn read_delimiter(reader: &mut Reader<'_>) -> Option<Format> {
    let out = reader.diagnostics();
    let Some(node) = reader.optional("delimiter") else { return Some(Format::Csv { delimiter: b',' }) };
    match &node.kind {
        NodeKind::Str(text) => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => {
                return Some(Format::Csv { delimiter: *byte });
            }
            _ => {}
        },
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::Int(_) | NodeKind::Float(_) => {}
        NodeKind::Seq(_) | NodeKind::Map(_) => {}
    }
    let help = "write it in quotes, as in `\";\"` or `\"\\t\"`";
    out.error(node.span.clone(), "`delimiter` must be one ASCII character that is no quote", help);
    None
}

fn read_time(node: &Node, out: &Diagnostics) -> Option<TimeConfig> {
    if let NodeKind::Str(_) = node.kind {
        return Some(TimeConfig { column: column(node, out)?, format: TimeFormat::default() });
    }
    let mut reader = Reader::new(node, "the time of a source", out)?;
    let column = reader.required("column").and_then(|node| column(node, out));
    let format = read_format(&mut reader);
    reader.finish();
    Some(TimeConfig { column: column?, format: format?.unwrap_or_default() })
}

/// The format where there is one; `None` where it is wrong.
#[expect(clippy::option_option, reason = "absent and wrong are not the same, and both are one step from `?`")]
fn read_format(reader: &mut Reader<'_>) -> Option<Option<TimeFormat>> {
    let out = reader.diagnostics();
    let Some(node) = reader.optional("format") else { return Some(None) };
    let text = text(node, "`format`", out)?;
    match TimeFormat::parse(text) {
        Ok(format) => Some(Some(format)),
        Err(message) => {
            let help = "write `rfc3339`, `unix`, `unix_ms`, or a pattern such as `%Y-%m-%d %H:%M`";
            out.error(node.span.clone(), message, help);
            None
        }
    }
}

fn read_object(node: &Node, out: &Diagnostics) -> Option<ObjectConfig> {
    if let NodeKind::Str(_) = node.kind {
        return Some(ObjectConfig::Column { column: column(node, out)?, map: Vec::new(), lowercase: false });
    }
    let mut reader = Reader::new(node, "the object of a source", out)?;
    let fixed = reader.optional("value");
    let column_node = if fixed.is_some() { reader.optional("column") } else { reader.required("column") };
    let lowercase = reader.boolean("lowercase").unwrap_or(false);
    let map = reader.map("map").unwrap_or_default();
    reader.finish();
    if let Some(value) = fixed {
        if column_node.is_some() {
            out.error(node.span.clone(), "an object has both `column` and `value`", "keep one of them");
        }
        let id = text(value, "`value`", out)?;
        return Some(ObjectConfig::Fixed(At { value: id.into(), span: value.span.clone() }));
    }
    let map = map.iter().filter_map(|(from, to)| {
        let id = text(to, "an object's id", out)?;
        Some((Box::from(from.text.as_str()), At { value: id.into(), span: to.span.clone() }))
    });
    Some(ObjectConfig::Column { column: column(column_node?, out)?, map: map.collect(), lowercase })
}

fn read_observations(reader: &mut Reader<'_>) -> Option<Vec<ObservationConfig>> {
    let out = reader.diagnostics();
    let node = reader.required("observations")?;
    let items = match &node.kind {
        NodeKind::Seq(items) if !items.is_empty() => items,
        _ => {
            let help = "write `- mutation: NAME` and its `args` for each";
            out.error(node.span.clone(), "`observations` must be a list with at least one item", help);
            return None;
        }
    };
    let read: Vec<_> = items.iter().map(|item| read_observation(item, out)).collect();
    read.into_iter().collect()
}

fn read_observation(node: &Node, out: &Diagnostics) -> Option<ObservationConfig> {
    let mut reader = Reader::new(node, "an observation", out)?;
    let mutation = reader.required("mutation").and_then(|node| {
        let name = text(node, "`mutation`", out)?;
        Some(At { value: Box::from(name), span: node.span.clone() })
    });
    let entries = reader.map("args").unwrap_or_default();
    reader.finish();
    let args: Vec<_> = entries.iter().map(|(key, node)| read_argument(key, node, out)).collect();
    Some(ObservationConfig { mutation: mutation?, args: args.into_iter().collect::<Option<_>>()? })
}

fn read_argument(key: &Key, node: &Node, out: &Diagnostics) -> Option<(At<Box<str>>, ArgumentConfig)> {
    let name = At { value: Box::from(key.text.as_str()), span: key.span.clone() };
    let plain = |column| ArgumentConfig::Column { column, unit: None, format: None, missing_null: None };
    match &node.kind {
        NodeKind::Str(_) => Some((name, plain(column(node, out)?))),
        NodeKind::Map(_) => Some((name, read_argument_map(node, out)?)),
        _ => {
            let message =
                format!("the argument `{}` is {}; it must name a column", key.text, node.describe());
            out.error(node.span.clone(), message, "a constant is written `{ value: … }`");
            None
        }
    }
}

fn read_argument_map(node: &Node, out: &Diagnostics) -> Option<ArgumentConfig> {
    let mut reader = Reader::new(node, "an argument", out)?;
    if let Some(value) = reader.optional("value") {
        let fixed = ArgumentConfig::Fixed(At { value: value.to_json(), span: value.span.clone() });
        reader.finish();
        return Some(fixed);
    }
    let column = reader.required("column").and_then(|node| column(node, out));
    let unit = reader.optional("unit").map(|node| read_unit(node, out));
    let format = read_format(&mut reader);
    let missing_null = reader.optional("missing").and_then(|node| match &node.kind {
        NodeKind::Null => Some(node.span.clone()),
        NodeKind::Str(text) if text == "skip" => None,
        _ => {
            let help = "`null` gives null; without it the observation is left out";
            out.error(node.span.clone(), "`missing` of an argument must be `null` or `skip`", help);
            None
        }
    });
    reader.finish();
    let unit = match unit {
        Some(unit) => Some(unit?),
        None => None,
    };
    Some(ArgumentConfig::Column { column: column?, unit, format: format?, missing_null })
}

fn read_unit(node: &Node, out: &Diagnostics) -> Option<At<Box<str>>> {
    let unit = text(node, "`unit`", out)?;
    if let Err(error) = units::check(unit) {
        out.error(
            node.span.clone(),
            error.to_string(),
            "write it as UCUM does, as in `Cel`, `m/s` or `[degF]`",
        );
        return None;
    }
    Some(At { value: unit.into(), span: node.span.clone() })
}

fn column(node: &Node, out: &Diagnostics) -> Option<At<Box<str>>> {
    let name = text(node, "a column", out)?;
    Some(At { value: name.into(), span: node.span.clone() })
}

fn text<'a>(node: &'a Node, what: &str, out: &Diagnostics) -> Option<&'a str> {
    if let NodeKind::Str(text) = &node.kind {
        return Some(text);
    }
    out.error(
        node.span.clone(),
        format!("{what} is {}; it must be a text", node.describe()),
        "put it in quotes",
    );
    None
}

/// A text, also where it was written as an integer: `-999` is a common mark for what is missing.
fn scalar_text(node: &Node, what: &str, out: &Diagnostics) -> Option<Box<str>> {
    match node.kind {
        NodeKind::Int(value) => Some(value.to_string().into()),
        _ => text(node, what, out).map(Into::into),
    }
}

/// `did you mean …?` where a name comes close, else all of them.
pub(crate) fn suggestion<'c>(
    name: &str,
    names: impl IntoIterator<Item = &'c str> + Clone,
    what: &str,
) -> String {
    if let Some(near) = nearest(name, names.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<_> = names.into_iter().take(21).map(|n| format!("`{n}`")).collect();
    match all.as_slice() {
        [] => format!("there are no {what}"),
        [one] => format!("there is only {one}"),
        [first @ .., _] if all.len() > 20 => format!("the {what} are {} and others", first.join(", ")),
        [first @ .., last] => format!("the {what} are {} and {last}", first.join(", ")),
    }
}
