//! Laws, over random expressions.

use abide_core::expr::{Expected, compile, show};
use abide_core::value::Value;
use proptest::prelude::*;

use super::fixture::Fixture;

/// Fields of the fixture with values of every size, the awkward ones often.
fn with_values(n: i64, big: i64, fuel: f64, temp: f64, name: &str, on: bool) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.set("n", Value::Int(n));
    fixture.set("big", Value::Int(big));
    fixture.set("fuel", Value::Num(fuel));
    fixture.set("temp", Value::Num(temp));
    fixture.set("name", name.into());
    fixture.set("on", Value::Bool(on));
    fixture
}

prop_compose! {
    fn fixture()(
        n in -1000_i64..=1000,
        big in prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1), any::<i64>()],
        fuel in number(),
        temp in number(),
        name in "[a-c]{0,3}",
        on in any::<bool>(),
    ) -> Fixture {
        with_values(n, big, fuel, temp, &name, on)
    }
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(-1.5), Just(1e300), -1000.0..1000.0]
}

/// Well-typed expressions over those fields, of each scalar type.
#[derive(Clone, Debug)]
struct Typed {
    boolean: BoxedStrategy<String>,
    integer: BoxedStrategy<String>,
    number: BoxedStrategy<String>,
    string: BoxedStrategy<String>,
}

fn typed(depth: u32) -> Typed {
    if depth == 0 {
        return leaves();
    }
    let Typed { boolean, integer, number, string } = typed(depth - 1);
    let two = |of: &BoxedStrategy<String>, operators: &'static [&'static str]| {
        (of.clone(), prop::sample::select(operators), of.clone())
            .prop_map(|(a, op, b)| format!("({a} {op} {b})"))
            .boxed()
    };
    let choice = |of: &BoxedStrategy<String>| {
        (boolean.clone(), of.clone(), of.clone()).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")).boxed()
    };
    const ORDER: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
    Typed {
        boolean: prop_oneof![
            1 => leaves().boolean,
            2 => two(&integer, ORDER),
            2 => two(&number, ORDER),
            2 => two(&string, ORDER),
            4 => two(&boolean, &["&&", "||"]),
            1 => two(&boolean, &["==", "!="]),
            1 => boolean.clone().prop_map(|a| format!("!({a})")),
            1 => (string.clone(), string.clone()).prop_map(|(a, b)| format!("{a}.startsWith({b})")),
            1 => (string.clone(), string.clone()).prop_map(|(a, b)| format!("{a}.contains({b})")),
            1 => (integer.clone(), integer.clone(), integer.clone()).prop_map(|(a, b, c)| format!("({a} in [{b}, {c}])")),
            1 => choice(&boolean),
        ]
        .boxed(),
        integer: prop_oneof![
            1 => leaves().integer,
            4 => two(&integer, &["+", "-", "*", "/", "%"]),
            1 => string.clone().prop_map(|a| format!("size({a})")),
            1 => integer.clone().prop_map(|a| format!("(-{a})")),
            1 => choice(&integer),
        ]
        .boxed(),
        number: prop_oneof![
            1 => leaves().number,
            4 => two(&number, &["+", "-", "*", "/"]),
            1 => integer.clone().prop_map(|a| format!("double({a})")),
            1 => choice(&number),
        ]
        .boxed(),
        string: prop_oneof![1 => leaves().string, 2 => two(&string, &["+"]), 1 => choice(&string)].boxed(),
    }
}

fn leaves() -> Typed {
    let of = |all: &'static [&'static str]| prop::sample::select(all).prop_map(str::to_owned).boxed();
    Typed {
        boolean: of(&["self.on", "true", "false"]),
        integer: of(&["self.n", "self.big", "0", "1", "-7", "9223372036854775807"]),
        number: of(&["self.fuel", "self.temp", "0.0", "1.5", "-2.25", "1e308"]),
        string: of(&["self.name", "\"\"", "\"a\"", "\"bc\""]),
    }
}

fn any_expression() -> impl Strategy<Value = String> {
    let Typed { boolean, integer, number, string } = typed(4);
    prop_oneof![3 => boolean, 1 => integer, 1 => number, 1 => string]
}

