//! What can go wrong in a command, classified once: its exit code, what to say, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use abide_host::HostError;
use abide_host::ask::AskError;
use abide_host::backtest::BacktestError;
use abide_host::behaviour::BehaviourError;
use abide_host::bundle::ExportError;
use abide_host::history::ReplayError;
use abide_host::keys::KeysError;
use abide_host::local::LocalError;
use abide_host::run::RunError;
use abide_host::source::SourceError;
use abide_host::why::WhyError;
use serde_json::{Value as Json, json};

/// What a command came to, when it could do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Exit code 0.
    Yes,
    /// Exit code 1: denied, not verified, errors found. The command has said so.
    No,
}

impl Answer {
    /// Yes where it holds.
    pub(crate) fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// Which of the exit codes.
    pub(crate) kind: ErrorKind,
    /// What is wrong: lower case, input in backticks.
    pub(crate) message: String,
    /// What to do, where the message does not say it.
    pub(crate) help: Option<String>,
}

/// The class of an error, which is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Exit code 1: what was given holds errors.
    Refused,
    /// Exit code 2: the command was used wrongly, or names what is not there.
    Usage,
    /// Exit code 3: a file, a key, the store or the disk is not as it must be.
    Environment,
    /// Whoever read the output has gone: nothing is said, and the exit code is 0.
    Unheard,
}

impl CommandError {
    /// Something was given that holds errors.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, message: message.into(), help: None }
    }

    /// The command was used wrongly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into(), help: None }
    }

    /// What surrounds the command is not as it must be.
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Environment, message: without_numbers(message.into()), help: None }
    }

    /// An operation on a file failed.
    pub(crate) fn file(operation: &str, path: &Path, source: &io::Error) -> Self {
        let help = match source.kind() {
            io::ErrorKind::NotFound => Some("check the path"),
            io::ErrorKind::PermissionDenied => Some("check the owner and the permissions"),
            io::ErrorKind::StorageFull => Some("free some space, then try again"),
            _ => None,
        };
        let error = Self::environment(format!("cannot {operation} `{}`: {}", path.display(), reason(source)));
        match help {
            Some(help) => error.help(help),
            None => error,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As one line of JSON.
    pub(crate) fn to_json(&self) -> Json {
        json!({ "error": self.message, "help": self.help, "exit": self.kind.exit_code() })
    }
}

impl ErrorKind {
    /// What the process ends with.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Unheard => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Environment => 3,
        }
    }
}

/// What the system says, as a part of a sentence.
fn reason(source: &io::Error) -> String {
    let text = source.to_string();
    text.chars().take(1).flat_map(char::to_lowercase).chain(text.chars().skip(1)).collect()
}

/// The same without the numbers that the system gives its errors.
fn without_numbers(mut message: String) -> String {
    const LEAD: &str = " (os error ";
    while let Some(start) = message.find(LEAD) {
        let Some(length) = message.get(start..).and_then(|rest| rest.find(')')) else { return message };
        message.replace_range(start..=start + length, "");
    }
    message
}

/// Errors of the standard output.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { kind: ErrorKind::Unheard, message: String::new(), help: None };
        }
        Self::file("write", &PathBuf::from("standard output"), &error)
    }
}

impl From<AskError> for CommandError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Schema(_) => Self::refused(error.to_string()),
            _ => Self::usage(error.to_string()),
        }
    }
}

impl From<HostError> for CommandError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Ask(error) => error.into(),
            HostError::Begin(_) | HostError::Reset(_) => Self::refused(error.to_string()),
            _ => Self::environment(error.to_string()),
        }
    }
}

impl From<ExportError> for CommandError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Host(error) => error.into(),
            ExportError::Empty => Self::usage(error.to_string()),
            ExportError::Since(_) => Self::refused(error.to_string()),
            ExportError::Blob(_) => Self::environment(error.to_string()),
        }
    }
}

impl From<KeysError> for CommandError {
    fn from(error: KeysError) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<LocalError> for CommandError {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Host(error) => error.into(),
            _ => Self::environment(error.to_string()),
        }
    }
}

impl From<ReplayError> for CommandError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Host(error) => error.into(),
            ReplayError::Seq { .. } | ReplayError::Time { .. } => Self::usage(error.to_string()),
        }
    }
}

impl From<BacktestError> for CommandError {
    fn from(error: BacktestError) -> Self {
        match error {
            BacktestError::Host(error) => error.into(),
            BacktestError::Begin { .. } | BacktestError::Turns { .. } => Self::refused(error.to_string()),
        }
    }
}

impl From<WhyError> for CommandError {
    fn from(error: WhyError) -> Self {
        match error {
            WhyError::Host(error) => error.into(),
            WhyError::Field { .. } | WhyError::Rule { .. } | WhyError::Time { .. } => {
                Self::usage(error.to_string())
            }
        }
    }
}

impl From<BehaviourError> for CommandError {
    fn from(error: BehaviourError) -> Self {
        match error {
            BehaviourError::Read { path, source } => Self::file("read", &path, &source),
            BehaviourError::Load(_) => Self::refused(error.to_string()),
            _ => Self::environment(error.to_string()),
        }
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Host(error) => error.into(),
            RunError::Local(error) => error.into(),
            // A header that lacks a column is an error in what was given; a file that is not there is not.
            RunError::Sources(errors) if !errors.iter().any(is_of_environment) => {
                let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
                Self::refused(all.join("\n"))
            }
            RunError::Behaviours(_) => Self::refused(error.to_string()),
            _ => Self::environment(error.to_string()),
        }
    }
}

fn is_of_environment(error: &SourceError) -> bool {
    matches!(error, SourceError::Read { .. } | SourceError::Changed { .. })
}
