//! The ticks of a log: the clock that a lineage is tried on.

use std::collections::BTreeMap;

use abide_core::clock::Clock;
use abide_core::record::{Event, HOST};
use abide_core::time::{Span, Timestamp};
use abide_store::Position;

use crate::host::HostError;
use crate::view::View;

/// Every tick of a log that left a record, in its order.
#[derive(Clone, Debug)]
pub struct Ticks {
    all: Vec<Clock>,
    /// By tick, the last time before the clock was set back in it.
    resets: BTreeMap<u64, Timestamp>,
    /// How long what is due waits for a recorded tick: of a host in real time, as long as two ticks that follow each other
    /// are apart; of a replay, which ticks when something is due, not at all.
    grace: Span,
}

impl Ticks {
    /// Reads them.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(view: &View) -> Result<Self, HostError> {
        let mut all: Vec<Clock> = Vec::new();
        let mut size = 0;
        for frame in view.reader().frames(Position::START) {
            let frame = frame?;
            size += u64::try_from(frame.records().count()).unwrap_or(u64::MAX);
            if size > view.shown() {
                break;
            }
            let clock = Clock { tick: frame.tick(), time: Timestamp(frame.time()) };
            if all.last().is_none_or(|last| last.tick != clock.tick) {
                all.push(clock);
            }
        }
        let mut resets = BTreeMap::new();
        for link in view.records(view.lineage(HOST)?)? {
            let record = link?.record;
            if let Event::Clock { since, .. } = record.event {
                resets.insert(record.tick, since);
            }
        }
        let gaps = all.windows(2).filter_map(|pair| match pair {
            [a, b] if b.time > a.time && b.tick == a.tick + 1 => Some(b.time.since(a.time)),
            _ => None,
        });
        let grace = if view.engine().host().replayed { Span::ZERO } else { gaps.min().unwrap_or(Span::ZERO) };
        Ok(Self { all, resets, grace: Span(grace.0.saturating_mul(2)) })
    }

    /// Those after that one.
    pub(super) fn after(&self, tick: u64) -> impl Iterator<Item = Clock> {
        let from = self.all.partition_point(|clock| clock.tick <= tick);
        self.all.iter().skip(from).copied()
    }

    /// The last time before the clock was set back in a tick, if it was.
    pub(super) fn reset(&self, tick: u64) -> Option<Timestamp> {
        self.resets.get(&tick).copied()
    }

    /// See the field.
    pub(super) fn grace(&self) -> Span {
        self.grace
    }
}
