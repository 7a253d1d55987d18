//! A component that answers messages, and a program of async-nats that does, on one NATS server.
//!
//! The host is the binary, in a lattice of that server. The program is a runtime and a connection of its own in this process,
//! which answers each message as soon as it comes. Both are asked in turn, by the same client over one connection.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use async_nats::Client;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::asking::{PATIENCE, free_port};
use crate::rate::{Compared, Rate, compare};
use crate::start::Ended;

/// Requests at once.
const CONCURRENCIES: [usize; 3] = [1, 16, 64];
/// What is echoed.
const BODY: &[u8] = &[b'x'; 64];
const ABIDE: &str = "bench.abide";
const BARE: &str = "bench.bare";

/// What both did.
#[derive(Serialize)]
pub(crate) struct Echoed {
    rounds: u32,
    body_bytes: usize,
    loads: Vec<Load>,
}

/// With so many requests at once, the medians over rounds.
#[derive(Serialize)]
struct Load {
    concurrency: usize,
    abide: Rate,
    bare: Rate,
    ratio: f64,
}

/// What runs.
pub(crate) struct Setup<'a> {
    pub(crate) folder: &'a Path,
    /// The folder that `cargo xtask interop` builds components into.
    pub(crate) guests: &'a Path,
    pub(crate) nats_server: &'a Path,
    pub(crate) quick: bool,
}

pub(crate) fn run(setup: &Setup<'_>) -> io::Result<Echoed> {
    let port = free_port()?;
    let url = format!("nats://127.0.0.1:{port}");
    let mut server = Command::new(setup.nats_server);
    server
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
        .arg(setup.folder.join("jetstream"));
    let _server = Ended::start(server)?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let client = runtime.block_on(connect(&url))?;
    let _host = Ended::start(host(setup, &url)?)?;
    let _bare = Bare::start(&url)?;
    for subject in [ABIDE, BARE] {
        runtime.block_on(wait_for(&client, subject))?;
    }
    let (rounds, length) =
        if setup.quick { (2, Duration::from_millis(200)) } else { (11, Duration::from_secs(1)) };
    let mut loads = Vec::new();
    for concurrency in CONCURRENCIES {
        let load = |subject: &&'static str| runtime.block_on(load(&client, subject, concurrency, length));
        let Compared { subject, other, ratio } = compare([ABIDE, BARE], rounds, load)?;
        loads.push(Load { concurrency, abide: subject, bare: other, ratio });
    }
    Ok(Echoed { rounds, body_bytes: BODY.len(), loads })
}

/// The host, with `echo` on its subject.
fn host(setup: &Setup<'_>, url: &str) -> io::Result<Command> {
    let component = fs::canonicalize(setup.guests.join("echo.wasm"))?;
    let application = setup.folder.join("echo.yaml");
    fs::write(&application, manifest(&component))?;
    let mut host = Command::new(std::env::current_exe()?.with_file_name("abide"));
    host.arg("host").arg(application).args(["--nats-url", url]);
    host.arg("--data-dir").arg(setup.folder.join("echo")).arg("--keys").arg(setup.folder.join("keys"));
    host.env("XDG_CACHE_HOME", setup.folder.join("cache"));
    Ok(host)
}

fn manifest(component: &Path) -> String {
    format!(
        "apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{ name: echo }}
spec:
  components:
    - name: echo
      type: component
      properties: {{ image: 'file://{}' }}
      traits:
        - {{ type: spreadscaler, properties: {{ instances: 1000 }} }}
        - type: link
          properties: {{ target: messages, namespace: wasmcloud, package: messaging, interfaces: [consumer] }}
    - name: messages
      type: capability
      properties: {{ image: abide+builtin://messaging }}
      traits:
        - type: link
          properties:
            target: echo
            namespace: wasmcloud
            package: messaging
            interfaces: [handler]
            source_config: [ {{ name: subjects, properties: {{ subscriptions: {ABIDE} }} }} ]
",
        component.display()
    )
}

/// A program that answers, as long as this is there.
struct Bare {
    _runtime: Runtime,
}

impl Bare {
    fn start(url: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let (client, mut messages) = runtime.block_on(async {
            let client = connect(url).await?;
            let messages = client.subscribe(BARE).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((client, messages))
        })?;
        runtime.spawn(async move {
            while let Some(message) = messages.next().await {
                if let Some(reply) = message.reply {
                    // A connection that is lost shows where the answer is awaited.
                    let _ = client.publish(reply, message.payload).await;
                }
            }
        });
        Ok(Self { _runtime: runtime })
    }
}

/// A connection to a server that begins.
async fn connect(url: &str) -> io::Result<Client> {
    let options = async_nats::ConnectOptions::new().request_timeout(Some(PATIENCE));
    let start = Instant::now();
    loop {
        match options.clone().connect(url).await {
            Ok(client) => return Ok(client),
            Err(error) if start.elapsed() > PATIENCE => return Err(io::Error::other(error)),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Asks until somebody answers.
async fn wait_for(client: &Client, subject: &'static str) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match ask(client, subject).await {
            Ok(()) => return Ok(()),
            Err(error) if start.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn ask(client: &Client, subject: &'static str) -> io::Result<()> {
    let answer = client.request(subject, BODY.into()).await;
    let answer = answer.map_err(|error| io::Error::other(format!("`{subject}`: {error}")))?;
    if *answer.payload == *BODY { Ok(()) } else { Err(io::Error::other(format!("`{subject}` is no echo"))) }
}

/// What is answered in a while, so many requests at once.
async fn load(
    client: &Client,
    subject: &'static str,
    concurrency: usize,
    length: Duration,
) -> io::Result<Rate> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..concurrency)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < length {
                    let asked = Instant::now();
                    ask(&client, subject).await?;
                    times.push(asked.elapsed());
                }
                Ok::<_, io::Error>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.map_err(io::Error::other)??);
    }
    Ok(Rate::of(times, start.elapsed()))
}

impl fmt::Display for Echoed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} rounds, {} bytes there and back over one NATS server, taking turns",
            self.rounds, self.body_bytes
        )?;
        writeln!(
            f,
            "  {:<10}{:>16}{:>10}{:>16}{:>10}{:>10}",
            "at once", "abide host /s", "p99 ms", "async-nats /s", "p99 ms", "ratio"
        )?;
        for Load { concurrency, abide, bare, ratio } in &self.loads {
            writeln!(
                f,
                "  {concurrency:<10}{:>16.0}{:>10.2}{:>16.0}{:>10.2}{ratio:>10.2}",
                abide.requests_per_second, abide.p99_ms, bare.requests_per_second, bare.p99_ms
            )?;
        }
        write!(
            f,
            "  ratio is the rate of a component on a host over that of a program that answers by itself"
        )
    }
}
