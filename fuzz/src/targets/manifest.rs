//! The manifest with a schema beside it: it loads, or everything that is wrong is said of places in it.

use std::io;
use std::path::Path;

use abide_host::manifest::{Manifest, Report, load};

use super::{Reached, Target, check_span, no_seeds};
use crate::sample::SCHEMA;

pub(super) const TARGET: Target = Target { name: "manifest", run, seeds: no_seeds };

fn run(bytes: &[u8]) -> Reached {
    let text = String::from_utf8_lossy(bytes);
    let loaded = load(Manifest { file: "app.yaml", text: &text, base: Path::new("/nowhere") }, &resolve);
    check_reports(&loaded.reports);
    let is_refused = loaded.reports.iter().any(Report::has_errors);
    assert_eq!(
        loaded.application.is_none(),
        is_refused,
        "a manifest is refused without a word, or in spite of one"
    );
    Reached::of(&words(&loaded.reports))
}

/// Two schemas, and no other file.
pub(super) fn resolve(path: &Path) -> io::Result<String> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("sample.yaml") => Ok(SCHEMA.to_owned()),
        Some("frost-guard.yaml") => {
            Ok(include_str!("../../../examples/frost-guard/frost-guard.yaml").to_owned())
        }
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

pub(super) fn check_reports(reports: &[Report]) {
    for report in reports {
        report.diagnostics.iter().for_each(|diagnostic| check_span(&report.text, diagnostic.span.as_ref()));
    }
}

pub(super) fn words(reports: &[Report]) -> Vec<&str> {
    let diagnostics = reports.iter().flat_map(|report| &report.diagnostics);
    diagnostics.map(|diagnostic| diagnostic.message.as_str()).take(4).collect()
}
