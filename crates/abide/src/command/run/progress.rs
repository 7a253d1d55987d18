//! What a run tells while it goes on: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use abide_core::guest::Level;
use abide_core::time::Timestamp;
use abide_host::manifest::Application;
use abide_host::run::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::output::{counted, remark};

/// How often a plain line tells how far it has come.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How often the bar is drawn.
const DRAWS_PER_SECOND: u8 = 10;

/// Tells how a run goes on.
pub(super) struct Teller {
    how: How,
    quiet: bool,
    application: String,
    folder: String,
    objects: usize,
    total: Option<usize>,
    ticks: u64,
    acts: usize,
    denials: usize,
    time: Option<Timestamp>,
    remaining: Option<usize>,
    said_at: Instant,
}

enum How {
    Bar(ProgressBar),
    Lines,
    Json,
}

impl Teller {
    pub(super) fn new(context: &Context, application: &Application, folder: &Path) -> Self {
        let (json, quiet) = (context.out.json(), context.out.quiet());
        let how = match (json, quiet || !io::stderr().is_terminal()) {
            (true, _) => How::Json,
            (false, true) => How::Lines,
            (false, false) => How::Bar(ProgressBar::with_draw_target(
                None,
                ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND),
            )),
        };
        let version = application.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        Self {
            how,
            quiet,
            application: format!("{}{version}", application.name),
            folder: folder.display().to_string(),
            objects: application.objects.iter().map(|component| component.objects.len()).sum(),
            total: None,
            ticks: 0,
            acts: 0,
            denials: 0,
            time: None,
            remaining: None,
            said_at: Instant::now(),
        }
    }

    /// Takes in what the run tells, and says of it what is due.
    pub(super) fn take(&mut self, progress: Progress) {
        match progress {
            Progress::Started { recovered, remaining } => self.started(recovered.existed, remaining),
            Progress::Tick { tick, time, records, acts, denials, remaining } => {
                self.ticks += 1;
                self.acts += acts;
                self.denials += denials;
                self.time = Some(time);
                self.remaining = remaining;
                if self.ticks == 1 && matches!(self.how, How::Json) {
                    let remaining = remaining.map_or(Json::Null, Json::from);
                    json_line(
                        &json!({ "event": "tick", "tick": tick, "time": time.to_string(), "records": records, "remaining": remaining }),
                    );
                }
                self.ticked();
            }
            Progress::Line(problem) => self.say(&format!("skipped {}", problem.with_help())),
            Progress::SourceEnded { source, failure: None } => {
                self.say(&format!("the source `{source}` has ended"));
            }
            Progress::SourceEnded { source, failure: Some(why) } => {
                self.say(&format!("the source `{source}` failed: {why}"));
            }
            Progress::Late(late) => {
                if self.said_at.elapsed() >= LINE_EVERY {
                    self.said_at = Instant::now();
                    self.say(&format!("{late} ticks came late so far"));
                }
            }
            Progress::Log { object, line } => {
                let message = printable(&line.message);
                if matches!(self.how, How::Json) {
                    let level = line.level.to_string();
                    json_line(
                        &json!({ "event": "log", "object": &*object, "level": level, "message": line.message }),
                    );
                } else if line.level >= Level::Info {
                    self.say(&format!("{object}: {}: {message}", line.level));
                }
            }
            Progress::Note(note) => self.say(&note),
        }
    }

    /// Leaves the terminal as it was. How many readings were taken, of a replay.
    pub(super) fn finish(&mut self) -> Option<usize> {
        match &self.how {
            How::Bar(bar) => bar.finish_and_clear(),
            How::Lines if !self.quiet && self.ticks > 0 => remark(self.status()),
            How::Lines | How::Json => {}
        }
        self.total.zip(self.remaining).map(|(total, remaining)| total.saturating_sub(remaining))
    }

    fn started(&mut self, existed: bool, remaining: Option<usize>) {
        (self.total, self.remaining) = (remaining, remaining);
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let objects = counted(number(self.objects), "object");
        let head = match (existed, remaining) {
            (true, Some(0)) => format!("{}: everything was taken already", self.application),
            (true, _) => format!("{}: going on with {objects}", self.application),
            (false, _) => format!("{}: {objects}", self.application),
        };
        let readings = remaining
            .filter(|n| *n > 0)
            .map_or_else(String::new, |n| format!(", {} to take", counted(number(n), "reading")));
        let in_real_time = if remaining.is_none() { ", in real time; Ctrl-C stops it" } else { "" };
        match &self.how {
            How::Json => json_line(&json!({
                "event": "started",
                "application": self.application,
                "data_dir": self.folder,
                "objects": self.objects,
                "resumed": existed,
                "remaining": remaining,
            })),
            How::Bar(_) | How::Lines if self.quiet => {}
            How::Bar(_) | How::Lines => {
                remark(format_args!("{head}{readings}{in_real_time}\ndata folder: {}", self.folder));
            }
        }
        if let How::Bar(bar) = &self.how {
            match remaining.filter(|n| *n > 0).map(number) {
                Some(total) => {
                    bar.set_length(total);
                    bar.set_style(style("{bar:32} {pos}/{len} readings  {msg}"));
                }
                None => bar.set_style(style("{spinner} {msg}")),
            }
        }
    }

    fn ticked(&mut self) {
        match &self.how {
            How::Bar(bar) => {
                // The bar draws ten times a second at most; texts are only made when it may.
                if self.ticks == 1 || self.said_at.elapsed() >= LINE_EVERY / u32::from(DRAWS_PER_SECOND) {
                    self.said_at = Instant::now();
                    let done = self
                        .total
                        .zip(self.remaining)
                        .map_or(0, |(total, remaining)| total.saturating_sub(remaining));
                    bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
                    bar.set_message(self.counts());
                    bar.tick();
                }
            }
            How::Lines if !self.quiet && self.said_at.elapsed() >= LINE_EVERY => {
                self.said_at = Instant::now();
                remark(self.status());
            }
            How::Lines | How::Json => {}
        }
    }

    /// How far it has come, in a line.
    fn status(&self) -> String {
        let readings = self.total.zip(self.remaining).map_or_else(
            || format!("{} ticks", self.ticks),
            |(total, remaining)| format!("{}/{total} readings", total.saturating_sub(remaining)),
        );
        format!("{readings}  {}", self.counts())
    }

    fn counts(&self) -> String {
        let time = self.time.map(|time| time.to_string()).unwrap_or_default();
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        format!("{time}  {}  {}", counted(number(self.acts), "act"), counted(number(self.denials), "denial"))
    }

    fn say(&self, text: &str) {
        match &self.how {
            How::Bar(bar) => bar.suspend(|| remark(text)),
            How::Lines => remark(text),
            How::Json => json_line(&json!({ "event": "note", "message": text })),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A line for a program that reads along. When it has gone, the run goes on all the same: what it records matters more.
fn json_line(value: &Json) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// A guest's words as a terminal may have them: without what would move its cursor or change its colours.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
