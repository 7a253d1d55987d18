//! `clock`: a recorded clock that is ahead, and its signed reset.

use std::sync::Arc;

use abide_core::policy::Policy;
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_host::clock::wall_clock;
use abide_host::keys::Keys;
use abide_host::{Beginning, Host};

use crate::asking::LAMP;
use crate::support::Sandbox;

const DAY: Span = Span::from_secs(86_400);

/// A sandbox with the store of the lamp, whose host had a clock that was a day ahead. Another's lamp, too, where asked for.
fn ahead(anothers: bool) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("lamp.yaml", LAMP);
    let keys = Keys::open(&sandbox.path("home/.config/abide/keys")).unwrap();
    let store = sandbox.store("lamp");
    std::fs::create_dir_all(store.parent().unwrap()).unwrap();
    let time = wall_clock().saturating_add(DAY);
    let mut host = Host::open_folder(&store, &keys, false, time).unwrap();
    let (schema, _) = Schema::load(LAMP).unwrap();
    let schema = Arc::new(schema);
    let mut beginnings = vec![Beginning {
        id: "lamp".into(),
        schema: Arc::clone(&schema),
        behaviour: None,
        policy: Policy { operators: keys.operators(), ..Policy::default() },
        values: Vec::new(),
    }];
    if anothers {
        let id = "theirs".into();
        beginnings.push(Beginning {
            id,
            schema,
            behaviour: None,
            policy: Policy::default(),
            values: Vec::new(),
        });
    }
    host.begin(&[], &beginnings).unwrap();
    host.observe("lamp", "observe", &serde_json::json!({ "lux": 3 })).unwrap();
    host.tick(time.saturating_add(Span::from_secs(1))).unwrap();
    host.finish().unwrap();
    sandbox
}

fn is_ahead(sandbox: &Sandbox) -> bool {
    let told = sandbox.abide(&["clock", "--json"]).yes().json();
    let time = |name: &str| told[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    let ahead = time("recorded") > time("wall_clock");
    assert_eq!(told["ahead"].is_string(), ahead, "{told}");
    time("recorded").since(time("wall_clock")) > Span::from_secs(3600)
}

#[test]
fn of_a_stopped_host() {
    let sandbox = ahead(false);
    assert!(is_ahead(&sandbox));
    let shown = sandbox.abide(&["clock"]).yes();
    assert!(
        shown.out.contains("it is 24h ahead: `abide clock --reset`") || shown.out.contains("it is 23h59m"),
        "{}",
        shown.out
    );
    let reset = sandbox.abide(&["clock", "--reset"]).yes();
    assert!(reset.out.starts_with("set back from 2"), "{}", reset.out);
    assert!(!is_ahead(&sandbox));
    assert!(sandbox.abide(&["clock"]).yes().out.contains("it is not ahead"));
    for told in ["lamp", "@host"] {
        let kinds = sandbox.abide(&["lineage", told, "--json"]).yes().json_lines();
        assert_eq!(kinds.last().unwrap()["kind"], "clock", "{told}");
        assert!(sandbox.abide(&["lineage", told]).yes().out.contains("clock set back from 2"), "{told}");
    }
    // What it was asked for is not there any more.
    let again = sandbox.abide(&["clock", "--reset"]);
    assert_eq!(again.code, Some(1), "{}", again.text());
    assert!(again.out.starts_with("refused: the clock is not ahead"), "{}", again.out);
    sandbox.abide(&["verify"]).yes();
    sandbox.abide(&["replay", "lamp", "--execute"]).yes();
    sandbox.abide(&["observe", "lamp", "observe", "lux=50"]).yes();
    assert!(!is_ahead(&sandbox));
    sandbox.abide(&["verify"]).yes();
}

#[test]
fn of_a_running_host() {
    let sandbox = ahead(false);
    let host = sandbox.start(&["run", "lamp.yaml", "--tick", "10ms", "--json"]);
    let note = host.wait_for("\"note\"");
    assert!(note.contains("`abide clock --reset` sets it back"), "{note}");
    host.wait_for("\"tick\"");
    assert!(is_ahead(&sandbox));
    sandbox.abide(&["observe", "lamp", "observe", "lux=50"]).yes();
    let to = wall_clock().saturating_add(Span::from_secs(1800)).to_string();
    let reset = sandbox.abide(&["clock", "--reset", "--to", &to, "--json"]).yes().json();
    assert_eq!((&reset["verdict"], &reset["time"]), (&"recorded".into(), &to.as_str().into()));
    // It goes on from there: not from the clock, which is behind that, and not from the time before.
    assert!(!is_ahead(&sandbox));
    let told = sandbox.abide(&["observe", "lamp", "observe", "lux=60", "--json"]).yes();
    assert_eq!(told.json()["verdict"], "recorded");
    let records = sandbox.abide(&["lineage", "lamp", "--limit", "1", "--json"]).yes().json();
    let time = records["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let since = time.since(to.parse().unwrap());
    assert!(since > Span::ZERO && since < Span::from_secs(1800), "{since}");
    sandbox.abide(&["clock", "--reset"]).yes();
    sandbox.abide(&["verify"]).yes();
    sandbox.abide(&["replay", "lamp", "--execute"]).yes();
    host.kill();
    assert!(!is_ahead(&sandbox));
}

#[test]
fn a_reset_that_is_refused_changes_nothing() {
    let sandbox = ahead(true);
    let refused = sandbox.abide(&["clock", "--reset", "--json"]);
    assert_eq!(refused.code, Some(1), "{}", refused.text());
    let told = refused.json();
    assert_eq!(told["verdict"], "refused");
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("`operator` with this key is not an operator of `theirs`"), "{message}");
    assert!(is_ahead(&sandbox));
    let alone = sandbox.abide(&["clock", "--to", "2026-01-01T00:00:00Z"]);
    assert_eq!(alone.code, Some(2), "{}", alone.text());
    // A replayed clock is not the host's own.
    let replayed = Sandbox::with_run_tank();
    assert!(replayed.abide(&["clock"]).yes().out.contains("it belongs to its sources, which are replayed"));
    let refused = replayed.abide(&["clock", "--reset", "--to", "2020-01-01T00:00:00Z"]);
    assert_eq!(refused.code, Some(1), "{}", refused.text());
    assert!(refused.out.starts_with("refused: the clock belongs to its sources"), "{}", refused.out);
}
