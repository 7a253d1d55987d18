//! Guests that do harm: each costs its object an answer, and the host nothing.

use abide_core::guest::{ActStep, Fault};
use abide_core::schema::MutationIx;
use abide_core::value::Value;

use crate::guests::{guest, load, schema, with_act, with_parts};

/// A step `set-level` to what the memory has, `mutate` being case 0 of both variants: the payload begins at 8.
const SET_LEVEL: &str =
    "(f64.store (i32.const 2064) (local.get $level)) (call $out (i32.const 2048) (i32.const 1))";

fn fault(more: &str, component: &[u8]) -> (Fault, String) {
    let schema = schema(more);
    let component = load(&schema, component).unwrap();
    with_act(&schema, |act| {
        let first = component.measure(act);
        assert_eq!(component.measure(act), first, "the same each time");
        let error = first.acted.answer.unwrap_err();
        (error.fault, error.message)
    })
}

#[test]
fn a_sound_guest_answers() {
    let schema = schema("");
    let component = load(&schema, &guest(SET_LEVEL)).unwrap();
    with_act(&schema, |act| {
        let measured = component.measure(act);
        let steps = vec![ActStep::Mutate { mutation: MutationIx(0), args: vec![Value::Num(1.5)] }];
        assert_eq!(measured.acted.answer, Ok(steps));
        assert!(measured.fuel > 0 && measured == component.measure(act));
    });
}

#[test]
fn a_loop_uses_its_fuel_up() {
    assert_eq!(fault("behaviour: { fuel: 1000000 }\n", &guest("(loop (br 0)) (unreachable)")).0, Fault::Fuel);
}

#[test]
fn a_trap_is_told_in_words() {
    let (fault, message) = fault("", &guest("(unreachable)"));
    assert_eq!(
        (fault, message.as_str()),
        (Fault::Trap, "trapped while acting: wasm `unreachable` instruction executed")
    );
}

#[test]
fn recursion_is_bounded() {
    let parts = "(func $r (param i32) (result i32) (i32.add (call $r (local.get 0)) (i32.const 1)))";
    assert_eq!(fault("", &with_parts("", "", parts, "(call $r (i32.const 1))")).0, Fault::Memory);
}

#[test]
fn memory_and_tables_are_bounded() {
    let grow = "(loop (drop (memory.grow (i32.const 16))) (br 0)) (unreachable)";
    assert_eq!(fault("behaviour: { memory: 4194304 }\n", &guest(grow)).0, Fault::Memory);
    let grow = "(drop (table.grow (ref.null func) (i32.const 1000000))) (unreachable)";
    assert_eq!(fault("", &with_parts("", "", "(table 1 funcref)", grow)).0, Fault::Memory);
}

/// The bounds are those of the component, whichever of its modules has what.
#[test]
fn one_module_may_have_all_memories_and_tables() {
    let schema = schema("");
    let parts = |memories, tables| {
        "(memory 1)".repeat(memories)
            + &(0..tables).map(|n| format!("(table $t{n} 1 funcref)")).collect::<String>()
    };
    let component = load(&schema, &with_parts("", "", &parts(7, 32), SET_LEVEL)).unwrap();
    assert!(with_act(&schema, |act| component.act(act)).answer.is_ok());
    for (memories, tables) in [(8, 1), (1, 33)] {
        assert!(load(&schema, &with_parts("", "", &parts(memories, tables), SET_LEVEL)).is_err());
    }
}

#[test]
fn an_answer_is_bounded() {
    // A million steps of zeroes: more than the host takes.
    let (fault, message) = fault(
        "",
        &guest("(drop (memory.grow (i32.const 900))) (call $out (i32.const 65536) (i32.const 1000000))"),
    );
    assert_eq!(fault, Fault::Answer, "{message}");
}

#[test]
fn a_start_that_traps_costs_the_act_alone() {
    let parts = "(func $s (unreachable)) (start $s)";
    assert_eq!(fault("", &with_parts("", "", parts, SET_LEVEL)).0, Fault::Trap);
}

