//! The example in which a component that HTTP requests drive shows and steers objects.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::support::{PATIENCE, Running, Sandbox};

/// The panel, run in a sandbox.
struct Panel {
    sandbox: Sandbox,
    running: Running,
    port: u16,
}

impl Panel {
    fn start(change: impl Fn(String) -> String) -> Self {
        let sandbox = Sandbox::new();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/frost-panel");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = |name: &str| std::fs::read_to_string(example.join(name)).unwrap();
        let manifest = text("app.yaml").replace("8086", &port.to_string()).replace("200ms", "10ms");
        sandbox.write("app.yaml", &change(manifest));
        sandbox.write("guard.yaml", &text("guard.yaml"));
        std::fs::copy(example.join("panel.wasm"), sandbox.path("panel.wasm")).unwrap();
        let running = sandbox.start(&["run", "app.yaml", "--json"]);
        let panel = Self { sandbox, running, port };
        panel.running.wait_for("\"tick\"");
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "nothing listens");
            std::thread::yield_now();
        }
        panel
    }

    /// What is answered: the status, and the body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("{method} {path} HTTP/1.0\r\nhost: panel\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn json(&self, method: &str, path: &str, body: &str) -> (u16, Json) {
        let (status, body) = self.ask(method, path, body);
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}")))
    }

    fn until(&self, path: &str, holds: impl Fn(&Json) -> bool) {
        let start = Instant::now();
        loop {
            let (_, shown) = self.json("GET", path, "");
            if holds(&shown) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{shown}");
        }
    }
}

#[test]
fn a_component_shows_and_steers_objects_and_each_change_is_recorded() {
    let panel = Panel::start(|manifest| manifest);
    let (status, all) = panel.json("GET", "/guards", "");
    assert_eq!(
        (status, all.as_array().unwrap().len(), &all[0]["memory"]["burner"]),
        (200, 3, &json!("idle"))
    );
    assert!(panel.ask("GET", "/", "").1.contains("<th>ewr</th>"));
    // What it is told is an observation of a component; what it does about it is its own.
    let observed = panel.json("POST", "/guards/ewr/observe", r#"{"temperature": -1.5}"#);
    assert_eq!(observed, (200, json!({ "recorded": 1 })));
    panel.until("/guards/ewr", |guard| guard["memory"]["burner"] == "low");
    // Steering passes admission, with its cost.
    let (status, denied) = panel.json("POST", "/guards/jfk/set_burner", r#"{"level": "idle"}"#);
    assert_eq!((status, &denied["error"]["code"]), (409, &json!("requires")));
    let (status, denied) = panel.json("POST", "/guards/jfk/burn", "");
    assert_eq!((status, &denied["error"]["code"]), (409, &json!("caller")));
    let (status, denied) = panel.json("POST", "/guards/jfk/set_threshold", r#"{"celsius": 50}"#);
    assert_eq!((status, &denied["error"]["code"]), (409, &json!("argument")));
    let steered = (0..100).map(|n| {
        let level = if n % 2 == 0 { "high" } else { "idle" };
        panel.json("POST", "/guards/lga/set_burner", &json!({ "level": level }).to_string())
    });
    let refused =
        steered.map(|(status, answer)| (status, answer["error"]["code"].clone())).find(|one| one.0 != 200);
    assert_eq!(refused, Some((409, json!("slope"))));
    assert_eq!(panel.json("POST", "/guards/jfk/nothing", "").0, 404);
    assert_eq!(panel.json("POST", "/guards/jfk/observe", "what?").0, 404);
    assert_eq!(panel.json("GET", "/guards/nobody", "").0, 403);
    panel.running.signal(Signal::TERM);
    let (code, _) = panel.running.end();
    assert_eq!(code, Some(0));
    // Who asked is in the lineage, and all of it verifies and replays.
    let lineage = panel.sandbox.abide(&["lineage", "lga"]).yes();
    assert!(lineage.out.contains("by component `panel`"), "{}", lineage.out);
    panel.sandbox.abide(&["verify"]).yes();
    panel.sandbox.abide(&["replay", "lga", "--execute"]).yes();
}

#[test]
fn without_its_link_a_component_reaches_no_object() {
    let panel = Panel::start(|manifest| {
        let link = manifest.find("        - type: link").unwrap();
        let end = manifest.find("    - name: server").unwrap();
        format!("{}{}", &manifest[..link], &manifest[end..])
    });
    assert_eq!(panel.json("GET", "/guards/ewr", "").0, 403);
    assert_eq!(panel.json("POST", "/guards/ewr/observe", r#"{"temperature": 1}"#).0, 403);
    let (_, all) = panel.json("GET", "/guards", "");
    assert!(all[0]["error"].as_str().unwrap().contains("not linked"));
}

#[test]
fn half_an_application_lets_nobody_in() {
    let sandbox = Sandbox::new();
    let component = |name: &str| {
        format!("    - {{ name: {name}, type: component, properties: {{ image: {name}.wasm }} }}\n")
    };
    let server = "    - { name: server, type: capability, properties: { image: abide+builtin://http-server }, traits: [ \
                  { type: link, properties: { target: first, namespace: wasi, package: http, interfaces: [incoming-handler], \
                  source_config: [ { name: a, properties: { address: \"127.0.0.1:0\" } } ] } } ] }\n";
    let frame = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: { name: half }\nspec:\n  components:\n";
    sandbox.write("app.yaml", &format!("{frame}{}{}{server}", component("first"), component("second")));
    let ran = sandbox.abide(&["run", "app.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    for name in ["first", "second"] {
        assert!(ran.err.contains(&format!("component `{name}`: there is no file")), "{}", ran.text());
    }
    assert!(!ran.err.contains("listens"), "{}", ran.text());
}
