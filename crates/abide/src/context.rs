//! What every command shares: the global options, and how they lead to keys, a store and a view of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use abide_host::behaviour::Compiler;
use abide_host::clock::wall_clock;
use abide_host::keys::Keys;
use abide_host::local::{self, LocalError};
use abide_host::view::View;
use clap::Args;
use serde_json::Value as Json;

use crate::error::CommandError;
use crate::folders;
use crate::output::{ColorChoice, Output};

/// Options that every command has.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The data folder: the store of one application
    ///
    /// Without it, `run` uses a folder named as the application in `$XDG_DATA_HOME/abide`, and the other commands use the
    /// only one there.
    #[arg(long, global = true, value_name = "DIR", env = "ABIDE_DATA_DIR", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    data_dir: Option<OsString>,
    /// The folder of the host's keys and the operator's [default: $XDG_CONFIG_HOME/abide/keys]
    #[arg(
        long = "keys",
        id = "keys_dir",
        global = true,
        value_name = "DIR",
        env = "ABIDE_KEYS_DIR",
        hide_env_values = true
    )]
    #[arg(help_heading = "Global options")]
    keys: Option<OsString>,
    /// Print JSON for programs
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Print the answer only: no progress, no hints
    #[arg(long, short, global = true, help_heading = "Global options")]
    quiet: bool,
    /// Whether to use colours; `auto` honours NO_COLOR
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub(crate) color: ColorChoice,
}

/// A command at work.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
    /// Where it writes.
    pub(crate) out: Output,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        let out = Output::new(global.json, global.quiet, global.color);
        Self { global, out }
    }

    /// The keys; those that are missing are made.
    pub(crate) fn keys(&self) -> Result<Keys, CommandError> {
        let folder = match named(self.global.keys.as_ref()) {
            Some(folder) => folder,
            None => folders::keys_home()?,
        };
        Ok(Keys::open(&folder)?)
    }

    /// The data folder that was named, if one was.
    pub(crate) fn named_folder(&self) -> Option<PathBuf> {
        named(self.global.data_dir.as_ref())
    }

    /// The data folder: the one that was named, else the only one there is.
    pub(crate) fn folder(&self) -> Result<PathBuf, CommandError> {
        match self.named_folder() {
            Some(folder) => Ok(folder),
            None => folders::only_store(),
        }
    }

    /// What the store holds, up to what its running host has flushed.
    pub(crate) fn view(&self) -> Result<View, CommandError> {
        let folder = self.folder()?;
        Ok(View::open_until(&folder, durable(&folder))?)
    }

    /// What compiles components; compiled ones are kept in the user's cache, where there is one.
    pub(crate) fn compiler(&self) -> Arc<Compiler> {
        Arc::new(Compiler::new(folders::cache_home().map(|cache| cache.join("components"))))
    }

    /// Asks the host of the store for something; its answer.
    pub(crate) fn ask(&self, keys: &Keys, body: &Json) -> Result<Json, CommandError> {
        Ok(local::ask(&self.folder()?, keys, body, wall_clock(), self.compiler())?)
    }

    /// Asks the host of the store for several things; its answers.
    pub(crate) fn ask_all(
        &self,
        keys: &Keys,
        bodies: &[Json],
    ) -> Result<Vec<Result<Json, LocalError>>, CommandError> {
        Ok(local::ask_all(&self.folder()?, keys, bodies, wall_clock(), self.compiler())?)
    }
}

/// How many records the host that runs on a data folder has flushed; `None` when none runs.
pub(crate) fn durable(folder: &std::path::Path) -> Option<u64> {
    local::status(folder)?.get("records")?.as_u64()
}

/// A folder, where one was named; an empty name is none.
fn named(given: Option<&OsString>) -> Option<PathBuf> {
    given.filter(|name| !name.is_empty()).map(PathBuf::from)
}
