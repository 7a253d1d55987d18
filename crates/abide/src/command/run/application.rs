//! What is to be run: a manifest, or a schema of which there is to be an object, with what the command line changes.

use std::path::Path;
use std::sync::Arc;

use abide_core::document::{Diagnostic, Severity, nearest};
use abide_core::schema::Schema;
use abide_core::time::Span;
use abide_host::behaviour::Compiler;
use abide_host::manifest::{
    ACTING_HELP, Application, Deployment, OBJECT_ID_BYTES_MAX, ObjectComponent, ObjectSpec, Report,
    TICK_DEFAULT, acting,
};
use abide_host::source::Input;

use crate::command::ask::known;
use crate::command::check::{diagnose, load_checked};
use crate::error::CommandError;
use crate::input::{Kind, Written};

/// What the command line says.
pub(crate) struct Given<'a> {
    pub(crate) what: &'a Path,
    pub(crate) sources: &'a [String],
    pub(crate) objects: &'a [String],
    pub(crate) tick: Option<Span>,
    pub(crate) compiler: &'a Compiler,
}

/// What is to be run, and what is to be said of it.
pub(crate) struct Chosen {
    /// None where a report holds an error.
    pub(crate) application: Option<Application>,
    pub(crate) reports: Vec<Report>,
}

/// Reads what is named, and applies what the command line changes of it.
pub(crate) fn choose(given: &Given<'_>) -> Result<Chosen, CommandError> {
    let written = Written::read(given.what)?;
    let mut chosen = match written.kind() {
        Kind::Manifest => {
            let loaded = load_checked(&written, given.compiler);
            Chosen { application: loaded.application, reports: loaded.reports }
        }
        Kind::Schema => of_schema(&written, given.objects)?,
        Kind::Neither(_) => Chosen { application: None, reports: diagnose(&written, given.compiler) },
    };
    let Some(application) = &mut chosen.application else { return Ok(chosen) };
    if written.kind() == Kind::Manifest && !given.objects.is_empty() {
        return Err(
            CommandError::usage("`--objects` goes with a schema").help("a manifest names its objects itself")
        );
    }
    if let Some(tick) = given.tick {
        if application.is_replay() {
            return Err(CommandError::usage("`--tick` has no meaning in a replay")
                .help("the times of the readings are the ticks"));
        }
        application.tick = tick;
    }
    given.sources.iter().try_for_each(|source| redirect(application, source))?;
    Ok(chosen)
}

/// An application of the objects of one schema, without sources.
fn of_schema(written: &Written, ids: &[String]) -> Result<Chosen, CommandError> {
    let (mut schema, mut diagnostics) = match Schema::load(&written.text) {
        Ok((schema, warnings)) => (Some(Arc::new(schema)), warnings),
        Err(errors) => (None, errors),
    };
    if let Some(message) = schema.as_deref().and_then(acting) {
        let help = Some(ACTING_HELP.to_owned());
        diagnostics.push(Diagnostic { severity: Severity::Error, message, help, span: None });
        schema = None;
    }
    let mut reports = Vec::new();
    if !diagnostics.is_empty() {
        reports.push(Report { file: written.name.clone(), text: written.text.clone(), diagnostics });
    }
    let Some(schema) = schema else { return Ok(Chosen { application: None, reports }) };
    let ids = if ids.is_empty() { vec![schema.name.to_string()] } else { ids.to_vec() };
    for (n, id) in ids.iter().enumerate() {
        check_id(id)?;
        if ids.iter().take(n).any(|before| before == id) {
            return Err(
                CommandError::usage(format!("`--objects` names `{id}` twice")).help("name each object once")
            );
        }
    }
    let objects = ids.iter().map(|id| ObjectSpec { id: id.as_str().into(), values: Vec::new() }).collect();
    let name = Arc::clone(&schema.name);
    let component = ObjectComponent {
        name: Arc::clone(&name),
        schema_path: written.path.clone(),
        schema,
        behaviour: None,
        objects,
        links: Vec::new(),
        span: 0..0,
    };
    let application = Application {
        name,
        version: None,
        tick: TICK_DEFAULT,
        objects: vec![component],
        sources: Vec::new(),
        targets: Vec::new(),
        deployment: Deployment::default(),
    };
    Ok(Chosen { application: Some(application), reports })
}

fn check_id(id: &str) -> Result<(), CommandError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=OBJECT_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain) {
        return Ok(());
    }
    Err(CommandError::usage(format!("`{id}` cannot be an object's id"))
        .help(format!("use letters, digits, `.`, `_` and `-`, 1 to {OBJECT_ID_BYTES_MAX} of them")))
}

/// Lets a source read from elsewhere: `FILE`, or `NAME=FILE`.
fn redirect(application: &mut Application, given: &str) -> Result<(), CommandError> {
    let names: Vec<Arc<str>> =
        application.sources.iter().map(|source| Arc::clone(&source.config.name)).collect();
    let of_name = given
        .split_once('=')
        .and_then(|(name, file)| Some((names.iter().position(|known| **known == *name)?, file)));
    let (number, file) = match (of_name, names.as_slice()) {
        (Some(found), _) => found,
        (None, []) => {
            return Err(CommandError::usage("`--source` has nothing to replace: there are no sources")
                .help("a source is a component of type `capability` in a manifest; `abide new NAME` makes one with a CSV source"));
        }
        (None, [_]) => (0, given),
        (None, several) => {
            let near =
                given.split_once('=').and_then(|(name, _)| nearest(name, several.iter().map(|name| &**name)));
            let help = near.map_or_else(
                || {
                    format!(
                        "write `NAME=FILE`; {}",
                        known(several.iter().map(|name| &**name), "the sources are")
                    )
                },
                |near| format!("did you mean `{near}=…`?"),
            );
            return Err(CommandError::usage(format!(
                "`--source {given}` does not say which source it replaces"
            ))
            .help(help));
        }
    };
    if let Some(source) = application.sources.get_mut(number) {
        source.config.input = Input::new(file, Path::new(""));
    }
    Ok(())
}
