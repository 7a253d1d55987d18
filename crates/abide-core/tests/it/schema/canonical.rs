//! One schema, one canonical form, one digest: whatever the layout.

use abide_core::schema::{CanonicalError, Schema};
use proptest::prelude::*;

use super::{EVERYTHING, FROST_GUARD, load};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The document as JSON with the keys of every object reversed.
fn as_reversed_json(text: &str) -> String {
    fn write(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::Object(entries) => {
                out.push('{');
                for (n, (key, value)) in entries.iter().rev().enumerate() {
                    out.push_str(if n > 0 { ",\n" } else { "" });
                    out.push_str(&serde_json::to_string(key).unwrap());
                    out.push(':');
                    write(value, out);
                }
                out.push('}');
            }
            serde_json::Value::Array(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    write(item, out);
                }
                out.push(']');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut out = String::new();
    write(&abide_core::document::parse(text).unwrap().to_json(), &mut out);
    out
}

#[test]
fn layouts_of_one_schema_have_one_digest() {
    for text in [FROST_GUARD, EVERYTHING] {
        let schema = load(text);
        for layout in [as_reversed_json(text), schema.to_yaml(), format!("# a comment\n{text}\n# another\n")]
        {
            assert_eq!(hex(&load(&layout).digest), hex(&schema.digest), "{layout}");
        }
    }
}

#[test]
fn spellings_of_one_meaning_have_one_digest() {
    let base = "schema: abide/v1\nname: a\nversion: 1.0.0\nfields: { n: { type: number, default: 1, maximum: 5 }, i: { type: integer, maximum: 4 } }\nmutations: { m: { from: [rule, operator], set: { n: 'self.n' }, cost: 1 } }\ntrust_slope: { budget: 1 }\nrules: [{ name: r, when: self.i > 0, every: 1h, then: retry }]\n";
    for (written, also) in [
        ("default: 1,", "default: 1.0,"),
        ("maximum: 5", "maximum: 5.0"),
        ("maximum: 4", "exclusiveMaximum: 5"),
        ("maximum: 4", "maximum: 5, exclusiveMaximum: true"),
        ("maximum: 4", "maximum: 4, nullable: false"),
        ("[rule, operator]", "[operator, rule]"),
        ("'self.n'", "\" self.n\\n\""),
        ("cost: 1", "cost: 1.000000"),
        ("cost: 1", "cost: '1'"),
        ("1h", "60m"),
        ("1h", "PT1H"),
        ("then: retry", "then: { retry: {} }"),
        ("then: retry", "priority: 0, then: retry"),
        ("budget: 1 ", "budget: 1.0, drift: {} "),
    ] {
        assert!(base.contains(written), "{written}");
        assert_eq!(hex(&load(&base.replace(written, also)).digest), hex(&load(base).digest), "{also}");
    }
    for (written, other) in [
        ("default: 1", "default: 2"),
        ("1h", "61m"),
        ("then: retry", "then: terminate"),
        ("cost: 1", "cost: 1.000001"),
    ] {
        assert_ne!(hex(&load(&base.replace(written, other)).digest), hex(&load(base).digest), "{other}");
    }
}

#[test]
fn the_digest_is_pinned() {
    insta::assert_snapshot!(hex(&load(FROST_GUARD).digest));
}

#[test]
fn the_canonical_form_loads_back() {
    for text in [FROST_GUARD, EVERYTHING] {
        let schema = load(text);
        let again = Schema::from_canonical(&schema.canonical).unwrap();
        assert_eq!(again.canonical, schema.canonical);
        assert_eq!(again.digest, schema.digest);
        assert_eq!(again.to_yaml(), schema.to_yaml());
        assert_eq!(again.json_schema(), schema.json_schema());
    }
}

#[test]
fn anything_else_is_no_canonical_form() {
    let schema = load(FROST_GUARD);
    let mut longer = schema.canonical.clone();
    longer.push(0);
    assert!(matches!(Schema::from_canonical(&longer), Err(CanonicalError::Encoding(_))));
    assert!(matches!(Schema::from_canonical(&[]), Err(CanonicalError::Encoding(_))));
    assert!(matches!(Schema::from_canonical(&[0xa0]), Err(CanonicalError::Schema(_))));
    for cut in 0..schema.canonical.len() {
        assert!(Schema::from_canonical(&schema.canonical[..cut]).is_err(), "{cut}");
    }
}

proptest! {
    #[test]
    fn a_changed_byte_never_passes_for_the_same_schema(at in 0_usize..900, bit in 0_u8..8) {
        let schema = load(FROST_GUARD);
        let mut bytes = schema.canonical.clone();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Schema::from_canonical(&bytes) {
            prop_assert_ne!(other.digest, schema.digest);
            prop_assert_eq!(other.canonical, bytes);
        }
    }

    #[test]
    fn any_words_survive_yaml_and_the_canonical_form(words in any::<String>(), label in "\\PC{0,20}", constant in any::<String>()) {
        let text = serde_json::json!({
            "schema": "abide/v1", "name": "a", "version": "1.0.0", "intent": words,
            "context": { label: words },
            "fields": { "s": { "type": "string", "maxLength": 10_000, "default": constant, "description": words } },
            "mutations": { "m": { "from": ["rule"], "args": { "s": { "$ref": "#/fields/s" } } } },
            "safe_state": { "mutate": "m", "args": { "s": constant.replace("${", "$${") } },
        });
        // What JSON escapes, YAML reads; DEL and the like it does not escape, and they are refused as they stand.
        let text = text.to_string();
        prop_assume!(!text.chars().any(char::is_control) && !text.contains('\u{feff}'));
        let schema = load(&text);
        prop_assert_eq!(load(&schema.to_yaml()).digest, schema.digest);
        prop_assert_eq!(Schema::from_canonical(&schema.canonical).unwrap().digest, schema.digest);
        prop_assert_eq!(schema.intent.as_deref(), Some(&*words));
    }
}

#[test]
fn limits_of_a_behaviour_count_where_they_are_not_the_default() {
    let with = |behaviour: &str| load(&format!("schema: abide/v1\nname: a\nversion: 1.0.0\n{behaviour}"));
    let plain = with("");
    let usual =
        with("behaviour: { fuel: 100000000, memory: 67108864, tables: 20000, output: 1048576, log: 65536 }");
    assert_eq!(plain.digest, usual.digest, "what is said as it is anyway says nothing");
    let tight = with("behaviour: { log: 0, fuel: 1 }");
    assert_ne!(plain.digest, tight.digest);
    let read = Schema::from_canonical(&tight.canonical).unwrap();
    assert_eq!((read.behaviour, read.behaviour.fuel, read.behaviour.log), (tight.behaviour, 1, 0));
    assert_eq!(load(&tight.to_yaml()).digest, tight.digest, "as YAML too");
}
