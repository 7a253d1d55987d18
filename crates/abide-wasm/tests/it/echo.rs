//! The text of a world and what the host lowers and lifts agree: a guest that is built from the text alone gives back what
//! it was given.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use abide_core::guest::{Act, ActStep, Behaviour};
use abide_core::record::Hash;
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_core::value::{Value, key_order};
use abide_core::wit::{RecordType, Type, World};
use abide_wasm::{Options, Sandbox};
use wit_parser::{Int, Resolve, SizeAlign, Type as Wit, TypeDefKind, WorldItem};

use crate::random::{Random, each_seed};
use crate::worlds::{componentize, resolved};

/// Most items of arrays and maps.
const ITEMS: usize = 3;

/// A type in the flow style of YAML.
fn ty(random: &mut Random, depth: usize) -> String {
    let plain = [
        "type: boolean",
        "type: integer",
        "type: integer, enum: [1, 2]",
        "type: number",
        "type: string, maxLength: 120",
        "type: string, format: date-time",
        "type: string, format: duration",
        "type: string, format: byte, maxLength: 300",
        "type: string, enum: [only]",
        "type: string, enum: [low, High Up, '', '日本', 'off']",
        "type: object, properties: {}",
    ];
    let within = if depth == 0 { 0 } else { 5 };
    let kind = random.below(plain.len() + within);
    let of = match plain.get(kind) {
        Some(plain) => (*plain).to_owned(),
        None if kind == plain.len() => {
            format!("type: array, maxItems: {ITEMS}, items: {}", ty(random, depth - 1))
        }
        None if kind == plain.len() + 1 => {
            format!("type: object, maxProperties: {ITEMS}, additionalProperties: {}", ty(random, depth - 1))
        }
        None => {
            let names = ["b", "a_b", "list", "a1", "option"];
            let (from, count) = (random.below(3), 1 + random.below(3));
            let names = names.get(from..(from + count).min(names.len())).unwrap();
            let properties: Vec<_> =
                names.iter().map(|name| format!("{name}: {}", ty(random, depth - 1))).collect();
            let required = match random.below(3) {
                0 => String::new(),
                1 => format!(", required: [{}]", names[0]),
                _ => format!(", required: [{}]", names.join(", ")),
            };
            format!("type: object, properties: {{ {} }}{required}", properties.join(", "))
        }
    };
    if random.one_in(3) { format!("{{ {of}, nullable: true }}") } else { format!("{{ {of} }}") }
}

/// Fields beside the one that is echoed, so that an act's arguments lie in memory: they are more than 16 of the core.
fn schema(random: &mut Random) -> Arc<Schema> {
    let x = ty(random, 3);
    let mut text = format!("schema: abide/v1\nname: echo\nversion: 1.0.0\nfields:\n  x: {x}\n");
    // Some stand before it, and some behind.
    for name in ["a", "b", "c", "p1", "p2", "p3", "p4", "p5"] {
        let of = random.one_of(&["boolean", "integer", "number", "string, maxLength: 120"]);
        writeln!(text, "  {name}: {{ type: {of} }}").unwrap();
    }
    text += "mutations:\n";
    // Others, so that the payload of one is aligned for all.
    for name in ["a", "set_y"].into_iter().take(random.below(3)) {
        let ty = ty(random, 1);
        writeln!(text, "  {name}: {{ from: [behaviour], args: {{ y: {ty} }} }}").unwrap();
    }
    let arg = if random.one_in(2) { "{ $ref: '#/fields/x' }" } else { &x };
    writeln!(text, "  set_x: {{ from: [behaviour], args: {{ x: {arg} }} }}").unwrap();
    text += "rules: [ { name: r, when: now > now, every: 1h, then: { act: echo } } ]\n";
    match Schema::load(&text) {
        Ok((schema, _)) => Arc::new(schema),
        Err(errors) => panic!("{text}\n{errors:#?}"),
    }
}

/// A value of a type of the world: mostly one that is awkward.
fn value(ty: &Type, random: &mut Random) -> Value {
    let integer = |random: &mut Random| match random.below(3) {
        0 => random.one_of(&[0, 1, -1, i64::MIN, i64::MAX]),
        1 => i64::try_from(random.below(100)).unwrap(),
        _ => random.next().cast_signed(),
    };
    match ty {
        Type::Bool => Value::Bool(random.one_in(2)),
        Type::S64 => Value::Int(integer(random)),
        Type::Timestamp => Value::Time(Timestamp(integer(random))),
        Type::Duration => Value::Span(Span(integer(random))),
        Type::F64 => {
            let awkward =
                [0.0, -0.0, 1.5, f64::MIN, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), f64::INFINITY];
            let any = Some(f64::from_bits(random.next())).filter(|n| !n.is_nan() && random.one_in(2));
            Value::Num(any.unwrap_or_else(|| random.one_of(&awkward)))
        }
        Type::String => Value::Str(text(random).into()),
        Type::Bytes => {
            let count = random.one_of(&[0, 0, 1, 7, 300]);
            Value::Bytes(random.bytes(count).into())
        }
        Type::Enum(of) => Value::Str(Arc::clone(&of.cases[random.below(of.cases.len())].value)),
        Type::Record(of) => Value::Struct(record(of, random).into()),
        Type::Nothing(_) => Value::Struct(Arc::from([])),
        Type::List(of) => Value::List((0..count(random)).map(|_| value(of, random)).collect()),
        Type::Map(of) => {
            let mut keys: Vec<String> = (0..count(random)).map(|_| text(random)).collect();
            keys.sort_by(|a, b| key_order(a, b));
            keys.dedup();
            Value::Map(keys.into_iter().map(|key| (key.into(), value(of, random))).collect())
        }
        Type::Option(_) if random.one_in(3) => Value::Null,
        Type::Option(of) => value(of, random),
    }
}

