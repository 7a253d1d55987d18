//! `new`: a working object to start from.

mod behaviour;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::error::{Answer, CommandError};
use behaviour::Language;

const EXAMPLES: &str = "\
Examples:
  abide new tank
  abide run tank
  abide new tank --behaviour rust
  sh tank/behaviour/build.sh && abide test tank/tank.test.yaml";

/// Make a working object to start from
///
/// A folder with a schema, a manifest and a day of data: `check` and `run` take it as it is. With `--behaviour`, also a project
/// for a component that decides when to act, a script that builds it, and scenarios that it is held against.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct New {
    /// The folder to make; its last part names the object
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// Add a behaviour in that language
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    behaviour: Option<Language>,
    /// The folder of the crate `abide-sdk`, for a behaviour in Rust; without it, the one that this program was built beside
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

const SCHEMA: &str = include_str!("new/schema.yaml");
const APPLICATION: &str = include_str!("new/app.yaml");
const README: &str = include_str!("new/README.md");
/// What stands for the name in the files above.
const PLACEHOLDER: &str = "NAME";
/// What stands for the component in the manifest.
const IMAGE: &str = "IMAGE";

impl New {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let name = name_of(&self.folder)?;
        let taken = fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_some());
        if taken || self.folder.is_file() {
            return Err(CommandError::environment(format!("`{}` is there already", self.folder.display()))
                .help("choose another name, or move it away"));
        }
        let component = self.behaviour.map_or_else(String::new, |_| format!("image: file://./{name}.wasm, "));
        let mut files = vec![
            ("app.yaml".to_owned(), APPLICATION.replace(IMAGE, &component)),
            (format!("{name}.yaml"), SCHEMA.to_owned()),
            ("readings.csv".to_owned(), readings()),
            ("README.md".to_owned(), README.to_owned()),
        ];
        for (_, text) in &mut files {
            *text = text.replace(PLACEHOLDER, name);
        }
        if let Some(language) = self.behaviour {
            behaviour::add(language, name, self.sdk.as_deref(), &mut files)?;
        } else if self.sdk.is_some() {
            return Err(CommandError::usage("`--sdk` is for a behaviour in Rust"));
        }
        for (file, text) in &files {
            let path = self.folder.join(file);
            let parent = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(parent).map_err(|error| CommandError::file("create", parent, &error))?;
            fs::write(&path, text).map_err(|error| CommandError::file("write", &path, &error))?;
        }
        let out = &mut context.out;
        let shown = self.folder.display();
        if out.json() {
            let names: Vec<_> = files.iter().map(|(file, _)| file).collect();
            out.json_pretty(&json!({ "folder": shown.to_string(), "name": name, "files": names }))?;
            return Ok(Answer::Yes);
        }
        let names: Vec<_> = files.into_iter().map(|(file, _)| file).collect();
        out.line(format_args!("made `{shown}`: {}", names.join(", ")))?;
        if !out.quiet() {
            out.line("")?;
            out.line("what to do next:")?;
            if self.behaviour.is_some() {
                out.line(format_args!("  sh {shown}/behaviour/build.sh"))?;
                out.line(format_args!("  abide test {shown}/{name}.test.yaml"))?;
            }
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
    // The schema would take the manifest's file, or YAML read the name as something else.
    if ["app", "null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&name) {
        return Err(CommandError::usage(format!("`{name}` cannot name an object"))
            .help("choose another name: this one means something else in a manifest"));
    }
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
