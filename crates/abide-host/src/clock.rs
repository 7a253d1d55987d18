//! The wall clock, and the recorded clock of a live host.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use abide_core::time::{Span, Timestamp};

/// The wall clock.
#[must_use]
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The recorded clock: the later of the wall clock, and the last time plus what the monotonic clock says has passed.
#[derive(Debug)]
pub struct LiveClock {
    last: Timestamp,
    at: Instant,
}

impl LiveClock {
    /// A clock that goes on from the last recorded time.
    #[must_use]
    pub fn new(last: Timestamp) -> Self {
        Self { last, at: Instant::now() }
    }

    /// The time now. It never runs backwards and never stands still.
    pub fn now(&mut self) -> Timestamp {
        self.reckon(wall_clock(), Instant::now())
    }

    fn reckon(&mut self, wall: Timestamp, now: Instant) -> Timestamp {
        let passed = i64::try_from(now.duration_since(self.at).as_nanos()).unwrap_or(i64::MAX);
        let time = wall.max(self.last.saturating_add(Span(passed.max(1))));
        self.last = time;
        self.at = now;
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_never_runs_backwards_and_never_stands_still() {
        let start = Instant::now();
        let mut clock = LiveClock { last: Timestamp(1_000), at: start };
        assert_eq!(clock.reckon(Timestamp(5_000), start), Timestamp(5_000), "the wall clock leads");
        assert_eq!(
            clock.reckon(Timestamp(10), start),
            Timestamp(5_001),
            "a wall clock set back changes nothing"
        );
        let later = start + Duration::from_nanos(700);
        assert_eq!(clock.reckon(Timestamp(10), later), Timestamp(5_701), "what has passed is kept");
        assert_eq!(clock.reckon(Timestamp(9_000), later), Timestamp(9_000));
    }
}
