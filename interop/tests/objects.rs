//! Objects over NATS: what they observe, what they send, and components of another host that see and steer them.

use std::time::{Duration, Instant};

use async_nats::{Request, RequestErrorKind};
use futures::StreamExt as _;
use interop::{Lattice, PATIENCE, Running, free_port, yes};
use serde_json::{Value as Json, json};
use wasmcloud_control_interface::Link;

const TANK: &str = "
schema: abide/v1
name: tank
version: 1.0.0
fields:
  level: { type: number, unit: L, minimum: 0, maximum: 100, default: 50 }
  inflow: { type: number, unit: L/min, minimum: 0, maximum: 100, default: 0 }
  alarmed: { type: boolean, default: false }
  site: { type: string, maxLength: 20, default: '' }
mutations:
  observe: { from: [observation], args: { value: { $ref: '#/fields/level' } }, set: { level: args.value } }
  alarm:
    from: [rule]
    set: { alarmed: 'true' }
    effect:
      interface: wasmcloud:messaging/consumer
      function: publish
      args: [{ subject: 'plant.${self.site}.alarms', body: { level: '${self.level}' } }]
      valid_for: 1h
      retries: 5
  ask:
    from: [operator]
    effect:
      interface: wasmcloud:messaging/consumer
      function: request
      args: [plant.tower, 'how much']
      valid_for: 1m
      result: answered
  answered: { from: [observation], args: { body: { $ref: '#/fields/inflow' } }, set: { inflow: args.body } }
rules: [ { name: low, when: 'self.level < 10.0 && !self.alarmed', then: { mutate: alarm } } ]
";

