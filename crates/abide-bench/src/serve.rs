//! A component that answers HTTP requests: on a host, and under `wasmtime serve` of the same version.
//!
//! Both servers run all the while and are asked in turn, over connections that are kept, by threads of this process.

use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::race::{median, verdict};
use crate::start::Ended;

/// How much of what `wasmtime serve` does a host has to do.
const RATIO_MIN: f64 = 0.9;
const CONNECTIONS: usize = 16;
/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// What both did.
#[derive(Serialize)]
pub(crate) struct Served {
    rounds: u32,
    connections: usize,
    abide: Rate,
    wasmtime: Rate,
    ratio: f64,
    ratio_min: f64,
}

/// Of the rounds, the medians.
#[derive(Serialize)]
struct Rate {
    requests_per_second: f64,
    p99_ms: f64,
}

/// What is served, and by what.
pub(crate) struct Setup<'a> {
    pub(crate) folder: &'a Path,
    /// A component that exports `wasi:http/incoming-handler`.
    pub(crate) component: PathBuf,
    /// `wasmtime`, with `serve`.
    pub(crate) wasmtime: PathBuf,
    pub(crate) quick: bool,
}

pub(crate) fn run(setup: &Setup<'_>) -> io::Result<Served> {
    let binary = std::env::current_exe()?.with_file_name("abide");
    let ports = [free_port()?, free_port()?];
    let component = fs::canonicalize(&setup.component)?;
    fs::write(setup.folder.join("serve.yaml"), manifest(&component, ports[0]))?;
    let mut abide = Command::new(binary);
    abide.arg("run").arg(setup.folder.join("serve.yaml")).arg("--data-dir").arg(setup.folder.join("serve"));
    abide.arg("--keys").arg(setup.folder.join("keys"));
    let mut wasmtime = Command::new(&setup.wasmtime);
    wasmtime.args(["serve", "--addr", &format!("127.0.0.1:{}", ports[1])]).arg(&component);
    let _running = [start(abide)?, start(wasmtime)?];
    ports.iter().try_for_each(|port| wait_for(*port))?;
    let (rounds, length) =
        if setup.quick { (2, Duration::from_millis(300)) } else { (11, Duration::from_secs(2)) };
    let mut taken: [Vec<(f64, f64)>; 2] = Default::default();
    for round in 0..=rounds {
        // Who begins changes, and the first round is not counted.
        for which in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let (Some(port), Some(taken)) = (ports.get(which), taken.get_mut(which)) else { continue };
            let rate = load(*port, length)?;
            if round > 0 {
                taken.push(rate);
            }
        }
    }
    let [abide, wasmtime] = taken;
    let mut ratios: Vec<f64> = abide.iter().zip(&wasmtime).map(|(a, w)| a.0 / w.0).collect();
    let rate = |taken: &[(f64, f64)]| Rate {
        requests_per_second: median(&mut taken.iter().map(|one| one.0).collect::<Vec<_>>()),
        p99_ms: median(&mut taken.iter().map(|one| one.1).collect::<Vec<_>>()),
    };
    Ok(Served {
        rounds,
        connections: CONNECTIONS,
        abide: rate(&abide),
        wasmtime: rate(&wasmtime),
        ratio: median(&mut ratios),
        ratio_min: RATIO_MIN,
    })
}

fn manifest(component: &Path, port: u16) -> String {
    format!(
        "apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{ name: serve }}
spec:
  components:
    - name: hello
      type: component
      properties: {{ image: 'file://{}' }}
      traits: [ {{ type: spreadscaler, properties: {{ instances: 1000 }} }} ]
    - name: server
      type: capability
      properties: {{ image: abide+builtin://http-server }}
      traits:
        - type: link
          properties:
            target: hello
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source_config: [ {{ name: address, properties: {{ address: '127.0.0.1:{port}' }} }} ]
",
        component.display()
    )
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start(mut command: Command) -> io::Result<Ended> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.map(Ended).map_err(|error| io::Error::new(error.kind(), format!("`{program}`: {error}")))
}

fn wait_for(port: u16) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match Asking::new(port).and_then(|mut asking| asking.ask()) {
            Ok(()) => return Ok(()),
            Err(error) if start.elapsed() > PATIENCE => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Requests a second, and the time in milliseconds that 99 of 100 took at most.
fn load(port: u16, length: Duration) -> io::Result<(f64, f64)> {
    let start = Instant::now();
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            thread::spawn(move || {
                let (mut asking, mut times) = (Asking::new(port)?, Vec::new());
                while start.elapsed() < length {
                    let asked = Instant::now();
                    asking.ask()?;
                    times.push(asked.elapsed().as_secs_f64() * 1e3);
                }
                Ok::<_, io::Error>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().map_err(|_| io::Error::other("a thread that asked panicked"))??);
    }
    let took = start.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    Ok((f64::from(count) / took, p99))
}

/// A connection that is kept.
struct Asking(BufReader<TcpStream>);

impl Asking {
    fn new(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks once, and reads the whole answer.
    fn ask(&mut self) -> io::Result<()> {
        self.0.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")?;
        let wrong = |what: &str| io::Error::other(format!("the answer is wrong: {what}"));
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200") {
            return Err(wrong(line.trim()));
        }
        let mut length = None;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().to_ascii_lowercase().split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().ok(),
                Some(_) => {}
            }
        }
        match length {
            Some(length) => self.skip(length),
            None => loop {
                line.clear();
                self.0.read_line(&mut line)?;
                let size = u64::from_str_radix(line.trim(), 16).map_err(|_| wrong("no size of a chunk"))?;
                self.skip(size + 2)?;
                if size == 0 {
                    return Ok(());
                }
            },
        }
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.0).take(bytes), &mut io::sink())?;
        if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, rate) in [("abide run", &self.abide), ("wasmtime serve", &self.wasmtime)] {
            writeln!(f, "  {:>8.0} requests/s, p99 {:.2} ms  {name}", rate.requests_per_second, rate.p99_ms)?;
        }
        let verdict = verdict(self.ratio >= self.ratio_min, &format!("at least {}", self.ratio_min));
        write!(
            f,
            "  {:.2} of what `wasmtime serve` answers, over {} connections, median of {} rounds  {verdict}",
            self.ratio, self.connections, self.rounds
        )
    }
}
