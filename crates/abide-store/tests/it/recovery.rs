//! Recovery and checking: a torn tail is cut, damage is refused, and both are told apart by what follows.

use std::sync::Arc;

use abide_store::merkle::leaf_hash;
use abide_store::{Log, LogOptions, LogReader, LogSigner, MemoryDisk, OpenError, Position};

use crate::support::{
    ORIGIN, append, append_ticks, content, content_read, create, damage, frame_offsets, open, read_file,
    records, segments, ticks, write_file,
};

/// A log of ten ticks in three segments: four, four and two.
fn written() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 10);
    disk
}

fn refusal(disk: &MemoryDisk) -> String {
    let refused = open(disk).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused}");
    refused.to_string()
}

#[test]
fn a_tail_torn_anywhere_is_cut_and_the_log_goes_on() {
    let disk = written();
    let path = segments(&disk).last().unwrap().clone();
    let whole = read_file(&disk, &path);
    let start = usize::try_from(*frame_offsets(&disk, &path).last().unwrap()).unwrap();
    let ticks_before = 9;
    for len in start..whole.len() {
        for tail in [vec![], vec![0; 8], vec![0; whole.len() - len], vec![0xa5; 700]] {
            write_file(&disk, &path, &[&whole[..len], &tail].concat());
            let (mut log, recovery) = open(&disk).unwrap();
            let torn = len - start + tail.len();
            if torn == whole.len() - start && tail.iter().all(|byte| *byte == 0) && whole[len..] == tail {
                continue;
            }
            assert_eq!(recovery.cut_bytes, torn as u64, "{len} bytes");
            assert_eq!(recovery.cut_path.is_some(), torn > 0);
            assert_eq!(content(&log), ticks(0, ticks_before));
            append_ticks(&mut log, ticks_before, ticks_before + 1);
            assert_eq!(content(&log), ticks(0, ticks_before + 1));
        }
    }
}

#[test]
fn damage_before_the_last_frame_is_refused_wherever_it_is() {
    let disk = written();
    for path in segments(&disk) {
        let whole = read_file(&disk, &path);
        let is_last = segments(&disk).last() == Some(&path);
        let end = if is_last { *frame_offsets(&disk, &path).last().unwrap() } else { whole.len() as u64 };
        for offset in 0..end {
            damage(&disk, &path, offset);
            let refused = open(&disk).unwrap_err();
            let told = matches!(refused, OpenError::Damaged(_)) || (8..12).contains(&offset);
            assert!(told, "{path} at {offset}: {refused}");
            assert!(refused.to_string().contains(&path), "{refused}");
            let read = LogReader::open(Arc::new(disk.clone()));
            assert!(read.is_err(), "{path} at {offset}: a reader drops what follows in silence");
            let mut altered = whole.clone();
            altered[usize::try_from(offset).unwrap()] ^= 0x10;
            assert_eq!(read_file(&disk, &path), altered, "nothing is changed");
            write_file(&disk, &path, &whole);
        }
    }
}

#[test]
fn a_reader_tells_a_damaged_header_of_the_only_segment_from_no_store() {
    let disk = MemoryDisk::new();
    append_ticks(&mut create(&disk), 0, 2);
    let path = segments(&disk).pop().unwrap();
    let whole = read_file(&disk, &path);
    let first = frame_offsets(&disk, &path)[0];
    for offset in (0..first).filter(|offset| !(8..12).contains(offset)) {
        damage(&disk, &path, offset);
        let refused = LogReader::open(Arc::new(disk.clone())).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged(_)), "{offset}: {refused}");
        write_file(&disk, &path, &whole);
    }
    write_file(&disk, &path, &whole[..usize::try_from(first).unwrap() - 8]);
    let refused = LogReader::open(Arc::new(disk)).unwrap_err();
    assert!(matches!(refused, OpenError::Missing { .. }), "a host that was killed as it began: {refused}");
}

