//! Components that call each other between hosts, and between hosts and whoever else speaks wRPC.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures::{StreamExt as _, TryStreamExt as _};
use interop::{Lattice, PATIENCE, Running, free_port, guest, yes};
use serde_json::Value as Json;
use tokio::time::timeout;
use wasmcloud_control_interface::{Client, Link};
use wrpc_transport::{InvokeExt as _, ServeExt as _};

const GREETER: &str = "interop:greet/greeter@1.0.0";
const GREET: &str = "default.greeter.wrpc.0.0.1.interop:greet/greeter@1.0.0.greet";
/// A visitor named `you`, without tags, and no mood.
const YOU: &[u8] = b"\x03you\x00\x00";
/// What they are answered.
const HELLO_YOU: &[u8] = b"\x00\x0chello you []";

/// What is answered: the status, and the text.
fn get(url: &str) -> Result<(u16, String), ureq::Error> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    let mut response = agent.get(url).call()?;
    let text = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), text))
}

/// Asks until it is answered so.
fn until(url: &str, expected: (u16, &str)) {
    let start = Instant::now();
    let mut last = None;
    while start.elapsed() < PATIENCE {
        last = Some(get(url));
        if matches!(&last, Some(Ok((status, text))) if (*status, text.as_str()) == expected) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{url} is not answered by {expected:?} but by {last:?}");
}

/// A lattice of hosts, and `caller` on the first of them behind an HTTP server.
struct Hosts {
    lattice: Lattice,
    running: BTreeMap<&'static str, Running>,
    client: Client,
    events: Subscriber,
    url: String,
}

impl Hosts {
    async fn new(names: &[&'static str]) -> Self {
        let lattice = Lattice::new(true);
        let running = names.iter().map(|name| (*name, lattice.host(name, true))).collect();
        let client = lattice.client().await;
        let events = lattice.events(">").await;
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut hosts = Self { lattice, running, client, events, url };
        hosts.start(names[0], "caller", None).await;
        let address = HashMap::from([("address".to_owned(), format!("127.0.0.1:{port}"))]);
        yes(hosts.client.put_config("address", address).await);
        let id = hosts.id(names[0]).await;
        let image = "wasmcloud+builtin://http-server";
        yes(hosts.client.start_provider(&id, image, "server", None, vec![]).await);
        hosts.link("server", "caller", ("wasi", "http", "incoming-handler"), &["address"]).await;
        hosts
    }

    async fn id(&self, name: &str) -> String {
        let hosts = self.client.get_hosts().await.unwrap();
        let hosts = hosts.iter().filter_map(|host| host.data());
        hosts.clone().find(|host| host.friendly_name() == name).unwrap().id().to_owned()
    }

    /// Starts a component, under the name of its image, and waits until it was told.
    async fn start(&mut self, host: &str, image: &str, seconds_max: Option<u64>) {
        let id = self.id(host).await;
        let mut scale = serde_json::json!({
            "component_ref": guest(image), "component_id": image, "host_id": id, "count": 20,
            "config": [], "allow_update": false,
        });
        if let Some(seconds) = seconds_max {
            scale["component_limits"] = serde_json::json!({ "max_execution_time": seconds.to_string() });
        }
        let nats = self.lattice.nats().await;
        let subject = format!("wasmbus.ctl.v1.default.component.scale.{id}");
        let reply = nats.request(subject, scale.to_string().into()).await.unwrap();
        assert!(String::from_utf8_lossy(&reply.payload).contains("true"));
        self.scaled(&id, image, 20).await;
    }

    async fn stop(&mut self, host: &str, component: &str) {
        let id = self.id(host).await;
        let image = guest(component);
        yes(self.client.scale_component(&id, &image, component, 0, None, vec![], false).await);
        self.scaled(&id, component, 0).await;
    }

    async fn scaled(&mut self, host: &str, component: &str, count: u64) {
        loop {
            let message = timeout(PATIENCE, self.events.next()).await.expect(component).unwrap();
            let event: Json = serde_json::from_slice(&message.payload).unwrap();
            let data = &event["data"];
            if message.subject.ends_with(".component_scaled")
                && (&data["component_id"], &data["host_id"]) == (&component.into(), &host.into())
                && data["max_instances"] == count
            {
                return;
            }
        }
    }

    async fn link(
        &self,
        source: &str,
        target: &str,
        (namespace, package, interface): (&str, &str, &str),
        of_source: &[&str],
    ) {
        let link = Link::builder().source_id(source).target(target).name("default");
        let link = link.wit_namespace(namespace).wit_package(package).interfaces(vec![interface.to_owned()]);
        let config = of_source.iter().map(ToString::to_string).collect();
        yes(self.client.put_link(link.source_config(config).build().unwrap()).await);
    }

    async fn link_caller(&self, target: &str) {
        self.link("caller", target, ("interop", "greet", "greeter"), &[]).await;
    }

    /// Calls the greeter by hand: who took the call, and what was answered.
    async fn greet(&self, nats: &async_nats::Client) -> (String, Vec<u8>) {
        let mut call = Call::begin(nats, YOU).await;
        let by = call.taken().await.unwrap();
        (by, call.results().await)
    }
}

/// A call that is made message by message.
struct Call(Subscriber);

impl Call {
    async fn begin(nats: &async_nats::Client, parameters: &[u8]) -> Self {
        let inbox = nats.new_inbox();
        let come = nats.subscribe(format!("{inbox}.>")).await.unwrap();
        let reply = format!("{inbox}.call");
        nats.publish_with_reply(GREET, reply, parameters.to_vec().into()).await.unwrap();
        Self(come)
    }

    async fn next(&mut self) -> async_nats::Message {
        timeout(PATIENCE, self.0.next()).await.expect("nothing comes").unwrap()
    }

    /// The inbox of who took it.
    async fn taken(&mut self) -> Option<String> {
        self.next().await.reply.map(|by| by.to_string())
    }

    /// What is answered, and an empty text where it says that there is nothing.
    async fn results(&mut self) -> Vec<u8> {
        let mut results = Vec::new();
        loop {
            let part = self.next().await;
            if part.payload.is_empty() {
                return results;
            }
            results.extend_from_slice(&part.payload);
        }
    }
}

/// The part of an inbox that belongs to a host alone.
fn host_of(inbox: &str) -> String {
    inbox.rsplit_once('.').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn diag() {
    let mut hosts = Hosts::new(&["first"]).await;
    hosts.start("first", "greeter", None).await;
    let nats = Arc::new(async_nats_of_wrpc::connect(format!("127.0.0.1:{}", hosts.lattice.port)).await.unwrap());
    let monitor = hosts.lattice.nats().await;
    let mut all = monitor.subscribe(">").await.unwrap();
    monitor.flush().await.unwrap();
    let client = wrpc_transport_nats::Client::new(Arc::clone(&nats), "default.greeter", None).await.unwrap();
    for n in 0..6000 {
        let none: [&[Option<usize>]; 0] = [];
        use wrpc_transport::Invoke as _;
        use tokio::io::{AsyncWriteExt as _, AsyncReadExt as _};
        let name = format!("n{n}");
        let parameters = [&[name.len() as u8], name.as_bytes(), &[0, 0]].concat();
        let mut step = "invoke";
        let done = timeout(Duration::from_secs(15), async {
            let (mut outgoing, mut incoming) = client.invoke(None, GREETER, "greet", parameters.into(), none).await.unwrap();
            step = "shutdown";
            outgoing.shutdown().await.unwrap();
            step = "read";
            let mut all = Vec::new();
            incoming.read_to_end(&mut all).await.unwrap();
        }).await;
        if done.is_err() {
            println!("stuck in {step}");
            let again = timeout(Duration::from_secs(5), nats.flush()).await;
            println!("flush again: {again:?}");
            let greeted = done;
            let mut last = Vec::new();
            while let Ok(Some(m)) = timeout(Duration::from_secs(1), all.next()).await {
                last.push(format!("{} {:?} {:?} {:?}", m.subject, m.reply, m.payload, m.headers));
            }
            for line in &last[last.len().saturating_sub(16)..] { println!("{line}"); }
            panic!("{n}: {greeted:?}");
        }
    }
}
