//! What people name on the command line: files that are read within bounds and told apart by their keys, and
//! `name=value` pairs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use abide_core::document::{Diagnostics, Node, NodeKind, TEXT_BYTES_MAX, nearest, read};

use crate::error::CommandError;

/// A file that a person wrote.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// As it was named.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it holds.
    pub(crate) text: String,
}

/// What a document says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has the keys of a schema.
    Schema,
    /// It has the keys of a manifest.
    Manifest,
    /// It has neither; the key that probably was meant.
    Neither(Option<&'static str>),
}

/// The manifest of a folder.
pub(crate) const MANIFEST: &str = "app.yaml";

/// A checkpoint that was kept.
pub(crate) fn read_note(path: &Path) -> Result<String, CommandError> {
    read_text(path).map_err(|error| CommandError::file("read", path, &error))
}

impl Written {
    /// Reads a file, or the manifest of a folder; `-` is standard input.
    pub(crate) fn read(named: &Path) -> Result<Self, CommandError> {
        let path = if named.is_dir() { named.join(MANIFEST) } else { named.to_owned() };
        let (name, read) = if named == Path::new("-") {
            ("standard input".to_owned(), bounded(io::stdin().lock()))
        } else {
            (path.display().to_string(), read_text(&path))
        };
        match read {
            Ok(text) => Ok(Self { name, path, text }),
            Err(source) if source.kind() == io::ErrorKind::InvalidData => {
                Err(CommandError::refused(format!("`{name}` cannot be read: {source}"))
                    .help("save it as UTF-8"))
            }
            Err(source) => Err(missing(named, &path, &source)),
        }
    }

    /// The folder that its paths are relative to.
    pub(crate) fn base(&self) -> &Path {
        self.path.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// What it says it is. A text that cannot be taken apart is read as a schema, which says what is wrong with it.
    pub(crate) fn kind(&self) -> Kind {
        read(&self.text, &Diagnostics::default()).map_or(Kind::Schema, |node| kind_of(&node))
    }
}

/// The text of a file. Of one that is longer than a document may be, as much as tells that.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    File::open(path).and_then(bounded)
}

fn bounded(from: impl io::Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(TEXT_BYTES_MAX as u64 + 4).read_to_end(&mut bytes)?;
    // Cut between characters: what is too long is refused for its length, and not for half a character at its end.
    while bytes.len() > TEXT_BYTES_MAX
        && std::str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_none())
    {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("byte {} is not UTF-8", error.utf8_error().valid_up_to());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

fn missing(named: &Path, path: &Path, source: &io::Error) -> CommandError {
    if source.kind() == io::ErrorKind::NotFound && named.is_dir() {
        return CommandError::environment(format!("the folder `{}` holds no `{MANIFEST}`", named.display()))
            .help("name a folder with a manifest, a manifest or a schema; `abide new NAME` makes one to start from");
    }
    CommandError::file("read", path, source)
}

fn kind_of(node: &Node) -> Kind {
    let NodeKind::Map(entries) = &node.kind else { return Kind::Neither(None) };
    let has = |name: &str| entries.iter().any(|(key, _)| key.text == name);
    if has("schema") {
        return Kind::Schema;
    }
    if has("apiVersion") || has("kind") || has("spec") {
        return Kind::Manifest;
    }
    if has("fields") || has("mutations") || has("rules") {
        return Kind::Schema;
    }
    let near = entries.iter().find_map(|(key, _)| nearest(&key.text, ["schema", "apiVersion"]));
    Kind::Neither(near)
}

/// Reads `name=value` pairs, each name once.
pub(crate) fn pairs(given: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for one in given {
        let Some((name, value)) = one.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(CommandError::usage(format!("`{one}` is not an argument")).help("write `name=value`"));
        };
        if pairs.iter().any(|(known, _)| known == name) {
            return Err(
                CommandError::usage(format!("the argument `{name}` is given twice")).help("give it once")
            );
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}
