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
    /// Keeps objects in containers, as files in a folder.
    Blobstore,
}

/// The names of builtin providers; some are those of wasmCloud's.
const NAMES: &[(&str, Builtin)] = &[
    ("http-server", Builtin::HttpServer),
    ("http-client", Builtin::HttpClient),
    ("keyvalue", Builtin::KeyValue),
    ("messaging", Builtin::Messaging),
    ("messaging-nats", Builtin::Messaging),
    ("blobstore", Builtin::Blobstore),
    ("blobstore-fs", Builtin::Blobstore),
];
/// Providers of wasmCloud's that are programs, and that a builtin one stands for: their images, without a version.
const STOOD_FOR: &[(&str, Builtin)] = &[
    ("ghcr.io/wasmcloud/http-server", Builtin::HttpServer),
    ("ghcr.io/wasmcloud/http-client", Builtin::HttpClient),
    (OF_NATS, Builtin::KeyValue),
    ("ghcr.io/wasmcloud/keyvalue-redis", Builtin::KeyValue),
    ("ghcr.io/wasmcloud/messaging-nats", Builtin::Messaging),
    ("ghcr.io/wasmcloud/blobstore-fs", Builtin::Blobstore),
];
/// The one whose values are in NATS.
const OF_NATS: &str = "ghcr.io/wasmcloud/keyvalue-nats";
const SCHEMES: [&str; 2] = ["abide+builtin://", "wasmcloud+builtin://"];

impl Builtin {
    /// All that there are.
    pub const ALL: [Self; 5] =
        [Self::HttpServer, Self::HttpClient, Self::KeyValue, Self::Messaging, Self::Blobstore];

    /// How it is written: `abide+builtin://NAME`.
    #[must_use]
    pub fn reference(self) -> String {
        format!("abide+builtin://{self}")
    }

    /// From `abide+builtin://NAME` and `wasmcloud+builtin://NAME`, and from the images of wasmCloud's providers that it stands for.
    ///
    /// # Errors
    /// When there is none, with those that there are.
    pub fn from_ref(reference: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(|builtin| format!("`{}`", builtin.reference())).join(", ");
        let Some(name) = SCHEMES.iter().find_map(|scheme| reference.strip_prefix(scheme)) else {
            return Self::stands_for(reference).ok_or_else(|| {
                format!("`{reference}` is a program, and this host has builtin providers alone: {}", known())
            });
        };
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, builtin)| *builtin);
        found.ok_or_else(|| format!("there is no builtin provider `{name}`: there are {}", known()))
    }

    /// The one that stands for a provider of wasmCloud's, whatever its version.
    #[must_use]
    pub fn stands_for(image: &str) -> Option<Self> {
        let found = STOOD_FOR.iter().find(|(known, _)| is_version_of(image, known));
        found.map(|(_, builtin)| *builtin)
    }

    /// Whether an image is the provider of wasmCloud's that keeps values in NATS, whatever its version.
    #[must_use]
    pub fn is_of_nats(image: &str) -> bool {
        is_version_of(image, OF_NATS)
    }

    /// Whether components are its targets, and it calls them.
    #[cfg(feature = "components")]
    pub(crate) fn calls(self) -> bool {
        matches!(self, Self::HttpServer | Self::Messaging)
    }
}

fn is_version_of(image: &str, known: &str) -> bool {
    image.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpServer => "http-server",
            Self::HttpClient => "http-client",
            Self::KeyValue => "keyvalue",
            Self::Messaging => "messaging",
            Self::Blobstore => "blobstore",
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
