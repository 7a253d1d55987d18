//! A component that answers HTTP requests: on a host, and under `wasmtime serve` of the same version.
//!
//! Both servers run all the while and are asked in turn, over connections that are kept, by threads of this process.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::asking::{Asking, free_port};
use crate::race::verdict;
use crate::rate::{Compared, Rate, compare};
use crate::start::Ended;

/// How much of what `wasmtime serve` does a host has to do.
const RATIO_MIN: f64 = 0.9;
const CONNECTIONS: usize = 16;

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
    let _running = [Ended::start(abide)?, Ended::start(wasmtime)?];
    for port in ports {
        Asking::wait_for(port, "/")?;
    }
    let (rounds, length) =
        if setup.quick { (2, Duration::from_millis(300)) } else { (11, Duration::from_secs(2)) };
    let Compared { subject, other, ratio } = compare(ports, rounds, |port| load(*port, length))?;
    Ok(Served {
        rounds,
        connections: CONNECTIONS,
        abide: subject,
        wasmtime: other,
        ratio,
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

/// What a server answers in a while.
fn load(port: u16, length: Duration) -> io::Result<Rate> {
    let start = Instant::now();
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            thread::spawn(move || {
                let (mut asking, mut times) = (Asking::new(port)?, Vec::new());
                while start.elapsed() < length {
                    let asked = Instant::now();
                    asking.ask("/")?;
                    times.push(asked.elapsed());
                }
                Ok::<_, io::Error>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().map_err(|_| io::Error::other("a thread that asked panicked"))??);
    }
    Ok(Rate::of(times, start.elapsed()))
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
