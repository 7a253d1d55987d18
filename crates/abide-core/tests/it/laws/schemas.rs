//! Random schemas, as text.

use std::fmt::Write as _;

use abide_core::policy::{Limits, Policy};

use super::histories::Choices;
use crate::world;

/// The mutations that a random schema has. Each takes `v`, an integer.
pub(super) const MUTATIONS: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];

const FIELDS: &str = r"
fields:
  a: { type: integer, minimum: -9, maximum: 9, default: 0 }
  b: { type: number, minimum: 0, maximum: 100, default: 50 }
  c: { type: boolean, default: false }
  d: { type: string, enum: [x, y, z], default: x }
  e: { type: integer, minimum: 0, maximum: 9, nullable: true }
  t: { type: string, format: date-time, default: '1970-01-01T00:00:30Z' }
  l: { type: array, items: { type: integer }, maxItems: 4, default: [] }
";

const INVARIANTS: [&str; 5] = [
    "self.b > 0.0 || !self.c",
    "self.d != 'z' || self.a >= 0",
    "self.a - oldSelf.a <= 6",
    "100 / (self.a - 7) < 200",
    "self.b >= oldSelf.b - 30.0",
];

const SETS: [&str; 12] = [
    "a: args.v",
    "a: self.a + args.v",
    "a: self.a + 1",
    "a: 12 / self.a",
    "b: self.b - 7.0",
    "b: self.b + double(args.v)",
    "c: '!self.c'",
    "d: \"self.a > 2 ? 'y' : args.v > 4 ? 'z' : 'x'\"",
    "e: args.v",
    "e: 'null'",
    "t: now + duration('9s')",
    "l: (self.l + [args.v]).takeLast(3)",
];

const GUARDS: [&str; 14] = [
    "7 % self.a == 1",
    "self.l[0] > 0",
    "self.a > 0",
    "self.a < 4 && !self.c",
    "self.b > 30.0",
    "self.d == 'x'",
    "self.a >= -9",
    "12 / self.a > 2",
    "self.e != null && self.e > 2",
    "now - self.t > duration('5s')",
    "self.a < 5 && now.getSeconds() % 5 < 3",
    "self.l.size() > 1",
    "12 / (self.a - 2) > 2 || now > self.t",
    "self.b < 20.0 || self.c",
];

const CALLERS: [&str; 6] = ["rule", "observation", "operator", "component", "parent", "behaviour"];

/// What the objects of random schemas may do.
pub(super) fn policy() -> Policy {
    Policy { limits: Limits { effects: 3, depth: 3, children: 2, ..Limits::default() }, ..world::policy() }
}

/// A random schema, below its header. Its children, if it has any, are of the schema `kid`.
pub(super) fn text_of(choices: &mut Choices<'_>) -> String {
    let mut text = FIELDS.to_owned();
    if choices.one_in(3) {
        text += "  g: { type: integer, minimum: 0, maximum: 9 }\n";
    }
    let has_gap = text.contains("  g: ");
    let invariants: Vec<_> = INVARIANTS.iter().filter(|_| choices.one_in(3)).collect();
    if !invariants.is_empty() {
        text += "invariants:\n";
        invariants.iter().for_each(|one| text += &format!("  - expression: \"{one}\"\n"));
    }
    let has_budget = !choices.one_in(3);
    text += "mutations:\n";
    for name in MUTATIONS {
        mutation(&mut text, name, has_gap, has_budget, choices);
    }
    text += "rules:\n";
    for n in 0..=choices.pick(7) {
        rule(&mut text, n, has_budget, choices);
    }
    if choices.one_in(2) {
        writeln!(text, "safe_state: {{ mutate: {}, args: {{ v: 0 }} }}", MUTATIONS[choices.pick(2)]).unwrap();
    }
    if choices.one_in(2) {
        text += "missed: skip\n";
    }
    slope(&mut text, has_budget, choices);
    if text.ends_with("trust_slope:\n") {
        text = text.trim_end_matches("trust_slope:\n").to_owned();
    }
    text
}

/// As [`text_of`], with a migration from the other versions of the three.
pub(super) fn version_of(choices: &mut Choices<'_>, version: u32) -> String {
    let mut text = text_of(choices);
    let from: Vec<_> =
        (1..=3).filter(|other| *other != version).map(|other| format!("{other}.0.0")).collect();
    writeln!(text, "migration:\n  from: [{}]", from.join(", ")).unwrap();
    match (text.contains("  g: "), choices.one_in(2)) {
        (true, true) => text += "  default: { g: 4 }\n",
        (true, false) => {}
        (false, true) => text += "  rename: { g: e }\n  remove: [ e ]\n",
        (false, false) => text += "  remove: [ g ]\n",
    }
    let sets = [
        "a: 'self.a > 4 ? 4 : self.a'",
        "b: 'double(self.a) + 20.0'",
        "l: '[self.a]'",
        "t: now",
        "d: \"self.c ? 'z' : self.d\"",
        "a: 12 / self.a",
    ];
    let set = sets[choices.pick(sets.len())];
    if choices.one_in(2) {
        writeln!(text, "  set: {{ {set} }}").unwrap();
    }
    text
}

