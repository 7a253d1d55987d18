//! Behaviours as their users meet them: checked, run, put in force, run again, and played by scenarios.

use std::path::Path;

use rustix::process::Signal;

use crate::support::Sandbox;

const APP: &str = "
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: { name: night, annotations: { abide.dev/tick: 5ms } }
spec:
  components:
    - name: guard
      type: object
      properties:
        schema: file://./frost-guard.yaml
        image: file://./guard.wasm
        objects: [one, two]
      traits:
        - type: link
          properties: { target: burners, namespace: example, package: orchard, interfaces: [burner] }
    - name: burners
      type: capability
      properties:
        image: abide+builtin://jsonl
        config: [ { name: log, properties: { path: ./burners.jsonl } } ]
";

const SCENARIOS: &str = "
schema: file://./frost-guard.yaml
image: file://./guard.wasm
scenarios:
  - name: a cold night in blossom
    start: 2013-04-01T00:00:00Z
    memory: { temperature: 3, observed_at: 2013-04-01T00:00:00Z, warmth: 2500, light_below: 1.5 }
    steps:
      - at: 1h
        observe: { observe_temperature: { value: 0.5, at: 2013-04-01T01:00:00Z } }
        expect: [ { set_burner: { level: LEVEL } } ]
        memory: { burner: LEVEL }
        status: active
";

/// A folder with the example's schema and its component, and a manifest of objects in real time.
fn night() -> Sandbox {
    let sandbox = Sandbox::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/frost-guard");
    for (from, to) in [("frost-guard.yaml", "frost-guard.yaml"), ("frost_guard.wasm", "guard.wasm")] {
        std::fs::copy(example.join(from), sandbox.path(to)).unwrap();
    }
    sandbox.write("app.yaml", APP);
    sandbox
}

/// The same component with a section that means nothing: another digest, the same acts.
fn changed(sandbox: &Sandbox) {
    let mut bytes = std::fs::read(sandbox.path("guard.wasm")).unwrap();
    bytes.extend_from_slice(&[0, 5, 4, b'n', b'o', b't', b'e']);
    std::fs::write(sandbox.path("changed.wasm"), bytes).unwrap();
}

fn component(sandbox: &Sandbox) -> String {
    let shown = sandbox.abide(&["show", "one", "--json"]).yes().json();
    shown["behaviour"]["component"].as_str().unwrap().to_owned()
}

