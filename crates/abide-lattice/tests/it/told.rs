//! Events, and their envelope.

use abide_lattice::{
    Action, Component, Control, Event, Options, Performed, Provider, Scale, StartProvider, StopProvider,
    Update,
};
use serde_json::{Value as Json, json};

use crate::support::{HOST, Host, lamp, server, texts, web};

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

fn scale() -> Action {
    Action::Scale(Scale {
        component_ref: "file:///web2.wasm".to_owned(),
        component_id: "web".to_owned(),
        annotations: Some(texts([("wasmcloud.dev/managed-by", "wadm")])),
        count: 3,
        ..Scale::default()
    })
}

fn update() -> Action {
    Action::Update(Update {
        component_id: "web".to_owned(),
        annotations: Some(texts([("wasmcloud.dev/managed-by", "wadm")])),
        new_component_ref: "file:///web2.wasm".to_owned(),
    })
}

fn start() -> Action {
    Action::StartProvider(StartProvider {
        provider_ref: "wasmcloud+builtin://http-server".to_owned(),
        provider_id: "server".to_owned(),
        annotations: Some(texts([("wasmcloud.dev/managed-by", "wadm")])),
        ..StartProvider::default()
    })
}

fn stop() -> Action {
    Action::StopProvider(StopProvider { provider_id: "server".to_owned() })
}

/// What is told when that came of an action.
fn told(control: &Control, action: &Action, outcome: Result<Performed, &str>) -> Vec<(&'static str, Json)> {
    let events = control.performed(action, &outcome.map_err(str::to_owned));
    events.into_iter().map(|event| (event.name, event.data)).collect()
}

#[test]
fn an_action_is_about_an_id() {
    assert_eq!(
        [scale(), update(), start(), stop()].each_ref().map(Action::id),
        ["web", "web", "server", "server"]
    );
}

#[test]
fn how_components_run_is_told_in_the_order_given() {
    let control = Host::new().control;
    let scaled = |image: &str, instances: u32, annotations: Json| {
        let data = json!({
            "annotations": annotations, "host_id": HOST, "image_ref": image, "max_instances": instances,
            "component_id": "web",
        });
        ("component_scaled", data)
    };
    let managed = || json!({ "wasmcloud.dev/managed-by": "wadm" });
    let runs = Performed::Components(vec![web()]);
    assert_eq!(told(&control, &scale(), Ok(runs)), [scaled("file:///web.wasm", 10, managed())]);

    // It is the same whether it was stopped or was not there.
    let gone = Component { max_instances: 0, annotations: None, limits: None, claims: None, ..web() };
    let stopped = Performed::Components(vec![gone.clone()]);
    assert_eq!(told(&control, &scale(), Ok(stopped)), [scaled("file:///web.wasm", 0, json!({}))]);

    // An update: the new one runs, then the old one does no more.
    let new = Component { image_ref: "file:///web2.wasm".to_owned(), ..web() };
    let expected = [scaled("file:///web2.wasm", 10, managed()), scaled("file:///web.wasm", 0, json!({}))];
    assert_eq!(told(&control, &update(), Ok(Performed::Components(vec![new, gone]))), expected);
    assert_eq!(told(&control, &scale(), Ok(Performed::Components(Vec::new()))), []);
}

#[test]
fn a_provider_that_starts_and_one_that_stops_are_told() {
    let control = Host::new().control;
    let managed = json!({ "wasmcloud.dev/managed-by": "wadm" });
    let mut started = json!({
        "host_id": HOST, "image_ref": "wasmcloud+builtin://http-server", "provider_id": "server", "annotations": managed,
    });
    let mut stopped = json!({
        "host_id": HOST, "provider_id": "server", "annotations": managed, "reason": "stop", "instance_id": "server",
        "public_key": "server", "link_name": "default",
    });
    let tell = |provider: Provider, started: &Json, stopped: &Json| {
        let start = told(&control, &start(), Ok(Performed::Started(provider.clone())));
        assert_eq!(start, [("provider_started", started.clone())]);
        let stop = told(&control, &stop(), Ok(Performed::Stopped(provider)));
        assert_eq!(stop, [("provider_stopped", stopped.clone())]);
    };
    tell(server(), &started, &stopped);
    for event in [&mut started, &mut stopped] {
        event["annotations"] = json!({});
    }
    tell(Provider { annotations: None, ..server() }, &started, &stopped);
}

#[test]
fn what_failed_is_told_with_why() {
    let control = Host::new().control;
    let failed = |action: Action| told(&control, &action, Err("there is no such file"));
    let mut unscaled = json!({
        "annotations": { "wasmcloud.dev/managed-by": "wadm" }, "host_id": HOST, "image_ref": "file:///web2.wasm",
        "component_id": "web", "max_instances": 3, "error": "there is no such file",
    });
    assert_eq!(failed(scale()), [("component_scale_failed", unscaled.clone())]);
    // An update says nothing of instances.
    unscaled["max_instances"] = 0.into();
    assert_eq!(failed(update()), [("component_scale_failed", unscaled.clone())]);
    let Action::Update(bare) = update() else { panic!() };
    unscaled["annotations"] = json!({});
    let bare = Action::Update(Update { annotations: None, ..bare });
    assert_eq!(failed(bare), [("component_scale_failed", unscaled)]);
    let unstarted = json!({
        "provider_ref": "wasmcloud+builtin://http-server", "provider_id": "server", "host_id": HOST,
        "error": "there is no such file", "link_name": "default",
    });
    assert_eq!(failed(start()), [("provider_start_failed", unstarted)]);
    // There is no event for a provider that does not stop.
    assert_eq!(failed(stop()), []);
}

#[test]
fn where_nothing_was_done_nothing_is_told() {
    let control = Host::new().control;
    for action in [scale(), update(), start(), stop()] {
        assert_eq!(told(&control, &action, Ok(Performed::Nothing)), [], "{action:?}");
    }
}
