//! The manifest: an OAM `Application` that says which objects a host runs, what they observe and what they may call.
//!
//! [`load`] reads it with every schema it names, and reports everything that is wrong in all of them at once. What comes
//! out, an [`Application`], is bound: every link leads somewhere, every mapping fits its schema. Opening files, and
//! running anything, is left to the host.

mod component;
mod deployment;
mod document;
mod http;
mod keyvalue;
mod link;
mod offer;
mod target;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_core::document::{Diagnostic, Severity};
use abide_core::field::Slot;
use abide_core::policy::Grant;
use abide_core::schema::Schema;
use abide_core::time::Span;
use abide_core::value::Value;

use crate::source::{Input, Mode, Source};

pub use component::{ACTING_HELP, acting};
pub use deployment::{ComponentSpec, Deployment, ProviderSpec};
pub use target::{TargetConfig, TargetKind};

/// Longest id of an object, in bytes.
pub const OBJECT_ID_BYTES_MAX: usize = 128;
/// The tick where the manifest says nothing.
pub const TICK_DEFAULT: Span = Span::from_secs(1);

/// A manifest's text, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    /// Its name in diagnostics.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The folder that its paths are relative to.
    pub base: &'a Path,
}

/// What comes of reading a manifest.
#[derive(Debug)]
pub struct Loaded {
    /// The application, unless a report holds an error.
    pub application: Option<Application>,
    /// What is to be said of each file; files that nothing is to be said of are not among them.
    pub reports: Vec<Report>,
}

/// What is to be said of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub file: String,
    /// Its text, which the spans of the diagnostics are places of.
    pub text: String,
    /// By place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Whether it forbids use.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

/// A manifest that is ready to run.
#[derive(Debug)]
pub struct Application {
    /// Its name.
    pub name: Arc<str>,
    /// The annotation `version`.
    pub version: Option<Arc<str>>,
    /// The period of the host's ticks, 1 ms to 24 h: the annotation `abide.dev/tick`. A replay does not use it.
    pub tick: Span,
    /// In the order of the manifest.
    pub objects: Vec<ObjectComponent>,
    /// In the order of the manifest.
    pub sources: Vec<Source>,
    /// In the order of the manifest.
    pub targets: Vec<TargetConfig>,
    /// What messages drive.
    pub deployment: Deployment,
}

impl Application {
    /// Whether its sources are replayed, and so drive the clock. They never mix.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.sources.iter().any(|source| source.config.mode == Mode::Replay)
    }

    /// Whether sources take messages, or effects send some.
    #[must_use]
    pub fn has_messages(&self) -> bool {
        let takes = |source: &Source| matches!(source.config.input, Input::Messages { .. });
        self.sources.iter().any(takes)
            || self.targets.iter().any(|target| target.kind == TargetKind::Messages)
    }

    /// The target of that name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&TargetConfig> {
        self.targets.iter().find(|target| &*target.name == name)
    }
}

/// Objects of one schema with the same links.
#[derive(Debug)]
pub struct ObjectComponent {
    /// Its name.
    pub name: Arc<str>,
    /// Where the schema was read from.
    pub schema_path: PathBuf,
    /// The schema; components that name the same file share it.
    pub schema: Arc<Schema>,
    /// Their behaviour, where the schema has acts.
    pub behaviour: Option<BehaviourSpec>,
    /// The objects, in the order of the manifest. There may be none: then the schema is there for children.
    pub objects: Vec<ObjectSpec>,
    /// What their effects may call.
    pub links: Vec<EffectLink>,
    /// Where the component stands in the manifest.
    pub span: Range<usize>,
}

impl ObjectComponent {
    /// The links as an object's policy holds them.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        self.links.iter().map(|link| link.grant.clone()).collect()
    }
}

/// A component that objects act by, or that their effects call. That it fits is for [`crate::behaviour::Images::read`] to
/// check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BehaviourSpec {
    /// Where the component is.
    pub image: PathBuf,
    /// The named values that it sees.
    pub config: BTreeMap<String, String>,
    /// Where it is named in the manifest.
    pub span: Range<usize>,
}

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectSpec {
    /// 1 to [`OBJECT_ID_BYTES_MAX`] of `A`–`Z`, `a`–`z`, `0`–`9`, `.`, `_` and `-`; unique in the application.
    pub id: Arc<str>,
    /// First values of its memory, of their types and within their bounds; by slot, ascending.
    pub values: Vec<(Slot, Value)>,
}

/// A link from objects to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectLink {
    /// What it grants.
    pub grant: Grant,
    /// Whether calls go out in a replay too; otherwise they are simulated there.
    pub live_in_replay: bool,
    /// Where its interface stands in the manifest.
    pub span: Range<usize>,
}

/// Reads a manifest and every schema that it names, through `resolve`, which gets paths joined to the base.
pub fn load(manifest: Manifest<'_>, resolve: &dyn Fn(&Path) -> io::Result<String>) -> Loaded {
    document::load(manifest, resolve)
}
