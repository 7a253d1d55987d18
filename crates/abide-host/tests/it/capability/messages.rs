//! `messaging` as a target of effects.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use abide_host::broker::{Broker, Outgoing, Subscription, Take};
use abide_host::effect::{CallError, Messages, Target as _};
use abide_host::manifest::TargetKind;
use serde_json::{Value, json};

use super::offers::load;
use super::request;
use crate::manifest::{load_with, manifest, said};

const CONSUMER: &str = "wasmcloud:messaging/consumer";

/// Takes what is sent, and answers with it.
#[derive(Default)]
struct Post {
    sent: Mutex<Vec<String>>,
    fails: Mutex<Option<CallError>>,
}

impl Broker for Post {
    fn subscribe(&self, _: &str, _: Option<&str>, _: Take) -> Result<Subscription, String> {
        panic!("a target listens for nothing")
    }

    fn publish(&self, message: Outgoing<'_>, limit: Duration) -> Result<(), CallError> {
        self.request(message, limit).map(drop)
    }

    fn request(&self, message: Outgoing<'_>, limit: Duration) -> Result<Vec<u8>, CallError> {
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        let Outgoing { subject, reply_to, body, id } = message;
        let body_text = String::from_utf8_lossy(body);
        let line = format!("{subject} {reply_to:?} `{body_text}` {}… {limit:?}", &id[..16]);
        self.sent.lock().unwrap().push(line);
        Ok(body.to_vec())
    }
}

fn call(post: &Arc<Post>, function: &str, args: Vec<Value>) -> Result<Value, CallError> {
    let target = Messages::new(Arc::clone(post) as Arc<dyn Broker>);
    target.call(&request(CONSUMER, function, 7, args))
}

