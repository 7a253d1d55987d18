//! Small inputs that ask for much work: each is refused, or loads and costs no more than the bound says.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use abide_core::bundle::Bundle;
use abide_core::document::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX};
use abide_core::expr::{COST_MAX, Env, Expected, SOURCE_MAX, Scope, compile};
use abide_core::record::decode::decode;
use abide_core::schema::{RULES_MAX, Schema};
use abide_core::time::Timestamp;
use abide_core::value::Value;
use abide_fuzz::find;

/// Far more than any of these takes, and far less than a bomb would.
const PATIENCE: Duration = Duration::from_secs(10);

fn in_time<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let end = run();
    let took = start.elapsed();
    assert!(took < PATIENCE, "{what} took {took:?}");
    end
}

const HEAD: &str = "schema: abide/v1\nname: bomb\nversion: 1.0.0\n";

/// A schema of that body is refused with a message that contains `message`.
#[track_caller]
fn refused(what: &str, body: &str, message: &str) {
    let errors = in_time(what, || Schema::load(&format!("{HEAD}{body}"))).unwrap_err();
    let found = errors.iter().any(|error| error.message.contains(message));
    assert!(found, "{what}: {:?}", errors.first());
}

/// How an expression ends that is tried over the longest list and the longest text.
#[track_caller]
fn tried(source: &str) -> Result<u64, String> {
    let text = format!(
        "{HEAD}fields:\n  \
         list: {{ type: array, items: {{ type: integer, minimum: 0, maximum: 9 }}, maxItems: 1000, default: [] }}\n  \
         text: {{ type: string, maxLength: 10000, default: \"\" }}\n"
    );
    let (schema, _) = Schema::load(&text).unwrap();
    let memory: Vec<_> = schema
        .memory
        .fields
        .iter()
        .map(|field| match &*field.name {
            "list" => Value::List(vec![Value::Int(1); 1000].into()),
            _ => Value::Str("a".repeat(10_000).into()),
        })
        .collect();
    let scope = Scope { memory: Some(Arc::clone(&schema.memory)), ..Scope::default() };
    let compiled = in_time(source, || compile(source, &scope, &Expected::Any));
    let program = compiled.map_err(|errors| errors[0].message.clone())?;
    assert!(program.cost() <= COST_MAX, "{source} costs {}", program.cost());
    let env = Env { memory: &memory, old_memory: &[], args: &[], now: Timestamp(0), caller: ("", "") };
    let _ = in_time(source, || program.eval(&env));
    let _ = in_time(source, || program.explain(&env));
    Ok(program.cost())
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("more than {DEPTH_MAX} deep");
    for n in [DEPTH_MAX + 1, 1_000, 100_000] {
        refused("a list", &format!("context: {}{}\n", "[".repeat(n), "]".repeat(n)), &deep);
        refused("a mapping", &format!("context: {}1{}\n", "{a: ".repeat(n), "}".repeat(n)), &deep);
        refused("an open list", &format!("context: {}", "[".repeat(n)), "");
        refused("a block", &format!("context:\n  {}x\n", "- ".repeat(n)), &deep);
    }
    let types = (0..20)
        .fold("{ type: integer }".to_owned(), |t, _| format!("{{ type: array, maxItems: 1, items: {t} }}"));
    refused("a type", &format!("fields:\n  a: {types}\n"), "deep");
}

#[test]
fn aliases_do_not_multiply() {
    let mut text = "context:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(text, "  a{n}: &a{n} [{aliases}]").unwrap();
    }
    refused("a bomb of aliases", &text, &format!("more than {NODES_MAX}"));
    let long = format!("context:\n  a: &a {}\n  b: [{}]\n", "x".repeat(100_000), vec!["*a"; 5_000].join(","));
    refused("a long alias", &long, "with its aliases");
    refused("an alias of itself", "context: &a [*a]\n", "");
}

#[test]
fn numbers_of_parts_are_bounded() {
    let fields =
        |n| (0..n).fold("fields:\n".to_owned(), |text, n| text + &format!("  f{n}: {{ type: boolean }}\n"));
    refused("fields", &fields(1_001), "1000");
    refused("many fields", &fields(20_000), "");
    let rule = |n: usize| format!("  - {{ name: r{n}, when: self.a, then: retry }}\n");
    let rules = (0..=RULES_MAX)
        .fold("fields: { a: { type: boolean } }\nrules:\n".to_owned(), |text, n| text + &rule(n));
    refused("rules", &rules, &RULES_MAX.to_string());
    refused("a long list", &format!("context: [{}]\n", "0,".repeat(NODES_MAX + 1)), "more than");
    refused("a long text", &format!("intent: {}\n", "x".repeat(TEXT_BYTES_MAX)), "at most");
    let large = "fields:\n  a: { type: array, maxItems: 4294967295, items: { type: array, maxItems: 4294967295, items: { type: string, maxLength: 4294967295 } } }\n";
    refused("a large memory", large, "");
}

