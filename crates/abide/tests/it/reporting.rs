//! `report`: one page about objects, for a person.

use crate::support::{Sandbox, snapshot};

const BAD: &str = "<script>alert('x')</script>\"&";

/// A schema whose every text tries to be markup.
fn hostile() -> String {
    format!(
        r#"schema: abide/v1
name: note
version: 1.0.0
intent: {BAD:?}
context: {{ label: {BAD:?} }}
fields:
  text: {{ type: string, maxLength: 200, default: "" }}
  copy: {{ type: string, maxLength: 200, default: "" }}
mutations:
  write:
    from: [observation, operator]
    args: {{ text: {{ type: string, maxLength: 40 }} }}
    set: {{ text: args.text }}
  take:
    from: [rule]
    set: {{ copy: self.text }}
rules:
  - name: follow
    when: self.copy != self.text && self.text != '<script>'
    then: {{ mutate: take }}
"#
    )
}

fn page(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.abide(&[&["report"], args, &["-o", "report.html"]].concat()).yes();
    sandbox.read("report.html")
}

#[test]
fn a_page_needs_nothing_beside_it() {
    let sandbox = Sandbox::with_run_tank();
    let ran = sandbox.abide(&["report", "tank", "-o", "report.html"]);
    snapshot("report", &ran.text());
    let html = sandbox.read("report.html");
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>"));
    for foreign in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for part in
        ["<h2 id=\"object-0\">tank</h2>", "class=\"level\"", "class=\"bound\"", "Verified", "rule `full`"]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
    let printed = sandbox.abide(&["report", "tank", "-o", "-"]).yes().out;
    assert_eq!(printed, html, "the same log makes the same page");
    let json = sandbox.abide(&["report", "tank", "--json"]).yes().json();
    let tank = &json["objects"][0];
    assert_eq!((&tank["last"]["total"], &tank["overrides"]["total"]), (&4.into(), &0.into()));
    assert_eq!(tank["versions"][0]["seq"], 0);
    assert_eq!(json["verification"]["verified"], true);
    snapshot("report_last", &format!("{:#}", tank["last"]));
    snapshot("report_without_output", &sandbox.abide(&["report", "tank"]).text());
}

#[test]
fn what_comes_from_the_log_is_text() {
    let sandbox = Sandbox::new();
    sandbox.write("note.yaml", &hostile());
    let keys = sandbox.abide(&["keys", "--json"]).yes().json();
    // A further operator, whose name is that of its file.
    let operators = sandbox.path("home/.config/abide/keys/operators");
    std::fs::create_dir_all(&operators).unwrap();
    std::fs::write(operators.join("<img onerror=x>.pub"), keys["operator"].as_str().unwrap()).unwrap();
    sandbox.abide(&["run", "note.yaml", "--ticks", "1", "--tick", "1ms"]).yes();
    let text = format!("text={BAD}");
    sandbox.abide(&["mutate", "note", "write", &text]).yes();
    let long = format!("text={}", BAD.repeat(3));
    assert_eq!(sandbox.abide(&["observe", "note", "write", &long]).code, Some(1));
    let html = page(&sandbox, &["note"]);
    assert!(!html.contains("<script"), "{html}");
    let escaped = "&lt;script&gt;alert('x')&lt;/script&gt;";
    // Its intent, its label, its memory, the operator's mutation.
    assert!(html.matches(escaped).count() >= 4, "{html}");
    assert!(!html.contains("<img") && html.contains("&lt;img onerror=x&gt;"), "{html}");
    assert!(html.contains("<td>argument</td>"), "the denial is told: {html}");
}

#[test]
fn fifty_objects_have_a_page() {
    let sandbox = Sandbox::new();
    sandbox.write("note.yaml", &hostile());
    let ids: Vec<String> = (0..50).map(|n| format!("note-{n}")).collect();
    let objects = ids.join(",");
    sandbox.abide(&["run", "note.yaml", "--objects", &objects, "--ticks", "1", "--tick", "1ms"]).yes();
    let html = page(&sandbox, &["--all"]);
    for (n, id) in ids.iter().enumerate() {
        assert!(html.contains(&format!("<h2 id=\"object-{n}\">{id}</h2>")), "{id}");
    }
    assert!(html.contains("Report on 50 objects") && !html.contains("<script"));
}

#[test]
fn tables_are_capped_and_say_so() {
    let sandbox = Sandbox::new();
    sandbox.write("note.yaml", &hostile());
    sandbox.abide(&["run", "note.yaml", "--ticks", "1", "--tick", "1ms"]).yes();
    for n in 0..52 {
        sandbox.abide(&["mutate", "note", "write", &format!("text={n}")]).yes();
    }
    let html = page(&sandbox, &["note"]);
    assert!(html.contains("The last 50 of 52; `abide lineage` shows all."), "{html}");
}

#[test]
fn a_damaged_log_has_no_page() {
    let sandbox = Sandbox::with_run_tank();
    let log = sandbox.store("tank").join("log");
    let segment = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let ran = sandbox.abide(&["report", "tank", "-o", "report.html"]);
    assert_eq!(ran.code, Some(3), "{}", ran.text());
    assert!(ran.err.contains("damaged") && !sandbox.path("report.html").exists(), "{}", ran.text());
}
