//! Guests out of a generator of modules: whatever comes, the host has an answer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use abide_core::guest::Fault;
use abide_core::schema::Schema;
use abide_wasm::{Component, Measured, Options, Sandbox};
use wasm_smith::{Config, Module};

use crate::guests::{LIBC, guest, of_core, schema, with_act};
use crate::random::{Random, each_seed};
use crate::worlds::{componentize, resolved};

const FROST_GUARD: &str = include_str!("../../../../examples/frost-guard/frost-guard.yaml");
const FROST_GUARD_COMPONENT: &[u8] = include_bytes!("../../../../examples/frost-guard/frost_guard.wasm");
/// What an act has, and starting it has not.
const FUEL: u64 = 200_000;

/// The core type of an action.
const PLAN: &str = "(param i32 i32 i64 i64 i32 i32 i32 i32 f64 f64) (result i32)";

fn sandbox() -> Sandbox {
    Sandbox::new(Options::default()).unwrap()
}

/// Acts twice: the same comes of it, within its fuel. It is told as text, since not-a-number is not itself.
fn acted(schema: &Arc<Schema>, component: &Component) -> Measured {
    with_act(schema, |act| {
        let first = component.measure(act);
        assert_eq!(format!("{:?}", component.measure(act)), format!("{first:?}"), "the same each time");
        assert!(first.fuel <= FUEL, "{first:?}");
        first
    })
}

/// Bytes with some of what may befall a file: cut, bits that flip, a part that is overwritten, moved or doubled.
fn damaged(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        if bytes.len() < 16 {
            break;
        }
        let at = random.below(bytes.len());
        let length = random.below((bytes.len() - at).min(64));
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => {
                let with = random.bytes(length);
                bytes.splice(at..at + length, with);
            }
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let part = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            // Lengths and counts are near the begin of what they tell of.
            _ => bytes[at.min(200)] = random.one_of(&[0, 1, 0x7f, 0x80, 0xff]),
        }
    }
    bytes
}

#[test]
fn what_is_no_component_is_refused() {
    let (sandbox, schema) = (sandbox(), schema(""));
    each_seed(2_000, |random| {
        let mut bytes = Vec::new();
        match random.below(3) {
            0 => {}
            1 => bytes.extend(b"\0asm\x0d\0\x01\0"),
            _ => bytes.extend(&FROST_GUARD_COMPONENT[..random.below(200)]),
        }
        let length = random.below(400);
        bytes.extend(random.bytes(length));
        let error = sandbox.load(&schema, &bytes, BTreeMap::new()).unwrap_err();
        assert!(!error.problems.is_empty());
    });
}

/// A component that is damaged is refused, or acts as some component does.
#[test]
fn a_damaged_component_is_refused_or_acts() {
    let sandbox = sandbox();
    let small = (
        schema(&format!("behaviour: {{ fuel: {FUEL} }}\n")),
        guest("(call $out (i32.const 2048) (i32.const 1))"),
    );
    let (refused, taken) = (RefCell::new(0), RefCell::new(0));
    let all = each_seed(2_000, |random| {
        let bytes = damaged(&small.1, random);
        match sandbox.load(&small.0, &bytes, BTreeMap::new()) {
            Ok(component) => {
                let _ = acted(&small.0, &component);
                *taken.borrow_mut() += 1;
            }
            Err(error) => {
                assert!(!error.problems.is_empty() && !error.to_string().is_empty());
                *refused.borrow_mut() += 1;
            }
        }
    });
    let counts = (refused.into_inner(), taken.into_inner());
    assert!(!all || counts.0 > 500 && counts.1 > 40, "{counts:?}");
}

#[test]
fn a_damaged_component_of_the_example_is_refused_or_loads() {
    let sandbox = sandbox();
    let schema = Arc::new(Schema::load(FROST_GUARD).unwrap().0);
    assert!(sandbox.load(&schema, FROST_GUARD_COMPONENT, BTreeMap::new()).is_ok());
    each_seed(150, |random| {
        let bytes = damaged(FROST_GUARD_COMPONENT, random);
        if let Err(error) = sandbox.load(&schema, &bytes, BTreeMap::new()) {
            assert!(!error.problems.is_empty() && !error.to_string().is_empty());
        }
    });
}

/// What of WebAssembly the engine has, within what an act may take; and now and then anything at all.
fn config(shape: Vec<u8>, random: &mut Random) -> Config {
    let mut config = Config::default();
    if random.one_in(10) {
        let bytes = random.bytes(500);
        config = arbitrary::Arbitrary::arbitrary(&mut arbitrary::Unstructured::new(&bytes)).unwrap();
    } else {
        config.gc_enabled = false;
        config.reference_types_enabled = false;
        config.exceptions_enabled = false;
        config.threads_enabled = false;
        config.relaxed_simd_enabled = false;
        config.custom_page_sizes_enabled = false;
        config.wide_arithmetic_enabled = false;
        config.memory64_enabled = false;
        config.max_memories = 1;
        config.max_memory32_bytes = 4 << 16;
        config.max_table_elements = 1_000;
    }
    // To start an instance has much fuel: a loop in it takes its time.
    config.allow_start_export = random.one_in(40);
    config.disallow_traps = random.one_in(2);
    (config.min_funcs, config.max_funcs) = (random.below(4), 20);
    config.max_instructions = random.one_of(&[5, 20, 100, 400]);
    config.module_shape = Some(shape);
    config
}

fn module(shape: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let config = config(shape, random);
    let size = random.one_of(&[200, 2_000, 10_000]);
    let bytes = random.bytes(size);
    Module::new(config, &mut arbitrary::Unstructured::new(&bytes)).unwrap().to_bytes()
}

