//! wasmCloud's own client of the control interface drives a host.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use interop::{Lattice, PATIENCE, no, yes};
use serde_json::Value as Json;
use wasmcloud_control_interface::{Client, Link};

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
async fn nobody_has_a_host_say_what_hosts_and_their_clients_alone_may() {
    let lattice = Lattice::new(true);
    let _host = lattice.host("orchard", true);
    let nats = lattice.nats().await;
    let ping = "wasmbus.ctl.v1.default.host.ping";
    for reflected in ["wasmbus.ctl.v1.default.reflected", "default.reflected", "$KV.reflected"] {
        let mut heard = nats.subscribe(reflected).await.unwrap();
        nats.publish_with_reply(ping, reflected, "".into()).await.unwrap();
        // What comes after it on the same subject is answered after it.
        nats.request(ping, "".into()).await.unwrap();
        let nothing = tokio::time::timeout(Duration::from_millis(200), heard.next()).await;
        assert!(nothing.is_err(), "{reflected}: {nothing:?}");
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
    no(client.stop_provider(&id, "y").await, "not running");
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
