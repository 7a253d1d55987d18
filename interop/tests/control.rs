//! wasmCloud's own client of the control interface drives a host.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures::StreamExt as _;
use serde_json::Value as Json;
use tempfile::TempDir;
use wasmcloud_control_interface::{Client, ClientBuilder, CtlResponse, Link};

const PATIENCE: Duration = Duration::from_secs(60);

fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask interop`"))
        .into()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with the test, and what it says on standard error.
struct Running {
    child: Child,
    said: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, said) = channel();
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, said }
    }

    fn wait_for(&self, part: &str) {
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

    fn exit_code(&mut self) -> Option<i32> {
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
struct Lattice {
    folder: TempDir,
    port: u16,
    nats: Option<Running>,
}

impl Lattice {
    fn new(jetstream: bool) -> Self {
        let mut lattice = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), nats: None };
        lattice.serve(jetstream);
        lattice
    }

    fn serve(&mut self, jetstream: bool) {
        let mut command = Command::new(program("ABIDE_NATS_SERVER"));
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]);
        if jetstream {
            command.arg("-js").arg("-sd").arg(self.folder.path().join("jetstream"));
        }
        let server = Running::start(&mut command);
        server.wait_for("Server is ready");
        self.nats = Some(server);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn abide(&self, arguments: &[&str], name: &str) -> Command {
        let mut command = Command::new(program("ABIDE_BIN"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.path("home"));
        command
            .env("ABIDE_DATA_DIR", self.path(&format!("{name}-data")))
            .env("ABIDE_KEYS_DIR", self.path(&format!("{name}-keys")));
        command
    }

    /// A host with one object, which has joined.
    fn host(&self, name: &str, jetstream: bool) -> Running {
        if !self.path("lamp.yaml").exists() {
            std::fs::write(self.path("lamp.yaml"), LAMP).unwrap();
        }
        let url = format!("nats://127.0.0.1:{}", self.port);
        // A first run begins the object; the host then runs what is in its data folder.
        let id = format!("lamp-{name}");
        let begun =
            self.abide(&["run", "lamp.yaml", "--objects", &id, "--ticks", "1"], name).output().unwrap();
        assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
        let arguments =
            ["host", "--tick", "20ms", "--nats-url", &url, "--label", "zone=north", "--friendly-name", name];
        let host = Running::start(&mut self.abide(&arguments, name));
        host.wait_for("started");
        if jetstream {
            host.wait_for("links and configuration are at hand");
        }
        host
    }

    async fn nats(&self) -> async_nats::Client {
        async_nats::connect(format!("127.0.0.1:{}", self.port)).await.unwrap()
    }

    async fn client(&self) -> Client {
        ClientBuilder::new(self.nats().await).auction_timeout(Duration::from_millis(700)).build()
    }

    /// What hosts tell from now on: the server knows of the subscription.
    async fn events(&self, name: &str) -> Subscriber {
        let nats = self.nats().await;
        let events = nats.subscribe(format!("wasmbus.evt.default.{name}")).await.unwrap();
        nats.flush().await.unwrap();
        events
    }

    fn ticks(&self, name: &str) -> u64 {
        let output = self.abide(&["show", &format!("lamp-{name}"), "--json"], name).output().unwrap();
        let shown: Json = serde_json::from_slice(&output.stdout).unwrap();
        shown["memory"]["beats"].as_u64().unwrap()
    }
}

const LAMP: &str = "
schema: abide/v1
name: lamp
version: 1.2.0
fields: { beats: { type: integer, minimum: 0, maximum: 1000000000, default: 0 } }
mutations: { beat: { from: [rule], set: { beats: self.beats + 1 } } }
rules: [ { name: beat, when: 'true', every: 20ms, then: { mutate: beat } } ]
";

#[track_caller]
fn yes<T>(response: Result<CtlResponse<T>, Box<dyn std::error::Error + Send + Sync>>) -> Option<T> {
    let response = response.unwrap();
    assert!(response.succeeded(), "{}", response.message());
    response.into_data()
}

#[track_caller]
fn no<T>(response: Result<CtlResponse<T>, Box<dyn std::error::Error + Send + Sync>>, part: &str) {
    let response = response.unwrap();
    assert!(!response.succeeded() && response.message().contains(part), "{}", response.message());
}

fn link(target: &str, interfaces: &[&str], config: &[&str]) -> Link {
    let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let link = Link::builder().source_id("caller").target(target).wit_namespace("wasi").wit_package("http");
    link.name("default").interfaces(texts(interfaces)).source_config(texts(config)).build().unwrap()
}

#[tokio::test]
async fn a_host_says_who_it_is_and_what_runs_on_it() {
    let lattice = Lattice::new(true);
    let mut events = lattice.events(">").await;
    let _host = lattice.host("orchard", true);
    let client = lattice.client().await;
    let hosts = client.get_hosts().await.unwrap();
    let host = hosts[0].data().unwrap();
    assert_eq!((hosts.len(), host.friendly_name(), host.lattice()), (1, "orchard", "default"));
    assert_eq!(host.labels()["zone"], "north");
    assert!(host.id().starts_with('N') && host.labels().contains_key("hostcore.arch"));
    let inventory = yes(client.get_host_inventory(host.id()).await).unwrap();
    assert_eq!(inventory.host_id(), host.id());
    let object = &inventory.components()[0];
    assert_eq!(
        (object.id(), object.image_ref(), object.max_instances()),
        ("lamp-orchard", "abide+object://lamp:1.2.0", 1)
    );
    let annotations = object.annotations().unwrap();
    assert_eq!((&*annotations["abide.dev/kind"], &*annotations["abide.dev/status"]), ("object", "active"));
    assert!(inventory.providers().is_empty());

    // What it told when it joined, each in its envelope.
    for name in ["host_started", "component_scaled", "host_heartbeat"] {
        let message = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        assert_eq!(&*message.subject, format!("wasmbus.evt.default.{name}"));
        let event: Json = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["type"], format!("com.wasmcloud.lattice.{name}"));
        assert_eq!((&event["specversion"], &event["source"]), (&"1.0".into(), &host.id().into()));
        if name == "component_scaled" {
            assert_eq!(
                (&event["data"]["component_id"], &event["data"]["max_instances"]),
                (&"lamp-orchard".into(), &1.into())
            );
        }
        if name == "host_heartbeat" {
            assert_eq!(event["data"]["components"][0]["id"], "lamp-orchard");
        }
    }
}

#[tokio::test]
async fn labels_configuration_and_links_are_set_and_go() {
    let lattice = Lattice::new(true);
    // Requests of all hosts are answered by either; so they must know the same.
    let (_one, _two) = (lattice.host("one", true), lattice.host("two", true));
    let client = lattice.client().await;
    let hosts = client.get_hosts().await.unwrap();
    assert_eq!(hosts.len(), 2);
    let id = hosts[0].data().unwrap().id().to_owned();
    yes(client.put_label(&id, "row", "7").await);
    no(client.put_label(&id, "hostcore.os", "other").await, "hostcore");
    assert_eq!(yes(client.get_host_inventory(&id).await).unwrap().labels()["row"], "7");
    yes(client.delete_label(&id, "row").await);
    assert!(!yes(client.get_host_inventory(&id).await).unwrap().labels().contains_key("row"));

    let config = HashMap::from([("address".to_owned(), "0.0.0.0:80".to_owned())]);
    no(client.put_link(link("server", &["incoming-handler"], &["web"])).await, "configuration");
    yes(client.put_config("web", config.clone()).await);
    settled(&client, |found| found == Some(config.clone())).await;
    yes(client.put_link(link("server", &["incoming-handler"], &["web"])).await);
    let links = until(async || yes(client.get_links().await).unwrap(), |links| links.len() == 1).await;
    assert_eq!((links[0].target(), links[0].name()), ("server", "default"));
    no(client.put_link(link("other", &["incoming-handler"], &[])).await, "is linked to `server`");
    // The same again replaces, and another interface stands beside it.
    yes(client.put_link(link("server", &["incoming-handler"], &["web"])).await);
    let beside = link("other", &["outgoing-handler"], &[]);
    yes(client.put_link(beside).await);
    until(async || yes(client.get_links().await).unwrap(), |links| links.len() == 2).await;
    yes(client.delete_link("caller", "default", "wasi", "http").await);
    until(async || yes(client.get_links().await).unwrap(), Vec::is_empty).await;
    yes(client.delete_config("web").await);
    settled(&client, |found| found.is_none()).await;
    assert_eq!(yes(client.get_claims().await).unwrap(), Vec::<HashMap<String, String>>::new());
    yes(client.put_registries(HashMap::new()).await);
}

/// Whatever host answers comes to say so.
async fn settled(client: &Client, holds: impl Fn(Option<HashMap<String, String>>) -> bool) {
    for _ in 0..6 {
        until(async || yes(client.get_config("web").await), |found| holds(found.clone())).await;
    }
}

async fn until<T>(ask: impl AsyncFn() -> T, holds: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let found = ask().await;
        if holds(&found) {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it never came to it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_host_does_not_run_it_says_clearly() {
    let lattice = Lattice::new(true);
    let _host = lattice.host("orchard", true);
    let client = lattice.client().await;
    let id = client.get_hosts().await.unwrap()[0].data().unwrap().id().to_owned();
    let none = BTreeMap::new;
    assert!(client.perform_component_auction("file://x.wasm", "x", none()).await.unwrap().is_empty());
    assert!(client.perform_provider_auction("ghcr.io/x/y:1", "y", none()).await.unwrap().is_empty());
    let scaled = client.scale_component(&id, "file:///x.wasm", "x", 1, None, vec![], true).await;
    no(scaled, "no message-driven components yet");
    no(client.update_component(&id, "x", "file:///y.wasm", None).await, "no message-driven components yet");
    no(client.start_provider(&id, "ghcr.io/x/y:1", "y", None, vec![]).await, "no providers yet");
    no(client.stop_provider(&id, "y").await, "no such provider");
}

#[tokio::test]
async fn a_host_that_is_stopped_ends_as_if_it_were_interrupted() {
    let lattice = Lattice::new(true);
    let mut events = lattice.events("host_stopped").await;
    let mut host = lattice.host("orchard", true);
    let client = lattice.client().await;
    let id = client.get_hosts().await.unwrap()[0].data().unwrap().id().to_owned();
    yes(client.stop_host(&id, Some(1000)).await);
    assert_eq!(host.exit_code(), Some(0));
    let told = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
    let told: Json = serde_json::from_slice(&told.payload).unwrap();
    assert_eq!(told["data"]["labels"]["zone"], "north");
    assert!(lattice.abide(&["verify"], "orchard").output().unwrap().status.success());
}

#[tokio::test]
async fn objects_go_on_without_nats_and_the_host_joins_again() {
    let mut lattice = Lattice::new(true);
    let host = lattice.host("orchard", true);
    let client = lattice.client().await;
    yes(client.put_config("web", HashMap::from([("a".to_owned(), "b".to_owned())])).await);
    drop(client);
    lattice.nats = None;
    host.wait_for("does not answer");
    let before = lattice.ticks("orchard");
    until(async || lattice.ticks("orchard"), |ticks| *ticks > before + 20).await;
    lattice.serve(true);
    host.wait_for("links and configuration are at hand");
    let client = lattice.client().await;
    assert_eq!(client.get_hosts().await.unwrap().len(), 1);
    // What JetStream keeps is there again.
    let found = until(async || yes(client.get_config("web").await), Option::is_some).await;
    assert_eq!(found.unwrap()["a"], "b");
    assert!(
        lattice.abide(&["replay", "lamp-orchard", "--execute"], "orchard").output().unwrap().status.success()
    );
}

#[tokio::test]
async fn without_jetstream_a_host_answers_and_says_what_it_cannot() {
    let lattice = Lattice::new(false);
    let host = lattice.host("orchard", false);
    host.wait_for("JetStream is not to be had");
    let client = lattice.client().await;
    assert_eq!(client.get_hosts().await.unwrap().len(), 1);
    no(client.put_config("web", HashMap::new()).await, "JetStream does not answer");
    no(client.put_link(link("server", &["incoming-handler"], &[])).await, "JetStream does not answer");
    assert_eq!(yes(client.get_links().await).unwrap().len(), 0);
}

#[tokio::test]
async fn malformed_messages_break_nothing() {
    let lattice = Lattice::new(true);
    let _host = lattice.host("orchard", true);
    let client = lattice.client().await;
    let id = client.get_hosts().await.unwrap()[0].data().unwrap().id().to_owned();
    let nats = lattice.nats().await;
    let own = [
        "host.get",
        "component.scale",
        "component.update",
        "provider.start",
        "provider.stop",
        "label.put",
        "label.del",
    ];
    let subjects: Vec<String> = own.iter().map(|what| format!("{what}.{id}")).collect();
    let all = [
        "host.ping",
        "component.auction",
        "link.put",
        "link.del",
        "link.get",
        "link.x",
        "claims.get",
        "registry.put",
    ];
    let config = ["config.put.a.b", "config.put.x", "config.get..", "config.del.x/"].map(str::to_owned);
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[1]".to_vec(),
        br#"{"key":1,"value":{}}"#.to_vec(),
        br#"{"source_id":"a"}"#.to_vec(),
        vec![0xff; 4096],
        vec![b'['; 900_000],
    ];
    for subject in subjects.into_iter().chain(all.map(str::to_owned)).chain(config) {
        for body in &bodies {
            nats.publish(format!("wasmbus.ctl.v1.default.{subject}"), body.clone().into()).await.unwrap();
        }
    }
    nats.flush().await.unwrap();
    let inventory = yes(client.get_host_inventory(&id).await).unwrap();
    assert_eq!((inventory.components().len(), inventory.labels()["zone"].as_str()), (1, "north"));
    assert_eq!(yes(client.get_links().await).unwrap().len(), 0);
}
