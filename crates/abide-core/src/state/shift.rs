//! How a state stands after its clock was reset: every time in it has moved with the clock.

use super::{PendingEffect, RuleMemory, State};
use crate::record::Counted;
use crate::schema::Schema;
use crate::time::{Span, Timestamp};

impl State {
    /// Whether a reset of the clock at that time concerns the object: its rules may run again, or what it left behind is
    /// still under way on the clock, which is an effect without an outcome or a window in which denials are counted.
    #[must_use]
    pub fn minds_the_clock(&self, schema: &Schema, at: Timestamp) -> bool {
        let window = Self::denial_window(schema);
        !self.status.is_closed()
            || !self.effects.is_empty()
            || self.denied.values().any(|since| since.saturating_add(window) > at)
    }

    /// Moves every time that is remembered back by as much as the clock, so that all that had passed has passed, and all
    /// that is due is due after as long as before. The fields of memory are data, and stay.
    pub(super) fn set_back(&mut self, by: Span) {
        // Taken apart by name, so that a time that is added to the state cannot be forgotten here.
        let Self {
            memory: _,
            status: _,
            bucket,
            owed: _,
            drift_from: _,
            rules,
            sleep,
            counters: _,
            denied,
            own_denials,
            effects,
            children: _,
            pending,
            previous: _,
        } = self;
        let back = |at: &mut Timestamp| *at = at.set_back(by);
        bucket.iter_mut().for_each(|bucket| back(&mut bucket.at));
        rules.iter_mut().for_each(|rule| rule.set_back(by));
        sleep.iter_mut().filter_map(|(_, until)| until.as_mut()).for_each(back);
        denied.values_mut().for_each(back);
        own_denials.iter_mut().for_each(back);
        effects.values_mut().for_each(|PendingEffect { time, .. }| back(time));
        for Counted { key: _, count: _, last, own, chosen } in pending {
            back(last);
            own.iter_mut().for_each(back);
            for (_, at, affordable_at) in chosen {
                back(at);
                affordable_at.iter_mut().for_each(back);
            }
        }
    }
}

impl RuleMemory {
    fn set_back(&mut self, by: Span) {
        let Self { chosen_at, fresh: _, held_since, retry, affordable_at } = self;
        let times = [
            chosen_at.as_mut(),
            held_since.as_mut(),
            retry.as_mut().map(|(_, due)| due),
            affordable_at.as_mut(),
        ];
        times.into_iter().flatten().for_each(|at| *at = at.set_back(by));
    }
}