#[test]
fn the_first_records_of_a_log_are_a_log() {
    let disk = written();
    let path = segments(&disk)[1].clone();
    let whole = LogReader::open(Arc::new(disk.clone())).unwrap();
    for records in 0..=31 {
        let first = whole.first(records).unwrap();
        let frames = (records / 3).min(10);
        assert_eq!(content_read(&first), ticks(0, frames), "{records}");
        assert_eq!(first.checkpoint().map_or(0, |checkpoint| checkpoint.size), frames * 3);
        assert!(first.verify().unwrap().is_sound());
        let lineage = first.head(0).into_iter().flat_map(|head| first.lineage(head));
        let lineage: Vec<_> = lineage.map(Result::unwrap).collect();
        assert_eq!(lineage.len() as u64, frames * 2, "{records}: the heads are those of its end");
    }
    damage(&disk, &path, frame_offsets(&disk, &path)[1]);
    let damaged = LogReader::open_damaged(Arc::new(disk)).unwrap();
    assert_eq!(content_read(&damaged.first(u64::MAX).unwrap()), ticks(0, 5), "up to the damage");
}

#[test]
fn damage_of_the_last_frame_alone_cannot_be_told_from_a_torn_one() {
    let disk = written();
    let path = segments(&disk).last().unwrap().clone();
    let whole = read_file(&disk, &path);
    let start = *frame_offsets(&disk, &path).last().unwrap();
    for offset in start..whole.len() as u64 {
        damage(&disk, &path, offset);
        let (log, recovery) = open(&disk).unwrap();
        assert_eq!(
            (recovery.cut_bytes, content(&log)),
            (whole.len() as u64 - start, ticks(0, 9)),
            "byte {offset}"
        );
        drop(log);
        write_file(&disk, &path, &whole);
    }
}

