//! Explanations, as `why` shows them.

use abide_core::expr::Explanation;
use abide_core::value::Value;

use super::fixture::Fixture;

fn told(source: &str) -> String {
    let fixture = Fixture::new();
    let explanation = fixture.compile(source).unwrap().explain(&fixture.env());
    let mut out = String::new();
    tell(&explanation, 0, &fixture, &mut out);
    out
}

fn tell(of: &Explanation, depth: usize, fixture: &Fixture, out: &mut String) {
    let result = match &of.result {
        Ok(value) => value.clone(),
        Err(error) => format!("! {error}"),
    };
    let field = of
        .field
        .and_then(|slot| fixture.scope.memory.as_ref()?.get(slot).map(|field| format!(" [{}]", field.name)));
    out.push_str(&format!("{}{} => {result}{}\n", "  ".repeat(depth), of.source, field.unwrap_or_default()));
    for operand in &of.operands {
        tell(operand, depth + 1, fixture, out);
    }
}

#[test]
fn a_guard_shows_each_operand_as_written() {
    insta::assert_snapshot!(told(
        r#"self.burner == "idle" && (self.temp + 0.5) * 2 < 1.5 && self.fuel >= 6"#
    ));
}

#[test]
fn what_short_circuit_left_out_is_absent() {
    insta::assert_snapshot!("and", told("self.fuel < 6 && self.temp < 1.5"));
    insta::assert_snapshot!("or", told("self.on || self.temp < 1.5"));
    insta::assert_snapshot!("conditional", told("self.off ? self.n : self.n - 1"));
}

#[test]
fn an_operand_that_failed_is_shown_with_its_error() {
    insta::assert_snapshot!(told("self.n / self.zero > 1 && self.gap > 2 && self.off"));
}

#[test]
fn time_lists_and_objects_are_shown() {
    insta::assert_snapshot!(
        "time",
        told(r#"now - self.at > duration("1h") && self.pos.x == 1 && max(self.recent) < 3"#)
    );
    insta::assert_snapshot!(
        "lists",
        told(r#"self.recent.exists(x, x < self.temp) && self.limits["a"] in self.counts"#)
    );
    insta::assert_snapshot!(
        "arguments",
        told(r#"args.level != self.burner && has(self.wind) || caller.kind == "operator""#)
    );
}

#[test]
fn places_hold_where_text_is_not_ascii() {
    insta::assert_snapshot!(told("\"é✓\" != self.name && // naïve\n  (self.name + \"é\").startsWith(\"F\")"));
}

#[test]
fn a_long_value_is_cut() {
    let mut fixture = Fixture::new();
    fixture.set("name", Value::from("é".repeat(5000).as_str()));
    let explanation = fixture.compile("self.name").unwrap().explain(&fixture.env());
    assert_eq!(explanation.result.unwrap().chars().count(), 201);
}
