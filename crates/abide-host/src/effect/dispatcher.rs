//! Which call goes when: lanes, workers, retries and abandonment.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use abide_core::time::{Span, Timestamp};

use super::{CallError, Outcome, OutcomeStatus, RESULT_BYTES_MAX, Request, Target};

/// How long to wait before another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt; twice as long before each that follows.
    pub first: Span,
    /// Never longer than this.
    pub longest: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Span::from_secs(1), longest: Span::from_secs(3600) }
    }
}

impl Backoff {
    /// The wait after so many failed attempts (at least 1).
    #[must_use]
    pub fn after(&self, attempts: u32) -> Span {
        let factor = 1_i64.checked_shl(attempts.saturating_sub(1)).filter(|f| *f > 0).unwrap_or(i64::MAX);
        Span(self.first.0.saturating_mul(factor).min(self.longest.0))
    }
}

/// How a [`Dispatcher`] works.
pub struct DispatcherConfig {
    /// The targets, by name. One that only simulated requests name need not be here.
    pub targets: BTreeMap<Arc<str>, Arc<dyn Target>>,
    /// Most calls in flight for one target.
    pub workers_max: usize,
    /// Between attempts.
    pub backoff: Backoff,
    /// The time that `valid_until` is compared with.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for DispatcherConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatcherConfig").field("targets", &self.targets.keys()).finish_non_exhaustive()
    }
}

/// Sends effects from threads of its own.
///
/// Requests of one object to one target form a lane: one is in flight, in the order in which they were submitted, and
/// the next waits until the one before it has its outcome. Lanes do not wait for each other, and targets share no thread.
/// Every request ends in exactly one [`Outcome`], unless the dispatcher is stopped before.
#[derive(Debug)]
pub struct Dispatcher {
    pools: BTreeMap<Arc<str>, Arc<Pool>>,
    outcomes: Sender<Outcome>,
}

impl Dispatcher {
    /// A dispatcher, and where its outcomes come out. Threads start when there is work for them.
    #[must_use]
    pub fn new(config: DispatcherConfig) -> (Self, Receiver<Outcome>) {
        let (outcomes, receiver) = mpsc::channel();
        let pool = |target| Pool {
            target,
            workers_max: config.workers_max.max(1),
            backoff: config.backoff,
            clock: Arc::clone(&config.clock),
            outcomes: outcomes.clone(),
            queue: Mutex::default(),
            changed: Condvar::new(),
        };
        let pools = config.targets.into_iter().map(|(name, target)| (name, Arc::new(pool(target)))).collect();
        (Self { pools, outcomes }, receiver)
    }

    /// Takes a request on; it never waits. What is pending is bounded by the limits of the objects' policies.
    pub fn submit(&self, request: Request) {
        if request.simulated {
            return self.finish(&request, OutcomeStatus::Simulated);
        }
        match self.pools.get(&request.target) {
            Some(pool) => Pool::submit(pool, request),
            None => {
                let error = format!("there is no target `{}`", request.target);
                self.finish(&request, OutcomeStatus::Failed { error });
            }
        }
    }

    /// Moves the times of every request without an outcome back by so much: the recorded clock was set back, and they were
    /// reckoned on it. An attempt that is in flight goes on.
    pub fn set_back(&self, by: Span) {
        for pool in self.pools.values() {
            for pending in pool.lock().lanes.values_mut().flatten() {
                Arc::make_mut(&mut pending.request).set_back(by);
            }
        }
    }

    /// Begins no further attempt and waits until those in flight have ended, at most so long. What comes back is every
    /// request that has no outcome, in no particular order: it stays pending in the store, and is submitted again after a
    /// restart. A call that was still in flight may yet succeed, so it may be made twice.
    #[must_use]
    pub fn stop(self, wait_max: Duration) -> Vec<Request> {
        let deadline = Instant::now() + wait_max;
        for pool in self.pools.values() {
            pool.lock().stopping = true;
            pool.changed.notify_all();
        }
        self.pools.values().flat_map(|pool| pool.drain(deadline)).collect()
    }

    fn finish(&self, request: &Request, status: OutcomeStatus) {
        let _ = self.outcomes.send(outcome(request, status, 0));
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        for pool in self.pools.values() {
            pool.lock().stopping = true;
            pool.changed.notify_all();
        }
    }
}

