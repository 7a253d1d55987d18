//! Bundles and checkpoints, from one machine to another.

use crate::support::{Sandbox, snapshot};

/// What differs from run to run.
fn stable(text: &str) -> String {
    let word = |word: &str| {
        let plain = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_key = plain.len() == 56 && plain.starts_with('N');
        let is_hash = plain.len() == 64 && plain.chars().all(|c| c.is_ascii_hexdigit());
        if is_key || is_hash {
            word.replace(plain, if is_key { "KEY" } else { "HASH" })
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_bundle_is_verified_where_nothing_else_is() {
    let host = Sandbox::with_run_tank();
    host.abide(&["checkpoint", "-o", "kept"]).yes();
    let note = host.abide(&["checkpoint"]).yes();
    assert_eq!(note.out, host.read("kept"));
    let exported = host.abide(&["export", "tank", "-o", "tank.abide", "--since", "kept"]);
    snapshot("export", &exported.text());
    let identity = host.abide(&["keys", "--json"]).yes().json()["identity"].as_str().unwrap().to_owned();

    let auditor = Sandbox::new();
    for file in ["tank.abide", "kept"] {
        std::fs::copy(host.path(file), auditor.path(file)).unwrap();
    }
    auditor.write("host.pub", &identity);
    snapshot("verify_bundle", &stable(&auditor.abide(&["verify", "tank.abide"]).text()));
    let full = ["verify", "tank.abide", "--key", "host.pub", "--since", "kept", "--execute"];
    snapshot("verify_bundle_full", &stable(&auditor.abide(&full).text()));
    let json = auditor.abide(&[&full[..], &["--json"]].concat()).yes().json();
    assert_eq!((&json["key_confirmed"], &json["executed"]), (&true.into(), &json["records"]));
    assert_eq!(json["objects"], serde_json::json!(["tank"]));

    let other = Sandbox::with_run_tank();
    let stranger = other.abide(&["keys", "--json"]).yes().json()["identity"].as_str().unwrap().to_owned();
    let refused = auditor.abide(&["verify", "tank.abide", "--key", &stranger]);
    assert!(refused.code == Some(1) && refused.out.contains("and not of"), "{}", refused.text());
    assert_eq!(auditor.abide(&["verify", "tank.abide", "--key", "nobody"]).code, Some(2));
    assert_eq!(auditor.abide(&["verify", "nowhere.abide"]).code, Some(3));

    let mut bytes = std::fs::read(auditor.path("tank.abide")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(auditor.path("tank.abide"), &bytes).unwrap();
    assert_eq!(auditor.abide(&["verify", "tank.abide"]).code, Some(1));
    for damaged in [&bytes[..middle], b"", b"\xa8\x00"] {
        std::fs::write(auditor.path("tank.abide"), damaged).unwrap();
        let refused = auditor.abide(&["verify", "tank.abide", "--json"]);
        assert!(refused.code == Some(1) && refused.json()["verified"] == false, "{}", refused.text());
    }
}

#[test]
fn a_store_is_held_against_a_checkpoint_that_was_kept() {
    let host = Sandbox::with_run_tank();
    host.abide(&["checkpoint", "-o", "early"]).yes();
    host.abide(&["mutate", "tank", "set_pump", "to=on"]).yes();
    host.abide(&["checkpoint", "-o", "late"]).yes();
    host.abide(&["verify", "--since", "early", "--since", "late", "--execute"]).yes();

    // An older copy put back.
    let again = Sandbox::with_run_tank();
    let foreign = again.abide(&["verify", "--since", "late"]);
    std::fs::copy(host.path("late"), again.path("late")).unwrap();
    assert_eq!(foreign.code, Some(3), "{}", foreign.text());
    let foreign = again.abide(&["verify", "--since", "late"]);
    assert!(foreign.code == Some(1) && foreign.out.contains("not of this log"), "{}", foreign.text());
    let exported = again.abide(&["export", "tank", "-o", "x.abide", "--since", "late"]);
    assert_eq!(exported.code, Some(1), "{}", exported.text());
    assert!(!again.path("x.abide").exists());
    assert_eq!(again.abide(&["export", "-o", "x.abide"]).code, Some(2));
    assert_eq!(again.abide(&["export", "well", "-o", "x.abide"]).code, Some(2));
}
