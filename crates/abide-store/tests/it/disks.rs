//! One conformance suite over all disks, and what the real one and the faulty one do beyond it.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use abide_store::{Disk, Faults, FaultyDisk, FileDisk, LockError, MemoryDisk, OpenMode};

use crate::support::{read_file, write_file};

fn conforms(disk: &impl Disk) {
    creates_and_lists(disk);
    reads_and_writes(disk);
    renames_and_removes(disk);
    locks(disk);
}

fn creates_and_lists(disk: &impl Disk) {
    let kind = |error: std::io::Error| error.kind();
    disk.create_dir("").unwrap();
    assert_eq!(disk.list("none").map_err(kind), Err(ErrorKind::NotFound));
    assert_eq!(disk.open("none/x", OpenMode::CreateNew).map(drop).map_err(kind), Err(ErrorKind::NotFound));
    disk.create_dir("a/b").unwrap();
    disk.create_dir("a/b").unwrap();
    assert_eq!(disk.list("a").unwrap(), [], "a folder is not a file");
    assert_eq!(disk.open("a/x", OpenMode::Read).map(drop).map_err(kind), Err(ErrorKind::NotFound));
    assert_eq!(disk.open("a/x", OpenMode::Write).map(drop).map_err(kind), Err(ErrorKind::NotFound));
    disk.open("a/x", OpenMode::CreateNew).unwrap();
    assert_eq!(disk.open("a/x", OpenMode::CreateNew).map(drop).map_err(kind), Err(ErrorKind::AlreadyExists));
    write_file(disk, "a/c", b"12345");
    let listed: Vec<_> = disk.list("a").unwrap().into_iter().map(|entry| (entry.name, entry.len)).collect();
    assert_eq!(listed, [("c".to_owned(), 5), ("x".to_owned(), 0)]);
}

fn reads_and_writes(disk: &impl Disk) {
    let file = disk.open("a/data", OpenMode::CreateNew).unwrap();
    file.write_at(4, b"5678").unwrap();
    assert_eq!(read_file(disk, "a/data"), b"\0\0\0\x005678", "a gap reads as zeros");
    file.write_at(2, b"34").unwrap();
    let mut buffer = [0xff; 4];
    assert_eq!(file.read_at(6, &mut buffer).unwrap(), 2);
    assert_eq!(buffer, [b'7', b'8', 0xff, 0xff]);
    assert_eq!(file.read_at(8, &mut buffer).unwrap(), 0);
    assert_eq!(file.read_at(1 << 40, &mut buffer).unwrap(), 0);
    assert_eq!(file.read_at(0, &mut []).unwrap(), 0);
    file.set_len(3).unwrap();
    file.set_len(5).unwrap();
    assert_eq!(read_file(disk, "a/data"), b"\0\x003\0\0", "what was cut off does not come back");
    file.sync_data().unwrap();
    let again = disk.open("a/data", OpenMode::Write).unwrap();
    again.write_at(5, b"!").unwrap();
    assert_eq!(file.size().unwrap(), 6, "one file, two handles");
    write_file(disk, "a/data", b"new");
    assert_eq!(read_file(disk, "a/data"), b"new");
}

fn renames_and_removes(disk: &impl Disk) {
    let kind = |error: std::io::Error| error.kind();
    write_file(disk, "a/from", b"from");
    write_file(disk, "a/to", b"to");
    disk.rename("a/from", "a/to").unwrap();
    assert_eq!(read_file(disk, "a/to"), b"from");
    assert_eq!(disk.rename("a/from", "a/to").map_err(kind), Err(ErrorKind::NotFound));
    assert_eq!(disk.rename("a/to", "none/to").map_err(kind), Err(ErrorKind::NotFound));
    let held = disk.open("a/to", OpenMode::Read).unwrap();
    disk.remove("a/to").unwrap();
    assert_eq!(held.size().unwrap(), 4, "an open file outlives its name");
    assert_eq!(disk.remove("a/to").map_err(kind), Err(ErrorKind::NotFound));
    disk.sync_dir("a").unwrap();
    disk.sync_dir("").unwrap();
}

