//! Segments of a log: it opens or is refused, and what verifies is the beginning of what was written.

use std::sync::Arc;

use abide_host::keys::Keys;
use abide_host::view::View;
use abide_store::{Log, LogOptions, LogReader, MemoryDisk, Position};

use super::{Reached, Target};
use crate::sample::{disk, keys, sample};

pub(super) const TARGET: Target = Target { name: "log", run, seeds };

/// The first byte says which segment the rest stands for; its highest bit, that checksums are mended.
fn seeds() -> Vec<Vec<u8>> {
    let segments = segments().zip(0_u8..);
    segments.flat_map(|((_, bytes), n)| [0, 0x80].map(|mend| [&[n | mend], bytes].concat())).collect()
}

fn segments() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    files().filter(|(path, _)| path.starts_with("log/"))
}

fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    sample().files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
}

fn run(bytes: &[u8]) -> Reached {
    let Some((first, rest)) = bytes.split_first() else { return Reached::of(&"nothing") };
    let n = usize::from(first & 0x7f) % segments().count().max(1);
    let Some((path, _)) = segments().nth(n) else { return Reached::of(&"nothing") };
    let mut segment = rest.to_vec();
    if first & 0x80 != 0 {
        mend(&mut segment);
    }
    // With a snapshot, and without one.
    let ends = [true, false].map(|with_snapshots| {
        let kept = files().filter(|(at, _)| with_snapshots || at.starts_with("log/"));
        let files = kept.map(|(at, bytes)| (at, if at == path { segment.as_slice() } else { bytes }));
        let (Ok(disk), Ok(keys)) = (disk(files), keys()) else {
            return "no disk".to_owned();
        };
        opened(&disk, &keys)
    });
    Reached::of(&ends)
}

/// Reads the log in every way there is. The one that may cut it comes last.
fn opened(disk: &MemoryDisk, keys: &Keys) -> String {
    let shared = || Arc::new(disk.clone());
    let reader = LogReader::open(shared());
    if let Ok(reader) = &reader {
        let frames: Result<Vec<_>, _> = reader.frames(Position::START).collect();
        let sound = reader.verify().is_ok_and(|verification| verification.is_sound());
        if let (Ok(frames), true) = (frames, sound) {
            let records = frames.iter().flat_map(|frame| frame.records());
            let read: Vec<_> = records.map(|record| record.bytes.to_vec()).collect();
            assert!(sample().records.starts_with(&read), "a log verifies that was never written");
        }
    }
    if let Ok(damaged) = LogReader::open_damaged(shared()) {
        let _ = damaged.sound_after(Position::START);
        let _ = damaged.records_of_damaged(Position::START, damaged.end());
        let _ = damaged.bytes_after_end();
    }
    let view = View::open_disk(shared(), None).map(|view| view.list().len());
    let log = keys.signer().map(|signer| Log::open(shared(), LogOptions::new(signer)).map(drop));
    let reader = reader.map(drop).map_err(|error| error.to_string());
    format!("{reader:?} {:?} {:?}", view.map_err(|error| error.to_string()), log.map(|log| log.is_ok()))
}

/// Gives every frame its checksum again.
fn mend(segment: &mut [u8]) {
    let starts: Vec<_> =
        segment.windows(4).enumerate().filter(|(_, four)| four == b"AbFr").map(|(at, _)| at).collect();
    for start in starts {
        let frame = segment.get_mut(start..).unwrap_or_default();
        let len =
            frame.get(8..12).and_then(|len| <[u8; 4]>::try_from(len).ok()).map_or(0, u32::from_le_bytes);
        let covered = usize::try_from(len).ok().and_then(|len| frame.get(8..len));
        let Some(checksum) = covered.map(crc32fast::hash) else { continue };
        frame.get_mut(4..8).into_iter().for_each(|field| field.copy_from_slice(&checksum.to_le_bytes()));
    }
}
