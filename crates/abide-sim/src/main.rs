//! The command line of the simulator: `abide-sim crash --points N [--seed S]`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person on a terminal")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use abide_sim::{POINTS_PER_HISTORY, sweep};

const USAGE: &str = "\
Crashes a host at random points, and checks that nothing acknowledged is lost.

    abide-sim crash [--points N] [--seed S]

    --points N    how many crash points (10000)
    --seed S      the seed of the first; the others follow it (0)

A failure names its seed: `--points 1 --seed S` runs it alone.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.split_first() {
        Some((command, rest)) if command == "crash" => parse(rest),
        Some((command, _)) if matches!(command.as_str(), "-h" | "--help" | "help") => Ok(None),
        Some((command, _)) => Err(format!("`{command}` is not known here")),
        None => Err("say what to do".to_owned()),
    };
    match parsed {
        Ok(Some((points, seed))) => crash(points, seed),
        Ok(None) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("abide-sim: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// How many points, and the first seed; `None` where help is asked for.
fn parse(arguments: &[String]) -> Result<Option<(u64, u64)>, String> {
    let (mut points, mut seed) = (10_000, 0);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let place = match argument.as_str() {
            "-h" | "--help" => return Ok(None),
            "--points" => &mut points,
            "--seed" => &mut seed,
            other => return Err(format!("`{other}` is not known here")),
        };
        let value = rest.next().ok_or_else(|| format!("`{argument}` needs a number"))?;
        *place = value.parse().map_err(|_| format!("`{value}` is no number; `{argument}` needs one"))?;
    }
    Ok(Some((points, seed)))
}

fn crash(points: u64, seed: u64) -> ExitCode {
    let done = AtomicU64::new(0);
    let told = |_: &_| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(10 * POINTS_PER_HISTORY) {
            println!("{done} of {points} crash points");
        }
    };
    match sweep(seed, points, &told) {
        Ok(tally) => {
            println!("{tally}\nnothing acknowledged was lost, and every run came to its end");
            ExitCode::SUCCESS
        }
        Err((seed, failure)) => {
            eprintln!(
                "abide-sim: seed {seed}: {failure}\nrun it again: abide-sim crash --points 1 --seed {seed}"
            );
            ExitCode::FAILURE
        }
    }
}
