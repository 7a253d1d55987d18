//! Verification: what is sound is said to be, and every lie is named.

use std::sync::Arc;

use abide_core::record::{Caller, Event, Hash, Record, Signature, Upgrade};
use abide_core::schema::Micro;
use abide_core::time::Timestamp;
use abide_core::value::Value;
use abide_host::verify::{Against, Verified, verify, verify_disk};
use abide_host::view::View;
use abide_store::{Disk, MemoryDisk, OpenMode};

use super::scenario::{
    Lie, Run, ahead, all, at, family, faulty, lamp, rewritten, schema, sender, spender, upgraded,
};

fn check(disk: &MemoryDisk) -> Verified {
    verify_disk(Arc::new(disk.clone()), &Against::default()).unwrap()
}

fn told(verified: &Verified) -> Vec<String> {
    verified.problems.iter().map(ToString::to_string).collect()
}

/// Some problem of the log that was rewritten so says this of that record.
fn names(run: &Run, chained: bool, record: (&str, u64), what: &str, lie: impl FnMut(&Record) -> Lie) {
    let verified = check(&rewritten(run, chained, lie));
    assert!(!verified.is_verified());
    let found = verified.problems.iter().any(|problem| {
        problem.object.as_deref() == Some(record.0)
            && problem.seq == Some(record.1)
            && problem.what.contains(what)
    });
    assert!(found, "no problem says `{what}` of {record:?}: {:#?}", told(&verified));
}

#[test]
fn every_scenario_verifies_with_and_without_a_snapshot() {
    for (name, mut run) in all() {
        for _ in 0..2 {
            let verified = check(&run.disk);
            assert_eq!(told(&verified), [] as [&str; 0], "{name}");
            let checkpoint = run.host.log().checkpoint().unwrap();
            assert_eq!(
                verified.head.map(|(size, root)| (size, root.0)),
                Some((checkpoint.size, checkpoint.root)),
                "{name}"
            );
            assert_eq!((verified.records, verified.tail_bytes), (checkpoint.size, 0), "{name}");
            assert_eq!(verified.objects, run.host.engine().objects().len() as u64, "{name}");
            run.host.finish().unwrap();
        }
        assert_eq!(verify(&run.view()).unwrap(), check(&run.disk), "{name}");
    }
}

#[test]
fn a_log_rewritten_as_it_was_verifies() {
    for (name, run) in all() {
        let verified = check(&rewritten(&run, true, |_| Lie::Keep));
        assert_eq!(told(&verified), [] as [&str; 0], "{name}");
    }
}

#[test]
fn a_store_that_is_not_there_is_an_error_and_one_without_objects_is_sound() {
    let error = verify_disk(Arc::new(MemoryDisk::new()), &Against::default()).unwrap_err().to_string();
    assert_eq!(error, "there is no store in `memory:`; name the right data folder, or create a store there");
    let verified = check(&Run::new(&[]).disk);
    assert_eq!((verified.is_verified(), verified.records, verified.objects), (true, 1, 0));
    assert_eq!(verified.to_json()["head"]["size"], 1);
}

#[test]
fn no_flipped_byte_of_the_log_goes_unseen() {
    let run = lamp();
    let path = "log/00000000000000000000.seg";
    let sound = check(&run.disk);
    let file = run.disk.open(path, OpenMode::Write).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    let last_frame = {
        let view = run.view();
        let frames = view.reader().frames(abide_store::Position::START);
        usize::try_from(frames.last().unwrap().unwrap().position().0).unwrap()
    };
    for offset in (0..bytes.len()).step_by(11) {
        let offset64 = u64::try_from(offset).unwrap();
        file.write_at(offset64, &[bytes[offset] ^ 0x40]).unwrap();
        match verify_disk(Arc::new(run.disk.clone()), &Against::default()) {
            // A last frame that is not whole was never acknowledged: it is not the log's.
            Ok(verified) if offset >= last_frame && verified.is_verified() => {
                assert!(verified.records < sound.records && verified.tail_bytes > 0, "byte {offset}");
            }
            Ok(verified) => {
                assert!(!verified.is_verified(), "byte {offset}");
                assert!(
                    verified.problems.iter().all(|problem| problem.leaf.is_some() || offset < 400),
                    "byte {offset}: {:#?}",
                    verified.problems
                );
            }
            Err(error) => assert!(offset < 400, "byte {offset}: {error}"),
        }
        file.write_at(offset64, &[bytes[offset]]).unwrap();
    }
    assert_eq!(check(&run.disk), sound);
}

