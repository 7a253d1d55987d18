//! The project of a behaviour, in each language that has one.

use std::path::{Path, PathBuf};

use abide_core::wit::kebab;
use clap::ValueEnum;

use super::PLACEHOLDER;
use crate::error::CommandError;

/// A language that behaviours are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// With `abide-sdk`
    Rust,
    /// With componentize-js, from npm
    Js,
    /// With componentize-py, from PyPI
    Python,
}

const RULE: &str = include_str!("behaviour/rule.yaml");
const SCENARIOS: &str = include_str!("behaviour/test.yaml");
const README: &str = include_str!("behaviour/README.md");
/// What stands in a readme for what a build needs, in a Cargo.toml for the folder of the SDK, and in Python for the name of
/// the schema.
const NEEDS: &str = "NEEDS";
const SDK: &str = "SDK";
const MODULE: &str = "MODULE";

/// The files of a project in the folder `behaviour`, by language.
const RUST: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("behaviour/rust/Cargo.toml")),
    (".cargo/config.toml", include_str!("behaviour/rust/config.toml")),
    ("src/lib.rs", include_str!("behaviour/rust/behaviour.rs")),
    ("build.sh", include_str!("behaviour/rust/build.sh")),
    (".gitignore", include_str!("behaviour/rust/ignore")),
];
const JS: [(&str, &str); 5] = [
    ("package.json", include_str!("behaviour/js/package.json")),
    ("app.js", include_str!("behaviour/js/app.js")),
    ("build.mjs", include_str!("behaviour/js/build.mjs")),
    ("build.sh", include_str!("behaviour/js/build.sh")),
    (".gitignore", include_str!("behaviour/js/ignore")),
];
const PYTHON: [(&str, &str); 4] = [
    ("app.py", include_str!("behaviour/python/app.py")),
    ("requirements.txt", include_str!("behaviour/python/requirements.txt")),
    ("build.sh", include_str!("behaviour/python/build.sh")),
    (".gitignore", include_str!("behaviour/python/ignore")),
];

/// Adds a behaviour to the files of a new object: a rule that calls it, scenarios, and the project. A file is a path and a
/// text.
///
/// # Errors
/// When it is to be in Rust and the SDK is not at hand.
pub(super) fn add(
    language: Language,
    name: &str,
    sdk: Option<&Path>,
    files: &mut Vec<(String, String)>,
) -> Result<(), CommandError> {
    let (project, needs): (&[(&str, &str)], _) = match language {
        Language::Rust => (&RUST, "Rust and its target `wasm32-unknown-unknown`"),
        Language::Js => (&JS, "Node.js and npm"),
        Language::Python => (&PYTHON, "Python 3.10 or later"),
    };
    let sdk = match (language, sdk) {
        (Language::Rust, sdk) => sdk_folder(sdk)?,
        (Language::Js | Language::Python, None) => String::new(),
        (Language::Js | Language::Python, Some(_)) => {
            return Err(CommandError::usage("`--sdk` is for a behaviour in Rust"));
        }
    };
    for (file, text) in files.iter_mut() {
        match file.as_str() {
            "README.md" => *text += &README.replace(NEEDS, needs).replace(PLACEHOLDER, name),
            file if file == format!("{name}.yaml") => *text += RULE,
            _ => {}
        }
    }
    files.push((format!("{name}.test.yaml"), SCENARIOS.replace(PLACEHOLDER, name)));
    let module = kebab(name).replace('-', "_");
    files.extend(project.iter().map(|(file, text)| {
        let text = text.replace(PLACEHOLDER, name);
        let text = match *file {
            "Cargo.toml" => text.replace(SDK, &sdk),
            "app.py" => text.replace(MODULE, &module),
            _ => text,
        };
        (format!("behaviour/{file}"), text)
    }));
    Ok(())
}

/// The folder of the SDK as it stands in a Cargo.toml.
fn sdk_folder(given: Option<&Path>) -> Result<String, CommandError> {
    let built_beside = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("abide-sdk");
    let folder = given.map_or(built_beside, Path::to_owned);
    let is_sdk = |folder: &PathBuf| folder.join("Cargo.toml").is_file();
    let found = folder.canonicalize().ok().filter(is_sdk);
    let text = found.as_deref().and_then(Path::to_str).filter(|text| !text.contains(['"', '\\']));
    text.map(str::to_owned).ok_or_else(|| {
        CommandError::environment(format!(
            "`{}` is not the folder of the crate `abide-sdk`",
            folder.display()
        ))
        .help("name it with --sdk: it is `crates/abide-sdk` of a checkout of Abide")
    })
}
