//! `cargo xtask test`: everything a change must pass, in one command.
//!
//! Every check runs, also after one has failed, so that one run tells all there is to mend. Only a build that fails ends
//! the run at once: the checks behind it would but repeat its errors.

use std::fmt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::{build, cargo, interop, process, starters, tools, verifier};

/// What to run, and what it may do to this machine.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Whether missing tools are installed.
    pub(crate) install: bool,
    /// Whether the slow checks that seldom fail are left out.
    pub(crate) fast: bool,
}

/// Runs every check and ends with a summary. Its last line is `N passed, N failed`: tests, and checks.
pub(crate) fn everything(options: Options) -> ExitCode {
    let mut report = Report::default();
    report.step("tools", || require_tools(options));
    report.step("formatting", || run(&["fmt", "--all", "--check"], 2));
    let built = report.step("build", || build().into());
    if built {
        report.step("clippy", || {
            run(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"], 20)
        });
        let mut tests = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
        let bundles = verifier::bundles();
        if let Ok(folder) = &bundles {
            tests.env("ABIDE_BUNDLES", folder);
        }
        report.tests("tests", tests, minutes(25));
        if !options.fast {
            report.step("second verifier", || bundles.and_then(|folder| verifier::check(&folder)).into());
            report.step("linting of clients", || interop::lint().into());
            let mut clients = Err(String::new());
            report.step("build of clients", || {
                clients = interop::tests();
                clients.as_ref().map(|_| ()).map_err(String::as_str).into()
            });
            if let Ok(clients) = clients {
                report.tests("clients of others", clients, interop::RUN_LIMIT);
            }
            for language in starters::LANGUAGES {
                report.step(&format!("starter in {language}"), || starters::check(language).into());
            }
            report.step("documentation", documentation);
            report.step("licences, bans, sources", || {
                run(&["deny", "check", "licenses", "bans", "sources"], 5)
            });
            report.step("advisories", advisories);
        }
    }
    print!("{report}");
    if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn require_tools(options: Options) -> Outcome {
    let missing = tools::ensure(options.install, !options.fast);
    if missing.is_empty() { Outcome::Passed } else { Outcome::Failed(missing.join("; ")) }
}

fn documentation() -> Outcome {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    process::run(command.env("RUSTDOCFLAGS", "--deny warnings"), minutes(20)).into()
}

/// The advisory database is a repository elsewhere. Where it cannot be reached the change is not to blame, and the
/// summary says what was not looked at.
fn advisories() -> Outcome {
    if let Err(failure) = process::run(&mut cargo(&["deny", "fetch", "db"]), minutes(2)) {
        return Outcome::Skipped(format!(
            "the advisory database could not be fetched: cargo deny fetch {failure}"
        ));
    }
    run(&["deny", "check", "--disable-fetch", "advisories"], 5)
}

fn run(arguments: &[&str], limit_minutes: u64) -> Outcome {
    process::run(&mut cargo(arguments), minutes(limit_minutes)).into()
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// How a check went.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl<E: fmt::Display> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(failure) => Self::Failed(failure.to_string()),
        }
    }
}

/// What the checks came to so far.
#[derive(Default)]
struct Report {
    steps: Vec<Step>,
    tests: Tally,
}

struct Step {
    name: String,
    elapsed: Duration,
    outcome: Outcome,
    /// Whether how it went stands in the tally of tests already.
    tallied: bool,
}

impl Report {
    /// Runs a check; returns whether it passed.
    fn step(&mut self, name: &str, check: impl FnOnce() -> Outcome) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = check();
        self.end(Step { name: name.to_owned(), elapsed: start.elapsed(), outcome, tallied: false })
    }

    /// Runs tests and counts them.
    fn tests(&mut self, name: &str, mut command: Command, limit: Duration) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let (result, lines) = process::run_and_read(&mut command, limit);
        let tally = Tally::of(&lines);
        let tallied = if result.is_ok() { tally.passed > 0 } else { tally.failed > 0 };
        self.tests =
            Tally { passed: self.tests.passed + tally.passed, failed: self.tests.failed + tally.failed };
        self.end(Step { name: name.to_owned(), elapsed: start.elapsed(), outcome: result.into(), tallied })
    }

    fn end(&mut self, step: Step) -> bool {
        println!("--- {step}");
        let passed = matches!(step.outcome, Outcome::Passed);
        self.steps.push(step);
        passed
    }

    fn passed(&self) -> usize {
        let steps = self.steps.iter().filter(|s| matches!(s.outcome, Outcome::Passed) && !s.tallied);
        self.tests.passed + steps.count()
    }

    fn failed(&self) -> usize {
        let steps = self.steps.iter().filter(|s| matches!(s.outcome, Outcome::Failed(_)) && !s.tallied);
        self.tests.failed + steps.count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n=== summary")?;
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        writeln!(f, "{} passed, {} failed", self.passed(), self.failed())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24}{:>8.1} s  ", self.name, self.elapsed.as_secs_f64())?;
        match &self.outcome {
            Outcome::Passed => f.write_str("passed"),
            Outcome::Failed(why) => write!(f, "FAILED: {why}"),
            Outcome::Skipped(why) => write!(f, "SKIPPED: {why}"),
        }
    }
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Adds up the closing lines of each test binary: `test result: ok. 12 passed; 0 failed; …`.
    fn of(lines: &[String]) -> Self {
        let mut tally = Self::default();
        for counts in lines.iter().filter_map(|line| line.strip_prefix("test result: ")) {
            let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
            for count in counts.split("; ") {
                match count.split_once(' ').map(|(number, what)| (number.parse::<usize>(), what)) {
                    Some((Ok(number), "passed")) => tally.passed += number,
                    Some((Ok(number), "failed")) => tally.failed += number,
                    _ => {}
                }
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn tests_of_all_binaries_are_counted() {
        let output = "\
test a ... ok
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 4 filtered out; finished in 1.00s
test result: cut off";
        assert_eq!(Tally::of(&lines(output)), Tally { passed: 15, failed: 2 });
        assert_eq!(Tally::of(&[]), Tally::default());
    }

    #[test]
    fn a_failure_is_counted_once() {
        let mut report = Report::default();
        report.step("formatting", || Outcome::Failed("ended with exit code 1".to_owned()));
        report.step("advisories", || Outcome::Skipped("no network".to_owned()));
        report.step("documentation", || Outcome::Passed);
        let mut failing = Command::new("echo");
        failing.arg("test result: FAILED. 3 passed; 2 failed; 0 ignored");
        report.tests("tests", failing, minutes(1));
        if let Some(step) = report.steps.last_mut() {
            step.outcome = Outcome::Failed("ended with exit code 101".to_owned());
        }
        assert_eq!((report.passed(), report.failed()), (4, 3));
        let shown = report.to_string();
        assert_eq!(shown.lines().last(), Some("4 passed, 3 failed"));
        assert!(shown.contains("FAILED: ended with exit code 1\n"), "{shown}");
        assert!(shown.contains("SKIPPED: no network\n"), "{shown}");
    }

    #[test]
    fn tests_that_do_not_build_are_a_failure() {
        let mut report = Report::default();
        report.tests("tests", Command::new("false"), minutes(1));
        assert_eq!((report.passed(), report.failed()), (0, 1));
    }
}