#[test]
fn expressions_nest_no_deeper_than_the_bound() {
    let n = SOURCE_MAX / 2 - 8;
    for source in [
        format!("{}1{}", "(".repeat(n), ")".repeat(n)),
        format!("{}1{}", "[".repeat(n), "]".repeat(n)),
        format!("{}1", "(".repeat(n)),
        format!("{}1", "-".repeat(n)),
        format!("{}true", "!".repeat(n)),
        format!("{}1", "1+".repeat(n)),
        format!("{}1", "true?1:".repeat(1_000)),
        format!("{}1{}", "true?".repeat(800), ":1".repeat(800)),
        format!("self.list{}", "[0]".repeat(n / 2)),
        format!("self{}", ".a".repeat(n)),
        format!("self.list{}", ".size()".repeat(n / 4)),
        format!("{}1{}", "size(".repeat(n / 4), ")".repeat(n / 4)),
        "x".repeat(SOURCE_MAX + 1),
        "\"".repeat(SOURCE_MAX),
        format!("'{}'", "\\".repeat(SOURCE_MAX - 3)),
    ] {
        assert!(tried(&source).is_err(), "{}…", &source[..16]);
    }
    // Wide is not deep.
    assert!(tried(&vec!["true"; 1_000].join(" && ")).is_ok());
}

#[test]
fn comprehensions_cost_no_more_than_the_bound() {
    for part in ["map", "filter", "all", "exists", "exists_one"] {
        let body = if part == "map" { "a" } else { "a > 0" };
        let nested = |depth: usize| {
            (0..depth).fold(body.to_owned(), |inner, n| {
                let inner = if part == "filter" && n > 0 { format!("{inner}.size() > 0") } else { inner };
                format!("self.list.{part}(a, {inner})")
            })
        };
        assert!(tried(&nested(1)).is_ok(), "{part}: {:?}", tried(&nested(1)));
        for depth in [3, 4, 8, 30] {
            let end = tried(&nested(depth));
            assert!(end.is_err(), "{part} in itself {depth} times over a list of 1000: {end:?}");
        }
    }
    // The longest way to the bound is short.
    let costs: Vec<_> = (1..=200)
        .filter_map(|n| tried(&vec!["self.list.all(a, a > 0 && a * 2 < 9)"; n].join(" && ")).ok())
        .collect();
    assert!(costs.iter().max().is_some_and(|cost| *cost > COST_MAX / 4), "{costs:?}");
    let doubled = (0..24).fold("self.text".to_owned(), |text, _| format!("({text} + {text})"));
    assert!(tried(&doubled).is_err());
    for n in 1..9 {
        let doubled = (0..n).fold("self.list".to_owned(), |text, _| format!("({text} + {text})"));
        let _ = tried(&format!("{doubled}.map(a, {doubled}.size())"));
        let doubled = (0..n).fold("self.text".to_owned(), |text, _| format!("({text} + {text})"));
        let _ = tried(&format!("{doubled}.contains({doubled} + \"b\")"));
    }
}

#[test]
fn patterns_cannot_explode() {
    for pattern in [
        "(a+)+$",
        "(a|a)*b",
        "(a*)*b",
        "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x",
        "a{1000}",
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        "(?:a?){1000}a{1000}",
        r"\\pL{500}",
        r"[\\p{L}--a]*",
    ] {
        let _ = tried(&format!("self.text.matches(\"{pattern}\")"));
        let field = format!(
            "fields:\n  a: {{ type: string, maxLength: 10000, default: \"{}\", pattern: \"{pattern}\" }}\n",
            "a".repeat(10_000)
        );
        let _ = in_time(pattern, || Schema::load(&format!("{HEAD}{field}")));
    }
    assert!(tried("self.text.matches(\"(a{1000}){1000}\")").is_err());
    let huge = "(a{100}){100}";
    let many = (0..300).fold("fields:\n".to_owned(), |text, n| {
        text + &format!("  f{n}: {{ type: string, maxLength: 9, default: \"\", pattern: \"{huge}{n}\" }}\n")
    });
    refused("many patterns", &many, "");
}

#[test]
fn nested_bytes_and_long_promises_are_refused() {
    for n in [67, 1_000, 1_000_000] {
        for head in [0x81_u8, 0xa1, 0xc1, 0x9f, 0xbf, 0xd8] {
            let nested = vec![head; n];
            in_time("nested bytes", || {
                assert!(decode(&nested, None).is_err());
                assert!(Bundle::decode(&nested).is_err());
                assert!(Schema::from_canonical(&nested).is_err());
            });
        }
    }
    // A head that promises more than there is.
    for head in [0x9b_u8, 0xbb, 0x5b, 0x7b] {
        let mut promise = vec![head];
        promise.extend([0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff]);
        in_time("a promise", || {
            assert!(decode(&promise, None).is_err());
            assert!(Bundle::decode(&promise).is_err());
            assert!(Schema::from_canonical(&promise).is_err());
        });
    }
}

#[test]
fn nested_json_is_answered() {
    for (target, line) in [
        ("local", format!("{}\n", "[".repeat(500_000))),
        (
            "local",
            format!(
                "{{\"op\":\"observe\",\"object\":\"one\",\"mutation\":\"observe\",\"args\":{}1{}}}\n",
                "[".repeat(120),
                "]".repeat(120)
            ),
        ),
        ("local", "x".repeat(1 << 19)),
        ("jsonl", format!("{{\"time\":{}\n", "[".repeat(500_000))),
        ("csv", format!("time,who,level,heat,note\n{}", "\",".repeat(400_000))),
    ] {
        in_time(target, || (find(target).unwrap().run)(line.as_bytes()));
    }
}
