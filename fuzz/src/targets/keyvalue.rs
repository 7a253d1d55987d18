//! The key-value target: whatever it is called with, it answers as a map would, and a call that comes again is not applied
//! again.
//!
//! A line of the input is a call: `[effect, function, arguments…]`. Calls of the same effect are one that is delivered again.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use abide_host::effect::{CallError, KeyValue, KeyValueConfig, Request, Target as _};
use serde_json::{Value as Json, json};

use super::{Reached, Target, answer};

pub(super) const TARGET: Target = Target { name: "keyvalue", run, seeds };

/// Most calls of an input: each change is flushed to the disk.
const CALLS_MAX: usize = 8;

fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "[1,\"set\",\"a\",\"k\",{\"x\":[1,2.5,null]}]\n[2,\"get\",\"a\",\"k\"]\n[3,\"delete\",\"a\",\"k\"]\n[4,\"get\",\"a\",\"k\"]",
        "[1,\"increment\",\"a\",\"n\",4]\n[1,\"increment\",\"a\",\"n\",4]\n[2,\"increment\",\"a\",\"n\",9223372036854775807]",
        "[1,\"set\",\"b\",\"k\",\"text\"]\n[2,\"increment\",\"b\",\"k\",1]\n[3,\"set\",\"c\",\"k\",1]\n[4,\"set\",\"a\",\"\",1]",
        "[1,\"set\",\"a\",\"k\",7]\n[2,\"increment\",\"a\",\"k\",-9]\n[3,\"get\",\"b\",\"k\"]\n[2,\"increment\",\"a\",\"k\",-9]",
        "[1,\"get\",\"a\"]\n[2,\"swap\",\"a\",\"k\",1]\n[3,\"set\",1,2,3]\n[4,\"increment\",\"a\",\"k\",1.5]",
    ];
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

fn run(bytes: &[u8]) -> Reached {
    let lines = bytes.split(|byte| *byte == b'\n').take(CALLS_MAX);
    let calls: Vec<Request> = lines.filter_map(read).collect();
    if calls.is_empty() {
        return Reached::of(&"no calls");
    }
    #[expect(clippy::expect_used, reason = "whatever fails here is a finding")]
    let ends = play(&calls).expect("the file is used");
    Reached::of(&ends)
}

fn read(line: &[u8]) -> Option<Request> {
    let call: Vec<Json> = serde_json::from_slice(line).ok()?;
    let [effect, function, args @ ..] = call.as_slice() else { return None };
    let (function, effect) = (function.as_str()?, u8::try_from(effect.as_u64()?).ok()?);
    let interface = if function == "increment" { "wasi:keyvalue/atomics" } else { "wasi:keyvalue/store" };
    Some(Request { key: [effect; 32], ..answer::request(interface, function, args.to_vec()) })
}

fn play(calls: &[Request]) -> Result<Vec<String>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("values");
    let mut map = Map::default();
    let target = open(&path)?;
    let mut ends = Vec::new();
    for call in calls {
        let called = target.call(call);
        map.check(call, &called);
        ends.extend(answer::record(&called));
    }
    drop(target);
    // What was delivered is on the disk.
    let target = open(&path)?;
    for ((bucket, key), value) in &map.values {
        let get = answer::request("wasi:keyvalue/store", "get", vec![json!(bucket), json!(key)]);
        assert_eq!(target.call(&get), Ok(json!({ "key": key, "found": true, "value": value })));
    }
    Ok(ends)
}

fn open(path: &Path) -> std::io::Result<KeyValue> {
    KeyValue::open(path, KeyValueConfig { buckets: vec!["a".to_owned(), "b".to_owned()] })
}

/// What the target must be like.
#[derive(Default)]
struct Map {
    values: BTreeMap<(String, String), Json>,
    applied: BTreeMap<[u8; 32], Json>,
}

impl Map {
    fn check(&mut self, call: &Request, called: &Result<Json, CallError>) {
        let answer = match called {
            Ok(answer) => answer,
            Err(error) => return assert!(error.permanent, "a sound file fails: {error}"),
        };
        let place = text(&call.args, 0).zip(text(&call.args, 1));
        assert!(place.is_some(), "a call without a bucket or a key is answered: {answer}");
        let place = place.unwrap_or_default();
        let now = self.values.get(&place).cloned();
        if &*call.function == "get" {
            let expected = json!({ "key": place.1, "found": now.is_some(), "value": now });
            return assert_eq!(answer, &expected);
        }
        if let Some(before) = self.applied.get(&call.key) {
            return assert_eq!(answer, before, "a call that comes again has another answer");
        }
        self.applied.insert(call.key, answer.clone());
        match &*call.function {
            "set" => drop(self.values.insert(place, call.args.get(2).cloned().unwrap_or_default())),
            "delete" => {
                assert_eq!(answer.get("found"), Some(&json!(now.is_some())));
                self.values.remove(&place);
            }
            _ => {
                let number = |json: Option<&Json>| json.and_then(Json::as_i64);
                let sum = number(call.args.get(2))
                    .and_then(|delta| now.map_or(Some(0), |now| now.as_i64())?.checked_add(delta));
                assert_eq!(number(answer.get("value")), sum, "the sum is another");
                self.values.insert(place, json!(sum));
            }
        }
    }
}

fn text(args: &[Json], at: usize) -> Option<String> {
    args.get(at)?.as_str().map(str::to_owned)
}
