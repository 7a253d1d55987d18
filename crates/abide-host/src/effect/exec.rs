//! The builtin target `exec`: runs one program that the manifest names, with the call on its standard input.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{CallError, RESULT_BYTES_MAX, Request, Target};

/// Most bytes of standard error that are shown.
const STDERR_BYTES_MAX: usize = 512;
/// How long output is waited for after the program ended, where something that left its group holds it open.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);

/// What is run, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecConfig {
    /// The program. It is run as it stands, with no shell and no search path.
    pub program: PathBuf,
    /// Its arguments: always these, nothing of the call is among them.
    pub args: Vec<String>,
    /// Variables of the environment that are set for it.
    pub env: BTreeMap<String, String>,
    /// Variables that it inherits from the host where the host has them; all others are cleared.
    pub inherit: Vec<String>,
    /// The folder that it runs in.
    pub directory: PathBuf,
}

/// Runs a program for each effect.
///
/// It gets [`Request::to_json`] and a line feed on its standard input. Exit status 0 is success; its standard output is
/// the result where it is JSON, and null otherwise. At the timeout, and when the program has ended, everything left in
/// its process group is killed.
#[derive(Debug)]
pub struct Exec {
    config: ExecConfig,
}

impl Exec {
    /// A target that runs the program.
    #[must_use]
    pub fn new(config: ExecConfig) -> Self {
        Self { config }
    }

    fn spawn(&self) -> io::Result<Child> {
        let inherited = self.config.inherit.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        Command::new(&self.config.program)
            .args(&self.config.args)
            .env_clear()
            .envs(inherited)
            .envs(&self.config.env)
            .current_dir(&self.config.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    fn named(&self, what: impl std::fmt::Display) -> String {
        format!("`{}` {what}", self.config.program.display())
    }
}

impl Target for Exec {
    fn call(&self, request: &Request) -> Result<serde_json::Value, CallError> {
        let mut child = self.spawn().map_err(|error| {
            let message = self.named(format!("cannot be run: {error}"));
            match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => CallError::permanent(message),
                _ => CallError::passing(message),
            }
        })?;
        feed(&mut child, request);
        let stdout = drain(child.stdout.take(), RESULT_BYTES_MAX);
        let stderr = drain(child.stderr.take(), STDERR_BYTES_MAX);
        let timeout = Duration::from_nanos(u64::try_from(request.timeout.0).unwrap_or(0));
        let in_time = wait(&child, timeout);
        let status = end(&mut child).map_err(|error| CallError::passing(self.named(error)))?;
        if !in_time {
            return Err(CallError::passing(self.named(format!("did not end within {}", request.timeout))));
        }
        let (stdout, stderr) = (collect(&stdout), collect(&stderr));
        if status.success() { self.result(&stdout) } else { Err(self.failure(status, &stderr)) }
    }
}

impl Exec {
    fn result(&self, stdout: &[u8]) -> Result<serde_json::Value, CallError> {
        // The program has acted: calling it again because of what it printed would act twice.
        if stdout.len() > RESULT_BYTES_MAX {
            let message = format!("succeeded, but printed more than {RESULT_BYTES_MAX} bytes");
            return Err(CallError::permanent(self.named(message)));
        }
        Ok(serde_json::from_slice(stdout).unwrap_or_default())
    }

    fn failure(&self, status: ExitStatus, stderr: &[u8]) -> CallError {
        let shown = String::from_utf8_lossy(stderr.get(..STDERR_BYTES_MAX).unwrap_or(stderr));
        let said = match shown.trim() {
            "" => String::new(),
            text => format!(": {text}"),
        };
        CallError::passing(self.named(format!("ended with {status}{said}")))
    }
}

/// Writes the call to the program's standard input; in a thread, as the program may never read it.
fn feed(child: &mut Child, request: &Request) {
    if let Some(mut stdin) = child.stdin.take() {
        let mut line = request.to_json().to_string();
        line.push('\n');
        // A program that does not want its input closes it: that is no failure.
        thread::spawn(move || stdin.write_all(line.as_bytes()));
    }
}

/// What was read of an output so far, and the end of it.
struct Drained {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

/// Reads an output to its end and keeps one byte more than `bytes_max` of it, so that an excess shows.
fn drain(output: Option<impl Read + Send + 'static>, bytes_max: usize) -> Drained {
    let (sender, ended) = mpsc::sync_channel(1);
    let kept = Arc::new(Mutex::new(Vec::new()));
    if let Some(mut output) = output {
        let kept = Arc::clone(&kept);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            // What was read before a failure is all there is.
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = (bytes_max + 1).saturating_sub(kept.len());
                kept.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
            }
            let _ = sender.send(());
        });
    }
    Drained { kept, ended }
}

/// What was read: all of it, or as much as came before something that holds the output open was waited for.
fn collect(output: &Drained) -> Vec<u8> {
    let _ = output.ended.recv_timeout(OUTPUT_WAIT);
    std::mem::take(&mut *output.kept.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Waits for the program to end, at most so long, and leaves it to be reaped: until then nothing else has its id.
fn wait(child: &Child, timeout: Duration) -> bool {
    let Some(pid) = pid(child) else { return false };
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
        let _ = sender.send(());
    });
    receiver.recv_timeout(timeout).is_ok()
}

/// Kills what is left of the program's group and reaps it.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    if let Some(group) = pid(child) {
        // A group without a living member cannot be killed, and need not be.
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait()
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}
