//! What goes wrong, each with its message and its exit code.

use std::fs;

use crate::support::{Sandbox, snapshot};

#[test]
fn names_that_are_not_there() {
    let sandbox = Sandbox::with_run_tank();
    let said = |name: &str, args: &[&str]| {
        let ran = sandbox.abide(args);
        assert_eq!(ran.code, Some(2), "{}", ran.text());
        snapshot(name, &ran.text());
    };
    said("unknown_object", &["show", "tnak"]);
    said("unknown_object_far", &["lineage", "zebra"]);
    said("unknown_mutation", &["observe", "tank", "observe_levl", "value=1"]);
    said("unknown_argument", &["observe", "tank", "observe_level", "valu=1"]);
    said("argument_without_value", &["observe", "tank", "observe_level", "value"]);
    said("argument_twice", &["mutate", "tank", "set_pump", "to=on", "to=off"]);
    said("unknown_field", &["why", "tank.pmp"]);
    said("no_field", &["why", "tank"]);
    said("unknown_rule", &["why", "tank", "--not", "ful"]);
    said("bad_time", &["why", "tank", "--not", "full", "--at", "yesterday"]);
    said("before_it_began", &["why", "tank", "--not", "full", "--at", "2001-01-01T00:00:00Z"]);
    said("no_such_record", &["replay", "tank", "--at", "100000"]);
    said("unknown_command", &["verfy"]);
    let json = sandbox.abide(&["show", "tnak", "--json"]);
    assert_eq!((json.code, json.out.as_str()), (Some(2), ""));
    snapshot("unknown_object_json", &json.err);
}

#[test]
fn stores_that_are_not_there() {
    let sandbox = Sandbox::with_tank();
    snapshot("no_store", &sandbox.abide(&["ls"]).text());
    snapshot("no_store_there", &sandbox.abide(&["ls", "--data-dir", "nowhere"]).text());
    sandbox.abide(&["new", "well"]).yes();
    sandbox.abide(&["run", "tank", "--quiet"]).yes();
    sandbox.abide(&["run", "well", "--quiet"]).yes();
    snapshot("two_stores", &sandbox.abide(&["ls"]).text());
    let mut named = sandbox.command(&["ls"]);
    named.env("ABIDE_DATA_DIR", sandbox.store("well"));
    assert!(sandbox.ran(&mut named).yes().out.contains("well 1.0.0"));
    let mut homeless = sandbox.command(&["run", "tank"]);
    snapshot("no_home", &sandbox.ran(homeless.env_remove("HOME")).text());
    let mut homeless = sandbox.command(&["run", "tank", "--data-dir", "here"]);
    snapshot("no_home_for_keys", &sandbox.ran(homeless.env_remove("HOME")).text());
}

#[test]
fn a_schema_that_needs_a_behaviour() {
    let sandbox = Sandbox::with_tank();
    let acting = sandbox.read("tank/tank.yaml").replace(
        "\nrules:\n",
        "\nrules:\n  - { name: plan, when: self.level > 1, every: 1h, then: { act: plan } }\n",
    );
    sandbox.write("tank/tank.yaml", &acting);
    sandbox.abide(&["check", "tank/tank.yaml"]).yes();
    snapshot("behaviour_of_a_manifest", &sandbox.abide(&["run", "tank"]).text());
    snapshot("behaviour_of_a_schema", &sandbox.abide(&["run", "tank/tank.yaml"]).text());
    assert!(!sandbox.store("tank").exists(), "nothing was begun");
}

