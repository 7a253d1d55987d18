//! `test`: scenarios played against a schema and its behaviour.

use std::path::PathBuf;

use abide_core::guest::{Act, ActError, Acted, Fault, Guest};
use abide_host::behaviour::{Compiler, Image};
use abide_host::manifest::Report;
use abide_host::scenario::{self, Outcome, Suite};
use clap::Args;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::{Written, read_text};
use crate::output::{counted, remark};
use crate::report;

const EXAMPLES: &str = "\
Examples:
  abide test frost-guard.test.yaml
  abide test *.test.yaml --filter wind

A scenario gives an object its memory, observes at times, and says what the object is to do of its own:

  schema: file://./frost-guard.yaml
  image: file://./frost_guard.wasm
  scenarios:
    - name: it lights when it gets cold
      memory: { temperature: 5, observed_at: 2013-03-01T00:00:00Z }
      start: 2013-03-01T00:00:00Z
      steps:
        - at: 1h
          observe: { observe_temperature: { value: 0.5, at: 2013-03-01T01:00:00Z } }
          expect: [ { set_burner: { level: low } } ]
          memory: { burner: low }";

/// Play scenarios against a schema and its behaviour
///
/// Nothing is stored and nothing is called: effects are simulated. What an expectation does not name may be anything.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// Documents of scenarios
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
}

/// The behaviour of a suite.
struct Only(Option<Image>);

impl Guest for Only {
    fn act(&self, act: &Act<'_>) -> Acted {
        match &self.0 {
            Some(image) => image.act(act),
            None => {
                let message = "the scenarios name no component".to_owned();
                Acted { answer: Err(ActError { fault: Fault::Missing, message }), log: Vec::new() }
            }
        }
    }
}

impl Test {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let compiler = context.compiler();
        let mut outcomes: Vec<(String, Outcome)> = Vec::new();
        let mut reports = Vec::new();
        for file in &self.files {
            let written = Written::read(file)?;
            let (suite, found) = scenario::load(&written.name, &written.text, written.base(), &read_text);
            reports.extend(found);
            let Some(suite) = suite else { continue };
            match played(&suite, &written, &compiler, &self.filter) {
                Ok(played) => outcomes.extend(played.into_iter().map(|one| (written.name.clone(), one))),
                Err(report) => reports.push(report),
            }
        }
        let failed = outcomes.iter().filter(|(_, outcome)| !outcome.differences.is_empty()).count();
        let none = outcomes.is_empty() && !self.filter.is_empty();
        let answer = Answer::of(failed == 0 && !none && !reports.iter().any(Report::has_errors));
        if context.out.json() {
            let all: Vec<Json> = outcomes.iter().map(|(file, outcome)| outcome_json(file, outcome)).collect();
            let passed = outcomes.len() - failed;
            context.out.json_pretty(&json!({
                "passed": passed, "failed": failed, "scenarios": all, "errors": report::to_json(&reports),
            }))?;
            return Ok(answer);
        }
        for one in &reports {
            remark(format_args!("{}\n", report::render(one, context.out.color_err())));
        }
        for (_, outcome) in &outcomes {
            tell(context, outcome)?;
        }
        if none {
            context.out.line(format_args!("no scenario has `{}` in its name", self.filter))?;
        }
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let passed =
            format!("{} passed, {failed} failed", counted(number(outcomes.len() - failed), "scenario"));
        let line = if answer == Answer::Yes { context.out.good(passed) } else { context.out.bad(passed) };
        context.out.line(line)?;
        Ok(answer)
    }
}

fn played(
    suite: &Suite,
    written: &Written,
    compiler: &Compiler,
    filter: &str,
) -> Result<Vec<Outcome>, Report> {
    let report = |diagnostics| Report { file: written.name.clone(), text: written.text.clone(), diagnostics };
    let image = suite.image.as_ref().map(|image| {
        Image::read(&image.path, image.config.clone(), &suite.schema, compiler)
            .map_err(|error| report(abide_host::behaviour::diagnose(image.span.clone(), &error)))
    });
    let guest = Only(image.transpose()?);
    Ok(suite.run(&guest, filter))
}

fn tell(context: &mut Context, outcome: &Outcome) -> Result<(), CommandError> {
    if outcome.differences.is_empty() {
        let line = format!("{} {}", context.out.good("ok"), outcome.name);
        return context.out.line(line);
    }
    let line = format!("{} {}", context.out.bad("failed"), outcome.name);
    context.out.line(line)?;
    for difference in &outcome.differences {
        context.out.line(format_args!("  at {}", difference.at))?;
        for line in &difference.lines {
            let shown = match line.chars().next() {
                Some('-' | '!') => context.out.bad(line).to_string(),
                Some('+') => context.out.good(line).to_string(),
                _ => line.clone(),
            };
            context.out.line(format_args!("    {shown}"))?;
        }
    }
    context.out.line("  (- was expected, + is what came)")
}

fn outcome_json(file: &str, outcome: &Outcome) -> Json {
    let differences: Vec<Json> = outcome
        .differences
        .iter()
        .map(|difference| json!({ "at": difference.at.to_string(), "lines": difference.lines }))
        .collect();
    json!({
        "file": file,
        "name": outcome.name,
        "passed": outcome.differences.is_empty(),
        "differences": differences,
    })
}
