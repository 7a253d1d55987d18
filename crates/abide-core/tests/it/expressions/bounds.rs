//! Bounds: whatever a text holds, it is answered soon, on little stack, with a word why.

use std::time::{Duration, Instant};

use abide_core::expr::{COST_MAX, DEPTH_MAX, NESTING_MAX, SOURCE_MAX};

use super::fixture::Fixture;

/// A hundred times what any answer takes, and little beside what anything but linear work on these inputs would.
const SOON: Duration = Duration::from_secs(2);

/// The message of the first error, or `ok`; on a stack of a quarter of what a thread has.
#[expect(clippy::disallowed_methods, reason = "the bound is on time and stack, which a test may measure")]
fn answer(source: &str) -> String {
    let source = source.to_owned();
    let run = move || {
        let fixture = Fixture::new();
        let start = Instant::now();
        let answer = match fixture.compile(&source) {
            Ok(program) => {
                let _ = program.eval(&fixture.env());
                "ok".to_owned()
            }
            Err(errors) => errors[0].message.clone(),
        };
        let took = start.elapsed();
        assert!(
            took < SOON,
            "{took:?} for {} bytes of {}…",
            source.len(),
            source.chars().take(20).collect::<String>()
        );
        answer
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap()
}

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

#[test]
fn nesting_is_bounded() {
    let brackets = [
        ("(", "1", ")", 1),
        ("[", "1", "]", 1),
        ("{\"a\": ", "1", "}", 1),
        ("size([", "1", "] + [1])", 2),
        ("!(", "true", ")", 1),
    ];
    for (open, inner, close, each) in brackets {
        let said = answer(&nested(open, inner, close, NESTING_MAX / each));
        assert_eq!(said, "ok", "{open}");
        for times in [NESTING_MAX / each + 1, 500] {
            let said = answer(&nested(open, inner, close, times));
            assert!(said.contains("nests too deep"), "{open} {times}: {said}");
        }
    }
    assert!(answer(&"(".repeat(SOURCE_MAX)).contains("nests too deep"));
}

#[test]
fn chains_of_operators_are_bounded() {
    let chain = |item: &str, operator: &str, times: usize| vec![item; times].join(operator);
    assert_eq!(answer(&chain("self.n", " + ", DEPTH_MAX / 2)), "ok");
    for (item, operator) in [("1", "+"), ("1", "-"), ("a", "."), ("\"a\"", "+"), ("1", "<"), ("true", "==")] {
        assert!(answer(&chain(item, operator, 1000)).contains("nests too deep"), "{operator}");
    }
    for (head, tail) in [("a", "[1]"), ("a", ".f()"), ("-", "-"), ("!", "!")] {
        let source = format!("{head}{}", tail.repeat(1000));
        assert!(answer(&source).contains("nests too deep"), "{head}{tail}");
    }
    assert!(answer(&format!("{}1", "true ? 1 : ".repeat(500))).contains("nests too deep"));
    assert_eq!(answer(&format!("{}1", "self.on ? 1 : ".repeat(30))), "ok");
}

#[test]
fn chains_of_logic_may_be_long() {
    let chain = |operator: &str| vec!["self.on"; 800].join(operator);
    assert_eq!(answer(&chain("&&")), "ok");
    assert_eq!(answer(&chain("||")), "ok");
    assert_eq!(answer(&format!("self.n in [{}]", vec!["1"; 2000].join(","))), "ok");
}

#[test]
fn a_source_is_at_most_its_bound_long() {
    let padded = |length: usize| format!("true{}", " ".repeat(length - 4));
    assert_eq!(answer(&padded(SOURCE_MAX)), "ok");
    assert!(answer(&padded(SOURCE_MAX + 1)).contains("has 8193 bytes; at most 8192"));
    assert!(answer(&"é".repeat(100_000)).contains("at most 8192"));
    assert!(answer("").contains("empty"));
    assert!(answer(" \n ").contains("empty"));
}

#[test]
fn garbage_is_answered() {
    for piece in [
        "+*/", "a ", "1 ", "\"", "'''", "\\", "\u{0}", "`", "a{", "=>", "é", "\u{feff}", "?:", ",", "b'",
        "r\"",
    ] {
        let source = piece.repeat(8000 / piece.len());
        assert_ne!(answer(&source), "ok", "{piece}");
    }
}

#[test]
fn errors_are_as_many_as_a_person_reads() {
    let fixture = Fixture::new();
    let errors = fixture.compile(&format!("[{}]", vec!["self.fule"; 800].join(","))).unwrap_err();
    assert_eq!(errors.len(), 20);
}

#[test]
fn cost_is_bounded_before_anything_runs() {
    let fixture = Fixture::new();
    let loops = |depth: usize| {
        let heads: String = (0..depth).map(|n| format!("self.recent.exists(x{n}, ")).collect();
        format!("{heads}x0 > 1{}", ")".repeat(depth))
    };
    assert!(fixture.compile(&loops(3)).unwrap().cost() <= COST_MAX);
    let errors = fixture.compile(&loops(6)).unwrap_err();
    assert!(errors[0].message.contains("may cost as much as"), "{errors:?}");
    assert!(errors[0].help.as_ref().unwrap().contains("maxItems"), "{errors:?}");
    assert!(answer(&loops(30)).contains("may cost more than can be counted"));
    let product = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let bomb = (0..7).fold("1".to_owned(), |body, n| format!("{product}.map(x{n}, {body})"));
    assert!(answer(&bomb).contains("may cost as much as"), "{}", answer(&bomb));
}

#[test]
fn what_a_loop_makes_is_bounded_by_its_cost() {
    let mut text = "self.name".to_owned();
    for n in 0..5 {
        text = format!("self.recent.map(x{n}, {text} + self.name)[0]");
    }
    assert!(answer(&text).contains("may cost"), "{}", answer(&text));
}

#[test]
fn patterns_are_bounded() {
    for pattern in ["(a{100}){100}", "((a{50}){50}){50}", "\\\\w{5000}", "(?:x{1,1000}){1,1000}"] {
        let said = answer(&format!("self.name.matches(\"{pattern}\")"));
        assert!(said.contains("the pattern cannot be used"), "{pattern}: {said}");
    }
    let long = format!("self.name.matches(\"{}\")", "a".repeat(2000));
    assert!(answer(&long).contains("the pattern cannot be used"));
    let nested = format!("self.name.matches(\"{}\")", nested("(", "a", ")", 500));
    assert!(answer(&nested).contains("the pattern cannot be used"));
    assert_eq!(answer("self.name.matches(\"(a+)+$\")"), "ok");
}