#[test]
fn what_is_no_component_of_the_schema_is_refused() {
    let schema = schema("");
    for (bytes, expected) in [
        (b"no wasm".to_vec(), "no WebAssembly"),
        (wat::parse_str("(module)").unwrap(), "core module"),
        (wat::parse_str("(component)").unwrap(), "lacks the export `plan"),
        (
            wat::parse_str(r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func)))))"#)
                .unwrap(),
            "imports `wasi:http/outgoing-handler@0.2.0`, which an act may not: do it as an effect",
        ),
    ] {
        let error = load(&schema, &bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for interface in [
        "wasi:sockets/tcp@0.2.0",
        "wasi:filesystem/types@0.2.3",
        "wasi:keyvalue/store@0.2.0-draft",
        "acme:lab/valve@1.0.0",
    ] {
        let component = format!(r#"(component (import "{interface}" (instance (export "open" (func)))))"#);
        let error = load(&schema, &wat::parse_str(component).unwrap()).unwrap_err().to_string();
        let expected = format!("imports `{interface}`, which an act may not: do it as an effect");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn a_flooded_log_is_cut_and_says_so() {
    let imports = r#"(import "abide:object/log@0.1.0" (instance $log
        (type $level' (enum "trace" "debug" "info" "warn" "error")) (export "level" (type $level (eq $level')))
        (export "log" (func (param "level" $level) (param "message" string)))))"#;
    let lowered = r#"(core func $hlog (canon lower (func $log "log") (memory $mem) string-encoding=utf8))"#;
    let flood = "(loop (call $log (i32.const 2) (i32.const 0) (i32.const 100)) (br 0)) (unreachable)";
    let schema = schema("behaviour: { log: 1000 }\n");
    let component = load(&schema, &with_parts(imports, lowered, "", flood)).unwrap();
    with_act(&schema, |act| {
        let acted = component.act(act);
        assert_eq!(acted.answer.unwrap_err().fault, Fault::Fuel);
        let last = acted.log.last().unwrap();
        assert_eq!(last.message, "the log of this act has more than 1000 bytes; the rest is dropped");
        assert!(acted.log.iter().map(|line| line.message.len()).sum::<usize>() <= 1_100);
    });
}

#[test]
fn another_world_is_refused_with_what_differs() {
    let other = abide_core::schema::Schema::load(
        &crate::guests::SCHEMA
            .replace("level: { type: number", "lever: { type: integer")
            .replace("set_level: {", "set_lever: {")
            .replace("set: { level: args.to }", "set: { lever: '1' }")
            .replace("default: 1.5", "default: 1")
            .replace("self.level", "self.lever"),
    );
    let schema = std::sync::Arc::new(other.unwrap().0);
    let error = load(&schema, &guest(SET_LEVEL)).unwrap_err().to_string();
    for expected in
        ["`memory`: the field `lever` of the schema is missing", "the schema has no case `set-level`"]
    {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_damaged_file_of_the_cache_is_made_again() {
    let folder = std::env::temp_dir().join(format!("abide-wasm-cache-{}", std::process::id()));
    let sandbox = abide_wasm::Sandbox::new(abide_wasm::Options {
        cache: Some(folder.clone()),
        ..abide_wasm::Options::default()
    })
    .unwrap();
    let schema = schema("");
    let file = || std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut whole = Vec::new();
    for damage in [false, true, false] {
        let component = sandbox.load(&schema, &guest(SET_LEVEL), std::collections::BTreeMap::new()).unwrap();
        assert!(with_act(&schema, |act| component.act(act)).answer.is_ok());
        let mut bytes = std::fs::read(file()).unwrap();
        if whole.is_empty() {
            whole.clone_from(&bytes);
        }
        assert_eq!(bytes, whole);
        if damage {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(file(), bytes).unwrap();
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}
