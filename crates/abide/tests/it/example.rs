//! The example in the repository, from end to end.

use std::path::Path;

use serde_json::Value as Json;

use crate::support::{Sandbox, heads};

fn example() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/frost-guard").display().to_string()
}

#[test]
fn a_spring_of_real_weather() {
    let sandbox = Sandbox::new();
    sandbox.abide(&["check", &example()]).yes();
    let ran = sandbox.abide(&["run", &example()]).yes();
    assert!(ran.out.contains("observe_wind") && ran.out.contains("1 denied"), "{}", ran.out);
    assert!(ran.err.contains("/6396 readings"), "{}", ran.err);
    let finished = sandbox.abide(&["run", &example(), "--json"]).yes().json_lines().pop().unwrap();
    assert_eq!(
        (&finished["complete"], &finished["readings"], &finished["problems_count"]),
        (&true.into(), &0.into(), &0.into())
    );
    let denials = finished["denials"].as_array().unwrap();
    let [denial] = denials.as_slice() else { panic!("{denials:?}") };
    assert_eq!((&denial["mutation"], &denial["object"]), (&"observe_wind".into(), &"ewr".into()));
    let objects = finished["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 3);
    for object in objects {
        assert_eq!(object["memory"]["burner"], "idle");
        assert!(object["memory"]["fuel"].as_f64().unwrap() < 400.0, "each of them burned: {object}");
    }

    // The reading that is bogus is denied by name, and costs nothing else of its row.
    let records = sandbox.abide(&["lineage", "ewr", "--json"]).yes().json_lines();
    let denied = records.iter().find(|record| record["kind"] == "denial").unwrap();
    assert!(
        (denied["reason"]["value"].as_f64().unwrap() - 468.659).abs() < 0.01,
        "1,048 mph in m/s: {denied}"
    );
    let of_the_row =
        |record: &&Json| record["tick"] == denied["tick"] && record["mutation"] == "observe_temperature";
    assert_eq!(records.iter().find(of_the_row).map(|record| &record["kind"]), Some(&"mutation".into()));

    for id in ["ewr", "jfk", "lga"] {
        sandbox.abide(&["replay", id, "--execute"]).yes();
    }
    let report = sandbox.abide(&["report", "--all", "-o", "report.html", "--json"]).yes().json();
    for object in report["objects"].as_array().unwrap() {
        assert!((2..=500).contains(&object["slope"].as_array().unwrap().len()), "{object}");
    }
    assert_eq!(sandbox.read("report.html").matches("<svg").count(), 3);
    crate::backtesting::of_the_example(&sandbox, &example());
    let why = sandbox.abide(&["why", "ewr.burner"]).yes().out;
    assert!(why.contains("observe_temperature") && why.contains("rule"), "{why}");
    sandbox.abide(&["verify"]).yes();
    assert_eq!(heads(&sandbox, &sandbox.store("orchard")).len(), 3);
}
