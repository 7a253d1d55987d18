//! From text to nodes: bounded in size, depth, nodes and what aliases expand to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::{Diagnostic, Diagnostics, Key, Node, NodeKind, line_column, scalar};

/// Most bytes of a document.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most levels of lists and mappings.
pub const DEPTH_MAX: usize = 64;
/// Most nodes of a document, those that aliases repeat included.
pub const NODES_MAX: usize = 100_000;
/// Most bytes of all scalars, those that aliases repeat included.
const SCALAR_BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

/// Reads one YAML 1.2 document (core schema; JSON is a subset) within [`TEXT_BYTES_MAX`], [`DEPTH_MAX`] and
/// [`NODES_MAX`]. Keys are strings, each once in its mapping. Tags and further documents are refused.
///
/// # Errors
/// Everything that is wrong with it, by place. What follows a fault in the syntax is not looked at.
pub fn parse(text: &str) -> Result<Node, Vec<Diagnostic>> {
    let out = Diagnostics::default();
    match read(text, &out) {
        Some(node) if out.is_empty() => Ok(node),
        _ => Err(out.into_sorted()),
    }
}

/// As [`parse`], with what is wrong going into `out`. The document is given wherever it can be made out, so that a reader
/// can say what else is wrong with it: of a key that is there twice the first stays.
#[must_use]
pub fn read(text: &str, out: &Diagnostics) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the text has {} bytes; at most {TEXT_BYTES_MAX} are read", text.len());
        out.error(0..0, message, "split it, or leave out what is not needed");
        return None;
    }
    if let Some((at, c)) =
        text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
    {
        let message = format!("the text holds the control character U+{:04X}", u32::from(c));
        out.error(at..at + c.len_utf8(), message, "take it out, or write it as an escape in double quotes");
        return None;
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        text,
        places: Places::new(body, text.len() - body.len()),
        events: Parser::new_from_str(body),
        anchors: BTreeMap::new(),
        used: Size::default(),
        out,
    };
    builder.document().map_err(|fatal| out.push(fatal)).ok()
}

/// What a node and all below it take.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    height: usize,
}

struct Builder<'a> {
    text: &'a str,
    places: Places<'a>,
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, (Node, Size)>,
    used: Size,
    out: &'a Diagnostics,
}

type Place = Range<usize>;
type Step<T> = Result<T, Diagnostic>;

