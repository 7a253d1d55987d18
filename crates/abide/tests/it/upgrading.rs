//! Another version of a schema in force: planned, refused, done, explained, and taken back.

use rustix::process::Signal;
use serde_json::json;

use crate::asking::LAMP;
use crate::support::{Sandbox, heads, snapshot};

const MIGRATION: &str = "
migration:
  from: 1.0.0
  rename: { level: depth }
  default: { site: north }
  set: { starts: 'double(self.starts) + 100.0' }
";

/// The tank's schema, whose level is called depth, and whose starts are a number; its pump starts earlier.
fn second(sandbox: &Sandbox) -> String {
    let first = sandbox.read("tank/tank.yaml");
    let second = first
        .replace("version: 1.0.0", "version: 2.0.0")
        .replace(
            "level: { type: number, unit: m, minimum: 0, maximum: 3 }",
            "depth: { type: number, unit: m, minimum: 0, maximum: 2.5 }\n  site: { type: string, maxLength: 20 }",
        )
        .replace("starts: { type: integer,", "starts: { type: number,")
        .replace("#/fields/level", "#/fields/depth")
        .replace("level: args.value", "depth: args.value")
        .replace("self.level", "self.depth")
        .replace("self.starts + 1", "self.starts + 1.0")
        .replace("> 1.8", "> 1.5")
        .replace("budget: 30", "budget: 40");
    assert_ne!(first, second);
    second
}

/// A tank whose day was run, and the second version of its schema.
fn tank() -> Sandbox {
    let sandbox = Sandbox::with_run_tank();
    sandbox.write("second.yaml", &(second(&sandbox) + MIGRATION));
    sandbox
}

#[test]
fn a_plan_shows_what_would_change_and_changes_nothing() {
    let sandbox = tank();
    let before = heads(&sandbox, &sandbox.store("tank"));
    let plan = ["upgrade", "--all", "--schema", "second.yaml", "--plan"];
    snapshot("upgrade_plan", &sandbox.abide(&plan).yes().text());
    let json = sandbox.abide(&[&plan[..], &["--json"]].concat()).yes().json();
    assert_eq!(json["admitted"], true);
    let object = &json["objects"][0];
    assert_eq!((&object["from"]["version"], &object["to"]["version"]), (&json!("1.0.0"), &json!("2.0.0")));
    assert_eq!(object["slope"], json!({ "before": 30, "after": 40 }));
    let field =
        |name: &str| object["fields"].as_array().unwrap().iter().find(|f| f["field"] == name).unwrap();
    assert_eq!((&field("depth")["how"], &field("depth")["from"]), (&json!("renamed"), &json!("level")));
    assert_eq!((&field("starts")["before"], &field("starts")["after"]), (&json!(2), &json!(102.0)));
    assert_eq!((&field("site")["how"], &field("site")["after"]), (&json!("default"), &json!("north")));
    assert_eq!((&field("pump")["how"], &field("pump")["changes"]), (&json!("kept"), &json!(false)));
    assert_eq!(json["backtest"][0]["same"], false);
    assert_eq!(json["backtest"][0]["first"], "2026-03-01T03:50:00Z");
    assert_eq!(heads(&sandbox, &sandbox.store("tank")), before);
}

