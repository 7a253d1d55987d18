//! `backtest`: what objects would have done under other rules.

use std::path::Path;

use crate::support::{Sandbox, snapshot};

/// The tank's own schema with one thing replaced.
fn changed(sandbox: &Sandbox, name: &str, from: &str, to: &str) {
    let schema = sandbox.read("tank/tank.yaml");
    assert!(schema.contains(from), "{schema}");
    sandbox.write(name, &schema.replace(from, to));
}

/// The example in the repository, where it was run.
pub(crate) fn of_the_example(sandbox: &Sandbox, example: &str) {
    let schema = Path::new(example).join("frost-guard.yaml");
    let same = sandbox.abide(&["backtest", "--all", "--schema", schema.to_str().unwrap(), "--json"]).yes();
    let same = same.json();
    for object in same["objects"].as_array().unwrap() {
        assert!(object["decisions"]["same"].as_u64().unwrap() > 0, "{object}");
        assert_eq!(object["decisions"]["same"], object["decisions"]["recorded"]);
        assert_eq!(object["decisions"]["same"], object["decisions"]["new"]);
    }
    // The component that is in force, named anew, with the named values that it has.
    let component = Path::new(example).join("frost_guard.wasm");
    let named = ["--schema", schema.to_str().unwrap(), "--behaviour", component.to_str().unwrap()];
    sandbox.abide(&[&["backtest", "ewr"], named.as_slice()].concat()).yes();
    let text = std::fs::read_to_string(schema).unwrap();
    sandbox.write("colder.yaml", &text.replace("self.light_below + 1.0", "self.light_below + 3.0"));
    let ran = sandbox.abide(&["backtest", "ewr", "--schema", "colder.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    snapshot("backtest_example", &ran.text());
}

#[test]
fn the_same_schema_decides_the_same() {
    let sandbox = Sandbox::with_run_tank();
    snapshot("backtest_same", &sandbox.abide(&["backtest", "tank", "--schema", "tank/tank.yaml"]).text());
}

#[test]
fn another_threshold_is_seen() {
    let sandbox = Sandbox::with_run_tank();
    changed(&sandbox, "later.yaml", "self.level > 1.8", "self.level > 2.0");
    let ran = sandbox.abide(&["backtest", "--all", "--schema", "later.yaml"]);
    snapshot("backtest_differs", &ran.text());
    let json = sandbox.abide(&["backtest", "tank", "--schema", "later.yaml", "--json"]).json();
    let tank = &json["objects"][0];
    assert_eq!((&json["same"], &tank["same"]), (&false.into(), &false.into()));
    assert_eq!(tank["first"], tank["differences"][0]["time"]);
    assert_eq!(tank["differences"][0]["recorded"][0]["what"], "set_pump");
}

#[test]
fn operators_are_taken_at_their_recorded_word() {
    let sandbox = Sandbox::with_run_tank();
    sandbox.abide(&["mutate", "tank", "set_pump", "to=on"]).yes();
    sandbox.abide(&["backtest", "tank", "--schema", "tank/tank.yaml"]).yes();
    // Another argument is not covered by the signature; the operator asked for it all the same.
    let to = r##"args: { to: { $ref: "#/fields/pump" } }"##;
    let more =
        r##"args: { to: { $ref: "#/fields/pump" }, why: { type: string, maxLength: 9, default: "" } }"##;
    changed(&sandbox, "more.yaml", to, more);
    let tank = sandbox.abide(&["backtest", "tank", "--schema", "more.yaml", "--json"]).json();
    let kinds = &tank["objects"][0]["kinds"];
    assert_eq!(kinds["denied"], serde_json::Value::Null, "{tank:#}");
    assert_eq!(kinds["set_pump"]["new"], kinds["set_pump"]["recorded"]);
}

#[test]
fn what_cannot_be_tried_is_said() {
    let sandbox = Sandbox::with_run_tank();
    let said = |args: &[&str]| sandbox.abide(args).text();
    snapshot("backtest_no_file", &said(&["backtest", "tank", "--schema", "none.yaml"]));
    snapshot(
        "backtest_config",
        &said(&["backtest", "tank", "--schema", "tank/tank.yaml", "--config", "a=b"]),
    );
    sandbox.write("broken.yaml", "schema: abide/v1\nname: tank\n");
    snapshot("backtest_broken", &said(&["backtest", "tank", "--schema", "broken.yaml"]));
}
