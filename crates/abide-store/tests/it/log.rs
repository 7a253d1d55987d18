//! The log in good times: appending, reading back, snapshots, blobs, keys, and what it refuses.

use std::sync::Arc;

use abide_store::merkle::{Tree, leaf_hash};
use abide_store::{
    AppendError, BlobError, Commit, Disk, Entry, Faults, FaultyDisk, FileDisk, Log, LogOptions, LogReader,
    LogSigner, MemoryDisk, OBJECTS_MAX, OpenError, Position, ReadError, RecordPos, SnapshotError,
};

use crate::support::{
    Plain, append, append_ticks, content, content_read, create, damage, lineage, open, options, read_file,
    records, segments, signer, ticks, write_file,
};

#[test]
fn what_is_appended_is_read_back_and_the_root_is_that_of_all_records() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(dir.path().join("data"));
    let mut log = create(&disk);
    assert_eq!((log.checkpoint(), content(&log)), (None, vec![]));
    append_ticks(&mut log, 0, 40);
    assert!(segments(&disk).len() > 3);
    assert_eq!(content(&log), ticks(0, 40));
    let leaves =
        ticks(0, 40).into_iter().flat_map(|(_, records)| records).map(|(_, bytes)| leaf_hash(&bytes));
    let tree = Tree::new(leaves);
    let checkpoint = log.checkpoint().unwrap().clone();
    assert_eq!((checkpoint.size, Some(checkpoint.root)), (120, tree.root(120)));
    assert_eq!((checkpoint.tick, checkpoint.time), (39, 39_000));
    drop(log);

    let (mut log, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.frames, recovery.records, recovery.cut_bytes), (40, 120, 0));
    assert_eq!(recovery.checkpoint.as_ref(), Some(&checkpoint));
    append_ticks(&mut log, 40, 60);
    assert_eq!(content(&log), ticks(0, 60));
    let found = log.verify().unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.frames, found.records, found.root), (60, 180, Some(log.checkpoint().unwrap().root)));
}

#[test]
fn a_lineage_is_walked_back_across_segments_and_restarts() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 20);
    drop(log);
    let (mut log, _) = open(&disk).unwrap();
    append_ticks(&mut log, 20, 30);
    for object in 0..2 {
        let of_object =
            |(_, records): (u64, Vec<Plain>)| records.into_iter().filter(move |(o, _)| *o == object);
        let expected: Vec<_> = ticks(0, 30).into_iter().flat_map(of_object).map(|(_, bytes)| bytes).collect();
        assert_eq!(lineage(&log, log.head(object)), expected);
    }
    assert_eq!(log.head(2), None);
    assert_eq!(log.head(u32::MAX), None);
}

#[test]
fn empty_and_large_records_and_empty_commits_are_kept() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    let large: Vec<Plain> =
        vec![(5, vec![]), (5, vec![b'A'; 3_000_000]), (5, vec![]), (0, b"AbFr".repeat(999))];
    append(&mut log, 1, &[]).unwrap();
    append(&mut log, 2, &large).unwrap();
    append(&mut log, 3, &[]).unwrap();
    assert_eq!(log.checkpoint().unwrap().size, 4);
    assert_eq!(lineage(&log, log.head(5)), [vec![], vec![b'A'; 3_000_000], vec![]]);
    drop(log);
    let (log, _) = open(&disk).unwrap();
    assert_eq!(content(&log), [(1, vec![]), (2, large), (3, vec![])]);
}

