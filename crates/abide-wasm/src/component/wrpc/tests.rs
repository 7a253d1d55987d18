//! Random values of random types there and back, bytes worked out by hand, and bytes of whoever means harm.

use std::fmt::Write as _;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Type, Val};
use wasmtime::{Config, Engine};

use super::{MEMORY_MAX, Unread, decode, encode};

/// The types that a text names: a tuple of them is what a function of an imported interface takes, and `before` is what it names them by.
fn types(before: &str, all: &str) -> Vec<Type> {
    let mut config = Config::new();
    config.wasm_component_model(true);
    let engine = Engine::new(&config).unwrap();
    let text = format!(
        "(component (import \"a:b/c\" (instance {before} (export \"f\" (func (param \"p\" (tuple {all})))))))"
    );
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let component = Component::new(&engine, wasm).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let component = component.component_type();
    let (_, import) = component.imports(&engine).next().unwrap();
    let ComponentItem::ComponentInstance(instance) = import.ty else { panic!("no instance") };
    let function = instance.exports(&engine).find_map(|(_, export)| match export.ty {
        ComponentItem::ComponentFunc(function) => Some(function),
        _ => None,
    });
    let Some((_, Type::Tuple(tuple))) = function.unwrap().params().next() else { panic!("no tuple") };
    tuple.types().collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// Bits of which there are few as often as many.
    fn bits(&mut self) -> u64 {
        let shift = self.next() % 64;
        let bits = self.next() >> shift;
        if self.below(2) == 0 { bits } else { !bits }
    }

    fn character(&mut self) -> char {
        let bound = [0x80, 0x800, 0x1_0000, 0x11_0000][self.below(4)];
        char::from_u32(u32::try_from(self.below(bound)).unwrap()).unwrap_or('\u{e000}')
    }

    fn text(&mut self) -> String {
        (0..self.below(20)).map(|_| self.character()).collect()
    }
}

const PRIMITIVES: [&str; 13] =
    ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"];

/// Types over types, each with a name: the text that defines them, and those that may be named.
fn definitions(random: &mut Random) -> (String, Vec<String>) {
    let mut known: Vec<String> = PRIMITIVES.map(str::to_owned).into();
    let mut text = String::new();
    for n in 0..12 {
        let one = |random: &mut Random| {
            // Rather one of the last.
            let back = random.below(known.len()).min(random.below(known.len()));
            known[known.len() - 1 - back].clone()
        };
        let count = 1 + random.below(5);
        let defined = match random.below(8) {
            0 => format!("(list {})", one(random)),
            1 => format!("(option {})", one(random)),
            2 => match random.below(4) {
                0 => "(result)".to_owned(),
                1 => format!("(result {})", one(random)),
                2 => format!("(result (error {}))", one(random)),
                _ => format!("(result {} (error {}))", one(random), one(random)),
            },
            3 => {
                (0..count)
                    .fold("(record".to_owned(), |all, n| format!("{all} (field \"f{n}\" {})", one(random)))
                    + ")"
            }
            4 => (0..count).fold("(tuple".to_owned(), |all, _| format!("{all} {}", one(random))) + ")",
            5 => {
                let cases = (0..count).fold("(variant".to_owned(), |all, n| match random.below(2) {
                    0 => format!("{all} (case \"c{n}\")"),
                    _ => format!("{all} (case \"c{n}\" {})", one(random)),
                });
                cases + ")"
            }
            6 => {
                let count = if random.below(4) == 0 { 300 } else { count };
                (0..count).fold("(enum".to_owned(), |all, n| format!("{all} \"e{n}\"")) + ")"
            }
            _ => {
                (0..1 + random.below(32)).fold("(flags".to_owned(), |all, n| format!("{all} \"b{n}\"")) + ")"
            }
        };
        write!(text, "(type $d{n} {defined}) (export \"t{n}\" (type $t{n} (eq $d{n}))) ").unwrap();
        known.push(format!("$t{n}"));
    }
    (text, known)
}

