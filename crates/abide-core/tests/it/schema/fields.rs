//! Values against their types: bounds, JSON, text and CBOR.

use abide_core::codec;
use abide_core::field::{FieldType, Kind};
use abide_core::value::Value;
use minicbor::{Decoder, Encoder};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::load;

/// The type that a field of a schema has.
fn ty(keywords: &str) -> FieldType {
    let schema = load(&format!("schema: abide/v1\nname: a\nversion: 1.0.0\nfields: {{ f: {keywords} }}\n"));
    schema.memory.fields[0].ty.clone()
}

/// The keyword that a JSON value breaks, if any.
fn broken(ty: &FieldType, json: &Json) -> Option<String> {
    let checked = ty.value_from_json(json).and_then(|value| ty.check(&value));
    checked.err().map(|violation| format!("{}{}", violation.keyword, violation.path))
}

#[test]
fn bounds_hold_at_and_past_their_edges() {
    let cases: Vec<(&str, Json, Option<&str>)> = vec![
        ("{ type: integer, minimum: -3, maximum: 5 }", json!(-3), None),
        ("{ type: integer, minimum: -3, maximum: 5 }", json!(-4), Some("minimum")),
        ("{ type: integer, minimum: -3, maximum: 5 }", json!(5), None),
        ("{ type: integer, minimum: -3, maximum: 5 }", json!(6), Some("maximum")),
        ("{ type: integer, exclusiveMinimum: 3 }", json!(3), Some("minimum")),
        ("{ type: integer, exclusiveMinimum: 3 }", json!(4), None),
        ("{ type: integer }", json!(i64::MIN), None),
        ("{ type: integer }", json!(u64::MAX), Some("type")),
        ("{ type: integer }", json!(1.0), Some("type")),
        ("{ type: integer, multipleOf: 3 }", json!(-9), None),
        ("{ type: integer, multipleOf: 3 }", json!(10), Some("multipleOf")),
        ("{ type: integer, enum: [1, 4] }", json!(2), Some("enum")),
        ("{ type: number, minimum: 0, exclusiveMinimum: true }", json!(0), Some("minimum")),
        ("{ type: number, minimum: 0, exclusiveMinimum: true }", json!(5e-324), None),
        ("{ type: number, maximum: 110 }", json!(110), None),
        ("{ type: number, maximum: 110 }", json!(467.7), Some("maximum")),
        ("{ type: number, exclusiveMaximum: 1 }", json!(1), Some("maximum")),
        ("{ type: number, multipleOf: 0.1 }", json!(0.3), None),
        ("{ type: number, multipleOf: 0.1 }", json!(0.35), Some("multipleOf")),
        ("{ type: number, enum: [0, 1.5] }", json!(-0.0), None),
        ("{ type: number, enum: [0, 1.5] }", json!(1), Some("enum")),
        ("{ type: number }", json!("1"), Some("type")),
        ("{ type: number }", json!(null), Some("type")),
        ("{ type: number, nullable: true }", json!(null), None),
        ("{ type: boolean }", json!(0), Some("type")),
        ("{ type: string, minLength: 2, maxLength: 3 }", json!("é"), Some("minLength")),
        ("{ type: string, minLength: 2, maxLength: 3 }", json!("ééé"), None),
        ("{ type: string, minLength: 2, maxLength: 3 }", json!("éééé"), Some("maxLength")),
        ("{ type: string, maxLength: 9, pattern: '^\\d+$' }", json!("12"), None),
        ("{ type: string, maxLength: 9, pattern: '^\\d+$' }", json!("١٢"), Some("pattern")),
        ("{ type: string, maxLength: 9, pattern: b }", json!("abc"), None),
        ("{ type: string, enum: [a, b] }", json!("c"), Some("enum")),
        ("{ type: string, enum: [a, b], nullable: true }", json!(null), None),
        ("{ type: string, format: byte, maxLength: 3 }", json!("AQID"), None),
        ("{ type: string, format: byte, maxLength: 3 }", json!("AQIDBA=="), Some("maxLength")),
        ("{ type: string, format: byte, maxLength: 3 }", json!("AQI"), Some("type")),
        ("{ type: string, format: date-time }", json!("2013-02-01T05:00:00Z"), None),
        ("{ type: string, format: date-time }", json!("2013-02-01"), Some("type")),
        ("{ type: string, format: duration }", json!("1h30m"), None),
        ("{ type: string, format: duration }", json!("soon"), Some("type")),
        (
            "{ type: array, items: { type: integer, maximum: 3 }, minItems: 1, maxItems: 2 }",
            json!([]),
            Some("minItems"),
        ),
        (
            "{ type: array, items: { type: integer, maximum: 3 }, minItems: 1, maxItems: 2 }",
            json!([1, 2, 3]),
            Some("maxItems"),
        ),
        (
            "{ type: array, items: { type: integer, maximum: 3 }, minItems: 1, maxItems: 2 }",
            json!([1, 4]),
            Some("maximum[1]"),
        ),
        ("{ type: array, items: { type: integer }, maxItems: 2 }", json!([1, "x"]), Some("type[1]")),
        (
            "{ type: object, properties: { a: { type: integer }, b: { type: integer } }, required: [a] }",
            json!({"b": 1}),
            Some("required.a"),
        ),
        (
            "{ type: object, properties: { a: { type: integer }, b: { type: integer } }, required: [a] }",
            json!({"a": 1}),
            None,
        ),
        (
            "{ type: object, properties: { a: { type: integer } } }",
            json!({"a": 1, "c": 2}),
            Some("additionalProperties.c"),
        ),
        (
            "{ type: object, properties: { a: { type: array, items: { type: boolean }, maxItems: 2 } } }",
            json!({"a": [true, 1]}),
            Some("type.a[1]"),
        ),
        (
            "{ type: object, additionalProperties: { type: integer, maximum: 1 }, maxProperties: 1 }",
            json!({"x": 2}),
            Some("maximum.x"),
        ),
        (
            "{ type: object, additionalProperties: { type: integer }, maxProperties: 1 }",
            json!({"x": 2, "y": 3}),
            Some("maxProperties"),
        ),
        (
            "{ type: object, additionalProperties: { type: integer }, maxProperties: 1, minProperties: 1 }",
            json!({}),
            Some("minProperties"),
        ),
        (
            "{ type: object, additionalProperties: { type: integer }, maxProperties: 1 }",
            json!({"x".repeat(65): 2}),
            Some("maxKeyLength"),
        ),
    ];
    for (keywords, value, expected) in cases {
        assert_eq!(broken(&ty(keywords), &value).as_deref(), expected, "{value} as {keywords}");
    }
}

