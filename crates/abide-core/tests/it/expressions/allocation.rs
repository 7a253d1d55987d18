//! Scalar guards allocate nothing, and nothing in memory is copied to be looked at.

use super::fixture::Fixture;

fn allocations(source: &str) -> u64 {
    let fixture = Fixture::new();
    let program = fixture.compile(source).unwrap();
    let env = fixture.env();
    allocation_counter::measure(|| assert!(program.holds(&env).is_ok(), "{source}")).count_total
}

#[test]
fn a_guard_allocates_nothing() {
    for source in [
        r#"self.burner == "idle" && self.temp < 1.5 && self.fuel >= 6"#,
        r#"self.burner != "idle" || self.fuel < 6 || now - self.at > duration("2h")"#,
        "self.n * 2 + 1 > self.zero && max(self.n, 3) == 7 && abs(self.temp) < floor(self.fuel)",
        "self.wind == null || self.wind > 5",
        r#"self.name.startsWith("F") && self.name.contains("é") && size(self.name) < 10"#,
        "args.level != self.burner && caller.kind == \"operator\"",
        "self.recent.exists(x, x < -2) && self.recent[0] < self.fuel && max(self.recent) > 1 && sum(self.recent) < 9",
        "self.recent == [1.0, 2.5, -3.0] && self.fuel in [1, 400] && self.n in self.counts == false",
        r#"self.limits["bb"] == 2 && "a" in self.limits && self.limits.all(k, self.limits[k] > 0)"#,
        "self.pos.x == 1 && self.pos == oldSelf.pos && self.at.getHours() == 5 && self.age.getMinutes() == 90",
        "self.n / self.zero > 1 || self.on",
        "self.gap > 1 || self.on",
    ] {
        assert_eq!(allocations(source), 0, "{source}");
    }
}

#[test]
fn a_pattern_allocates_nothing_once_it_is_warm() {
    let fixture = Fixture::new();
    let program = fixture.compile(r#"self.name.matches("^F[a-z]+ .$")"#).unwrap();
    let env = fixture.env();
    assert_eq!(program.holds(&env), Ok(true));
    let info = allocation_counter::measure(|| assert_eq!(program.holds(&env), Ok(true)));
    assert_eq!(info.count_total, 0);
}

#[test]
fn what_is_made_is_counted() {
    assert!(allocations("self.name + \"!\" != \"\"") > 0);
}
