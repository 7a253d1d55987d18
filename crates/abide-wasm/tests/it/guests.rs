//! Guests as text, and what is needed to call one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use abide_core::guest::{Act, Behaviour};
use abide_core::record::Hash;
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use abide_core::value::Value;
use abide_wasm::{Component, LoadError, Options, Sandbox};

pub(crate) const SCHEMA: &str = "schema: abide/v1\nname: pump\nversion: 1.0.0\n\
    fields: { level: { type: number, default: 1.5 } }\n\
    mutations: { set_level: { from: [behaviour], args: { to: { type: number } }, set: { level: args.to } } }\n\
    rules: [ { name: r, when: self.level > 0, every: 1h, then: { act: plan } } ]\n";

pub(crate) fn schema(more: &str) -> Arc<Schema> {
    Arc::new(Schema::load(&format!("{SCHEMA}{more}")).unwrap().0)
}

/// A component of the world of [`SCHEMA`] whose `plan` is that body of a core function, which gives a pointer to a result.
/// `$out` writes a result at 1024 with a pointer and a count of steps.
pub(crate) fn guest(body: &str) -> Vec<u8> {
    with_parts("", "", "", body)
}

pub(crate) fn with_parts(imports: &str, core_imports: &str, parts: &str, body: &str) -> Vec<u8> {
    let with = if core_imports.is_empty() {
        String::new()
    } else {
        "(with \"h\" (instance (export \"log\" (func $hlog))))".to_owned()
    };
    of_core(
        imports,
        &format!(
            r#"{LIBC}
  {core_imports}
  (core module $m
    (import "libc" "memory" (memory 1))
    {}
    {parts}
    (func $out (param i32 i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store (i32.const 1028) (local.get 0))
      (i32.store (i32.const 1032) (local.get 1))
      (i32.const 1024))
    (func (export "plan") (param $object i32) (param $object_len i32) (param $tick i64) (param $now i64) (param $rule i32) (param $rule_len i32)
      (param $attempts i32) (param $has_slope i32) (param $slope f64) (param $level f64) (result i32)
      {body}))
  (core instance $i (instantiate $m (with "libc" (instance $libc)) {with}))"#,
            if core_imports.is_empty() {
                ""
            } else {
                "(import \"h\" \"log\" (func $log (param i32 i32 i32)))"
            }
        ),
    )
}

/// A memory, and what gives of it.
pub(crate) const LIBC: &str = r#"(core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $mem))
  (alias core export $libc "realloc" (core func $realloc))"#;

/// A component of the world of [`SCHEMA`] out of core parts, which leave `$mem`, `$realloc` and an instance `$i` that has `plan`.
pub(crate) fn of_core(imports: &str, core: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
  {imports}
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
  {core}
  (func (export "plan") (param "cycle" $cycle) (param "memory" $memory) (result (result (list $step) (error string)))
    (canon lift (core func $i "plan") (memory $mem) (realloc (func $realloc)))))"#
    ))
    .unwrap()
}

/// A guest with functions of the host. Each of `lowered` is its name, what it is of the component, and the core types of it.
/// `$say` adds to a text and `$said` answers with it as an error; `$number` adds a sleep until that time, and `$numbers`
/// answers with them.
pub(crate) fn calling(imports: &str, lowered: &[(&str, &str, &str)], parts: &str, body: &str) -> Vec<u8> {
    let (mut outer, mut exports, mut inner) = (String::new(), String::new(), String::new());
    for (name, of, core) in lowered {
        writeln!(outer, "(core func $l{name} (canon lower (func {of}) (memory $mem) (realloc (func $realloc)) string-encoding=utf8))").unwrap();
        writeln!(exports, "(export \"{name}\" (func $l{name}))").unwrap();
        writeln!(inner, "(import \"h\" \"{name}\" (func ${name} {core}))").unwrap();
    }
    of_core(
        imports,
        &format!(
            r#"{LIBC}
  {outer}
  (core module $m
    (import "libc" "memory" (memory 1))
    {inner}
    {parts}
    (global $end (mut i32) (i32.const 40000))
    (global $count (mut i32) (i32.const 0))
    (func $say (param i32 i32)
      (memory.copy (global.get $end) (local.get 0) (local.get 1))
      (global.set $end (i32.add (global.get $end) (local.get 1))))
    (func $said (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store (i32.const 1028) (i32.const 40000))
      (i32.store (i32.const 1032) (i32.sub (global.get $end) (i32.const 40000)))
      (i32.const 1024))
    (func $number (param i64) (local $at i32)
      (local.set $at (i32.add (i32.const 50000) (i32.mul (global.get $count) (i32.const 48))))
      (i32.store8 (local.get $at) (i32.const 2))
      (i64.store offset=16 (local.get $at) (local.get 0))
      (global.set $count (i32.add (global.get $count) (i32.const 1))))
    (func $numbers (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store (i32.const 1028) (i32.const 50000))
      (i32.store (i32.const 1032) (global.get $count))
      (i32.const 1024))
    (func (export "plan") (param i32 i32 i64 i64 i32 i32 i32 i32 f64 f64) (result i32)
      (local $n i32)
      {body}))
  (core instance $i (instantiate $m (with "libc" (instance $libc)) (with "h" (instance {exports}))))"#
        ),
    )
}

pub(crate) fn load(schema: &Arc<Schema>, component: &[u8]) -> Result<Component, LoadError> {
    Sandbox::new(Options::default()).unwrap().load(schema, component, BTreeMap::new())
}

pub(crate) fn with_act<T>(schema: &Arc<Schema>, of: impl FnOnce(&Act<'_>) -> T) -> T {
    let memory = [Value::Num(1.5)];
    of(&Act {
        schema,
        behaviour: Behaviour { component: Hash([0; 32]), config: Hash([0; 32]) },
        action: "plan",
        object: "a",
        rule: "r",
        tick: 7,
        now: Timestamp(1_700_000_000_000_000_000),
        attempts: 0,
        slope: None,
        head: Hash([3; 32]),
        memory: &memory,
    })
}
