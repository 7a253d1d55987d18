//! Conversion between units of measure, written in UCUM (case-sensitive form): `[degF]`, `[mi_i]/h`, `m/s`.
//!
//! A [`Conversion`] is found once, when a source is bound, and then applied to every value. It is one multiplication and
//! one addition, rounded to [`SIGNIFICANT_DIGITS`]: the same text gives the same bits on every machine, and 28.94 °F is
//! −1.7 °C and not −1.6999999999999993.

use octofhir_ucum::{
    AdvancedConversionContext, ErrorKind, UcumError, convert, convert_with_context, validate,
};

/// Digits that are kept of a converted value, counted from the first digit of the value or of the shift between the two
/// scales, whichever is greater: 32 `[degF]` is exactly 0 `Cel`.
pub const SIGNIFICANT_DIGITS: i32 = 12;

/// Longest unit that is read, in bytes.
const UNIT_BYTES_MAX: usize = 64;

/// How a value in one unit becomes a value in another.
#[derive(Clone, Debug)]
pub struct Conversion {
    from: Box<str>,
    to: Box<str>,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    /// The units are written alike: values are left as they are, to the last bit.
    Identity,
    /// `value × factor + offset`.
    Linear { factor: f64, offset: f64 },
    /// Through the function of a special unit, such as `dB` or `[pH]`.
    Special,
}

/// Why there is no conversion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is no UCUM unit.
    #[error("`{unit}` is not a unit{}", .hint.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    Unknown {
        /// The text.
        unit: String,
        /// What to write instead, or what is wrong with it.
        hint: Option<String>,
    },
    /// The units measure different things.
    #[error("`{from}` does not convert to `{to}`: they measure different things{}", .hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Incomparable {
        /// The unit of the value.
        from: String,
        /// The unit that is wanted.
        to: String,
        /// What was probably meant: `mph` is a milliphot, `F` a farad.
        hint: Option<String>,
    },
}

impl Conversion {
    /// The conversion from one UCUM unit to another.
    ///
    /// # Errors
    /// If either is no unit, or if they measure different things.
    pub fn new(from: &str, to: &str) -> Result<Self, UnitError> {
        check(from)?;
        check(to)?;
        let how = if from == to { How::Identity } else { between(from, to)? };
        Ok(Self { from: from.into(), to: to.into(), how })
    }

    /// The converted value, rounded to [`SIGNIFICANT_DIGITS`] and never −0; `None` where the value is not finite, or has
    /// no counterpart in the other unit.
    #[must_use]
    pub fn apply(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        match &self.how {
            How::Identity => Some(value),
            How::Linear { factor, offset } => {
                let product = value * factor;
                // Where the two nearly cancel, what is left of them is noise below the digits of either.
                rounded(product + offset, product.abs().max(offset.abs()))
            }
            How::Special => rounded(convert(value, &self.from, &self.to).ok()?, 0.0),
        }
    }
}

/// Whether a text is a UCUM unit.
///
/// # Errors
/// If it is not, with what to write instead where that can be told.
pub fn check(unit: &str) -> Result<(), UnitError> {
    let unknown = |hint: Option<String>| {
        let unit = unit.chars().take(UNIT_BYTES_MAX).collect();
        Err(UnitError::Unknown { unit, hint })
    };
    if unit.len() > UNIT_BYTES_MAX {
        return unknown(Some(format!("it is longer than {UNIT_BYTES_MAX} bytes")));
    }
    match validate(unit) {
        Ok(()) => Ok(()),
        Err(_) => unknown(everyday(unit).map(|code| format!("UCUM writes it `{code}`"))),
    }
}

/// The UCUM code of a unit as people write it every day.
fn everyday(unit: &str) -> Option<&'static str> {
    Some(match unit.to_lowercase().as_str() {
        "°f" | "f" | "degf" | "fahrenheit" | "[degf]" => "[degF]",
        "°c" | "c" | "degc" | "celsius" | "cel" => "Cel",
        "mph" | "mi/h" => "[mi_i]/h",
        "kph" | "kmh" => "km/h",
        "kt" | "kn" | "kts" | "knots" => "[kn_i]",
        "mile" | "miles" | "mi" => "[mi_i]",
        "ft" | "feet" => "[ft_i]",
        "in" | "inch" | "inches" => "[in_i]",
        "psi" => "[psi]",
        "gal" | "gallon" => "[gal_us]",
        "lb" | "lbs" => "[lb_av]",
        "rpm" => "/min",
        "percent" => "%",
        "mmhg" => "mm[Hg]",
        "inhg" => "[in_i'Hg]",
        _ => return None,
    })
}

fn between(from: &str, to: &str) -> Result<How, UnitError> {
    let incomparable = || {
        let meant = |unit: &str| {
            everyday(unit)
                .filter(|code| *code != unit)
                .map(|code| format!("for `{unit}` as people write it, UCUM has `{code}`"))
        };
        UnitError::Incomparable {
            from: from.to_owned(),
            to: to.to_owned(),
            hint: meant(from).or_else(|| meant(to)),
        }
    };
    // One may be outside the domain of a special unit's function; that the units compare is known all the same.
    match convert_with_context(1.0, from, to, &AdvancedConversionContext::default()) {
        Ok(result) => Ok(match (result.factor, result.offset) {
            (Some(factor), Some(offset)) => How::Linear { factor: factor.to_f64(), offset: offset.to_f64() },
            _ => How::Special,
        }),
        Err(UcumError { kind: ErrorKind::OutOfDomain { .. }, .. }) => Ok(How::Special),
        Err(_) => Err(incomparable()),
    }
}

/// Rounds to [`SIGNIFICANT_DIGITS`] of the greater of the value and `reference`.
fn rounded(value: f64, reference: f64) -> Option<f64> {
    let scale = value.abs().max(reference.abs());
    if scale == 0.0 {
        return Some(0.0);
    }
    // The exponent is read from the decimal text: a logarithm may differ in its last bit from machine to machine.
    let exponent: i32 = format!("{scale:e}").split_once('e')?.1.parse().ok()?;
    let decimals = SIGNIFICANT_DIGITS - 1 - exponent;
    let text = match usize::try_from(decimals) {
        Ok(decimals) => format!("{value:.decimals$}"),
        Err(_) => format!("{value:.*e}", usize::try_from(SIGNIFICANT_DIGITS - 1).ok()?),
    };
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value + 0.0)
}
