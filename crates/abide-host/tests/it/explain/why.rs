//! Why: from a value to what was observed, and from a time to what kept a rule.

use abide_host::history::{At, replay};
use abide_host::why::{Kept, WhyNot, why_field, why_not};
use serde_json::json;

use super::scenario::{LAMP, Run, at, family, faulty, lamp, sleeper, spender};

fn tree(run: &Run, object: &str, field: &str) -> String {
    let view = run.view();
    why_field(&view, view.object(object).unwrap(), field).unwrap().branch().to_string()
}

fn not(run: &Run, object: &str, rule: &str, seconds: i64) -> WhyNot {
    let view = run.view();
    why_not(&view, view.object(object).unwrap(), rule, at(seconds)).unwrap()
}

#[test]
fn a_value_is_traced_to_what_was_observed() {
    insta::assert_snapshot!(tree(&lamp(), "lamp", "on"));
}

#[test]
fn a_value_of_a_safe_state_is_traced_to_the_quarantine() {
    insta::assert_snapshot!(tree(&faulty(), "faulty", "on"));
}

#[test]
fn a_value_that_builds_on_itself_is_traced_as_far_as_is_readable() {
    insta::assert_snapshot!(tree(&spender(), "spender", "done"));
    let mut run = Run::new(&[super::scenario::SPENDER]);
    run.observe("spender", "want", &json!({ "n": 2 }));
    for seconds in 1..4 {
        run.tick(seconds);
    }
    insta::assert_snapshot!(tree(&run, "spender", "done"));
}

#[test]
fn defaults_gaps_and_first_values_say_so() {
    let run = Run::new(&[LAMP]);
    assert_eq!(tree(&run, "lamp", "lux"), "lux has no value yet\n");
    assert_eq!(tree(&run, "lamp", "on"), "on = false, the schema's default\n");
    let run = family();
    let child = run.host.engine().objects()[1].id.clone();
    assert!(
        tree(&run, &child, "n").contains("n = 2, given at genesis (record 0)"),
        "{}",
        tree(&run, &child, "n")
    );
}

#[test]
fn a_tree_as_json_holds_the_records() {
    let run = lamp();
    let view = run.view();
    let object = view.object("lamp").unwrap();
    let json = why_field(&view, object, "on").unwrap().to_json();
    assert_eq!(
        (&json["from"], &json["rule"], &json["value"]),
        (&json!("record"), &json!("bright"), &json!(false))
    );
    assert_eq!(json["guard"]["expression"], "self.lux > 50 && self.on");
    assert_eq!(
        json["guard"]["operands"][0]["operands"][0],
        json!({ "expression": "self.lux", "value": "90.0", "field": "lux" })
    );
    assert_eq!(json["read"][0]["record"]["args"]["lux"], 90.0);
    assert_eq!(json["read"][0]["record"]["caller"], "observation");
}

#[test]
fn names_that_are_not_there_are_said_with_what_is_near() {
    let run = lamp();
    let view = run.view();
    let object = view.object("lamp").unwrap();
    let error = why_field(&view, object, "lox").unwrap_err().to_string();
    assert_eq!(error, "schema `lamp` has no field `lox`; did you mean `lux`?");
    let error = why_not(&view, object, "drak", at(1)).unwrap_err().to_string();
    assert_eq!(error, "schema `lamp` has no rule `drak`; did you mean `dark`?");
    let error = why_not(&view, object, "dark", at(-5)).unwrap_err().to_string();
    assert_eq!(
        error,
        "`lamp` began at 2026-01-01T00:00:00.000000001Z: it had no rules at 2025-12-31T23:59:55Z"
    );
}

