//! Views: what is shown of objects and lineages, and up to where.

use std::sync::Arc;

use abide_core::record::HOST;
use abide_host::view::View;
use abide_store::MemoryDisk;
use serde_json::json;

use super::scenario::{LAMP, Run, all, family, lamp, lineage, spender};

#[test]
fn an_object_is_shown_with_its_gaps() {
    let mut run = Run::new(&[LAMP]);
    run.tick(1);
    let view = run.view();
    let mut shown = view.show(view.object("lamp").unwrap());
    for (part, name) in [("schema", "digest"), ("lineage", "head"), ("lineage", "genesis")] {
        assert_eq!(shown[part][name].as_str().map(str::len), Some(64));
        shown[part][name] = "[hash]".into();
    }
    shown["policy"]["operators"][0]["key"] = "[key]".into();
    insta::assert_json_snapshot!(shown);
}

#[test]
fn a_slope_is_shown_as_of_the_last_tick() {
    let run = spender();
    let view = run.view();
    let shown = view.show(view.object("spender").unwrap());
    assert_eq!(shown["slope"], json!({ "level": 10, "budget": 10, "refill": { "amount": 1, "per": "10s" } }));
    assert_eq!(shown["rules"][0]["name"], "work");
    let run = family();
    let shown = run.view().list();
    let ids: Vec<_> = shown.iter().map(|object| object["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), run.host.engine().objects().len());
    assert_eq!(shown[1]["parent"], "parent");
    assert_eq!(shown[1]["status"], "terminated");
    assert_eq!(lamp().view().list()[0]["slope"], json!({ "level": null, "budget": null, "refill": null }));
}

#[test]
fn a_lineage_reads_the_same_in_both_directions() {
    for (name, run) in all() {
        let view = run.view();
        for id in view.engine().objects().iter().map(|object| &*object.id).chain([HOST]) {
            let lineage = view.lineage(id).unwrap();
            let forwards: Vec<_> = view.records(lineage).unwrap().map(Result::unwrap).collect();
            let mut backwards: Vec<_> = view.backwards(lineage).unwrap().map(Result::unwrap).collect();
            backwards.reverse();
            assert_eq!(forwards, backwards, "{name}: {id}");
            assert_eq!(forwards.len() as u64, lineage.length, "{name}: {id}");
            assert_eq!(forwards.last().unwrap().hash, lineage.head, "{name}: {id}");
        }
    }
}

#[test]
fn a_record_as_json_says_all_of_it() {
    let run = lamp();
    let records = lineage(&run.view(), "lamp");
    let parts = [
        "seq", "hash", "prev", "tick", "time", "kind", "mutation", "caller", "rule", "args", "changes",
        "cost",
    ];
    for record in records.iter().filter(|record| record["kind"] == "mutation") {
        for part in parts {
            assert!(record.get(part).is_some(), "{part} of {record}");
        }
    }
    let denial = records
        .iter()
        .find(|record| record["kind"] == "denial" && record["args"].get("seen").is_some())
        .unwrap();
    assert_eq!(denial["args"], json!({ "lux": 5.0, "seen": "2010-01-01T00:00:00Z" }));
    assert_eq!(denial["reason"]["code"], "requires");
    let denial = records.iter().find(|record| record["args"].get("to").is_some()).unwrap();
    assert_eq!(denial["args"]["to"], json!({ "x": -1, "y": 2 }));
    let cut =
        records.iter().find(|record| record["kind"] == "denial" && record["mutation"] == "write").unwrap();
    assert!(cut["args"]["note"].as_str().unwrap().ends_with('…'));
}

#[test]
fn a_view_stops_at_what_is_durable_and_goes_on_from_there() {
    let run = lamp();
    let whole = run.view();
    let disk = || Arc::new(run.disk.clone());
    for durable in 0..=whole.shown() {
        let Ok(mut view) = View::open_disk(disk(), Some(durable)) else {
            assert_eq!(durable, 0, "record 0 is a commit of its own");
            continue;
        };
        assert!(view.shown() <= durable);
        if let Ok(lineage) = view.lineage("lamp") {
            assert_eq!(view.records(lineage).unwrap().map(Result::unwrap).count() as u64, lineage.length);
            assert_eq!(view.backwards(lineage).unwrap().map(Result::unwrap).count() as u64, lineage.length);
        }
        let shown = view.shown();
        assert_eq!(view.refresh_until(Some(durable)).unwrap(), 0);
        assert_eq!(view.refresh().unwrap(), whole.shown() - shown);
        assert_eq!(view.list(), whole.list());
    }
}

#[test]
fn a_view_follows_a_host_that_runs() {
    let mut run = Run::new(&[LAMP]);
    let mut view = run.view();
    assert_eq!(view.refresh().unwrap(), 0);
    run.observe("lamp", "observe", &json!({ "lux": 3 }));
    run.tick(1);
    assert_eq!(view.refresh().unwrap(), 2);
    assert_eq!(view.show(view.object("lamp").unwrap())["memory"]["on"], true);
    run.host.finish().unwrap();
    run.observe("lamp", "observe", &json!({ "lux": 80 }));
    run.tick(2);
    view.refresh().unwrap();
    assert_eq!(view.list(), run.view().list());
}

#[test]
fn what_is_not_there_is_said_with_what_is_near() {
    let error = View::open_disk(Arc::new(MemoryDisk::new()), None).unwrap_err().to_string();
    assert_eq!(error, "there is no store in `memory:`; name the right data folder, or create a store there");
    let run = lamp();
    let view = run.view();
    assert_eq!(
        view.object("lam").unwrap_err().to_string(),
        "there is no object `lam` here; did you mean `lamp`?"
    );
    assert_eq!(view.lineage("zebra").unwrap_err().to_string(), "there is no object `zebra` here");
    let folder = tempfile::tempdir().unwrap();
    assert!(View::open(folder.path()).unwrap_err().to_string().contains("there is no store in"));
}