/// The first two mutations are open to rules, the third to observations; beyond that, chance decides.
fn mutation(text: &mut String, name: &str, has_gap: bool, has_budget: bool, choices: &mut Choices<'_>) {
    let sure = match name {
        "m0" | "m1" => "rule",
        "m2" => "observation",
        _ => "operator",
    };
    let from: Vec<_> = CALLERS.into_iter().filter(|kind| *kind == sure || choices.one_in(3)).collect();
    writeln!(text, "  {name}:\n    from: [{}]", from.join(", ")).unwrap();
    *text += "    args: { v: { type: integer, minimum: -20, maximum: 20, default: 1 } }\n";
    if choices.one_in(4) {
        *text += "    requires: args.v != self.a\n";
    }
    if choices.one_in(4) && from.contains(&"observation") {
        *text += "    ignore: args.v == self.a || 12 / args.v == 3\n";
    }
    let mut sets: Vec<&str> = (0..=choices.pick(3)).map(|_| SETS[choices.pick(SETS.len())]).collect();
    if has_gap && choices.one_in(2) {
        sets.push("g: args.v");
    }
    sets.sort_unstable();
    sets.dedup_by_key(|set| set[..1].to_owned());
    writeln!(text, "    set:\n      {}", sets.join("\n      ")).unwrap();
    if has_budget && (sure == "rule" || !choices.one_in(3)) {
        let cost =
            ["1", "0.4", "double(abs(args.v - self.a)) * 0.3", "self.b / 30.0", "args.v"][choices.pick(5)];
        writeln!(text, "    cost: \"{cost}\"").unwrap();
    }
    if choices.one_in(4) {
        let result = if choices.one_in(2) { ", result: m2, error: m2" } else { "" };
        let interface = if choices.one_in(4) { "example:lab/other" } else { "example:lab/valve" };
        writeln!(text, "    effect: {{ interface: {interface}, function: open, args: ['${{self.a}}'], valid_for: 30s{result} }}")
            .unwrap();
    }
}

fn rule(text: &mut String, n: usize, has_budget: bool, choices: &mut Choices<'_>) {
    let guard = GUARDS[choices.pick(GUARDS.len())];
    write!(text, "  - {{ name: r{n}, when: \"{guard}\"").unwrap();
    if choices.one_in(2) {
        write!(text, ", every: {}s", [1, 7, 20][choices.pick(3)]).unwrap();
    }
    if choices.one_in(3) {
        write!(text, ", for: {}s", [2, 10, 25][choices.pick(3)]).unwrap();
    }
    if choices.one_in(3) {
        write!(text, ", priority: {}", choices.pick(3)).unwrap();
    }
    let guard = GUARDS[choices.pick(GUARDS.len())];
    let spawn = if has_budget {
        format!(
            "spawn: {{ schema: kid, budget: {}, refill: {}, values: {{ a: '${{self.a}}' }} }}",
            [2, 1, 2, 0][choices.pick(4)],
            choices.pick(3)
        )
    } else {
        "spawn: { schema: kid, links: [ 'example:lab/valve' ] }".to_owned()
    };
    let step = match choices.pick(18) {
        0..=4 => format!("{{ mutate: m{}, args: {{ v: {} }} }}", choices.pick(2), choices.pick(12)),
        5 | 6 => format!(
            "{{ mutate: m{}, args: {{ v: '${{{}}}' }} }}",
            choices.pick(2),
            ["self.a + 1", "self.a", "30 / self.a"][choices.pick(3)]
        ),
        7 => "retry".to_owned(),
        8 => format!("{{ sleep: {{ for: {}s }} }}", 1 + choices.pick(20)),
        9 => format!("{{ sleep: {{ until: \"{guard}\" }} }}"),
        10 => "{ sleep: { until: \"self.t + duration('3s')\" } }".to_owned(),
        11 if choices.one_in(2) => "terminate".to_owned(),
        12..=15 => format!("{{ act: act{} }}", choices.pick(2)),
        _ => format!("{{ {spawn} }}"),
    };
    writeln!(text, ", then: {step} }}").unwrap();
}

fn slope(text: &mut String, has_budget: bool, choices: &mut Choices<'_>) {
    *text += "trust_slope:\n";
    if has_budget {
        writeln!(text, "  budget: {}", 2 + choices.pick(6)).unwrap();
        if !choices.one_in(4) {
            let per = ["10s", "7s", "3333ms", "1m"][choices.pick(4)];
            writeln!(text, "  refill: {{ amount: {}, per: {per} }}", 2 + choices.pick(4)).unwrap();
        } else {
            *text += "  refill: { amount: 2, per: 1h }\n";
        }
    }
    if choices.one_in(3) {
        writeln!(text, "  drift: {{ b: {{ from: 50, within: {} }} }}", 5 + choices.pick(30)).unwrap();
    }
    if choices.one_in(2) {
        let (denials, within) = (1 + choices.pick(16), 5 + choices.pick(60));
        writeln!(text, "  quarantine: {{ denials: {denials}, within: {within}s }}").unwrap();
    }
}
