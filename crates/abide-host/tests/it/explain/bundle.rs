//! Bundles: what is sound verifies offline, and whatever was done to one is found.

use std::collections::BTreeSet;
use std::sync::Arc;

use abide_core::bundle::Bundle;
use abide_core::record::decode::header;
use abide_core::record::{Event, Record};
use abide_core::value::Value;
use abide_host::behaviour::Compiler;
use abide_host::bundle::{ExportError, ExportOptions, export};
use abide_host::verify::{Against, TrustedKey, VerifiedBundle, verify_bundle, verify_disk};
use abide_host::view::View;
use abide_store::{LogVerifier, MemoryDisk};
use proptest::prelude::*;

use super::scenario::{Lie, Run, all, at, family, lamp, rewritten, spender};

fn whole(run: &Run, since: &[String]) -> Bundle {
    let view = run.view();
    export(&view, view.engine().objects(), ExportOptions { since, components: true }).unwrap()
}

fn check(bundle: &Bundle) -> VerifiedBundle {
    let verified = verify_bundle(bundle, &Against::default()).unwrap();
    keep(&bundle.encode(), verified.is_verified());
    verified
}

/// Keeps a bundle and its verdict for `verifiers/python`, which comes to the same; `cargo xtask test` says where.
fn keep(bytes: &[u8], is_verified: bool) {
    let Some(folder) = std::env::var_os("ABIDE_BUNDLES") else { return };
    let verdict = if is_verified { "accepted" } else { "rejected" };
    let hash = abide_core::record::Hash::of_record(bytes);
    std::fs::write(std::path::Path::new(&folder).join(format!("{hash}.{verdict}.abide")), bytes).unwrap();
}

fn told(verified: &VerifiedBundle) -> Vec<String> {
    verified.problems.iter().map(ToString::to_string).collect()
}

fn note(run: &Run) -> String {
    run.host.log().checkpoint().unwrap().note.clone()
}

/// Some problem of it says so.
fn says(bundle: &Bundle, what: &str) {
    let found = told(&check(bundle));
    assert!(found.iter().any(|problem| problem.contains(what)), "no problem says `{what}`: {found:#?}");
}

#[test]
fn every_scenario_is_exported_whole_and_in_parts() {
    for (name, run) in all() {
        let bundle = whole(&run, &[note(&run)]);
        assert_eq!(Bundle::decode(&bundle.encode()).as_ref(), Ok(&bundle), "{name}");
        let against = Against { execute: Some(Arc::new(Compiler::default())), ..Against::default() };
        let verified = verify_bundle(&bundle, &against).unwrap();
        assert_eq!(told(&verified), [] as [&str; 0], "{name}");
        assert_eq!(verified.executed, Some(verified.records), "{name}");
        assert_eq!(verified.objects.len(), run.host.engine().objects().len(), "{name}");
        assert_eq!(verified.earlier, [run.host.log().checkpoint().unwrap().size], "{name}");
        for object in run.host.engine().objects() {
            let view = run.view();
            let object = view.object(&object.id).unwrap();
            let options = ExportOptions { since: &[], components: false };
            let verified = check(&export(&view, [object], options).unwrap());
            assert_eq!(told(&verified), [] as [&str; 0], "{name} {}", object.id);
            assert!(verified.objects.contains(&object.id));
        }
    }
    let view = Run::new(&[]).view();
    let options = ExportOptions { since: &[], components: true };
    assert!(matches!(export(&view, view.engine().objects(), options), Err(ExportError::Empty)));
}

#[test]
fn a_family_comes_together() {
    let run = family();
    let view = run.view();
    let everyone: BTreeSet<_> = view.engine().objects().iter().map(|object| Arc::clone(&object.id)).collect();
    assert!(everyone.len() > 2);
    for object in view.engine().objects() {
        let options = ExportOptions { since: &[], components: true };
        let verified = check(&export(&view, [object], options).unwrap());
        assert_eq!(verified.objects.into_iter().collect::<BTreeSet<_>>(), everyone);
    }
}

#[test]
fn a_key_that_is_known_confirms_whose_it_is() {
    let (run, other) = (spender(), spender());
    let bundle = whole(&run, &[]);
    let with = |key: &str| {
        let key = Some(key.parse::<TrustedKey>().unwrap());
        verify_bundle(&bundle, &Against { key, ..Against::default() }).unwrap()
    };
    let log_key = |run: &Run| run.keys.signer().unwrap().verifier().verifier_key();
    for key in [run.keys.identity(), log_key(&run)] {
        let verified = with(&key);
        assert!(verified.is_verified() && verified.is_confirmed, "{key}");
    }
    for key in [other.keys.identity(), log_key(&other)] {
        let verified = with(&key);
        assert!(!verified.is_verified() && !verified.is_confirmed, "{key}");
        assert!(told(&verified)[0].contains(&format!("and not of `{key}`")));
    }
    let verified = check(&bundle);
    assert!(verified.is_verified() && !verified.is_confirmed);
    assert!("OABC".parse::<TrustedKey>().is_err());
}

