//! What is known of an expression once it is loaded: types of results, reads, failure, and the places of errors.

use abide_core::expr::{Expected, ExprError, SlotSet, compile};
use abide_core::field::{FieldType, Slot};

use super::fixture::{Fixture, integer, list, nullable, number, one_of, string};

fn named(fixture: &Fixture, set: &SlotSet) -> Vec<String> {
    let memory = fixture.scope.memory.as_ref().unwrap();
    set.iter().map(|slot: Slot| memory.get(slot).unwrap().name.to_string()).collect()
}

#[test]
fn reads_are_those_of_self_in_every_branch() {
    let fixture = Fixture::new();
    let reads = |source: &str| {
        let mut all = named(&fixture, fixture.compile(source).unwrap().reads());
        all.sort();
        all
    };
    assert_eq!(reads("self.on ? self.n : self.zero"), ["n", "on", "zero"]);
    assert_eq!(reads("self.recent.exists(x, x > self.fuel + self.pos.x)"), ["fuel", "pos", "recent"]);
    assert_eq!(reads("has(self.wind)"), ["wind"]);
    assert_eq!(reads("oldSelf.fuel > args.value"), [""; 0]);
    assert_eq!(reads("true || self.on"), ["on"]);
}

#[test]
fn time_and_the_old_memory_are_known_to_be_read() {
    let fixture = Fixture::new();
    let known = |source: &str| {
        let program = fixture.compile(source).unwrap();
        (program.reads_now(), program.reads_old())
    };
    assert_eq!(known("self.on"), (false, false));
    assert_eq!(known("self.recent.exists(x, now > self.at)"), (true, false));
    assert_eq!(known("oldSelf.fuel != self.fuel"), (false, true));
    assert_eq!(known("has(oldSelf.wind)"), (false, true));
}

#[test]
fn failure_is_ruled_out_where_bounds_rule_it_out() {
    let fixture = Fixture::new();
    for never in [
        r#"self.burner == "idle" && self.temp < 1.5 && self.fuel >= 6"#,
        "self.n + 1 > 0",
        "self.n * self.n",
        "self.n / 7",
        "self.n % (self.zero + 1)",
        "-self.n",
        "abs(self.n)",
        "self.counts[2]",
        "self.counts[size(self.counts) > 3 ? 2 : 1]",
        "max(self.counts)",
        "sum(self.counts)",
        "self.gust == null || self.gust > 5",
        "self.recent.takeLast(3)",
        "self.at.getMonth() + 1",
        "(self.recent + [args.value]).takeLast(24)",
        "self.fuel / self.temp",
    ] {
        assert!(!fixture.compile(never).unwrap().can_fail(), "{never}");
    }
    for may in [
        "self.big + 1",
        "self.n / self.zero",
        "self.counts[3]",
        "self.counts[self.n]",
        "max(self.recent)",
        "self.limits.a",
        "int(self.fuel)",
        "now - self.at",
        "true || self.big + 1 > 0",
        "-self.big",
    ] {
        assert!(fixture.compile(may).unwrap().can_fail(), "{may}");
    }
}

/// The errors of an expression whose result has to be of that type.
fn as_field(source: &str, ty: &FieldType) -> Vec<String> {
    let fixture = Fixture::new();
    match compile(source, &fixture.scope, &Expected::Field(ty)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .into_iter()
            .map(|error| format!("{} / {}", error.message, error.help.unwrap_or_default()))
            .collect(),
    }
}

#[test]
fn a_result_fits_its_field() {
    let level = one_of(&["idle", "low", "high"]);
    for (source, ty) in [
        ("1", number()),
        ("self.on ? 0 : 10", number()),
        ("[1, 2]", list(number(), 0, 4)),
        ("[]", list(number(), 0, 4)),
        ("[]", list(string(3), 0, 4)),
        ("(self.recent + [args.value]).takeLast(24)", list(number(), 0, 24)),
        ("null", nullable(number())),
        ("self.wind", nullable(number())),
        ("self.on ? null : 1", nullable(number())),
        ("args.level", level.clone()),
        ("self.on ? \"low\" : args.level", level),
        ("self.wind == null ? 0 : self.wind", number()),
        ("self.pos", self_pos()),
        ("{\"x\": 1, \"y\": self.wind}", self_pos()),
        ("self.on ? {\"x\": 1} : self.pos", self_pos()),
    ] {
        assert_eq!(as_field(source, &ty), [""; 0], "{source}");
    }
}

