//! Values of components in JetStream, as several hosts and whoever else reads the bucket have them in common.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use async_nats::jetstream;
use futures::StreamExt as _;
use interop::{Lattice, PATIENCE, Running, free_port, guest, yes};
use serde_json::Value as Json;
use tokio::time::timeout;
use wasmcloud_control_interface::{Client, Link};

const BUILTIN: &str = "abide+builtin://keyvalue";
/// What wasmCloud's users have in their manifests.
const IMAGE: &str = "ghcr.io/wasmcloud/keyvalue-nats:0.3.1";

/// What is answered: the status, and the text.
fn ask(method: &str, url: &str, body: &[u8]) -> Result<(u16, String), ureq::Error> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    let mut response = match method {
        "PUT" => agent.put(url).send(body)?,
        "POST" => agent.post(url).send(body)?,
        "DELETE" => agent.delete(url).call()?,
        _ => agent.get(url).call()?,
    };
    let text = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), text))
}

fn get(url: &str) -> Result<(u16, String), ureq::Error> {
    ask("GET", url, b"")
}

/// Asks until it is answered so.
fn until(url: &str, status: u16, part: &str) {
    let start = Instant::now();
    let mut last = None;
    while start.elapsed() < PATIENCE {
        last = Some(get(url));
        if matches!(&last, Some(Ok((answered, text))) if *answered == status && text.contains(part)) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{url} is not answered by {status} with `{part}` but by {last:?}");
}

/// A lattice of hosts, each with a component behind an HTTP server of its own.
struct Hosts {
    lattice: Lattice,
    running: BTreeMap<&'static str, Running>,
    client: Client,
    events: Subscriber,
    component: &'static str,
    urls: BTreeMap<&'static str, String>,
}

/// Tells what the hosts said where a test fails.
impl Drop for Hosts {
    fn drop(&mut self) {
        if thread::panicking() {
            for (name, host) in &self.running {
                host.said.try_iter().for_each(|line| eprintln!("{name}: {line}"));
            }
        }
    }
}

impl Hosts {
    async fn new(names: &[&'static str], component: &'static str) -> Self {
        let lattice = Lattice::new(true);
        let client = lattice.client().await;
        let events = lattice.events(">").await;
        let (running, urls) = (BTreeMap::new(), BTreeMap::new());
        let mut hosts = Self { lattice, running, client, events, component, urls };
        for name in names {
            let address = format!("127.0.0.1:{}", free_port());
            hosts.urls.insert(name, format!("http://{address}"));
            hosts.run(name).await;
            hosts.config(&format!("address-{name}"), &[("address", &address)]).await;
            let (server, config) = (format!("server-{name}"), format!("address-{name}"));
            hosts.link(&server, component, ("http", &["incoming-handler"]), &[&config], &[]).await;
        }
        hosts
    }

    /// Runs a host, in the place of the one that ran, with its component and its server.
    async fn run(&mut self, name: &'static str) {
        self.running.remove(name);
        self.running.insert(name, self.lattice.host(name, true));
        let id = self.id(name).await;
        let image = guest(self.component);
        yes(self.client.scale_component(&id, &image, self.component, 50, None, vec![], false).await);
        self.provide(name, "wasmcloud+builtin://http-server", &format!("server-{name}"), &[]).await;
    }

    async fn id(&self, name: &str) -> String {
        let start = Instant::now();
        loop {
            let hosts = self.client.get_hosts().await.unwrap();
            let mut hosts = hosts.iter().filter_map(|host| host.data());
            if let Some(host) = hosts.find(|host| host.friendly_name() == name) {
                return host.id().to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "`{name}` is not there");
        }
    }

    async fn provide(&self, host: &str, image: &str, id: &str, config: &[&str]) {
        let config = config.iter().map(ToString::to_string).collect();
        yes(self.client.start_provider(&self.id(host).await, image, id, None, config).await);
    }

    /// The next event of a name.
    async fn event(&mut self, name: &str) -> Json {
        loop {
            let message = timeout(PATIENCE, self.events.next()).await.expect(name).unwrap();
            if message.subject.ends_with(&format!(".{name}")) {
                let event: Json = serde_json::from_slice(&message.payload).unwrap();
                return event["data"].clone();
            }
        }
    }

    async fn config(&self, name: &str, values: &[(&str, &str)]) {
        let values: HashMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        yes(self.client.put_config(name, values).await);
    }

    async fn link(
        &self,
        source: &str,
        target: &str,
        (package, interfaces): (&str, &[&str]),
        of_source: &[&str],
        of_target: &[&str],
    ) {
        let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let link = Link::builder().source_id(source).target(target).name("default");
        let link = link.wit_namespace("wasi").wit_package(package).interfaces(texts(interfaces));
        let link = link.source_config(texts(of_source)).target_config(texts(of_target)).build();
        yes(self.client.put_link(link.unwrap()).await);
    }

    /// Grants the component values of the provider `values`.
    async fn grant(&self, of_target: &[&str]) {
        let interfaces = ("keyvalue", &["store", "atomics", "batch"][..]);
        self.link(self.component, "values", interfaces, &[], of_target).await;
    }

    async fn bucket(&self, name: &str) -> jetstream::kv::Store {
        jetstream::new(self.lattice.nats().await).get_key_value(name).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_count_together_and_others_read_it() {
    let mut hosts = Hosts::new(&["east", "west"], "counter").await;
    hosts.config("nats", &[("backend", "nats")]).await;
    hosts.config("orchard", &[("bucket", "orchard")]).await;
    // The one says it, the other is known for it.
    hosts.provide("east", BUILTIN, "values", &["nats"]).await;
    hosts.provide("west", IMAGE, "values", &[]).await;
    hosts.grant(&["orchard"]).await;
    let urls: Vec<String> = hosts.urls.values().map(|url| format!("{url}/first")).collect();
    for (n, url) in urls.iter().enumerate() {
        until(url, 200, &format!("{}\n", n + 1));
    }
    let threads: Vec<_> = (0..16)
        .map(|n| {
            let url = urls[n % 2].clone();
            thread::spawn(move || {
                let count = |_| {
                    let (status, text) = get(&url).unwrap();
                    assert_eq!(status, 200, "{text}");
                    text.trim().parse::<u64>().unwrap()
                };
                (0..25).map(count).collect::<Vec<_>>()
            })
        })
        .collect();
    let counted: BTreeSet<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    // Each number once.
    assert_eq!(counted, (3..=402).collect());

    let bucket = hosts.bucket("orchard").await;
    assert_eq!(bucket.get("/first").await.unwrap().as_deref(), Some(&b"402"[..]));
    assert_eq!(bucket.status().await.unwrap().history(), 1);
    // What others write is counted on, and so is nothing where it was deleted.
    bucket.put("/first", "1000".into()).await.unwrap();
    assert_eq!(get(&urls[0]).unwrap(), (200, "1001\n".to_owned()));
    bucket.put("/second", "a lot".into()).await.unwrap();
    let (status, text) = get(&format!("{}/second", hosts.urls["east"])).unwrap();
    assert!(status == 502 && text.contains("is no number"), "{text}");
    bucket.delete("/second").await.unwrap();
    assert_eq!(get(&format!("{}/second", hosts.urls["west"])).unwrap(), (200, "1\n".to_owned()));

    // No host has it alone.
    hosts.run("east").await;
    hosts.provide("east", BUILTIN, "values", &["nats"]).await;
    until(&urls[0], 200, "1002\n");
    // What is beside it in the hosts' own files is something else.
    hosts.run("east").await;
    hosts.provide("east", BUILTIN, "values", &[]).await;
    until(&urls[0], 200, "1\n");
    assert_eq!(get(&urls[1]).unwrap(), (200, "1003\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_set_found_listed_and_deleted() {
    let hosts = Hosts::new(&["orchard"], "keeper").await;
    hosts.config("nats", &[("backend", "nats")]).await;
    hosts.provide("orchard", BUILTIN, "values", &["nats"]).await;
    hosts.grant(&[]).await;
    let url = hosts.urls["orchard"].clone();
    let empty = (200, String::new());
    until(&format!("{url}/a?spring"), 200, "nothing");
    assert_eq!(ask("PUT", &format!("{url}/a?spring"), b"blossom").unwrap(), empty);
    assert_eq!(get(&format!("{url}/a?spring")).unwrap(), (200, "blossom".to_owned()));
    assert_eq!(get(&format!("{url}/a?autumn")).unwrap(), (200, "nothing".to_owned()));
    assert_eq!(get(&format!("{url}/?spring")).unwrap(), (200, "[1] true".to_owned()));
    assert_eq!(ask("DELETE", &format!("{url}/a?spring"), b"").unwrap(), empty);
    assert_eq!(get(&format!("{url}/a?spring")).unwrap(), (200, "nothing".to_owned()));
    assert_eq!(get(&format!("{url}/?spring")).unwrap(), (200, "[0] true".to_owned()));

    assert_eq!(ask("POST", &format!("{url}/2402?many"), b"").unwrap(), (200, "true".to_owned()));
    assert_eq!(get(&format!("{url}/?many")).unwrap(), (200, "[1000, 201] true".to_owned()));

    let refused = |method: &str, path: &str, body: &[u8], part: &str| {
        let (status, text) = ask(method, &format!("{url}/{path}"), body).unwrap();
        assert!(status == 502 && text.contains(part), "{path}: {status} {text}");
    };
    refused(
        "GET",
        "a%20b?spring",
        b"",
        "cannot be a key in NATS: it has letters, digits, `-`, `_`, `/`, `=`",
    );
    refused("PUT", "a..b?spring", b"x", "cannot be a key in NATS");
    refused(
        "GET",
        "a?spring.late",
        b"",
        "cannot be the name of a bucket in NATS: it has letters, digits, `-` and `_`",
    );
    refused("GET", "a", b"", "a bucket without a name");
    refused("GET", "orchard?CONFIGDATA_default", b"", "the lattice's own");
    refused("PUT", "a?spring", &vec![b'x'; (1 << 20) + 1], "`max_payload` is 1048576 bytes");
    // The connection has outlived it.
    assert_eq!(ask("PUT", &format!("{url}/a?spring"), &vec![b'x'; 1 << 20]).unwrap(), empty);

    // A bucket that is deleted is made again by who opens it.
    let nats = jetstream::new(hosts.lattice.nats().await);
    nats.delete_key_value("spring").await.unwrap();
    assert_eq!(get(&format!("{url}/a?spring")).unwrap(), (200, "nothing".to_owned()));
    nats.delete_key_value("spring").await.unwrap();
    hosts.config("strict", &[("enable_bucket_auto_create", "false")]).await;
    hosts.grant(&["strict"]).await;
    until(&format!("{url}/a?spring"), 502, "NoSuchStore");
    // One that the link names is the only one.
    hosts.config("strict", &[("bucket", "many")]).await;
    until(&format!("{url}/many.00000"), 200, "0");
    assert_eq!(get(&format!("{url}/many.00000?default")).unwrap(), (200, "0".to_owned()));
    refused("GET", "a?autumn", b"", "NoSuchStore");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_there_is_not_is_refused_and_told() {
    let mut hosts = Hosts::new(&["orchard"], "counter").await;
    hosts.config("redis", &[("backend", "redis")]).await;
    hosts.config("domain", &[("backend", "nats"), ("js_domain", "a.>")]).await;
    for (config, part) in [("redis", "there is no backend `redis` of values"), ("domain", "JetStream domain")]
    {
        hosts.provide("orchard", BUILTIN, "values", &[config]).await;
        let failed = hosts.event("provider_start_failed").await;
        assert!(failed["error"].as_str().unwrap().contains(part), "{failed}");
    }
    hosts.provide("orchard", BUILTIN, "values", &[]).await;
    hosts.grant(&["redis"]).await;
    until(&format!("{}/first", hosts.urls["orchard"]), 502, "there is no backend `redis` of values");
    hosts.running["orchard"].wait_for("keyvalue `values`, linked to `counter`: there is no backend `redis`");
    // A domain that nobody serves.
    hosts.config("redis", &[("backend", "nats"), ("js_domain", "nowhere")]).await;
    until(&format!("{}/first", hosts.urls["orchard"]), 502, "JetStream does not answer");
}

/// An application that counts in NATS.
fn counting(port: u16) -> String {
    format!(
        "
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{ name: counting }}
spec:
  components:
    - name: counter
      type: component
      properties: {{ image: {} }}
      traits:
        - type: spreadscaler
          properties: {{ instances: 10 }}
        - type: link
          properties: {{ target: values, namespace: wasi, package: keyvalue, interfaces: [store, atomics] }}
    - name: server
      type: capability
      properties: {{ image: abide+builtin://http-server }}
      traits:
        - type: link
          properties:
            target: counter
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source_config: [{{ name: address, properties: {{ address: \"127.0.0.1:{port}\" }} }}]
    - name: values
      type: capability
      properties:
        image: abide+builtin://keyvalue
        config: [{{ name: nats, properties: {{ backend: nats }} }}]
",
        guest("counter")
    )
}

#[test]
fn without_jetstream_a_call_fails_in_time_and_says_why() {
    let mut lattice = Lattice::new(false);
    let port = free_port();
    std::fs::write(lattice.path("app.yaml"), counting(port)).unwrap();
    let nats = format!("nats://127.0.0.1:{}", lattice.port);
    let mut command = lattice.abide(&["host", "app.yaml", "--nats-url", &nats], "orchard");
    let host = Running::start(&mut command);
    host.wait_for("started");
    let url = format!("http://127.0.0.1:{port}/first");
    until(&url, 502, "JetStream does not answer");
    // With it the same host counts.
    lattice.nats = None;
    until(&url, 502, "NATS does not answer");
    lattice.serve(true);
    until(&url, 200, "1\n");
    // A server that has stopped to answer costs the call seconds, and no more.
    let signal = |signal: &str| {
        let server = lattice.nats.as_ref().unwrap().child.id().to_string();
        assert!(Command::new("kill").args([signal, &server]).status().unwrap().success());
    };
    signal("-STOP");
    let start = Instant::now();
    let (status, text) = get(&url).unwrap();
    // Whether it is the bucket that is asked for, or the value.
    let is_said = ["did not answer within 5000 ms", "timed out"].iter().any(|why| text.contains(why));
    assert!(status == 502 && is_said, "{status} {text}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    signal("-CONT");
    until(&url, 200, "\n");
}

#[test]
fn a_host_without_a_lattice_refuses_to_keep_values_in_one() {
    let lattice = Lattice::new(false);
    std::fs::write(lattice.path("app.yaml"), counting(free_port())).unwrap();
    let refused = lattice.abide(&["run", "app.yaml"], "alone").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("provider `values`: `backend: nats`"), "{said}");
}
