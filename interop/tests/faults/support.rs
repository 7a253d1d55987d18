//! Hosts with what is deployed to them, and objects whose every tick is on record.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures::StreamExt as _;
use interop::{Lattice, PATIENCE, Running, free_port, guest, yes};
use serde_json::{Value as Json, json};
use tokio::time::timeout;
use wasmcloud_control_interface::{Client, Link};

/// How long an object may have waited for a tick: a machine that has much to do is no fault, and whoever waits for a lattice waits longer.
const TICK_MAX: Duration = Duration::from_millis(2_500);

/// In nanoseconds.
const DAY: u128 = 24 * 60 * 60 * 1_000_000_000;

/// An object that is changed in each of its ticks.
const METRONOME: &str = "
schema: abide/v1
name: lamp
version: 1.2.0
fields: { beats: { type: integer, minimum: 0, maximum: 1000000000, default: 0 } }
mutations: { beat: { from: [rule], set: { beats: self.beats + 1 } } }
rules: [ { name: beat, when: self.beats >= 0, then: { mutate: beat } } ]
";

/// A lattice of hosts, each with an object.
pub struct Site {
    pub lattice: Lattice,
    pub hosts: BTreeMap<&'static str, Running>,
    pub client: Client,
    pub events: Subscriber,
}

/// Tells what the hosts said where a test fails.
impl Drop for Site {
    fn drop(&mut self) {
        if thread::panicking() {
            for (name, host) in &self.hosts {
                host.said.try_iter().for_each(|line| eprintln!("{name}: {line}"));
            }
        }
    }
}

