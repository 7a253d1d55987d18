//! How a text is read as a time.

use abide_core::time::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// How a column holds a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 with an offset: `2013-02-01T05:00:00Z`.
    #[default]
    Rfc3339,
    /// Seconds since 1970-01-01T00:00:00Z, with up to nine decimals.
    Unix,
    /// Milliseconds since 1970-01-01T00:00:00Z, with up to six decimals.
    UnixMillis,
    /// A `strftime` pattern, such as `%Y-%m-%d %H:%M`; UTC where it holds no offset.
    Pattern(Box<str>),
}

impl TimeFormat {
    /// The format of that name: `rfc3339`, `unix`, `unix_ms`, or a pattern with `%`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix" => Ok(Self::Unix),
            "unix_ms" => Ok(Self::UnixMillis),
            _ if text.contains('%') => match strtime::format(text, jiff::Timestamp::UNIX_EPOCH) {
                Ok(_) => Ok(Self::Pattern(text.into())),
                Err(error) => Err(format!("`{text}` is not a time pattern: {error}")),
            },
            _ => Err(format!("`{text}` is not a time format")),
        }
    }

    /// The time that a text means.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        match self {
            Self::Rfc3339 => text.parse().ok(),
            Self::Unix => decimal_nanos(text, 9).map(Timestamp),
            Self::UnixMillis => decimal_nanos(text, 6).map(Timestamp),
            Self::Pattern(pattern) => {
                let parsed = strtime::parse(&**pattern, text).ok()?;
                let time = match parsed.offset() {
                    Some(_) => parsed.to_timestamp().ok()?,
                    None => TimeZone::UTC.to_timestamp(parsed.to_datetime().ok()?).ok()?,
                };
                i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
            }
        }
    }

    /// A text of this format, for a message.
    #[must_use]
    pub fn example(&self) -> String {
        match self {
            Self::Rfc3339 => "2013-02-01T05:00:00Z".to_owned(),
            Self::Unix => "1359694800".to_owned(),
            Self::UnixMillis => "1359694800000".to_owned(),
            Self::Pattern(pattern) => pattern.to_string(),
        }
    }
}

/// A decimal as nanoseconds, its unit being `10^digits` of them; exact, so that 0.1 s is 100,000,000 ns.
fn decimal_nanos(text: &str, digits: usize) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > digits {
        return None;
    }
    let nanos: i64 = format!("{whole}{fraction:0<digits$}").parse().ok()?;
    Some(if negative { -nanos } else { nanos })
}
