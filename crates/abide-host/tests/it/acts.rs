//! Acts done again: whatever a guest does with what it is given, its lineage executes to the same records.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use abide_core::guest::{Behaviour, config_bytes};
use abide_core::policy::Policy;
use abide_core::record::{Event, Hash};
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_host::behaviour::Behaviours;
use abide_host::history::replay;
use abide_host::keys::Keys;
use abide_host::view::{Lineage, View};
use abide_host::{Beginning, Host};
use abide_store::MemoryDisk;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const SCHEMA: &str = "
schema: abide/v1
name: pump
version: 1.0.0
fields: { level: { type: number, minimum: -1000, maximum: 1000, default: 1.5 } }
mutations:
  observe: { from: [observation], args: { to: { $ref: '#/fields/level' } }, set: { level: args.to } }
  set_level: { from: [behaviour], args: { to: { $ref: '#/fields/level' } }, set: { level: args.to } }
rules: [ { name: r, when: now >= now, every: 10s, then: { act: plan } } ]
behaviour: { fuel: 300000, memory: 1048576 }
";

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A number that an act may depend on.
fn integer(random: &mut Random, depth: u32) -> String {
    match random.below(if depth == 0 { 7 } else { 10 }) {
        0 => format!("(i64.const {})", random.below(5)),
        1 => "(local.get $tick)".to_owned(),
        2 => "(local.get $now)".to_owned(),
        3 => "(call $random)".to_owned(),
        4 => "(i64.reinterpret_f64 (local.get $level))".to_owned(),
        5 => "(i64.extend_i32_u (local.get $attempts))".to_owned(),
        6 => "(i64.load (i32.const 256))".to_owned(),
        _ => {
            let operation = ["add", "mul", "xor", "shr_u", "rotl"][usize::try_from(random.below(5)).unwrap()];
            format!("(i64.{operation} {} {})", integer(random, depth - 1), integer(random, depth - 1))
        }
    }
}

/// A value for the level, mostly one within its bounds.
fn level(random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("(f64.div (local.get $level) (f64.const {}))", random.below(4)),
        1 => "(f64.add (local.get $level) (f64.const 0.1))".to_owned(),
        2 => format!("(f64.reinterpret_i64 {})", integer(random, 1)),
        3 => "(f64.sqrt (local.get $level))".to_owned(),
        _ => format!("(f64.convert_i64_s (i64.rem_s {} (i64.const 1200)))", integer(random, 2)),
    }
}

/// What an act does: a choice between two, or steps, or something that comes to no answer.
fn body(random: &mut Random, depth: u32) -> String {
    if depth > 0 {
        let bit = random.below(3);
        return format!(
            "(if (i64.eqz (i64.and (i64.shr_u {} (i64.const {bit})) (i64.const 1))) (then {}) (else {}))",
            integer(random, 2),
            body(random, depth - 1),
            body(random, depth - 1)
        );
    }
    let mut text = String::new();
    for _ in 0..random.below(3) {
        write!(text, "(call $set {}) ", level(random)).unwrap();
    }
    text += &match random.below(24) {
        0 => "(unreachable)".to_owned(),
        1 => "(call $fail)".to_owned(),
        2 => "(loop $l (br $l))".to_owned(),
        3 => "(loop $l (drop (memory.grow (i32.const 4))) (br $l))".to_owned(),
        4 => "(global.set $count (i32.const 65))".to_owned(),
        5 => "(call $retry)".to_owned(),
        6 | 7 => format!("(call $after (i64.and {} (i64.const 0xfffffffff)))", integer(random, 1)),
        8 => format!("(drop (i64.div_s (i64.const 1) (i64.and {} (i64.const 1))))", integer(random, 1)),
        9 => format!("(drop (i64.load (i32.wrap_i64 {})))", integer(random, 1)),
        10 => "(call $retry) (call $set (f64.const 1))".to_owned(),
        11 => "(call $recur)".to_owned(),
        // What an act leaves in its memory, the next does not find.
        12..15 => format!("(i64.store (i32.const 256) {})", integer(random, 1)),
        15 if random.below(3) == 0 => "(call $terminate)".to_owned(),
        _ => String::new(),
    };
    text
}