#[test]
fn earlier_checkpoints_are_proved_and_asked_for() {
    let mut run = lamp();
    let early = note(&run);
    run.observe("lamp", "observe", &serde_json::json!({ "lux": 70 }));
    run.tick(5000);
    let since = |bundle: &Bundle, note: &str| {
        let against = Against { since: vec![note.to_owned()], ..Against::default() };
        verify_bundle(bundle, &against).unwrap()
    };
    let proving = whole(&run, std::slice::from_ref(&early));
    assert!(since(&proving, &early).is_verified());
    assert!(since(&proving, &note(&run)).is_verified(), "its own is known");
    let bare = whole(&run, &[]);
    assert!(told(&since(&bare, &early))[0].contains("have it exported with `--since`"));
    assert!(told(&since(&proving, &note(&lamp())))[0].contains("not of this log"));
    // A bundle that was taken before the checkpoint cannot have grown out of it.
    let old = {
        let mut log = lamp();
        log.keys = run.keys;
        whole(&log, &[])
    };
    assert!(!since(&old, &early).is_verified());
    let mut forged = proving;
    forged.earlier[0].proof.pop();
    says(&forged, "does not go on from its checkpoint");
}

#[test]
fn what_is_done_to_a_bundle_is_found() {
    let run = family();
    let sound = whole(&run, &[]);
    let objects = |bundle: &Bundle, n: usize| header(&bundle.records[n]).unwrap().object;
    let edited = |edit: &dyn Fn(&mut Bundle)| {
        let mut bundle = sound.clone();
        edit(&mut bundle);
        bundle
    };
    // The tail of one lineage cut off, its place that of another record: no proof fits.
    says(
        &edited(&|b| {
            let last = b.records.len() - 1;
            b.records.remove(last);
        }),
        "is not record",
    );
    says(&edited(&|b| drop(b.host.remove(1))), "its schema is not in the log");
    says(&edited(&|b| drop(b.host.remove(0))), "what certifies the log key");
    says(&edited(&|b| drop(b.lasts.pop())), "places in the log");
    says(&edited(&|b| b.lasts.swap(0, 1)), "is not record");
    says(&edited(&|b| b.lasts[0].leaf += 1), "is not record");
    says(
        &edited(&|b| b.checkpoint = b.checkpoint.replace('\n', "\n\n")),
        "not a note that its log key signed",
    );
    says(&edited(&|b| b.blobs.push(b"anything".to_vec())), "which no lineage names");
    says(&edited(&|b| b.records.clear()), "it holds no lineage");
    // Reordered within a lineage.
    let (first, second) = (0..sound.records.len() - 1)
        .map(|n| (n, n + 1))
        .find(|(a, b)| *a > 2 && objects(&sound, *a) == objects(&sound, *b))
        .unwrap();
    says(&edited(&|b| b.records.swap(first, second)), "stands before it");
    // Records of another log spliced in.
    let other = whole(&family(), &[]);
    assert!(!check(&edited(&|b| b.records[5] = other.records[5].clone())).is_verified());
    assert!(!check(&edited(&|b| b.records.extend(other.records.clone()))).is_verified());
    // The host's records of another host, with all of its proofs.
    assert!(
        !check(&edited(&|b| (b.host, b.checkpoint) = (other.host.clone(), other.checkpoint.clone())))
            .is_verified()
    );
}

#[test]
fn no_record_can_be_left_out() {
    for (name, run) in all() {
        let sound = whole(&run, &[]);
        for n in 0..sound.records.len() {
            let mut bundle = sound.clone();
            bundle.records.remove(n);
            assert!(!check(&bundle).is_verified(), "{name} without record {n}");
        }
    }
}