#[test]
fn damage_in_the_middle_names_its_record_and_what_comes_after_is_read_all_the_same() {
    let run = lamp();
    let bytes = b"observe";
    let file = run.disk.open("log/00000000000000000000.seg", OpenMode::Write).unwrap();
    let mut log = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    file.read_at(0, &mut log).unwrap();
    // The name of the mutation in the object's first mutation, which stands after the schema.
    let place =
        log.windows(bytes.len()).enumerate().filter(|(_, window)| window == bytes).map(|(place, _)| place);
    let place = place.into_iter().find(|place| log[place - 2..*place].starts_with(&[0x07])).unwrap();
    file.write_at(place as u64, b"obselve").unwrap();
    let verified = check(&run.disk);
    insta::assert_snapshot!(told(&verified).join("\n"));
    assert_eq!(verified.records, run.host.log().checkpoint().unwrap().size);
}

fn edited(record: &Record, edit: impl FnOnce(&mut Record)) -> Lie {
    let mut record = record.clone();
    edit(&mut record);
    Lie::Other(Box::new(record))
}

#[test]
fn lies_by_whoever_has_the_log_key_are_named() {
    let run = lamp();
    let is = |record: &Record, seq: u64| &*record.object == "lamp" && record.seq == seq;
    let change = |record: &mut Record, value: f64| {
        if let Event::Mutation(mutated) = &mut record.event {
            mutated.changes = vec![(mutated.changes[0].0, Value::Num(value))];
        }
    };
    names(&run, false, ("lamp", 2), "names another record before it", |record| {
        if is(record, 1) { edited(record, |record| change(record, 7.0)) } else { Lie::Keep }
    });
    names(&run, true, ("lamp", 1), "other changes", |record| {
        if is(record, 1) { edited(record, |record| change(record, 7.0)) } else { Lie::Keep }
    });
    names(&run, false, ("lamp", 4), "the records from 3 to 3 before it are missing", |record| {
        if is(record, 3) { Lie::Drop } else { Lie::Keep }
    });
    names(&run, true, ("lamp", 1), "not that of its commit", |record| {
        if is(record, 1) { edited(record, |record| record.time = at(0)) } else { Lie::Keep }
    });
    names(&run, true, ("lamp", 1), "what put its schema in force", |record| {
        if is(record, 1) { edited(record, |record| record.force = 1) } else { Lie::Keep }
    });
    names(&run, true, ("@host", 0), "certificate", |record| {
        edited(record, |record| {
            if let Event::Host(host) = &mut record.event {
                host.certificate[0] ^= 1;
            }
        })
    });
}

