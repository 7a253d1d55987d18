//! Benchmarks of Abide, told as ratios.
//!
//! Times of one machine say little on another, and little on the same one an hour later. So contestants take turns within
//! one run, and what is reported is how they compare.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports on a terminal")]

mod act;
mod append;
mod asking;
mod cold;
mod echo;
mod guard;
mod host;
mod link;
mod log;
mod machine;
mod neighbours;
mod race;
mod rate;
mod script;
mod serve;
mod start;
mod tick;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use serde::Serialize;

/// Runs the benchmarks, all of them unless some are named.
#[derive(Parser)]
#[command(name = "cargo xtask bench", version)]
struct Arguments {
    /// Which to run.
    benchmarks: Vec<Benchmark>,
    /// Few and short rounds: shows that it runs, not how fast.
    #[arg(long)]
    quick: bool,
    /// One JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// For `serve`: a component that answers HTTP requests.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// For `serve`: the `wasmtime` to compare with.
    #[arg(long, value_name = "FILE", default_value = "wasmtime")]
    wasmtime: PathBuf,
    /// For `echo`, `link` and `cold`: the folder that `cargo xtask interop` builds components into.
    #[arg(long, value_name = "FOLDER", default_value = "target/guests/interop")]
    guests: PathBuf,
    /// For `echo`: the NATS server that `cargo xtask interop` installs, or another.
    #[arg(long, value_name = "FILE", default_value = "target/nats/bin/nats-server")]
    nats_server: PathBuf,
    /// Objects in `tick`, `guard` and `log`.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    objects: u32,
    /// Where stores are written, on the disk that is to be measured.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// One declared mutation an object each tick: typed, checked, chained, flushed.
    Tick,
    /// A guard of three terms over the memory of every object.
    Guard,
    /// From the start of the binary to its first tick.
    Start,
    /// An act of a behaviour, each in a fresh instance.
    Act,
    /// A log of a million records: verified, recovered, asked.
    Log,
    /// Requests that a component answers, beside `wasmtime serve`; only where `--component` names one.
    Serve,
    /// Messages that a component answers, beside a bare responder of async-nats; needs `--guests` and `--nats-server`.
    Echo,
    /// A call from a component to another one, beside a direct call under the engine; needs `--guests`.
    Link,
    /// From the bytes of a component to its first answer, compiled and from the cache; needs `--guests`.
    Cold,
}

/// What was measured.
#[derive(Serialize)]
struct Report {
    machine: machine::Machine,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<race::Standings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<guard::Guard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<start::Start>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<act::Acts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<log::Log>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serve: Option<serve::Served>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<echo::Echoed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<link::Linked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cold: Option<cold::Cold>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = match run(&arguments) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("abide-bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.json {
        println!("{:#}", serde_json::json!(report));
    } else {
        print!("{report}");
    }
    ExitCode::SUCCESS
}

fn run(arguments: &Arguments) -> io::Result<Report> {
    std::fs::create_dir_all(&arguments.dir)?;
    let folder = tempfile::tempdir_in(&arguments.dir)?;
    let wanted = |benchmark| arguments.benchmarks.is_empty() || arguments.benchmarks.contains(&benchmark);
    let mut report = Report {
        machine: machine::look(folder.path())?,
        tick: None,
        guard: None,
        start: None,
        act: None,
        log: None,
        serve: None,
        echo: None,
        link: None,
        cold: None,
    };
    if wanted(Benchmark::Tick) {
        report.tick = Some(tick::run(folder.path(), arguments.objects, arguments.quick)?);
    }
    if wanted(Benchmark::Guard) {
        report.guard = Some(guard::run(arguments.objects, arguments.quick)?);
    }
    if wanted(Benchmark::Start) {
        report.start = Some(start::run(folder.path(), arguments.quick)?);
    }
    if wanted(Benchmark::Act) {
        report.act = Some(act::run(arguments.quick)?);
    }
    if wanted(Benchmark::Log) {
        let folder = tempfile::tempdir_in(&arguments.dir)?;
        report.log = Some(log::run(folder.path(), arguments.objects, arguments.quick)?);
    }
    if wanted(Benchmark::Serve)
        && let Some(component) = &arguments.component
    {
        report.serve = Some(serve::run(&serve::Setup {
            folder: folder.path(),
            component: component.clone(),
            wasmtime: arguments.wasmtime.clone(),
            quick: arguments.quick,
        })?);
    }
    let Arguments { guests, nats_server, quick, .. } = arguments;
    if wanted(Benchmark::Echo) && arguments.has(Benchmark::Echo, &[guests, nats_server])? {
        let folder = tempfile::tempdir_in(&arguments.dir)?;
        let setup = echo::Setup { folder: folder.path(), guests, nats_server, quick: *quick };
        report.echo = Some(echo::run(&setup)?);
    }
    if wanted(Benchmark::Link) && arguments.has(Benchmark::Link, &[guests])? {
        let folder = tempfile::tempdir_in(&arguments.dir)?;
        report.link = Some(link::run(folder.path(), guests, *quick)?);
    }
    if wanted(Benchmark::Cold) && arguments.has(Benchmark::Cold, &[guests])? {
        let folder = tempfile::tempdir_in(&arguments.dir)?;
        report.cold = Some(cold::run(folder.path(), guests, *quick)?);
    }
    Ok(report)
}

impl Arguments {
    /// Whether all is there that a benchmark takes. One that was asked for by name is not left out in silence.
    fn has(&self, benchmark: Benchmark, takes: &[&PathBuf]) -> io::Result<bool> {
        let Some(missing) = takes.iter().find(|path| !path.exists()) else { return Ok(true) };
        let name = benchmark.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let what = format!("`{name}` needs {}, which `cargo xtask interop` makes", missing.display());
        if self.benchmarks.contains(&benchmark) {
            return Err(io::Error::new(io::ErrorKind::NotFound, what));
        }
        eprintln!("abide-bench: {what}: it is left out");
        Ok(false)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        if let Some(tick) = &self.tick {
            write!(f, "\ntick\n{tick}")?;
        }
        if let Some(guard) = &self.guard {
            writeln!(f, "\nguard\n{guard}")?;
        }
        if let Some(start) = &self.start {
            writeln!(f, "\nstart\n{start}")?;
        }
        if let Some(act) = &self.act {
            writeln!(f, "\nact\n{act}")?;
        }
        if let Some(log) = &self.log {
            write!(f, "\nlog\n{log}")?;
        }
        if let Some(serve) = &self.serve {
            writeln!(f, "\nserve\n{serve}")?;
        }
        if let Some(echo) = &self.echo {
            writeln!(f, "\necho\n{echo}")?;
        }
        if let Some(link) = &self.link {
            writeln!(f, "\nlink\n{link}")?;
        }
        if let Some(cold) = &self.cold {
            writeln!(f, "\ncold\n{cold}")?;
        }
        Ok(())
    }
}