#[test]
fn the_refusal_names_file_place_and_reason() {
    let disk = written();
    let paths = segments(&disk);
    let second = frame_offsets(&disk, &paths[0])[1];
    damage(&disk, &paths[0], second + 100);
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000000000.seg` is damaged at byte 656: the frame there does not have its checksum, and the log goes on in the next segment; nothing was changed: restore the data folder from a copy");
    damage(&disk, &paths[0], second + 100);

    let last = paths.last().unwrap();
    damage(&disk, last, frame_offsets(&disk, last)[0] + 4);
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000004432.seg` is damaged at byte 136: the frame there does not have its checksum, and a whole frame follows at byte 656; nothing was changed: restore the data folder from a copy");
    damage(&disk, last, frame_offsets(&disk, last)[0] + 4);

    damage(&disk, last, 0);
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000004432.seg` is damaged at byte 0: there is no segment header, and a whole frame follows at byte 136; nothing was changed: restore the data folder from a copy");
    damage(&disk, last, 0);

    let whole = read_file(&disk, &paths[0]);
    write_file(&disk, &paths[0], &whole[..whole.len() - 8]);
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000000000.seg` is damaged at byte 2208: the segment ends at position 2208, and the next starts at 2216; nothing was changed: restore the data folder from a copy");
    write_file(&disk, &paths[0], &whole);

    abide_store::Disk::remove(&disk, &paths[0]).unwrap();
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000002216.seg` is damaged at byte 0: the segments before it are missing; nothing was changed: restore the data folder from a copy");
}

#[test]
fn a_later_format_is_refused_by_writer_and_reader() {
    let disk = written();
    for path in segments(&disk) {
        let whole = read_file(&disk, &path);
        let mut later = whole.clone();
        later[8] = 2;
        write_file(&disk, &path, &later);
        let refused = open(&disk).unwrap_err();
        assert!(matches!(refused, OpenError::Newer { version: 2, .. }), "{refused}");
        let refused = LogReader::open(Arc::new(disk.clone())).unwrap_err();
        assert!(matches!(refused, OpenError::Newer { version: 2, .. }), "{refused}");
        write_file(&disk, &path, &whole);
    }
    let path = segments(&disk)[0].clone();
    let mut later = read_file(&disk, &path);
    later[8] = 2;
    write_file(&disk, &path, &later);
    insta::assert_snapshot!(open(&disk).unwrap_err(), @"`memory:log/00000000000000000000.seg` has format version 2, and this program reads up to version 1; use a newer one");
}

#[test]
fn a_last_segment_without_its_header_or_its_frame_was_never_acknowledged() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 20);
    drop(log);
    let path = segments(&disk).last().unwrap().clone();
    let whole = read_file(&disk, &path);
    let first_frame = usize::try_from(frame_offsets(&disk, &path)[0]).unwrap();
    let second_frame = usize::try_from(frame_offsets(&disk, &path)[1]).unwrap();
    let kept = {
        write_file(&disk, &path, &[]);
        content(&open(&disk).unwrap().0)
    };
    for len in [0, 1, first_frame - 1, first_frame, first_frame + 1, second_frame - 1] {
        write_file(&disk, &path, &whole[..len]);
        let reader = LogReader::open(Arc::new(disk.clone())).unwrap();
        assert_eq!(content_read(&reader), kept, "{len}");
        let (log, recovery) = open(&disk).unwrap();
        assert_eq!((recovery.cut_bytes, content(&log)), (len as u64, kept.clone()), "{len}");
    }
    assert!(!segments(&disk).contains(&path));
}

#[test]
fn a_frame_inside_a_torn_record_does_not_pass_for_one_that_follows() {
    let disk = MemoryDisk::new();
    // A log of the same shape under another key, whose second frame stands where the bytes of a record will.
    let forged = {
        let other = MemoryDisk::new();
        let signer = LogSigner::new(ORIGIN, &[66; 32]).unwrap();
        let mut log = Log::create(Arc::new(other.clone()), LogOptions::new(signer)).unwrap();
        append(&mut log, 0, &[(0, vec![0; 8])]).unwrap();
        append(&mut log, 1, &[(0, vec![1; 8])]).unwrap();
        let bytes = read_file(&other, &segments(&other)[0]);
        let start = frame_offsets(&other, &segments(&other)[0])[1];
        bytes[usize::try_from(start).unwrap()..].to_vec()
    };
    let mut log = create(&disk);
    let end = log.end().0;
    // Records of the real log start 56 + 24 bytes into their frame; the forged frame claims the place it stands at, and
    // the real log's key.
    let mut forged = forged;
    let place = end + 80;
    forged[16..24].copy_from_slice(&place.to_le_bytes());
    forged[48..52].copy_from_slice(&crate::support::signer().verifier().key_id().0);
    // The field for the record before, which must not point forward.
    forged[64..72].fill(0);
    let checksum = crc32(&forged[8..]);
    forged[4..8].copy_from_slice(&checksum.to_le_bytes());
    append(&mut log, 0, &[(0, forged)]).unwrap();
    drop(log);
    let path = segments(&disk)[0].clone();
    let whole = read_file(&disk, &path);
    write_file(&disk, &path, &whole[..whole.len() - 1]);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!((content(&log), recovery.cut_bytes), (vec![], whole.len() as u64 - 1 - end));
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn a_log_shorter_than_its_snapshot_has_lost_something() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 4);
    log.write_snapshot(b"state").unwrap();
    drop(log);
    let path = segments(&disk)[0].clone();
    let whole = read_file(&disk, &path);
    for len in [whole.len() - 1, whole.len() - 100] {
        write_file(&disk, &path, &whole[..len]);
        assert!(refusal(&disk).contains("had come to position"));
    }
    let start = *frame_offsets(&disk, &path).last().unwrap();
    write_file(&disk, &path, &whole[..usize::try_from(start).unwrap()]);
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000000000.seg` is damaged at byte 1696: the log ends there, but `memory:snapshots/00000000000000002216.snap` shows that it had come to position 2216; nothing was changed: restore the data folder from a copy");
}