/// A component of the world of [`SCHEMA`] that has random numbers of WASI.
fn component(random: &mut Random) -> Vec<u8> {
    let body = body(random, 3);
    let text = format!(
        r#"(component
  (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
  (type $cycle' (record (field "object" string) (field "tick" u64) (field "now" s64) (field "rule" string) (field "attempts" u32) (field "slope" (option f64))))
  (export $cycle "cycle" (type $cycle'))
  (type $memory' (record (field "level" f64)))
  (export $memory "memory" (type $memory'))
  (type $args' (record (field "to" f64)))
  (export $args "args" (type $args'))
  (type $mutation' (variant (case "set-level" $args)))
  (export $mutation "mutation" (type $mutation'))
  (type $wake' (variant (case "time" s64) (case "after" s64)))
  (export $wake "wake" (type $wake'))
  (type $spawn' (record (field "schema" string) (field "values" string) (field "budget" f64) (field "refill" f64) (field "links" (list string))))
  (export $spawn "spawn" (type $spawn'))
  (type $step' (variant (case "mutate" $mutation) (case "spawn" $spawn) (case "sleep" $wake) (case "retry") (case "terminate")))
  (export $step "step" (type $step'))
  (core func $lrandom (canon lower (func $random "get-random-u64")))
  (core module $m
    (import "h" "random" (func $random (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 300) "no reason")
    (global $next (mut i32) (i32.const 32768))
    (global $count (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3))))
    (func $add (param i32) (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (i32.add (i32.const 2000) (i32.mul (global.get $count) (i32.const 48)))
      (i32.store8 (i32.add (i32.const 2000) (i32.mul (global.get $count) (i32.const 48))) (local.get 0)))
    (func $set (param f64) (f64.store offset=16 (call $add (i32.const 0)) (local.get 0)))
    (func $after (param i64) (local $at i32)
      (local.set $at (call $add (i32.const 2)))
      (i32.store8 offset=8 (local.get $at) (i32.const 1))
      (i64.store offset=16 (local.get $at) (local.get 0)))
    (func $retry (drop (call $add (i32.const 3))))
    (func $terminate (drop (call $add (i32.const 4))))
    (func $recur (call $recur) (drop (call $add (i32.const 0))))
    (func $fail (i32.store8 (i32.const 1024) (i32.const 1)))
    (func (export "plan") (param $object i32) (param $object_len i32) (param $tick i64) (param $now i64) (param $rule i32) (param $rule_len i32)
      (param $attempts i32) (param $has_slope i32) (param $slope f64) (param $level f64) (result i32)
      {body}
      (if (i32.load8_u (i32.const 1024))
        (then (i32.store (i32.const 1028) (i32.const 300)) (i32.store (i32.const 1032) (i32.const 9)))
        (else (i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (global.get $count))))
      (i32.const 1024)))
  (core instance $i (instantiate $m (with "h" (instance (export "random" (func $lrandom))))))
  (func (export "plan") (param "cycle" $cycle) (param "memory" $memory) (result (result (list $step) (error string)))
    (canon lift (core func $i "plan") (memory $i "memory") (realloc (func $i "realloc")))))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start.saturating_add(Span::from_secs(seconds))
}

/// A host in memory, after so many ticks of an object that acts by a component.
fn run(keys: &Keys, component: &[u8], random: &mut Random) -> MemoryDisk {
    let schema = Arc::new(Schema::load(SCHEMA).unwrap().0);
    let disk = MemoryDisk::new();
    let mut host = Host::open(Arc::new(disk.clone()), keys, true, at(0)).unwrap();
    let blobs = host.log().blobs();
    let config = config_bytes(&BTreeMap::new());
    blobs.put(component).unwrap();
    blobs.put(&config).unwrap();
    let digest = |bytes: &[u8]| Hash(Sha256::digest(bytes).into());
    let behaviour = Behaviour { component: digest(component), config: digest(&config) };
    let beginning = Beginning {
        id: "o".into(),
        schema,
        behaviour: Some(behaviour),
        policy: Policy::default(),
        values: Vec::new(),
    };
    host.begin(&[], &[beginning]).unwrap();
    for n in 1..30 {
        if random.below(3) == 0 {
            let to = i64::try_from(random.below(2_100)).unwrap() - 1_050;
            host.observe("o", "observe", &json!({ "to": to })).unwrap();
        }
        host.tick(at(n * 10)).unwrap();
    }
    host.finish().unwrap();
    disk
}

/// What the records of the object are, counted.
fn kinds(view: &View, seen: &mut BTreeMap<String, u32>) {
    for record in view.records(Lineage::of(view.object("o").unwrap())).unwrap() {
        let kind = match &record.unwrap().record.event {
            Event::Denial(denied) => {
                format!("{:?} {}", denied.reason.code, denied.reason.value.as_deref().unwrap_or_default())
            }
            Event::Mutation(mutated) => format!("{:?}", mutated.caller.kind()),
            event => abide_core::record::encode::KINDS[usize::from(event.kind())].to_owned(),
        };
        *seen.entry(kind).or_default() += 1;
    }
}

#[test]
fn whatever_a_guest_does_executes_to_the_same_records() {
    // The seed of an act is of its lineage, and that of the host's keys.
    let keys = Keys::from_seeds([1; 32], [2; 32], [3; 32]).unwrap();
    let alone = std::env::var("ABIDE_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let mut seen = BTreeMap::new();
    for seed in alone.map_or(0..80, |seed| seed..seed + 1) {
        let random = &mut Random(seed);
        let component = component(random);
        let disk = run(&keys, &component, random);
        let view = View::open_disk(Arc::new(disk), None).unwrap();
        let object = view.object("o").unwrap();
        let again = Behaviours::new(view.reader().blobs(), Arc::default());
        let done = replay(&view, object, None, Some(&again)).unwrap();
        let told = || format!("seed {seed}, which `ABIDE_SEED={seed}` runs alone: {:#?}", done.problems);
        assert!(done.agrees(), "{}", told());
        assert_eq!((done.live_equal, done.executed), (Some(true), Some(done.records)), "{}", told());
        kinds(&view, &mut seen);
    }
    // Or the guests would say little.
    let faults = ["error", "trap", "fuel", "memory", "answer"].map(|fault| format!("Act {fault}"));
    for kind in faults.iter().map(String::as_str).chain(["Behaviour", "sleep", "retry", "terminate"]) {
        assert!(alone.is_some() || seen.get(kind).is_some_and(|count| *count >= 3), "{kind}: {seen:#?}");
    }
}
