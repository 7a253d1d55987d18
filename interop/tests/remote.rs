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

/// Waits until the server knows of what was subscribed to: it has answered on the same connection.
async fn known(nats: &async_nats::Client) {
    let inbox = nats.new_inbox();
    let mut back = nats.subscribe(inbox.clone()).await.unwrap();
    nats.publish(inbox, "".into()).await.unwrap();
    timeout(PATIENCE, back.next()).await.unwrap().unwrap();
}

/// The part of an inbox that belongs to a host alone.
fn host_of(inbox: &str) -> String {
    inbox.rsplit_once('.').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn components_call_each_other_between_hosts() {
    let mut hosts = Hosts::new(&["first", "second"]).await;
    hosts.link_caller("greeter").await;
    let url = hosts.url.clone();
    // Nobody has it, and that is told at once.
    until(&format!("{url}/you"), (500, "the component did not answer\n"));
    hosts.start("second", "greeter", None).await;
    // From the moment on when it is told that it runs.
    assert_eq!(get(&format!("{url}/you")).unwrap(), (200, "Ok(\"hello you [a,b]\")\n".to_owned()));
    assert_eq!(get(&format!("{url}/you?x")).unwrap(), (200, "Ok(\"HELLO YOU [A,B]!!!\")\n".to_owned()));
    assert_eq!(get(&format!("{url}/")).unwrap(), (200, "Err(\"nobody is there\")\n".to_owned()));
    // More than the broker takes at once goes in parts, there and back.
    assert_eq!(get(&format!("{url}/long/3000000")).unwrap(), (200, "3000009\n".to_owned()));
    // To a component of the host itself a call takes no way around.
    hosts.start("first", "greeter", None).await;
    let nats = hosts.lattice.nats().await;
    let mut watched = nats.subscribe("default.greeter.>").await.unwrap();
    known(&nats).await;
    assert_eq!(get(&format!("{url}/you")).unwrap().0, 200);
    hosts.stop("first", "greeter").await;
    let you = watched.next();
    let (answered, heard) = tokio::join!(
        tokio::task::spawn_blocking({
            let url = url.clone();
            move || get(&format!("{url}/me")).unwrap()
        }),
        timeout(PATIENCE, you)
    );
    assert_eq!(answered.unwrap(), (200, "Ok(\"hello me [a,b]\")\n".to_owned()));
    let heard = heard.unwrap().unwrap();
    assert!(heard.payload.starts_with(b"\x02me"), "{heard:?}");
    let headers = heard.headers.unwrap();
    assert_eq!(headers.get("source-id").unwrap().as_str(), "caller");
    assert_eq!(headers.get("link-name").unwrap().as_str(), "default");
    // What is stopped is not called any more.
    hosts.stop("second", "greeter").await;
    assert_eq!(get(&format!("{url}/you")).unwrap().0, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_share_calls_and_one_goes_on_where_another_ends() {
    let mut hosts = Hosts::new(&["first", "second", "third"]).await;
    hosts.link_caller("greeter").await;
    hosts.start("second", "greeter", None).await;
    hosts.start("third", "greeter", None).await;
    let url = hosts.url.clone();
    until(&format!("{url}/you"), (200, "Ok(\"hello you [a,b]\")\n"));
    let nats = hosts.lattice.nats().await;
    let mut taken = BTreeMap::<String, u32>::new();
    for _ in 0..100 {
        let (by, answered) = hosts.greet(&nats).await;
        assert_eq!(answered, HELLO_YOU);
        *taken.entry(host_of(&by)).or_default() += 1;
    }
    assert!(taken.len() == 2 && taken.values().all(|count| *count > 10), "{taken:?}");

    // A host that gives it up loses none of the calls that have come.
    let (done, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let (url, done, failed) = (format!("{url}/you"), Arc::clone(&done), Arc::clone(&failed));
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    if get(&url).unwrap().0 != 200 {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for _ in 0..3 {
        hosts.stop("third", "greeter").await;
        hosts.start("third", "greeter", None).await;
        hosts.stop("second", "greeter").await;
        hosts.start("second", "greeter", None).await;
    }
    done.store(true, Ordering::Relaxed);
    asking.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(failed.load(Ordering::Relaxed), 0);

    // Both are killed while calls are at hand: those come to an end too, and are not waited for as long as they might take.
    let mut calls = nats.subscribe("default.greeter.>").await.unwrap();
    known(&nats).await;
    let at_hand: Vec<_> = (0..8)
        .map(|_| {
            let url = format!("{url}/forever");
            thread::spawn(move || (get(&url).unwrap().0, Instant::now()))
        })
        .collect();
    for _ in 0..8 {
        timeout(PATIENCE, calls.next()).await.unwrap().unwrap();
    }
    // Their limit is ten minutes.
    let killed = Instant::now();
    for name in ["second", "third"] {
        let mut host = hosts.running.remove(name).unwrap();
        host.child.kill().unwrap();
        host.child.wait().unwrap();
    }
    for call in at_hand {
        let (status, ended) = call.join().unwrap();
        assert_eq!(status, 500);
        assert!(ended.duration_since(killed) < Duration::from_secs(20), "it waits on");
    }
    calls.unsubscribe().await.unwrap();
    hosts.running.insert("second", hosts.lattice.host("second", true));
    hosts.running.insert("third", hosts.lattice.host("third", true));
    hosts.start("second", "greeter", None).await;
    hosts.start("third", "greeter", None).await;
    assert_eq!(get(&format!("{url}/you")).unwrap().0, 200);
    let mut third = hosts.running.remove("third").unwrap();
    third.child.kill().unwrap();
    third.child.wait().unwrap();
    until(&format!("{url}/you"), (200, "Ok(\"hello you [a,b]\")\n"));
    let mut taken = BTreeMap::<String, u32>::new();
    for _ in 0..50 {
        assert_eq!(get(&format!("{url}/you")).unwrap().0, 200);
        *taken.entry(host_of(&hosts.greet(&nats).await.0)).or_default() += 1;
    }
    assert_eq!(taken.len(), 1, "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_is_ended_and_whoever_called_is_told() {
    let mut hosts = Hosts::new(&["first", "second"]).await;
    hosts.link_caller("greeter").await;
    hosts.start("second", "greeter", Some(1)).await;
    let url = hosts.url.clone();
    until(&format!("{url}/you"), (200, "Ok(\"hello you [a,b]\")\n"));
    let start = Instant::now();
    assert_eq!(get(&format!("{url}/forever")).unwrap().0, 500);
    assert!(start.elapsed() > Duration::from_millis(900) && start.elapsed() < Duration::from_secs(10));
    hosts.running["first"].wait_for("`greeter`: component `greeter` did not end within 1000 ms");
    assert_eq!(get(&format!("{url}/you")).unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_no_harm() {
    let mut hosts = Hosts::new(&["first"]).await;
    hosts.start("first", "greeter", None).await;
    let nats = hosts.lattice.nats().await;
    let garbage: [&[u8]; 6] = [
        b"",
        b"\xff\xff\xff\xff\x0f",
        b"\x03y\xffu\x00\x00",
        b"\x03you\x00\x07",
        b"\x03you\x00\x00\x00",
        &[0x80; 9_999],
    ];
    for parameters in garbage {
        nats.publish(GREET, parameters.to_vec().into()).await.unwrap();
        let mut call = Call::begin(&nats, parameters).await;
        let by = call.taken().await.unwrap();
        nats.publish(format!("{by}.params"), "".into()).await.unwrap();
        let end = call.next().await;
        assert!(end.payload.is_empty() && end.subject.ends_with(".results"), "{end:?}");
        let why = end.headers.unwrap().get("abide-failed").unwrap().to_string();
        assert!(why.contains("parameters that it does not take"), "{why}");
        // Who says half and goes is forgotten.
        drop(Call::begin(&nats, parameters).await);
    }
    // Parts in any sizes make a whole.
    let mut call = Call::begin(&nats, &YOU[..2]).await;
    let by = call.taken().await.unwrap();
    for byte in [&YOU[2..3], &YOU[3..], b""] {
        nats.publish(format!("{by}.params"), byte.to_vec().into()).await.unwrap();
    }
    assert_eq!(call.results().await, HELLO_YOU);
    // A host is not had to say something to hosts: this would stop it.
    let id = hosts.id("first").await;
    let stop = format!("wasmbus.ctl.v1.default.host.stop.{id}");
    let mut said = nats.subscribe("wasmbus.ctl.>").await.unwrap();
    known(&nats).await;
    nats.publish_with_reply(GREET, stop, YOU.to_vec().into()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(hosts.greet(&nats).await.1, HELLO_YOU);
    }
    assert!(timeout(Duration::from_millis(100), said.next()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_wrpc_call_and_are_called() {
    let mut hosts = Hosts::new(&["first"]).await;
    hosts.start("first", "greeter", None).await;
    let nats = Arc::new(hosts.lattice.nats().await);

    let client = wrpc_transport_nats::Client::new(Arc::clone(&nats), "default.greeter", None).await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("source-id", "outsider");
    // One call in some hundreds hangs in this client, whoever serves it: it passes over what comes before it has begun to listen.
    let greet = async |name: String| {
        for _ in 0..3 {
            let parameters = ((name.clone(), vec!["x".to_owned(), "y".to_owned()]), None::<u8>);
            let none: [&[Option<usize>]; 0] = [];
            let cx = Some(headers.clone());
            let greeted = client.invoke_values_blocking(cx, GREETER, "greet", parameters, none);
            if let Ok(greeted) = timeout(Duration::from_secs(10), greeted).await {
                let (greeted,): (Result<String, String>,) = greeted.unwrap();
                return greeted;
            }
        }
        panic!("it never answers");
    };
    assert_eq!(greet("you".to_owned()).await, Ok("hello you [x,y]".to_owned()));
    assert_eq!(greet(String::new()).await, Err("nobody is there".to_owned()));
    let long = "x".repeat(3 << 20);
    assert_eq!(greet(long.clone()).await, Ok(format!("hello {long} [x,y]")));
    for n in 0..100 {
        assert_eq!(greet(format!("{n}")).await, Ok(format!("hello {n} [x,y]")));
    }

    // It serves in its turn, as a provider or another host would.
    let prefix = "default.outsider";
    let server = wrpc_transport_nats::Client::new(nats, prefix, Some(prefix.into())).await.unwrap();
    let calls = server.serve_values::<(u32,), (u32,)>(GREETER, "again", []).await.unwrap();
    tokio::spawn(async move {
        let mut calls = std::pin::pin!(calls);
        while let Some((_, (depth,), _, answer)) = calls.try_next().await.unwrap() {
            answer((depth * 100,)).await.unwrap();
        }
    });
    hosts.link_caller("outsider").await;
    until(&format!("{}/deep/5", hosts.url), (200, "500\n"));
    until(&format!("{}/deep/3000000", hosts.url), (200, "300000000\n"));
}
