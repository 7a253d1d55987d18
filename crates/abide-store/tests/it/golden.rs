//! A small data folder, byte for byte, and an independent reader that was written from the format's page.
//!
//! `ABIDE_GOLDEN=write` writes the folder anew, after a change of the format that its version says.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use abide_store::{Disk, FileDisk, Log, LogOptions, LogReader, LogSigner, Position, Snapshot};

use crate::support::{Plain, append, read_file};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Four commits in two segments under two keys, and a snapshot after the third.
fn write_log(root: &Path) -> Log {
    let signer = |seed| LogSigner::new("abide.example/golden", &[seed; 32]).unwrap();
    let mut log = Log::create(Arc::new(FileDisk::new(root)), LogOptions::new(signer(1))).unwrap();
    let record = |object, text: &str| -> Plain { (object, text.as_bytes().to_vec()) };
    append(&mut log, 1, &[record(0, "genesis of 0"), record(1, ""), record(0, "second of 0")]).unwrap();
    append(&mut log, 2, &[]).unwrap();
    append(&mut log, 5, &[record(3, "first of 3"), record(1, "second of 1")]).unwrap();
    log.write_snapshot(b"the caller's state").unwrap();
    log.rotate_key(signer(2)).unwrap();
    append(&mut log, 6, &[record(0, "third of 0, under another key")]).unwrap();
    log
}

fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let disk = FileDisk::new(root);
    let in_dir = |dir: &str| {
        let entries = disk.list(dir).unwrap_or_default();
        entries.into_iter().map(|entry| format!("{dir}/{}", entry.name)).collect::<Vec<_>>()
    };
    ["log", "snapshots"]
        .iter()
        .flat_map(|dir| in_dir(dir))
        .map(|path| (path.clone(), read_file(&disk, &path)))
        .collect()
}

#[test]
fn the_format_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    drop(write_log(dir.path()));
    let written = files(dir.path());
    if std::env::var("ABIDE_GOLDEN").is_ok_and(|value| value == "write") {
        for (path, bytes) in &written {
            let path = golden().join("data").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    let kept = files(&golden().join("data"));
    assert_eq!(names(&written), names(&kept));
    for ((path, written), (_, kept)) in written.iter().zip(&kept) {
        let differs = written.iter().zip(kept).position(|(a, b)| a != b);
        assert_eq!((differs, written.len()), (None, kept.len()), "{path}");
    }
}

#[test]
fn an_independent_reader_comes_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let log = write_log(dir.path());
    let (succeeded, shown) = read_independently(dir.path());
    assert!(succeeded, "{shown}");
    assert_eq!(shown, show(&log, dir.path()));
}

#[test]
fn an_independent_reader_finds_every_flipped_bit() {
    let dir = tempfile::tempdir().unwrap();
    drop(write_log(dir.path()));
    for (path, bytes) in files(dir.path()) {
        for at in (0..bytes.len()).step_by(41) {
            let mut altered = bytes.clone();
            altered[at] ^= 4;
            std::fs::write(dir.path().join(&path), &altered).unwrap();
            let (succeeded, shown) = read_independently(dir.path());
            assert!(!succeeded, "{path} at {at}: {shown}");
        }
        std::fs::write(dir.path().join(&path), &bytes).unwrap();
    }
}

fn read_independently(root: &Path) -> (bool, String) {
    let script = golden().join("read_log.py");
    let run =
        Command::new("python3").arg(script).arg(root).output().expect("python3 is needed to run this test");
    let text = if run.status.success() { run.stdout } else { run.stderr };
    (run.status.success(), String::from_utf8(text).unwrap())
}

/// What the independent reader prints, from this crate's reading.
fn show(log: &Log, root: &Path) -> String {
    let mut out = String::new();
    let mut key = None;
    let mut base = 0;
    for frame in log.frames(Position::START) {
        let frame = frame.unwrap();
        let verifier = frame.verifier();
        if key != Some(verifier.key_id()) {
            key = Some(verifier.key_id());
            let (origin, id) = (verifier.origin(), verifier.key_id());
            writeln!(out, "segment {base} origin {origin} key {} id {id}", hex(&verifier.key())).unwrap();
        }
        base = frame.end().0;
        let checkpoint = frame.checkpoint();
        let (from, to, tick, time) = (frame.position(), frame.end(), frame.tick(), frame.time());
        let (size, root) = (checkpoint.size, hex(&checkpoint.root));
        writeln!(out, "frame {from} to {to} tick {tick} time {time} size {size} root {root}").unwrap();
        for record in frame.records() {
            let previous = record.previous.map_or(0, |previous| previous.0);
            let (pos, leaf, object) = (record.pos, record.leaf, record.object);
            let (hash, bytes) = (hex(&record.hash()), hex(record.bytes));
            writeln!(
                out,
                "  record {pos} leaf {leaf} object {object} previous {previous} hash {hash} bytes {bytes}"
            )
            .unwrap();
        }
        out += &checkpoint.note;
    }
    out + &show_snapshot(log, root)
}

fn show_snapshot(log: &Log, root: &Path) -> String {
    let reader = LogReader::open(Arc::new(FileDisk::new(root))).unwrap();
    let Snapshot { position, size, tick, state } = reader.snapshot().unwrap();
    let last = log
        .frames(Position::START)
        .map(|frame| frame.unwrap())
        .find(|frame| frame.end() == *position)
        .unwrap();
    let (last_frame, time, state) = (last.position(), last.time(), hex(state));
    format!("snapshot {position} last frame {last_frame} tick {tick} time {time} size {size} state {state}\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