/// The lanes of one target, and the threads that serve them.
struct Pool {
    target: Arc<dyn Target>,
    workers_max: usize,
    backoff: Backoff,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    outcomes: Sender<Outcome>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// INVARIANT: a lane with requests is in exactly one of: in flight, `ready`, `delayed`. A lane without is absent.
#[derive(Debug, Default)]
struct Queue {
    lanes: BTreeMap<Arc<str>, VecDeque<Pending>>,
    ready: VecDeque<Arc<str>>,
    delayed: BTreeMap<(Instant, u64), Arc<str>>,
    delays: u64,
    workers: usize,
    idle: usize,
    in_flight: usize,
    stopping: bool,
}

#[derive(Clone, Debug)]
struct Pending {
    request: Arc<Request>,
    attempts: u32,
    last_error: Option<String>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(pool: &Arc<Self>, request: Request) {
        let mut queue = pool.lock();
        let object = Arc::clone(&request.object);
        let lane = queue.lanes.entry(Arc::clone(&object)).or_default();
        lane.push_back(Pending { request: Arc::new(request), attempts: 0, last_error: None });
        if lane.len() == 1 {
            queue.ready.push_back(object);
        }
        if queue.ready.len() > queue.idle && queue.workers < pool.workers_max && !queue.stopping {
            queue.workers += 1;
            let pool = Arc::clone(pool);
            thread::spawn(move || pool.work());
        }
        drop(queue);
        pool.changed.notify_one();
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if queue.stopping {
                queue.workers -= 1;
                return;
            }
            let now = Instant::now();
            queue.wake(now);
            let Some(lane) = queue.ready.pop_front() else {
                queue = self.rest(queue, now);
                continue;
            };
            let Some(pending) = queue.lanes.get(&lane).and_then(VecDeque::front).cloned() else { continue };
            queue.in_flight += 1;
            drop(queue);
            let next = self.attempt(pending);
            queue = self.lock();
            queue.in_flight -= 1;
            self.settle(&mut queue, lane, next);
            self.changed.notify_all();
        }
    }

    /// Waits for a request, or for the end of the next delay.
    fn rest<'q>(&self, mut queue: MutexGuard<'q, Queue>, now: Instant) -> MutexGuard<'q, Queue> {
        queue.idle += 1;
        let next = queue.delayed.first_key_value().map(|((due, _), _)| due.saturating_duration_since(now));
        let mut queue = match next {
            Some(wait) => self.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
        };
        queue.idle -= 1;
        queue
    }

    /// Makes one attempt, outside the lock.
    fn attempt(&self, mut pending: Pending) -> Next {
        let request = Arc::clone(&pending.request);
        if (self.clock)() > request.valid_until {
            return Next::Done(outcome(&request, abandoned(pending.last_error), pending.attempts));
        }
        pending.attempts = pending.attempts.saturating_add(1);
        let failure = match self.call(&request) {
            Ok(result) => {
                return Next::Done(outcome(&request, OutcomeStatus::Delivered { result }, pending.attempts));
            }
            Err(failure) => failure,
        };
        if failure.permanent || pending.attempts > request.retries {
            let status = OutcomeStatus::Failed { error: failure.message };
            return Next::Done(outcome(&request, status, pending.attempts));
        }
        let wait = self.backoff.after(pending.attempts);
        if (self.clock)().saturating_add(wait) > request.valid_until {
            return Next::Done(outcome(&request, abandoned(Some(failure.message)), pending.attempts));
        }
        pending.last_error = Some(failure.message);
        Next::Again(pending, Duration::from_nanos(u64::try_from(wait.0).unwrap_or(0)))
    }

    /// A target that panics fails its own call, and no other.
    fn call(&self, request: &Request) -> Result<serde_json::Value, CallError> {
        let result = catch_unwind(AssertUnwindSafe(|| self.target.call(request))).unwrap_or_else(|_| {
            Err(CallError::permanent(format!("the target `{}` crashed", request.target)))
        });
        result.map_err(|error| CallError { message: shortened(error.message), ..error })
    }

    fn settle(&self, queue: &mut Queue, object: Arc<str>, next: Next) {
        match next {
            Next::Done(outcome) => {
                // Nobody listens once the host is gone; the effect then stays pending in the store.
                let _ = self.outcomes.send(outcome);
                let Some(lane) = queue.lanes.get_mut(&object) else { return };
                lane.pop_front();
                if lane.is_empty() {
                    queue.lanes.remove(&object);
                } else {
                    queue.ready.push_back(object);
                }
            }
            Next::Again(pending, wait) => {
                if let Some(front) = queue.lanes.get_mut(&object).and_then(VecDeque::front_mut) {
                    // The request in the lane is the one whose times moved with the clock meanwhile.
                    *front = Pending { request: Arc::clone(&front.request), ..pending };
                }
                queue.delays += 1;
                queue.delayed.insert((Instant::now() + wait, queue.delays), object);
            }
        }
    }

    fn drain(&self, deadline: Instant) -> Vec<Request> {
        let mut queue = self.lock();
        while queue.in_flight > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.lanes.values().flatten().map(|pending| Request::clone(&pending.request)).collect()
    }
}

impl Queue {
    /// Lanes whose delay is over are ready.
    fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let lane = entry.remove();
            self.ready.push_back(lane);
        }
    }
}

/// What becomes of a request after an attempt.
enum Next {
    Done(Outcome),
    Again(Pending, Duration),
}

fn abandoned(error: Option<String>) -> OutcomeStatus {
    OutcomeStatus::Abandoned { error }
}

fn outcome(request: &Request, status: OutcomeStatus, attempts: u32) -> Outcome {
    Outcome { key: request.key, seq: request.seq, object: Arc::clone(&request.object), status, attempts }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(RESULT_BYTES_MAX));
    text
}
