//! A live run: ticks at a fixed period of the real clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use abide_core::time::Span;

use super::dev::{Changed, Files, Watch};
use super::effects::Effects;
use super::{Forced, Intake, Progress, Run, RunError, fits, pause_after, put_in_force, show};
use crate::clock::LiveClock;
use crate::host::{Host, HostError};
use crate::local::Server;
use crate::source::{Live, LiveEvent, LiveReading, Problems};

/// How often a waiting host looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// A live source, the reading that had no room in an inbox, and how far it was taken.
struct Feed {
    live: Live,
    held: Option<LiveReading>,
    ended: bool,
}

type Cursors = Vec<(Arc<str>, Arc<[u8]>)>;

/// How many ticks were made, and the lines that could not be read.
pub(super) fn run(
    run: &mut Run<'_>,
    host: &mut Host,
    sources: Vec<Live>,
    effects: &mut Effects,
    server: &mut Server,
) -> Result<(u64, Problems), RunError> {
    let period = Duration::from_nanos(u64::try_from(run.application.tick.0).unwrap_or(1_000_000_000));
    let mut feeds: Vec<_> = sources.into_iter().map(|live| Feed { live, held: None, ended: false }).collect();
    let mut problems = Problems::default();
    let mut intake = Intake::default();
    let mut clock = LiveClock::new(host.time());
    let watch = run.dev.then(|| Watch::start(run.application, &run.compiler));
    let mut due = Instant::now();
    let mut ticks = 0;
    while !run.stop.load(Ordering::Relaxed) && run.ticks_max.is_none_or(|most| ticks < most) {
        let mut cursors = Vec::new();
        for feed in &mut feeds {
            take(feed, host, (&mut cursors, &mut problems), &mut intake, run)?;
        }
        if let Some(watch) = &watch {
            take_changes(watch, run, host)?;
        }
        server.take(host);
        let set_back = host.take_set_back();
        if set_back > Span::ZERO {
            clock = LiveClock::new(host.time());
            effects.set_back(set_back);
        }
        effects.collect(host)?;
        let last = host.time();
        let now = clock.now();
        let pause = i64::try_from(pause_after(period).as_nanos()).unwrap_or(i64::MAX);
        let paused_since =
            (now.since(last).0 > pause && host.recovered().existed | (ticks > 0)).then_some(last);
        let landed = host.tick_ahead(now, cursors, paused_since)?;
        ticks += 1;
        show(landed, run, effects, server, None);
        due += period;
        let late = late_ticks(due, period);
        if late > 0 {
            host.count_late(u64::from(late));
            due += period * late;
            (run.progress)(Progress::Late(host.late_ticks()));
        }
        // Where there is time before the next tick, there is nothing better to do than to wait for the flush of this one.
        if Instant::now() < due {
            let landed = host.settle()?;
            show(landed, run, effects, server, None);
        }
        wait_until(due, run, host, server);
    }
    let landed = host.settle()?;
    show(landed, run, effects, server, None);
    Ok((ticks, problems))
}

/// Puts what changed in force for the objects of its component.
fn take_changes(watch: &Watch, run: &mut Run<'_>, host: &mut Host) -> Result<(), RunError> {
    while let Ok(Changed { component, files }) = watch.changes.try_recv() {
        let files = match files {
            Ok(files) => files,
            Err(error) => {
                (run.progress)(Progress::Note(format!("`{component}` goes on as it is: {error}")));
                continue;
            }
        };
        if let Some(image) = &files.image {
            host.behaviours().adopt(image).map_err(HostError::from)?;
        }
        let Forced { asked, refused } = put_in_force(host, run.application, &component, &files, run.keys)?;
        run.tell_refused(refused);
        if asked > 0 {
            let Files { schema, image } = &files;
            let version = format!("schema `{}` {}", schema.name, schema.version);
            let what = image.as_ref().map_or(version, |image| format!("{:.12}", image.behaviour().component));
            let objects = if asked == 1 { "object" } else { "objects" };
            (run.progress)(Progress::Note(format!("`{component}` is now {what}, for {asked} {objects}")));
        }
    }
    Ok(())
}

/// How many whole periods have passed since a tick was due.
fn late_ticks(due: Instant, period: Duration) -> u32 {
    let behind = Instant::now().saturating_duration_since(due);
    u32::try_from(behind.as_nanos() / period.as_nanos().max(1)).unwrap_or(u32::MAX)
}

/// Waits for the next tick; requests that come meanwhile go into inboxes.
fn wait_until(due: Instant, run: &Run<'_>, host: &mut Host, server: &mut Server) {
    while !run.stop.load(Ordering::Relaxed) {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        server.wait(host, left.min(STOP_CHECK));
    }
}

/// Takes what a source has, as far as there is room in the inboxes.
fn take(
    feed: &mut Feed,
    host: &mut Host,
    (cursors, problems): (&mut Cursors, &mut Problems),
    intake: &mut Intake,
    run: &mut Run<'_>,
) -> Result<(), HostError> {
    let name = Arc::clone(feed.live.name());
    let mut cursor = None;
    loop {
        let reading = match feed.held.take() {
            Some(reading) => reading,
            None => match feed.live.try_next() {
                Some(LiveEvent::Reading(reading)) => reading,
                Some(LiveEvent::Problem(problem, at)) => {
                    cursor = Some(at);
                    problems.push(problem.clone());
                    (run.progress)(Progress::Line(problem));
                    continue;
                }
                Some(LiveEvent::End) => {
                    end(feed, &name, None, run);
                    break;
                }
                Some(LiveEvent::Failed(failure)) => {
                    end(feed, &name, Some(failure), run);
                    break;
                }
                None => break,
            },
        };
        if !fits(host, &reading.observations) {
            feed.held = Some(reading);
            break;
        }
        intake.submit(run, host, &name, reading.observations)?;
        cursor = Some(reading.cursor);
    }
    if let Some(cursor) = cursor {
        cursors.push((name, Arc::from(cursor.to_bytes())));
    }
    Ok(())
}

fn end(feed: &mut Feed, name: &Arc<str>, failure: Option<String>, run: &mut Run<'_>) {
    if !feed.ended {
        feed.ended = true;
        (run.progress)(Progress::SourceEnded { source: Arc::clone(name), failure });
    }
}
