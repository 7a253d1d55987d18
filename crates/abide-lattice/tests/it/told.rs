//! Events, and their envelope.

use abide_lattice::{Bucket, Component, Event, Options};
use serde_json::json;

use crate::support::{HOST, Host, lamp};

#[test]
fn an_event_is_told_in_its_envelope() {
    let event = Event { name: "host_stopped", data: json!({ "labels": {} }) };
    assert_eq!(event.subject("farm"), "wasmbus.evt.farm.host_stopped");
    assert_eq!(
        event.envelope(HOST, "an-id", "2026-03-01T12:00:00Z"),
        json!({
            "specversion": "1.0", "id": "an-id", "type": "com.wasmcloud.lattice.host_stopped", "source": HOST,
            "datacontenttype": "application/json", "time": "2026-03-01T12:00:00Z", "data": { "labels": {} },
        })
    );
}

#[test]
fn a_host_tells_of_its_start_its_end_and_what_runs() {
    let mut host = Host::new();
    let labels = json!({ "hostcore.os": "linux", "zone": "north" });
    let started = host.control.started();
    assert_eq!(started.name, "host_started");
    assert_eq!(
        started.data,
        json!({ "friendly_name": "orchard", "labels": labels, "uptime_seconds": 0, "version": "0.1.0" })
    );
    let stopped = host.control.stopped();
    assert_eq!((stopped.name, stopped.data), ("host_stopped", json!({ "labels": labels })));

    // A heartbeat says what the inventory does.
    let heartbeat = host.control.heartbeat(&host.inventory);
    assert_eq!(heartbeat.name, "host_heartbeat");
    assert_eq!(heartbeat.data, host.yes(&format!("host.get.{HOST}"), "").1);
}

#[test]
fn an_address_is_told_without_what_opens_it() {
    for (url, told) in [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("localhost", "nats://localhost"),
        ("tls://me:p@ss@nats.example:4222, token@b:1", "tls://nats.example:4222,nats://b:1"),
    ] {
        assert_eq!(Options { url: url.to_owned(), ..Options::default() }.address(), told);
    }
}

#[test]
fn what_the_buckets_held_is_forgotten_when_they_are_read_anew() {
    let mut host = Host::new();
    host.learn(Bucket::Config, "web", &json!({ "address": "0.0.0.0:80" }));
    host.learn(Bucket::Data, "CLAIMS_MABC", &json!({ "name": "web" }));
    assert_eq!(host.yes("config.get.web", "").1, json!({ "address": "0.0.0.0:80" }));
    host.control.forget();
    assert_eq!(host.yes("config.get.web", ""), ("Configuration not found".to_owned(), json!(null)));
    assert_eq!(host.yes("claims.get", "").1, json!([]));
}

#[test]
fn what_runs_and_what_does_no_more_is_told_alike() {
    let control = Host::new().control;
    let scaled = control.scaled(&lamp("lamp"));
    assert_eq!(scaled.name, "component_scaled");
    let mut expected = json!({
        "annotations": { "abide.dev/kind": "object" }, "host_id": HOST, "image_ref": "abide+object://lamp:1.2.0",
        "max_instances": 1, "component_id": "lamp",
    });
    assert_eq!(scaled.data, expected);
    expected["max_instances"] = 0.into();
    expected["annotations"] = json!({});
    assert_eq!(
        control.scaled(&Component { max_instances: 0, annotations: None, ..lamp("lamp") }).data,
        expected
    );
}
