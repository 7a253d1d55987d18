use std::collections::BTreeMap;
use std::fs::{create_dir, create_dir_all, exists, read, read_dir, write};
use std::os::unix::fs::symlink;
use std::thread;

use tempfile::TempDir;

use super::*;

/// A folder for containers, of which `c` and `d` are there.
fn root() -> (TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = Blobs::new(folder.path().to_owned()).open(&folder.path().join("root")).unwrap();
    root.create("c").unwrap();
    root.create("d").unwrap();
    (folder, root)
}

fn put(root: &Root, container: &str, object: &str, value: &[u8]) -> Done<()> {
    let mut draft = root.draft()?;
    draft.append(value)?;
    root.container(container)?.put(draft, object)
}

fn get(root: &Root, container: &str, object: &str) -> Done<Vec<u8>> {
    let mut part = root.container(container)?.part(object, 0, u64::MAX)?;
    part.read_all().map_err(|error| error.to_string())
}

fn list(root: &Root, container: &str) -> Vec<String> {
    let (mut names, is_end) = root.container(container).unwrap().names().unwrap().page(10_000).unwrap();
    assert!(is_end);
    names.sort();
    names
}

/// How many objects are being written, or were left.
fn drafts(root: &Root) -> usize {
    read_dir(root.place.join(NEW)).map_or(0, Iterator::count)
}

#[test]
fn a_provider_keeps_its_containers_where_it_is_configured_to() {
    let blobs = Blobs::new("/data/blobs".into());
    let place = |root: &str| blobs.place("store", &BTreeMap::from([("root".to_owned(), root.to_owned())]));
    assert_eq!(blobs.place("store", &Config::new()).unwrap(), Path::new("/data/blobs/store"));
    assert_eq!(blobs.place("../a", &Config::new()).unwrap(), Path::new("/data/blobs/%2E.%2Fa"));
    assert_eq!(place("/srv/blobs").unwrap(), Path::new("/srv/blobs"));
    assert_eq!(place("fruit").unwrap(), Path::new("/data/blobs/fruit"));
    for wrong in ["", "..", "../x", "/srv/../etc", "a/.."] {
        assert!(place(wrong).unwrap_err().contains("without `..`"), "{wrong}");
    }
}

#[test]
fn objects_are_written_read_listed_and_deleted() {
    let (_folder, root) = root();
    let container = root.container("c").unwrap();
    for name in ["apple", "", "../../x", "a/b", ".", "ü\0"] {
        put(&root, "c", name, name.as_bytes()).unwrap();
        assert_eq!(get(&root, "c", name).unwrap(), name.as_bytes());
        assert_eq!(container.info(name).unwrap().1, name.len() as u64);
    }
    assert_eq!(list(&root, "c"), ["", ".", "../../x", "a/b", "apple", "ü\0"]);
    assert_eq!(read_dir(root.place.join("c")).unwrap().count(), 6);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for created_at in [container.created_at().unwrap(), container.info("apple").unwrap().0] {
        assert!((now - 60..=now).contains(&created_at), "{created_at}");
    }
    put(&root, "c", "apple", b"pear").unwrap();
    assert_eq!(get(&root, "c", "apple").unwrap(), b"pear");
    container.delete(&["apple".to_owned(), "nothing".to_owned(), ".".to_owned()]).unwrap();
    assert_eq!((container.has("apple"), container.has("a/b")), (Ok(false), Ok(true)));
    assert!(get(&root, "c", "apple").unwrap_err().contains("there is no object `apple`"));
    container.clear().unwrap();
    assert_eq!(list(&root, "c"), [""; 0]);
    let long = "a".repeat(256);
    for refused in [
        put(&root, "c", &long, b"x"),
        container.has(&long).map(drop),
        container.delete(std::slice::from_ref(&long)),
        root.create(&long),
    ] {
        assert!(refused.unwrap_err().contains("too long"));
    }
    assert_eq!(drafts(&root), 0);
}