#[test]
fn whoever_asked_and_what_it_cost_is_held_to_the_law() {
    let run = spender();
    let cheaper = |record: &Record, cost: Micro| {
        edited(record, |record| {
            if let Event::Mutation(mutated) = &mut record.event
                && mutated.cost > 0
            {
                mutated.cost = cost;
            }
        })
    };
    let first = first_seq(&run, "spender", |event| matches!(event, Event::Mutation(m) if m.cost > 0));
    names(&run, true, ("spender", first), "other cost", |record| cheaper(record, 0));
    let over = first_seq(
        &run,
        "spender",
        |event| matches!(event, Event::Denial(d) if d.reason.code.name() == "slope"),
    );
    let work = schema(super::scenario::SPENDER).mutation("work").unwrap();
    names(&run, true, ("spender", over), "the trust slope holds", |record| {
        if &*record.object == "spender" && record.seq == over {
            edited(record, |record| {
                let (rule, done) = (
                    Some(abide_core::schema::RuleIx(0)),
                    schema(super::scenario::SPENDER).memory.slot("done").unwrap(),
                );
                record.event = Event::Mutation(abide_core::record::Mutated {
                    step: None,
                    mutation: work,
                    caller: Caller::Rule,
                    rule,
                    args: Vec::new(),
                    changes: vec![(done, Value::Int(3))],
                    cost: 4_000_000,
                    effect: None,
                });
            })
        } else {
            Lie::Keep
        }
    });
    let run = lamp();
    let signed = first_seq(
        &run,
        "lamp",
        |event| matches!(event, Event::Mutation(m) if matches!(m.caller, Caller::Operator(_))),
    );
    names(&run, true, ("lamp", signed), "does not verify", |record| {
        edited(record, |record| {
            if let Event::Mutation(mutated) = &mut record.event
                && let Caller::Operator(signature) = &mut mutated.caller
            {
                signature.signature[0] ^= 1;
            }
        })
    });
    let run = faulty();
    let released = first_seq(&run, "faulty", |event| matches!(event, Event::Release(_)));
    names(&run, true, ("faulty", released), "does not verify", |record| {
        edited(record, |record| {
            if let Event::Release(signature) = &mut record.event {
                signature.counter = 0;
            }
        })
    });
    let quarantined = first_seq(&run, "faulty", |event| matches!(event, Event::Quarantine));
    let view = run.view();
    let records = view.records(view.lineage("faulty").unwrap()).unwrap().map(|link| link.unwrap().record);
    let counted = records
        .filter(|record| record.seq < quarantined && matches!(record.event, Event::Denials(_)))
        .count();
    assert!(counted > 0);
    names(
        &run,
        true,
        ("faulty", quarantined - counted as u64),
        "do not bring it into quarantine",
        |record| match &record.event {
            Event::Denials(_) => Lie::Drop,
            _ => Lie::Keep,
        },
    );
}

#[test]
fn families_and_effects_are_held_to_one_another() {
    let run = family();
    let spawned = first_seq(&run, "parent", |event| matches!(event, Event::Spawn(_)));
    let child = run.host.engine().objects().iter().find(|o| o.parent.is_some()).unwrap().id.clone();
    names(&run, false, (&child, 0), "not what its parent's record gives", |record| {
        edited(record, |record| {
            if let Event::Genesis(genesis) = &mut record.event
                && let Some(part) = &mut genesis.allotment
            {
                part.budget += 1;
            }
        })
    });
    names(&run, true, ("parent", spawned), "what the slope has not to give", |record| {
        edited(record, |record| {
            if let Event::Spawn(spawned) = &mut record.event
                && let Some(part) = &mut spawned.allotment
            {
                part.level += 1;
            }
        })
    });
    let ended = first_seq(&run, "parent", |event| matches!(event, Event::ChildEnded { .. }));
    names(&run, true, ("parent", ended), "is no child of it", |record| {
        edited(record, |record| {
            if let Event::ChildEnded { child, .. } = &mut record.event {
                *child = "nobody".into();
            }
        })
    });
    let run = sender();
    let outcome = first_seq(&run, "sender", |event| matches!(event, Event::Outcome(_)));
    names(&run, true, ("sender", outcome), "no effect that waits", |record| {
        edited(record, |record| {
            if let Event::Outcome(outcome) = &mut record.event {
                outcome.of = 1;
            }
        })
    });
}

/// Another reset in place of the one of that number in the host's lineage.
fn of_reset(
    seq: u64,
    edit: impl Fn(&mut Timestamp, &mut Option<Box<Signature>>),
) -> impl FnMut(&Record) -> Lie {
    move |record| {
        if &*record.object != "@host" || record.seq != seq {
            return Lie::Keep;
        }
        edited(record, |record| {
            if let Event::Clock { since, signature } = &mut record.event {
                edit(since, signature);
            }
        })
    }
}