/// Also by whoever has the log's key: what they sign again is not what the checkpoint is of.
#[test]
fn a_kept_checkpoint_rules_out_a_rewritten_log() {
    let run = lamp();
    let kept = note(&run);
    let verify = |disk: &MemoryDisk, since: &str| {
        let against = Against { since: vec![since.to_owned()], ..Against::default() };
        let verified = verify_disk(Arc::new(disk.clone()), &against).unwrap();
        verified.problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(verify(&run.disk, &kept), [] as [&str; 0]);
    let edited = |record: &Record| match &record.event {
        Event::Mutation(mutated) if record.seq == 1 => {
            let mut mutated = mutated.clone();
            mutated.args[0] = Value::Num(401.0);
            mutated.changes[0].1 = Value::Num(401.0);
            Lie::Other(Box::new(Record { event: Event::Mutation(mutated), ..record.clone() }))
        }
        _ => Lie::Keep,
    };
    let changed = "are not those that the checkpoint is of";
    type Liar = Box<dyn FnMut(&Record) -> Lie>;
    let lies: [(&str, Liar, &str); 4] = [
        ("edited", Box::new(edited), changed),
        (
            "left out",
            Box::new(|record| if record.seq == 2 { Lie::Drop } else { Lie::Keep }),
            "the log has fewer",
        ),
        (
            "cut off",
            Box::new(|record| if record.time > at(10) { Lie::Drop } else { Lie::Keep }),
            "the log has fewer",
        ),
        (
            "back-dated",
            Box::new(|record| {
                let mut record = record.clone();
                if &*record.object == "lamp" && record.seq > 0 {
                    record.time = record.time.set_back(abide_core::time::Span::from_millis(1));
                }
                Lie::Other(Box::new(record))
            }),
            changed,
        ),
    ];
    for (name, lie, what) in lies {
        let found = verify(&rewritten(&run, true, lie), &kept);
        assert!(found.iter().any(|problem| problem.contains(what)), "{name}: {found:#?}");
    }
    // An older state put back, and a history that goes on from it in another way.
    let mut grown = lamp();
    let early = note(&grown);
    let older = rewritten(&grown, true, |_| Lie::Keep);
    grown.observe("lamp", "observe", &serde_json::json!({ "lux": 70 }));
    grown.tick(5000);
    let late = note(&grown);
    assert_eq!(verify(&grown.disk, &early), [] as [&str; 0], "what only grew is sound");
    assert!(verify(&older, &late)[0].contains("an older state was put back"));
    let fork = rewritten(&grown, true, |record| match &record.event {
        Event::Mutation(mutated) if record.time == at(5000) => {
            let mut mutated = mutated.clone();
            mutated.args[0] = Value::Num(71.0);
            mutated.changes.iter_mut().for_each(|change| change.1 = Value::Num(71.0));
            Lie::Other(Box::new(Record { event: Event::Mutation(mutated), ..record.clone() }))
        }
        _ => Lie::Keep,
    });
    let forked = verify(&fork, &late);
    assert!(forked.iter().any(|problem| problem.contains(changed)), "{forked:#?}");
    assert!(verify(&lamp().disk, &kept)[0].contains("not of this log"), "another host's");
}

#[test]
fn a_checkpoint_is_a_note_of_the_log_key_alone() {
    let run = lamp();
    let host = run.host.engine().host();
    let verifier = LogVerifier::new(&host.origin, &host.log_key).unwrap();
    assert_eq!(run.view().checkpoint().unwrap().unwrap().note, note(&run));
    assert!(verifier.verify_note(&note(&run)).is_some());
    // What is not durable yet is not shown: the head is that of what is.
    let view = View::open_disk(Arc::new(run.disk.clone()), Some(9)).unwrap();
    let shown = view.checkpoint().unwrap().unwrap();
    assert!(shown.size == view.shown() && shown.size <= 9);
    assert!(verifier.verify_note(&shown.note).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_flipped_bit_goes_unseen(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        thread_local! {
            static SOUND: Vec<u8> = {
                let mut run = family();
                let early = note(&run);
                run.observe("parent", "observe", &serde_json::json!({ "jobs": 1 }));
                run.tick(200);
                whole(&run, &[early]).encode()
            };
        }
        let mut bytes = SOUND.with(Clone::clone);
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        match Bundle::decode(&bytes) {
            Err(_) => keep(&bytes, false),
            Ok(bundle) => prop_assert!(!check(&bundle).is_verified(), "bit {} of byte {}", bit, at),
        }
    }
}

/// What takes no CEL to find; so the other verifier finds it, too.
#[test]
fn upgrades_that_are_not_what_their_migration_makes_are_found_in_a_bundle() {
    let run = super::scenario::upgraded();
    let schema = super::scenario::later(super::scenario::LAMP, 2);
    let remark = schema.memory.slot("remark").unwrap();
    type Edit<'a> = &'a dyn Fn(&mut abide_core::record::Upgrade);
    let edits: [Edit<'_>; 4] = [
        &|upgrade| {
            let memory = &mut upgrade.schema.as_mut().unwrap().memory;
            memory.iter_mut().find(|(slot, _)| *slot == remark).unwrap().1 = Value::from("second");
        },
        &|upgrade| upgrade.schema.as_mut().unwrap().memory.retain(|(slot, _)| *slot != remark),
        &|upgrade| upgrade.signature.counter += 900,
        &|upgrade| upgrade.reverts = Some(0),
    ];
    for edit in edits {
        let mut first = true;
        let disk = rewritten(&run, true, |record| match &record.event {
            Event::Upgrade(upgrade) if &*record.object == "lamp" && std::mem::take(&mut first) => {
                let mut upgrade = upgrade.clone();
                edit(&mut upgrade);
                Lie::Other(Box::new(Record { event: Event::Upgrade(upgrade), ..record.clone() }))
            }
            _ => Lie::Keep,
        });
        let view = View::open_disk(Arc::new(disk), None).unwrap();
        let options = ExportOptions { since: &[], components: true };
        let bundle = export(&view, view.engine().objects(), options).unwrap();
        assert!(!check(&bundle).is_verified());
    }
}
