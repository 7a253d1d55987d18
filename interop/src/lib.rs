//! A NATS server and hosts of Abide, for tests to drive.

mod proxy;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use serde_json::Value as Json;
use tempfile::TempDir;
use wasmcloud_control_interface::{Client, ClientBuilder, CtlResponse};

pub use proxy::{Proxy, Way};

pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask interop`"))
        .into()
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with the test, and what it says on standard error.
pub struct Running {
    pub child: Child,
    pub said: Receiver<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, said) = channel();
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, said }
    }

    pub fn wait_for(&self, part: &str) {
        let start = Instant::now();
        let mut all = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(line) if line.contains(part) => return,
                Ok(line) => all.push(line),
                Err(error) => panic!("nothing said `{part}` ({error}): {all:#?}"),
            }
        }
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// How many bytes of memory it has of late.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it runs");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A NATS server and hosts, in a folder of their own.
pub struct Lattice {
    pub folder: TempDir,
    pub port: u16,
    pub nats: Option<Running>,
}

impl Lattice {
    pub fn new(jetstream: bool) -> Self {
        let mut lattice = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), nats: None };
        lattice.serve(jetstream);
        lattice
    }

    pub fn serve(&mut self, jetstream: bool) {
        self.serve_with(jetstream, "");
    }

    /// The same, with a configuration.
    pub fn serve_with(&mut self, jetstream: bool, config: &str) {
        std::fs::write(self.path("nats.conf"), config).unwrap();
        let mut command = Command::new(program("ABIDE_NATS_SERVER"));
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]);
        command.arg("-c").arg(self.path("nats.conf"));
        if jetstream {
            command.arg("-js").arg("-sd").arg(self.folder.path().join("jetstream"));
        }
        let server = Running::start(&mut command);
        server.wait_for("Server is ready");
        self.nats = Some(server);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn abide(&self, arguments: &[&str], name: &str) -> Command {
        let mut command = Command::new(program("ABIDE_BIN"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.path("home"));
        command
            .env("ABIDE_DATA_DIR", self.path(&format!("{name}-data")))
            .env("ABIDE_KEYS_DIR", self.path(&format!("{name}-keys")));
        command
    }

    /// A host with one object, which has joined.
    pub fn host(&self, name: &str, jetstream: bool) -> Running {
        self.host_with(name, jetstream, &[])
    }

    /// The same, with more arguments.
    pub fn host_with(&self, name: &str, jetstream: bool, more: &[&str]) -> Running {
        self.host_over(self.port, name, jetstream, more)
    }

    /// The same, over another way to the server.
    pub fn host_over(&self, port: u16, name: &str, jetstream: bool, more: &[&str]) -> Running {
        if !self.path("lamp.yaml").exists() {
            std::fs::write(self.path("lamp.yaml"), LAMP).unwrap();
        }
        let url = format!("nats://127.0.0.1:{port}");
        // A first run begins the object; the host then runs what is in its data folder.
        let id = format!("lamp-{name}");
        let begun =
            self.abide(&["run", "lamp.yaml", "--objects", &id, "--ticks", "1"], name).output().unwrap();
        assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
        let arguments = [
            "host",
            "--tick",
            "20ms",
            "--nats-url",
            &url,
            "--label",
            "zone=north",
            "--friendly-name",
            name,
            "--allow-file-load",
        ];
        let host = Running::start(self.abide(&arguments, name).args(more));
        host.wait_for("started");
        if jetstream {
            host.wait_for("links and configuration are at hand");
        }
        host
    }

    pub async fn nats(&self) -> async_nats::Client {
        async_nats::connect(format!("127.0.0.1:{}", self.port)).await.unwrap()
    }

    pub async fn client(&self) -> Client {
        ClientBuilder::new(self.nats().await).auction_timeout(Duration::from_millis(700)).build()
    }

    /// What hosts tell from now on: the server knows of the subscription.
    pub async fn events(&self, name: &str) -> Subscriber {
        let nats = self.nats().await;
        let events = nats.subscribe(format!("wasmbus.evt.default.{name}")).await.unwrap();
        nats.flush().await.unwrap();
        events
    }

    pub fn ticks(&self, name: &str) -> u64 {
        let output = self.abide(&["show", &format!("lamp-{name}"), "--json"], name).output().unwrap();
        let shown: Json = serde_json::from_slice(&output.stdout).unwrap();
        shown["memory"]["beats"].as_u64().unwrap()
    }
}

pub const LAMP: &str = "
schema: abide/v1
name: lamp
version: 1.2.0
fields: { beats: { type: integer, minimum: 0, maximum: 1000000000, default: 0 } }
mutations: { beat: { from: [rule], set: { beats: self.beats + 1 } } }
rules: [ { name: beat, when: 'true', every: 20ms, then: { mutate: beat } } ]
";

#[track_caller]
pub fn yes<T>(response: Result<CtlResponse<T>, Box<dyn std::error::Error + Send + Sync>>) -> Option<T> {
    let response = response.unwrap();
    assert!(response.succeeded(), "{}", response.message());
    response.into_data()
}

#[track_caller]
pub fn no<T>(response: Result<CtlResponse<T>, Box<dyn std::error::Error + Send + Sync>>, part: &str) {
    let response = response.unwrap();
    assert!(!response.succeeded() && response.message().contains(part), "{}", response.message());
}

/// A component that the tests carry.
pub fn guest(name: &str) -> String {
    format!("file://{}", program("ABIDE_GUESTS").join(name).with_extension("wasm").display())
}
