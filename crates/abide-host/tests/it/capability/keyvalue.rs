//! Values that are kept, and what is done once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use abide_host::effect::{CallError, KEY_BYTES_MAX, KeyValue, KeyValueConfig, Target, VALUE_BYTES_MAX};
use serde_json::{Value, json};

struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keyvalue-t.redb")
    }

    fn open(&self) -> KeyValue {
        let config = KeyValueConfig { buckets: vec!["a".to_owned(), "b".to_owned()] };
        KeyValue::open(&self.path(), config).unwrap()
    }
}

fn store(target: &KeyValue, function: &str, seq: u64, args: Vec<Value>) -> Result<Value, CallError> {
    target.call(&super::request("wasi:keyvalue/store", function, seq, args))
}

fn increment(target: &KeyValue, seq: u64, key: &str, delta: i64) -> Result<Value, CallError> {
    let args = vec![json!("a"), json!(key), json!(delta)];
    target.call(&super::request("wasi:keyvalue/atomics", "increment", seq, args))
}

fn get(target: &KeyValue, bucket: &str, key: &str) -> Value {
    store(target, "get", 0, vec![json!(bucket), json!(key)]).unwrap()
}

#[test]
fn what_was_set_is_there_after_a_restart() {
    let kept = Kept::new();
    let target = kept.open();
    let value = json!({ "level": [1, 2.5, null, "ü"] });
    assert_eq!(
        store(&target, "set", 1, vec![json!("a"), json!("k"), value.clone()]),
        Ok(json!({ "key": "k" }))
    );
    assert_eq!(increment(&target, 2, "n", 5), Ok(json!({ "key": "n", "value": 5 })));
    assert_eq!(increment(&target, 3, "n", -7), Ok(json!({ "key": "n", "value": -2 })));
    drop(target);
    let target = kept.open();
    assert_eq!(get(&target, "a", "k"), json!({ "key": "k", "found": true, "value": value }));
    assert_eq!(get(&target, "a", "n")["value"], -2);
    assert_eq!(
        get(&target, "b", "k"),
        json!({ "key": "k", "found": false, "value": null }),
        "buckets are apart"
    );
    let delete = |seq| store(&target, "delete", seq, vec![json!("a"), json!("k")]);
    assert_eq!(delete(4), Ok(json!({ "key": "k", "found": true })));
    assert_eq!(delete(5), Ok(json!({ "key": "k", "found": false })));
    assert_eq!(get(&target, "a", "k")["found"], false);
    assert_eq!(fs::metadata(kept.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_delivered_again_is_done_once_also_after_a_restart() {
    let kept = Kept::new();
    let target = kept.open();
    let first = increment(&target, 1, "n", 5);
    assert_eq!(increment(&target, 2, "n", 1), Ok(json!({ "key": "n", "value": 6 })));
    assert_eq!(increment(&target, 1, "n", 5), first, "the answer is that of the first time");
    drop(target);
    let target = kept.open();
    assert_eq!(increment(&target, 1, "n", 5), first);
    assert_eq!(get(&target, "a", "n")["value"], 6);
    let set = |seq, value| store(&target, "set", seq, vec![json!("a"), json!("k"), json!(value)]).unwrap();
    set(3, "old");
    set(4, "new");
    set(3, "old");
    assert_eq!(
        get(&target, "a", "k")["value"],
        "new",
        "a late delivery does not bring back what was replaced"
    );
}

#[test]
fn an_increment_does_not_overflow() {
    let kept = Kept::new();
    let target = kept.open();
    increment(&target, 1, "n", i64::MAX).unwrap();
    let error = increment(&target, 2, "n", 1).unwrap_err();
    assert!(error.permanent);
    insta::assert_snapshot!(error, @"`n` is 9223372036854775807, and 1 more does not fit into 64 bits");
    increment(&target, 3, "m", i64::MIN).unwrap();
    assert!(increment(&target, 4, "m", -1).unwrap_err().permanent);
    assert_eq!(get(&target, "a", "n")["value"], i64::MAX);
    store(&target, "set", 5, vec![json!("a"), json!("t"), json!("text")]).unwrap();
    let error = increment(&target, 6, "t", 1).unwrap_err();
    insta::assert_snapshot!(error, @"the value of `t` is no integer; set it to one before it is incremented");
}

#[test]
fn increments_of_two_at_once_are_all_counted() {
    let kept = Kept::new();
    let target = Arc::new(kept.open());
    let threads: Vec<_> = (0..2)
        .map(|object| {
            let target = Arc::clone(&target);
            thread::spawn(move || {
                for n in 0..20 {
                    increment(&target, object * 100 + n, "n", 1).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(get(&target, "a", "n")["value"], 40);
}

#[test]
fn keys_values_and_buckets_are_bounded() {
    let kept = Kept::new();
    let target = kept.open();
    let set = |seq, key: &str, value: Value| store(&target, "set", seq, vec![json!("a"), json!(key), value]);
    assert!(set(1, &"k".repeat(KEY_BYTES_MAX), json!("x".repeat(VALUE_BYTES_MAX - 2))).is_ok());
    let mut said = vec![
        set(2, &"k".repeat(KEY_BYTES_MAX + 1), json!(1)),
        set(3, "", json!(1)),
        set(4, "k", json!("x".repeat(VALUE_BYTES_MAX - 1))),
    ];
    said.push(store(&target, "get", 5, vec![json!("c"), json!("k")]));
    said.push(store(&target, "get", 6, vec![json!("a"), json!(1)]));
    said.push(store(&target, "get", 7, vec![json!("a")]));
    said.push(store(&target, "exists", 8, vec![json!("a"), json!("k")]));
    let said: Vec<_> = said.into_iter().map(|result| result.unwrap_err()).collect();
    assert!(said.iter().all(|error| error.permanent));
    let said: Vec<_> = said.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_damaged_file_is_said_when_it_is_opened() {
    let kept = Kept::new();
    let target = kept.open();
    for seq in 0..50 {
        store(&target, "set", seq, vec![json!("a"), json!(format!("k{seq}")), json!("x".repeat(200))])
            .unwrap();
    }
    drop(target);
    let sound = fs::read(kept.path()).unwrap();
    let open = || KeyValue::open(&kept.path(), KeyValueConfig { buckets: vec!["a".to_owned()] });
    // Text of a value in the middle of the file, the whole of it, and its end.
    let place = sound.windows(50).position(|bytes| bytes == [b'x'; 50]).unwrap();
    let mut touched = sound.clone();
    touched[place] = b'y';
    for bytes in [touched, b"not a store".repeat(1000), sound[..sound.len() / 2].to_vec()] {
        fs::write(kept.path(), bytes).unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains("keyvalue-t.redb` is damaged (") && error.contains("restore it"), "{error}");
    }
    fs::write(kept.path(), sound).unwrap();
    assert_eq!(get(&open().unwrap(), "a", "k7")["found"], true);
}

#[test]
fn one_process_has_the_file() {
    let kept = Kept::new();
    let _first = kept.open();
    let error = KeyValue::open(&kept.path(), KeyValueConfig { buckets: Vec::new() }).unwrap_err().to_string();
    assert!(error.ends_with("is in use by another process; stop it first"), "{error}");
}
