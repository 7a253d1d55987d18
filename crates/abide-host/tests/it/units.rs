//! Conversion of units.

use abide_host::units::{Conversion, check};
use proptest::prelude::*;

fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
    Conversion::new(from, to).unwrap().apply(value)
}

#[test]
fn readings_convert_without_noise() {
    assert_eq!(convert(28.94, "[degF]", "Cel"), Some(-1.7));
    assert_eq!(convert(32.0, "[degF]", "Cel"), Some(0.0));
    assert_eq!(convert(-40.0, "[degF]", "Cel"), Some(-40.0));
    assert_eq!(convert(13.809359999999998, "[mi_i]/h", "m/s"), Some(6.17333629440));
    assert_eq!(convert(1048.36058, "[mi_i]/h", "m/s"), Some(468.659113683));
    assert_eq!(convert(1009.6, "mbar", "hPa"), Some(1009.6));
    assert_eq!(convert(10.0, "[kn_i]", "km/h"), Some(18.52));
    assert_eq!(convert(10.0, "dB", "1"), Some(10.0));
    assert_eq!(convert(1e300, "km", "m"), Some(1e303));
}

#[test]
fn a_zero_is_never_negative() {
    assert!(convert(-0.0, "km", "m").unwrap().is_sign_positive());
    assert!(convert(31.999_999_999_999_9, "[degF]", "Cel").unwrap().is_sign_positive());
}

#[test]
fn the_same_unit_leaves_every_bit() {
    assert_eq!(convert(0.1 + 0.2, "m/s", "m/s"), Some(0.1 + 0.2));
}

#[test]
fn what_has_no_counterpart_is_none() {
    assert_eq!(convert(f64::NAN, "km", "m"), None);
    assert_eq!(convert(f64::INFINITY, "m", "m"), None);
    assert_eq!(convert(f64::MAX, "Ym", "ym"), None);
    assert_eq!(convert(0.0, "mol/L", "[pH]"), None);
}

#[test]
fn what_is_no_conversion_is_said() {
    let message = |from: &str, to: &str| Conversion::new(from, to).unwrap_err().to_string();
    let shown = [
        message("[degF]", "m/s"),
        message("mph", "m/s"),
        message("°F", "Cel"),
        message("Cel", "furlongs"),
        message("", "m"),
        message(&"m.".repeat(40), "m"),
    ];
    insta::assert_snapshot!(shown.join("\n"), @r"
    `[degF]` does not convert to `m/s`: they measure different things
    `mph` does not convert to `m/s`: they measure different things (for `mph` as people write it, UCUM has `[mi_i]/h`)
    `°F` is not a unit: UCUM writes it `[degF]`
    `furlongs` is not a unit
    `` is not a unit
    `m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.m.` is not a unit: it is longer than 64 bytes
    ");
    assert!(check("(".repeat(60).as_str()).is_err());
}

proptest! {
    #[test]
    fn there_and_back_is_the_same_to_eleven_digits(value in -1e6f64..1e6) {
        let there = convert(value, "[degF]", "Cel").unwrap();
        let back = convert(there, "Cel", "[degF]").unwrap();
        prop_assert!((back - value).abs() <= 1e-9 * value.abs().max(1.0), "{value} {there} {back}");
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,40}") {
        let _ = Conversion::new(&text, "m");
    }
}
