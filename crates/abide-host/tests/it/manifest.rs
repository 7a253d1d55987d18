//! The manifest: what is read of it, and what is said of what is wrong.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use abide_core::document::{Severity, line_column};
use abide_core::time::Span;
use abide_core::value::Value;
use abide_host::manifest::{Loaded, Manifest, TICK_DEFAULT, TargetKind, load};
use abide_host::source::Mode;

const TANK: &str = r##"
schema: abide/v1
name: tank
version: 1.0.0
fields:
  level: { type: number, unit: L, minimum: 0, maximum: 100 }
  seen: { type: string, format: date-time, nullable: true, default: null }
mutations:
  observe_level:
    from: [observation]
    args: { value: { $ref: "#/fields/level" }, at: { $ref: "#/fields/seen" } }
    set: { level: args.value, seen: args.at }
  open_valve:
    from: [operator]
    args: {}
    set: { level: "0.0" }
    effect: { interface: example:plant/valve, function: open, args: [], valid_for: 1m }
"##;

pub(crate) fn load_with(text: &str, files: &[(&str, &str)]) -> Loaded {
    let resolve = |path: &Path| {
        let found = files.iter().find(|(name, _)| path == Path::new("/app").join(name));
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::Error::other("no such file"))
    };
    load(Manifest { file: "app.yaml", text, base: Path::new("/app") }, &resolve)
}

/// Everything that is said, as a person reads it.
pub(crate) fn said(loaded: &Loaded) -> String {
    let mut text = String::new();
    for report in &loaded.reports {
        for d in &report.diagnostics {
            let severity = if d.severity == Severity::Error { "error" } else { "warning" };
            let (line, column) = d.span.as_ref().map_or((0, 0), |span| line_column(&report.text, span.start));
            let help = d.help.as_deref().unwrap_or("(no help)");
            writeln!(text, "{}:{line}:{column}: {severity}: {}\n  {help}", report.file, d.message).unwrap();
        }
    }
    text
}

fn check(text: &str) -> String {
    said(&load_with(text, &[("tank.yaml", TANK)]))
}

/// A manifest around components.
pub(crate) fn manifest(components: &str) -> String {
    format!(
        "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{ name: plant }}\nspec:\n  components:\n{components}"
    )
}

const TANKS: &str = "
    - name: tanks
      type: object
      properties: { schema: tank.yaml, objects: [a, b] }
      traits:
        - type: link
          properties: { target: log, namespace: example, package: plant, interfaces: [valve] }
    - name: log
      type: capability
      properties: { image: abide+builtin://jsonl, config: [{ name: log, properties: { path: log.jsonl } }] }
";

fn with_source(properties: &str) -> String {
    manifest(&format!(
        "{TANKS}
    - name: meters
      type: capability
      properties:
        image: abide+builtin://csv
        config:
          - name: meters
            properties: {properties}
      traits:
        - type: link
          properties: {{ target: tanks, namespace: abide, package: object, interfaces: [observation] }}
"
    ))
}

const GOOD_SOURCE: &str = "{ path: m.csv, time: t, object: tank, \
    observations: [{ mutation: observe_level, args: { value: { column: v, unit: mL }, at: t } }] }";

#[test]
fn the_example_loads_without_a_word() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/frost-guard");
    let text = std::fs::read_to_string(base.join("app.yaml")).unwrap();
    let manifest = Manifest { file: "app.yaml", text: &text, base: &base };
    let loaded = load(manifest, &|path| std::fs::read_to_string(path));
    assert_eq!(said(&loaded), "");
    let application = loaded.application.unwrap();
    assert!(application.is_replay());
    let ids: Vec<_> = application.objects[0].objects.iter().map(|object| &*object.id).collect();
    assert_eq!(ids, ["ewr", "jfk", "lga"]);
    assert_eq!(application.objects[0].grants()[0].functions, ["set-level".into()]);
}

