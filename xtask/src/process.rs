//! Running a command of others: with a time limit, in a process group of its own, so that at the limit or on a signal
//! nothing that it started is left behind.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long a group has, once asked to end, and how long its output may outlive it.
const GRACE: Duration = Duration::from_secs(5);

/// The group that a signal to this process is passed on to.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Why a command did not do what it was run for. Reads as the rest of a sentence that begins with its name.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be started, or not be waited for.
    Start(io::Error),
    /// It ended, and not well.
    Ended(ExitStatus),
    /// It was ended at its limit.
    TimedOut(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "could not be run: {error}"),
            Self::Ended(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "ended with exit code {code}"),
                (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
                (None, None) => write!(f, "ended without an exit code"),
            },
            Self::TimedOut(limit) => write!(f, "was ended at its time limit of {} s", limit.as_secs_f64()),
        }
    }
}

/// Runs a command on this terminal, without input.
///
/// # Errors
/// Unless it ends with exit code 0 within the limit.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<(), Failure> {
    wait(spawn(command)?, limit)
}

/// Runs a command, shows its standard output and also returns it.
pub(crate) fn run_and_read(command: &mut Command, limit: Duration) -> (Result<(), Failure>, Vec<String>) {
    let mut child = match spawn(command.stdout(Stdio::piped())) {
        Ok(child) => child,
        Err(failure) => return (Err(failure), Vec::new()),
    };
    let lines = child.stdout.take().map(echo);
    let result = wait(child, limit);
    (result, lines.map(|lines| collect(&lines)).unwrap_or_default())
}

/// Whether a command ends with exit code 0 within the limit; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command, limit: Duration) -> bool {
    run(command.stdout(Stdio::null()).stderr(Stdio::null()), limit).is_ok()
}

/// From now on, a signal that ends this process first ends what it runs: a group of its own is not reached by the
/// terminal's Ctrl-C.
pub(crate) fn forward_signals() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    thread::spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        if let Some(group) = *lock() {
            // It may have ended already; then there is nothing to do.
            let _ = kill_process_group(group, Signal::TERM);
        }
        std::process::exit(128 + signal);
    });
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    command.stdin(Stdio::null()).process_group(0).spawn().map_err(Failure::Start)
}

fn wait(mut child: Child, limit: Duration) -> Result<(), Failure> {
    let group = Pid::from_child(&child);
    *lock() = Some(group);
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait()));
    let result = match end.recv_timeout(limit) {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(Failure::Ended(status)),
        Ok(Err(error)) => Err(Failure::Start(error)),
        Err(_) => {
            end_group(group, &end);
            Err(Failure::TimedOut(limit))
        }
    };
    *lock() = None;
    result
}

fn end_group<T>(group: Pid, end: &Receiver<T>) {
    // Either signal may find the group gone, which is what it is for.
    let _ = kill_process_group(group, Signal::TERM);
    let _ = end.recv_timeout(GRACE);
    let _ = kill_process_group(group, Signal::KILL);
}

fn echo(stdout: impl io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            println!("{line}");
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Everything up to the end of the output, or to where something left behind keeps it open and silent.
fn collect(lines: &Receiver<String>) -> Vec<String> {
    std::iter::from_fn(|| lines.recv_timeout(GRACE).ok()).collect()
}

fn lock() -> std::sync::MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A command as a person would write it, its program without the path.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_limit_ends_grandchildren_too() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = shell("sleep 1000 & sleep 1000");
        command.stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        let result = run(&mut command, Duration::from_millis(100));
        assert!(matches!(result, Err(Failure::TimedOut(_))), "{result:?}");
        drop(command);
        ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The end of the stream: no process holds the other side any more.
        assert_eq!(ours.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn how_it_ended_is_told() {
        let limit = Duration::from_secs(60);
        let told = |script| run(&mut shell(script), limit).map_err(|failure| failure.to_string());
        assert_eq!(told("exit 0"), Ok(()));
        assert_eq!(told("exit 3"), Err("ended with exit code 3".to_owned()));
        assert_eq!(told("kill -9 $$"), Err("was ended by signal 9".to_owned()));
        let missing = run(&mut Command::new("a-command-that-does-not-exist"), limit);
        assert!(matches!(missing, Err(Failure::Start(_))), "{missing:?}");
    }

    #[test]
    fn output_is_returned_and_input_is_empty() {
        let (result, lines) =
            run_and_read(&mut shell("cat; printf 'one\\n\\377\\nlast'"), Duration::from_secs(60));
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(lines, ["one", "\u{fffd}", "last"]);
    }
}