impl<'a> Builder<'a> {
    fn document(&mut self) -> Step<Node> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => {
                    let error = Diagnostic::error(place, "the text holds more than one document");
                    return Err(error.help("keep one, and put the others into files of their own"));
                }
                event => root = Some(self.node(event, place, 0)?.0),
            }
        }
        Ok(root.unwrap_or(Node { span: 0..0, kind: NodeKind::Null }))
    }

    fn next(&mut self) -> Step<(Event<'a>, Place)> {
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                let start = self.places.byte(span.start.index());
                let end = self.places.byte(span.end.index()).max(start);
                Ok((event, start..end))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = self.places.byte(error.marker().index());
        let info = error.info();
        if info.contains("recursion limit") {
            return too_deep(at..at);
        }
        let help = if info.contains("unknown anchor") {
            "name an anchor (`&name`) that stands above, or quote a text that begins with `*`"
        } else if info.contains("escape code") {
            "write the character itself; surrogate pairs are not read"
        } else if info.contains("tabs") {
            "indent with spaces"
        } else {
            "check indentation, brackets and quotes here and just above; quote a text that holds `: `, ` #` or a bracket"
        };
        Diagnostic::error(at..at, format!("this is not YAML: {info}")).help(help)
    }

    /// The node that begins with `event`, and what it takes.
    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Step<(Node, Size)> {
        if depth > DEPTH_MAX {
            return Err(too_deep(place));
        }
        let (anchor, (node, size)) = match event {
            Event::Alias(id) => return self.alias(id, place, depth),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &place);
                (anchor, self.scalar(text, style, place)?)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &place);
                (anchor, self.sequence(place, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &place);
                (anchor, self.mapping(place, depth)?)
            }
            _ => return Err(Diagnostic::error(place, "this is not YAML: a value is missing")),
        };
        if anchor > 0 {
            // The copy that waits for its aliases counts as well, so that nested anchors stay bounded.
            self.take(size, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok((node, size))
    }

    fn alias(&mut self, id: usize, place: Place, depth: usize) -> Step<(Node, Size)> {
        let Some(size) = self.anchors.get(&id).map(|(_, size)| *size) else {
            let error = Diagnostic::error(place, "the alias stands inside what it names");
            return Err(error.help("write the value out"));
        };
        if depth + size.height > DEPTH_MAX {
            return Err(too_deep(place));
        }
        self.take(size, &place)?;
        let kind = self.anchors.get(&id).map_or(NodeKind::Null, |(node, _)| node.kind.clone());
        Ok((Node { span: place, kind }, size))
    }

    fn scalar(&mut self, text: Cow<'a, str>, style: ScalarStyle, place: Place) -> Step<(Node, Size)> {
        let size = Size { nodes: 1, bytes: text.len(), height: 0 };
        self.take(size, &place)?;
        let raw = self.text.get(place.clone()).unwrap_or_default();
        let span = place.start..place.start + scalar::length(raw);
        let kind = if style == ScalarStyle::Plain {
            scalar::resolve(&text).unwrap_or_else(|(message, help)| {
                self.out.error(place.clone(), message, help);
                NodeKind::Null
            })
        } else {
            NodeKind::Str(text.into_owned())
        };
        Ok((Node { span, kind }, size))
    }

    fn sequence(&mut self, start: Place, depth: usize) -> Step<(Node, Size)> {
        let mut size = self.open(&start)?;
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                let span = self.trimmed(start.start..place.end);
                return Ok((Node { span, kind: NodeKind::Seq(items) }, size));
            }
            let (item, below) = self.node(event, place, depth + 1)?;
            size.add_below(below);
            items.push(item);
        }
    }

    fn mapping(&mut self, start: Place, depth: usize) -> Step<(Node, Size)> {
        let mut size = self.open(&start)?;
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut first: BTreeMap<String, Place> = BTreeMap::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                let span = self.trimmed(start.start..place.end);
                return Ok((Node { span, kind: NodeKind::Map(entries) }, size));
            }
            let (key, below) = self.node(event, place, depth + 1)?;
            size.add_below(below);
            let (event, place) = self.next()?;
            let (value, below) = self.node(event, place, depth + 1)?;
            size.add_below(below);
            if let Some(key) = self.key(key, &mut first) {
                entries.push((key, value));
            }
        }
    }

    /// The key of an entry, unless it is no string or was there before.
    fn key(&self, node: Node, first: &mut BTreeMap<String, Place>) -> Option<Key> {
        let NodeKind::Str(text) = node.kind else {
            let raw = self.text.get(node.span.clone()).unwrap_or_default();
            let message = format!("the key `{}` is {}; keys are texts", raw.trim(), node.describe());
            self.out.error(
                node.span,
                message,
                "put it in quotes, or the whole expression if a comma cut it off",
            );
            return None;
        };
        if let Some(before) = first.get(&text) {
            let (line, column) = line_column(self.text, before.start);
            let message = format!("the key `{text}` is here twice: first in line {line}, column {column}");
            self.out.error(node.span, message, "keep one of the two");
            return None;
        }
        first.insert(text.clone(), node.span.clone());
        Some(Key { span: node.span, text })
    }

    fn refuse_tag(&self, tag: Option<&Tag>, place: &Place) {
        if let Some(tag) = tag {
            let message = format!("the tag `{tag}` is not read");
            self.out.error(place.clone(), message, "leave it out; quotes make a text of any value");
        }
    }

    fn open(&mut self, place: &Place) -> Step<Size> {
        self.take(Size { nodes: 1, bytes: 0, height: 0 }, place)?;
        Ok(Size { nodes: 1, bytes: 0, height: 1 })
    }

    /// Counts what was read or repeated, and refuses it past the bounds.
    fn take(&mut self, size: Size, place: &Place) -> Step<()> {
        self.used.nodes = self.used.nodes.saturating_add(size.nodes);
        self.used.bytes = self.used.bytes.saturating_add(size.bytes);
        if self.used.nodes <= NODES_MAX && self.used.bytes <= SCALAR_BYTES_MAX {
            return Ok(());
        }
        let message = if self.anchors.is_empty() {
            format!("the text holds more than {NODES_MAX} values")
        } else {
            format!(
                "with its aliases the text holds more than {NODES_MAX} values or {SCALAR_BYTES_MAX} bytes"
            )
        };
        Err(Diagnostic::error(place.clone(), message).help("split it, or write fewer aliases"))
    }

    /// The place without the white space after it, which the scanner counts in.
    fn trimmed(&self, place: Place) -> Place {
        let raw = self.text.get(place.clone()).unwrap_or_default();
        place.start..place.start + raw.trim_end().len()
    }
}

fn too_deep(place: Place) -> Diagnostic {
    Diagnostic::error(place, format!("lists and mappings are nested more than {DEPTH_MAX} deep"))
        .help("flatten it")
}

impl Size {
    fn add_below(&mut self, below: Self) {
        self.nodes = self.nodes.saturating_add(below.nodes);
        self.bytes = self.bytes.saturating_add(below.bytes);
        self.height = self.height.max(below.height + 1);
    }
}

/// From places counted in characters, as the scanner has them, to bytes.
struct Places<'a> {
    body: &'a str,
    before: usize,
    /// The byte of every [`STRIDE`]th character; empty when all are ASCII.
    marks: Vec<usize>,
}

const STRIDE: usize = 64;

impl<'a> Places<'a> {
    fn new(body: &'a str, before: usize) -> Self {
        let marks = if body.is_ascii() {
            Vec::new()
        } else {
            body.char_indices().step_by(STRIDE).map(|(at, _)| at).collect()
        };
        Self { body, before, marks }
    }

    fn byte(&self, character: usize) -> usize {
        let at = if self.marks.is_empty() {
            character
        } else {
            let mark = self.marks.get(character / STRIDE).copied().unwrap_or(self.body.len());
            let rest = self.body.get(mark..).unwrap_or_default();
            rest.char_indices().nth(character % STRIDE).map_or(self.body.len(), |(at, _)| mark + at)
        };
        at.min(self.body.len()) + self.before
    }
}