#[test]
fn frames_start_from_any_boundary_and_from_no_other_place() {
    let mut log = create(&MemoryDisk::new());
    append_ticks(&mut log, 0, 20);
    let all: Vec<_> = log.frames(Position::START).map(|frame| frame.unwrap()).collect();
    for (index, frame) in all.iter().enumerate() {
        let from: Vec<_> = log.frames(frame.position()).map(|frame| frame.unwrap().tick()).collect();
        assert_eq!(from, (index as u64..20).collect::<Vec<_>>());
        assert_eq!(log.frames(frame.end()).count(), 19 - index);
        assert_eq!(frame.checkpoint().size, index as u64 * 3 + 3);
        assert_eq!(
            signer().verifier().verify_note(&frame.checkpoint().note).map(|(size, _)| size),
            Some(index as u64 * 3 + 3)
        );
    }
    let wrong = Position(all[3].position().0 + 8);
    assert!(matches!(log.frames(wrong).next(), Some(Err(ReadError::Damaged(_)))));
    assert_eq!(log.frames(wrong).count(), 1, "it ends after an error");
    let after = Position(log.end().0 + 1);
    assert!(matches!(log.frames(after).next(), Some(Err(ReadError::Absent { .. }))));
    assert!(matches!(log.record(RecordPos(log.end().0)), Err(ReadError::Absent { .. })));
    assert!(matches!(log.record(RecordPos(8)), Err(ReadError::Damaged(_))));
}

#[test]
fn records_and_frames_agree() {
    let mut log = create(&MemoryDisk::new());
    append_ticks(&mut log, 0, 10);
    let mut leaf = 0;
    for frame in log.frames(Position::START) {
        for record in frame.unwrap().records() {
            let read = log.record(record.pos).unwrap();
            assert_eq!((read.object, read.leaf, read.previous), (record.object, leaf, record.previous));
            assert_eq!((read.bytes.as_slice(), read.hash()), (record.bytes, record.hash()));
            leaf += 1;
        }
    }
    assert_eq!(leaf, 30);
}

#[test]
fn a_commit_is_staged_while_the_one_before_is_on_its_way() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    for tick in (0..40).step_by(2) {
        let (first, second) = (records(tick), records(tick + 1));
        stage(&mut log, tick, &first);
        let before = log.end();
        let job = log.begin_flush().unwrap();
        stage(&mut log, tick + 1, &second);
        assert_eq!(log.end(), before, "nothing is seen before it is flushed");
        assert!(matches!(log.begin_flush(), Err(AppendError::Order(_))));
        assert!(log.reader().is_none());
        assert!(matches!(log.write_snapshot(b""), Err(SnapshotError::Unflushed)));
        let flushed = std::thread::spawn(|| job.run()).join().unwrap();
        assert_eq!(log.finish_flush(flushed).unwrap().tick, tick);
        assert_eq!(log.flush().unwrap().tick, tick + 1);
    }
    assert_eq!(content(&log), ticks(0, 40));
    assert!(matches!(log.flush(), Err(AppendError::Order(_))));
    drop(log);
    assert_eq!(content(&open(&disk).unwrap().0), ticks(0, 40));
}

fn stage(log: &mut Log, tick: u64, records: &[Plain]) {
    let entries =
        records.iter().map(|(object, bytes)| Entry { object: *object, bytes, hash: leaf_hash(bytes) });
    log.stage(Commit { tick, time: 0, entries }).unwrap();
}

#[test]
fn a_refused_commit_leaves_no_trace() {
    let mut log = create(&MemoryDisk::new());
    append_ticks(&mut log, 0, 3);
    let bad = [(0, b"a".to_vec()), (9, b"b".to_vec()), (0, b"c".to_vec()), (OBJECTS_MAX, b"d".to_vec())];
    let heads = [log.head(0), log.head(9)];
    insta::assert_snapshot!(append(&mut log, 3, &bad).unwrap_err(), @"object number 16777216 is out of bounds: a store holds 16777216 objects");
    assert_eq!([log.head(0), log.head(9)], heads);
    append_ticks(&mut log, 3, 6);
    assert_eq!(content(&log), ticks(0, 6));
    assert!(log.verify().unwrap().is_sound());
}

#[test]
fn a_commit_larger_than_a_frame_is_refused() {
    let mut log = create(&MemoryDisk::new());
    let bytes = vec![0; 1 << 28];
    let hash = leaf_hash(&bytes);
    let entries = (0..4).map(|object| Entry { object, bytes: &bytes, hash });
    let refused = log.append(Commit { tick: 7, time: 0, entries }).unwrap_err();
    insta::assert_snapshot!(refused, @"the commit at tick 7 is larger than 1073741824 bytes; spread it over several ticks");
    append_ticks(&mut log, 0, 2);
    assert_eq!(content(&log), ticks(0, 2));
}