#[test]
fn containers_are_made_and_deleted_with_their_objects() {
    let (_folder, root) = root();
    put(&root, "c", "apple", b"x").unwrap();
    root.create("c").unwrap();
    assert_eq!(list(&root, "c"), ["apple"]);
    for name in ["", "..", "../..", "a/b"] {
        root.create(name).unwrap();
        assert_eq!(root.has(name), Ok(true));
        root.delete(name).unwrap();
        assert_eq!(root.has(name), Ok(false));
    }
    // Where objects are written is no container.
    assert_eq!(root.has(NEW), Ok(false));
    root.delete("c").unwrap();
    assert!(root.container("c").unwrap_err().contains("there is no container `c`"));
    assert!(root.delete("c").is_err() && put(&root, "c", "apple", b"x").is_err());
}

#[test]
fn a_range_includes_both_ends_and_ends_with_the_object() {
    let (_folder, root) = root();
    put(&root, "c", "o", b"0123456789").unwrap();
    put(&root, "c", "empty", b"").unwrap();
    let container = root.container("c").unwrap();
    for (start, end, expected) in [
        (0, 0, "0"),
        (0, 9, "0123456789"),
        (0, u64::MAX, "0123456789"),
        (3, 5, "345"),
        (9, 10, "9"),
        (10, 20, ""),
        (u64::MAX, u64::MAX, ""),
    ] {
        let mut part = container.part("o", start, end).unwrap();
        assert_eq!(part.left(), expected.len() as u64);
        assert_eq!(part.read_all().unwrap(), expected.as_bytes(), "{start} {end}");
    }
    assert_eq!(container.part("empty", 0, 0).unwrap().left(), 0);
    assert!(container.part("o", 5, 3).unwrap_err().contains("ends before it begins"));
    // What is open stays as it is.
    let mut part = container.part("o", 0, u64::MAX).unwrap();
    put(&root, "c", "o", b"x").unwrap();
    root.delete("c").unwrap();
    assert_eq!(part.read_all().unwrap(), b"0123456789");
}

#[test]
fn objects_are_copied_and_moved_between_containers_that_there_are() {
    let (_folder, root) = root();
    put(&root, "c", "a", b"value").unwrap();
    put(&root, "d", "b", b"old").unwrap();
    root.copy(("c", "a"), ("d", "b")).unwrap();
    root.copy(("c", "a"), ("c", "a")).unwrap();
    root.rename(("c", "a"), ("c", "a")).unwrap();
    assert_eq!(
        (get(&root, "c", "a").unwrap(), get(&root, "d", "b").unwrap()),
        (b"value".into(), b"value".into())
    );
    root.rename(("d", "b"), ("c", "../b")).unwrap();
    assert_eq!((list(&root, "c"), list(&root, "d")), (vec!["../b".to_owned(), "a".to_owned()], vec![]));
    for (from, to) in [(("c", "a"), ("e", "a")), (("c", "x"), ("d", "a")), (("e", "a"), ("c", "a"))] {
        assert!(root.copy(from, to).unwrap_err().contains("there is no"));
        assert!(root.rename(from, to).unwrap_err().contains("there is no"));
    }
    assert_eq!((get(&root, "c", "a").unwrap(), drafts(&root)), (b"value".into(), 0));
}

#[test]
fn names_come_in_pages_with_the_end_said_on_the_last() {
    let (_folder, root) = root();
    let all: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    all.iter().for_each(|name| put(&root, "c", name, b"").unwrap());
    let mut names = root.container("c").unwrap().names().unwrap();
    let mut found = Vec::new();
    for (count, is_last) in [(0, false), (10, false), (10, false), (5, true), (1, true)] {
        let (page, is_end) = names.page(count).unwrap();
        assert_eq!(is_end, is_last);
        found.extend(page);
    }
    found.sort_by_key(|name| name.parse::<u32>().unwrap());
    assert_eq!(found, all);
    let mut names = root.container("c").unwrap().names().unwrap();
    assert_eq!(names.skip(20).unwrap(), (20, false));
    assert_eq!(names.skip(u64::MAX).unwrap(), (5, true));
}

