//! Spans of time, as [`Duration`] counts them: in nanoseconds.
//!
//! ```
//! use abide_sdk::time::HOUR;
//!
//! let cycle = abide_sdk::Cycle::at(0);
//! let in_two_hours = cycle.now + 2 * HOUR;
//! # assert_eq!(in_two_hours, 7_200_000_000_000);
//! ```

use crate::Duration;

/// A millisecond.
pub const MILLISECOND: Duration = 1_000_000;
/// A second.
pub const SECOND: Duration = 1_000 * MILLISECOND;
/// A minute.
pub const MINUTE: Duration = 60 * SECOND;
/// An hour.
pub const HOUR: Duration = 60 * MINUTE;
/// A day of 24 hours.
pub const DAY: Duration = 24 * HOUR;