#[test]
fn a_store_without_its_empty_folders_goes_on() {
    let (disk, copy) = (MemoryDisk::new(), MemoryDisk::new());
    append_ticks(&mut create(&disk), 0, 3);
    copy.create_dir("log").unwrap();
    for path in segments(&disk) {
        write_file(&copy, &path, &read_file(&disk, &path));
    }
    let (mut log, _) = open(&copy).unwrap();
    log.write_snapshot(b"state").unwrap();
    log.blobs().put(b"component").unwrap();
    append_ticks(&mut log, 3, 4);
    drop(log);
    assert_eq!(open(&copy).unwrap().1.snapshot.unwrap().state, b"state");
}

#[test]
fn a_snapshot_spares_reading_what_is_before_it() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    for round in 0..4 {
        append_ticks(&mut log, round * 10, round * 10 + 10);
        log.write_snapshot(format!("state {round}").as_bytes()).unwrap();
    }
    append_ticks(&mut log, 40, 42);
    assert_eq!(disk.list("snapshots").unwrap().len(), 2);
    let (checkpoint, heads) = (log.checkpoint().cloned(), [log.head(0), log.head(1)]);
    drop(log);
    let (log, recovery) = open(&disk).unwrap();
    let snapshot = recovery.snapshot.unwrap();
    assert_eq!((recovery.frames, snapshot.size, snapshot.tick), (2, 120, 39));
    assert_eq!(snapshot.state, b"state 3");
    let after: Vec<_> = log.frames(snapshot.position).map(|frame| frame.unwrap().tick()).collect();
    assert_eq!(after, [40, 41]);
    assert_eq!((log.checkpoint().cloned(), [log.head(0), log.head(1)]), (checkpoint, heads));
}

#[test]
fn a_snapshot_at_the_very_end_is_enough_to_go_on_from() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    for round in 0..12 {
        append_ticks(&mut log, round, round + 1);
        log.write_snapshot(b"").unwrap();
        let checkpoint = log.checkpoint().cloned();
        drop(log);
        let (reopened, recovery) = open(&disk).unwrap();
        assert_eq!((recovery.frames, reopened.checkpoint()), (0, checkpoint.as_ref()));
        log = reopened;
    }
    assert_eq!(content(&log), ticks(0, 12));
    assert!(log.verify().unwrap().is_sound());
}

#[test]
fn a_snapshot_of_an_empty_log_does_no_harm() {
    let disk = MemoryDisk::new();
    let log = create(&disk);
    log.write_snapshot(b"nothing").unwrap();
    drop(log);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.snapshot, log.checkpoint()), (None, None));
}

#[test]
fn a_damaged_snapshot_gives_way_to_the_older_and_then_to_the_log() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    for round in 0..2 {
        append_ticks(&mut log, round * 10, round * 10 + 10);
        log.write_snapshot(format!("state {round}").as_bytes()).unwrap();
    }
    drop(log);
    let names: Vec<_> =
        disk.list("snapshots").unwrap().into_iter().map(|e| format!("snapshots/{}", e.name)).collect();
    damage(&disk, &names[1], 100);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.snapshots_ignored, [format!("memory:{}", names[1])]);
    assert_eq!((recovery.frames, recovery.snapshot.unwrap().state), (10, b"state 0".to_vec()));
    drop(log);
    damage(&disk, &names[0], 20);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.frames, recovery.snapshot, recovery.snapshots_ignored.len()), (20, None, 2));
    assert_eq!(content(&log), ticks(0, 20));
}

