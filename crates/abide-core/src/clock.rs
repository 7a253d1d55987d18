//! The recorded clock: what gives a tick its number and its time.

use crate::time::{Span, Timestamp};

/// A tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock {
    /// Its number, from 0.
    pub tick: u64,
    /// Its time.
    pub time: Timestamp,
}

impl Clock {
    /// The tick after this one, at `time` or just after this one's time, whichever is later. So time never runs
    /// backwards and never stands still.
    #[must_use]
    pub fn next(self, time: Timestamp) -> Self {
        Self { tick: self.tick + 1, time: time.max(self.time.saturating_add(Span(1))) }
    }
}
