//! The obvious alternative: a Python script and SQLite, in `baseline/chain.py`.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::race::{Contestant, Round};

/// The script, running and waiting for its next round.
pub(crate) struct ChainScript {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What it prints after a round.
#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    commits: u64,
    denied: u64,
}

impl ChainScript {
    /// Starts it on an empty folder.
    pub(crate) fn start(folder: &Path, objects: u32) -> io::Result<Self> {
        let mut command = Command::new("python3");
        command.args([
            "-c",
            include_str!("../baseline/chain.py"),
            "--objects",
            &objects.to_string(),
            "--dir",
        ]);
        command.arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("`python3` runs the alternative: {error}"))
        })?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(orders), Some(stdout)) => Ok(Self { child, orders, answers: BufReader::new(stdout) }),
            _ => Err(io::Error::other("the pipes to `python3` are gone")),
        }
    }
}

impl Contestant for ChainScript {
    fn name(&self) -> &str {
        "Python and SQLite"
    }

    fn round(&mut self, ticks: u32) -> io::Result<Round> {
        writeln!(self.orders, "{ticks}")?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the script ended; what it said stands above"));
        }
        let answer: Answer = serde_json::from_str(&line)?;
        if answer.denied > 0 {
            return Err(io::Error::other(format!(
                "the script denied {} readings that are valid",
                answer.denied
            )));
        }
        // One flush a commit; those of SQLite's own checkpoints come on top and are not seen from here.
        Ok(Round { elapsed: Duration::from_secs_f64(answer.seconds), flushes: answer.commits })
    }
}

impl Drop for ChainScript {
    fn drop(&mut self) {
        // It writes to a folder that is about to go; either call fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_follow_each_other_until_the_script_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut script = ChainScript::start(folder.path(), 3).unwrap();
        for ticks in [30, 0, 1] {
            let round = script.round(ticks).unwrap();
            assert_eq!(round.flushes, u64::from(ticks));
        }
        script.child.kill().unwrap();
        script.child.wait().unwrap();
        assert!(script.round(1).is_err());
    }
}