#[test]
fn a_reader_sees_whole_frames_while_a_writer_writes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(dir.path().join("data"));
    let mut log = create(&disk);
    let mut reader = LogReader::open(Arc::new(disk.clone())).unwrap();
    assert_eq!((reader.checkpoint(), content_read(&reader)), (None, vec![]));
    for round in 0..10 {
        append_ticks(&mut log, round * 3, round * 3 + 3);
        assert_eq!(reader.refresh().unwrap(), 3);
        assert_eq!(content_read(&reader), ticks(0, round * 3 + 3));
        assert_eq!(reader.checkpoint(), log.checkpoint());
        assert_eq!([reader.head(0), reader.head(1)], [log.head(0), log.head(1)]);
    }
    assert_eq!(reader.refresh().unwrap(), 0);
    log.write_snapshot(b"state").unwrap();
    append_ticks(&mut log, 30, 32);
    let reader = LogReader::open(Arc::new(disk)).unwrap();
    assert_eq!(reader.snapshot().unwrap().state, b"state");
    assert_eq!((reader.checkpoint(), reader.head(1)), (log.checkpoint(), log.head(1)));
    assert_eq!(reader.lineage(reader.head(0).unwrap()).count(), 64);
    assert!(reader.verify().unwrap().is_sound());
    assert_eq!(content_read(&log.reader().unwrap()), ticks(0, 32));
}

#[test]
fn a_reader_stops_before_a_frame_that_is_not_whole_yet() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 3);
    let path = segments(&disk)[0].clone();
    let whole = read_file(&disk, &path);
    let last = usize::try_from(*crate::support::frame_offsets(&disk, &path).last().unwrap()).unwrap();
    drop(log);
    for len in last..whole.len() {
        write_file(&disk, &path, &whole[..len]);
        let mut reader = LogReader::open(Arc::new(disk.clone())).unwrap();
        assert_eq!(content_read(&reader), ticks(0, 2), "{len} bytes");
        write_file(&disk, &path, &whole);
        assert_eq!(reader.refresh().unwrap(), 1);
        assert_eq!(content_read(&reader), ticks(0, 3));
    }
}

#[test]
fn a_new_key_takes_force_with_a_segment() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 2);
    let new = LogSigner::new(crate::support::ORIGIN, &[9; 32]).unwrap();
    log.rotate_key(new.clone()).unwrap();
    append_ticks(&mut log, 2, 4);
    assert!(matches!(log.rotate_key(LogSigner::new("other", &[9; 32]).unwrap()), Err(AppendError::Order(_))));
    let note = &log.checkpoint().unwrap().note;
    assert!(new.verifier().verify_note(note).is_some() && signer().verifier().verify_note(note).is_none());
    let found = log.verify().unwrap();
    assert!(found.is_sound());
    let keys: Vec<_> = found.keys.iter().map(|key| (key.size, key.verifier.key_id())).collect();
    assert_eq!(keys, [(0, signer().verifier().key_id()), (6, new.verifier().key_id())]);
    drop(log);
    insta::assert_snapshot!(open(&disk).unwrap_err(), @"the store in `memory:` is the log of `abide.example/host` under key c069a356, and the key given is d1a89b3c of `abide.example/host`; use the host's own key");
    let (log, _) = Log::open(Arc::new(disk), LogOptions::new(new)).unwrap();
    assert_eq!(content(&log), ticks(0, 4));
}

#[test]
fn one_process_writes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(dir.path().join("data"));
    let log = create(&disk);
    let here = dir.path().display().to_string();
    let shown = |error: OpenError| {
        error.to_string().replace(&here, "…").replace(&std::process::id().to_string(), "N")
    };
    insta::assert_snapshot!(shown(open(&disk).unwrap_err()), @"the store in `…/data` is in use by process N; stop it, or talk to it through its socket");
    insta::assert_snapshot!(shown(Log::create(Arc::new(disk.clone()), options()).unwrap_err()), @"the store in `…/data` is in use by process N; stop it, or talk to it through its socket");
    drop(log);
    insta::assert_snapshot!(shown(Log::create(Arc::new(disk.clone()), options()).unwrap_err()), @"there is a store in `…/data` already; open it, or name another data folder");
    open(&disk).unwrap();
}