/// What the interpreter of the `cel` crate makes of it, as text. It knows no `self`, so its variables are `self_n` and so on.
fn reference(source: &str, fixture: &Fixture) -> Option<String> {
    let mut context = cel::Context::default();
    for name in ["n", "big", "fuel", "temp", "name", "on"] {
        let value = match &fixture.memory[fixture.slot(name)] {
            Value::Int(value) => cel::Value::from(*value),
            Value::Num(value) => cel::Value::from(*value),
            Value::Str(text) => cel::Value::from(text.to_string()),
            Value::Bool(value) => cel::Value::from(*value),
            other => panic!("{other:?} is no scalar"),
        };
        context.add_variable_from_value(format!("self_{name}"), value);
    }
    let program = cel::Program::compile(&source.replace("self.", "self_")).unwrap();
    Some(match program.execute(&context).ok()? {
        cel::Value::Int(value) => show(&Value::Int(value)),
        cel::Value::Float(value) => show(&Value::Num(value)),
        cel::Value::String(text) => show(&Value::from(text.as_str())),
        cel::Value::Bool(value) => show(&Value::Bool(value)),
        other => panic!("{other:?} is no scalar"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Where both the `cel` crate's interpreter and this one give a value, it is the same. (The crate's gives none where NaN
    /// is compared.)
    #[test]
    fn values_are_those_of_cel(source in any_expression(), fixture in fixture()) {
        let Ok(program) = compile(&source, &fixture.scope, &Expected::Any) else { return Ok(()) };
        let value = program.eval(&fixture.env());
        match (&value, reference(&source, &fixture)) {
            (Ok(value), Some(reference)) => prop_assert_eq!(show(value), reference, "{}", source),
            (Err(error), Some(reference)) => prop_assert!(false, "{source}: {} and not {reference}", error.message),
            (_, None) => {}
        }
    }

    /// What is refused at load because it would fail every time does fail in the `cel` crate's interpreter too, unless a
    /// branch that is never taken, or an operand that decides, hides it.
    #[test]
    fn what_fails_at_load_fails_in_cel(source in typed(2).integer, fixture in fixture()) {
        prop_assume!(!source.contains('?'));
        if compile(&source, &fixture.scope, &Expected::Any).is_err() {
            prop_assert_eq!(None, reference(&source, &fixture), "{}", source);
        }
    }

    /// `can_fail() == false` is a promise over every complete memory.
    #[test]
    fn what_cannot_fail_does_not(source in any_expression(), fixture in fixture()) {
        let Ok(program) = compile(&source, &fixture.scope, &Expected::Any) else { return Ok(()) };
        if let Err(error) = program.eval(&fixture.env()) {
            prop_assert!(program.can_fail(), "{}: {}", source, error.message);
        }
    }

    /// An explanation says what the evaluation says.
    #[test]
    fn explanations_agree_with_values(source in any_expression(), fixture in fixture()) {
        let Ok(program) = compile(&source, &fixture.scope, &Expected::Any) else { return Ok(()) };
        let said = program.eval(&fixture.env()).map(|value| show(&value)).map_err(|error| error.message);
        prop_assert_eq!(program.explain(&fixture.env()).result, said);
    }

    /// Any text has an answer, and every error lies within it, at characters.
    #[test]
    fn any_text_has_an_answer(source in "(self|args|now|[a-z]{1,3}|[0-9]{1,3}|é|[-+*/%!<>=&|?:.,()\\[\\]{}\"'`\\\\ ]|\n){0,24}") {
        let fixture = Fixture::new();
        if let Err(errors) = fixture.compile(&source) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(source.get(error.span.clone()).is_some(), "{:?} of {:?}", error, source);
            }
        }
    }

    /// So has what starts as an expression and was damaged.
    #[test]
    fn damaged_expressions_have_an_answer(source in any_expression(), at in any::<prop::sample::Index>(), with in "[-+)(\\[\\].,\"?:é ]") {
        let fixture = Fixture::new();
        let at = at.index(source.len());
        let damaged = format!("{}{with}{}", &source[..at], &source[at + 1..]);
        if let Err(errors) = fixture.compile(&damaged) {
            prop_assert!(errors.iter().all(|error| damaged.get(error.span.clone()).is_some()), "{errors:?} of {damaged}");
        }
    }
}
