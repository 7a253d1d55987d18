//! Diagnostics of what people wrote: with the lines they are about for people, as an array for programs.

use std::fmt;

use abide_core::document::{Diagnostic, Severity, line_column};
use abide_host::manifest::Report;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};
use serde_json::{Value as Json, json};

use crate::output;

/// Widest text of a message before it is folded.
const WIDTH: usize = 110;
/// Longest line that is shown whole; of a longer one, the part around the place.
const LINE_BYTES_MAX: usize = 240;

/// Every diagnostic of a file, as people read them.
pub(crate) fn render(report: &Report, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_context_lines(1).with_links(false);
    let mut text = String::new();
    for diagnostic in &report.diagnostics {
        let shown = Shown { diagnostic, excerpt: excerpt(report, diagnostic) };
        // Writing to a string fails only where a place lies outside its text; the message then stands alone.
        if handler.render_report(&mut text, &shown).is_err() {
            text += &format!("{}: {}\n", report.file, diagnostic.message);
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// Every diagnostic of some files, as programs read them.
pub(crate) fn to_json(reports: &[Report]) -> Json {
    let all =
        reports.iter().flat_map(|report| report.diagnostics.iter().map(move |d| diagnostic_json(report, d)));
    Json::Array(all.collect())
}

/// How many errors and how many warnings there are.
pub(crate) fn count(reports: &[Report]) -> (usize, usize) {
    let all = || reports.iter().flat_map(|report| &report.diagnostics);
    let errors = all().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    (errors, all().count() - errors)
}

/// So many errors and warnings, in words.
pub(crate) fn counted(errors: usize, warnings: usize) -> String {
    let each = [(errors, "error"), (warnings, "warning")].into_iter().filter(|(n, _)| *n > 0);
    let words = each.map(|(n, what)| output::counted(u64::try_from(n).unwrap_or(u64::MAX), what));
    words.collect::<Vec<_>>().join(", ")
}

fn diagnostic_json(report: &Report, diagnostic: &Diagnostic) -> Json {
    let place = diagnostic.span.as_ref().map(|span| line_column(&report.text, span.start));
    json!({
        "file": report.file,
        "line": place.map(|(line, _)| line),
        "column": place.map(|(_, column)| column),
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": diagnostic.message,
        "help": diagnostic.help,
    })
}

/// A diagnostic as the renderer takes it.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    excerpt: Option<Excerpt<'a>>,
}

/// The lines around a place. The renderer would look through the whole text for each diagnostic; this does not, and cuts
/// lines that are very long.
#[derive(Debug)]
struct Excerpt<'a> {
    file: &'a str,
    /// The lines that are shown, without characters that would steer a terminal.
    shown: String,
    /// Where they begin in the text, and the number of the first, from 0.
    start: (usize, usize),
    /// What is pointed at: bytes of the text, within the lines shown, on one line.
    label: (usize, usize),
    /// The line and the column of the place, from 0.
    place: (usize, usize),
}

fn excerpt<'a>(report: &'a Report, diagnostic: &Diagnostic) -> Option<Excerpt<'a>> {
    let text = report.text.as_str();
    let span = diagnostic.span.clone()?;
    let at = text.floor_char_boundary(span.start.min(text.len()));
    let (line, column) = line_column(text, at);
    let line_start = text.get(..at)?.rfind('\n').map_or(0, |n| n + 1);
    let line_end = text.get(at..)?.find('\n').map_or(text.len(), |n| at + n);
    let end = text.floor_char_boundary(span.end.clamp(at, line_end).min(at + LINE_BYTES_MAX));
    let before = text.get(..line_start.saturating_sub(1))?.rfind('\n').map_or(0, |n| n + 1);
    let after = text
        .get(line_end..)?
        .get(1..)
        .and_then(|rest| Some(line_end + 1 + rest.find('\n')?))
        .unwrap_or(text.len());
    let (start, stop, first) = if after - before <= 3 * LINE_BYTES_MAX {
        (before, after, line.saturating_sub(if before < line_start { 2 } else { 1 }))
    } else {
        let from = text.ceil_char_boundary(line_start.max(at.saturating_sub(LINE_BYTES_MAX / 3)));
        (from, text.floor_char_boundary(line_end.min(from + LINE_BYTES_MAX).max(end)), line.saturating_sub(1))
    };
    Some(Excerpt {
        file: &report.file,
        shown: plain(text.get(start..stop)?),
        start: (start, first),
        label: (at, end - at),
        place: (line.saturating_sub(1), column.saturating_sub(1)),
    })
}

/// The same text, byte for byte as long, with spaces for control characters.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .collect()
}

impl SourceCode for Excerpt<'_> {
    fn read_span<'s>(
        &'s self,
        _span: &SourceSpan,
        context_lines_before: usize,
        _context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'s> + 's>, MietteError> {
        // Without context, the renderer asks for the place that stands in the heading.
        let (data, span, line, column) = if context_lines_before == 0 {
            let from = self.label.0 - self.start.0;
            let data = self.shown.get(from..from + self.label.1).unwrap_or_default();
            (data, self.label, self.place.0, self.place.1)
        } else {
            (self.shown.as_str(), (self.start.0, self.shown.len()), self.start.1, 0)
        };
        let lines = data.matches('\n').count() + 1;
        let (data, file) = (data.as_bytes(), self.file.to_owned());
        Ok(Box::new(MietteSpanContents::new_named(file, data, span.into(), line, column, lines)))
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.diagnostic.message))
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'s>(&'s self) -> Option<Box<dyn fmt::Display + 's>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.excerpt.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(excerpt.label))))
    }
}
