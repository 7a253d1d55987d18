//! What `abide new --behaviour` makes, built and run as its user does: in each language, with that language's own tools.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{binary, guests, process, target_dir};

/// The languages, as the option names them.
pub(crate) const LANGUAGES: [&str; 3] = ["rust", "js", "python"];

/// Packages come over a network, and an interpreter is compiled.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);
const RUN_LIMIT: Duration = Duration::from_secs(3 * 60);

/// Makes a project in that language, builds it, plays its scenarios, runs it, and runs its acts again.
///
/// # Errors
/// The first command that failed, and how.
pub(crate) fn check(language: &str) -> Result<(), String> {
    let folder = target_dir().join("starters").join(language);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let project = folder.join("tank");
    abide(&folder, [OsStr::new("new"), project.as_ref(), "--behaviour".as_ref(), language.as_ref()])?;
    let mut build = Command::new("sh");
    build.arg(project.join("behaviour/build.sh")).env("ABIDE", binary());
    if language == "rust" {
        let toolchain = guests::toolchain()?;
        toolchain.equip(&mut build, true);
        let mut test = Command::new("cargo");
        test.current_dir(project.join("behaviour")).args(["test", "--release", "--quiet"]);
        toolchain.equip(&mut test, false);
        run(&mut test, BUILD_LIMIT)?;
    }
    run(&mut build, BUILD_LIMIT)?;
    abide(&folder, [OsStr::new("test"), project.join("tank.test.yaml").as_ref()])?;
    abide(&folder, [OsStr::new("check"), project.as_ref()])?;
    abide(&folder, [OsStr::new("run"), project.as_ref()])?;
    abide(&folder, ["replay", "tank", "--execute"].map(OsStr::new))
}

fn abide<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("ABIDE_KEYS_DIR", folder.join("keys"))
        .env("ABIDE_DATA_DIR", folder.join("data"));
    run(&mut command, RUN_LIMIT)
}

fn run(command: &mut Command, limit: Duration) -> Result<(), String> {
    process::run(command, limit).map_err(|failure| format!("`{}` {failure}", process::shown(command)))
}