#[test]
fn a_folder_without_a_store_is_said_so_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(dir.path());
    assert!(matches!(open(&disk), Err(OpenError::Missing { .. })));
    assert!(matches!(LogReader::open(Arc::new(disk.clone())), Err(OpenError::Missing { .. })));
    assert_eq!(disk.list("").unwrap(), []);
    let nowhere = FileDisk::new(dir.path().join("none"));
    assert!(matches!(open(&nowhere), Err(OpenError::Missing { .. })));
    insta::assert_snapshot!(open(&MemoryDisk::new()).unwrap_err(), @"there is no store in `memory:`; name the right data folder, or create a store there");
}

#[test]
fn a_full_disk_is_said_so_and_loses_nothing_acknowledged() {
    let disk = FaultyDisk::new(3, Faults { bytes_max: Some(5_000), ..Faults::default() });
    let mut log = create(&disk);
    let mut acknowledged = 0;
    let full = loop {
        match append(&mut log, acknowledged, &records(acknowledged)) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    insta::assert_snapshot!(full, @"the disk is full: cannot write `faulty:log/00000000000000004432.seg` at byte 0: no storage space; nothing acknowledged is lost: free some space, then start again");
    insta::assert_snapshot!(append(&mut log, acknowledged, &records(acknowledged)).unwrap_err(), @"the log takes no more commits since an earlier write failed (cannot write `faulty:log/00000000000000004432.seg` at byte 0: no storage space); look after the disk, then start again");
    assert!(matches!(log.write_snapshot(b""), Err(SnapshotError::Poisoned { .. })));
    assert!(log.reader().is_none());
    assert_eq!(content(&log), ticks(0, acknowledged), "what is flushed can still be read");
    drop(log);
    disk.set_faults(Faults::default());
    let (mut log, recovery) = open(&disk).unwrap();
    assert!(recovery.cut_bytes > 0);
    append_ticks(&mut log, acknowledged, acknowledged + 10);
    assert_eq!(content(&log), ticks(0, acknowledged + 10));
}

#[test]
fn a_failed_flush_is_final() {
    // The three flushes of creating the log come first.
    let disk = FaultyDisk::new(3, Faults { failing_sync_at: Some(5), ..Faults::default() });
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 2);
    insta::assert_snapshot!(append(&mut log, 2, &records(2)).unwrap_err(), @"cannot flush `faulty:log/00000000000000000000.seg`: the device reported an error while flushing; the log takes no more commits: look after the disk, then start again");
    assert!(matches!(append(&mut log, 2, &records(2)), Err(AppendError::Poisoned { .. })));
    assert!(matches!(log.rotate_key(signer()), Err(AppendError::Poisoned { .. })));
}

#[test]
fn blobs_are_kept_by_their_digest() {
    let disk = MemoryDisk::new();
    let log = create(&disk);
    let blobs = log.blobs();
    let digest = blobs.put(b"component").unwrap();
    assert_eq!(blobs.put(b"component").unwrap(), digest);
    assert_eq!(blobs.get(&digest).unwrap(), b"component");
    blobs.put(b"").unwrap();
    let names: Vec<_> = disk.list("blobs").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), 2);
    assert!(matches!(blobs.get(&[0; 32]), Err(BlobError::Absent { .. })));
    let path = format!("blobs/{}", names.iter().find(|name| !name.starts_with("e3b0c442")).unwrap());
    damage(&disk, &path, 3);
    insta::assert_snapshot!(blobs.get(&digest).unwrap_err(), @"`memory:blobs/6985ca1f4daa5a584a28eae043a239cb96689af1337ea13afb63e00c2bf512fa` is damaged: its bytes have the digest 4abe0fc9f4026212a55a29f96f9de61657bff8297c18d1b2dde99162435423d7; fetch it again");
    blobs.put(b"component").unwrap();
    assert_eq!(blobs.get(&digest).unwrap(), b"component", "a sound copy mends a damaged one");
}
