//! The reset of a host's clock, in the engine: one tick of its own.

use super::Engine;
use crate::clock::Clock;
use crate::frame::Frame;
use crate::record::{Event, Signature};
use crate::reset::{HostClock, ResetError};
use crate::time::Timestamp;

impl Engine {
    /// The clock, as far as a reset of it is concerned.
    #[must_use]
    pub fn host_clock(&self) -> HostClock<'_> {
        HostClock {
            genesis: self.host_genesis,
            replayed: self.host.replayed,
            time: self.clock.time,
            counters: &self.clock_counters,
        }
    }

    /// Sets the clock back to `to`, by an operator's signature over [`crate::reset::reset_bytes`]: the next tick, whose
    /// records go into the frame. What had passed for the objects has passed, and what is due is due after as long as before.
    ///
    /// # Errors
    /// When the clock may not be reset; then nothing is changed.
    pub fn reset_clock(
        &mut self,
        to: Timestamp,
        signature: Signature,
        frame: &mut Frame,
    ) -> Result<(), ResetError> {
        self.host_clock().check(self.objects.iter(), to, &signature)?;
        let since = self.clock.time;
        let clock = Clock { tick: self.clock.tick + 1, time: to };
        self.clock = clock;
        frame.clear(clock);
        self.clock_counters.insert(signature.key, signature.counter);
        self.record(Event::Clock { since, signature: Some(Box::new(signature)) }, frame);
        let concerned = (0..).zip(&mut self.objects);
        let concerned = concerned.filter(|(_, object)| object.state.minds_the_clock(&object.schema, since));
        let concerned: Vec<usize> = concerned
            .map(|(index, object)| {
                object.record(Event::Clock { since, signature: None }, clock, frame);
                index
            })
            .collect();
        // What was due is due on the clock as it is now: no timer of before stands for anything.
        self.timers.clear();
        self.due.fill(None);
        for index in concerned {
            self.set_hot(index, true);
            self.reschedule(index);
        }
        Ok(())
    }
}
