//! What a command writes, and how: text or JSON to standard output, what went wrong to standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value as Json;

use crate::error::CommandError;

/// Whether output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    fn on(self, is_terminal: bool) -> bool {
        let refused = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => is_terminal && !refused() && !dumb(),
        }
    }
}

/// Where a command writes.
#[derive(Debug)]
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool, color: ColorChoice) -> Self {
        Self {
            out: BufWriter::new(io::stdout()),
            json,
            quiet,
            color_out: color.on(io::stdout().is_terminal()),
            color_err: color.on(io::stderr().is_terminal()),
        }
    }

    /// Whether it is for a program.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether only the answer itself is wanted.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether standard output has colours.
    pub(crate) fn color_out(&self) -> bool {
        self.color_out
    }

    /// Whether standard error has colours.
    pub(crate) fn color_err(&self) -> bool {
        self.color_err
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), CommandError> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// A text as it stands.
    pub(crate) fn text(&mut self, text: impl Display) -> Result<(), CommandError> {
        Ok(write!(self.out, "{text}")?)
    }

    /// Bytes as they stand.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        Ok(self.out.write_all(bytes)?)
    }

    /// A JSON value on a line of its own.
    pub(crate) fn json_line(&mut self, value: &Json) -> Result<(), CommandError> {
        self.line(value)
    }

    /// A JSON value, laid out for reading.
    pub(crate) fn json_pretty(&mut self, value: &Json) -> Result<(), CommandError> {
        self.line(format_args!("{value:#}"))
    }

    /// Rows in columns under a header. Columns whose number is in `right` stand to the right.
    pub(crate) fn table(
        &mut self,
        header: &[&str],
        right: &[usize],
        rows: Vec<Vec<String>>,
    ) -> Result<(), CommandError> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // A line that is cut to the width of a terminal is for people; whatever else reads it gets it whole.
        let arrangement = if io::stdout().is_terminal() {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        };
        table.set_content_arrangement(arrangement);
        table.set_header(header.iter().map(|name| self.strong(name)));
        table.add_rows(rows);
        for column in right {
            if let Some(column) = table.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let shown = table.to_string();
        for line in shown.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Text that leads.
    pub(crate) fn strong(&self, text: impl Display) -> String {
        painted(self.color_out, Style::new().bold(), text)
    }

    /// Text that is good news.
    pub(crate) fn good(&self, text: impl Display) -> String {
        painted(self.color_out, AnsiColor::Green.on_default(), text)
    }

    /// Text that is bad news.
    pub(crate) fn bad(&self, text: impl Display) -> String {
        painted(self.color_out, AnsiColor::Red.on_default(), text)
    }

    /// Text that stands back.
    pub(crate) fn faint(&self, text: impl Display) -> String {
        painted(self.color_out, Style::new().dimmed(), text)
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), CommandError> {
        Ok(self.out.flush()?)
    }
}

/// Says on standard error why a command failed.
pub(crate) fn report(error: &CommandError, json: bool, color: ColorChoice) {
    let mut err = io::stderr().lock();
    // When standard error is gone as well, there is nobody left to tell.
    let _ = if json {
        writeln!(err, "{}", error.to_json())
    } else {
        let on = color.on(io::stderr().is_terminal());
        let head = painted(on, AnsiColor::Red.on_default().bold(), "error:");
        let help = error
            .help
            .as_ref()
            .map(|help| format!("\n  {} {help}", painted(on, AnsiColor::Cyan.on_default(), "help:")));
        writeln!(err, "{head} {}{}", error.message, help.unwrap_or_default())
    };
}

/// Says something on standard error that is no failure.
pub(crate) fn remark(text: impl Display) {
    // Remarks are a courtesy: a standard error that is gone stops nothing.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// So many of something: `1 object`, `3 objects`.
pub(crate) fn counted(n: impl Into<u64>, what: &str) -> String {
    let n = n.into();
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn painted(on: bool, style: Style, text: impl Display) -> String {
    if on { format!("{style}{text}{style:#}") } else { text.to_string() }
}
