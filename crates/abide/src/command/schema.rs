//! `schema`: a schema as tools, language models and people read it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_core::schema::Schema;
use abide_host::manifest::Report;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::{Kind, Written};
use crate::{output, report};

const EXAMPLES: &str = "\
Examples:
  abide schema tank.yaml                      JSON Schema of the memory and of each mutation's arguments
  abide schema ewr --format tools             the mutations as tools for a language model
  abide schema ewr --format yaml              the schema in force, which loads to the same digest";

/// Show a schema, of a file or in force for an object, in another form
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowSchema {
    /// A schema's file, or an object's id
    #[arg(value_name = "FILE|OBJECT")]
    of: String,
    /// In which form
    #[arg(long, value_enum, default_value = "json-schema")]
    format: Format,
}

/// The forms of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON Schema, 2020-12
    JsonSchema,
    /// A tool list for language models
    Tools,
    /// The schema itself
    Yaml,
}

impl ShowSchema {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let Some(schema) = schema_of(&self.of, context)? else { return Ok(Answer::No) };
        let out = &mut context.out;
        match self.format {
            Format::JsonSchema => out.json_pretty(&schema.json_schema())?,
            Format::Tools => out.json_pretty(&schema.tools())?,
            Format::Yaml if out.json() => out.json_pretty(&json!({ "yaml": schema.to_yaml() }))?,
            Format::Yaml => out.text(schema.to_yaml())?,
        }
        Ok(Answer::Yes)
    }
}

/// The schema of a file, or the one in force for an object; none where the file has errors, which are told.
pub(super) fn schema_of(named: &str, context: &mut Context) -> Result<Option<Arc<Schema>>, CommandError> {
    let path = PathBuf::from(named);
    if path.is_file() || named == "-" {
        return load(&Written::read(&path)?, context);
    }
    if looks_like_a_file(&path) {
        let error = CommandError::environment(format!("there is no file `{named}`"));
        return Err(error.help("check the path"));
    }
    let view = context.view()?;
    Ok(Some(Arc::clone(&ask::object(&view, named)?.schema)))
}

/// The schema of a file that is named as one; none where it has errors, which are told.
pub(super) fn load_file(path: &Path, context: &mut Context) -> Result<Option<Arc<Schema>>, CommandError> {
    load(&Written::read(path)?, context)
}

/// The schema of a file; none where it has errors, which are told.
fn load(written: &Written, context: &mut Context) -> Result<Option<Arc<Schema>>, CommandError> {
    if written.kind() == Kind::Manifest {
        return Err(CommandError::usage(format!("`{}` is a manifest", written.name))
            .help("name one of its schemas or objects"));
    }
    match Schema::load(&written.text) {
        Ok((schema, _)) => Ok(Some(Arc::new(schema))),
        Err(diagnostics) => {
            let reports = [Report { file: written.name.clone(), text: written.text.clone(), diagnostics }];
            if context.out.json() {
                context.out.json_pretty(&report::to_json(&reports))?;
            } else {
                reports.iter().for_each(|one| output::remark(report::render(one, context.out.color_err())));
            }
            Ok(None)
        }
    }
}

/// Whether a name that is no file was meant for one.
fn looks_like_a_file(path: &Path) -> bool {
    path.components().count() > 1
        || path.extension().is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e == *known))
}
