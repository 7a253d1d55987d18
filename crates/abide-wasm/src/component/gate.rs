//! How many calls run at once: a bound that can be changed while calls run.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Lets so many in at once; the others wait in turn.
#[derive(Debug)]
pub(crate) struct Gate {
    count: Mutex<Count>,
    left: Notify,
}

#[derive(Debug)]
struct Count {
    inside: u32,
    max: u32,
}

/// Someone who is in.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Gate>);

impl Gate {
    pub(crate) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { count: Mutex::new(Count { inside: 0, max }), left: Notify::new() })
    }

    /// Sets the bound. Who is in stays in.
    pub(crate) fn resize(&self, max: u32) {
        self.count().max = max;
        self.left.notify_waiters();
    }

    /// Waits until there is room.
    pub(crate) async fn enter(self: &Arc<Self>) -> Pass {
        loop {
            // In the queue before looking, so that nobody leaves unseen in between, and of two that leave at once neither does.
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            if let Some(pass) = self.try_enter() {
                return pass;
            }
            left.await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Pass> {
        let mut count = self.count();
        (count.inside < count.max).then(|| {
            count.inside += 1;
            Pass(Arc::clone(self))
        })
    }

    fn count(&self) -> std::sync::MutexGuard<'_, Count> {
        // Nothing that holds it panics halfway.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.count().inside -= 1;
        self.0.left.notify_one();
    }
}