#[test]
fn an_altered_record_under_a_mended_checksum_is_found_by_its_root() {
    let disk = written();
    let path = segments(&disk)[0].clone();
    let at = usize::try_from(frame_offsets(&disk, &path)[1]).unwrap();
    let mut bytes = read_file(&disk, &path);
    let len = usize::try_from(u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap())).unwrap();
    bytes[at + 90] ^= 1;
    let checksum = crc32(&bytes[at + 8..at + len]);
    bytes[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
    let log = open(&disk).unwrap().0;
    write_file(&disk, &path, &bytes);
    let found = log.verify().unwrap();
    let told: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @"`memory:log/00000000000000000000.seg` is damaged at byte 656: the records up to there do not have the root that the frame states: some were altered");
    assert_eq!((found.frames, found.root), (10, None));
    drop(log);
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000000000.seg` is damaged at byte 656: the records up to there do not have the root that the frame states: some were altered; nothing was changed: restore the data folder from a copy");
}

#[test]
fn checking_tells_all_problems_and_goes_on() {
    let disk = written();
    let log = open(&disk).unwrap().0;
    let paths = segments(&disk);
    damage(&disk, &paths[0], frame_offsets(&disk, &paths[0])[1] + 60);
    damage(&disk, &paths[1], 20);
    let last = paths.last().unwrap();
    let whole = read_file(&disk, last);
    write_file(&disk, last, &whole[..whole.len() - 3]);
    let found = log.verify().unwrap();
    let told: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    `memory:log/00000000000000000000.seg` is damaged at byte 656: the frame there does not have its checksum
    `memory:log/00000000000000002216.seg` is damaged at byte 0: the segment header does not have its checksum
    `memory:log/00000000000000004432.seg` is damaged at byte 656: the frame there is cut short
    ");
    assert_eq!((found.frames, found.root, found.is_sound()), (8, None, false));
    abide_store::Disk::remove(&disk, &paths[1]).unwrap();
    assert!(log.verify().unwrap().problems.iter().any(|problem| problem.what == "the segment is missing"));
}

#[test]
fn a_signature_that_is_not_the_log_keys_is_told() {
    let disk = MemoryDisk::new();
    let mut log = create(&disk);
    append_ticks(&mut log, 0, 2);
    let path = segments(&disk)[0].clone();
    let mut bytes = read_file(&disk, &path);
    let at = usize::try_from(frame_offsets(&disk, &path)[1]).unwrap();
    let last = bytes.len() - 1;
    bytes[last - 40] ^= 1;
    let checksum = crc32(&bytes[at + 8..]);
    bytes[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
    write_file(&disk, &path, &bytes);
    let found = log.verify().unwrap();
    assert_eq!(found.problems.len(), 1);
    insta::assert_snapshot!(found.problems[0], @"`memory:log/00000000000000000000.seg` is damaged at byte 656: the signature of the frame there is not the log key's");
    drop(log);
    insta::assert_snapshot!(refusal(&disk), @"`memory:log/00000000000000000000.seg` is damaged at byte 656: the signature of the last frame is not the log key's; nothing was changed: restore the data folder from a copy");
}

#[test]
fn a_store_whose_creation_was_cut_short_is_created_anew() {
    let disk = MemoryDisk::new();
    drop(create(&disk));
    let path = segments(&disk)[0].clone();
    let whole = read_file(&disk, &path);
    for len in 0..whole.len() {
        write_file(&disk, &path, &whole[..len]);
        assert!(matches!(open(&disk), Err(OpenError::Missing { .. })));
        assert!(matches!(LogReader::open(Arc::new(disk.clone())), Err(OpenError::Missing { .. })));
        drop(create(&disk));
        assert_eq!(read_file(&disk, &path), whole);
    }
    let (mut log, _) = open(&disk).unwrap();
    append(&mut log, 0, &records(0)).unwrap();
    let first = log.frames(Position::START).next().unwrap().unwrap();
    assert_eq!(first.records().next().unwrap().hash(), leaf_hash(&records(0)[0].1));
}
