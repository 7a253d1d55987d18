//! Reading text into nodes: places, scalars, bounds and what is refused.
#![expect(clippy::disallowed_methods, reason = "how long an answer takes is measured")]

use std::time::{Duration, Instant};

use abide_core::document::{
    Diagnostics, NODES_MAX, Node, NodeKind, Reader, TEXT_BYTES_MAX, inner_span, line_column, parse,
};

/// How long an answer may take: a second, or more where nothing is optimised.
const ANSWER_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 6 } else { 1 });

/// Every diagnostic as `line:column message (help)`.
fn complaints(text: &str) -> String {
    let found = parse(text).expect_err("the text should be refused");
    let lines = found.iter().map(|d| {
        let (line, column) = line_column(text, d.span.clone().unwrap_or_default().start);
        format!("{line}:{column} {} ({})", d.message, d.help.clone().unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn entries(node: &Node) -> &[(abide_core::document::Key, Node)] {
    match &node.kind {
        NodeKind::Map(entries) => entries,
        other => panic!("no mapping: {other:?}"),
    }
}

/// Checks that each scalar's place holds exactly what it was read from.
fn check_places(text: &str, node: &Node) {
    let raw = &text[node.span.clone()];
    match &node.kind {
        NodeKind::Null => assert!(matches!(raw, "" | "~" | "null"), "{raw:?}"),
        NodeKind::Bool(value) => assert_eq!(raw, value.to_string()),
        NodeKind::Int(value) => assert_eq!(raw, value.to_string()),
        NodeKind::Float(value) => assert_eq!(raw.parse(), Ok(*value)),
        NodeKind::Str(value) => assert_eq!(raw.trim_matches(['"', '\'']), value),
        NodeKind::Seq(items) => items.iter().for_each(|item| check_places(text, item)),
        NodeKind::Map(entries) => entries.iter().for_each(|(key, item)| {
            assert_eq!(text[key.span.clone()].trim_matches(['"', '\'']), key.text);
            check_places(text, item);
        }),
    }
}

#[test]
fn places_are_bytes_whatever_stands_before() {
    let texts = [
        "# ärger ✓ 𝄞\nname: ünïcode   # ✓ comment\n\n# ✓✓✓\nlist:\n  - \"é\"   # é\n  - 12\n  - 1.5\nmap: { ä: 'ö', z: true } # ü\nnone: ~\nlast: fin",
        "\u{feff}a: ✓\nb: [é, é, { c: é }]\n",
        "{\"a\": \"é\", \"b\": [1, 2.5, true, null], \"c\": {\"d\": \"x\"}}",
        "a: é\r\nb: é # é\r\nc:\r\n  - é\r\n",
        &format!("a: {}\nb: {}\nc: x\n", "é".repeat(300), "𝄞".repeat(300)),
    ];
    for text in texts {
        check_places(text, &parse(text).unwrap());
    }
}

#[test]
fn scalars_are_those_of_the_core_schema() {
    let text = "[yes, no, on, True, 0o17, 0x1F, -12, +3, 1e3, .5, -0.0, 1_000, 1:30, 'true', \"1\", ~, 2013-02-01, -x, 1.2.3, 0x, 1e]";
    let Node { kind: NodeKind::Seq(items), .. } = parse(text).unwrap() else { panic!("no list") };
    let shown: Vec<String> = items.iter().map(|n| n.to_json().to_string()).collect();
    insta::assert_snapshot!(shown.join(" "), @r#""yes" "no" "on" true 15 31 -12 3 1000.0 0.5 -0.0 "1_000" "1:30" "true" "1" null "2013-02-01" "-x" "1.2.3" "0x" "1e""#);
}

#[test]
fn json_is_read() {
    for text in [
        "{\n\t\"a\": [\n\t\t1,\n\t\t\"x\\/y\\u00e9\"\n\t]\n}",
        "{\"a\":{\"b\":[]},\"c\":\"\"}",
        "[]",
        "\"x\"",
        "12",
    ] {
        let node = parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(node.to_json(), serde_json::from_str::<serde_json::Value>(text).unwrap(), "{text}");
    }
}

#[test]
fn an_empty_text_is_null() {
    for text in ["", "   \n", "# only a comment\n", "---\n", "\u{feff}"] {
        assert_eq!(parse(text).unwrap().kind, NodeKind::Null, "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_reported_at_once_and_in_order() {
    insta::assert_snapshot!(complaints(
        "a: 1\nb: .inf\n2: x\nc: !!str 5\na: 2\nd: 99999999999999999999\n? [x]\n: y\ne: 1e999\nf: { g: 1, g: 2 }\n"
    ));
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place() {
    for (name, text) in [
        ("unclosed", "a: [1, 2\nb: 3\n"),
        ("indentation", "a:\n  b: 1\n c: 2\n"),
        ("tab", "a:\n\tb: 1\n"),
        ("quote", "a: \"x\nb: 1\n"),
        ("documents", "a: 1\n---\nb: 2\n"),
        ("unknown_alias", "a: *nowhere\n"),
        ("own_alias", "a: &x [*x]\n"),
        ("surrogates", "{\"a\": \"\\ud834\\udd1e\"}"),
        ("control", "a: \u{1}\n"),
    ] {
        insta::assert_snapshot!(name, complaints(text));
    }
}

#[test]
fn aliases_stand_for_what_they_name() {
    let node = parse("a: &x { p: [1, 2] }\nb: *x\nc: [*x, &y 7, *y]\n").unwrap();
    let same = serde_json::json!({"a": {"p": [1, 2]}, "b": {"p": [1, 2]}, "c": [{"p": [1, 2]}, 7, 7]});
    assert_eq!(node.to_json(), same);
}

#[test]
fn bounds_hold_and_refusals_are_quick() {
    let started = Instant::now();
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..20 {
        let alias = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs += &format!("a{n}: &a{n} [{alias}]\n");
    }
    let big = "y".repeat(500_000);
    let texts = [
        ("laughs", laughs),
        ("fat_alias", format!("a: &a {big}\nb: [{}]\n", vec!["*a"; 50_000].join(","))),
        ("deep_flow", "[".repeat(TEXT_BYTES_MAX)),
        ("deep_maps", "{a: ".repeat(TEXT_BYTES_MAX / 4)),
        ("deep_block", "- ".repeat(TEXT_BYTES_MAX / 2)),
        ("deep_indent", (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("nodes", format!("[{}]", "1,".repeat(NODES_MAX + 1))),
        ("too_long", "#".repeat(TEXT_BYTES_MAX + 1)),
        ("duplicates", "a: 1\n".repeat(100_000)),
    ];
    for (name, text) in &texts {
        insta::assert_snapshot!(*name, complaints(text).lines().last().unwrap_or_default());
    }
    assert!(started.elapsed() < ANSWER_MAX * 9, "{:?} for nine texts", started.elapsed());
}

#[test]
fn junk_is_answered_in_under_a_second() {
    let junk: Vec<String> = vec![
        "x".repeat(TEXT_BYTES_MAX),
        "\n".repeat(TEXT_BYTES_MAX),
        " ".repeat(TEXT_BYTES_MAX),
        "a\n".repeat(TEXT_BYTES_MAX / 2),
        "? ".repeat(TEXT_BYTES_MAX / 2),
        ": ".repeat(TEXT_BYTES_MAX / 2),
        "&a ".repeat(TEXT_BYTES_MAX / 3),
        "'".repeat(TEXT_BYTES_MAX),
        "\"\\".repeat(TEXT_BYTES_MAX / 2),
        "é".repeat(TEXT_BYTES_MAX / 2),
        "%".repeat(TEXT_BYTES_MAX),
        "|\n".repeat(TEXT_BYTES_MAX / 2),
        "a: |\n".to_owned() + &" x\n".repeat(TEXT_BYTES_MAX / 4),
        "]".repeat(TEXT_BYTES_MAX),
        "[a,".repeat(TEXT_BYTES_MAX / 3),
        "[".to_owned() + &"a: b,".repeat(TEXT_BYTES_MAX / 6),
        "{".to_owned() + &"\"a\":1,".repeat(TEXT_BYTES_MAX / 8),
        "---\n".repeat(TEXT_BYTES_MAX / 4),
        (0..1_u32 << 19)
            .map(|n| char::from(32 + u8::try_from(n.wrapping_mul(2_654_435_761) >> 20 & 0x3f).unwrap()))
            .collect(),
    ];
    for text in &junk {
        let started = Instant::now();
        let _ = std::hint::black_box(parse(text));
        let took = started.elapsed();
        assert!(took < ANSWER_MAX, "{took:?} for {:?}…", text.chars().take(12).collect::<String>());
    }
}

#[test]
fn a_reader_names_what_it_does_not_know() {
    let text = "nmae: x\nsize: big\nevery: soon\nlist: {}\nextra: 1\nflag: yes\n";
    let node = parse(text).unwrap();
    let out = Diagnostics::default();
    let mut reader = Reader::new(&node, "a thing", &out).unwrap();
    assert_eq!(reader.required_text("name"), None);
    assert_eq!(reader.integer("size"), None);
    assert_eq!(reader.duration("every"), None);
    assert_eq!(reader.list("list"), None);
    assert_eq!(reader.boolean("flag"), None);
    assert_eq!(reader.number("absent"), None);
    reader.finish();
    let lines: Vec<String> = out
        .into_sorted()
        .iter()
        .map(|d| format!("{} ({})", d.message, d.help.clone().unwrap_or_default()))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn diagnostics_are_capped_and_counted() {
    let text: String = (0..150).map(|n| format!("a{n}: .nan\n")).collect();
    let found = parse(&text).unwrap_err();
    assert_eq!(found.len(), 101);
    assert_eq!(found.last().unwrap().message, "and 50 more");
}

#[test]
fn a_part_of_a_scalar_is_found_in_the_text() {
    for (text, part) in [
        ("a: self.x + ünknown > 3", "ünknown"),
        ("a: 'self.x == \"é\" && unknown'", "unknown"),
        ("a: 'it''s unknown'", "unknown"),
        ("a: \"self.x == \\\"é\\\" && unknown\"", "unknown"),
        ("a: \"x\\n unknown\"", "unknown"),
    ] {
        let node = parse(text).unwrap();
        let scalar = &entries(&node)[0].1;
        let NodeKind::Str(value) = &scalar.kind else { panic!("no text") };
        let start = value.find(part).unwrap();
        let span = inner_span(text, &scalar.span, value, &(start..start + part.len()));
        assert_eq!(&text[span], part, "{text}");
    }
    let text = "a: |\n  self.x\n  unknown\n";
    let scalar = &entries(&parse(text).unwrap())[0].1.clone();
    let span = inner_span(text, &scalar.span, "self.x\nunknown\n", &(7..14));
    assert_eq!(&text[span], "unknown");
    let text = "a: \"x\n  unknown\"\n";
    let scalar = &entries(&parse(text).unwrap())[0].1.clone();
    assert_eq!(inner_span(text, &scalar.span, "x unknown", &(2..9)), scalar.span);
}