fn locks(disk: &impl Disk) {
    let guard = disk.lock("lock").unwrap();
    let refused = disk.lock("lock").unwrap_err();
    assert!(matches!(refused, LockError::Held { pid: Some(pid) } if pid == std::process::id()), "{refused}");
    drop(guard);
    drop(disk.lock("lock").unwrap());
    disk.lock("lock").unwrap();
}

#[test]
fn the_real_disk_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&FileDisk::new(dir.path().join("new/data")));
}

#[test]
fn the_memory_disk_conforms() {
    conforms(&MemoryDisk::new());
}

#[test]
fn the_faulty_disk_without_faults_conforms() {
    conforms(&FaultyDisk::new(1, Faults::default()));
}

#[test]
fn the_real_disk_keeps_to_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(dir.path().join("data"));
    disk.create_dir("").unwrap();
    disk.create_dir("log").unwrap();
    write_file(&disk, "log/x", b"");
    drop(disk.lock("lock").unwrap());
    let mode = |path: &str| std::fs::metadata(disk.root().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("log"), mode("log/x"), mode("lock")], [0o700, 0o700, 0o600, 0o600]);
}

#[test]
fn what_is_flushed_survives_and_what_is_not_may_not() {
    let mut lost = 0;
    let mut kept = 0;
    for seed in 0..64 {
        let disk = FaultyDisk::new(seed, Faults::default());
        disk.create_dir("d").unwrap();
        disk.sync_dir("").unwrap();
        let file = disk.open("d/file", OpenMode::CreateNew).unwrap();
        file.write_at(0, &[1; 1000]).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir("d").unwrap();
        file.write_at(1000, &[2; 1000]).unwrap();
        let survivor = disk.survivor(Faults::default());
        let bytes = read_file(&survivor, "d/file");
        assert_eq!(bytes[..1000], [1; 1000]);
        if bytes[1000..] == [2; 1000] { kept += 1 } else { lost += 1 }
    }
    assert!(lost > 10 && kept > 5, "lost {lost}, kept {kept}");
}

#[test]
fn names_that_are_not_flushed_may_be_lost_and_a_rename_is_atomic() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let disk = FaultyDisk::new(seed, Faults::default());
        write_file(&disk, "old", b"old");
        disk.open("old", OpenMode::Write).unwrap().sync_data().unwrap();
        disk.sync_dir("").unwrap();
        disk.rename("old", "new").unwrap();
        let survivor = disk.survivor(Faults::default());
        let names: Vec<_> = survivor.list("").unwrap().into_iter().map(|entry| entry.name).collect();
        seen.insert(names);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [["new"], ["old"]]);
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = FaultyDisk::new(1, Faults { bytes_max: Some(10), ..Faults::default() });
    let file = disk.open("file", OpenMode::CreateNew).unwrap();
    file.write_at(0, &[1; 10]).unwrap();
    file.write_at(0, &[2; 10]).unwrap();
    assert_eq!(file.write_at(5, &[3; 10]).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(read_file(&disk, "file"), [2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
}

#[test]
fn the_power_goes_once_and_for_all() {
    let disk = FaultyDisk::new(1, Faults { crash_at: Some(2), ..Faults::default() });
    let file = disk.open("file", OpenMode::CreateNew).unwrap();
    file.write_at(0, b"1").unwrap();
    assert!(!disk.crashed());
    assert!(file.write_at(1, b"2").is_err());
    assert!(disk.crashed());
    assert!(file.size().is_err() && disk.list("").is_err() && file.sync_data().is_err());
    assert!(disk.survivor(Faults::default()).list("").is_ok());
}

#[test]
fn a_failed_flush_is_not_made_good_by_the_next() {
    let lost = (0..32).filter(|seed| {
        let disk = FaultyDisk::new(*seed, Faults { failing_sync_at: Some(1), ..Faults::default() });
        let file = disk.open("file", OpenMode::CreateNew).unwrap();
        disk.sync_dir("").unwrap();
        file.write_at(0, &[1; 100]).unwrap();
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(read_file(&disk, "file"), [1; 100], "the system still shows it");
        read_file(&disk.survivor(Faults::default()), "file") != [1; 100]
    });
    assert!(lost.count() > 8);
}
