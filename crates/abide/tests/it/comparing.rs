//! `diff`: one object at two places of its lineage.

use serde_json::Value as Json;

use crate::support::{Sandbox, snapshot};

#[test]
fn two_places_are_compared() {
    let sandbox = Sandbox::with_run_tank();
    let said = |args: &[&str]| sandbox.abide(args).text();
    snapshot("diff", &said(&["diff", "tank", "3", "2026-03-01T05:00:00Z"]));
    snapshot("diff_equal", &said(&["diff", "tank", "3", "3"]));
    snapshot("diff_no_such_record", &said(&["diff", "tank", "3", "3000"]));
    snapshot("diff_bad_place", &said(&["diff", "tank", "3", "later"]));
}

#[test]
fn a_difference_is_what_the_states_say_and_names_what_made_it() {
    let sandbox = Sandbox::with_run_tank();
    let ran = sandbox.abide(&["diff", "tank", "2", "9", "--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    let diff = ran.json();
    let state = |seq: &str| sandbox.abide(&["replay", "tank", "--at", seq, "--json"]).yes().json();
    let (a, b) = (state("2"), state("9"));
    let records = sandbox.abide(&["lineage", "tank", "--json"]).yes().json_lines();
    assert_eq!((&diff["equal"], &diff["records"]), (&false.into(), &7.into()));
    for part in diff["parts"].as_array().unwrap() {
        let of = |state: &Json| match (part["part"].as_str().unwrap(), part["field"].as_str()) {
            ("field", Some(name)) => state["state"]["memory"].get(name).cloned().unwrap_or_default(),
            ("status", None) => state["state"]["status"].clone(),
            ("slope", None) => state["state"]["slope"]["level"].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((&part["a"], &part["b"]), (&of(&a), &of(&b)), "{part}");
        let Some(name) = part["field"].as_str() else { continue };
        let changed: Vec<&Json> =
            records[3..=9].iter().filter(|r| r["changes"].get(name).is_some()).map(|r| &r["seq"]).collect();
        let told: Vec<&Json> = part["changes"].as_array().unwrap().iter().map(|c| &c["seq"]).collect();
        // A record may set a field to the value that it had.
        assert!(told.iter().all(|seq| changed.contains(seq)), "{part}");
        assert_eq!(told.is_empty(), part["changes"] == Json::Array(Vec::new()));
        if part["differs"] == true {
            assert_eq!(part["changes"].as_array().unwrap().last().unwrap()["value"], part["b"]);
        }
    }
    let back = sandbox.abide(&["diff", "tank", "9", "2", "--json"]).json();
    assert_eq!((&back["records"], &back["parts"][0]["a"]), (&7.into(), &diff["parts"][0]["b"]));
}
