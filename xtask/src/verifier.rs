//! The second verifier of bundles, in Python: its own tests, and the bundles that the tests of the first one made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{process, root, target_dir};

/// Packages come over a network.
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);
const RUN_LIMIT: Duration = Duration::from_secs(10 * 60);

/// An empty folder, where the tests leave each bundle that they made, with its verdict in the name.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn bundles() -> Result<PathBuf, String> {
    let folder = target_dir().join("bundles");
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(at)?;
    }
    fs::create_dir_all(&folder).map_err(at)?;
    Ok(folder)
}

/// Runs the verifier's tests, and holds it against the verdicts in a folder.
///
/// # Errors
/// The first command that failed, and how.
pub(crate) fn check(bundles: &Path) -> Result<(), String> {
    let verifier = root().join("verifiers/python");
    let environment = target_dir().join("verifier");
    let python = environment.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment), INSTALL_LIMIT)?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(install.arg(verifier.join("requirements.txt")), INSTALL_LIMIT)?;
    let mut tests = Command::new(&python);
    run(tests.current_dir(&verifier).args(["-m", "unittest", "--quiet"]), RUN_LIMIT)?;
    let mut compare = Command::new(&python);
    run(compare.current_dir(&verifier).arg("compare.py").arg(bundles), RUN_LIMIT)
}

fn run(command: &mut Command, limit: Duration) -> Result<(), String> {
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(command, limit).map_err(|failure| format!("`{}` {failure}", process::shown(command)))
}