#[test]
fn a_reset_of_the_clock_is_signed_and_told_by_all_whom_it_concerns() {
    let run = ahead();
    let host = first_seq(&run, "@host", |event| matches!(event, Event::Clock { .. }));
    let faulty = first_seq(&run, "faulty", |event| matches!(event, Event::Clock { .. }));
    let is = |record: &Record, object: &str, seq: u64| &*record.object == object && record.seq == seq;
    // Nobody signed it, someone else did, something else was signed, or it was signed before.
    names(
        &run,
        true,
        ("@host", host),
        "no operator signed",
        of_reset(host, |_, signature| *signature = None),
    );
    let stranger = of_reset(host, |_, signature| signature.as_mut().unwrap().key[0] ^= 1);
    names(&run, true, ("@host", host), "is not an operator of `faulty`", stranger);
    let altered = of_reset(host, |_, signature| signature.as_mut().unwrap().signature[0] ^= 1);
    names(&run, true, ("@host", host), "does not verify", altered);
    let second = run.kinds("@host").iter().rposition(|kind| kind == "clock").unwrap() as u64;
    assert!(second > host);
    let again = of_reset(second, |_, signature| signature.as_mut().unwrap().counter = 1);
    names(&run, true, ("@host", second), "is not above the last one", again);
    // It is no reset of what was not ahead, and none of a time that had passed before.
    names(&run, true, ("@host", host), "is not ahead", of_reset(host, |since, _| *since = at(100)));
    names(
        &run,
        true,
        ("@host", host),
        "the commit before it is of",
        of_reset(host, |since, _| *since = at(399_999)),
    );
    // Both lineages tell the same of it, and neither without the other.
    names(
        &run,
        true,
        ("faulty", faulty),
        "and the host's lineage from",
        of_reset(host, |since, _| *since = at(400_003)),
    );
    names(&run, true, ("faulty", faulty), "has no reset of the clock in this tick", |record| {
        if is(record, "@host", host) { Lie::Drop } else { Lie::Keep }
    });
    let signed = |record: &mut Record| {
        let signature = Signature { name: "eve".into(), key: [7; 32], counter: 1, signature: [0; 64] };
        record.event = Event::Clock { since: at(400_002), signature: Some(Box::new(signature)) };
    };
    names(&run, true, ("faulty", faulty), "stands in the host's lineage alone", |record| {
        if is(record, "faulty", faulty) { edited(record, signed) } else { Lie::Keep }
    });
    let said = |lie: &mut dyn FnMut(&Record) -> Lie| told(&check(&rewritten(&run, true, lie))).join("\n");
    let missing = said(&mut |record| if is(record, "faulty", faulty) { Lie::Drop } else { Lie::Keep });
    assert!(missing.contains("`faulty`: its lineage does not tell of the reset of the clock"), "{missing}");
    // Without any record of it, time runs backwards.
    let backwards = said(&mut |record| match record.event {
        Event::Clock { .. } => Lie::Drop,
        _ => Lie::Keep,
    });
    assert!(backwards.contains("is before tick"), "{backwards}");
}

#[test]
fn a_log_of_another_key_is_not_the_hosts() {
    let (mut run, other) = (lamp(), lamp());
    run.keys = other.keys;
    let verified = check(&rewritten(&run, true, |_| Lie::Keep));
    assert!(
        told(&verified).iter().any(|problem| problem.contains("a key that record 0 does not certify")),
        "{:#?}",
        told(&verified)
    );
}

#[test]
fn what_is_beyond_the_durable_records_is_left_out() {
    let run = lamp();
    let all = run.view().shown();
    let view = View::open_disk(Arc::new(run.disk), Some(all - 1)).unwrap();
    assert!(view.shown() < all);
    assert!(verify(&view).unwrap().is_verified());
}

fn first_seq(run: &Run, object: &str, is: impl Fn(&Event) -> bool) -> u64 {
    let view = run.view();
    let records = view.records(view.lineage(object).unwrap()).unwrap();
    records.map(|link| link.unwrap().record).find(|record| is(&record.event)).unwrap().seq
}

