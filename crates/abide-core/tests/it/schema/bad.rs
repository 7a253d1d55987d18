//! Bad schemas: every message is pinned, and every answer comes in time.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use abide_core::schema::Schema;

use super::shown;

/// Every file of `bad/` is refused with what its snapshot says.
#[test]
fn bad_schemas_are_refused_with_place_and_remedy() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schema/bad");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "the folder of bad schemas is not there");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = format!("bad_{}", file.file_stem().unwrap().to_string_lossy());
        let found = Schema::load(&text).expect_err(&name);
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(name, shown(&text, &found));
        });
    }
}

/// How long an answer may take: a second, or more where nothing is optimised.
const ANSWER_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 6 } else { 1 });

#[expect(clippy::disallowed_methods, reason = "how long an answer takes is measured")]
fn answers_in_time(name: &str, text: &str) {
    let started = Instant::now();
    let answer = Schema::load(text).map(|(schema, _)| schema.digest);
    let took = started.elapsed();
    assert!(took < ANSWER_MAX, "{took:?} for {name}: {}", answer.is_ok());
}

#[test]
fn whatever_it_is_given_it_answers_in_under_a_second() {
    let head = "schema: abide/v1\nname: a\nversion: 1.0.0\n";
    let field = "fields: { a: { type: boolean, default: true }, n: { type: number, default: 1 } }\n";
    let repeated = |section: &str, line: &dyn Fn(usize) -> String, until: usize| {
        let mut text = format!("{head}{field}{section}:\n");
        let mut n = 0;
        while text.len() < until {
            let _ = writeln!(text, "{}", line(n));
            n += 1;
        }
        text
    };
    let large = 900_000;
    let texts = [
        ("rules", repeated("rules", &|n| format!("  - {{ name: r{n}, when: self.a, then: retry }}"), large)),
        (
            "bad rules",
            repeated(
                "rules",
                &|n| format!("  - {{ name: r{n}, when: self.b && self.c, then: {{ mutate: nothing }} }}"),
                large,
            ),
        ),
        (
            "mutations",
            repeated("mutations", &|n| format!("  m{n}: {{ from: [rule], set: {{ a: '!self.a' }} }}"), large),
        ),
        ("misspelt", repeated("mutations", &|n| format!("  m{n}: {{ form: [rule] }}"), large)),
        (
            "invariants",
            repeated(
                "invariants",
                &|_| "  - { expression: 'self.n > 0 && self.a || self.n < 3' }".to_owned(),
                large,
            ),
        ),
        ("unknown keys", repeated("context", &|n| format!("  k{n}: v\nx{n}: 1"), large)),
        (
            "long expression",
            format!("{head}{field}invariants: [{{ expression: 'self.a{}' }}]", " && self.a".repeat(90_000)),
        ),
        (
            "deep expression",
            format!(
                "{head}{field}invariants: [{{ expression: '{}self.a{}' }}]",
                "(".repeat(400_000),
                ")".repeat(400_000)
            ),
        ),
        ("not not", format!("{head}{field}invariants: [{{ expression: '{}self.a' }}]", "!".repeat(900_000))),
        (
            "long name",
            format!("{head}{field}rules: [{{ name: {}, when: true, then: retry }}]", "r".repeat(900_000)),
        ),
        (
            "long reference",
            format!("{head}fields: {{ a: {{ $ref: \"#/fields/{}\" }} }}", "r".repeat(900_000)),
        ),
        (
            "long template",
            format!(
                "{head}{field}mutations: {{ m: {{ from: [rule], args: {{ t: {{ type: string, maxLength: 10 }} }} }} }}\nsafe_state: {{ mutate: m, args: {{ t: '{}' }} }}",
                "${self.n}".repeat(90_000)
            ),
        ),
        ("patterns", {
            let fields: String = (0..900).map(|n| format!("  f{n}: {{ type: string, maxLength: 9, pattern: '(a{{50}}|b{{50}}|[a-z]{{9}}){{9}}' }}\n")).collect();
            format!("{head}fields:\n{fields}")
        }),
        ("enumeration", {
            let values: String = (0..50_000).map(|n| format!("v{n}, ")).collect();
            format!("{head}fields: {{ a: {{ type: string, enum: [{values}] }} }}")
        }),
        ("required", {
            let names: String = (0..40_000).map(|n| format!("v{n}, ")).collect();
            format!(
                "{head}fields: {{ a: {{ type: object, properties: {{ x: {{ type: boolean }} }}, required: [{names}] }} }}"
            )
        }),
        ("junk", "x: [".repeat(60) + &"é".repeat(400_000)),
    ];
    for (name, text) in &texts {
        answers_in_time(name, text);
    }
}
