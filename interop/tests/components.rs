//! Message-driven components of wasmCloud's own interfaces, deployed by wasmCloud's own client.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures::StreamExt as _;
use interop::{Lattice, PATIENCE, free_port, guest, no, yes};
use serde_json::Value as Json;
use wasmcloud_control_interface::{Client, Link};

/// A client that has the answer whatever its status.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    config.build().into()
}

/// What is answered: the status, and the text.
fn get(agent: &ureq::Agent, url: &str) -> Result<(u16, String), ureq::Error> {
    let mut response = agent.get(url).call()?;
    let text = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), text))
}

/// Asks until it is answered so.
fn until(url: &str, expected: (u16, &str)) {
    let (agent, start) = (agent(), Instant::now());
    let mut last = None;
    while start.elapsed() < PATIENCE {
        last = Some(get(&agent, url));
        if matches!(&last, Some(Ok((status, text))) if (*status, text.as_str()) == expected) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{url} is not answered by {expected:?} but by {last:?}");
}

/// The next event of a name, and what it says.
async fn event(events: &mut Subscriber, name: &str) -> Json {
    loop {
        let message = tokio::time::timeout(PATIENCE, events.next()).await.expect(name).unwrap();
        if message.subject.ends_with(&format!(".{name}")) {
            let event: Json = serde_json::from_slice(&message.payload).unwrap();
            return event["data"].clone();
        }
    }
}

/// How a component runs of late.
async fn scaled(events: &mut Subscriber, id: &str) -> Json {
    loop {
        let scaled = event(events, "component_scaled").await;
        if scaled["component_id"] == id {
            return scaled;
        }
    }
}

fn link(source: &str, target: &str, package: (&str, &str), interfaces: &[&str]) -> Link {
    configured(source, target, package, interfaces, &[], &[])
}

fn configured(
    source: &str,
    target: &str,
    (namespace, package): (&str, &str),
    interfaces: &[&str],
    of_source: &[&str],
    of_target: &[&str],
) -> Link {
    let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    Link::builder()
        .source_id(source)
        .target(target)
        .name("default")
        .wit_namespace(namespace)
        .wit_package(package)
        .interfaces(texts(interfaces))
        .source_config(texts(of_source))
        .target_config(texts(of_target))
        .build()
        .unwrap()
}

/// A lattice of one host.
struct Deployed {
    lattice: Lattice,
    running: interop::Running,
    client: Client,
    events: Subscriber,
    id: String,
    port: u16,
}

impl Deployed {
    async fn new() -> Self {
        let lattice = Lattice::new(true);
        let host = lattice.host("orchard", true);
        let client = lattice.client().await;
        let events = lattice.events(">").await;
        let id = client.get_hosts().await.unwrap()[0].data().unwrap().id().to_owned();
        Self { lattice, running: host, client, events, id, port: free_port() }
    }

    async fn start(&mut self, image: &str, id: &str, instances: u32) -> Json {
        self.scale(image, id, instances, &[]).await;
        scaled(&mut self.events, id).await
    }

    async fn scale(&self, image: &str, id: &str, instances: u32, config: &[&str]) {
        let config = config.iter().map(ToString::to_string).collect();
        yes(self.client.scale_component(&self.id, &guest(image), id, instances, None, config, false).await);
    }

    async fn config(&self, name: &str, values: &[(&str, &str)]) {
        let values: HashMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        yes(self.client.put_config(name, values).await);
    }

    /// An HTTP server before a component.
    async fn serve(&mut self, id: &str) -> String {
        self.config("address", &[("address", &format!("127.0.0.1:{}", self.port))]).await;
        yes(self
            .client
            .start_provider(&self.id, "wasmcloud+builtin://http-server", "server", None, vec![])
            .await);
        event(&mut self.events, "provider_started").await;
        let link = configured("server", id, ("wasi", "http"), &["incoming-handler"], &["address"], &[]);
        yes(self.client.put_link(link).await);
        format!("http://127.0.0.1:{}", self.port)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_component_is_started_linked_served_and_stopped() {
    let mut host = Deployed::new().await;
    let started = host.start("hello", "hello", 10).await;
    assert_eq!(
        (started["component_id"].as_str(), started["max_instances"].as_u64()),
        (Some("hello"), Some(10))
    );
    let url = host.serve("hello").await;
    until(&url, (200, "hello world from hello\n"));

    let inventory = yes(host.client.get_host_inventory(&host.id).await).unwrap();
    let running = inventory.components().iter().find(|one| one.id() == "hello").unwrap();
    assert_eq!((running.image_ref(), running.max_instances()), (guest("hello").as_str(), 10));
    assert_eq!(inventory.providers()[0].id(), "server");

    // Configuration reaches it while it runs.
    host.config("name", &[("name", "orchard")]).await;
    host.scale("hello", "hello", 10, &["name"]).await;
    until(&url, (200, "hello orchard from hello\n"));
    host.config("name", &[("name", "frost")]).await;
    until(&url, (200, "hello frost from hello\n"));

    // Without its link it is not reached any more, and without its provider nothing listens.
    yes(host.client.delete_link("server", "default", "wasi", "http").await);
    let (agent, start) = (agent(), Instant::now());
    while get(&agent, &url).is_ok() {
        assert!(start.elapsed() < PATIENCE, "it listens on");
        thread::sleep(Duration::from_millis(20));
    }
    yes(host.client.stop_provider(&host.id, "server").await);
    assert_eq!(event(&mut host.events, "provider_stopped").await["reason"], "stop");
    yes(host.client.scale_component(&host.id, &guest("hello"), "hello", 0, None, vec![], false).await);
    while scaled(&mut host.events, "hello").await["max_instances"] != 0 {}
    let inventory = yes(host.client.get_host_inventory(&host.id).await).unwrap();
    assert!(inventory.components().iter().all(|one| one.id() != "hello") && inventory.providers().is_empty());
    assert!(host.lattice.ticks("orchard") > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_keeps_its_counts_where_a_link_grants_it() {
    let mut host = Deployed::new().await;
    host.start("counter", "counter", 10).await;
    let url = host.serve("counter").await;
    // No link, no store: denied by default.
    until(&url, (502, "Error::AccessDenied\n"));
    yes(host.client.start_provider(&host.id, "abide+builtin://keyvalue", "values", None, vec![]).await);
    event(&mut host.events, "provider_started").await;
    let both = link("counter", "values", ("wasi", "keyvalue"), &["store", "atomics"]);
    yes(host.client.put_link(both).await);
    until(&format!("{url}/first"), (200, "1\n"));
    let agent = agent();
    for n in 2..=20 {
        assert_eq!(get(&agent, &format!("{url}/first")).unwrap(), (200, format!("{n}\n")));
    }
    // Each interface is granted by itself.
    let store = link("counter", "values", ("wasi", "keyvalue"), &["store"]);
    yes(host.client.put_link(store).await);
    until(&format!("{url}/first"), (502, "Error::AccessDenied\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_under_load_fails_no_request() {
    let mut host = Deployed::new().await;
    host.start("hello", "hello", 50).await;
    let url = host.serve("hello").await;
    until(&url, (200, "hello world from hello\n"));
    let (done, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let old_and_new = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (url, done, failed, counts) =
                (url.clone(), Arc::clone(&done), Arc::clone(&failed), Arc::clone(&old_and_new));
            thread::spawn(move || {
                let agent = agent();
                while !done.load(Ordering::Relaxed) {
                    match get(&agent, &url) {
                        Ok((200, text)) => {
                            let which = usize::from(text.ends_with("hello_again\n"));
                            counts[which].fetch_add(1, Ordering::Relaxed);
                        }
                        other => {
                            eprintln!("{other:?}");
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            })
        })
        .collect();
    let count = |which: usize| old_and_new[which].load(Ordering::Relaxed);
    let wait = |which: usize, more: u64| {
        let (start, from) = (Instant::now(), count(which));
        while count(which) < from + more {
            assert!(start.elapsed() < PATIENCE, "{old_and_new:?}");
            thread::sleep(Duration::from_millis(5));
        }
    };
    wait(0, 200);
    yes(host.client.update_component(&host.id, "hello", &guest("hello_again"), None).await);
    let new = scaled(&mut host.events, "hello").await;
    let old = scaled(&mut host.events, "hello").await;
    assert_eq!(
        (new["image_ref"].as_str(), new["max_instances"].as_u64()),
        (Some(guest("hello_again").as_str()), Some(50))
    );
    assert_eq!(
        (old["image_ref"].as_str(), old["max_instances"].as_u64()),
        (Some(guest("hello").as_str()), Some(0))
    );
    wait(1, 200);
    done.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(failed.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_does_wrong_costs_itself_alone() {
    let mut host = Deployed::new().await;
    let limits: HashMap<String, String> = [("max_execution_time", "1"), ("max_memory_limit", "16777216")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let nats = host.lattice.nats().await;
    let scale = serde_json::json!({
        "component_ref": guest("hello"), "component_id": "hello", "host_id": host.id, "count": 8,
        "component_limits": limits, "config": [], "allow_update": false,
    });
    let subject = format!("wasmbus.ctl.v1.default.component.scale.{}", host.id);
    let reply = nats.request(subject, scale.to_string().into()).await.unwrap();
    assert!(String::from_utf8_lossy(&reply.payload).contains("true"));
    scaled(&mut host.events, "hello").await;
    let url = host.serve("hello").await;
    until(&url, (200, "hello world from hello\n"));
    let agent_ = agent();
    assert_eq!(get(&agent_, &format!("{url}/trap")).unwrap().0, 500);
    assert_eq!(get(&agent_, &format!("{url}/memory")).unwrap().0, 500);
    // As many loop for ever as may run at once; others wait, and are served when those are ended.
    let before = host.lattice.ticks("orchard");
    let began = Instant::now();
    let spinning: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            thread::spawn(move || get(&agent(), &format!("{url}/spin")).unwrap().0)
        })
        .collect();
    (0..8).for_each(|_| host.running.wait_for("hello: info: spinning"));
    assert_eq!(get(&agent_, &url).unwrap(), (200, "hello world from hello\n".to_owned()));
    assert!(began.elapsed() >= Duration::from_secs(1), "it did not wait for any of them");
    assert!(spinning.into_iter().all(|thread| thread.join().unwrap() == 504));
    // The object went on meanwhile.
    assert!(host.lattice.ticks("orchard") - before > 5);
    until(&url, (200, "hello world from hello\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_is_refused_and_why_is_told() {
    let mut host = Deployed::new().await;
    let auctioned =
        host.client.perform_component_auction(&guest("hello"), "hello", BTreeMap::new()).await.unwrap();
    assert_eq!(auctioned[0].data().unwrap().host_id(), host.id);
    let elsewhere = BTreeMap::from([("zone".to_owned(), "south".to_owned())]);
    assert!(
        host.client.perform_component_auction(&guest("hello"), "hello", elsewhere).await.unwrap().is_empty()
    );
    host.start("hello", "hello", 1).await;
    assert!(
        host.client
            .perform_component_auction(&guest("hello"), "hello", BTreeMap::new())
            .await
            .unwrap()
            .is_empty()
    );

    for (image, config, why) in [
        ("file:///nowhere/x.wasm", &[][..], "there is no file"),
        (guest("hello").as_str(), &["missing"][..], "there is no configuration `missing`"),
    ] {
        let config = config.iter().map(ToString::to_string).collect();
        yes(host.client.scale_component(&host.id, image, "other", 1, None, config, false).await);
        let failed = event(&mut host.events, "component_scale_failed").await;
        assert!(failed["error"].as_str().unwrap().contains(why), "{failed}");
    }
    let module = host.lattice.path("module.wasm");
    std::fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
    let image = format!("file://{}", module.display());
    yes(host.client.scale_component(&host.id, &image, "other", 1, None, vec![], false).await);
    let failed = event(&mut host.events, "component_scale_failed").await;
    assert!(failed["error"].as_str().unwrap().contains("no WebAssembly component"), "{failed}");

    no(
        host.client.scale_component(&host.id, &guest("hello"), "lamp-orchard", 1, None, vec![], false).await,
        "resident object",
    );
    let bids = async |image: &str| {
        host.client.perform_provider_auction(image, "provider", BTreeMap::new()).await.unwrap().len()
    };
    assert_eq!(bids("wasmcloud+builtin://http-server").await, 1);
    assert_eq!(bids("ghcr.io/wasmcloud/http-server:0.27.0").await, 1);
    assert_eq!(bids("ghcr.io/acme/provider:1.0.0").await, 0);
    no(host.client.update_component(&host.id, "other", &guest("hello"), None).await, "not found");
    yes(host.client.start_provider(&host.id, "wasmcloud+builtin://magic", "magic", None, vec![]).await);
    let failed = event(&mut host.events, "provider_start_failed").await;
    assert!(failed["error"].as_str().unwrap().contains("no builtin provider `magic`"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messaging_component_answers_on_its_subjects() {
    let mut host = Deployed::new().await;
    host.start("echo", "echo", 5).await;
    let nats = host.lattice.nats().await;
    host.config("subjects", &[("subscriptions", "echo.*,shared|group")]).await;
    yes(host
        .client
        .start_provider(&host.id, "wasmcloud+builtin://messaging-nats", "messages", None, vec![])
        .await);
    event(&mut host.events, "provider_started").await;
    let incoming =
        configured("messages", "echo", ("wasmcloud", "messaging"), &["handler"], &["subjects"], &[]);
    yes(host.client.put_link(incoming).await);
    // It hears, and may not answer: what it sends needs a link of its own.
    let outgoing = link("echo", "messages", ("wasmcloud", "messaging"), &["consumer"]);
    yes(host.client.put_link(outgoing).await);
    let start = Instant::now();
    loop {
        let asked = nats.request("echo.one", "hello".into());
        match tokio::time::timeout(Duration::from_millis(500), asked).await {
            Ok(Ok(answer)) if &*answer.payload == b"hello" => break,
            _ => assert!(start.elapsed() < PATIENCE, "it never answers"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for n in 0..100 {
        let answer = nats.request("shared", format!("{n}").into()).await.unwrap();
        assert_eq!(&*answer.payload, format!("{n}").as_bytes());
    }
    // It asks in its turn: this test answers, or nobody does.
    let mut asked = nats.subscribe("question").await.unwrap();
    nats.flush().await.unwrap();
    let answering = nats.clone();
    tokio::spawn(async move {
        while let Some(question) = asked.next().await {
            answering.publish(question.reply.unwrap(), "answered".into()).await.unwrap();
        }
    });
    assert_eq!(&*nats.request("echo.two", "ask question".into()).await.unwrap().payload, b"answered");
    let nobody = nats.request("echo.two", "ask nobody".into()).await.unwrap();
    assert_eq!(&*nobody.payload, b"nobody listens for `nobody`");
    // Who asks may name where the answer goes, and no component speaks for the lattice there.
    let stop = format!("wasmbus.ctl.v1.default.host.stop.{}", host.id);
    for reply in [&*stop, "default.greeter.wrpc.0.0.1.greet", "$JS.API.STREAM.PURGE.KV_LATTICEDATA_default"] {
        nats.publish_with_reply("echo.one", reply.to_owned(), "{}".into()).await.unwrap();
        host.running.wait_for("a subject of the lattice's own");
    }
    assert_eq!(&*nats.request("echo.one", "still here".into()).await.unwrap().payload, b"still here");
    assert_eq!(host.client.get_hosts().await.unwrap().len(), 1);
    // Without its link for sending it is denied from the next call on.
    yes(host.client.delete_link("echo", "default", "wasmcloud", "messaging").await);
    let start = Instant::now();
    loop {
        let asked = nats.request("echo.one", "hello".into());
        if tokio::time::timeout(Duration::from_millis(200), asked).await.is_err() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it answers on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_out_to_allowed_hosts_alone() {
    let mut host = Deployed::new().await;
    let fetched = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = fetched.local_addr().unwrap().port();
    thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in fetched.incoming().map_while(Result::ok) {
            let mut asked = [0; 4096];
            let count = stream.read(&mut asked).unwrap_or(0);
            let body = if asked[..count].starts_with(b"GET /fetched HTTP/1.1") { "fetched" } else { "what?" };
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    host.start("fetch", "fetch", 5).await;
    let url = host.serve("fetch").await;
    let to = format!("{url}/?127.0.0.1:{port}");
    until(&to, (502, "ErrorCode::HttpRequestDenied\n"));
    yes(host.client.start_provider(&host.id, "abide+builtin://http-client", "client", None, vec![]).await);
    host.config("allowed", &[("allowed_hosts", &format!("127.0.0.1:{port}"))]).await;
    let outgoing = configured("fetch", "client", ("wasi", "http"), &["outgoing-handler"], &[], &["allowed"]);
    yes(host.client.put_link(outgoing).await);
    until(&to, (200, "200: fetched"));
    let denied = get(&agent(), &format!("{url}/?127.0.0.1:{}", port - 1)).unwrap();
    assert_eq!(denied, (502, "ErrorCode::HttpRequestDenied\n".to_owned()));
    host.config("allowed", &[("allowed_hosts", "example.com")]).await;
    until(&to, (502, "ErrorCode::HttpRequestDenied\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn components_call_each_other_over_links() {
    let mut host = Deployed::new().await;
    host.start("caller", "caller", 5).await;
    host.start("greeter", "greeter", 50).await;
    let url = host.serve("caller").await;
    until(&format!("{url}/you"), (500, "the component did not answer\n"));
    yes(host.client.put_link(link("caller", "greeter", ("interop", "greet"), &["greeter"])).await);
    until(&format!("{url}/you"), (200, "Ok(\"hello you [a,b]\")\n"));
    until(&format!("{url}/you?x"), (200, "Ok(\"HELLO YOU [A,B]!!!\")\n"));
    until(&format!("{url}/"), (200, "Err(\"nobody is there\")\n"));
    // A component that is linked to itself goes as deep as calls may, and not for ever.
    yes(host.client.put_link(link("greeter", "greeter", ("interop", "greet"), &["greeter"])).await);
    until(&format!("{url}/deep/5"), (200, "5\n"));
    until(&format!("{url}/deep/100000"), (500, "the component did not answer\n"));
    until(&format!("{url}/deep/5"), (200, "5\n"));
    // What it calls is gone, and it is told so.
    yes(host.client.scale_component(&host.id, &guest("greeter"), "greeter", 0, None, vec![], false).await);
    until(&format!("{url}/you"), (500, "the component did not answer\n"));
}
