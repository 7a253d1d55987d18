//! From the start of the binary to its first tick, on an empty store: of an object without a component, and to the first
//! act of one whose component is in the cache.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use abide_core::time::Timestamp;
use abide_host::clock::wall_clock;
use serde::Serialize;

use crate::act::COMPONENT;
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

const GUARD: &str = include_str!("../../../examples/frost-guard/frost-guard.yaml");

/// One object that acts at once, at this time.
fn manifest(now: Timestamp) -> String {
    format!(
        "apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{ name: start }}
spec:
  components:
    - name: guard
      type: object
      properties:
        schema: file://./frost-guard.yaml
        image: file://./frost_guard.wasm
        objects: [ {{ id: one, values: {{ temperature: 0.5, observed_at: '{now}', warmth: 2500, light_below: 1.5 }} }} ]
      traits:
        - type: link
          properties: {{ target: burners, namespace: example, package: orchard, interfaces: [burner] }}
    - name: burners
      type: capability
      properties: {{ image: abide+builtin://jsonl, config: [ {{ name: burners, properties: {{ path: ./burners.jsonl }} }} ] }}
"
    )
}

/// What starts took.
#[derive(Serialize)]
pub(crate) struct Start {
    starts: u32,
    plain: Times,
    with_component: Times,
    ms_max: f64,
}

#[derive(Serialize)]
struct Times {
    median_ms: f64,
    min_ms: f64,
}

/// Starts the `abide` that was built beside this binary, several times each.
pub(crate) fn run(folder: &Path, quick: bool) -> io::Result<Start> {
    let binary = std::env::current_exe()?.with_file_name("abide");
    if !binary.is_file() {
        return Err(io::Error::other("`abide` is not beside this binary; `cargo xtask bench` builds both"));
    }
    fs::write(folder.join("start.yaml"), SCHEMA)?;
    fs::write(folder.join("frost-guard.yaml"), GUARD)?;
    fs::write(folder.join("frost_guard.wasm"), COMPONENT)?;
    fs::write(folder.join("app.yaml"), manifest(wall_clock()))?;
    let starts = if quick { 2 } else { 15 };
    let time = |file: &str, number: u32, holds: fn(&str) -> bool| {
        let mut command = Command::new(&binary);
        let data = folder.join(format!("{file}-{number}"));
        command.args(["run", "--json", "--data-dir"]).arg(data).arg(folder.join(file));
        command.env("XDG_CACHE_HOME", folder.join("cache"));
        Ok::<_, io::Error>(until(command, holds)?.as_secs_f64() * 1e3)
    };
    // The first start compiles the component.
    time("app.yaml", starts, is_act)?;
    let times = |file: &str, holds: fn(&str) -> bool| {
        let mut times = (0..starts).map(|n| time(file, n, holds)).collect::<io::Result<Vec<_>>>()?;
        Ok::<_, io::Error>(Times {
            median_ms: median(&mut times),
            min_ms: times.first().copied().unwrap_or(f64::NAN),
        })
    };
    let (plain, with_component) = (times("start.yaml", is_tick)?, times("app.yaml", is_act)?);
    Ok(Start { starts, plain, with_component, ms_max: MS_MAX })
}

/// A line of output that names a tick.
fn is_tick(line: &str) -> bool {
    line.contains("\"tick\"")
}

/// A line that names a tick in which something was recorded: what the object did by its act.
fn is_act(line: &str) -> bool {
    is_tick(line) && !line.contains("\"records\":0,")
}

/// From the start of a command to the first line of its output that holds.
fn until(mut command: Command, holds: fn(&str) -> bool) -> io::Result<Duration> {
    let start = Instant::now();
    let mut child =
        Ended(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let (sender, first_tick) = mpsc::channel();
    if let Some(stdout) = child.0.stdout.take() {
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // Where no line holds the sender is dropped, which the other side sees.
            lines.find(|line| holds(line)).map(|_| sender.send(start.elapsed()))
        });
    }
    first_tick.recv_timeout(PATIENCE).map_err(|_| {
        let _ = child.0.kill();
        let said = child.0.stderr.take().map(io::read_to_string).and_then(Result::ok).unwrap_or_default();
        io::Error::other(format!("`abide run` named no tick on its output\n{said}"))
    })
}

/// A process that does not outlive its use.
pub(crate) struct Ended(pub(crate) Child);

impl Ended {
    /// Starts a program that says nothing here.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(Self).map_err(|error| io::Error::new(error.kind(), format!("`{program}`: {error}")))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Either call fails only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in
            [("the first tick", &self.plain), ("the first act, compiled before", &self.with_component)]
        {
            let verdict = verdict(times.median_ms < self.ms_max, &format!("under {}", self.ms_max));
            writeln!(
                f,
                "  {:.1} ms to {what}, least {:.1}, of {} starts  {verdict}",
                times.median_ms, times.min_ms, self.starts
            )?;
        }
        Ok(())
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
        let took = until(shell(r#"echo '{"objects":1}'; echo '{"tick":1}'; sleep 1000"#), is_tick).unwrap();
        assert!(took < PATIENCE, "{took:?}");
    }

    #[test]
    fn a_host_that_fails_is_quoted() {
        let error = until(shell("echo a locked store >&2"), is_tick).unwrap_err();
        assert!(error.to_string().contains("a locked store"), "{error}");
    }
}
