//! A folder of its own for each test, and the binary run in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A home, and nothing else of the machine.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command that runs beside the test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// One with a working object `tank`, as `abide new` makes it.
    pub(crate) fn with_tank() -> Self {
        let sandbox = Self::new();
        assert_eq!(sandbox.abide(&["new", "tank"]).code, Some(0));
        sandbox
    }

    /// The same, to be run in real time: its readings come as they are written.
    pub(crate) fn with_live_tank() -> Self {
        let sandbox = Self::with_tank();
        let manifest = sandbox.read("tank/app.yaml").replace("mode: replay", "mode: live");
        let manifest = manifest.replace("version: v1.0.0", "version: v1.0.0, abide.dev/tick: 5ms");
        sandbox.write("tank/app.yaml", &manifest);
        sandbox
    }

    /// Runs that tank, and gives what takes its readings.
    pub(crate) fn run_live_tank(&self) -> (Child, ChildStdin) {
        let mut command = self.command(&["run", "tank", "--source", "-", "--quiet"]);
        let mut host =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = host.stdin.take().unwrap();
        writeln!(input, "time,level\n2026-03-01T00:00:00Z,1.25").unwrap();
        self.until(&["show", "tank", "--json"], |ran| {
            ran.code == Some(0) && ran.json()["memory"]["level"] == 1.25
        });
        (host, input)
    }

    /// The same after its day was run.
    pub(crate) fn with_run_tank() -> Self {
        let sandbox = Self::with_tank();
        sandbox.abide(&["run", "tank"]).yes();
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The store of an application, where nothing else was said.
    pub(crate) fn store(&self, application: &str) -> PathBuf {
        self.path("home/.local/share/abide").join(application)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_abide"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.path("home"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn abide(&self, args: &[&str]) -> Ran {
        self.ran(&mut self.command(args))
    }

    pub(crate) fn ran(&self, command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(self.dir.path().to_str().unwrap(), "$DIR")
        };
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Starts a command, whose lines on standard output can be waited for.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out: ChildStdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Running { child, lines }
    }

    /// Runs a command until what it says holds.
    pub(crate) fn until(&self, args: &[&str], holds: impl Fn(&Ran) -> bool) -> Ran {
        let start = Instant::now();
        loop {
            let ran = self.abide(args);
            if holds(&ran) {
                return ran;
            }
            assert!(start.elapsed() < PATIENCE, "{args:?} never came to it: {}", ran.text());
        }
    }
}

impl Ran {
    /// Asserts that the exit code is 0.
    #[track_caller]
    pub(crate) fn yes(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.text());
        self
    }

    /// All of it, for a snapshot.
    pub(crate) fn text(&self) -> String {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        format!("exit {code}\n--- stdout\n{}--- stderr\n{}", self.out, self.err)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// JSON lines.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Json> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl Running {
    /// Waits for a line that holds `part`.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let start = Instant::now();
        loop {
            let line = self.lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed()));
            let line = line.unwrap_or_else(|error| panic!("no line with `{part}`: {error}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Waits for its end: the exit code, and what was left of its output.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let status = self.child.wait().unwrap();
        let lines = std::mem::replace(&mut self.lines, channel().1);
        (status.code(), lines.iter().collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A snapshot of what a command said, with what differs from run to run named instead of shown.
#[track_caller]
pub(crate) fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"\b[0-9a-f]{64}\b", "[hash]");
    settings.add_filter(r"\b[0-9a-f]{12}\b", "[hash 12]");
    settings.add_filter(r"\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}", "+[key]");
    settings.add_filter(r"\b[NO][A-Z2-7]{55}\b", "[nkey]");
    settings.add_filter(r"\b(key|is) [0-9a-f]{8}\b", "$1 [key id]");
    settings.add_filter(r"process \d+", "process [pid]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The heads of all objects of a store.
pub(crate) fn heads(sandbox: &Sandbox, folder: &Path) -> Vec<(String, String)> {
    let listed = sandbox.abide(&["ls", "--json", "--data-dir", folder.to_str().unwrap()]).yes().json();
    let of =
        |object: &Json, pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|object| (of(object, "/id"), of(object, "/lineage/head"))).collect()
}
