//! Reads the schema that the macro names.

use std::path::{Path, PathBuf};
use std::{env, fs};

use abide_core::document::{Diagnostic, Severity, line_column};
use abide_core::schema::Schema;
use syn::{Error, LitStr};

/// A schema, and where it was read from.
pub(crate) struct Read {
    pub(crate) path: PathBuf,
    pub(crate) schema: Schema,
}

/// Reads it; every error of the schema is one of the build.
pub(crate) fn schema(given: &LitStr) -> Result<Read, Error> {
    let error = |message: String| Error::new(given.span(), message);
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let path = folder.join(given.value());
    let text = fs::read_to_string(&path).map_err(|failure| {
        error(format!(
            "cannot read the schema `{}`: {failure}; the path is relative to the folder of the crate's Cargo.toml",
            given.value()
        ))
    })?;
    let schema = checked(&text).map_err(|lines| {
        let errors = lines.into_iter().map(|line| error(format!("{}:{line}", given.value())));
        errors.reduce(|mut all, one| {
            all.combine(one);
            all
        })
    });
    match schema {
        // The compiler resolves the path from the file that the macro stands in; a whole one means the same anywhere.
        Ok(schema) => Ok(Read { path: whole(&path), schema }),
        Err(errors) => {
            Err(errors.unwrap_or_else(|| error("the schema is not right; ask `abide check`".to_owned())))
        }
    }
}

fn whole(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The schema of a text, if a behaviour can be written to it; else a line for each error.
fn checked(text: &str) -> Result<Schema, Vec<String>> {
    let (schema, _) = Schema::load(text).map_err(|diagnostics| {
        let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error);
        errors.map(|one| shown(text, one)).collect::<Vec<_>>()
    })?;
    if schema.actions().is_empty() {
        return Err(vec![
            " no rule acts, so there is nothing for a behaviour to do\nhelp: give a rule `then: { act: NAME }`".to_owned(),
        ]);
    }
    Ok(schema)
}

/// A diagnostic in the manner of compilers, behind the name of the file.
fn shown(text: &str, diagnostic: &Diagnostic) -> String {
    let place = diagnostic.span.as_ref().map_or_else(String::new, |span| {
        let (line, column) = line_column(text, span.start);
        format!("{line}:{column}:")
    });
    let help = diagnostic.help.as_ref().map_or_else(String::new, |help| format!("\nhelp: {help}"));
    format!("{place} {}{help}", diagnostic.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTS: &str =
        "schema: abide/v1\nname: a\nversion: 1.0.0\nfields: { x: { type: integer, default: 0 } }\n";

    #[test]
    fn every_error_of_a_schema_has_its_place_and_remedy() {
        let text = format!(
            "{ACTS}rules:\n  - name: r\n    when: self.y > 0\n    then: {{ act: plan }}\n  - nmae: s\n"
        );
        let errors = checked(&text).unwrap_err();
        assert!(errors.len() > 1, "{errors:?}");
        assert!(errors.iter().any(|error| error.starts_with("7:11: ")), "{errors:?}");
        assert!(errors.iter().all(|error| error.contains("\nhelp: ")), "{errors:?}");
    }

    #[test]
    fn a_schema_without_acts_is_told_so() {
        let errors = checked(ACTS).unwrap_err();
        assert!(errors[0].contains("no rule acts"), "{errors:?}");
    }
}