#[test]
fn a_lineage_spans_versions_and_is_replayed_verified_and_explained() {
    let sandbox = tank();
    let done = sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml"]).yes();
    assert!(done.out.contains("admitted"), "{}", done.out);
    let again = sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml"]).yes();
    assert!(again.out.contains("nothing is to be done"), "{}", again.out);
    let shown = sandbox.abide(&["show", "tank", "--json"]).yes().json();
    assert_eq!(
        (&shown["schema"]["version"], &shown["memory"]["depth"], &shown["memory"]["site"]),
        (&json!("2.0.0"), &json!(0.622), &json!("north"))
    );
    sandbox.abide(&["observe", "tank", "observe_level", "value=1.2", "at=2026-03-02T00:00:00Z"]).yes();
    sandbox.abide(&["verify"]).yes();
    let replayed = sandbox.abide(&["replay", "tank", "--execute", "--json"]).yes().json();
    assert_eq!((&replayed["agrees"], &replayed["executed"]), (&json!(true), &replayed["records"]));
    let records = sandbox.abide(&["lineage", "tank", "--json"]).yes().json_lines();
    let upgrade = records.iter().find(|record| record["kind"] == "upgrade").unwrap();
    let seq = upgrade["seq"].as_u64().unwrap();
    assert_eq!((&upgrade["was"], &upgrade["schema"]), (&records[0]["schema"], &shown["schema"]["digest"]));
    assert_eq!(
        (&upgrade["changes"]["starts"], &upgrade["operator"]["name"]),
        (&json!(102.0), &json!("operator"))
    );

    // As it was before, and since.
    let before = sandbox.abide(&["replay", "tank", "--at", &(seq - 1).to_string(), "--json"]).yes().json();
    assert_eq!(before["state"]["memory"]["level"], 0.622);
    let before = sandbox.abide(&["replay", "tank", "--at", &(seq - 1).to_string()]).yes();
    assert!(before.out.contains("level") && !before.out.contains("depth"), "{}", before.out);
    let diff = sandbox.abide(&["diff", "tank", &(seq - 1).to_string(), &seq.to_string(), "--json"]);
    let parts = diff.json()["parts"].as_array().unwrap().clone();
    let part = |name: &str| parts.iter().find(|part| part["field"] == name).unwrap().clone();
    assert_eq!((&part("level")["a"], &part("level")["b"]), (&json!(0.622), &json!(null)));
    assert_eq!((&part("depth")["a"], &part("depth")["b"]), (&json!(null), &json!(0.622)));

    // From a value over the upgrade to the observation.
    snapshot("upgrade_why", &sandbox.abide(&["why", "tank.starts"]).yes().text());
    let why = sandbox.abide(&["why", "tank.site", "--json"]).yes().json();
    assert_eq!(why["record"]["kind"], "upgrade");
    let not =
        sandbox.abide(&["why", "tank", "--not", "full", "--at", "2026-03-01T03:50:00Z", "--json"]).yes();
    assert_eq!(not.json()["kept"], "guard", "as the first version had it");

    sandbox.abide(&["export", "tank", "-o", "tank.abide"]).yes();
    let verified = sandbox.abide(&["verify", "tank.abide", "--execute", "--json"]).yes().json();
    assert_eq!(verified["verified"], true);
    sandbox.abide(&["report", "tank", "-o", "report.html"]).yes();
    let page = sandbox.read("report.html");
    assert!(page.contains("tank 1.0.0") && page.contains("tank 2.0.0"));

    // The manifest's schema is not the one in force until it is that.
    let refused = sandbox.abide(&["run", "tank"]);
    assert_eq!(refused.code, Some(3), "{}", refused.text());
    assert!(refused.err.contains("abide upgrade --all --schema FILE"), "{}", refused.err);
    sandbox.write("tank/tank.yaml", &sandbox.read("second.yaml"));
    sandbox.abide(&["run", "tank"]).yes();
}

