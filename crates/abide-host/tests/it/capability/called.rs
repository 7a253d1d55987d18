//! A component whose functions effects call: checked before anything runs, called off the tick's thread, bounded.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use abide_core::document::Diagnostic;
use abide_core::time::Span;
use abide_host::behaviour::{Compiler, Images};
use abide_host::effect::{CallError, Called, Request, Target};
use abide_host::manifest::{Application, BehaviourSpec, Manifest, load};
use serde_json::{Value, json};

use super::request;
use super::run::{memory, run_until};

/// `plan` tells a level: an error where it is hotter than 50, without end where it is colder than -50, a trap at 13.
/// `cost` takes a record and gives one. `big` gives 70,000 bytes. `time` tells what the clock shows.
const PLANNER: &str = r#"(component
  (import "wasi:clocks/wall-clock@0.2.0" (instance $clock
    (type $d (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $d)))
    (export "now" (func (result $datetime)))))
  (core module $libc
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 8192))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $mem))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $now (canon lower (func $clock "now") (memory $mem)))
  (core module $m
    (import "libc" "memory" (memory 2))
    (import "clock" "now" (func $now (param i32)))
    (data (i32.const 16) "lowhighfar too hot")
    (func $text (param i32 i32 i32) (result i32)
      (i32.store8 (i32.const 1024) (local.get 0))
      (i32.store (i32.const 1028) (local.get 1))
      (i32.store (i32.const 1032) (local.get 2))
      (i32.const 1024))
    (func (export "plan") (param $cold f64) (param $has i32) (param $wind f64) (result i32)
      (if (f64.gt (local.get $cold) (f64.const 50)) (then (return (call $text (i32.const 1) (i32.const 23) (i32.const 11)))))
      (if (f64.lt (local.get $cold) (f64.const -50)) (then (loop $ever (br $ever))))
      (if (f64.eq (local.get $cold) (f64.const 13)) (then unreachable))
      (if (local.get $has) (then (return (call $text (i32.const 0) (i32.const 19) (i32.const 4)))))
      (call $text (i32.const 0) (i32.const 16) (i32.const 3)))
    (func (export "cost") (param $litres f64) (param $level i32) (result i32)
      (f64.store (i32.const 1024) (f64.mul (local.get $litres) (f64.const 2)))
      (i32.store8 (i32.const 1032) (local.get $level))
      (i32.const 1024))
    (func (export "big") (result i32)
      (i32.store (i32.const 1024) (i32.const 16))
      (i32.store (i32.const 1028) (i32.const 70000))
      (i32.const 1024))
    (func (export "time") (result i64)
      (call $now (i32.const 1024))
      (i64.load (i32.const 1024))))
  (core instance $i (instantiate $m (with "libc" (instance $libc)) (with "clock" (instance (export "now" (func $now))))))
  (func $plan (param "cold" f64) (param "wind" (option f64)) (result (result string (error string)))
    (canon lift (core func $i "plan") (memory $mem) (realloc (func $realloc))))
  (type $level' (enum "idle" "low" "high"))
  (type $burn' (record (field "litres-used" f64) (field "level" $level')))
  (component $planner
    (import "plan" (func $plan (param "cold" f64) (param "wind" (option f64)) (result (result string (error string)))))
    (import "big" (func $big (result string)))
    (import "time" (func $time (result u64)))
    (type $level' (enum "idle" "low" "high"))
    (import "level" (type $level (eq $level')))
    (type $burn' (record (field "litres-used" f64) (field "level" $level)))
    (import "burn" (type $burn (eq $burn')))
    (import "cost" (func $cost (param "of" $burn) (result $burn)))
    (export "plan" (func $plan))
    (export "big" (func $big))
    (export "time" (func $time))
    (export $level2 "level" (type $level))
    (type $burn2' (record (field "litres-used" f64) (field "level" $level2)))
    (export $burn2 "burn" (type $burn2'))
    (export "cost" (func $cost) (func (param "of" $burn2) (result $burn2))))
  (func $big (result string) (canon lift (core func $i "big") (memory $mem)))
  (func $time (result u64) (canon lift (core func $i "time")))
  (export $level "level" (type $level'))
  (type $burn2 (record (field "litres-used" f64) (field "level" $level)))
  (export $burn "burn" (type $burn2))
  (func $cost (param "of" $burn) (result $burn) (canon lift (core func $i "cost") (memory $mem) (realloc (func $realloc))))
  (instance $planner (instantiate $planner
    (with "plan" (func $plan)) (with "big" (func $big)) (with "time" (func $time))
    (with "level" (type $level)) (with "burn" (type $burn)) (with "cost" (func $cost))))
  (export "example:orchard/planner@1.2.0" (instance $planner)))"#;

fn schema(effect: &str) -> String {
    format!(
        "
schema: abide/v1
name: asking
version: 1.0.0
fields:
  asked: {{ type: boolean, default: false }}
  cold: {{ type: number, default: 2.5 }}
  wind: {{ type: number, nullable: true, default: null }}
  level: {{ type: string, maxLength: 100, default: '' }}
  failure: {{ type: string, maxLength: 1000, default: '' }}
mutations:
  ask:
    from: [rule]
    args: {{}}
    set: {{ asked: 'true' }}
    effect: {{ interface: 'example:orchard/planner', {effect}, valid_for: 1h, timeout: 1s, result: answered, error: failed }}
  answered: {{ from: [observation], args: {{ level: {{ $ref: '#/fields/level' }} }}, set: {{ level: args.level }} }}
  failed: {{ from: [observation], args: {{ message: {{ $ref: '#/fields/failure' }} }}, set: {{ failure: args.message }} }}
rules:
  - {{ name: ask, when: '!self.asked', then: {{ mutate: ask }} }}
"
    )
}

fn application(folder: &Path, effect: &str) -> Application {
    fs::write(folder.join("planner.wasm"), wat::parse_str(PLANNER).unwrap()).unwrap();
    fs::write(folder.join("asking.yaml"), schema(effect)).unwrap();
    let text = "
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: { name: asking, annotations: { abide.dev/tick: 2ms } }
spec:
  components:
    - name: asking
      type: object
      properties: { schema: file://./asking.yaml, objects: [one] }
      traits:
        - type: link
          properties: { target: planner, namespace: example, package: orchard, interfaces: [planner] }
    - name: planner
      type: component
      properties: { image: file://./planner.wasm, config: [{ name: usual, properties: { margin: '2' } }] }
";
    let loaded = load(Manifest { file: "app.yaml", text, base: folder }, &|path| fs::read_to_string(path));
    loaded.application.unwrap_or_else(|| panic!("{:?}", loaded.reports))
}

/// What is wrong with an effect, found before anything runs.
fn wrong(effect: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let application = application(folder.path(), effect);
    let found = Images::read(&application, &Compiler::default()).err().unwrap_or_default();
    let line = |d: &Diagnostic| format!("{} ({})", d.message, d.help.clone().unwrap_or_default());
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn calls_are_held_against_the_types_of_the_function() {
    let fits = [
        "function: plan, args: ['${self.cold}', '${self.wind}']",
        "function: plan, args: [3, null]",
        "function: cost, args: [{ litres_used: '${self.cold}', level: '${self.level}' }]",
        "function: big, args: []",
    ];
    for effect in fits {
        assert_eq!(wrong(effect), "", "{effect}");
    }
    let faults = [
        "function: paln, args: []",
        "function: plan, args: ['${self.cold}']",
        "function: plan, args: ['${self.wind}', null]",
        "function: plan, args: [cold, '${self.level}']",
        "function: cost, args: [{ litres_used: 1, level: warm }]",
        "function: cost, args: [{ litres: '${self.cold}', level: low }]",
        "function: cost, args: [{ level: '${self.level}' }]",
        "function: cost, args: ['${self.level}']",
    ];
    let found: Vec<_> = faults.iter().map(|effect| format!("{effect}\n    {}", wrong(effect))).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn what_is_no_component_or_reaches_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let application = application(folder.path(), "function: big, args: []");
    let path = folder.path().join("planner.wasm");
    let found = |bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let found = Images::read(&application, &Compiler::default()).unwrap_err();
        found.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let reaching =
        r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance (export "f" (func)))))"#;
    assert_eq!(found(Some(b"no wasm")), "it is no WebAssembly");
    let reaching = found(Some(&wat::parse_str(reaching).unwrap()));
    assert_eq!(reaching, "it imports `wasi:http/outgoing-handler@0.2.0`, which an act may not");
    assert!(found(None).contains("cannot be read"));
}

fn called() -> (tempfile::TempDir, Called) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("planner.wasm");
    fs::write(&image, wat::parse_str(PLANNER).unwrap()).unwrap();
    let spec = BehaviourSpec { image, config: Default::default(), span: 0..0 };
    (folder, Called::new(Compiler::default().callable(&spec).unwrap()))
}

fn planner(function: &str, args: Vec<Value>) -> Request {
    let timeout = Span::from_millis(20);
    Request { timeout, ..request("example:orchard/planner", function, 1, args) }
}

#[test]
fn a_call_is_answered_and_its_failures_are_final() {
    let (_folder, called) = called();
    let call = |function: &str, args: Vec<Value>| called.call(&planner(function, args));
    assert_eq!(call("plan", vec![json!(2.5), Value::Null]), Ok(json!("low")));
    assert_eq!(call("plan", vec![json!(2), json!(4.0)]), Ok(json!("high")));
    let burn = json!({ "litres_used": 1.5, "level": "high" });
    assert_eq!(call("cost", vec![burn]), Ok(json!({ "litres_used": 3.0, "level": "high" })));

    let failed = |function: &str, args: Vec<Value>| {
        let CallError { message, permanent } = call(function, args).unwrap_err();
        assert!(permanent, "the same call would be answered the same way: {message}");
        message
    };
    assert_eq!(failed("plan", vec![json!(51), Value::Null]), "far too hot");
    assert_eq!(failed("plan", vec![json!(-51), Value::Null]), "it computed for longer than it may");
    assert!(failed("plan", vec![json!(13), Value::Null]).contains("unreachable"));
    assert_eq!(failed("plan", vec![json!(1)]), "it takes 2 arguments, and there are 1");
    assert_eq!(failed("plan", vec![json!("x"), Value::Null]), "the argument `cold`: \"x\" is no f64");
    assert!(failed("big", vec![]).ends_with("at most 65536 are kept"));
    assert!(failed("small", vec![]).contains("there is no function"));
}

#[test]
fn a_call_that_is_made_again_is_answered_as_it_was() {
    let (_folder, called) = called();
    let at = |seconds: i64| {
        let time = abide_core::time::Timestamp(Span::from_secs(seconds).0);
        called.call(&Request { time, ..planner("time", vec![]) }).unwrap()
    };
    assert_eq!((at(90), at(91), at(90)), (json!(90), json!(91), json!(90)), "the time of the record");
}

#[test]
fn in_a_run_the_answer_comes_back_as_an_observation() {
    let answers = [("[2.5, null]", "low", ""), ("[60, null]", "", "far too hot")];
    for (args, level, failure) in answers {
        let folder = tempfile::tempdir().unwrap();
        let application = application(folder.path(), &format!("function: plan, args: {args}"));
        let ran = run_until(folder.path(), &application, 2);
        let memory = memory(&ran, "one");
        assert_eq!((&memory["level"], &memory["failure"]), (&level.into(), &failure.into()));
        assert!(ran.host.pending_effects().is_empty());
    }
}

#[test]
fn one_that_never_ends_holds_up_no_other_call_for_ever() {
    let (_folder, called) = called();
    let called = Arc::new(called);
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let called = Arc::clone(&called);
            let cold = if n % 2 == 0 { -51.0 } else { 1.0 };
            std::thread::spawn(move || called.call(&planner("plan", vec![json!(cold), Value::Null])).is_ok())
        })
        .collect();
    let answered: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
    assert_eq!(answered.iter().filter(|ok| **ok).count(), 10);
}