#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn value(random: &mut Random, ty: &Type, depth: usize) -> Val {
    let perhaps =
        |random: &mut Random, ty: Option<Type>| ty.map(|ty| Box::new(value(random, &ty, depth + 1)));
    match ty {
        Type::Bool => Val::Bool(random.below(2) == 0),
        Type::S8 => Val::S8(random.bits() as i8),
        Type::U8 => Val::U8(random.bits() as u8),
        Type::S16 => Val::S16(random.bits() as i16),
        Type::U16 => Val::U16(random.bits() as u16),
        Type::S32 => Val::S32(random.bits() as i32),
        Type::U32 => Val::U32(random.bits() as u32),
        Type::S64 => Val::S64(random.bits().cast_signed()),
        Type::U64 => Val::U64(random.bits()),
        // What is no number is not equal to itself.
        Type::Float32 => {
            Val::Float32(Some(f32::from_bits(random.bits() as u32)).filter(|f| !f.is_nan()).unwrap_or(1.5))
        }
        Type::Float64 => {
            Val::Float64(Some(f64::from_bits(random.bits())).filter(|f| !f.is_nan()).unwrap_or(-0.0))
        }
        Type::Char => Val::Char(random.character()),
        Type::String => Val::String(random.text()),
        Type::List(list) => {
            let count = random.below(if depth > 3 { 2 } else { 6 });
            Val::List((0..count).map(|_| value(random, &list.ty(), depth + 1)).collect())
        }
        Type::Record(record) => {
            let fields = record.fields();
            Val::Record(
                fields.map(|field| (field.name.to_owned(), value(random, &field.ty, depth + 1))).collect(),
            )
        }
        Type::Tuple(tuple) => Val::Tuple(tuple.types().map(|ty| value(random, &ty, depth + 1)).collect()),
        Type::Variant(variant) => {
            let case = variant.cases().nth(random.below(variant.cases().len())).unwrap();
            Val::Variant(case.name.to_owned(), perhaps(random, case.ty))
        }
        Type::Enum(all) => Val::Enum(all.names().nth(random.below(all.names().len())).unwrap().to_owned()),
        Type::Option(option) => {
            let is_some = random.below(2) == 0;
            Val::Option(perhaps(random, is_some.then(|| option.ty())))
        }
        Type::Result(result) => Val::Result(match random.below(2) {
            0 => Ok(perhaps(random, result.ok())),
            _ => Err(perhaps(random, result.err())),
        }),
        Type::Flags(flags) => {
            Val::Flags(flags.names().filter(|_| random.below(2) == 0).map(str::to_owned).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_come_back_as_they_went() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (before, known) = definitions(&mut random);
        let all: Vec<String> = (0..6).map(|_| known[known.len() - 1 - random.below(12)].clone()).collect();
        let types = types(&before, &all.join(" "));
        for _ in 0..20 {
            let values: Vec<Val> = types.iter().map(|ty| value(&mut random, ty, 0)).collect();
            let bytes = encode(&values, &types).unwrap();
            assert_eq!(decode(&bytes, &types).as_ref(), Ok(&values), "seed {seed}");
            // Whatever is missing is missed, and whatever is too much is found.
            let cut = random.below(bytes.len());
            assert_eq!(decode(&bytes[..cut], &types), Err(Unread::Short), "seed {seed}, {cut}");
            let more = [&*bytes, b"\0"].concat();
            assert_eq!(decode(&more, &types), Err(Unread::Trailing(1)), "seed {seed}");
            // Changed bytes are read as something else or not at all.
            let mut changed = bytes;
            let at = random.below(changed.len());
            changed[at] ^= u8::try_from(1 + random.below(255)).unwrap();
            if let Ok(values) = decode(&changed, &types) {
                let again = encode(&values, &types).unwrap();
                assert_eq!(
                    decode(&again, &types).map(|read| encode(&read, &types)),
                    Ok(Ok(again)),
                    "seed {seed}"
                );
            }
        }
    }
}

#[test]
fn random_bytes_do_no_harm() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (before, known) = definitions(&mut random);
        let types = types(&before, &known[known.len() - 6..].join(" "));
        for _ in 0..200 {
            let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.bits().to_le_bytes()[0]).collect();
            let _ = decode(&bytes, &types);
        }
    }
}