#[test]
fn sources_that_do_not_fit() {
    let sandbox = Sandbox::with_tank();
    let said = |name: &str, args: &[&str]| snapshot(name, &sandbox.abide(args).text());
    said("source_missing", &["run", "tank", "--source", "nope.csv"]);
    sandbox.write("column.csv", "time,lvel\n2026-03-01T00:00:00Z,1\n");
    said("source_column", &["run", "tank", "--source", "column.csv"]);
    assert!(!sandbox.store("tank").exists(), "nothing was begun");
    sandbox.write(
        "broken.csv",
        "time,level\n2026-03-01T00:00:00Z,1\nnot a time,2\n2026-03-01T00:20:00Z\n2026-03-01T00:30:00Z,wet\n2026-03-01T00:40:00Z,7.5\n2026-03-01T00:50:00Z,1.5\n",
    );
    said("source_broken", &["run", "tank", "--source", "broken.csv"]);
    let run = sandbox.abide(&["run", "tank", "--source", "gauge=broken.csv", "--json"]).yes().json_lines();
    let finished = run.last().unwrap();
    assert_eq!((&finished["event"], &finished["problems_count"]), (&"finished".into(), &2.into()));
    assert_eq!(
        (&finished["denials"][0]["count"], &finished["denials"][0]["value"]),
        (&2.into(), &"wet".into())
    );
    said("source_changed", &["run", "tank"]);
    said("source_of_a_schema", &["run", "tank/tank.yaml", "--source", "broken.csv"]);
    said("objects_of_a_manifest", &["run", "tank", "--objects", "a"]);
    said("tick_of_a_replay", &["run", "tank", "--tick", "1s"]);
    said("tick_out_of_bounds", &["run", "tank/tank.yaml", "--tick", "1us"]);
    said("objects_twice", &["run", "tank/tank.yaml", "--objects", "a,b,a"]);
    said("run_missing", &["run", "nope.yaml"]);
}

#[test]
fn a_source_is_chosen_by_name_where_there_are_several() {
    let sandbox = Sandbox::with_tank();
    let manifest = sandbox.read("tank/app.yaml");
    let (before, gauge) = manifest.split_once("    - name: gauge\n").unwrap();
    let second = gauge.replace("readings.csv", "second.csv");
    sandbox.write("tank/app.yaml", &format!("{before}    - name: gauge\n{gauge}    - name: other\n{second}"));
    snapshot("source_which", &sandbox.abide(&["run", "tank", "--source", "tank/readings.csv"]).text());
    snapshot(
        "source_which_near",
        &sandbox.abide(&["run", "tank", "--source", "othr=tank/readings.csv"]).text(),
    );
    sandbox.write("few.csv", "time,level\n2026-03-01T00:05:00Z,1\n");
    sandbox.abide(&["run", "tank", "--source", "other=few.csv"]).yes();
}

#[test]
fn a_changed_schema_and_other_keys_are_refused() {
    let sandbox = Sandbox::with_run_tank();
    snapshot("other_keys", &sandbox.abide(&["run", "tank", "--keys", "others"]).text());
    let schema = sandbox.read("tank/tank.yaml").replace("maximum: 3 }", "maximum: 4 }");
    sandbox.write("tank/tank.yaml", &schema);
    let changed = sandbox.abide(&["run", "tank"]);
    assert_eq!(changed.code, Some(3));
    assert!(
        changed.err.contains("a changed schema takes force by an operator's signature; run `abide upgrade"),
        "{}",
        changed.err
    );
    let live = sandbox.abide(&["run", "tank/tank.yaml", "--ticks", "1"]);
    assert_eq!(live.code, Some(3));
    assert!(live.err.contains("a replayed clock"), "{}", live.err);
}

#[test]
fn a_damaged_store_is_found_and_named() {
    let sandbox = Sandbox::with_run_tank();
    let log = sandbox.store("tank").join("log");
    let segment = fs::read_dir(log).unwrap().next().unwrap().unwrap().path();
    let sound = fs::read(&segment).unwrap();
    let mut bytes = sound.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&segment, &bytes).unwrap();
    let verified = sandbox.abide(&["verify", "--json"]);
    assert_eq!(verified.code, Some(1), "{}", verified.text());
    assert_eq!(verified.json()["verified"], false);
    assert!(!verified.json()["problems"].as_array().unwrap().is_empty());
    assert_eq!(sandbox.abide(&["verify"]).code, Some(1));
    let replayed = sandbox.abide(&["replay", "tank"]);
    assert!(matches!(replayed.code, Some(1 | 3)), "{}", replayed.text());
    fs::remove_dir_all(sandbox.store("tank").join("snapshots")).unwrap();
    for args in [&["run", "tank"][..], &["ls"], &["show", "tank"]] {
        let ran = sandbox.abide(args);
        assert_eq!(ran.code, Some(3), "{args:?}: {}", ran.text());
        assert!(ran.err.contains("is damaged at byte") && ran.err.contains("from a copy"), "{}", ran.err);
    }
    assert_eq!(fs::read(&segment).unwrap(), bytes, "nothing was changed");
    fs::write(&segment, sound).unwrap();
    sandbox.abide(&["verify"]).yes();
}
