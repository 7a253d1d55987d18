//! Random schemas of every type and with every kind of name, as text.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;

/// A schema with act steps and mutations of which some are open to behaviours.
pub(super) fn schema() -> impl Strategy<Value = String> {
    let mutation = (any::<bool>(), vec((ty(), 0..3_u8), 0..4), names(4));
    (vec(ty(), 0..6), names(6), vec(mutation, 0..4), names(4), vec("[a-z][a-z0-9_-]{0,5}", 0..5)).prop_map(
        |(fields, field_names, mutations, mutation_names, actions)| {
            let mut text = "schema: abide/v1\nname: random-1_x\nversion: 1.2.3-rc.1+build.5\n".to_owned();
            text += if fields.is_empty() { "" } else { "fields:\n" };
            for (name, ty) in field_names.iter().zip(&fields) {
                writeln!(text, "  {name}: {ty}").unwrap();
            }
            text += if mutations.is_empty() { "" } else { "mutations:\n" };
            for (name, (is_open, args, arg_names)) in mutation_names.iter().zip(&mutations) {
                let from = if *is_open { "rule, behaviour" } else { "operator" };
                writeln!(text, "  {name}:\n    from: [{from}]").unwrap();
                text += if args.is_empty() { "" } else { "    args:\n" };
                for (name, (ty, kind)) in arg_names.iter().zip(args) {
                    match (kind, field_names.first().filter(|_| !fields.is_empty())) {
                        (0, Some(field)) => writeln!(text, "      {name}: {{ $ref: '#/fields/{field}' }}"),
                        (1, Some(field)) => {
                            writeln!(text, "      {name}: {{ $ref: '#/fields/{field}', nullable: true }}")
                        }
                        _ => writeln!(text, "      {name}: {ty}"),
                    }
                    .unwrap();
                }
            }
            text += if actions.is_empty() { "" } else { "rules:\n" };
            for (n, action) in actions.iter().enumerate() {
                writeln!(text, "  - {{ name: r{n}, when: now > now, every: 1h, then: {{ act: {action} }} }}")
                    .unwrap();
            }
            text
        },
    )
}

/// So many names that differ, though their identifiers need not: few letters, and words that mean something in WIT.
fn names(count: usize) -> impl Strategy<Value = Vec<String>> {
    let fixed = "memory mutation step cycle spawn wake timestamp duration log list option result string record nothing types self";
    let fixed: Vec<&str> = fixed.split(' ').collect();
    let name =
        prop_oneof![4 => "[ab][ab1_]{0,3}", 1 => proptest::sample::select(fixed).prop_map(str::to_owned)];
    proptest::collection::btree_set(
        name.prop_filter("a reserved word of expressions", |name| name != "null"),
        count,
    )
    .prop_map(|names| names.into_iter().collect::<Vec<_>>())
    .prop_shuffle()
}

/// A type in the flow style of YAML. None has a default, so that any may be nullable.
fn ty() -> impl Strategy<Value = String> {
    let texts = proptest::collection::btree_set(prop_oneof![2 => "[aAbB1_ é]{0,3}", 1 => "\\PC{0,4}"], 1..6);
    let texts = texts.prop_map(|texts| {
        let quoted: Vec<_> = texts.into_iter().map(|text| serde_json::to_string(&text).unwrap()).collect();
        format!("type: string, enum: [{}]", quoted.join(", "))
    });
    let words = "\\PC{0,12}".prop_map(|words| {
        format!("type: number, unit: Cel, description: {}", serde_json::to_string(&words).unwrap())
    });
    let plain = proptest::sample::select(vec![
        "type: boolean",
        "type: integer, enum: [1, 2]",
        "type: number, minimum: 0, exclusiveMaximum: 10, unit: m/s",
        "type: string, maxLength: 5",
        "type: string, format: date-time",
        "type: string, format: duration",
        "type: string, format: byte, maxLength: 3",
        "type: object, properties: {}",
    ]);
    let leaf = prop_oneof![2 => texts, 1 => words, 2 => plain.prop_map(str::to_owned)];
    let braced = |(ty, is_nullable): (String, bool)| {
        if is_nullable { format!("{{ {ty}, nullable: true }}") } else { format!("{{ {ty} }}") }
    };
    let leaf = (leaf, any::<bool>()).prop_map(braced);
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let object = (vec(inner.clone(), 1..4), names(3), any::<bool>()).prop_map(|(types, names, is_required)| {
            let properties: Vec<_> = names.iter().zip(&types).map(|(name, ty)| format!("{name}: {ty}")).collect();
            let required = if is_required { format!(", required: [{}]", names[0]) } else { String::new() };
            format!("type: object, properties: {{ {} }}{required}", properties.join(", "))
        });
        let within = prop_oneof![
            2 => object,
            1 => inner.clone().prop_map(|item| format!("type: array, maxItems: 2, items: {item}")),
            1 => inner.prop_map(|value| format!("type: object, maxProperties: 2, additionalProperties: {value}")),
        ];
        (within, any::<bool>()).prop_map(braced)
    })
}
