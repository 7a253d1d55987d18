//! `ls`, `show`, `lineage`, `replay`, `why`, `verify` over a store that nobody writes.

use serde_json::Value as Json;

use crate::support::{Sandbox, snapshot};

#[test]
fn what_people_read() {
    let sandbox = Sandbox::with_run_tank();
    let said = |args: &[&str]| sandbox.abide(args).text();
    snapshot("ls", &said(&["ls"]));
    snapshot("show", &said(&["show", "tank"]));
    snapshot("lineage", &said(&["lineage", "tank", "--limit", "5"]));
    snapshot("lineage_host", &said(&["lineage", "@host", "--limit", "2"]));
    snapshot("replay", &said(&["replay", "tank"]));
    snapshot("replay_execute", &said(&["replay", "tank", "--execute"]));
    snapshot("replay_at", &said(&["replay", "tank", "--at", "2026-03-01T05:00:00Z"]));
    snapshot("why", &said(&["why", "tank.pump"]));
    snapshot("why_not", &said(&["why", "tank", "--not", "full", "--at", "2026-03-01T03:00:00Z"]));
    snapshot("verify", &said(&["verify"]));
    snapshot("run_again", &said(&["run", "tank"]));
}

#[test]
fn what_programs_read() {
    let sandbox = Sandbox::with_run_tank();
    let shown = sandbox.abide(&["show", "tank", "--json"]).yes().json();
    assert_eq!(sandbox.abide(&["ls", "--json"]).yes().json(), Json::Array(vec![shown.clone()]));
    assert_eq!(shown["id"], "tank");
    assert_eq!(shown["schema"]["name"], "tank");
    assert_eq!(shown["schema"]["digest"].as_str().unwrap().len(), 64);
    assert_eq!(shown["status"], "active");
    assert_eq!(shown["memory"]["starts"], 2);
    assert_eq!(shown["slope"]["budget"], 30);
    assert_eq!(shown["gaps"], Json::Array(Vec::new()));

    let records = sandbox.abide(&["lineage", "tank", "--json"]).yes().json_lines();
    assert_eq!(shown["lineage"]["length"], records.len());
    assert_eq!(shown["lineage"]["head"], records.last().unwrap()["hash"]);
    let mut prev = Json::Null;
    for (n, record) in records.iter().enumerate() {
        for key in ["tick", "time", "kind", "mutation", "caller", "rule", "args", "changes", "cost"] {
            assert!(record.get(key).is_some(), "{key} in {record}");
        }
        assert_eq!((&record["seq"], &record["prev"]), (&n.into(), &prev));
        assert!(record["time"].as_str().unwrap().ends_with('Z'));
        prev = record["hash"].clone();
    }
    let last_two = sandbox.abide(&["lineage", "tank", "--json", "--limit", "2"]).yes().json_lines();
    assert_eq!(last_two, records.get(records.len() - 2..).unwrap());
    let by_rule =
        records.iter().find(|record| record["rule"] == "full" && record["kind"] == "mutation").unwrap();
    assert_eq!(
        (&by_rule["mutation"], &by_rule["changes"]["pump"], &by_rule["cost"]),
        (&"set_pump".into(), &"on".into(), &5.into())
    );

    let replayed = sandbox.abide(&["replay", "tank", "--execute", "--json"]).yes().json();
    assert_eq!((&replayed["agrees"], &replayed["executed"]), (&true.into(), &records.len().into()));
    let then = sandbox.abide(&["replay", "tank", "--at", "3", "--json"]).yes().json();
    assert_eq!((&then["records"], &then["state"]["memory"]["pump"]), (&4.into(), &"off".into()));

    let why = sandbox.abide(&["why", "tank.pump", "--json"]).yes().json();
    assert_eq!((&why["field"], &why["rule"]), (&"pump".into(), &"rest".into()));
    let not = sandbox.abide(&["why", "tank", "--not", "full", "--json"]).yes().json();
    assert_eq!((&not["fired"], &not["kept"]), (&false.into(), &"guard".into()));

    let verified = sandbox.abide(&["verify", "--json"]).yes().json();
    assert_eq!((&verified["verified"], &verified["objects"]), (&true.into(), &1.into()));
    assert_eq!(verified["problems"], Json::Array(Vec::new()));
    assert_eq!(verified["head"]["size"], verified["records"]);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let sandbox = Sandbox::with_run_tank();
    let mut command = sandbox.command(&["lineage", "tank", "--json"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn an_output_that_is_full_is_said() {
    let sandbox = Sandbox::with_run_tank();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    snapshot("output_full", &sandbox.ran(sandbox.command(&["lineage", "tank"]).stdout(full)).err);
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let sandbox = Sandbox::with_run_tank();
    assert!(!sandbox.abide(&["show", "tank"]).yes().out.contains('\u{1b}'));
    assert!(sandbox.abide(&["show", "tank", "--color", "always"]).yes().out.contains("\u{1b}[1m"));
    let mut refused = sandbox.command(&["show", "nobody", "--color", "auto"]);
    assert!(!sandbox.ran(refused.env("NO_COLOR", "1")).err.contains('\u{1b}'));
}
