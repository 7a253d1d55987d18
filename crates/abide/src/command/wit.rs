//! `wit`: the WIT world of a schema, which a behaviour is written to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use abide_core::wit::{DEPENDENCIES, World};
use clap::Args;
use serde_json::{Map, Value as Json, json};

use super::schema::schema_of;
use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide wit tank.yaml                    the world, to read
  abide wit tank.yaml -o wit             a folder that wit-bindgen, componentize-py and componentize-js take
  abide wit ewr -o wit                   of the schema in force for an object";

/// Show the WIT world of a schema: what a behaviour of its objects imports and exports
///
/// With `-o`, DIR/world.wit and the packages it refers to, in DIR/deps, are written; what was written there before is
/// replaced.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowWit {
    /// A schema's file, or an object's id
    #[arg(value_name = "FILE|OBJECT")]
    of: String,
    /// Write a folder with the world and all it refers to
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// The file of the world.
const WORLD: &str = "world.wit";
/// What every world says of itself: a file without it was written by someone else.
const MARK: &str = "as `abide wit` writes it";

impl ShowWit {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let Some(schema) = schema_of(&self.of, context)? else { return Ok(Answer::No) };
        let world = World::of(&schema);
        let text = world.to_wit();
        let files = self.folder.as_deref().map(|folder| write(folder, &text)).transpose()?;
        let out = &mut context.out;
        if out.json() {
            let dependencies = DEPENDENCIES.map(|one| (one.folder.to_owned(), Json::from(one.text)));
            let mut said = json!({
                "world": text,
                "package": world.package.replace('%', ""),
                "dependencies": dependencies.into_iter().collect::<Map<_, _>>(),
            });
            if let (Some(said), Some(folder), Some(files)) = (said.as_object_mut(), &self.folder, files) {
                said.insert("folder".to_owned(), folder.display().to_string().into());
                said.insert("files".to_owned(), files.into());
            }
            out.json_pretty(&said)?;
        } else if let (Some(folder), Some(files)) = (&self.folder, files) {
            out.line(format_args!("wrote `{}`: {}", folder.display(), files.join(", ")))?;
        } else {
            out.text(text)?;
        }
        Ok(Answer::Yes)
    }
}

/// Writes the world and its dependencies, and gives the names of the files.
fn write(folder: &Path, world: &str) -> Result<Vec<String>, CommandError> {
    let dependencies = DEPENDENCIES.iter().map(|one| (format!("deps/{}/package.wit", one.folder), one.text));
    let files: Vec<(String, &str)> = std::iter::once((WORLD.to_owned(), world)).chain(dependencies).collect();
    // A folder is ours where its world is; what is in another is left alone.
    let is_ours =
        fs::read(folder.join(WORLD)).is_ok_and(|there| String::from_utf8_lossy(&there).contains(MARK));
    let foreign = files.iter().map(|(file, text)| (folder.join(file), text)).find(|(path, text)| {
        let there = fs::read(path);
        let is_absent = there.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        !is_ours && !is_absent && there.ok().as_deref() != Some(text.as_bytes())
    });
    if let Some((path, _)) = foreign {
        let message = format!("`{}` is there already, and `abide wit` did not write it", path.display());
        return Err(CommandError::environment(message).help("choose another folder, or move it away"));
    }
    for (file, text) in &files {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| CommandError::file("create", parent, &error))?;
        }
        fs::write(&path, text).map_err(|error| CommandError::file("write", &path, &error))?;
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}
