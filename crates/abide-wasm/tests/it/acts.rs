//! What a guest is given, and what becomes of what it gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::guest::{Act, ActError, ActSpawn, ActStep, Fault, Level, Wake};
use abide_core::record::{Code, Hash};
use abide_core::schema::MutationIx;
use abide_core::time::{Span, Timestamp};
use abide_core::value::Value;
use abide_wasm::{Options, Sandbox};

use crate::guests::{calling, guest, load, schema, with_act, with_parts};
use crate::neighbours::hours;
use crate::worlds::{componentize, resolved};

const CONFIG: &str = r#"(import "wasi:config/store@0.2.0-draft" (instance $config
    (type $error' (variant (case "upstream" string) (case "io" string))) (export "error" (type $error (eq $error')))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))
    (export "get-all" (func (result (result (list (tuple string string)) (error $error)))))))"#;

/// The text that the guest answers with as an error.
fn said(component: &[u8], config: &[(&str, &str)]) -> String {
    let schema = schema("");
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let component = Sandbox::new(Options::default()).unwrap().load(&schema, component, config).unwrap();
    let error = with_act(&schema, |act| component.act(act)).answer.unwrap_err();
    assert_eq!(error.fault, Fault::Error, "{}", error.message);
    error.message
}

/// The numbers that the guest answers with as times to wake, on an act of that head.
fn numbers(component: &[u8], head: [u8; 32], now: i64) -> Vec<i64> {
    let schema = schema("");
    let component = load(&schema, component).unwrap();
    let answer = with_act(&schema, |act| {
        component.act(&Act { head: Hash(head), now: Timestamp(now), ..*act }).answer.unwrap()
    });
    let number = |step| match step {
        ActStep::Sleep(Wake::At(time)) => time.0,
        other => panic!("{other:?}"),
    };
    answer.into_iter().map(number).collect()
}

#[test]
fn the_configuration_reaches_an_act() {
    let lowered =
        [("get", "$config \"get\"", "(param i32 i32 i32)"), ("all", "$config \"get-all\"", "(param i32)")];
    let parts = r#"(data (i32.const 300) "mode") (data (i32.const 310) "none") (data (i32.const 320) "=") (data (i32.const 330) ";")"#;
    let get = "(call $get (i32.const 300) (i32.const 4) (i32.const 512))
        (if (i32.load8_u (i32.const 512)) (then (unreachable)))
        (if (i32.load8_u (i32.const 516))
          (then (call $say (i32.load (i32.const 520)) (i32.load (i32.const 524))))
          (else (call $say (i32.const 310) (i32.const 4))))
        (call $said)";
    let get = calling(CONFIG, &lowered, parts, get);
    assert_eq!(said(&get, &[("mode", "fast"), ("margin", "0.5")]), "fast");
    assert_eq!(said(&get, &[("mode", "")]), "");
    assert_eq!(said(&get, &[("margin", "0.5")]), "none");

    let all = "(call $all (i32.const 512))
        (if (i32.load8_u (i32.const 512)) (then (unreachable)))
        (block $done (loop $next
          (br_if $done (i32.eq (local.get $n) (i32.load (i32.const 520))))
          (local.set 0 (i32.add (i32.load (i32.const 516)) (i32.mul (local.get $n) (i32.const 16))))
          (call $say (i32.load (local.get 0)) (i32.load offset=4 (local.get 0)))
          (call $say (i32.const 320) (i32.const 1))
          (call $say (i32.load offset=8 (local.get 0)) (i32.load offset=12 (local.get 0)))
          (call $say (i32.const 330) (i32.const 1))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $next)))
        (call $said)";
    let all = calling(CONFIG, &lowered, parts, all);
    assert_eq!(said(&all, &[("mode", "fast"), ("a", "ä€"), ("b", "")]), "a=ä€;b=;mode=fast;");
    assert_eq!(said(&all, &[]), "");
}

const CLOCKS: &str = r#"(import "wasi:clocks/wall-clock@0.2.3" (instance $wall
    (type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32))) (export "datetime" (type $datetime (eq $datetime')))
    (export "now" (func (result $datetime)))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $monotonic (export "now" (func (result u64)))))"#;

#[test]
fn time_is_the_cycles_and_stands_still() {
    let lowered = [("wall", "$wall \"now\"", "(param i32)"), ("mono", "$monotonic \"now\"", "(result i64)")];
    let body = "(call $number (call $mono))
        (call $wall (i32.const 512))
        (call $number (i64.load (i32.const 512))) (call $number (i64.load32_u (i32.const 520)))
        (loop $wait (br_if $wait (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100000))))
        (call $wall (i32.const 512))
        (call $number (i64.load (i32.const 512))) (call $number (i64.load32_u (i32.const 520)))
        (call $number (call $mono))
        (call $numbers)";
    let component = calling(CLOCKS, &lowered, "", body);
    for now in [1_700_000_000_123_456_789, 0, 999_999_999, i64::MAX] {
        let (seconds, part) = (now / 1_000_000_000, now % 1_000_000_000);
        let expected = [now, seconds, part, seconds, part, now];
        assert_eq!(numbers(&component, [3; 32], now), expected);
    }
    // WASI knows no time before 1970.
    assert_eq!(numbers(&component, [3; 32], -5), [0; 6]);
}

