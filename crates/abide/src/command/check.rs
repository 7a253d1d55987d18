//! `check`: whether schemas and manifests are right.

use std::collections::BTreeSet;
use std::path::PathBuf;

use abide_core::document::Diagnostic;
use abide_core::schema::Schema;
use abide_host::behaviour::{Compiler, Images};
use abide_host::manifest::{self, Manifest, Report};
use clap::Args;

use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::{Kind, Written, read_text};
use crate::report;

const EXAMPLES: &str = "\
Examples:
  abide check tank.yaml
  abide check app.yaml other.yaml
  abide check examples/frost-guard --json";

/// Check schemas and manifests: every error at once, with place and remedy
///
/// A manifest is checked with every schema that it names. The exit code is 1 if there are errors; warnings do no harm.
/// With `--json`: an array of {file, line, column, severity, message, help}.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// Schemas, manifests, or folders with an app.yaml; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let written = self.files.iter().map(|path| Written::read(path)).collect::<Result<Vec<_>, _>>()?;
        let compiler = context.compiler();
        let reports = once_each(written.iter().flat_map(|one| diagnose(one, &compiler)));
        let (errors, warnings) = report::count(&reports);
        if context.out.json() {
            context.out.json_pretty(&report::to_json(&reports))?;
            return Ok(Answer::of(errors == 0));
        }
        for one in &reports {
            let text = report::render(one, context.out.color_out());
            context.out.line(format_args!("{text}\n"))?;
        }
        if reports.is_empty() {
            for file in &written {
                let line = format!("{} {}", context.out.good("ok"), file.name);
                context.out.line(line)?;
            }
        } else {
            context.out.line(report::counted(errors, warnings))?;
        }
        Ok(Answer::of(errors == 0))
    }
}

/// What is to be said of a file, and of the schemas that it names.
pub(crate) fn diagnose(written: &Written, compiler: &Compiler) -> Vec<Report> {
    match written.kind() {
        Kind::Manifest => load_checked(written, compiler).reports,
        Kind::Schema => {
            let (Ok((_, diagnostics)) | Err(diagnostics)) =
                Schema::load(&written.text).map_or_else(Err, |(s, w)| Ok((s, w)));
            reports_of(written, diagnostics)
        }
        Kind::Neither(near) => {
            let help = near.map_or_else(
                || "a schema begins with `schema: abide/v1`, a manifest with `apiVersion: core.oam.dev/v1beta1`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            let message = "this is neither a schema nor a manifest";
            let end = written.text.find('\n').unwrap_or(written.text.len());
            reports_of(written, vec![Diagnostic::error(0..end, message).help(help)])
        }
    }
}

/// Reads a manifest with the schemas that it names.
pub(crate) fn load_manifest(written: &Written) -> manifest::Loaded {
    let manifest = Manifest { file: &written.name, text: &written.text, base: written.base() };
    let mut loaded = manifest::load(manifest, &read_text);
    for report in &mut loaded.reports {
        if let Some(plain) = report.file.strip_prefix("./") {
            report.file = plain.to_owned();
        }
    }
    loaded
}

/// Reads a manifest with the schemas and components that it names.
pub(crate) fn load_checked(written: &Written, compiler: &Compiler) -> manifest::Loaded {
    let mut loaded = load_manifest(written);
    let images = loaded.application.as_ref().map(|application| Images::read(application, compiler));
    if let Some(Err(diagnostics)) = images {
        loaded.application = None;
        match loaded.reports.iter_mut().find(|report| report.file == written.name) {
            Some(report) => report.diagnostics.extend(diagnostics),
            None => loaded.reports.extend(reports_of(written, diagnostics)),
        }
    }
    loaded
}

fn reports_of(written: &Written, diagnostics: Vec<Diagnostic>) -> Vec<Report> {
    if diagnostics.is_empty() {
        return Vec::new();
    }
    vec![Report { file: written.name.clone(), text: written.text.clone(), diagnostics }]
}

/// A schema that is named by several manifests, or on the command line as well, is reported once.
fn once_each(reports: impl Iterator<Item = Report>) -> Vec<Report> {
    let mut known = BTreeSet::new();
    let place =
        |report: &Report| std::fs::canonicalize(&report.file).unwrap_or_else(|_| report.file.clone().into());
    reports.filter(|report| known.insert(place(report))).collect()
}
