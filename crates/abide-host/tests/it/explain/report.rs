//! Reports on logs that do not verify: what stands before the first thing that is wrong is told, and nothing else.

use std::sync::Arc;

use abide_core::record::Event;
use abide_host::report::{Ground, Report};
use abide_store::{Disk, MemoryDisk, OpenMode};

use super::scenario::{Lie, all, lamp, rewritten};

fn report(disk: &MemoryDisk) -> Result<Report, abide_host::HostError> {
    Ground::open_disk(Arc::new(disk.clone()), None)?.report(None)
}

#[test]
fn whatever_verifies_is_told_as_a_whole() {
    for (name, run) in all() {
        let report = report(&run.disk).unwrap();
        assert_eq!((report.sound_records, report.absent), (None, Vec::new()), "{name}");
        assert_eq!(report.verified.sound_records, report.verified.records, "{name}");
        assert_eq!(report.objects.len(), run.host.engine().objects().len(), "{name}");
    }
}

#[test]
fn a_flipped_byte_leaves_what_stands_before_it() {
    let run = lamp();
    let whole = report(&run.disk).unwrap();
    let lengths = |report: &Report| -> Vec<u64> {
        report.objects.iter().filter_map(|o| o.shown["lineage"]["length"].as_u64()).collect()
    };
    let file = run.disk.open("log/00000000000000000000.seg", OpenMode::Write).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    let mut before = 0;
    for offset in (0..bytes.len()).step_by(97).filter(|offset| !(8..12).contains(offset)) {
        let at = offset as u64;
        file.write_at(at, &[bytes[offset] ^ 0x40]).unwrap();
        let told = report(&run.disk).unwrap_or_else(|error| panic!("byte {offset}: {error}"));
        let sound = told.sound_records.unwrap_or(told.verified.records);
        assert!(sound >= before && sound < whole.verified.records, "byte {offset}: {sound} after {before}");
        assert!(lengths(&told) <= lengths(&whole), "byte {offset}");
        assert_eq!(told.sound_records.is_none(), told.verified.is_verified(), "byte {offset}");
        assert!(told.to_html().contains(if told.verified.is_verified() {
            "Verified"
        } else {
            "Not verified"
        }));
        before = sound;
        file.write_at(at, &[bytes[offset]]).unwrap();
    }
    assert!(before + 10 > whole.verified.records, "{before}");
}

#[test]
fn a_record_that_may_have_been_altered_is_not_told() {
    let run = lamp();
    // Whoever has the log key alters what an observation said, and leaves the records after it as they are: that it was this
    // one, and not the next, nothing tells.
    let mut altered = None;
    let mut leaf = 0;
    let disk = rewritten(&run, false, |record| {
        leaf += 1;
        let mut record = record.clone();
        match &mut record.event {
            Event::Denial(denied) if altered.is_none() => denied.reason.message = "nothing of note".into(),
            _ => return Lie::Keep,
        }
        altered = Some(leaf - 1);
        Lie::Other(Box::new(record))
    });
    let told = report(&disk).unwrap();
    let altered = altered.unwrap();
    assert!(told.sound_records.unwrap() <= altered, "{:?} of {altered}", told.sound_records);
    assert!(
        told.verified.problems.iter().all(|problem| problem.leaf > Some(altered)),
        "it is no problem itself"
    );
    assert!(!told.to_html().contains("nothing of note"));
}
