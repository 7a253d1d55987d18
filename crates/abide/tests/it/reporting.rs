//! `report`: one page about objects, for a person.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

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

/// The only segment of a store.
fn segment(sandbox: &Sandbox) -> PathBuf {
    std::fs::read_dir(sandbox.store("tank").join("log")).unwrap().next().unwrap().unwrap().path()
}

/// Flips a bit of the log so many bytes from its start or, where that is negative, from its end.
fn flip(sandbox: &Sandbox, at: i64) {
    let path = segment(sandbox);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = usize::try_from(at).unwrap_or_else(|_| bytes.len() - usize::try_from(-at).unwrap());
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The page and the JSON of a log that does not verify. Both say all that `verify` says.
fn page_of_unsound(sandbox: &Sandbox, args: &[&str]) -> (String, Json) {
    let ran = sandbox.abide(&[&["report"], args, &["-o", "report.html"]].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert!(ran.out.starts_with("not verified: a report on"), "{}", ran.text());
    let html = sandbox.read("report.html");
    let ran = sandbox.abide(&[&["report", "--json"], args].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    let json = ran.json();
    let verified = sandbox.abide(&["verify", "--json"]);
    assert_eq!(json["verification"], verified.json());
    for line in sandbox.abide(&["verify"]).out.lines() {
        let Some(problem) = line.strip_prefix("problem: ") else { continue };
        let shown = html.replace("&quot;", "\"").replace(sandbox.path("").to_str().unwrap(), "$DIR/");
        assert!(shown.contains(problem), "{problem}: {html}");
    }
    assert!(html.contains("<strong>Not verified</strong>"), "{html}");
    (html, json)
}

#[test]
fn a_damaged_log_has_a_page_up_to_the_damage() {
    let sandbox = Sandbox::with_run_tank();
    let whole = sandbox.abide(&["report", "tank", "--json"]).yes().json();
    assert_eq!((&whole["sound_records"], &whole["absent"]), (&Json::Null, &json!([])));
    let middle = i64::try_from(std::fs::metadata(segment(&sandbox)).unwrap().len() / 2).unwrap();
    for with_snapshot in [true, false] {
        if !with_snapshot {
            std::fs::remove_dir_all(sandbox.store("tank").join("snapshots")).unwrap();
        }
        flip(&sandbox, middle);
        let (html, json) = page_of_unsound(&sandbox, &["tank", "pump"]);
        let sound = json["sound_records"].as_u64().unwrap();
        assert_eq!(json["verification"]["problems"][0]["record"], sound, "up to the first damage");
        assert!(sound > 100 && sound < whole["verification"]["records"].as_u64().unwrap());
        assert!(html.contains(&format!("told by the first {sound} records alone")), "{html}");
        assert!(html.contains(&format!("as the first {sound} records of the log leave it")), "{html}");
        assert!(html.contains("None of these is a record of <strong>pump</strong>"), "{html}");
        assert_eq!((&json["host"], &json["absent"]), (&whole["host"], &json!(["pump"])));
        let (was, is) = (&json["objects"][0], &whole["objects"][0]);
        assert_eq!(was["versions"], is["versions"]);
        assert!(was["object"]["lineage"]["length"].as_u64() < is["object"]["lineage"]["length"].as_u64());
        assert!(json["time"].as_str() < whole["time"].as_str());
        let (all, _) = page_of_unsound(&sandbox, &["--all"]);
        assert!(all.contains("<h2 id=\"object-0\">tank</h2>") && !all.contains("pump</strong>"), "{all}");
        flip(&sandbox, middle);
    }
}

#[test]
fn a_damaged_tail_is_damage_where_the_log_had_come_further() {
    let sandbox = Sandbox::with_run_tank();
    let whole = sandbox.abide(&["report", "tank", "--json"]).yes().json();
    flip(&sandbox, -30);
    let (_, json) = page_of_unsound(&sandbox, &["tank"]);
    let records = whole["verification"]["records"].as_u64().unwrap();
    let sound = json["sound_records"].as_u64().unwrap();
    assert!(sound < records && sound > records - 10, "{sound} of {records}");
    // Nothing else shows that the last commit was ever whole.
    std::fs::remove_dir_all(sandbox.store("tank").join("snapshots")).unwrap();
    let html = page(&sandbox, &["tank"]);
    assert!(html.contains("bytes behind the last whole commit") && html.contains("Verified"), "{html}");
}

#[test]
fn a_log_whose_beginning_is_lost_has_a_page_with_the_verdict() {
    let sandbox = Sandbox::with_run_tank();
    // The header of the segment, and the first commit.
    for at in [3, 300] {
        flip(&sandbox, at);
        let (html, json) = page_of_unsound(&sandbox, &["tank"]);
        assert!(html.contains("Nothing stands before that"), "{html}");
        assert_eq!((&json["host"], &json["sound_records"]), (&Json::Null, &0.into()), "{at}");
        assert_eq!((&json["objects"], &json["absent"]), (&json!([]), &json!(["tank"])));
        flip(&sandbox, at);
    }
    page(&sandbox, &["tank"]);
}

#[test]
fn what_is_not_there_has_no_page() {
    let sandbox = Sandbox::with_run_tank();
    let ran = sandbox.abide(&["report", "tank", "-o", "report.html", "--data-dir", "nowhere"]);
    assert_eq!(ran.code, Some(3), "{}", ran.text());
    let ran = sandbox.abide(&["report", "tnak", "-o", "report.html"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(
        ran.err.contains("did you mean `tank`") && !sandbox.path("report.html").exists(),
        "{}",
        ran.text()
    );
}
