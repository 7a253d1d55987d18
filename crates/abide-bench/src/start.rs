//! From the start of the binary to its first tick, on an empty store.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::race::{median, verdict};

const MS_MAX: f64 = 100.0;

/// How long a start may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// One object whose rule is due at once.
const SCHEMA: &str = "\
schema: abide/v1
name: start
version: 1.0.0
fields:
  count: { type: integer, minimum: 0, maximum: 1000000, default: 0 }
mutations:
  step: { from: [rule], set: { count: self.count + 1 } }
rules:
  - { name: step, when: self.count < 1000000, every: 1s, then: { mutate: step } }
";

/// What a start took.
#[derive(Serialize)]
pub(crate) struct Start {
    starts: u32,
    median_ms: f64,
    min_ms: f64,
    ms_max: f64,
}

/// Starts the `abide` that was built beside this binary, several times.
pub(crate) fn run(folder: &Path, quick: bool) -> io::Result<Start> {
    let binary = std::env::current_exe()?.with_file_name("abide");
    if !binary.is_file() {
        return Err(io::Error::other("`abide` is not beside this binary; `cargo xtask bench` builds both"));
    }
    let schema = folder.join("start.yaml");
    fs::write(&schema, SCHEMA)?;
    let starts = if quick { 2 } else { 15 };
    let mut times = Vec::new();
    for start in 0..starts {
        let mut command = Command::new(&binary);
        command
            .arg("run")
            .arg(&schema)
            .arg("--json")
            .arg("--data-dir")
            .arg(folder.join(format!("start-{start}")));
        times.push(until_first_tick(command)?.as_secs_f64() * 1e3);
    }
    Ok(Start {
        starts,
        median_ms: median(&mut times),
        min_ms: times.first().copied().unwrap_or(f64::NAN),
        ms_max: MS_MAX,
    })
}

/// The first tick is told by the first line of output that names one.
fn until_first_tick(mut command: Command) -> io::Result<Duration> {
    let start = Instant::now();
    let mut child =
        Ended(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let (sender, first_tick) = mpsc::channel();
    if let Some(stdout) = child.0.stdout.take() {
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // Where no line names a tick the sender is dropped, which the other side sees.
            lines.find(|line| line.contains("\"tick\"")).map(|_| sender.send(start.elapsed()))
        });
    }
    first_tick.recv_timeout(PATIENCE).map_err(|_| {
        let _ = child.0.kill();
        let said = child.0.stderr.take().map(io::read_to_string).and_then(Result::ok).unwrap_or_default();
        io::Error::other(format!("`abide run` named no tick on its output\n{said}"))
    })
}

/// A process that does not outlive its use.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Either call fails only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = verdict(self.median_ms < self.ms_max, &format!("under {}", self.ms_max));
        write!(
            f,
            "  {:.1} ms to the first tick, least {:.1}, of {} starts  {verdict}",
            self.median_ms, self.min_ms, self.starts
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_first_tick_is_waited_for_and_no_longer() {
        let took = until_first_tick(shell(r#"echo '{"objects":1}'; echo '{"tick":1}'; sleep 1000"#)).unwrap();
        assert!(took < PATIENCE, "{took:?}");
    }

    #[test]
    fn a_host_that_fails_is_quoted() {
        let error = until_first_tick(shell("echo a locked store >&2")).unwrap_err();
        assert!(error.to_string().contains("a locked store"), "{error}");
    }
}
