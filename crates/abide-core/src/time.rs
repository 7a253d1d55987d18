//! Points in time and spans of time: 64-bit nanoseconds, UTC.

use std::fmt;
use std::str::FromStr;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Bounds: 1677-09-21T00:12:43.145224192Z to 2262-04-11T23:47:16.854775807Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A span of time in nanoseconds, of either sign; about ±292 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

/// Why a text is not a [`Timestamp`] or a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is not an RFC 3339 date and time with an offset.
    #[error("`{0}` is not a date and time; write it as in 2013-02-01T05:00:00Z")]
    Timestamp(String),
    /// The text is not a duration.
    #[error("`{0}` is not a duration; write it as in 90s, 10m, 1h30m or 250ms")]
    Span(String),
    /// The value lies outside what 64-bit nanoseconds hold.
    #[error("`{0}` is out of range: times run from 1677-09-22 to 2262-04-11")]
    Range(String),
}

impl Timestamp {
    /// This time plus a span, or `None` outside the bounds.
    #[must_use]
    pub fn checked_add(self, span: Span) -> Option<Self> {
        self.0.checked_add(span.0).map(Self)
    }

    /// This time plus a span, held at the bounds.
    #[must_use]
    pub fn saturating_add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This time on a clock that was set back by a span, held at the bounds. The end of time stays where it is: what never
    /// comes does not come sooner.
    #[must_use]
    pub fn set_back(self, by: Span) -> Self {
        if self.0 == i64::MAX { self } else { Self(self.0.saturating_sub(by.0)) }
    }

    /// The span from `earlier` to this time, held at the bounds.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of whole seconds, held at the bounds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// A span of whole milliseconds, held at the bounds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads an RFC 3339 date and time; an offset is required.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| TimeError::Timestamp(text.to_owned()))?;
        i64::try_from(parsed.as_nanosecond()).map(Self).map_err(|_| TimeError::Range(text.to_owned()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many decimals as the value has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

impl FromStr for Span {
    type Err = TimeError;

    /// Reads `1h30m`, `90s`, `250ms`, `1.5h`, or ISO 8601 (`PT90S`). Days are 24 hours; months and years have no
    /// fixed length and are refused.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parsed: jiff::SignedDuration = text.parse().map_err(|_| TimeError::Span(text.to_owned()))?;
        i64::try_from(parsed.as_nanos()).map(Self).map_err(|_| TimeError::Range(text.to_owned()))
    }
}

impl fmt::Display for Span {
    /// The shortest of `1h30m`, `250ms`, `0s`: what [`Span::from_str`] reads back to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (unit, nanos) in [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)] {
            if rest >= nanos {
                write!(f, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        for (unit, nanos) in [("ms", 1_000_000), ("us", 1_000), ("ns", 1)] {
            if rest >= nanos {
                write!(f, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_what_they_show() {
        for nanos in [0, 1, -1, 1_500_000_000, 5_400_000_000_000, 90_061_001_001_001, i64::MAX, -i64::MAX] {
            let span = Span(nanos);
            assert_eq!(span.to_string().parse::<Span>(), Ok(span), "{span}");
        }
        assert_eq!("PT2H".parse(), Ok(Span::from_secs(7200)));
        assert_eq!("1h30m".parse(), Ok(Span::from_secs(5400)));
        assert!("2 fortnights".parse::<Span>().is_err());
        assert!("1mo".parse::<Span>().is_err());
    }

    #[test]
    fn times_are_utc_and_need_an_offset() {
        let time: Timestamp = "2013-02-01T06:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2013-02-01T05:00:00Z");
        assert!("2013-02-01T06:00:00".parse::<Timestamp>().is_err());
        assert!("9999-01-01T00:00:00Z".parse::<Timestamp>().is_err());
    }
}