#[test]
fn a_call_is_a_message_that_names_its_effect() {
    let post = Arc::new(Post::default());
    let publish = |message| call(&post, "publish", vec![message]);
    assert_eq!(publish(json!({ "subject": "a.b", "body": { "n": 1 }, "reply_to": "c" })), Ok(Value::Null));
    assert_eq!(publish(json!({ "subject": "a.b", "body": "as it is" })), Ok(Value::Null));
    assert_eq!(publish(json!({ "subject": "a.b", "body": null, "reply_to": null })), Ok(Value::Null));
    assert_eq!(call(&post, "request", vec![json!("a"), json!([1])]), Ok(json!({ "body": [1] })));
    assert_eq!(call(&post, "request", vec![json!("a"), json!("text")]), Ok(json!({ "body": "text" })));
    insta::assert_snapshot!(post.sent.lock().unwrap().join("\n"), @r#"
    a.b Some("c") `{"n":1}` 0000000000000007… 20s
    a.b None `as it is` 0000000000000007… 20s
    a.b None `` 0000000000000007… 20s
    a None `[1]` 0000000000000007… 20s
    a None `text` 0000000000000007… 20s
    "#);
}

#[test]
fn what_can_never_be_sent_is_final_and_what_fails_now_is_not() {
    let post = Arc::new(Post::default());
    for (function, args) in [
        ("publish", vec![json!({ "subject": "a.*" })]),
        ("publish", vec![json!({ "subject": "a..b" })]),
        ("publish", vec![json!({ "subject": "" })]),
        ("publish", vec![json!({ "subject": "a".repeat(5_000) })]),
        ("publish", vec![json!({ "subject": "a", "reply_to": ">" })]),
        ("publish", vec![json!({ "body": "a" })]),
        ("publish", vec![json!({ "subject": "a", "boddy": 1 })]),
        ("publish", vec![json!("a")]),
        ("request", vec![json!("a b"), json!(1)]),
        ("request", vec![json!("a")]),
        ("consume", vec![]),
    ] {
        let error = call(&post, function, args.clone()).unwrap_err();
        assert!(error.permanent, "{function} {args:?}: {error}");
    }
    assert!(post.sent.lock().unwrap().is_empty());
    for error in [CallError::passing("NATS does not answer"), CallError::permanent("reserved")] {
        *post.fails.lock().unwrap() = Some(error.clone());
        assert_eq!(call(&post, "publish", vec![json!({ "subject": "a" })]), Err(error));
    }
}

const LINK: &str = "
        - type: link
          properties: { target: post, namespace: wasmcloud, package: messaging, interfaces: [consumer] }
";
const POST: &str = "
    - name: post
      type: capability
      properties: { image: abide+builtin://messaging }
";

#[test]
fn what_fits_loads_and_every_fault_is_said_at_once() {
    let fits = [
        r#"interface: "wasmcloud:messaging/consumer", function: publish, args: [{ subject: "pumps.${self.note}", body: { count: "${self.count}" } }]"#,
        r#"interface: "wasmcloud:messaging/consumer", function: publish, args: [{ subject: pumps, reply_to: answers, body: stop }]"#,
        r#"interface: "wasmcloud:messaging/consumer", function: request, args: [pumps, "${self.count}"]"#,
    ];
    let loaded = load(LINK, POST, &fits);
    assert_eq!(said(&loaded), "");
    let application = loaded.application.unwrap();
    assert_eq!(application.target("post").unwrap().kind, TargetKind::Messages);
    assert!(application.deployment.is_empty() && application.has_messages());

    let faults = [
        r#"interface: "wasmcloud:messaging/consumer", function: publsh, args: []"#,
        r#"interface: "wasmcloud:messaging/consumer", function: publish, args: [pumps]"#,
        r#"interface: "wasmcloud:messaging/consumer", function: publish, args: [{ sbject: pumps }]"#,
        r#"interface: "wasmcloud:messaging/consumer", function: publish, args: [{ subject: "pumps.*", reply_to: 3 }]"#,
        r#"interface: "wasmcloud:messaging/consumer", function: publish, args: [{ subject: "${self.count}" }]"#,
        r#"interface: "wasmcloud:messaging/consumer", function: request, args: ["a..b"]"#,
        r#"interface: "wasmcloud:messaging/consumer", function: request, args: ["a..b", 1]"#,
    ];
    let capability =
        POST.replace("messaging }", "messaging, config: [{ name: p, properties: { url: nats } }] }");
    insta::assert_snapshot!(said(&load(LINK, &capability, &faults)));
}

const TANK: &str = "
schema: abide/v1
name: tank
version: 1.0.0
fields: { level: { type: number, default: 0 } }
mutations:
  observe: { from: [observation], args: { value: { type: number } }, set: { level: args.value } }
  tell:
    from: [operator]
    args: {}
    set: { level: '0.0' }
    effect: { interface: 'wasmcloud:messaging/consumer', function: publish, args: [{ subject: a }], valid_for: 1m }
";

/// Two capabilities: what objects listen to, and what they and a component send by.
fn shared(properties: &str) -> String {
    manifest(&format!(
        "
    - name: tanks
      type: object
      properties: {{ schema: tank.yaml, objects: [a] }}
      traits:
        - type: link
          properties: {{ target: post, namespace: wasmcloud, package: messaging, interfaces: [consumer] }}
    - name: post
      type: capability
      properties: {{ image: abide+builtin://messaging }}
      traits:
        - type: link
          properties: {{ target: echo, namespace: wasmcloud, package: messaging, interfaces: [handler], source: {{ config: [{{ name: s, properties: {{ subscriptions: a }} }}] }} }}
    - name: echo
      type: component
      properties: {{ image: registry.example/echo:1.0.0 }}
    - name: levels
      type: capability
      properties:
        image: abide+builtin://messaging
        config: [{{ name: l, properties: {properties} }}]
      traits:
        - type: link
          properties: {{ target: tanks, namespace: abide, package: object, interfaces: [observation] }}
"
    ))
}

#[test]
fn objects_and_components_share_a_provider_and_a_source_is_another() {
    let good = "{ subject: 'levels.*', group: farm, format: cbor, object: '@subject.2', observations: [{ mutation: observe, args: { value: '@payload' } }] }";
    let loaded = load_with(&shared(good), &[("tank.yaml", TANK)]);
    assert_eq!(said(&loaded), "");
    let application = loaded.application.unwrap();
    assert!(!application.is_replay() && application.has_messages());
    assert_eq!(application.sources.len(), 1);
    assert_eq!(application.target("post").unwrap().kind, TargetKind::Messages);
    assert_eq!(application.deployment.providers.len(), 1);

    let all: Vec<String> = [
        "{ subject: 'levels.>.a', object: '@subject', observations: [{ mutation: observe, args: { value: v } }] }",
        "{ subject: 'a b', object: v, observations: [{ mutation: observe, args: { value: v } }] }",
        "{ mode: replay, format: xml, object: v, observations: [{ mutation: observe, args: { value: v } }] }",
        "{ subject: a, group: 'a b', path: x, mode: live, object: v, observations: [{ mutation: observe, args: { value: v } }] }",
    ]
    .iter()
    .map(|properties| said(&load_with(&shared(properties), &[("tank.yaml", TANK)])))
    .collect();
    insta::assert_snapshot!(all.join("--\n"));
}