#[test]
fn every_hindrance_of_a_rule_has_its_name() {
    let (lamp, faulty, spender, sleeper, family) = (lamp(), faulty(), spender(), sleeper(), family());
    let cases = [
        (&lamp, "lamp", "dark", 1, Kept::Status),
        (&lamp, "lamp", "dark", 2, Kept::Guard),
        (&lamp, "lamp", "dark", 8, Kept::Fired),
        (&lamp, "lamp", "bright", 8, Kept::Guard),
        (&lamp, "lamp", "bright", 9, Kept::Fired),
        (&lamp, "lamp", "dark", 9_999, Kept::Guard),
        (&faulty, "faulty", "broken", 1, Kept::Error),
        (&faulty, "faulty", "broken", 2, Kept::Error),
        (&faulty, "faulty", "jumpy", 6, Kept::Denied),
        (&faulty, "faulty", "jumpy", 9, Kept::Status),
        (&faulty, "faulty", "warm", 11, Kept::For),
        (&spender, "spender", "work", 1, Kept::Fired),
        (&spender, "spender", "work", 2, Kept::Fired),
        (&sleeper, "sleeper", "nap", 2, Kept::Status),
        (&sleeper, "sleeper", "beat", 20, Kept::Fired),
        (&sleeper, "sleeper", "beat", 22, Kept::NotReady),
        (&sleeper, "sleeper", "end", 72, Kept::Status),
        (&family, "parent", "count", 1, Kept::Fired),
    ];
    let mut out = String::new();
    for (run, object, rule, seconds, kept) in cases {
        let answer = not(run, object, rule, seconds);
        assert_eq!(answer.kept, kept, "{object}.{rule} at {seconds}: {}", answer.message);
        out.push_str(&answer.branch().to_string());
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_rule_that_lost_to_another_and_one_without_a_turn_say_so() {
    let mut run = Run::new(&[r"
schema: abide/v1
name: two
version: 1.0.0
fields: { a: { type: integer, minimum: 0, maximum: 9, default: 0 }, b: { type: integer, minimum: 0, maximum: 99, default: 0 } }
mutations:
  observe: { from: [observation], args: { a: { $ref: '#/fields/a' } }, set: { a: args.a } }
  count: { from: [rule], set: { b: self.b + 1 } }
rules:
  - { name: first, when: self.a > 0, then: { mutate: count } }
  - { name: second, when: self.a > 0, then: { mutate: count } }
"]);
    run.observe("two", "observe", &json!({ "a": 1 }));
    run.tick(1);
    run.tick(2);
    run.tick(3);
    let lost = not(&run, "two", "second", 1);
    assert_eq!(lost.kept, Kept::Order);
    assert_eq!(lost.message, "rule `first` was chosen: record 2, mutation `count` by rule `first` (b = 1)");
    assert_eq!(not(&run, "two", "second", 2).kept, Kept::Fired);
    let unready = not(&run, "two", "first", 2);
    assert_eq!(unready.kept, Kept::NotReady);
    assert_eq!(
        unready.message,
        "its guard held, but no record has changed `a` since it was last chosen, at 2026-01-01T00:00:01Z"
    );
    assert_eq!(unready.record.unwrap()["seq"], 2);
    let view = run.view();
    let object = view.object("two").unwrap();
    let begun = replay(&view, object, Some(At::Seq(0)), None).unwrap().state["changed_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let first = why_not(&view, object, "first", begun).unwrap();
    assert_eq!(
        (first.kept, &*first.message),
        (Kept::Turn, "the object began in that tick: its first cycle is the next one")
    );
    let json = not(&run, "two", "second", 1).to_json();
    assert_eq!(
        (&json["fired"], &json["kept"], &json["record"]["seq"]),
        (&json!(false), &json!("order"), &json!(2))
    );
}

#[test]
fn a_denial_that_was_only_counted_is_found() {
    let run = spender();
    let view = run.view();
    let object = view.object("spender").unwrap();
    let lineage = super::scenario::lineage(&view, "spender");
    let counted = lineage.iter().find(|record| record["kind"] == "denials").unwrap();
    let last = counted["counted"][0]["last"].as_str().unwrap().parse().unwrap();
    let answer = why_not(&view, object, "work", last).unwrap();
    assert_eq!(answer.kept, Kept::Denied);
    assert!(answer.message.contains("counted"), "{}", answer.message);
}
