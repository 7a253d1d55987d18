//! Schemas: what loads, what is refused and how it is said, the canonical form, the renderings.

mod bad;
mod canonical;
mod fields;

use abide_core::document::{Diagnostic, Severity, line_column};
use abide_core::schema::{RuleIx, Schema};

pub(crate) const FROST_GUARD: &str = include_str!("schema/good/frost-guard.yaml");
pub(crate) const EVERYTHING: &str = include_str!("schema/good/everything.yaml");

/// A schema that loads, or a panic with what is wrong with it.
pub(crate) fn load(text: &str) -> Schema {
    Schema::load(text).unwrap_or_else(|found| panic!("{text}\n{}", shown(text, &found))).0
}

/// Diagnostics as a person would want them in a line each: place, what it stands on, message, help.
pub(crate) fn shown(text: &str, found: &[Diagnostic]) -> String {
    let line = |d: &Diagnostic| {
        let place = d.span.clone().map_or_else(String::new, |span| {
            let (line, column) = line_column(text, span.start);
            let on = text.get(span).unwrap_or_default();
            let on: String = on.chars().take(30).collect();
            format!("{line}:{column} [{}] ", on.replace('\n', "⏎"))
        });
        let severity = if d.severity == Severity::Warning { "warning: " } else { "" };
        let help = d.help.as_ref().map_or_else(String::new, |help| format!("\n    help: {help}"));
        format!("{place}{severity}{}{help}", d.message)
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_loads_with_its_order_and_amounts() {
    let (schema, warnings) =
        Schema::load(FROST_GUARD).unwrap_or_else(|found| panic!("{}", shown(FROST_GUARD, &found)));
    insta::assert_snapshot!(shown(FROST_GUARD, &warnings));
    let names: Vec<&str> = schema.memory.fields.iter().map(|f| &*f.name).collect();
    assert_eq!(names, ["fuel", "wind", "burner", "recent", "observed_at", "temperature"]);
    let gaps: Vec<&str> = schema.memory.fields.iter().filter(|f| f.required).map(|f| &*f.name).collect();
    assert_eq!(gaps, ["observed_at", "temperature"]);
    assert_eq!(schema.trust_slope.budget, Some(60_000_000));
    let rules: Vec<&str> = schema.rules.iter().map(|r| &*r.name).collect();
    assert_eq!(rules, ["stale", "light", "burning"]);
    let burner = schema.mutation("set_burner").unwrap();
    assert_eq!(schema.safe_state.as_ref().unwrap().mutation, burner);
}

#[test]
fn everything_loads_and_rules_keep_priority_then_file() {
    let (schema, warnings) =
        Schema::load(EVERYTHING).unwrap_or_else(|found| panic!("{}", shown(EVERYTHING, &found)));
    assert_eq!(shown(EVERYTHING, &warnings), "");
    let rules: Vec<&str> = schema.rules.iter().map(|r| &*r.name).collect();
    assert_eq!(rules, ["high", "also-high", "nap", "nap-until", "nap-till", "child", "clock", "low"]);
    assert_eq!(schema.trust_slope.budget, Some(12_345_678));
}

#[test]
fn renderings() {
    let schema = load(EVERYTHING);
    insta::assert_snapshot!("yaml", schema.to_yaml());
    insta::assert_json_snapshot!("json_schema", schema.json_schema());
    insta::assert_json_snapshot!("tools", load(FROST_GUARD).tools());
}

#[test]
fn rules_name_actions_and_the_schema_lists_each_once() {
    let acting = FROST_GUARD.replace(
        "safe_state:",
        "  - { name: plan, when: self.fuel > 3, every: 1h, then: { act: plan_b } }
  - { name: first, when: self.fuel > 4, priority: 1, then: { act: look-around } }
  - { name: again, when: self.fuel > 5, then: { act: plan_b } }
safe_state:",
    );
    let schema = load(&acting);
    let name = |ix: RuleIx| &*schema.rules[usize::from(ix.0)].name;
    let actions: Vec<_> = schema.actions().into_iter().map(|(ix, action)| (name(ix), &**action)).collect();
    assert_eq!(actions, [("first", "look-around"), ("plan", "plan_b")]);
    assert_eq!(load(&schema.to_yaml()).digest, schema.digest);
    assert_eq!(Schema::from_canonical(&schema.canonical).unwrap().digest, schema.digest);
}

/// `{ fuel: max(self.fuel - 3, 0.0) }`, as anyone would write it.
#[test]
fn an_expression_that_a_comma_cuts_is_read_whole_and_said_to_be() {
    let cut = FROST_GUARD.replace("'max(self.fuel - 3, 0.0)'", "max(max(self.fuel - 3, 0.0), -1.0)");
    let whole = FROST_GUARD.replace("'max(self.fuel - 3, 0.0)'", "'max(max(self.fuel - 3, 0.0), -1.0)'");
    let (schema, warnings) = Schema::load(&cut).unwrap_or_else(|found| panic!("{}", shown(&cut, &found)));
    assert_eq!(schema.digest, load(&whole).digest);
    insta::assert_snapshot!(shown(&cut, &warnings));
    let open = FROST_GUARD.replace("'max(self.fuel - 3, 0.0)'", "max(self.fuel - 3, 0.0");
    insta::assert_snapshot!(shown(&open, &Schema::load(&open).unwrap_err()));
}

#[test]
fn the_schema_of_the_reference_loads_without_a_word() {
    let page = include_str!("../../../../docs/schema.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let (_, warnings) = Schema::load(text).unwrap_or_else(|found| panic!("{}", shown(text, &found)));
    assert_eq!(shown(text, &warnings), "");
}