#[test]
fn random_numbers_follow_from_the_head() {
    let imports = r#"(import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))
            (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
        (import "wasi:random/insecure@0.2.1" (instance $insecure (export "get-insecure-random-u64" (func (result u64)))))"#;
    let lowered = [
        ("next", "$random \"get-random-u64\"", "(result i64)"),
        ("bytes", "$random \"get-random-bytes\"", "(param i64 i32)"),
        ("insecure", "$insecure \"get-insecure-random-u64\"", "(result i64)"),
    ];
    let body = "(call $number (call $next)) (call $number (call $next)) (call $number (call $insecure))
        (call $bytes (i64.const 16) (i32.const 512))
        (if (i32.ne (i32.load (i32.const 516)) (i32.const 16)) (then (unreachable)))
        (call $number (i64.load (i32.load (i32.const 512)))) (call $number (i64.load offset=8 (i32.load (i32.const 512))))
        (call $numbers)";
    let component = calling(imports, &lowered, "", body);
    let of = |head, now| numbers(&component, head, now);
    let first = of([3; 32], 5);
    assert_eq!(of([3; 32], 6), first, "of nothing but the head");
    let mut differing = [3; 32];
    for n in 0..32 {
        differing[n] = 4;
        let other = of(differing, 5);
        assert!(first.iter().zip(&other).all(|(a, b)| a != b), "byte {n}: {first:?}, {other:?}");
        differing[n] = 3;
    }
    let distinct: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), 5, "{first:?}");
}

const STDOUT: &str = r#"(import "wasi:io/error@0.2.0" (instance $failures (export "error" (type (sub resource)))))
  (alias export $failures "error" (type $failure))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $failure (type $failure')) (export "error" (type $error (eq $failure')))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $stream')) (export "output-stream" (type $stream (eq $stream')))
    (export "get-stdout" (func (result (own $stream))))))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $stream (type $stream')) (export "output-stream" (type $stream (eq $stream')))
    (export "get-stderr" (func (result (own $stream))))))"#;

#[test]
fn standard_output_goes_to_the_log_within_its_bound() {
    let lowered = [
        ("stdout", "$stdout \"get-stdout\"", "(result i32)"),
        ("stderr", "$stderr \"get-stderr\"", "(result i32)"),
        ("write", "$streams \"[method]output-stream.blocking-write-and-flush\"", "(param i32 i32 i32 i32)"),
    ];
    let parts =
        r#"(data (i32.const 300) "one\ntwo ") (data (i32.const 310) "bad\n") (data (i32.const 320) "three")"#;
    let schema = schema("behaviour: { log: 1000 }\n");
    let lines = |body: &str| {
        let component = load(&schema, &calling(STDOUT, &lowered, parts, body)).unwrap();
        let acted = with_act(&schema, |act| component.act(act));
        assert_eq!(acted.answer, Ok(Vec::new()));
        acted.log.into_iter().map(|line| (line.level, line.message)).collect::<Vec<_>>()
    };
    let line = |level, message: &str| (level, message.to_owned());
    let body = "(local.set $n (call $stdout))
        (call $write (local.get $n) (i32.const 300) (i32.const 8) (i32.const 512))
        (call $write (call $stderr) (i32.const 310) (i32.const 4) (i32.const 512))
        (call $write (local.get $n) (i32.const 320) (i32.const 5) (i32.const 512))
        (call $numbers)";
    assert_eq!(
        lines(body),
        [line(Level::Info, "one"), line(Level::Warn, "bad"), line(Level::Info, "two three")]
    );
    // With line breaks and without, many lines and one.
    for length in [4, 3] {
        let flood = format!(
            "(local.set 0 (call $stdout))
            (loop $more
              (call $write (local.get 0) (i32.const 310) (i32.const {length}) (i32.const 512))
              (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
            (call $numbers)"
        );
        let lines = lines(&flood);
        let (last, kept) = lines.split_last().unwrap();
        let said = "the log of this act has more than 1000 bytes; the rest is dropped";
        assert_eq!(*last, line(Level::Warn, said));
        let bytes: usize = kept.iter().map(|(_, message)| message.len()).sum();
        assert!((700..=1_000).contains(&bytes), "{bytes}");
    }
}

/// What a guest takes a function of WASI for is not held against what it is: the call fails, and nothing else.
#[test]
fn a_function_of_wasi_in_another_form_fails_the_act() {
    for (form, core, call) in [
        ("(result string)", "(param i32)", "(call $now (i32.const 512))"),
        ("(result u32)", "(result i32)", "(drop (call $now))"),
        ("", "", "(call $now)"),
        ("(param \"a\" u32) (result u64)", "(param i32) (result i64)", "(drop (call $now (i32.const 1)))"),
    ] {
        let imports = format!(
            r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func {form}))))"#
        );
        let component =
            calling(&imports, &[("now", "$clock \"now\"", core)], "", &format!("{call} (call $numbers)"));
        let schema = schema("");
        let Ok(component) = load(&schema, &component) else { continue };
        with_act(&schema, |act| assert_eq!(component.measure(act), component.measure(act)));
    }
}