#[test]
fn bytes_are_those_of_the_protocol() {
    let text = |text: &str| Val::String(text.to_owned());
    let names = "(type $v' (variant (case \"plain\") (case \"shouting\" u32))) (export \"v\" (type $v (eq $v'))) \
        (type $r' (record (field \"name\" string) (field \"tags\" (list string)))) (export \"r\" (type $r (eq $r'))) \
        (type $e' (enum \"x\" \"y\" \"z\")) (export \"e\" (type $e (eq $e'))) \
        (type $f' (flags \"a\" \"b\" \"c\" \"d\" \"e\" \"f\" \"g\" \"h\" \"i\" \"j\")) (export \"fl\" (type $f (eq $f'))) \
        (type $g' (flags \"a\" \"b\")) (export \"g\" (type $g (eq $g')))";
    let golden: &[(&str, Val, &[u8])] = &[
        ("bool", Val::Bool(true), &[1]),
        ("s8", Val::S8(-2), &[0xfe]),
        ("u8", Val::U8(200), &[200]),
        ("s16", Val::S16(-1), &[0x7f]),
        ("s16", Val::S16(64), &[0xc0, 0x00]),
        ("s16", Val::S16(i16::MIN), &[0x80, 0x80, 0x7e]),
        ("u16", Val::U16(u16::MAX), &[0xff, 0xff, 0x03]),
        ("s32", Val::S32(-123_456), &[0xc0, 0xbb, 0x78]),
        ("u32", Val::U32(624_485), &[0xe5, 0x8e, 0x26]),
        ("u32", Val::U32(u32::MAX), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("s64", Val::S64(i64::MIN), &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]),
        ("u64", Val::U64(u64::MAX), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("f32", Val::Float32(1.0), &[0, 0, 0x80, 0x3f]),
        ("f64", Val::Float64(-2.0), &[0, 0, 0, 0, 0, 0, 0, 0xc0]),
        ("char", Val::Char('é'), &[0xc3, 0xa9]),
        ("string", text("hé"), &[3, b'h', 0xc3, 0xa9]),
        ("(list u16)", Val::List(vec![Val::U16(1), Val::U16(300)]), &[2, 1, 0xac, 0x02]),
        ("(tuple u8 bool)", Val::Tuple(vec![Val::U8(7), Val::Bool(false)]), &[7, 0]),
        ("(option u8)", Val::Option(None), &[0]),
        ("(option u8)", Val::Option(Some(Box::new(Val::U8(9)))), &[1, 9]),
        ("(result string (error u8))", Val::Result(Ok(Some(Box::new(text("k"))))), &[0, 1, b'k']),
        ("(result string (error u8))", Val::Result(Err(Some(Box::new(Val::U8(4))))), &[1, 4]),
        ("(result)", Val::Result(Ok(None)), &[0]),
        ("$v", Val::Variant("plain".to_owned(), None), &[0]),
        ("$v", Val::Variant("shouting".to_owned(), Some(Box::new(Val::U32(3)))), &[1, 3]),
        ("$e", Val::Enum("z".to_owned()), &[2]),
        (
            "$r",
            Val::Record(vec![
                ("name".to_owned(), text("you")),
                ("tags".to_owned(), Val::List(vec![text("a")])),
            ]),
            &[3, b'y', b'o', b'u', 1, 1, b'a'],
        ),
        ("$f", Val::Flags(["a", "c", "i"].map(str::to_owned).into()), &[0b101, 0b1]),
        ("$g", Val::Flags(vec!["b".to_owned()]), &[0b10]),
    ];
    for (ty, value, bytes) in golden {
        let types = types(names, ty);
        assert_eq!(encode(std::slice::from_ref(value), &types).as_deref(), Ok(*bytes), "{ty}");
        assert_eq!(decode(bytes, &types).as_deref(), Ok(std::slice::from_ref(value)), "{ty}");
    }
    assert_eq!(encode(&[], &[]), Ok(vec![]));
}

#[test]
fn what_is_wrong_is_refused() {
    let check =
        |ty: &str, bytes: &[u8], why: Unread| assert_eq!(decode(bytes, &types("", ty)), Err(why), "{ty}");
    check("bool", &[2], Unread::Byte("boolean"));
    check("(option u8)", &[2, 0], Unread::Byte("option"));
    check("(result)", &[2], Unread::Byte("result"));
    check("u8", &[], Unread::Short);
    check("u8", &[1, 2], Unread::Trailing(1));
    check("u16", &[0xff, 0xff, 0x07], Unread::Integer);
    check("u32", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Unread::Integer);
    check("u64", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], Unread::Integer);
    check("s16", &[0x80, 0x80, 0x02], Unread::Integer);
    check("s64", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], Unread::Integer);
    check("char", &[0xed, 0xa0, 0x80], Unread::Text);
    check("char", &[0xff], Unread::Text);
    check("string", &[2, 0xc3, 0x28], Unread::Text);
    check("string", &[0xff, 0xff, 0xff, 0xff, 0x0f], Unread::Short);
    // As many elements as there are numbers, in five bytes.
    check("(list u8)", &[0xff, 0xff, 0xff, 0xff, 0x0f], Unread::Short);
    check("(list (tuple (list u64) string))", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], Unread::Short);
}

#[test]
fn memory_is_bounded() {
    let length = MEMORY_MAX / size_of::<Val>() + 1;
    let mut bytes = Vec::new();
    let mut left = length;
    while left > 0x7f {
        bytes.push(0x80 | u8::try_from(left & 0x7f).unwrap());
        left >>= 7;
    }
    bytes.push(u8::try_from(left).unwrap());
    bytes.resize(bytes.len() + length, 0);
    assert_eq!(decode(&bytes, &types("", "(list u8)")), Err(Unread::Large));
    // A name of a thousand letters for each byte.
    let name = "n".repeat(1_000);
    let before = format!("(type $e' (enum \"{name}\")) (export \"e\" (type $e (eq $e')))");
    bytes.truncate(bytes.len() - length);
    bytes = vec![0x80, 0x80, 0x10];
    bytes.resize(3 + 0x4_0000, 0);
    assert_eq!(decode(&bytes, &types(&before, "(list $e)")), Err(Unread::Large));
}

#[test]
fn values_of_other_types_are_not_sent() {
    let check = |ty: &str, value: Val| assert!(encode(&[value], &types("", ty)).is_err(), "{ty}");
    check("u8", Val::U16(1));
    check("(tuple u8 u8)", Val::Tuple(vec![Val::U8(1)]));
    check("(option u8)", Val::Option(Some(Box::new(Val::Bool(true)))));
    check("(result)", Val::Result(Ok(Some(Box::new(Val::Bool(true))))));
    assert!(encode(&[], &types("", "u8")).is_err());
}
