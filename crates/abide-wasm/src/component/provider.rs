//! Builtin providers: what a host offers without another process.

use std::collections::BTreeMap;
use std::fmt;

/// What a builtin provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Serves HTTP and calls components for it.
    HttpServer,
    /// Sends HTTP requests for components.
    HttpClient,
    /// Keeps values by key.
    KeyValue,
    /// Carries messages.
    Messaging,
}

/// The names of builtin providers, with those that wasmCloud gives the same; also the last part of an image of wasmCloud's.
const NAMES: &[(&str, Builtin)] = &[
    ("http-server", Builtin::HttpServer),
    ("http-client", Builtin::HttpClient),
    ("keyvalue", Builtin::KeyValue),
    ("keyvalue-nats", Builtin::KeyValue),
    ("messaging", Builtin::Messaging),
    ("messaging-nats", Builtin::Messaging),
];

impl Builtin {
    /// From `abide+builtin://NAME` and `wasmcloud+builtin://NAME`.
    ///
    /// # Errors
    /// When there is none, with those that there are.
    pub fn from_ref(reference: &str) -> Result<Self, String> {
        let scheme = ["abide+builtin://", "wasmcloud+builtin://"];
        let name = scheme.iter().find_map(|scheme| reference.strip_prefix(scheme)).ok_or_else(|| {
            format!(
                "`{reference}` is a program, and this host runs builtin providers alone: {}",
                Self::names("abide+builtin://")
            )
        })?;
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, builtin)| *builtin);
        found.ok_or_else(|| format!("there is no builtin provider `{name}`: there are {}", Self::names("")))
    }

    fn names(prefix: &str) -> String {
        NAMES.iter().map(|(name, _)| format!("`{prefix}{name}`")).collect::<Vec<_>>().join(", ")
    }

    /// Whether components are its targets, and it calls them.
    pub(crate) fn calls(self) -> bool {
        matches!(self, Self::HttpServer | Self::Messaging)
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpServer => "http-server",
            Self::HttpClient => "http-client",
            Self::KeyValue => "keyvalue",
            Self::Messaging => "messaging",
        })
    }
}

/// A provider that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its id.
    pub id: String,
    /// What it was started by.
    pub reference: String,
    /// What it is.
    pub builtin: Builtin,
    /// Named configuration.
    pub config: Vec<String>,
    /// What was said of it when it was started.
    pub annotations: BTreeMap<String, String>,
}
