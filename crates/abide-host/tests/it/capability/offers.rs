//! What is found out about links and effects before anything runs.

use abide_host::effect::{HeaderSource, KeyValueConfig};
use abide_host::manifest::{Loaded, TargetKind};

use crate::manifest::{load_with, manifest, said};

/// A schema whose mutations `m0`, `m1` … have these effects.
fn schema(effects: &[&str]) -> String {
    let mut text = "
schema: abide/v1
name: pump
version: 1.0.0
fields:
  count: { type: integer, default: 0 }
  note: { type: string, maxLength: 100, default: '' }
  maybe: { type: string, maxLength: 100, nullable: true, default: null }
mutations:
"
    .to_owned();
    for (n, effect) in effects.iter().enumerate() {
        text += &format!(
            "  m{n}: {{ from: [operator], args: {{}}, set: {{ count: '0' }}, effect: {{ {effect}, valid_for: 1m }} }}\n"
        );
    }
    text
}

pub(super) fn load(links: &str, capabilities: &str, effects: &[&str]) -> Loaded {
    let components = format!(
        "
    - name: pumps
      type: object
      properties: {{ schema: pump.yaml, objects: [a] }}
      traits:{links}{capabilities}"
    );
    load_with(&manifest(&components), &[("pump.yaml", &schema(effects))])
}

const LINKS: &str = "
        - type: link
          properties: { target: web, namespace: abide, package: http, interfaces: [client] }
        - type: link
          properties: { target: kept, namespace: wasi, package: keyvalue, interfaces: [store, atomics] }
";

/// Of an interface that no target here has.
const OTHER: &str = r#"interface: "example:plant/valve", function: open, args: []"#;