#[test]
fn a_manifest_is_read_whole() {
    let text = with_source(GOOD_SOURCE).replace("[a, b]", "[a, { id: b, values: { level: 7 } }]");
    let loaded = load_with(&text, &[("tank.yaml", TANK)]);
    assert_eq!(said(&loaded), "");
    let application = loaded.application.unwrap();
    assert_eq!(application.tick, TICK_DEFAULT);
    let [tanks] = application.objects.as_slice() else { panic!("one object component") };
    let slot = tanks.schema.memory.slot("level").unwrap();
    assert_eq!(tanks.objects[1].values, [(slot, Value::Num(7.0))]);
    let grant = &tanks.links[0].grant;
    assert_eq!((&*grant.target, &*grant.interface, grant.functions.len()), ("log", "example:plant/valve", 0));
    assert!(!tanks.links[0].live_in_replay);
    assert_eq!(application.target("log").unwrap().kind, TargetKind::JsonLines("/app/log.jsonl".into()));
    assert_eq!(application.sources[0].config.mode, Mode::Replay);
}

#[test]
fn wadm_spellings_of_links_and_paths_are_read() {
    let components = "
    - name: tanks
      type: object
      properties: { schema: file://./tank.yaml }
      traits:
        - type: spreadscaler
          properties: { instances: 3 }
        - type: link
          properties:
            target: { name: gate, config: [{ name: c, properties: { functions: [open], replay: live } }] }
            source: { config: [] }
            source_config: []
            name: default
            namespace: example
            package: plant
            interfaces: [valve]
    - name: gate
      type: capability
      properties:
        image: abide+builtin://exec
        config:
          - { name: base, properties: { program: ./old.sh, args: [x] } }
          - { name: override, properties: { program: ./gate.sh, env: { MODE: fast }, inherit: [PATH] } }
  policies: [{ name: p, type: shared-config, properties: {} }]
";
    let text = manifest(components).replace(
        "metadata: { name: plant }",
        "metadata: { name: plant, labels: { a: b }, annotations: { version: v2, abide.dev/tick: 100ms, other: x } }",
    );
    let loaded = load_with(&text, &[("tank.yaml", TANK)]);
    insta::assert_snapshot!(said(&loaded), @r"
    app.yaml:11:17: warning: the trait `spreadscaler` is ignored
      one host runs every object of the manifest once
    ");
    let application = loaded.application.unwrap();
    assert_eq!(application.version.as_deref(), Some("v2"));
    assert_eq!(application.tick, Span::from_millis(100));
    assert!(application.objects[0].objects.is_empty());
    assert!(application.objects[0].links[0].live_in_replay);
    let TargetKind::Exec(config) = &application.targets[0].kind else { panic!("an exec target") };
    assert_eq!(config.program, Path::new("/app/./gate.sh"));
    assert_eq!(
        (&*config.args, &*config.inherit, config.env.len()),
        (&["x".to_owned()][..], &["PATH".to_owned()][..], 1)
    );
}

#[test]
fn every_fault_of_the_frame_is_said_at_once() {
    let text = "
apiVersion: core.oam.dev/v1alpha2
kind: Aplication
metadata: { nam: x, annotations: { abide.dev/tik: 1s, abide.dev/tick: 0s } }
spec:
  componets: []
extra: 1
";
    insta::assert_snapshot!(check(text));
    insta::assert_snapshot!(check(""), @r"
    app.yaml:1:1: error: the manifest is nothing; it must be a mapping
      write `key: value` pairs; `{}` is an empty mapping
    ");
    insta::assert_snapshot!(check("{}"));
}

#[test]
fn every_fault_of_components_is_said_at_once() {
    let components = "
    - name: tanks
      type: objet
    - name: more tanks
      type: object
      properties: { schema: tank.yaml, image: file://./x.wasm, objects: [a, a/b, 7, '', { id: c, values: { levle: 1, level: high } }] }
    - name: tanks
      type: object
      properties: { schema: nowhere.yaml, objects: [a, a] }
    - name: tanks
      type: object
      properties: { schema: https://example.com/x.yaml, objets: [] }
    - { name: msg, type: component, properties: { image: x } }
    - { name: kv, type: capability, properties: { image: ghcr.io/wasmcloud/keyvalue } }
    - { name: csw, type: capability, properties: { image: abide+builtin://cvs } }
    - { name: bare, type: capability }
    - 7
";
    insta::assert_snapshot!(check(&manifest(components)));
}

#[test]
fn a_rule_that_needs_a_behaviour_is_refused() {
    let acting = format!("{TANK}rules: [ {{ name: plan, when: self.level > 3, then: {{ act: plan }} }} ]\n");
    let manifest =
        manifest("\n    - { name: t, type: object, properties: { schema: tank.yaml, objects: [a] } }\n");
    let loaded = load_with(&manifest, &[("tank.yaml", &acting)]);
    assert!(loaded.application.is_none());
    insta::assert_snapshot!(said(&loaded));
}

#[test]
fn every_fault_of_links_is_said_at_once() {
    let components = "
    - name: tanks
      type: object
      properties: { schema: tank.yaml, objects: [a] }
      traits:
        - type: link
          properties: { target: lgo, namespace: example, package: plant, interfaces: [valve] }
        - type: link
          properties: { target: tanks, namespace: example, package: plant, interfaces: [valve] }
        - type: link
          properties: { target: meters, namespace: example, package: plant, interfaces: [valve] }
        - type: link
          properties: { target: log, namespace: example, package: plant, interfaces: [vlave], functions: [] }
        - type: link
          properties: { target: log, namespace: example, package: plant, interfaces: [valve], functions: [opne], replay: yes }
        - type: link
          properties: { target: log, namespace: example, package: plant, interfaces: [valve] }
        - type: link
          properties: { target: log, namespace: example, interfaces: [], functons: [open] }
        - type: lnik
          properties: {}
        - type: link
    - name: log
      type: capability
      properties: { image: abide+builtin://exec, config: [{ name: log, properties: { path: log.jsonl, args: [1], env: { A: 1 } } }] }
      traits:
        - type: link
          properties: { target: tanks, namespace: abide, package: object, interfaces: [observation] }
    - name: idle
      type: capability
      properties: { image: abide+builtin://jsonl, config: [{ name: log, properties: { path: log.jsonl } }] }
    - name: meters
      type: capability
      properties: { image: abide+builtin://csv, config: [] }
      traits:
        - type: link
          properties: { target: tanks, namespace: abide, package: object, interfaces: [observations], functions: [x] }
        - type: link
          properties: { target: idle, namespace: abide, package: object, interfaces: [observation] }
    - name: alone
      type: capability
      properties: { image: abide+builtin://csv, config: [{ properties: {} }] }
    - { name: unread, type: capability }
    - name: calm
      type: object
      properties: { schema: tank.yaml }
      traits:
        - type: link
          properties: { target: unread, namespace: example, package: plant, interfaces: [valve] }
";
    insta::assert_snapshot!(check(&manifest(components)));
}

#[test]
fn every_fault_of_a_mapping_is_said_at_once() {
    let source = "
              path: m.csv
              mode: reply
              delimiter: ';;'
              missing: [1.5]
              object: { column: tank, map: { X: c } }
              observations:
                - { mutation: observe_levl, args: { value: v } }
";
    insta::assert_snapshot!(check(&with_source(source)));
    let source = "
              path: m.csv
              time: { column: t, format: '%!' }
              object: { value: a }
              observations: []
";
    insta::assert_snapshot!(check(&with_source(source)));
    let source = "
              path: m.csv
              time: t
              object: { column: tank, map: { X: c } }
              observations:
                - { mutation: observe_levl, args: { value: v } }
                - { mutation: open_valve }
                - { mutation: observe_level, args: { valu: v } }
                - { mutation: observe_level, args: { value: { column: v, unit: '[degF]' }, at: { column: t, unit: h } } }
                - { mutation: observe_level, args: { value: { column: v, missing: null }, at: { value: soon } } }
                - { mutation: observe_level, args: { value: { value: 101 }, at: 3 } }
                - { mutation: observe_level, args: { value: { column: v, unit: litres }, at: { column: t, missing: zero } } }
";
    insta::assert_snapshot!(check(&with_source(source)));
    let source = source.replace("at: 3 }", "at: t }");
    let source: Vec<_> = source.lines().filter(|line| !line.contains("litres")).collect();
    insta::assert_snapshot!(check(&with_source(&source.join("\n"))));
}

#[test]
fn sources_do_not_mix_replay_and_live() {
    let live = with_source(GOOD_SOURCE)
        .replace("name: meters", "name: live")
        .replace("path: m.csv,", "path: '-', mode: live,");
    let second =
        live.split_once("    - name: live").map(|(_, rest)| format!("    - name: live{rest}")).unwrap();
    let both = format!("{}{second}", with_source(GOOD_SOURCE))
        .replace("name: plant }", "name: plant, annotations: { abide.dev/tick: 1s } }");
    insta::assert_snapshot!(check(&both));
}

#[test]
fn an_effect_without_a_link_is_worth_a_word() {
    let components = "
    - name: tanks
      type: object
      properties: { schema: tank.yaml, objects: [a] }
";
    let loaded = load_with(&manifest(components), &[("tank.yaml", TANK)]);
    assert!(loaded.application.is_some());
    insta::assert_snapshot!(said(&loaded), @r"
    app.yaml:7:13: warning: no link of `tanks` grants `open` of `example:plant/valve`: `open_valve` will be denied
      add a `link` trait to the capability that takes the call
    ");
}

#[test]
fn a_faulty_schema_is_said_in_its_own_file() {
    let loaded = load_with(&manifest(TANKS), &[("tank.yaml", "schema: abide/v1\nnam: tank\n")]);
    assert!(loaded.application.is_none());
    let files: Vec<_> =
        loaded.reports.iter().map(|report| (report.file.as_str(), report.has_errors())).collect();
    assert_eq!(files, [("/app/tank.yaml", true)]);
}

#[test]
fn a_schema_is_read_once_for_all_components() {
    let twice = TANKS.replace("name: tanks", "name: others").replace("[a, b]", "[c]");
    let (twice, _) = twice.split_once("    - name: log").unwrap();
    let text = manifest(&format!("{TANKS}{twice}"));
    let reads = Cell::new(0);
    let resolve = |_: &Path| {
        reads.set(reads.get() + 1);
        Ok(TANK.to_owned())
    };
    let loaded = load(Manifest { file: "app.yaml", text: &text, base: Path::new("/app") }, &resolve);
    assert_eq!(said(&loaded), "");
    assert_eq!((reads.get(), loaded.application.unwrap().objects.len()), (1, 2));
}

#[test]
fn one_name_is_one_schema() {
    let other = TANK.replace("maximum: 100", "maximum: 99");
    let components = "
    - { name: one, type: object, properties: { schema: tank.yaml } }
    - { name: two, type: object, properties: { schema: other.yaml } }
";
    let text = said(&load_with(&manifest(components), &[("tank.yaml", TANK), ("other.yaml", &other)]));
    assert!(text.contains("two schemas have the name `tank` and differ"), "{text}");
}

#[test]
fn ids_are_bounded() {
    let of = |id: &str| check(&manifest(&TANKS.replace("[a, b]", &format!("['{id}']"))));
    assert_eq!(of(&"x".repeat(128)), "");
    assert_eq!(of("A-z_0.9"), "");
    for id in [&*"x".repeat(129), "", "a b", "é", "a/b"] {
        assert!(of(id).contains("cannot be an object's id"), "{id}");
    }
}

/// An application as wasmCloud's users have them.
const HELLO: &str = r#"
    - name: hello
      type: component
      properties:
        image: file://./hello.wasm
        id: hello-id
        config: [ { name: greeting, properties: { name: orchard } }, { name: more, properties: { name: last } } ]
      traits:
        - type: spreadscaler
          properties: { instances: 7, spread: [ { name: all, requirements: { zone: north } } ] }
        - type: link
          properties:
            target: { name: kv, config: [ { name: bucket, properties: { bucket: b } } ] }
            namespace: wasi
            package: keyvalue
            interfaces: [store, atomics]
        - type: link
          properties: { target: other, name: second, namespace: acme, package: greet, interfaces: [greeter] }
    - name: other
      type: component
      properties: { image: "registry.example/other:1.0.0" }
    - name: kv
      type: capability
      properties: { image: abide+builtin://keyvalue }
    - name: server
      type: capability
      properties: { image: wasmcloud+builtin://http-server, config: [ { name: paths, properties: { routing_mode: path } } ] }
      traits:
        - type: daemonscaler
          properties: { replicas: 1 }
        - type: link
          properties:
            target: hello
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source_config: [ { name: root, properties: { path: / } } ]
"#;

#[test]
fn an_application_of_wasmcloud_is_read_as_it_is() {
    let loaded = load_with(&manifest(HELLO), &[]);
    assert_eq!(said(&loaded), "");
    let application = loaded.application.unwrap();
    assert!(application.objects.is_empty() && application.targets.is_empty());
    insta::assert_debug_snapshot!(application.deployment);
}

#[test]
fn a_component_is_called_by_effects_where_objects_alone_link_to_it() {
    let text = manifest(
        "
    - name: tanks
      type: object
      properties: { schema: tank.yaml, objects: [a] }
      traits:
        - type: link
          properties: { target: valve, namespace: example, package: plant, interfaces: [valve] }
    - name: valve
      type: component
      properties: { image: valve.wasm }
",
    );
    let loaded = load_with(&text, &[("tank.yaml", TANK)]);
    let application = loaded.application.unwrap();
    assert!(application.deployment.is_empty());
    assert!(matches!(application.targets[0].kind, TargetKind::Component(_)));
}

#[test]
fn every_fault_of_a_deployment_is_said_at_once() {
    let text = manifest(
        "
    - name: tanks
      type: object
      properties: { schema: tank.yaml, objects: [a] }
      traits:
        - type: link
          properties: { target: hello, namespace: example, package: plant, interfaces: [valve] }
    - name: hello
      type: component
      properties: { image: hello.wasm, secrets: [ { name: s } ], config: [ { name: nowhere } ] }
      traits:
        - type: spreadscaler
          properties: { instances: -1 }
        - type: link
          properties: { target: tanks, namespace: wasi, package: http, interfaces: [x] }
        - type: link
          properties: { target: kv, namespace: wasi, package: keyvalue, interfaces: [store] }
        - type: link
          properties: { target: kw, namespace: wasi, package: keyvalue, interfaces: [store] }
        - type: link
          properties: { target: helo, namespace: wasi, package: keyvalue, interfaces: [store] }
    - name: bad
      type: component
      properties: { image: 'ftp://x' }
    - name: kv
      type: capability
      properties: { image: abide+builtin://keyvalue, config: [ { name: same, properties: { a: b } } ] }
    - name: kw
      type: capability
      properties: { image: abide+builtin://keyvalue, config: [ { name: same, properties: { a: 7 } } ] }
    - name: alone
      type: capability
      properties: { image: 'ghcr.io/wasmcloud/messaging-nats:0.1.0' }
    - name: unknown
      type: capability
      properties: { image: abide+builtin://http-serve }
",
    );
    insta::assert_snapshot!(check(&text));
}
