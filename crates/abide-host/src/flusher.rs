//! A thread that brings commits to the disk while the host works on the next tick.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use abide_store::{FlushJob, Flushed};

/// The thread, and at most one job on it: a log hands out the next only when it has the outcome of the last.
#[derive(Debug)]
pub(crate) struct Flusher {
    /// `None` once no more jobs come.
    jobs: Option<SyncSender<FlushJob>>,
    outcomes: Receiver<Flushed>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, inbox) = sync_channel::<FlushJob>(1);
        let (outbox, outcomes) = sync_channel(1);
        let thread = thread::Builder::new().name("flush".to_owned()).spawn(move || {
            while let Ok(job) = inbox.recv() {
                if outbox.send(job.run()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), outcomes, thread: Some(thread) })
    }

    /// Gives it a job. `false` when the thread is gone.
    pub(crate) fn begin(&self, job: FlushJob) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }

    /// Waits for the outcome of the job. `None` when the thread is gone.
    pub(crate) fn wait(&self) -> Option<Flushed> {
        self.outcomes.recv().ok()
    }
}

impl Drop for Flusher {
    /// Waits for the job at hand: the store's lock must not be given up while it is being written to.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Where the thread panicked, nothing is being written any more.
            let _ = thread.join();
        }
    }
}
