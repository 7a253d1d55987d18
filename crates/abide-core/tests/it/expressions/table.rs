//! The conformance table: each row an expression and what it comes to.

use abide_core::expr::show;

use super::fixture::Fixture;

const TABLE: &str = include_str!("table.txt");

/// What a row says that its expression comes to.
#[derive(Debug)]
enum Outcome<'t> {
    Value(&'t str),
    LoadError(&'t str),
    RunError(&'t str),
}

#[test]
fn every_row_comes_to_what_it_says() {
    let fixture = Fixture::new();
    let mut rows = 0;
    let mut wrong = Vec::new();
    for (number, line) in TABLE.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        rows += 1;
        let (source, outcome) = row(line);
        if let Some(found) = differs(&fixture, source, &outcome) {
            wrong.push(format!("line {}: {source}\n  expected {outcome:?}\n  found    {found}", number + 1));
        }
    }
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 250, "the table has {rows} rows: some are not read");
}

fn row(line: &str) -> (&str, Outcome<'_>) {
    let split =
        |arrow: &str| line.split_once(arrow).map(|(source, outcome)| (source.trim_end(), outcome.trim()));
    if let Some((source, outcome)) = split(" =load> ") {
        return (source, Outcome::LoadError(outcome));
    }
    if let Some((source, outcome)) = split(" =run> ") {
        return (source, Outcome::RunError(outcome));
    }
    let (source, outcome) = split(" => ").unwrap_or_else(|| panic!("`{line}` says no outcome"));
    (source, Outcome::Value(outcome))
}

fn differs(fixture: &Fixture, source: &str, outcome: &Outcome<'_>) -> Option<String> {
    let program = match fixture.compile(source) {
        Ok(program) => program,
        Err(errors) => {
            let all: Vec<String> = errors
                .iter()
                .map(|error| {
                    format!(
                        "{} ({}) at {:?}",
                        error.message,
                        error.help.as_deref().unwrap_or("-"),
                        error.span
                    )
                })
                .collect();
            let as_said =
                matches!(outcome, Outcome::LoadError(said) if all.iter().any(|error| error.contains(said)));
            let one_slip_one_error = errors.len() == 1;
            return (!as_said || !one_slip_one_error).then(|| format!("load errors: {}", all.join(" | ")));
        }
    };
    let result = program.eval(&fixture.env());
    let as_said = match (&result, outcome) {
        (Ok(value), Outcome::Value(said)) => show(value) == *said,
        (Err(error), Outcome::RunError(said)) => {
            error.message.contains(said) && program.can_fail_or_gap(error)
        }
        _ => false,
    };
    (!as_said).then(|| match result {
        Ok(value) => show(&value),
        Err(error) => format!("run error: {}", error.message),
    })
}

/// What fails at run time must have been said to be able to, a gap aside.
trait CanFail {
    fn can_fail_or_gap(&self, error: &abide_core::expr::EvalError) -> bool;
}

impl CanFail for abide_core::expr::Program {
    fn can_fail_or_gap(&self, error: &abide_core::expr::EvalError) -> bool {
        self.can_fail() || error.gap.is_some()
    }
}