#[test]
fn violations_read_well() {
    let wind = ty("{ type: number, minimum: 0, maximum: 110 }");
    let said = |json: Json| wind.value_from_json(&json).and_then(|v| wind.check(&v)).unwrap_err().to_string();
    insta::assert_snapshot!(said(json!(468.5)), @"`468.5` is above the maximum of 110");
    insta::assert_snapshot!(said(json!("calm")), @r#"`"calm"` is a text; it must be a number"#);
    let burner = ty("{ type: string, enum: [idle, low, high] }");
    insta::assert_snapshot!(burner.check(&"off".into()).unwrap_err(), @r#"`"off"` is not one of `idle`, `low`, `high`"#);
    assert_eq!(wind.check(&Value::Num(f64::NAN)).unwrap_err().keyword, "type");
    assert_eq!(wind.check(&Value::Num(f64::INFINITY)).unwrap_err().keyword, "type");
}

#[test]
fn text_of_a_command_line_is_read_by_type() {
    for (keywords, text, expected) in [
        ("{ type: string, maxLength: 9 }", "12", json!("12")),
        ("{ type: string, maxLength: 9 }", "null", json!("null")),
        ("{ type: string, maxLength: 9, nullable: true }", "null", json!(null)),
        ("{ type: number }", "12", json!(12.0)),
        ("{ type: number }", "-1.5e3", json!(-1500.0)),
        ("{ type: integer }", "12", json!(12)),
        ("{ type: boolean }", "true", json!(true)),
        ("{ type: string, format: date-time }", "2013-02-01T06:00:00+01:00", json!("2013-02-01T05:00:00Z")),
        ("{ type: string, format: duration }", "90m", json!("1h30m")),
        ("{ type: string, format: byte, maxLength: 9 }", "AQID", json!("AQID")),
        ("{ type: array, items: { type: integer }, maxItems: 3 }", "[1, 2]", json!([1, 2])),
    ] {
        let ty = ty(keywords);
        assert_eq!(ty.to_json(&ty.value_from_text(text).unwrap()), expected, "{text} as {keywords}");
    }
    assert_eq!(ty("{ type: number }").value_from_text("warm").unwrap_err().keyword, "type");
    assert_eq!(ty("{ type: integer }").value_from_text("").unwrap_err().keyword, "type");
}

#[test]
fn normal_values_have_no_negative_zero() {
    let numbers = ty("{ type: array, items: { type: number }, maxItems: 3 }");
    let list = Value::List(vec![Value::Num(-0.0), Value::Int(2), Value::Num(1.5)].into());
    let normal = numbers.normalize(list);
    let Value::List(items) = &normal else { panic!("no list") };
    assert!(matches!(items[0], Value::Num(n) if n.is_sign_positive()));
    assert_eq!(items[1], Value::Num(2.0));
    assert_eq!(numbers.check(&normal), Ok(()));
}

fn encoded(ty: &FieldType, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ty.encode(value, &mut Encoder::new(&mut bytes));
    bytes
}

#[test]
fn cbor_is_the_deterministic_form() {
    let number = ty("{ type: number }");
    // RFC 8949, appendix A.
    for (value, hex) in [
        (0.0, "f90000"),
        (-0.0, "f90000"),
        (1.0, "f93c00"),
        (1.1, "fb3ff199999999999a"),
        (1.5, "f93e00"),
        (65504.0, "f97bff"),
        (100_000.0, "fa47c35000"),
        (3.402_823_466_385_288_6e38, "fa7f7fffff"),
        (1.0e300, "fb7e37e43c8800759c"),
        (5.960_464_477_539_063e-8, "f90001"),
        (0.000_061_035_156_25, "f90400"),
        (-4.0, "f9c400"),
        (-4.1, "fbc010666666666666"),
        (2.980_232_238_769_531_3e-8, "fa33000000"),
        (6.097_555_160_522_461e-5, "f903ff"),
    ] {
        let bytes = encoded(&number, &Value::Num(value));
        assert_eq!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(), hex, "{value}");
        assert_eq!(number.decode(&mut Decoder::new(&bytes)), Ok(Value::Num(value + 0.0)));
    }
    let object = ty(
        "{ type: object, properties: { bb: { type: integer }, a: { type: integer, nullable: true }, c: { type: integer } } }",
    );
    let value = object.value_from_json(&json!({"bb": 1000})).unwrap();
    assert_eq!(encoded(&object, &value), [0xa2, 0x61, b'a', 0xf6, 0x62, b'b', b'b', 0x19, 0x03, 0xe8]);
}

#[test]
fn other_forms_are_refused() {
    let cases: [(&str, &[u8]); 18] = [
        ("{ type: integer }", &[0x18, 0x01]),
        ("{ type: integer }", &[0x1b, 0, 0, 0, 0, 0, 0, 1, 0]),
        ("{ type: integer }", &[0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0]),
        ("{ type: integer }", &[0xf9, 0x3c, 0x00]),
        ("{ type: integer }", &[0x19, 0x01]),
        ("{ type: integer }", &[]),
        ("{ type: number }", &[0x01]),
        ("{ type: number }", &[0xfa, 0x3f, 0x80, 0, 0]),
        ("{ type: number }", &[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("{ type: number }", &[0xf9, 0x7c, 0x00]),
        ("{ type: number }", &[0xf9, 0x7e, 0x00]),
        ("{ type: number }", &[0xf9, 0x80, 0x00]),
        ("{ type: string, maxLength: 9 }", &[0x61, 0xff]),
        ("{ type: string, maxLength: 9 }", &[0x7f, 0x61, b'a', 0xff]),
        ("{ type: string, maxLength: 9 }", &[0xc0, 0x61, b'a']),
        ("{ type: string, maxLength: 9 }", &[0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (
            "{ type: array, items: { type: integer }, maxItems: 9 }",
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
        (
            "{ type: object, additionalProperties: { type: integer }, maxProperties: 9 }",
            &[0xa2, 0x61, b'b', 1, 0x61, b'a', 1],
        ),
    ];
    for (keywords, bytes) in cases {
        assert!(ty(keywords).decode(&mut Decoder::new(bytes)).is_err(), "{bytes:02x?} as {keywords}");
    }
    let object =
        ty("{ type: object, properties: { a: { type: integer }, b: { type: integer, nullable: true } } }");
    for bytes in [
        &[0xa0][..],
        &[0xa2, 0x61, b'b', 1, 0x61, b'a', 1],
        &[0xa2, 0x61, b'b', 1, 0x61, b'c', 1],
        &[0xa2, 0x61, b'b', 1, 0x61, b'b', 1],
    ] {
        assert!(object.decode(&mut Decoder::new(bytes)).is_err(), "{bytes:02x?}");
    }
    let deep = [vec![0x81; 100], vec![0x00]].concat();
    assert!(codec::decode_any(&mut Decoder::new(&deep)).is_err());
}

/// A random type, and JSON that is often of it.
fn typed() -> impl Strategy<Value = (Json, Json)> {
    let number = prop_oneof![(-100.0..100.0_f64), any::<f64>().prop_filter("finite", |n| n.is_finite())];
    let leaf = prop_oneof![
        any::<bool>().prop_map(|v| (json!({"type": "boolean"}), json!(v))),
        any::<i64>().prop_map(|v| (json!({"type": "integer", "minimum": -1_000_000_000_000_i64}), json!(v))),
        number.prop_map(|v| (json!({"type": "number", "maximum": 50}), json!(v))),
        any::<String>().prop_map(|v| (json!({"type": "string", "maxLength": 10}), json!(v))),
        (0_i64..4_000_000_000).prop_map(|s| {
            let time = abide_core::time::Timestamp(s * 1_000_000_007);
            (json!({"type": "string", "format": "date-time"}), json!(time.to_string()))
        }),
        any::<i64>().prop_filter("shown", |n| *n != i64::MIN).prop_map(|n| {
            (json!({"type": "string", "format": "duration"}), json!(abide_core::time::Span(n).to_string()))
        }),
        Just((json!({"type": "integer", "nullable": true}), Json::Null)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0_usize..5).prop_map(|((ty, value), n)| {
                (json!({"type": "array", "items": ty, "maxItems": 3}), Json::Array(vec![value; n]))
            }),
            (inner.clone(), proptest::collection::btree_set("\\PC{0,6}", 0..4)).prop_map(
                |((ty, value), keys)| {
                    let entries = keys.into_iter().map(|key| (key, value.clone()));
                    (
                        json!({"type": "object", "additionalProperties": ty, "maxProperties": 3}),
                        Json::Object(entries.collect()),
                    )
                }
            ),
            proptest::collection::btree_map("[a-z][a-z0-9_]{0,30}", (inner, any::<bool>()), 1..4).prop_map(
                |fields| {
                    let types = fields.iter().map(|(name, ((ty, _), _))| (name.clone(), ty.clone()));
                    let values = fields
                        .iter()
                        .filter(|(_, (_, given))| *given)
                        .map(|(name, ((_, v), _))| (name.clone(), v.clone()));
                    (
                        json!({"type": "object", "properties": Json::Object(types.collect())}),
                        Json::Object(values.collect()),
                    )
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn values_survive_json_and_cbor((keywords, json) in typed()) {
        let document = json!({"schema": "abide/v1", "name": "a", "version": "1.0.0", "fields": { "f": keywords }});
        let ty = load(&document.to_string()).memory.fields[0].ty.clone();
        let value = ty.normalize(ty.value_from_json(&json).unwrap());
        prop_assert_eq!(&ty.value_from_json(&ty.to_json(&value)).unwrap(), &value);
        let bytes = encoded(&ty, &value);
        let mut decoder = Decoder::new(&bytes);
        prop_assert_eq!(&ty.decode(&mut decoder).unwrap(), &value);
        prop_assert!(codec::end(&decoder).is_ok());
        // Whatever it is read as, its bytes are the deterministic form.
        let mut again = Vec::new();
        codec::encode_any(&codec::decode_any(&mut Decoder::new(&bytes)).unwrap(), &mut Encoder::new(&mut again));
        prop_assert_eq!(&again, &bytes);
        if ty.check(&value).is_ok() {
            prop_assert!(u64::try_from(bytes.len()).unwrap() <= ty.size_max());
        }
    }

    #[test]
    fn bytes_decode_to_what_encodes_to_them(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut decoder = Decoder::new(&bytes);
        if let Ok(value) = codec::decode_any(&mut decoder) {
            let mut again = Vec::new();
            codec::encode_any(&value, &mut Encoder::new(&mut again));
            prop_assert_eq!(&again, &bytes[..decoder.position()]);
        }
    }

    #[test]
    fn numbers_keep_their_value_and_check_agrees_with_the_bounds(n in any::<f64>(), low in -100.0..0.0_f64, high in 0.0..100.0_f64) {
        let ty = FieldType::of(Kind::Number { minimum: Some((low, false)), maximum: Some((high, true)), multiple_of: None, one_of: vec![] });
        let within = n.is_finite() && n >= low && n < high;
        prop_assert_eq!(ty.check(&Value::Num(n)).is_ok(), within);
        if n.is_finite() {
            let bytes = encoded(&ty, &Value::Num(n));
            prop_assert_eq!(ty.decode(&mut Decoder::new(&bytes)), Ok(Value::Num(n + 0.0)));
        }
    }
}