#[test]
fn scenarios_pass_or_show_what_came() {
    let sandbox = night();
    sandbox.write("good.yaml", &SCENARIOS.replace("LEVEL", "low"));
    let ran = sandbox.abide(&["test", "good.yaml"]).yes();
    assert!(
        ran.out.contains("ok a cold night in blossom") && ran.out.contains("1 scenario passed, 0 failed"),
        "{}",
        ran.out
    );
    sandbox.write("bad.yaml", &SCENARIOS.replace("LEVEL", "high"));
    let ran = sandbox.abide(&["test", "bad.yaml"]);
    assert_eq!(ran.code, Some(1));
    for line in [
        "- set_burner level=\"high\"",
        "+ set_burner level=\"low\"",
        "- memory burner = \"high\"",
        "  status active",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    let json = sandbox.abide(&["test", "good.yaml", "bad.yaml", "--json"]).json();
    assert_eq!((&json["passed"], &json["failed"]), (&1.into(), &1.into()));
}

const CLOCKED: &str = "\
schema: abide/v1
name: clocked
version: 1.0.0
fields:
  ticks: { type: integer, minimum: 0, maximum: 1000000, default: 0 }
  wind: { type: object, properties: { gust: { type: number }, dir: { type: number } }, default: { gust: 3, dir: 5 } }
mutations:
  tick: { from: [rule], set: { ticks: self.ticks + 1 } }
  tell:
    from: [rule]
    args: { wind: { $ref: '#/fields/wind' }, delay: { type: string, format: duration } }
rules:
  - { name: tick, when: 'true', every: 1s, then: { mutate: tick } }
  - { name: tell, priority: 1, when: self.ticks == 5, then: { mutate: tell, args: { wind: '${self.wind}', delay: 1m30s } } }
";

#[test]
fn a_scenario_begins_at_its_start_and_compares_by_type() {
    let sandbox = Sandbox::new();
    sandbox.write("clocked.yaml", CLOCKED);
    let play = |steps: &str| {
        let text = format!(
            "schema: file://./clocked.yaml\nscenarios:\n  - name: one\n    start: 2026-01-01T00:00:00Z\n    steps:\n{steps}"
        );
        sandbox.write("test.yaml", &text);
        sandbox.abide(&["test", "test.yaml"])
    };
    play("      - { at: 10s, memory: { ticks: 11 } }\n").yes();
    let tell = "{ tell: { wind: { gust: 3, dir: 5 }, delay: 90s } }";
    let ticks = "tick, tick, tick, tick, tick";
    play(&format!("      - {{ at: 5500ms, expect: [{ticks}, {tell}, tick] }}\n")).yes();
    let other =
        play(&format!("      - {{ at: 5500ms, expect: [{ticks}, {{ tell: {{ delay: 91s }} }}, tick] }}\n"));
    assert_eq!(other.code, Some(1), "{}", other.text());
    let unknown = play("      - { at: 5s, expect: [ { tell: { dely: 90s } } ] }\n");
    assert!(unknown.err.contains("did you mean `delay`?"), "{}", unknown.text());
    // More ticks than are done are no success, and neither is a time that there is not.
    let long = play("      - { at: 48h, status: active }\n");
    assert!(long.code == Some(1) && long.out.contains("! more than 100000 ticks"), "{}", long.text());
    assert!(play("      - { at: 3000000h, status: active }\n").err.contains("this is no time"));
    let unmatched = sandbox.abide(&["test", "test.yaml", "--filter", "two"]);
    assert_eq!(unmatched.code, Some(1), "{}", unmatched.text());
}

#[test]
fn a_broken_document_of_scenarios_is_told_all_at_once() {
    let sandbox = night();
    let broken = SCENARIOS
        .replace("LEVEL", "low")
        .replace("observe_temperature", "observe_temprature")
        .replace("light_below", "light_bellow")
        .replace("at: 1h", "at: soon")
        .replace("set_burner:", "set_burnr:");
    sandbox.write("broken.yaml", &broken);
    let ran = sandbox.abide(&["test", "broken.yaml"]);
    assert_eq!(ran.code, Some(1));
    for part in ["observe_temprature", "light_bellow", "this is no time", "set_burnr", "did you mean"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
}

#[test]
fn a_component_of_another_schema_is_refused_before_anything_starts() {
    let sandbox = night();
    let other = sandbox.read("frost-guard.yaml").replace("warmth", "degree_hours");
    sandbox.write("frost-guard.yaml", &other);
    for args in [["check", "app.yaml"], ["run", "app.yaml"]] {
        let ran = sandbox.abide(&args);
        assert_eq!(ran.code, Some(1), "{}", ran.text());
        assert!(ran.text().contains("degree-hours") && ran.text().contains("abide wit"), "{}", ran.text());
    }
    assert!(!sandbox.store("night").exists());
    std::fs::write(sandbox.path("guard.wasm"), b"\0asm\x01\0\0\0").unwrap();
    let ran = sandbox.abide(&["check", "app.yaml"]);
    assert!(ran.out.contains("core module"), "{}", ran.text());
    std::fs::remove_file(sandbox.path("guard.wasm")).unwrap();
    let ran = sandbox.abide(&["check", "app.yaml"]);
    assert!(ran.out.contains("cannot be read"), "{}", ran.text());
    sandbox.write("app.yaml", &APP.replace("        image: file://./guard.wasm\n", ""));
    let ran = sandbox.abide(&["check", "app.yaml"]);
    assert!(ran.out.contains("acts by a behaviour"), "{}", ran.text());
}

#[test]
fn a_changed_component_takes_force_by_signature_alone() {
    let sandbox = night();
    changed(&sandbox);
    sandbox.abide(&["run", "app.yaml", "--ticks", "2"]).yes();
    let before = component(&sandbox);
    sandbox.write("app.yaml", &APP.replace("guard.wasm", "changed.wasm"));
    let refused = sandbox.abide(&["run", "app.yaml", "--ticks", "2"]);
    assert_eq!(refused.code, Some(3), "{}", refused.text());
    assert!(refused.err.contains("abide upgrade"), "{}", refused.text());
    assert_eq!(component(&sandbox), before);

    sandbox.abide(&["upgrade", "--all", "--behaviour", "changed.wasm"]).yes();
    assert_ne!(component(&sandbox), before);
    let nothing = sandbox.abide(&["upgrade", "--all", "--behaviour", "changed.wasm"]).yes();
    assert!(nothing.out.contains("nothing is to be done"), "{}", nothing.out);
    // What an object refuses is known before anything is asked.
    let denied = sandbox.abide(&["upgrade", "one", "two", "--behaviour", "changed.wasm"]);
    assert_eq!(denied.code, Some(1), "{}", denied.text());
    assert!(denied.out.contains("nothing was changed: 2 objects of 2 cannot take it"), "{}", denied.out);
    let plan = sandbox.abide(&["upgrade", "one", "--behaviour", "guard.wasm", "--plan"]).yes();
    assert!(plan.out.contains(&format!("takes over from {:.12}", component(&sandbox))), "{}", plan.out);
    let schema = sandbox.read("frost-guard.yaml").replace("version: 1.0.0", "version: 2.0.0");
    let without = schema.replace("{ act: plan }", "{ mutate: burn }");
    assert_ne!(schema, without);
    sandbox.write("without.yaml", &without);
    let plan = sandbox.abide(&["upgrade", "one", "--schema", "without.yaml", "--plan"]).yes();
    let gone = format!("the component {:.12} goes: the schema has no acts", component(&sandbox));
    assert!(plan.out.contains(&gone), "{}", plan.out);
    sandbox.abide(&["run", "app.yaml", "--ticks", "2"]).yes();
    sandbox.abide(&["observe", "one", "observe_temperature", "value=0.5", "at=2013-04-01T00:00:00Z"]).yes();
    let records = sandbox.abide(&["lineage", "one", "--json"]).yes().json_lines();
    let upgrade = records.iter().find(|record| record["kind"] == "upgrade").unwrap();
    assert_eq!(upgrade["operator"]["name"], "operator");
    for id in ["one", "two"] {
        sandbox.abide(&["replay", id, "--execute"]).yes();
    }
    sandbox.abide(&["verify"]).yes();
}

#[test]
fn in_development_a_file_that_changes_takes_force_while_the_host_runs() {
    let sandbox = night();
    changed(&sandbox);
    let host = sandbox.start(&["run", "app.yaml", "--dev", "--json"]);
    host.wait_for("\"tick\"");
    let before = component(&sandbox);
    std::fs::write(sandbox.path("guard.wasm"), b"half a file").unwrap();
    std::fs::rename(sandbox.path("changed.wasm"), sandbox.path("guard.wasm")).unwrap();
    sandbox.until(&["show", "one", "--json"], |ran| {
        ran.code == Some(0) && ran.json()["behaviour"]["component"] != before.as_str()
    });
    host.signal(Signal::INT);
    assert_eq!(host.end().0, Some(0));
    sandbox.abide(&["verify"]).yes();
}

#[test]
fn another_configuration_is_another_behaviour() {
    let sandbox = night();
    let digests = |margin: &str| {
        let config = format!(
            "image: file://./guard.wasm\n        config: [ {{ name: usual, properties: {{ margin: '{margin}' }} }} ]"
        );
        sandbox.write("app.yaml", &APP.replace("image: file://./guard.wasm", &config));
        let folder = format!("of-{margin}");
        let host = sandbox.start(&["run", "app.yaml", "--json", "--data-dir", &folder]);
        host.wait_for("\"tick\"");
        host.signal(Signal::INT);
        assert_eq!(host.end().0, Some(0));
        let genesis = sandbox.abide(&["lineage", "one", "--json", "--data-dir", &folder]).yes().json_lines();
        genesis[0]["behaviour"].clone()
    };
    let (one, two, again) = (digests("1"), digests("2"), digests("1.0"));
    assert_eq!(one["component"], two["component"]);
    assert!(
        one["config"].is_string() && one["config"] != two["config"] && one["config"] != again["config"],
        "{one} {two}"
    );
}
