//! The same input and the same keys give the same heads: in another folder, and after any number of kills.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::support::{Sandbox, heads};

/// A minute between readings, so that there is time to be killed in.
const READINGS: usize = 2_000;

fn with_long_day() -> Sandbox {
    let sandbox = Sandbox::with_tank();
    let mut text = String::from("time,level\n");
    for minute in 0..READINGS {
        let (day, hour, minutes) = (1 + minute / 1440, minute / 60 % 24, minute % 60);
        let level = 1.5 + (minute as f64 / 200.0).sin() * 1.2;
        writeln!(text, "2026-03-{day:02}T{hour:02}:{minutes:02}:00Z,{level:.3}").unwrap();
    }
    sandbox.write("tank/readings.csv", &text);
    sandbox
}

fn records(sandbox: &Sandbox, folder: &str) -> u64 {
    let ran = sandbox.abide(&["ls", "--json", "--data-dir", folder]);
    if ran.code != Some(0) {
        return 0;
    }
    ran.json()[0]["lineage"]["length"].as_u64().unwrap_or(0)
}

#[test]
fn kills_and_stops_change_nothing() {
    let sandbox = with_long_day();
    sandbox.abide(&["run", "tank", "--data-dir", "whole", "--quiet"]).yes();
    let whole = heads(&sandbox, &sandbox.path("whole"));
    let mut seen = 0;
    for round in 1..=4_u64 {
        let run = sandbox.start(&["run", "tank", "--data-dir", "pieces", "--json"]);
        run.wait_for("\"tick\"");
        let goal = round * 300;
        let start = std::time::Instant::now();
        while records(&sandbox, "pieces") < goal {
            assert!(start.elapsed() < crate::support::PATIENCE);
        }
        if round == 3 {
            // An orderly stop is one of the ways to be interrupted.
            run.signal(Signal::INT);
            let (code, lines) = run.end();
            assert_eq!(code, Some(0), "{lines:?}");
        } else {
            run.kill();
        }
        let now = records(&sandbox, "pieces");
        assert!(now >= seen, "what was shown stays");
        seen = now;
        sandbox.abide(&["verify", "--data-dir", "pieces"]).yes();
    }
    let last = sandbox.abide(&["run", "tank", "--data-dir", "pieces", "--json"]).yes().json_lines();
    assert_eq!(last.last().unwrap()["complete"], true);
    assert_eq!(heads(&sandbox, &sandbox.path("pieces")), whole);
    let again = sandbox.abide(&["run", "tank", "--data-dir", "pieces"]).yes();
    assert!(again.out.contains("everything was taken already"), "{}", again.out);
    assert_eq!(heads(&sandbox, &sandbox.path("pieces")), whole);
    sandbox.abide(&["replay", "tank", "--execute", "--data-dir", "pieces"]).yes();
}

#[test]
fn a_run_stopped_after_some_ticks_goes_on() {
    let sandbox = with_long_day();
    let stopped = sandbox.abide(&["run", "tank", "--data-dir", "a", "--ticks", "100"]).yes();
    assert!(stopped.out.contains("stopped after tick 101"), "{}", stopped.out);
    sandbox.abide(&["run", "tank", "--data-dir", "a", "--quiet"]).yes();
    sandbox.abide(&["run", "tank", "--data-dir", "b", "--quiet"]).yes();
    assert_eq!(heads(&sandbox, &sandbox.path("a")), heads(&sandbox, &sandbox.path("b")));
}

#[test]
fn a_cursor_outlives_added_readings() {
    let sandbox = with_long_day();
    let whole = sandbox.read("tank/readings.csv");
    let half: String = whole.lines().take(READINGS / 2).flat_map(|line| [line, "\n"]).collect();
    sandbox.write("half.csv", &half);
    sandbox.abide(&["run", "tank", "--source", "half.csv", "--data-dir", "a", "--quiet"]).yes();
    sandbox.abide(&["run", "tank", "--data-dir", "a", "--quiet"]).yes();
    sandbox.abide(&["run", "tank", "--data-dir", "b", "--quiet"]).yes();
    let level = |folder: &str| {
        let shown = sandbox.abide(&["show", "tank", "--json", "--data-dir", folder]).yes().json();
        (shown["memory"].clone(), shown["lineage"]["length"].clone())
    };
    assert_eq!(level("a"), level("b"));
}