/// How often modules came to what.
#[derive(Debug, Default)]
struct Seen {
    refused: u32,
    started: u32,
    answered: u32,
    with_steps: u32,
    faults: BTreeMap<&'static str, u32>,
}

impl Seen {
    fn see(&mut self, sandbox: &Sandbox, schema: &Arc<Schema>, component: &[u8]) {
        let component = match sandbox.load(schema, component, BTreeMap::new()) {
            Ok(component) => component,
            Err(error) => {
                assert!(!error.problems.is_empty());
                self.refused += 1;
                return;
            }
        };
        let measured = acted(schema, &component);
        self.started += u32::from(measured.fuel > 0);
        match measured.acted.answer {
            Ok(steps) => {
                self.answered += 1;
                self.with_steps += u32::from(!steps.is_empty());
            }
            Err(error) => {
                assert!(error.fault != Fault::Missing, "{error:?}");
                *self.faults.entry(error.fault.name()).or_default() += 1;
            }
        }
    }
}

fn limited() -> Arc<Schema> {
    schema(&format!("behaviour: {{ fuel: {FUEL}, memory: 1048576, tables: 10000 }}\n"))
}

/// Modules that have nothing but the shape of the world: their allocator, too, does anything.
#[test]
fn modules_that_do_anything_come_to_something() {
    let (sandbox, schema) = (sandbox(), limited());
    let world = resolved(&schema);
    // What the tools make of the world has `_initialize`, too, and whatever that does has the much fuel of a start.
    let shape = wat::parse_str(format!(
        r#"(module
  (import "abide:object/log@0.1.0" "log" (func (param i32 i32 i32)))
  (import "wasi:config/store@0.2.0-draft" "get" (func (param i32 i32 i32)))
  (import "wasi:config/store@0.2.0-draft" "get-all" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "plan") {PLAN} unreachable))"#
    ))
    .unwrap();
    let mut seen = Seen::default();
    let all = each_seed(400, |random| {
        let component = componentize(&world, module(shape.clone(), random));
        seen.see(&sandbox, &schema, &component);
    });
    assert!(!all || seen.started > 100, "{seen:#?}");
    assert!(!all || ["trap", "fuel"].iter().all(|fault| seen.faults.contains_key(fault)), "{seen:#?}");
}

/// Modules whose arguments and answer lie in a memory that looks like answers: many answer with steps.
#[test]
fn what_any_module_answers_is_read_or_refused() {
    let (sandbox, schema) = (sandbox(), limited());
    let shape = wat::parse_str(format!(
        r#"(module (import "libc" "memory" (memory 1)) (func (export "plan") {PLAN} unreachable))"#
    ))
    .unwrap();
    let mut seen = Seen::default();
    let all = each_seed(400, |random| {
        let given: String = (0..10).map(|n| format!("(local.get {n}) ")).collect();
        let component = of_core(
            "",
            &format!(
                r#"{LIBC}
  (core module $fill (import "libc" "memory" (memory 1)) (data (i32.const 8) "{}"))
  (core instance $filled (instantiate $fill (with "libc" (instance $libc))))
  (core module $smith (func (export "plan") {PLAN} unreachable))
  (core instance $s (instantiate $smith (with "libc" (instance $libc))))
  (core module $m
    (import "s" "plan" (func $plan {PLAN}))
    (func (export "plan") {PLAN} (i32.add (i32.const {}) (i32.and (call $plan {given}) (i32.const 0x3ff8)))))
  (core instance $i (instantiate $m (with "s" (instance $s))))"#,
                plausible(random),
                random.below(0x800) * 8
            ),
        );
        let component = with_module(&component, 2, &module(shape.clone(), random));
        seen.see(&sandbox, &schema, &component);
    });
    assert!(!all || seen.started > 200 && seen.answered > 20 && seen.with_steps > 3, "{seen:#?}");
    assert!(
        !all || ["answer", "trap", "fuel"].iter().all(|fault| seen.faults.contains_key(fault)),
        "{seen:#?}"
    );
}

/// Half a page that reads as answers wherever one begins, as the text of a data segment: what is a case or a count, and what
/// is a pointer, by turns.
fn plausible(random: &mut Random) -> String {
    let mut text = String::new();
    for n in 0..0x2000 {
        let word = match (n % 2, random.below(20)) {
            (_, 0) => random.below(1 << 32),
            (0, 1..11) => 0,
            (0, _) => random.below(6),
            _ => random.below(0xf00) * 8,
        };
        let word = u32::try_from(word).unwrap();
        word.to_le_bytes().iter().for_each(|byte| write!(text, "\\{byte:02x}").unwrap());
    }
    text
}

/// A component with its core module of that number replaced.
fn with_module(component: &[u8], number: usize, module: &[u8]) -> Vec<u8> {
    let mut out = component[..8].to_vec();
    let (mut at, mut modules) = (8, 0);
    while at < component.len() {
        let id = component[at];
        let (length, head) = leb(&component[at + 1..]);
        let end = at + 1 + head + length;
        if id == 1 && modules == number {
            out.push(1);
            let mut length = module.len();
            while length > 0x7f {
                out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            out.push(u8::try_from(length).unwrap());
            out.extend(module);
        } else {
            out.extend(&component[at..end]);
        }
        modules += usize::from(id == 1);
        at = end;
    }
    assert!(modules > number);
    out
}

/// A number in LEB128, and how many bytes it has.
fn leb(bytes: &[u8]) -> (usize, usize) {
    let length = bytes.iter().position(|byte| *byte < 0x80).unwrap() + 1;
    let value = bytes[..length].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, length)
}
