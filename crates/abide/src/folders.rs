//! Where data and keys are, where nothing else is said.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// The folder in which each application has its data folder.
pub(crate) fn data_home() -> Result<PathBuf, CommandError> {
    let home = base("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        CommandError::environment("there is no place for data: neither `XDG_DATA_HOME` nor `HOME` is set")
            .help("name a data folder with `--data-dir DIR`, or set `ABIDE_DATA_DIR`")
    })?;
    Ok(home.join("abide"))
}

/// The folder of the keys.
pub(crate) fn keys_home() -> Result<PathBuf, CommandError> {
    let home = base("XDG_CONFIG_HOME", ".config").ok_or_else(|| {
        CommandError::environment("there is no place for keys: neither `XDG_CONFIG_HOME` nor `HOME` is set")
            .help("name a folder for them with `--keys DIR`, or set `ABIDE_KEYS_DIR`")
    })?;
    Ok(home.join("abide").join("keys"))
}

/// The folder of what can be made again; none where neither `XDG_CACHE_HOME` nor `HOME` is set.
pub(crate) fn cache_home() -> Option<PathBuf> {
    Some(base("XDG_CACHE_HOME", ".cache")?.join("abide"))
}

/// Whether a folder holds a store.
pub(crate) fn is_store(folder: &Path) -> bool {
    folder.join("log").is_dir()
}

/// The one store there is; else which there are.
pub(crate) fn only_store() -> Result<PathBuf, CommandError> {
    let home = data_home()?;
    let entries = std::fs::read_dir(&home).into_iter().flatten().flatten();
    let mut stores: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_store(path)).collect();
    stores.sort();
    match stores.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(CommandError::environment(format!("there is no store in `{}`", home.display()))
            .help("run an application first, as in `abide run FOLDER`, or name its data folder with `--data-dir DIR`")),
        several => {
            let names: Vec<_> = several.iter().map(|path| format!("`{}`", path.display())).collect();
            Err(CommandError::usage(format!("there are {} stores: {}", names.len(), names.join(", ")))
                .help("say which one with `--data-dir DIR`, or set `ABIDE_DATA_DIR`"))
        }
    }
}

/// A base folder of the XDG specification: what the variable says where it is absolute, else a folder in `HOME`.
fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    set(variable).filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(below_home)))
}