const APP: &str = "
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: { name: plant }
spec:
  components:
    - name: tanks
      type: object
      properties: { schema: tank.yaml, objects: [{ id: north, values: { site: north } }, { id: south, values: { site: south } }] }
      traits:
        - type: link
          properties: { target: post, namespace: wasmcloud, package: messaging, interfaces: [consumer] }
    - name: post
      type: capability
      properties: { image: abide+builtin://messaging }
    - name: levels
      type: capability
      properties:
        image: abide+builtin://messaging
        config:
          - name: levels
            properties:
              subject: plant.*.level
              object: '@subject.2'
              observations: [{ mutation: observe, args: { value: { column: now.level, unit: mL } } }]
      traits:
        - type: link
          properties: { target: tanks, namespace: abide, package: object, interfaces: [observation] }
    - name: meters
      type: capability
      properties:
        image: abide+builtin://messaging
        config:
          - name: meters
            properties:
              subject: meters.>
              format: cbor
              object: tank
              observations: [{ mutation: observe, args: { value: level } }]
      traits:
        - type: link
          properties: { target: tanks, namespace: abide, package: object, interfaces: [observation] }
";

fn object(lattice: &Lattice, name: &str, id: &str) -> Json {
    let output = lattice.abide(&["show", id, "--json"], name).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn until(lattice: &Lattice, name: &str, id: &str, holds: impl Fn(&Json) -> bool) {
    let start = Instant::now();
    loop {
        let shown = object(lattice, name, id);
        if holds(&shown["memory"]) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{shown}");
    }
}

/// Sends a message once somebody listens.
async fn heard(nats: &async_nats::Client, subject: &'static str, body: &'static [u8]) {
    let start = Instant::now();
    loop {
        let request = Request::new().payload(body.into()).timeout(Some(Duration::from_millis(100)));
        match nats.send_request(subject, request).await {
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {}
            // It has gone to who listens, and he does not answer.
            _ => return,
        }
        assert!(start.elapsed() < PATIENCE, "nobody listens on {subject}");
    }
}

fn verified(lattice: &Lattice, name: &str) {
    let output = lattice.abide(&["verify"], name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_become_observations_and_effects_become_messages() {
    let mut lattice = Lattice::new(false);
    std::fs::write(lattice.path("tank.yaml"), TANK).unwrap();
    std::fs::write(lattice.path("app.yaml"), APP).unwrap();
    let host = lattice.host_with("plant", false, &["app.yaml"]);
    let nats = lattice.nats().await;
    let mut alarms = nats.subscribe("plant.*.alarms").await.unwrap();
    let mut tower = nats.subscribe("plant.tower").await.unwrap();
    nats.flush().await.unwrap();

    heard(&nats, "plant.north.level", br#"{"now": {"level": 42000}}"#).await;
    until(&lattice, "plant", "north", |memory| memory["level"] == 42.0);
    // {"tank": "south", "level": 17.5}
    let cbor = b"\xa2\x64tank\x65south\x65level\xf9\x4c\x60";
    heard(&nats, "meters.a.b", cbor).await;
    until(&lattice, "plant", "south", |memory| memory["level"] == 17.5);
    // What is none is said, and costs nothing else.
    nats.publish("plant.west.level", r#"{"now": {"level": 1}}"#.into()).await.unwrap();
    host.wait_for("of `plant.west.level`: `west` in `@subject.2` names no object");
    nats.publish("meters.a", vec![0xff].into()).await.unwrap();
    host.wait_for("of `meters.a`: it is not CBOR");

    nats.publish("plant.north.level", r#"{"now": {"level": 4000}}"#.into()).await.unwrap();
    let alarm = tokio::time::timeout(PATIENCE, alarms.next()).await.unwrap().unwrap();
    assert_eq!(alarm.subject.as_str(), "plant.north.alarms");
    assert_eq!(serde_json::from_slice::<Json>(&alarm.payload).unwrap(), json!({ "level": 4.0 }));
    let key = alarm.headers.unwrap().get(async_nats::header::NATS_MESSAGE_ID).unwrap().to_string();
    let lineage = lattice.abide(&["lineage", "north", "--json"], "plant").output().unwrap();
    let lineage = String::from_utf8(lineage.stdout).unwrap();
    assert!(lineage.contains(&key), "{key} is the hash of the record: {lineage}");

    let asked = lattice.abide(&["mutate", "north", "ask"], "plant").output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let question = tokio::time::timeout(PATIENCE, tower.next()).await.unwrap().unwrap();
    assert_eq!(&question.payload[..], b"how much");
    nats.publish(question.reply.unwrap(), "7.5".into()).await.unwrap();
    until(&lattice, "plant", "north", |memory| memory["inflow"] == 7.5);

    // An alarm while NATS is away is sent when it is back, and the source listens again.
    drop(lattice.nats.take());
    host.wait_for("does not answer");
    drop((nats, alarms, tower));
    lattice.serve(false);
    host.wait_for("started");
    let nats = lattice.nats().await;
    let mut alarms = nats.subscribe("plant.*.alarms").await.unwrap();
    nats.flush().await.unwrap();
    let start = Instant::now();
    let alarm = loop {
        nats.publish("plant.south.level", r#"{"now": {"level": 3000}}"#.into()).await.unwrap();
        match tokio::time::timeout(Duration::from_millis(200), alarms.next()).await {
            Ok(alarm) => break alarm.unwrap(),
            Err(_) => assert!(start.elapsed() < PATIENCE, "nothing listens again"),
        }
    };
    assert_eq!(alarm.subject.as_str(), "plant.south.alarms");
    stop(host);
    verified(&lattice, "plant");
}

fn stop(mut host: Running) {
    let pid = host.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(host.exit_code(), Some(0));
}

/// A panel on one host, and the guards that it shows on another.
const GUARDS: &str = "
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: { name: guards }
spec:
  components:
    - name: guards
      type: object
      properties: { schema: guard.yaml, objects: [ewr, jfk] }
";

const PANEL: &str = "
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: { name: panel }
spec:
  components:
    - name: panel
      type: component
      properties: { image: panel.wasm, config: [{ name: panel, properties: { guards: 'ewr,jfk' } }] }
      traits:
        - type: spreadscaler
          properties: { instances: 20 }
    - name: server
      type: capability
      properties: { image: abide+builtin://http-server }
      traits:
        - type: link
          properties:
            target: panel
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source_config: [{ name: address, properties: { address: '127.0.0.1:PORT' } }]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_component_steers_objects_of_another_host_where_a_link_lets_it() {
    let lattice = Lattice::new(true);
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/frost-panel");
    for name in ["guard.yaml", "panel.wasm"] {
        std::fs::copy(example.join(name), lattice.path(name)).unwrap();
    }
    let port = free_port();
    std::fs::write(lattice.path("guards.yaml"), GUARDS).unwrap();
    std::fs::write(lattice.path("panel.yaml"), PANEL.replace("PORT", &port.to_string())).unwrap();
    let mut guards = lattice.host_with("guards", true, &["guards.yaml"]);
    let panel = lattice.host_with("panel", true, &["panel.yaml", "--max-execution-time-ms", "20000"]);
    let client = lattice.client().await;
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = config.build().into();
    let ask = |method: &str, path: &str, body: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        let mut response = match method {
            "GET" => agent.get(url).call(),
            _ => agent.post(url).send(body),
        }
        .unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str::<Json>(&text).unwrap_or(Json::String(text)))
    };
    // Nothing without a link, on the host of the component.
    assert_eq!(ask("GET", "/guards/ewr", "").0, 403);
    for (name, target) in [("default", "ewr"), ("second", "nowhere")] {
        let link = Link::builder().source_id("panel").target(target).name(name);
        let link = link.wit_namespace("abide").wit_package("object").interfaces(vec!["client".to_owned()]);
        yes(client.put_link(link.build().unwrap()).await);
    }
    let start = Instant::now();
    let shown = loop {
        match ask("GET", "/guards/ewr", "") {
            (200, shown) => break shown,
            (status, body) => assert!(start.elapsed() < PATIENCE, "{status} {body}"),
        }
    };
    assert_eq!((&shown["id"], &shown["memory"]["burner"]), (&json!("ewr"), &json!("idle")));
    // What it tells is admitted there, in a tick, and recorded with the component that asked.
    let (status, told) = ask("POST", "/guards/ewr/observe", r#"{"temperature": -3}"#);
    assert_eq!((status, told["recorded"].is_u64()), (200, true), "{told}");
    until(&lattice, "guards", "ewr", |memory| memory["burner"] == "low");
    let lineage = lattice.abide(&["lineage", "ewr", "--json"], "guards").output().unwrap();
    let lineage = String::from_utf8(lineage.stdout).unwrap();
    assert!(lineage.contains("\"panel\""), "{lineage}");
    // A denial comes back as it is.
    let (status, denied) = ask("POST", "/guards/ewr/observe", r#"{"temperature": -300}"#);
    assert_eq!(status, 409, "{denied}");
    let (status, unknown) = ask("POST", "/guards/ewr/explode", "{}");
    assert_eq!(status, 404, "{unknown}");
    // The guard that no link is for, one that no host has.
    assert_eq!(ask("GET", "/guards/jfk", "").0, 403);
    let (status, nowhere) = ask("GET", "/guards/nowhere", "");
    assert_eq!(status, 503);
    assert!(nowhere.to_string().contains("no host of the lattice says that it has the object"), "{nowhere}");
    // Whoever speaks for a component over NATS needs its link, too.
    let nats = lattice.nats().await;
    let id = client.get_hosts().await.unwrap().into_iter().filter_map(|host| host.into_data());
    let id = id.into_iter().find(|host| host.friendly_name() == "guards").unwrap().id().to_owned();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("abide-object", "jfk");
    for (asked, expected) in [
        (
            r#"{"component": "panel", "op": "mutate", "mutation": "observe", "args": {"temperature": 1}}"#,
            "refused",
        ),
        (r#"{"op": "read"}"#, "error"),
        (r#"{"component": "panel", "op": "all", "requests": [{"op": "read", "object": "jfk"}]}"#, "error"),
        ("[", "error"),
        ("", "error"),
    ] {
        let subject = format!("default.abide.objects.v1.ask.{id}");
        let answer = nats.request_with_headers(subject, headers.clone(), asked.into()).await.unwrap();
        let answer: Json = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer.get(expected).is_some(), "{asked}: {answer}");
    }
    // Many at once, each recorded once.
    let before = records(&lattice, "ewr");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let ask = &ask;
            scope.spawn(move || {
                for n in 0..10 {
                    let body = format!("{{\"temperature\": {}}}", f64::from(thread * 10 + n) / 100.0);
                    let (status, told) = ask("POST", "/guards/ewr/observe", &body);
                    assert_eq!(status, 200, "{told}");
                }
            });
        }
    });
    assert_eq!(records(&lattice, "ewr") - before, 80);
    // The host of the guards goes, and the panel says so in time.
    guards.child.kill().unwrap();
    guards.exit_code();
    let start = Instant::now();
    let (status, _) = ask("GET", "/guards/ewr", "");
    assert_eq!(status, 503);
    assert!(start.elapsed() < Duration::from_secs(15));
    verified(&lattice, "guards");
    let guards = lattice.host_with("guards", true, &["guards.yaml"]);
    // Once it has joined.
    let start = Instant::now();
    while ask("GET", "/guards/ewr", "").0 != 200 {
        assert!(start.elapsed() < PATIENCE, "the guard is not found again");
    }
    stop(guards);
    stop(panel);
}

/// How many observations the lineage of a guard holds.
fn records(lattice: &Lattice, id: &str) -> usize {
    let lineage = lattice.abide(&["lineage", id, "--json"], "guards").output().unwrap();
    String::from_utf8(lineage.stdout).unwrap().lines().filter(|line| line.contains("\"observe\"")).count()
}
