//! Ticks whose flushes overlap: the same log, and nothing told before its time.

use std::sync::Arc;

use abide_core::time::{Span, Timestamp};
use abide_host::keys::Keys;
use abide_host::{Host, HostError, Ticked};
use abide_store::{AppendError, Disk, Faults, FaultyDisk, LogReader, MemoryDisk, Position};
use serde_json::json;

const LAMP: &str = "
schema: abide/v1
name: lamp
version: 1.0.0
fields: { lux: { type: number, minimum: 0, maximum: 200000 }, on: { type: boolean, default: false } }
mutations:
  observe: { from: [observation], args: { lux: { $ref: '#/fields/lux' } }, set: { lux: args.lux } }
  switch: { from: [rule], args: { on: { $ref: '#/fields/on' } }, set: { on: args.on } }
rules:
  - { name: dark, when: self.lux < 10 && !self.on, then: { mutate: switch, args: { on: true } } }
  - { name: light, when: self.lux >= 10 && self.on, then: { mutate: switch, args: { on: false } } }
";

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start.saturating_add(Span::from_secs(seconds))
}

fn host(disk: Arc<dyn Disk>, keys: &Keys) -> Host {
    let mut host = Host::open(disk, keys, true, at(0)).unwrap();
    if host.engine().objects().is_empty() {
        host.add_object("lamp", LAMP).unwrap();
    }
    host
}

fn observe(host: &mut Host, second: i64) -> u64 {
    // Every fourth tick brings nothing: it has no commit.
    if second % 4 == 3 { 0 } else { host.observe("lamp", "observe", &json!({ "lux": second % 20 })).unwrap() }
}

fn keys() -> (tempfile::TempDir, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::open(folder.path()).unwrap();
    (folder, keys)
}

fn records(disk: Arc<dyn Disk>) -> Vec<(u64, Vec<u8>)> {
    let reader = LogReader::open(disk).unwrap();
    let frames: Vec<_> = reader.frames(Position::START).map(Result::unwrap).collect();
    let all = frames.iter().flat_map(|frame| frame.records().map(|r| (frame.tick(), r.bytes.to_vec())));
    all.collect()
}

#[test]
fn every_tick_is_told_once_in_order_and_the_log_is_the_same() {
    let (_folder, keys) = keys();
    let (alone, beside) = (MemoryDisk::new(), MemoryDisk::new());
    let mut first = host(Arc::new(alone.clone()), &keys);
    let mut second = host(Arc::new(beside.clone()), &keys);
    let mut told: Vec<Ticked> = Vec::new();
    for n in 1..40 {
        observe(&mut first, n);
        first.tick(at(n)).unwrap();
        observe(&mut second, n);
        told.extend(second.tick_ahead(at(n), Vec::new(), None).unwrap());
        assert_eq!(told.len(), usize::try_from(n - 1).unwrap(), "the tick at hand is not told");
        assert!(second.shown_clock() < second.engine().clock());
        if n % 7 == 0 {
            second.snapshot().unwrap();
            assert_eq!(second.shown_clock(), second.engine().clock(), "a snapshot is of what is durable");
        }
    }
    told.extend(second.settle().unwrap());
    assert!(second.settle().unwrap().is_none(), "nothing is told twice");
    let ticks: Vec<_> = told.iter().map(|ticked| ticked.clock.time).collect();
    assert_eq!(ticks, (1..40).map(at).collect::<Vec<_>>());
    assert_eq!(first.engine().snapshot(), second.engine().snapshot());
    assert_eq!(records(Arc::new(alone)), records(Arc::new(beside)));
}

#[test]
fn ticks_of_both_kinds_may_follow_each_other() {
    let (_folder, keys) = keys();
    let mut host = host(Arc::new(MemoryDisk::new()), &keys);
    let ahead = observe(&mut host, 1);
    assert!(host.tick_ahead(at(1), Vec::new(), None).unwrap().is_none());
    let at_once = observe(&mut host, 2);
    let ticked = host.tick(at(2)).unwrap();
    assert_eq!(ticked.verdicts.first().map(|(ticket, _)| *ticket), Some(at_once));
    let told = host.settle().unwrap().unwrap();
    assert_eq!(told.verdicts.first().map(|(ticket, _)| *ticket), Some(ahead), "the one before is not lost");
}

#[test]
fn a_failed_flush_is_told_in_place_of_its_tick_and_ends_the_writing() {
    let (_folder, keys) = keys();
    for failing in 0..30 {
        let disk = FaultyDisk::new(failing, Faults::default());
        let mut host = host(Arc::new(disk.clone()), &keys);
        let before = records(Arc::new(disk.clone())).len();
        disk.set_faults(Faults { failing_sync_at: Some(failing), ..Faults::default() });
        let mut told = 0;
        let failed = loop {
            observe(&mut host, 4 * told + 1);
            match host.tick_ahead(at(told + 1), Vec::new(), None) {
                Ok(landed) => told += i64::from(landed.is_some() || told == 0),
                Err(error) => break Some(error),
            }
            if told > 40 {
                break None;
            }
        };
        let Some(failed) = failed else { continue };
        assert!(matches!(failed, HostError::Append(AppendError::Disk(_))), "{failed}");
        let refused = host.tick(at(1000)).unwrap_err();
        assert!(matches!(refused, HostError::Append(AppendError::Poisoned { .. })), "{refused}");
        drop(host);
        assert!(records(Arc::new(disk)).len() >= before, "what was told is there");
    }
}
