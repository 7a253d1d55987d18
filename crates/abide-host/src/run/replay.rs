//! A replay: the distinct times of the readings, and of everything due between them, are the ticks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abide_core::time::{Span, Timestamp};

use super::effects::Effects;
use super::{Intake, REPLAY_CURSOR, Run, RunError, fits, show};
use crate::host::{Host, HostError};
use crate::local::Server;
use crate::source::{Cursor, Reading, Replay};

/// How many ticks were made, and whether all of the input was taken.
pub(super) fn run(
    run: &mut Run<'_>,
    host: &mut Host,
    input: &mut Replay,
    effects: &mut Effects,
    server: &mut Server,
) -> Result<(u64, bool), RunError> {
    let mut ticks = 0;
    // A reading that has no room in an inbox waits for the next tick.
    let mut held: Option<Reading> = None;
    let mut finished = false;
    let mut intake = Intake::default();
    while !run.stop.load(Ordering::Relaxed) && run.ticks_max.is_none_or(|most| ticks < most) {
        // The next tick waits for the effects of the one before, and so for its flush.
        if host.owes_effects() {
            let landed = host.settle()?;
            show(landed, run, effects, server, Some(remaining(input, held.as_ref())));
        }
        effects.set_replayed_now(host.time());
        let outcomes = effects.settle(host)?;
        let reading = held.as_ref().map(|reading| reading.time).or_else(|| input.next_time());
        let time = match (reading, host.next_due()) {
            (Some(reading), due) => due.map_or(reading, |due| due.min(reading)),
            // Every effect ends in a record, and so does what takes force at a start: the last ones get a tick of their own.
            (None, _) if outcomes || host.has_input() => host.time(),
            (None, _) => {
                finished = true;
                break;
            }
        };
        let time = time.max(host.time().saturating_add(Span(1)));
        server.take(host);
        let before = input.cursor();
        let after = take(run, &mut intake, host, input, &mut held, time)?;
        let cursors = if after == before {
            Vec::new()
        } else {
            vec![(REPLAY_CURSOR.into(), Arc::from(after.to_bytes()))]
        };
        let landed = host.tick_ahead(time, cursors, None)?;
        ticks += 1;
        show(landed, run, effects, server, Some(remaining(input, held.as_ref())));
    }
    let landed = host.settle()?;
    show(landed, run, effects, server, Some(remaining(input, held.as_ref())));
    Ok((ticks, finished || remaining(input, held.as_ref()) == 0))
}

fn remaining(input: &Replay, held: Option<&Reading>) -> usize {
    input.remaining() + usize::from(held.is_some())
}

/// Puts the readings up to `time` into inboxes, as far as there is room: the cursor after those that went in.
fn take(
    run: &mut Run<'_>,
    intake: &mut Intake,
    host: &mut Host,
    input: &mut Replay,
    held: &mut Option<Reading>,
    time: Timestamp,
) -> Result<Cursor, HostError> {
    let mut taken = input.cursor();
    loop {
        let reading = match held.take() {
            Some(reading) => reading,
            None if input.next_time().is_some_and(|next| next <= time) => {
                let Some(reading) = input.next() else { return Ok(taken) };
                reading
            }
            None => return Ok(taken),
        };
        if reading.time > time || !fits(host, &reading.observations) {
            *held = Some(reading);
            return Ok(taken);
        }
        intake.submit(run, host, &reading.source, reading.observations)?;
        taken = input.cursor();
    }
}