fn record(of: &RecordType, random: &mut Random) -> Vec<Value> {
    of.fields.iter().map(|field| value(&field.ty, random)).collect()
}

fn count(random: &mut Random) -> usize {
    random.one_of(&[0, 1, ITEMS, ITEMS])
}

fn text(random: &mut Random) -> String {
    let parts = ["", "a", "\0", "\u{fffd}", "日本語", "\u{10ffff}", "e\u{301}", "\"\\\n", " "];
    let count = random.one_of(&[0, 1, 2, 40]);
    (0..count).map(|_| random.one_of(&parts)).collect()
}

/// What a named type stands for.
fn definition<'r>(resolve: &'r Resolve, ty: &Wit) -> &'r TypeDefKind {
    let Wit::Id(id) = ty else { panic!("{ty:?}") };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(ty) => definition(resolve, ty),
        kind => kind,
    }
}

/// Of a variant: the number of a case, where its payload begins, and the type of that.
fn case(resolve: &Resolve, sizes: &SizeAlign, ty: &Wit, name: &str) -> (usize, usize, Wit) {
    let TypeDefKind::Variant(variant) = definition(resolve, ty) else { panic!("{ty:?}") };
    let number = variant.cases.iter().position(|case| case.name == name).unwrap();
    let payloads = variant.cases.iter().map(|case| case.ty.as_ref());
    let at = sizes.payload_offset(Int::U8, payloads).size_wasm32();
    (number, at, variant.cases[number].ty.unwrap())
}

/// A module that copies the bytes of `x` in the memory that it is given to the arguments of `set-x`.
fn echo((resolve, world): &(Resolve, wit_parser::WorldId)) -> Vec<u8> {
    let mut sizes = SizeAlign::default();
    sizes.fill(resolve);
    let exports = &resolve.worlds[*world].exports;
    let Some(WorldItem::Function(function)) = exports.values().next() else { panic!("{exports:?}") };
    let params: Vec<Wit> = function.params.iter().map(|param| param.ty).collect();
    let memory_at = sizes.field_offsets(&params)[1].0.size_wasm32();
    let TypeDefKind::Record(memory) = definition(resolve, &params[1]) else { panic!() };
    let x = memory.fields.iter().position(|field| field.name == "x").unwrap();
    let x_at = sizes.field_offsets(memory.fields.iter().map(|field| &field.ty))[x].0.size_wasm32();
    let size = sizes.size(&memory.fields[x].ty).size_wasm32();

    let TypeDefKind::Result(result) = definition(resolve, &function.result.unwrap()) else { panic!() };
    let TypeDefKind::List(step) = definition(resolve, &result.ok.unwrap()) else { panic!() };
    let (mutate, mutation_at, mutation) = case(resolve, &sizes, step, "mutate");
    let (set_x, args_at, args) = case(resolve, &sizes, &mutation, "set-x");
    let TypeDefKind::Record(args) = definition(resolve, &args) else { panic!() };
    assert_eq!((args.fields.len(), sizes.size(&args.fields[0].ty).size_wasm32()), (1, size));
    wat::parse_str(format!(
        r#"(module
  (memory (export "memory") 16)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (func (export "echo") (param i32) (result i32)
    (i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1))
    (i32.store8 (i32.const 2048) (i32.const {mutate})) (i32.store8 (i32.const {}) (i32.const {set_x}))
    (memory.copy (i32.const {}) (i32.add (local.get 0) (i32.const {})) (i32.const {size}))
    (i32.const 1024)))"#,
        2048 + mutation_at,
        2048 + mutation_at + args_at,
        memory_at + x_at
    ))
    .unwrap()
}

#[test]
fn what_an_act_is_given_comes_back_as_it_was() {
    let sandbox = Sandbox::new(Options::default()).unwrap();
    each_seed(150, |random| {
        let schema = schema(random);
        let model = World::of(&schema);
        let world = resolved(&schema);
        let component = sandbox.load(&schema, &componentize(&world, echo(&world)), BTreeMap::new());
        let component = component.unwrap_or_else(|error| panic!("{error}\n{}", model.to_wit()));
        let Type::Record(fields) = &model.memory else { panic!("{:?}", model.memory) };
        let x = fields.fields.iter().position(|field| &*field.of == "x").unwrap();
        let set_x = schema.mutation("set_x").unwrap();
        for _ in 0..20 {
            let memory = record(fields, random);
            let acted = component.act(&Act {
                schema: &schema,
                behaviour: Behaviour { component: Hash([0; 32]), config: Hash([0; 32]) },
                action: "echo",
                object: "a",
                rule: "r",
                tick: 7,
                now: Timestamp(7),
                attempts: 0,
                slope: None,
                head: Hash([3; 32]),
                memory: &memory,
            });
            let expected = vec![ActStep::Mutate { mutation: set_x, args: vec![memory[x].clone()] }];
            let steps = acted.answer.unwrap_or_else(|error| panic!("{error:?}\n{}", model.to_wit()));
            assert_eq!(steps, expected, "{}", model.to_wit());
            // Of two zeroes that are equal one is less than the other.
            assert_eq!(format!("{steps:?}"), format!("{expected:?}"), "{}", model.to_wit());
        }
    });
}