#[test]
fn what_keeps_a_schema_from_taking_over_is_told_at_once() {
    let sandbox = tank();
    let without = second(&sandbox).replace(
        "observed_at: { type: string, format: date-time }",
        "observed_at: { type: integer, default: 1 }",
    );
    let without = without.replace("observed_at: args.at", "observed_at: '3'");
    sandbox.write(
        "bad.yaml",
        &(without + "migration: { from: 0.9.0, remove: [sight], set: { site: self.levl } }\n"),
    );
    for plan in [&["--plan"][..], &[]] {
        let ran = sandbox.abide(&[&["upgrade", "tank", "--schema", "bad.yaml"], plan].concat());
        assert_eq!(ran.code, Some(1));
        let told = "nothing was changed: 1 object of 1 cannot take it\n";
        assert_eq!(ran.out.contains(told), plan.is_empty(), "{}", ran.out);
        snapshot("upgrade_unbound", &ran.text().replace(told, ""));
    }
    sandbox.write("worse.yaml", &(second(&sandbox) + "migration: { from: soon, rename: { level: dept, A-x: depth }, remove: [''], set: { site: 1 +, pump: oldSelf.pump }, default: { depth: 9 } }\n"));
    let ran = sandbox.abide(&["upgrade", "tank", "--schema", "worse.yaml"]);
    assert_eq!(ran.code, Some(1));
    snapshot("upgrade_malformed", &ran.text());
    let json = sandbox.abide(&["upgrade", "--all", "--schema", "bad.yaml", "--json"]);
    assert_eq!(json.code, Some(1), "{}", json.text());
    let plan = sandbox.abide(&["upgrade", "--all", "--schema", "bad.yaml", "--plan", "--json"]);
    assert_eq!((plan.code, plan.json()), (Some(1), json.json()));
    let json = json.json();
    assert_eq!((&json["admitted"], &json["backtest"]), (&json!(false), &json!([])));
    let object = &json["objects"][0];
    assert_eq!((&object["object"], &object["admitted"]), (&json!("tank"), &json!(false)));
    assert_eq!(object["refused"].as_array().unwrap().len(), 5, "{object}");
    let usage = sandbox.abide(&["upgrade", "tank"]);
    assert_eq!(usage.code, Some(2), "{}", usage.text());
    assert!(usage.err.contains("--behaviour") && usage.err.contains("--revert"), "{}", usage.err);
    let usage = sandbox.abide(&["upgrade", "tank", "--revert", "--schema", "second.yaml"]);
    assert_eq!(usage.code, Some(2), "{}", usage.text());
    let other = LAMP.replace("version: 1.0.0", "version: 2.0.0");
    sandbox.write("lamp.yaml", &other);
    let ran = sandbox.abide(&["upgrade", "tank", "--schema", "lamp.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("`lamp` cannot take over from `tank`"), "{}", ran.out);
    assert!(ran.out.contains("tank 1.0.0 → lamp 2.0.0"), "{}", ran.out);
    let ran = sandbox.abide(&["upgrade", "--all", "--schema", "lamp.yaml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
}

#[test]
fn objects_that_refuse_are_named_with_their_fields_and_nothing_changes() {
    let sandbox = Sandbox::with_tank();
    let manifest = sandbox.read("tank/app.yaml").replace("objects: [tank]", "objects: [one, two, tank]");
    sandbox.write("tank/app.yaml", &manifest);
    sandbox.abide(&["run", "tank"]).yes();
    for (id, level) in [("one", "2.75"), ("two", "2.0")] {
        sandbox
            .abide(&["observe", id, "observe_level", &format!("value={level}"), "at=2026-03-01T00:00:00Z"])
            .yes();
        sandbox.abide(&["mutate", id, "set_pump", "to=on"]).yes();
    }
    let strict = second(&sandbox).replace(
        "- { expression: 'self.starts >= oldSelf.starts'",
        "- { expression: 'self.pump == \"off\" || self.depth > 2.2', message: not so low }\n  - { expression: 'self.starts >= oldSelf.starts'",
    );
    sandbox.write("second.yaml", &(strict + MIGRATION));
    let before = heads(&sandbox, &sandbox.store("tank"));
    let ran = sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml"]);
    assert_eq!(ran.code, Some(1));
    snapshot("upgrade_refused", &ran.text());
    let json = sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml", "--json"]).json();
    assert_eq!(json["admitted"], false);
    let refused = |n: usize| json["objects"][n]["refused"][0].clone();
    assert_eq!((&refused(0)["code"], &refused(0)["field"]), (&json!("bounds"), &json!("depth")));
    assert_eq!(refused(1)["code"], "invariant");
    assert_eq!(heads(&sandbox, &sandbox.store("tank")), before, "nothing changed, of no object");
    // The one that can may, by name, also if that is said twice.
    let json = sandbox.abide(&["upgrade", "tank", "tank", "--schema", "second.yaml", "--json"]).yes().json();
    let upgraded = json["upgraded"].as_array().unwrap();
    assert_eq!(upgraded.len(), 1, "{json}");
    assert_eq!((&upgraded[0]["object"], &upgraded[0]["verdict"]), (&json!("tank"), &json!("recorded")));
    let json = sandbox.abide(&["upgrade", "--all", "--revert", "--plan", "--json"]).yes().json();
    assert_eq!(json["objects"].as_array().unwrap().len(), 1, "{json}");
    // What is closed is not meant, and that is said.
    for id in ["one", "two", "tank"] {
        sandbox.abide(&["seal", id]).yes();
    }
    let ran = sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(ran.err.contains("every object that has a schema of the name `tank` is sealed"), "{}", ran.err);
    sandbox.write("tank/tank.yaml", &sandbox.read("second.yaml"));
    sandbox.abide(&["run", "tank"]).yes();
    assert_eq!(sandbox.abide(&["show", "tank", "--json"]).json()["schema"]["version"], "2.0.0");
}

#[test]
fn the_way_back_is_planned_and_done_once() {
    let sandbox = tank();
    let none = sandbox.abide(&["upgrade", "tank", "--revert"]);
    assert_eq!(none.code, Some(2), "{}", none.text());
    sandbox.abide(&["upgrade", "tank", "--schema", "second.yaml"]).yes();
    sandbox.abide(&["observe", "tank", "observe_level", "value=1.2", "at=2026-03-02T00:00:00Z"]).yes();
    snapshot("upgrade_revert_plan", &sandbox.abide(&["upgrade", "--all", "--revert", "--plan"]).yes().text());
    sandbox.abide(&["upgrade", "--all", "--revert"]).yes();
    let shown = sandbox.abide(&["show", "tank", "--json"]).yes().json();
    assert_eq!(shown["schema"]["version"], "1.0.0");
    assert_eq!((&shown["memory"]["level"], &shown["memory"]["starts"]), (&json!(1.2), &json!(2)));
    snapshot("upgrade_revert_why", &sandbox.abide(&["why", "tank.level"]).yes().text());
    let records = sandbox.abide(&["lineage", "tank", "--json"]).yes().json_lines();
    let last = records.last().unwrap();
    assert!(last["reverts"].is_u64() && last["kind"] == "upgrade", "{last}");
    sandbox.abide(&["replay", "tank", "--execute"]).yes();
    sandbox.abide(&["verify"]).yes();
    sandbox.abide(&["run", "tank"]).yes();
    let none = sandbox.abide(&["upgrade", "--all", "--revert"]).yes();
    assert!(none.out.contains("nothing is to be done"), "{}", none.out);
    // It may be put in force again.
    sandbox.abide(&["upgrade", "tank", "--schema", "second.yaml"]).yes();
    sandbox.abide(&["verify"]).yes();
}

#[test]
fn a_running_host_takes_it_and_its_sources_go_on_by_name() {
    use std::io::Write as _;

    let sandbox = Sandbox::with_live_tank();
    let manifest = sandbox.read("tank/app.yaml").replace("objects: [tank]", "objects: [spare, tank]");
    sandbox.write("tank/app.yaml", &manifest);
    sandbox.write("second.yaml", &(second(&sandbox) + MIGRATION));
    let third = second(&sandbox)
        .replace("version: 2.0.0", "version: 3.0.0")
        .replace("observe_level:", "observe_depth:");
    sandbox.write("third.yaml", &(third + "migration: { from: 2.0.0 }\n"));
    let (host, mut input) = sandbox.run_live_tank();
    // Both at once, though one has no level yet.
    let both = sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml"]).yes();
    assert_eq!(both.out.matches("admitted").count(), 2, "{}", both.out);
    writeln!(input, "2026-03-01T00:10:00Z,1.5").unwrap();
    sandbox.until(&["show", "tank", "--json"], |ran| ran.json()["memory"]["depth"] == 1.5);
    sandbox.abide(&["upgrade", "tank", "--schema", "third.yaml"]).yes();
    writeln!(input, "2026-03-01T00:20:00Z,1.75\n2026-03-01T00:30:00Z,2.0").unwrap();
    drop(input);
    sandbox.until(&["observe", "tank", "observe_depth", "value=0.5", "at=2026-03-01T00:40:00Z"], |ran| {
        ran.code == Some(0)
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&host), Signal::INT).unwrap();
    let output = host.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let note = "has no mutation `observe_level`";
    assert_eq!(said.matches(note).count(), 1, "it is said once: {said}");
    assert_eq!(sandbox.abide(&["show", "tank", "--json"]).json()["memory"]["depth"], 0.5);
    sandbox.abide(&["replay", "tank", "--execute"]).yes();
    sandbox.abide(&["verify"]).yes();
}

#[test]
fn in_development_a_changed_schema_takes_force_by_itself() {
    let sandbox = tank();
    sandbox.write("tank/tank.yaml", &sandbox.read("second.yaml"));
    sandbox.abide(&["run", "tank", "--dev"]).yes();
    let shown = sandbox.abide(&["show", "tank", "--json"]).yes().json();
    assert_eq!(shown["schema"]["version"], "2.0.0");
    // What cannot take over leaves all as it is.
    let lost = sandbox
        .read("tank/tank.yaml")
        .replace("2.0.0", "3.0.0")
        .replace("from: 1.0.0", "from: [1.0.0, 2.0.0]");
    let lost = lost
        .replace("  site: { type: string, maxLength: 20 }\n", "")
        .replace("  default: { site: north }\n", "");
    sandbox.write("tank/tank.yaml", &lost);
    let refused = sandbox.abide(&["run", "tank", "--dev"]).yes();
    assert!(refused.err.contains("`tank` goes on as it is: field `site` would be lost"), "{}", refused.err);

    // While it runs.
    sandbox.write("lamp.yaml", LAMP);
    let host =
        sandbox.start(&["run", "lamp.yaml", "--tick", "5ms", "--json", "--dev", "--data-dir", "lamps"]);
    host.wait_for("\"tick\"");
    let version = |wanted: &str| {
        sandbox.until(&["show", "lamp", "--json", "--data-dir", "lamps"], |ran| {
            ran.code == Some(0) && ran.json()["schema"]["version"] == wanted
        });
    };
    version("1.0.0");
    sandbox.write("lamp.yaml", &LAMP.replace("version: 1.0.0", "version: 1.1.0"));
    version("1.1.0");
    sandbox.write("lamp.yaml", "schema: abide/v1\nname: lamp\n");
    let note = host.wait_for("goes on as it is");
    assert!(note.contains("version"), "{note}");
    sandbox.write("lamp.yaml", &LAMP.replace("name: lamp", "name: lantern"));
    let note = host.wait_for("goes on as it is");
    assert!(note.contains("`lantern` cannot take over from `lamp`"), "{note}");
    sandbox.write("lamp.yaml", &LAMP.replace("version: 1.0.0", "version: 1.2.0"));
    version("1.2.0");
    host.signal(Signal::INT);
    assert_eq!(host.end().0, Some(0));
    sandbox.abide(&["verify", "--data-dir", "lamps"]).yes();
}

/// Each record of an upgrade has a whole memory, and a commit has its bound.
#[test]
fn more_than_goes_into_a_commit_is_taken_over_several_ticks() {
    let sandbox = Sandbox::with_tank();
    let ids: Vec<String> = (0..300).map(|n| format!("tank-{n}")).chain(["tank".to_owned()]).collect();
    let manifest =
        sandbox.read("tank/app.yaml").replace("objects: [tank]", &format!("objects: [{}]", ids.join(", ")));
    let manifest = manifest.replace("version: v1.0.0", "version: v1.0.0, abide.dev/tick: 5ms");
    sandbox.write("tank/app.yaml", &manifest.replace("mode: replay", "mode: live"));
    let second = second(&sandbox).replace(
        "  site: { type: string, maxLength: 20 }\n",
        "  site: { type: string, maxLength: 20 }\n  note: { type: string, nullable: true, maxLength: 250000 }\n",
    );
    sandbox.write("second.yaml", &(second.clone() + MIGRATION));
    sandbox.write("third.yaml", &second.replace("version: 2.0.0", "version: 3.0.0"));
    sandbox.abide(&["run", "tank", "--source", "tank/readings.csv", "--ticks", "1"]).yes();
    let ticks = || {
        let all = sandbox.abide(&["ls", "--json"]).yes().json();
        let times = all.as_array().unwrap().iter().map(|object| object["changed_at"].to_string());
        times.collect::<std::collections::BTreeSet<_>>().len()
    };
    sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml"]).yes();
    assert_eq!(ticks(), 2);
    let host = sandbox.start(&["run", "tank", "--json", "--dev"]);
    host.wait_for("\"tick\"");
    sandbox.abide(&["upgrade", "--all", "--schema", "third.yaml"]).yes();
    assert_eq!(ticks(), 2);
    host.signal(Signal::INT);
    assert_eq!(host.end().0, Some(0));
    sandbox.abide(&["verify"]).yes();
}

/// What would have been decided begins with what all upgrades made of the first memory.
#[test]
fn a_plan_goes_by_every_upgrade_before_it() {
    let schema = |version: &str, field: &str, default: u32, migration: &str| {
        format!(
            "schema: abide/v1\nname: hot\nversion: {version}\nfields:\n  {field}: {{ type: number, minimum: 0, maximum: 99, default: {default} }}\n  \
             times: {{ type: integer, minimum: 0, maximum: 99, default: 0 }}\nmutations:\n  \
             count: {{ from: [rule], set: {{ times: self.times + 1 }} }}\nrules:\n  \
             - {{ name: hot, when: self.{field} > 40 && self.times < 2, then: {{ mutate: count }} }}\n{migration}"
        )
    };
    let sandbox = Sandbox::new();
    sandbox.write("hot.yaml", &schema("1.0.0", "temp", 50, ""));
    sandbox.write(
        "two.yaml",
        &schema("1.1.0", "temperature", 0, "migration: { from: 1.0.0, rename: { temp: temperature } }\n"),
    );
    sandbox.write(
        "three.yaml",
        &schema("1.2.0", "celsius", 0, "migration: { from: 1.1.0, rename: { temperature: celsius } }\n"),
    );
    sandbox.abide(&["run", "hot.yaml", "--tick", "5ms", "--ticks", "3"]).yes();
    assert_eq!(sandbox.abide(&["show", "hot", "--json"]).json()["memory"]["times"], 2);
    let plan = |of: &[&str]| {
        let json = sandbox.abide(&[&["upgrade", "hot", "--plan", "--json"], of].concat()).yes().json();
        (json["backtest"][0]["decisions"]["same"].clone(), json["backtest"][0]["remarks"].clone())
    };
    let as_recorded = (json!(2), json!([]));
    assert_eq!(plan(&["--schema", "two.yaml"]), as_recorded);
    sandbox.abide(&["upgrade", "hot", "--schema", "two.yaml"]).yes();
    assert_eq!(plan(&["--schema", "three.yaml"]), as_recorded);
    assert_eq!(plan(&["--revert"]), as_recorded);
    sandbox.abide(&["upgrade", "hot", "--schema", "three.yaml"]).yes();
    assert_eq!(plan(&["--revert"]), as_recorded);
    sandbox.abide(&["upgrade", "hot", "--revert"]).yes();
    assert_eq!(plan(&["--schema", "three.yaml"]), as_recorded);
    // Nothing leads there, and that is said.
    sandbox
        .write("other.yaml", &schema("9.0.0", "other", 50, "migration: { from: 8.0.0, remove: [temp] }\n"));
    let tried = sandbox.abide(&["backtest", "hot", "--schema", "other.yaml", "--json"]).json();
    let remarks = tried["objects"][0]["remarks"].to_string();
    assert!(remarks.contains("does not take over from what was in force"), "{tried}");
}

/// Killed at any moment, each object is under one version or the other, and the rest is done by asking again.
#[test]
fn a_kill_in_the_middle_leaves_each_object_whole() {
    let sandbox = Sandbox::with_tank();
    let ids: Vec<String> = (0..400).map(|n| format!("tank-{n}")).chain(["tank".to_owned()]).collect();
    let manifest =
        sandbox.read("tank/app.yaml").replace("objects: [tank]", &format!("objects: [{}]", ids.join(", ")));
    sandbox.write("tank/app.yaml", &manifest);
    sandbox.abide(&["run", "tank"]).yes();
    sandbox.write("second.yaml", &(second(&sandbox) + MIGRATION));
    let upgrade = sandbox.start(&["upgrade", "--all", "--schema", "second.yaml"]);
    // The schema is kept before anything is asked.
    sandbox.until(&["ls"], |_| {
        sandbox.store("tank").join("blobs").read_dir().is_ok_and(|mut all| all.next().is_some())
    });
    upgrade.kill();
    let versions = || {
        let objects = sandbox.abide(&["ls", "--json"]).yes().json();
        let all = objects["objects"].as_array().or(objects.as_array()).unwrap();
        all.iter().filter(|object| object["schema"]["version"] == "2.0.0").count()
    };
    // A stopped host takes all of them in one tick.
    assert!([0, 401].contains(&versions()), "{}", versions());
    sandbox.abide(&["verify"]).yes();
    sandbox.abide(&["upgrade", "--all", "--schema", "second.yaml"]).yes();
    assert_eq!(versions(), 401);
    sandbox.abide(&["verify"]).yes();
}