#[test]
fn a_result_that_does_not_fit_is_refused_with_a_remedy() {
    let level = one_of(&["idle", "low", "high"]);
    let mut all = String::new();
    for (source, ty) in [
        ("null", number()),
        ("self.wind", number()),
        ("self.n", number()),
        ("self.fuel", integer(0, 9)),
        ("1.5", integer(0, 9)),
        ("self.n", string(9)),
        ("10", integer(0, 9)),
        ("self.on ? 3 : -1", integer(0, 9)),
        ("\"lo\"", level.clone()),
        ("self.on ? \"low\" : \"furnace\"", level),
        ("\"abcd\"", string(3)),
        ("[1, 2, 3]", list(number(), 0, 2)),
        ("[self.wind]", list(number(), 0, 2)),
        ("self.tags", list(number(), 0, 2)),
        ("{\"x\": \"a\"}", self_pos()),
        ("{\"y\": 1, \"y\": 2}", self_pos()),
        ("self.limits", self_pos()),
    ] {
        for error in as_field(source, &ty) {
            all.push_str(&format!("{source}: {error}\n"));
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_result_is_what_its_place_needs() {
    let fixture = Fixture::new();
    let fits = |source: &str, expected: &Expected<'_>| compile(source, &fixture.scope, expected).is_ok();
    for (source, expected, said) in [
        ("self.on", Expected::Bool, true),
        ("self.n", Expected::Bool, false),
        ("null", Expected::Bool, false),
        ("self.n", Expected::Numeric, true),
        ("self.fuel", Expected::Numeric, true),
        ("self.on", Expected::Numeric, false),
        ("self.wind", Expected::Numeric, false),
        ("self.on", Expected::BoolOrTime, true),
        ("now", Expected::BoolOrTime, true),
        ("self.n", Expected::BoolOrTime, false),
        ("null", Expected::Any, true),
    ] {
        assert_eq!(fits(source, &expected), said, "{source} as {expected:?}");
    }
    let time = |source: &str| compile(source, &fixture.scope, &Expected::BoolOrTime).unwrap().is_time();
    assert!(time("now + duration(\"1h\")"));
    assert!(!time("self.on"));
}

#[test]
fn what_a_place_may_not_mention_is_refused() {
    let mut fixture = Fixture::new();
    fixture.scope.args = None;
    fixture.scope.now = false;
    fixture.scope.old_self = false;
    fixture.scope.caller = false;
    for name in ["args.value > 1", "now > self.at", "oldSelf.on", "caller.kind == \"rule\""] {
        let errors = fixture.compile(name).unwrap_err();
        assert!(errors[0].message.contains("may not be mentioned here"), "{errors:?}");
        assert_eq!(errors[0].help.as_deref(), Some("use `self`"));
    }
}

#[test]
fn every_error_is_reported_at_its_place() {
    let fixture = Fixture::new();
    let source = "self.fule < 6 && \"é\" == self.nmae && self.wind > 5 ||\n self.burner == \"lo\"";
    let errors: Vec<ExprError> = fixture.compile(source).unwrap_err();
    let places: Vec<&str> = errors.iter().map(|error| &source[error.span.clone()]).collect();
    assert_eq!(places, ["self.fule", "self.nmae", "self.wind", "\"lo\""]);
}

fn self_pos() -> FieldType {
    let fixture = Fixture::new();
    let memory = fixture.scope.memory.unwrap();
    memory.get(memory.slot("pos").unwrap()).unwrap().ty.clone()
}
