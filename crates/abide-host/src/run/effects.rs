//! The effects of a run: opened targets, what is under way, and outcomes on their way back into inboxes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use abide_core::time::{Span, Timestamp};

use crate::behaviour::Compiler;
use crate::broker::Broker;
use crate::clock::wall_clock;
use crate::effect::{self, Backoff, Dispatcher, DispatcherConfig, Request};
use crate::host::{Host, HostError};
use crate::manifest::Application;

use super::RunError;

/// Calls in flight for one target.
const WORKERS_MAX: usize = 8;
/// How long a stop waits for calls in flight.
const STOP_WAIT: Duration = Duration::from_secs(5);

pub(super) struct Effects {
    dispatcher: Dispatcher,
    outcomes: Receiver<effect::Outcome>,
    /// In a replay: links whose effects go out all the same, by target and interface.
    live_in_replay: Option<BTreeSet<(Arc<str>, Arc<str>)>>,
    /// In a replay: the time that an effect's validity is measured against.
    replayed_now: Arc<AtomicI64>,
    under_way: usize,
}

impl Effects {
    pub(super) fn open(
        application: &Application,
        folder: &Path,
        compiler: &Compiler,
        broker: Option<&Arc<dyn Broker>>,
        replayed: bool,
    ) -> Result<Self, RunError> {
        let links = application.objects.iter().flat_map(|component| &component.links);
        let live = links.filter(|link| link.live_in_replay);
        let live: BTreeSet<_> =
            live.map(|link| (Arc::clone(&link.grant.target), Arc::clone(&link.grant.interface))).collect();
        let mut targets = BTreeMap::new();
        // A replay in which nothing goes out to a target needs neither its secrets nor its file.
        let needed = |name| !replayed || live.iter().any(|(target, _)| target == name);
        for config in application.targets.iter().filter(|config| needed(&config.name)) {
            let open = config
                .open(folder, compiler, broker)
                .map_err(|source| RunError::Target { target: Arc::clone(&config.name), source })?;
            targets.insert(Arc::clone(&config.name), open);
        }
        let replayed_now = Arc::new(AtomicI64::new(0));
        let clock: Arc<dyn Fn() -> Timestamp + Send + Sync> = if replayed {
            let now = Arc::clone(&replayed_now);
            Arc::new(move || Timestamp(now.load(Ordering::Acquire)))
        } else {
            Arc::new(wall_clock)
        };
        let config =
            DispatcherConfig { targets, workers_max: WORKERS_MAX, backoff: Backoff::default(), clock };
        let (dispatcher, outcomes) = Dispatcher::new(config);
        Ok(Self {
            dispatcher,
            outcomes,
            live_in_replay: replayed.then_some(live),
            replayed_now,
            under_way: 0,
        })
    }

    pub(super) fn send(&mut self, requests: Vec<Request>) {
        for mut request in requests {
            request.simulated = self.live_in_replay.as_ref().is_some_and(|live| {
                !live.contains(&(Arc::clone(&request.target), Arc::clone(&request.interface)))
            });
            self.under_way += 1;
            self.dispatcher.submit(request);
        }
    }

    pub(super) fn set_replayed_now(&self, now: Timestamp) {
        self.replayed_now.store(now.0, Ordering::Release);
    }

    /// The clock was set back by so much: what is under way stays valid for as long as it was.
    pub(super) fn set_back(&self, by: Span) {
        self.dispatcher.set_back(by);
    }

    /// Puts the outcomes that have come back into inboxes.
    pub(super) fn collect(&mut self, host: &mut Host) -> Result<(), HostError> {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.under_way = self.under_way.saturating_sub(1);
            submit(host, outcome)?;
        }
        Ok(())
    }

    /// Waits until everything has its outcome, and puts them into inboxes in the order of objects and records. Whether
    /// there were any.
    pub(super) fn settle(&mut self, host: &mut Host) -> Result<bool, HostError> {
        let mut settled = Vec::with_capacity(self.under_way);
        while self.under_way > 0 {
            let Ok(outcome) = self.outcomes.recv() else { break };
            self.under_way -= 1;
            settled.push(outcome);
        }
        let number = |outcome: &effect::Outcome| {
            host.engine().object(&outcome.object).map_or(0, |object| object.number)
        };
        settled.sort_by_key(|outcome| (number(outcome), outcome.seq));
        let any = !settled.is_empty();
        settled.into_iter().try_for_each(|outcome| submit(host, outcome))?;
        Ok(any)
    }

    pub(super) fn stop(self) {
        // What has no outcome stays pending in the store and goes out again after a restart.
        let _ = self.dispatcher.stop(STOP_WAIT);
    }
}

fn submit(host: &mut Host, outcome: effect::Outcome) -> Result<(), HostError> {
    let Some(number) = host.engine().object(&outcome.object).map(|object| object.number) else {
        return Ok(());
    };
    host.submit(number, outcome.into_input()).map(drop)
}
