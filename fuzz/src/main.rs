//! Longer runs than the tests take: `cargo xtask fuzz`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to a person on a terminal"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use abide_fuzz::{TARGETS, Target, find, fuzz, replay};

const USAGE: &str = "\
Hostile bytes for everything that takes bytes from outside.

    cargo xtask fuzz [--seconds N] [--seed S] [TARGET…]    each target for N seconds (60)
    cargo xtask fuzz TARGET --input FILE                   one input again
    cargo xtask fuzz --seeds FOLDER [TARGET…]              writes the inputs that a target begins with
    cargo xtask fuzz --list                                the targets
";

struct Options {
    seconds: u64,
    seed: u64,
    input: Option<String>,
    seeds: Option<String>,
    targets: Vec<&'static Target>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("-h" | "--help") => print!("{USAGE}"),
        Some("--list") => TARGETS.iter().for_each(|target| println!("{}", target.name)),
        _ => {
            return match read(&arguments).and_then(|options| run(&options)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(problem) => {
                    eprintln!("abide-fuzz: {problem}");
                    ExitCode::FAILURE
                }
            };
        }
    }
    ExitCode::SUCCESS
}

fn read(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { seconds: 60, seed: 1, input: None, seeds: None, targets: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{argument}` needs a value"));
        let number = |text: &String| text.parse().map_err(|_| format!("`{text}` is no number"));
        match argument.as_str() {
            "--seconds" => options.seconds = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--input" => options.input = Some(value()?.clone()),
            "--seeds" => options.seeds = Some(value()?.clone()),
            name => {
                let target = find(name).ok_or_else(|| format!("`{name}` is not known\n\n{USAGE}"))?;
                options.targets.push(target);
            }
        }
    }
    if options.targets.is_empty() {
        options.targets.extend(TARGETS);
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz");
    for target in &options.targets {
        if let Some(folder) = &options.seeds {
            write_seeds(target, Path::new(folder)).map_err(|error| format!("`{folder}`: {error}"))?;
            continue;
        }
        let tally = match &options.input {
            Some(path) => {
                let input = std::fs::read(path).map_err(|error| format!("`{path}`: {error}"))?;
                replay(target, &input, &folder)
            }
            None => fuzz(target, options.seed, Duration::from_secs(options.seconds), &folder),
        };
        let tally = tally.map_err(|failure| format!("{}: {failure}", target.name))?;
        println!(
            "{:<12}{:>10} inputs, {:>6} ends, slowest {:?}",
            target.name, tally.inputs, tally.ends, tally.slowest
        );
    }
    Ok(())
}

fn write_seeds(target: &Target, folder: &Path) -> std::io::Result<()> {
    let folder = folder.join(target.name);
    std::fs::create_dir_all(&folder)?;
    let mut seeds = (target.seeds)().into_iter().enumerate();
    seeds.try_for_each(|(n, seed)| std::fs::write(folder.join(format!("seed-{n:03}")), seed))
}