const CAPABILITIES: &str = "
    - name: web
      type: capability
      properties:
        image: abide+builtin://http
        config:
          - name: web
            properties:
              allowed_hosts: [api.example.com, '*.example.org', '10.0.0.7:8080']
              base_url: https://API.example.com/v1/
              headers: { X-Site: orchard, Authorization: { env: TOKEN, prefix: 'Bearer ' } }
              max_response_bytes: 1000
              redirects: 2
              accept: [404]
              answer_headers: [ETag]
    - name: kept
      type: capability
      properties: { image: abide+builtin://keyvalue, config: [{ name: kept, properties: { buckets: [totals, seen] } }] }
";

#[test]
fn what_fits_loads_without_a_word() {
    let effects = [
        r#"interface: "abide:http/client", function: request, args: [{ method: POST, url: "alerts/${self.count}", headers: { X-Note: "${self.note}" }, body: { count: "${self.count}" } }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: GET, url: "https://a.example.org/${self.note}", body: null }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: "${self.note}", url: "${self.note}" }]"#,
        r#"interface: "wasi:keyvalue/store", function: get, args: [totals, "${self.note}"]"#,
        r#"interface: "wasi:keyvalue/store", function: set, args: [seen, k, { count: "${self.count}" }]"#,
        r#"interface: "wasi:keyvalue/store", function: delete, args: ["${self.note}", "n-${self.count}"]"#,
        r#"interface: "wasi:keyvalue/atomics", function: increment, args: [totals, k, "${self.count + 1}"]"#,
        r#"interface: "wasi:keyvalue/atomics", function: increment, args: [totals, k, -3]"#,
    ];
    let loaded = load(LINKS, CAPABILITIES, &effects);
    assert_eq!(said(&loaded), "");
    let application = loaded.application.unwrap();
    let TargetKind::Http(web) = &application.target("web").unwrap().kind else { panic!("an http target") };
    assert_eq!(web.base_url.as_ref().map(AsRef::as_ref), Some("https://api.example.com/v1/"));
    assert_eq!(
        (web.response_bytes_max, web.redirects_max, web.accept.as_slice()),
        (1000, 2, [404].as_slice())
    );
    assert_eq!(web.answer_headers, ["etag"]);
    assert_eq!(web.headers.get("X-Site"), Some(&HeaderSource::Text("orchard".to_owned())));
    let buckets = vec!["seen".to_owned(), "totals".to_owned()];
    assert_eq!(application.target("kept").unwrap().kind, TargetKind::KeyValue(KeyValueConfig { buckets }));
}

#[test]
fn every_fault_of_an_effect_is_said_at_once() {
    let effects = [
        r#"interface: "abide:http/client", function: reqest, args: [{ method: GET, url: "" }]"#,
        r#"interface: "abide:http/client", function: request, args: [GET, "https://api.example.com/"]"#,
        r#"interface: "abide:http/client", function: request, args: ["${self.note}"]"#,
        r#"interface: "abide:http/client", function: request, args: [{ mehtod: GET, url: 3 }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: PSOT, url: "${self.count}" }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: GET, url: "${self.maybe}", body: 1 }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: GET, url: "https://evil.test/" }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: GET, url: "https://api.example.com@evil.test/${self.note}" }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: GET, url: "", headers: { Host: a, X-site: b, X-N: "${self.count}" } }]"#,
        r#"interface: "abide:http/client", function: request, args: [{ method: GET, url: "", headers: [a] }]"#,
        r#"interface: "wasi:keyvalue/store", function: gte, args: []"#,
        r#"interface: "wasi:keyvalue/store", function: get, args: [total, "${self.count}"]"#,
        r#"interface: "wasi:keyvalue/store", function: set, args: [totals, ""]"#,
        r#"interface: "wasi:keyvalue/store", function: set, args: [totals, "", 1]"#,
        r#"interface: "wasi:keyvalue/atomics", function: increment, args: [3, k, 1.5]"#,
        r#"interface: "wasi:keyvalue/atomics", function: increment, args: [totals, k, "${self.note}"]"#,
    ];
    let loaded = load(LINKS, CAPABILITIES, &effects);
    assert!(loaded.application.is_none());
    insta::assert_snapshot!(said(&loaded));
}

#[test]
fn every_fault_of_a_link_and_a_configuration_is_said_at_once() {
    let links = "
        - type: link
          properties: { target: web, namespace: abide, package: http, interfaces: [cleint] }
        - type: link
          properties: { target: web, namespace: wasi, package: keyvalue, interfaces: [store] }
        - type: link
          properties: { target: kept, namespace: wasi, package: keyvalue, interfaces: [atomics], functions: [incrment] }
        - type: link
          properties: { target: bare, namespace: abide, package: http, interfaces: [client], functions: [request] }
";
    let capabilities = "
    - name: web
      type: capability
      properties:
        image: abide+builtin://http
        config:
          - name: web
            properties:
              allowed_hosts: ['https://a.example', '*', 'u@a', 7, a.]
              base_url: api
              headers: { Host: a, X-A: 1, X-B: { evn: TOKEN }, 'a b': c }
              max_response_bytes: 65537
              redirects: yes
              accept: [200, later]
              answer_headers: [content-length]
              timeout: 3s
    - name: far
      type: capability
      properties: { image: abide+builtin://http, config: [{ name: far, properties: { allowed_hosts: [a.example], base_url: 'https://b.example/' } }] }
    - name: bare
      type: capability
      properties: { image: abide+builtin://http, config: [{ name: bare, properties: { allowed_hosts: [] } }] }
    - name: kept
      type: capability
      properties: { image: abide+builtin://keyvalue, config: [{ name: kept, properties: { buckets: [a/b, 1] } }] }
    - name: none
      type: capability
      properties: { image: abide+builtin://keyvalu, config: [] }
    - name: empty
      type: capability
      properties: { image: abide+builtin://keyvalue }
";
    let loaded = load(links, capabilities, &[OTHER]);
    assert!(loaded.application.is_none());
    insta::assert_snapshot!(said(&loaded));
}