#[test]
fn what_others_put_there_is_neither_followed_nor_deleted() {
    let (folder, root) = root();
    let outside = folder.path().join("outside");
    create_dir(&outside).unwrap();
    write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, root.place.join("e")).unwrap();
    symlink(outside.join("secret"), root.place.join("c/link")).unwrap();
    symlink(outside.join("nothing"), root.place.join("c/dangling")).unwrap();
    create_dir_all(root.place.join("c/folder/deeper")).unwrap();
    write(root.place.join("c/two words"), "x").unwrap();
    fs::mkfifoat(fs::CWD, root.place.join("c/pipe"), Mode::RUSR | Mode::WUSR).unwrap();

    assert!(root.container("e").unwrap_err().contains("no folder on the host"));
    assert_eq!((root.has("e"), list(&root, "c")), (Ok(false), vec![]));
    let container = root.container("c").unwrap();
    for name in ["link", "dangling", "folder", "pipe"] {
        assert_eq!(container.has(name), Ok(false));
        assert!(get(&root, "c", name).unwrap_err().contains("no file on the host"), "{name}");
        assert!(root.copy(("c", name), ("d", "x")).is_err() && root.rename(("c", name), ("d", "x")).is_err());
    }
    assert!(container.delete(&["folder".to_owned()]).is_err() && put(&root, "c", "folder", b"x").is_err());
    assert!(root.delete("c").unwrap_err().contains("holds what is no object") && root.delete("e").is_err());
    assert!(
        exists(root.place.join("c/two words")).unwrap()
            && exists(root.place.join("c/folder/deeper")).unwrap()
    );
    // A link is replaced, and not written over.
    put(&root, "c", "link", b"new").unwrap();
    assert_eq!(get(&root, "c", "link").unwrap(), b"new");
    container.delete(&["dangling".to_owned()]).unwrap();
    assert_eq!(read(outside.join("secret")).unwrap(), b"secret");
    assert_eq!((drafts(&root), read_dir(&outside).unwrap().count()), (0, 1));
}

#[test]
fn what_is_not_finished_leaves_no_trace_and_what_is_too_large_is_refused() {
    let (folder, root) = root();
    let mut draft = root.draft().unwrap();
    draft.append(b"half").unwrap();
    draft.size = OBJECT_MAX - 1;
    draft.append(b"x").unwrap();
    assert_eq!(draft.append(b"x").unwrap_err(), "an object has at most 1024 MiB");
    assert_eq!(drafts(&root), 1);
    // Another host looks for leftovers: what is being written is none, and what nobody holds is.
    write(root.place.join(NEW).join("leftover"), "x").unwrap();
    let other = Blobs::new(folder.path().to_owned()).open(&root.place).unwrap();
    assert_eq!(drafts(&other), 1);
    drop(draft);
    assert_eq!(drafts(&root), 0);
}

#[test]
fn of_two_who_write_at_once_one_has_written_all() {
    let (_folder, root) = root();
    let values: Vec<Vec<u8>> = (0..4_u8).map(|n| vec![n; 100_000]).collect();
    put(&root, "c", "o", &values[0]).unwrap();
    thread::scope(|scope| {
        for value in &values {
            scope.spawn(|| (0..20).for_each(|_| put(&root, "c", "o", value).unwrap()));
        }
        for _ in 0..200 {
            assert!(values.contains(&get(&root, "c", "o").unwrap()));
        }
    });
    assert!(values.contains(&get(&root, "c", "o").unwrap()));
    assert_eq!((list(&root, "c"), drafts(&root)), (vec!["o".to_owned()], 0));
}