impl Site {
    pub async fn new(names: &[&'static str], more: &[&str]) -> Self {
        let site = Self::empty(true).await;
        site.join(names, true, more)
    }

    /// A lattice that no host is in yet.
    pub async fn empty(jetstream: bool) -> Self {
        let lattice = Lattice::new(jetstream);
        std::fs::write(lattice.path("lamp.yaml"), METRONOME).unwrap();
        let client = lattice.client().await;
        let events = lattice.events(">").await;
        Self { lattice, hosts: BTreeMap::new(), client, events }
    }

    pub fn join(mut self, names: &[&'static str], jetstream: bool, more: &[&str]) -> Self {
        for name in names {
            self.hosts.insert(name, self.lattice.host_with(name, jetstream, more));
        }
        self
    }

    /// Whoever asks the hosts, over a new connection.
    pub async fn ask_anew(&mut self) {
        self.client = self.lattice.client().await;
        self.events = self.lattice.events(">").await;
    }

    pub fn host(&self, name: &str) -> &Running {
        &self.hosts[name]
    }

    pub async fn id(&self, name: &str) -> String {
        let hosts = self.client.get_hosts().await.unwrap();
        let mut hosts = hosts.iter().filter_map(|host| host.data());
        hosts.find(|host| host.friendly_name() == name).expect("it answers").id().to_owned()
    }

    /// Has a component run under the name of its image, and waits until it was told.
    pub async fn start(&mut self, host: &str, image: &str, instances: u32, seconds_max: u64) {
        let id = self.id(host).await;
        let scale = json!({
            "component_ref": guest(image), "component_id": image, "host_id": id, "count": instances,
            "config": [], "allow_update": false,
            "component_limits": { "max_execution_time": seconds_max.to_string() },
        });
        let nats = self.lattice.nats().await;
        let subject = format!("wasmbus.ctl.v1.default.component.scale.{id}");
        let reply = nats.request(subject, scale.to_string().into()).await.unwrap();
        assert!(String::from_utf8_lossy(&reply.payload).contains("true"), "{reply:?}");
        loop {
            let event = self.event().await;
            let (what, data) = (&event["type"], &event["data"]);
            if (&data["component_id"], &data["host_id"]) == (&image.into(), &id.clone().into()) {
                assert_eq!(what, "com.wasmcloud.lattice.component_scaled", "{event}");
                return;
            }
        }
    }

    /// What is told next.
    async fn event(&mut self) -> Json {
        let message = timeout(PATIENCE, self.events.next()).await.expect("something is told").unwrap();
        serde_json::from_slice(&message.payload).unwrap()
    }

    pub async fn provide(&self, host: &str, builtin: &str, config: &[&str]) {
        let (id, image) = (self.id(host).await, format!("wasmcloud+builtin://{builtin}"));
        yes(self.client.start_provider(&id, &image, builtin, None, texts(config)).await);
    }

    pub async fn config(&self, name: &str, values: &[(&str, &str)]) {
        let values: HashMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        yes(self.client.put_config(name, values.clone()).await);
        // Links name what every host knows of.
        for _ in 0..self.hosts.len() * 3 {
            let known = async || yes(self.client.get_config(name).await);
            until(known, |found| found.as_ref() == Some(&values)).await;
        }
    }

    /// Links for an interface such as `wasi:http/incoming-handler`.
    pub async fn link(&self, source: &str, target: &str, interface: &str, config: (&[&str], &[&str])) {
        let (namespace, rest) = interface.split_once(':').unwrap();
        let (package, interface) = rest.split_once('/').unwrap();
        let link = Link::builder().source_id(source).target(target).name("default");
        let link = link.wit_namespace(namespace).wit_package(package).interfaces(texts(&[interface]));
        let link = link.source_config(texts(config.0)).target_config(texts(config.1)).build().unwrap();
        yes(self.client.put_link(link).await);
    }

    /// An HTTP server before a component that runs already: where it listens.
    pub async fn serve(&self, host: &str, component: &str) -> String {
        let address = format!("127.0.0.1:{}", free_port());
        self.config("address", &[("address", &address)]).await;
        self.provide(host, "http-server", &[]).await;
        self.link("http-server", component, "wasi:http/incoming-handler", (&["address"], &[])).await;
        let start = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(start.elapsed() < PATIENCE, "nothing listens");
            thread::sleep(Duration::from_millis(20));
        }
        format!("http://{address}")
    }

    /// Has a component take the messages of subjects, and send messages.
    pub async fn subscribe(&self, host: &str, component: &str, subjects: &str) {
        self.config("subjects", &[("subscriptions", subjects)]).await;
        self.provide(host, "messaging-nats", &[]).await;
        let (handler, consumer) = ("wasmcloud:messaging/handler", "wasmcloud:messaging/consumer");
        self.link("messaging-nats", component, handler, (&["subjects"], &[])).await;
        self.link(component, "messaging-nats", consumer, (&[], &[])).await;
    }

    /// Holds that a host answers for itself as it should, and that its object goes on.
    pub async fn serves(&mut self, name: &'static str) {
        let host = self.hosts.get_mut(name).unwrap();
        assert!(host.child.try_wait().unwrap().is_none(), "it has ended");
        let id = self.id(name).await;
        let inventory = yes(self.client.get_host_inventory(&id).await).unwrap();
        assert_eq!((inventory.host_id(), inventory.labels()["zone"].as_str()), (&*id, "north"));
        let object = format!("lamp-{name}");
        assert!(inventory.components().iter().any(|one| one.id() == object), "{inventory:?}");
        let before = self.lattice.ticks(name);
        self.ticks(name, before + 5).await;
    }

    /// Waits until so many ticks have been.
    pub async fn ticks(&self, name: &str, count: u64) {
        until(async || self.lattice.ticks(name), |ticks| *ticks >= count).await;
    }

    /// Stops a host, and holds that its object lost no tick, that none waited, and that all of its record stands.
    pub fn settle(&mut self, name: &'static str) {
        let mut host = self.hosts.remove(name).unwrap();
        host.signal("INT");
        assert_eq!(host.exit_code(), Some(0));
        let lineage =
            self.lattice.abide(&["lineage", &format!("lamp-{name}"), "--json"], name).output().unwrap();
        let text = String::from_utf8(lineage.stdout).unwrap();
        let records: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // The first is of the run that began the object, before the host's.
        let beats: Vec<&Json> =
            records.iter().filter(|record| record["mutation"] == "beat").skip(1).collect();
        assert!(beats.len() >= 5, "{} beats", beats.len());
        for pair in beats.windows(2) {
            let [one, next] = [pair[0], pair[1]].map(|record| record["tick"].as_u64().unwrap());
            assert_eq!(one + 1, next, "a tick is lost");
            let gap = (nanoseconds(pair[1]) + DAY - nanoseconds(pair[0])) % DAY;
            assert!(gap < TICK_MAX.as_nanos(), "tick {next} waited {} ms", gap / 1_000_000);
        }
        assert!(self.lattice.abide(&["verify"], name).output().unwrap().status.success());
    }
}

/// When a record was made, on its day.
fn nanoseconds(record: &Json) -> u128 {
    let time = record["time"].as_str().unwrap();
    let (_, time) = time.split_once('T').unwrap();
    let mut parts = time.trim_end_matches('Z').split([':', '.']).map(|part| part.to_owned());
    let mut whole = || parts.next().unwrap().parse::<u128>().unwrap();
    let seconds = (whole() * 60 + whole()) * 60 + whole();
    let fraction = format!("{:0<9}", parts.next().unwrap_or_default());
    seconds * 1_000_000_000 + fraction.parse::<u128>().unwrap()
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

pub async fn until<T: std::fmt::Debug>(ask: impl AsyncFn() -> T, holds: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let found = ask().await;
        if holds(&found) {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it never came to it: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is answered: the status, and the text.
pub fn get(url: &str) -> Result<(u16, String), ureq::Error> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    let mut response = agent.get(url).call()?;
    let text = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), text))
}

/// Asks for all at once, each in a thread: what they are answered.
pub fn get_all(urls: impl IntoIterator<Item = String>) -> thread::JoinHandle<Vec<(u16, String)>> {
    let asking: Vec<_> = urls.into_iter().map(|url| thread::spawn(move || get(&url).unwrap())).collect();
    thread::spawn(move || asking.into_iter().map(|one| one.join().unwrap()).collect())
}