#[test]
fn as_many_steps_as_may_be_and_one_more() {
    let steps = |count: u32| {
        guest(&format!(
            "(drop (memory.grow (i32.const 1))) (call $out (i32.const 65536) (i32.const {count}))"
        ))
    };
    // Steps of zeroes set the level to 0, with which the rule does not hold any more.
    assert_eq!(hours(&steps(64), 3), (Vec::new(), 64 + 3));
    let (denied, acts) = hours(&steps(65), 3);
    assert_eq!(acts, 3, "none is taken");
    assert_eq!(denied.first(), Some(&(Code::Act, "answer".to_owned())));
}

fn not_a_number(bits: u64) -> Vec<u8> {
    let body =
        format!("(i64.store (i32.const 2064) (i64.const {bits})) (call $out (i32.const 2048) (i32.const 1))");
    guest(&body)
}

/// Admission denies it, whatever its bits are, and its bits are nowhere to be seen.
#[test]
fn an_argument_that_is_no_number_is_denied() {
    let quiet = hours(&not_a_number(0x7ff8_0000_0000_0000), 3);
    assert_eq!(quiet.1, 3, "nothing is taken: {quiet:?}");
    assert!(!quiet.0.is_empty());
    for bits in [0x7ff8_0000_0000_0001, 0xfff8_0000_dead_beef, 0x7ff0_0000_0000_0001, u64::MAX] {
        assert_eq!(hours(&not_a_number(bits), 3), quiet);
    }
    let schema = schema("");
    let bits = |bits| {
        let component = load(&schema, &not_a_number(bits)).unwrap();
        match with_act(&schema, |act| component.act(act)).answer.unwrap().as_slice() {
            [ActStep::Mutate { args, .. }] => match args.as_slice() {
                [Value::Num(n)] if n.is_nan() => n.to_bits(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(bits(0xfff8_0000_dead_beef), bits(0x7ff0_0000_0000_0001), "it has one form");
    for infinite in [f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(hours(&not_a_number(infinite.to_bits()), 3).1, 3, "nothing is taken");
    }
}

#[test]
fn a_cached_component_acts_as_a_fresh_one() {
    let folder = std::env::temp_dir().join(format!("abide-wasm-alike-{}", std::process::id()));
    let schema = schema("");
    let trap = with_parts(
        "",
        "",
        "(func $r (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))",
        "(call $r (i32.const 0))",
    );
    let raise = "(f64.store (i32.const 2064) (f64.div (local.get $level) (f64.const 3))) (call $out (i32.const 2048) (i32.const 1))";
    for component in [guest(raise), trap, guest("(loop (br 0)) (unreachable)")] {
        let measured = |cache| {
            let sandbox = Sandbox::new(Options { cache, ..Options::default() }).unwrap();
            let component = sandbox.load(&schema, &component, BTreeMap::new()).unwrap();
            with_act(&schema, |act| component.measure(act))
        };
        let fresh = measured(None);
        assert_eq!(measured(Some(folder.clone())), fresh, "that fills the cache");
        assert_eq!(measured(Some(folder.clone())), fresh, "out of the cache");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A step to make a child, whose texts lie at 300: the schema, the values, and two links.
fn spawning(values: &str, budget: &str) -> Vec<u8> {
    let escaped = values.replace('"', "\\\"");
    let parts = format!(
        r#"(data (i32.const 300) "kid") (data (i32.const 310) "example:lab/valve") (data (i32.const 330) "ä") (data (i32.const 400) "{escaped}")"#
    );
    let body = format!(
        "(i32.store8 (i32.const 2048) (i32.const 1))
        (i32.store (i32.const 2056) (i32.const 300)) (i32.store (i32.const 2060) (i32.const 3))
        (i32.store (i32.const 2064) (i32.const 400)) (i32.store (i32.const 2068) (i32.const {}))
        (f64.store (i32.const 2072) (f64.const {budget})) (f64.store (i32.const 2080) (f64.const 0.25))
        (i32.store (i32.const 2088) (i32.const 3072)) (i32.store (i32.const 2092) (i32.const 2))
        (i32.store (i32.const 3072) (i32.const 310)) (i32.store (i32.const 3076) (i32.const 17))
        (i32.store (i32.const 3080) (i32.const 330)) (i32.store (i32.const 3084) (i32.const 2))
        (call $out (i32.const 2048) (i32.const 1))",
        values.len()
    );
    with_parts("", "", &parts, &body)
}

#[test]
fn a_child_is_lifted() {
    let schema = schema("");
    let answer = |component: &[u8]| {
        let component = load(&schema, component).unwrap();
        with_act(&schema, |act| component.act(act)).answer
    };
    let values = r#"{"level":2.5,"name":"\u00e4"}"#;
    let serde_json::Value::Object(expected) = serde_json::json!({ "level": 2.5, "name": "ä" }) else {
        panic!()
    };
    let expected = ActSpawn {
        schema: "kid".into(),
        values: expected,
        budget: 1_500_000,
        refill: 250_000,
        links: vec![Arc::from("example:lab/valve"), Arc::from("ä")],
    };
    assert_eq!(
        answer(&spawning(&values.replace('\\', "\\\\"), "1.5")),
        Err(ActError {
            fault: Fault::Answer,
            message: "step 0: `values` of the child is no JSON object; write `{}` for none".to_owned(),
        })
    );
    assert_eq!(answer(&spawning(&values.replace("\\u00e4", "ä"), "1.5")), Ok(vec![ActStep::Spawn(expected)]));
    for (values, budget, wrong) in [
        ("[]", "1", "no JSON object"),
        ("{", "1", "no JSON object"),
        ("{}", "-1", "`budget` of the child is -1"),
        ("{}", "nan", "`budget` of the child is NaN"),
        ("{}", "inf", "`budget` of the child is inf"),
    ] {
        let error = answer(&spawning(values, budget)).unwrap_err();
        assert_eq!(error.fault, Fault::Answer);
        assert!(error.message.contains(wrong), "{}", error.message);
    }
}

#[test]
fn wakes_retries_and_ends_are_lifted() {
    let steps = "(i32.store8 (i32.const 2048) (i32.const 2)) (i32.store8 (i32.const 2056) (i32.const 1)) (i64.store (i32.const 2064) (i64.const -7))
        (i32.store8 (i32.const 2096) (i32.const 2)) (i64.store (i32.const 2112) (i64.const 7))
        (i32.store8 (i32.const 2144) (i32.const 3)) (i32.store8 (i32.const 2192) (i32.const 4))
        (call $out (i32.const 2048) (i32.const 4))";
    let schema = schema("");
    let component = load(&schema, &guest(steps)).unwrap();
    let expected = vec![
        ActStep::Sleep(Wake::After(Span(-7))),
        ActStep::Sleep(Wake::At(Timestamp(7))),
        ActStep::Retry,
        ActStep::Terminate,
    ];
    assert_eq!(with_act(&schema, |act| component.act(act)).answer, Ok(expected));
}

/// Arguments that are given, and arguments that are left out: of an enum, of what is nullable, of what has a default.
#[test]
fn enums_and_options_are_lifted() {
    let text = crate::guests::SCHEMA.replace(
        "set_level: { from: [behaviour], args: { to: { type: number } }, set: { level: args.to } }",
        "set: { from: [behaviour], args: { mode: { type: string, enum: [low, High Up, 'off'] }, \
         note: { type: number, nullable: true }, times: { type: integer, default: 3 } } }",
    );
    let schema = Arc::new(abide_core::schema::Schema::load(&text).unwrap().0);
    let module = wat::parse_str(
        r#"(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "plan") (param i32 i32 i64 i64 i32 i32 i32 i32 f64 f64) (result i32)
    (i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 2))
    (i32.store8 (i32.const 2064) (i32.const 1))
    (i32.store8 (i32.const 2072) (i32.const 1)) (f64.store (i32.const 2080) (f64.const -0.5))
    (i32.store8 (i32.const 2088) (i32.const 1)) (i64.store (i32.const 2096) (i64.const -9223372036854775808))
    (i32.store8 (i32.const 2120) (i32.const 2))
    (i32.const 1024)))"#,
    )
    .unwrap();
    let component = load(&schema, &componentize(&resolved(&schema), module)).unwrap();
    let step = |args| ActStep::Mutate { mutation: MutationIx(0), args };
    let expected = vec![
        step(vec![Value::Str("High Up".into()), Value::Num(-0.5), Value::Int(i64::MIN)]),
        step(vec![Value::Str("off".into()), Value::Null, Value::Null]),
    ];
    assert_eq!(with_act(&schema, |act| component.act(act)).answer, Ok(expected));
}