#[test]
fn an_end_is_told_once_and_nothing_of_its_own_comes_after() {
    let untold = check(&rewritten(&family(), true, |record| match record.event {
        Event::ChildEnded { .. } => Lie::Drop,
        _ => Lie::Keep,
    }));
    assert!(told(&untold).iter().any(|problem| problem.contains("does not tell of the end of its child")));
    let mut ended = None;
    let twice =
        check(&rewritten(&super::scenario::sleeper(), true, |record| match (&record.event, &ended) {
            (Event::Terminate(rule), _) => {
                ended = Some(*rule);
                Lie::Keep
            }
            (Event::Denial(_), Some(rule)) => edited(record, |record| record.event = Event::Terminate(*rule)),
            _ => Lie::Keep,
        }));
    assert!(told(&twice).iter().any(|problem| problem.contains("had ended before")), "{:#?}", told(&twice));
    // Of the rules of the sleeper, the last asks for a mutation.
    let other = check(&rewritten(&super::scenario::sleeper(), true, |record| match &record.event {
        Event::Terminate(_) => {
            edited(record, |record| record.event = Event::Terminate(abide_core::schema::RuleIx(4)))
        }
        _ => Lie::Keep,
    }));
    assert!(
        told(&other).iter().any(|problem| problem.contains("does not ask for that")),
        "{:#?}",
        told(&other)
    );
}

/// A lie about the first upgrade of an object, by whoever has the log key: what is said of it.
fn upgrade_lie(run: &Run, object: &str, what: &str, lie: impl Fn(&mut Upgrade)) {
    let seq = first_seq(run, object, |event| matches!(event, Event::Upgrade(_)));
    let disk = rewritten(run, true, |record| match &record.event {
        Event::Upgrade(upgrade) if record.seq == seq && &*record.object == object => {
            let mut upgrade = upgrade.clone();
            lie(&mut upgrade);
            Lie::Other(Box::new(Record { event: Event::Upgrade(upgrade), ..record.clone() }))
        }
        _ => Lie::Keep,
    });
    let found = told(&check(&disk));
    let named = format!("record {seq} of `{object}`");
    assert!(found.iter().any(|one| one.contains(&named) && one.contains(what)), "no `{what}`: {found:#?}");
}

#[test]
fn an_upgrade_is_held_to_its_migration_its_signature_and_what_was_before() {
    let run = upgraded();
    let slot = |name: &str| {
        let schema = super::scenario::later(super::scenario::LAMP, 2);
        schema.memory.slot(name).unwrap()
    };
    let set = |name: &str, value: Value| {
        let slot = slot(name);
        move |upgrade: &mut Upgrade| {
            let change = upgrade.schema.as_mut().unwrap();
            change.memory.iter_mut().find(|(of, _)| *of == slot).unwrap().1 = value.clone();
        }
    };
    let other = "admitted again, it comes to another memory";
    upgrade_lie(&run, "lamp", other, set("remark", Value::from("second")));
    // Computed by the migration: half of what it was.
    upgrade_lie(&run, "lamp", other, set("lux", Value::Num(199.0)));
    upgrade_lie(&run, "lamp", other, |upgrade| drop(upgrade.schema.as_mut().unwrap().memory.pop()));
    upgrade_lie(&run, "lamp", other, |upgrade| upgrade.schema.as_mut().unwrap().was = Hash([9; 32]));
    upgrade_lie(&run, "lamp", "its schema is not in the log", |upgrade| {
        upgrade.schema.as_mut().unwrap().is = Hash([9; 32]);
    });
    upgrade_lie(&run, "lamp", "does not verify", |upgrade| upgrade.reverts = Some(1));
    upgrade_lie(&run, "lamp", "does not verify", |upgrade| upgrade.signature.counter += 900);
    upgrade_lie(&run, "lamp", "is not an operator", |upgrade| upgrade.signature.name = "mallory".into());
    upgrade_lie(&run, "lamp", "it puts nothing in force", |upgrade| upgrade.schema = None);
    // A schema of another object, signed as it is for this one, but never for that.
    let spender = super::scenario::later(super::scenario::SPENDER, 2);
    upgrade_lie(&run, "spender", "admitted again", |upgrade| {
        assert_eq!(upgrade.schema.as_ref().unwrap().is, Hash(spender.digest));
        upgrade.schema.as_mut().unwrap().memory[0].1 = Value::Int(0);
    });
    // Without it, what follows has no schema that it could be of.
    let seq = first_seq(&run, "lamp", |event| matches!(event, Event::Upgrade(_)));
    let dropped = rewritten(&run, true, |record| match &record.event {
        Event::Upgrade(_) if record.seq == seq && &*record.object == "lamp" => Lie::Drop,
        _ => Lie::Keep,
    });
    assert!(!check(&dropped).is_verified());
}
