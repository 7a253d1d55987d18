//! `new`: a working object to start from.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide new tank
  abide run tank";

/// Make a working object to start from
///
/// A folder with a schema, a manifest and a day of data: `check` and `run` take it as it is.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct New {
    /// The folder to make; its last part names the object
    #[arg(value_name = "NAME")]
    folder: PathBuf,
}

const SCHEMA: &str = include_str!("new/schema.yaml");
const APPLICATION: &str = include_str!("new/app.yaml");
const README: &str = include_str!("new/README.md");
/// What stands for the name in the files above.
const PLACEHOLDER: &str = "NAME";

impl New {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let name = name_of(&self.folder)?;
        let taken = fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_some());
        if taken || self.folder.is_file() {
            return Err(CommandError::environment(format!("`{}` is there already", self.folder.display()))
                .help("choose another name, or move it away"));
        }
        let files = [
            ("app.yaml".to_owned(), APPLICATION.replace(PLACEHOLDER, name)),
            (format!("{name}.yaml"), SCHEMA.replace(PLACEHOLDER, name)),
            ("readings.csv".to_owned(), readings()),
            ("README.md".to_owned(), README.replace(PLACEHOLDER, name)),
        ];
        fs::create_dir_all(&self.folder)
            .map_err(|error| CommandError::file("create", &self.folder, &error))?;
        for (file, text) in &files {
            let path = self.folder.join(file);
            fs::write(&path, text).map_err(|error| CommandError::file("write", &path, &error))?;
        }
        let out = &mut context.out;
        let shown = self.folder.display();
        if out.json() {
            let names: Vec<_> = files.iter().map(|(file, _)| file).collect();
            out.json_pretty(&json!({ "folder": shown.to_string(), "name": name, "files": names }))?;
            return Ok(Answer::Yes);
        }
        out.line(format_args!("made `{shown}`: {}", files.map(|(file, _)| file).join(", ")))?;
        if !out.quiet() {
            out.line("")?;
            out.line("what to do next:")?;
            out.line(format_args!("  abide check {shown}"))?;
            out.line(format_args!("  abide run {shown}"))?;
        }
        Ok(Answer::Yes)
    }
}

/// The name in the last part of a path.
fn name_of(folder: &Path) -> Result<&str, CommandError> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut bytes = name.bytes();
    let is_name = name.len() <= 64
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if is_name {
        return Ok(name);
    }
    Err(CommandError::usage(format!("`{name}` cannot name an object"))
        .help("use lower-case letters, digits, `_` and `-`, at most 64, beginning with a letter"))
}

/// A day of readings every ten minutes: rain fills a tank in two bursts, and for two hours the gauge is silent.
fn readings() -> String {
    const STEP_MINUTES: usize = 10;
    // Until that minute of the day, the level changes by so many millimetres a step.
    const WEATHER: [(usize, i32); 6] =
        [(120, -5), (420, 55), (600, -120), (840, -2), (1080, 70), (1440, -40)];
    let mut text = String::from("time,level\n");
    let mut level: i32 = 1_000;
    for minutes in (0..24 * 60).step_by(STEP_MINUTES) {
        level += WEATHER.iter().find(|(until, _)| minutes < *until).map_or(0, |(_, change)| *change);
        let is_silent = (600..720).contains(&minutes);
        if !is_silent {
            let (metres, rest) = (level / 1000, level % 1000);
            text += &format!("2026-03-01T{:02}:{:02}:00Z,{metres}.{rest:03}\n", minutes / 60, minutes % 60);
        }
    }
    text
}
