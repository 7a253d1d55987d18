//! Objects as streams: files that are read and written beside the guest, a few bytes at a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, spawn_blocking};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::folder::{Done, Draft, Part};

/// Most bytes that are written at once.
const WRITE_MAX: usize = 256 << 10;

/// Reads an object.
pub(super) struct Reader {
    source: Source,
    _permit: OwnedSemaphorePermit,
}

enum Source {
    /// What was read, and what is to be read after it.
    At(Bytes, Part),
    Reading(JoinHandle<std::io::Result<(Bytes, Part)>>),
    Failed(wasmtime::Error),
    End,
}

impl Reader {
    pub(super) fn new(part: Part, permit: OwnedSemaphorePermit) -> Self {
        Self { source: Source::At(Bytes::new(), part), _permit: permit }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(&self.source, Source::At(bytes, part) if bytes.is_empty() && part.left() > 0)
            && let Source::At(_, mut part) = std::mem::replace(&mut self.source, Source::End)
        {
            self.source = Source::Reading(spawn_blocking(move || Ok((part.read()?, part))));
        }
        if let Source::Reading(reading) = &mut self.source {
            self.source = match std::task::ready!(Pin::new(reading).poll(cx)) {
                Ok(Ok((bytes, part))) => Source::At(bytes, part),
                Ok(Err(error)) => Source::Failed(error.into()),
                Err(_) => Source::Failed(wasmtime::Error::msg("the host failed")),
            };
        }
        Poll::Ready(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match &mut self.source {
            Source::At(bytes, part) if !bytes.is_empty() || part.left() > 0 => {
                Ok(bytes.split_to(size.min(bytes.len())))
            }
            Source::Reading(_) => Ok(Bytes::new()),
            Source::Failed(_) | Source::End | Source::At(..) => {
                match std::mem::replace(&mut self.source, Source::End) {
                    Source::Failed(error) => Err(StreamError::LastOperationFailed(error)),
                    _ => Err(StreamError::Closed),
                }
            }
        }
    }
}

/// What an object is to be: shared by who writes it and who keeps it.
#[derive(Clone)]
pub(super) struct Body(Arc<Mutex<State>>);

enum State {
    Idle(Draft),
    Writing(JoinHandle<Done<Draft>>),
    Failed(String),
}

impl Body {
    pub(super) fn new(draft: Draft) -> Self {
        Self(Arc::new(Mutex::new(State::Idle(draft))))
    }

    /// All of it, when it is written.
    pub(super) async fn take(&self) -> Done<Draft> {
        self.settle().await;
        let taken = State::Failed("the value is finished".to_owned());
        match std::mem::replace(&mut *self.state(), taken) {
            State::Idle(draft) => Ok(draft),
            State::Failed(why) => Err(why),
            State::Writing(_) => Err("it is still being written".to_owned()),
        }
    }

    /// Waits until what was begun is done.
    async fn settle(&self) {
        poll_fn(|cx| {
            let mut state = self.state();
            if let State::Writing(writing) = &mut *state {
                *state = match std::task::ready!(Pin::new(writing).poll(cx)) {
                    Ok(Ok(draft)) => State::Idle(draft),
                    Ok(Err(why)) => State::Failed(why),
                    Err(_) => State::Failed("the host failed".to_owned()),
                };
            }
            Poll::Ready(())
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Body {
    async fn ready(&mut self) {
        self.settle().await;
    }
}

impl OutputStream for Body {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut state = self.state();
        match std::mem::replace(
            &mut *state,
            State::Failed("it was written to before it was ready".to_owned()),
        ) {
            State::Idle(mut draft) if bytes.len() <= WRITE_MAX => {
                *state = State::Writing(spawn_blocking(move || draft.append(&bytes).map(|()| draft)));
                Ok(())
            }
            _ => Err(StreamError::trap("a write that was not permitted")),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match &*self.state() {
            State::Idle(_) => Ok(WRITE_MAX),
            State::Writing(_) => Ok(0),
            State::Failed(why) => Err(StreamError::LastOperationFailed(wasmtime::Error::msg(why.clone()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::blobstore::{Blobs, Files};

    #[tokio::test]
    async fn what_is_written_a_little_at_a_time_is_read_so() {
        let folder = tempfile::tempdir().unwrap();
        let root = Blobs::new(folder.path().to_owned()).open(folder.path()).unwrap();
        root.create("c").unwrap();
        let container = root.container("c").unwrap();
        let value: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();

        let mut body = Body::new(root.draft().unwrap());
        for part in value.chunks(WRITE_MAX) {
            assert_eq!(body.write_ready().await.unwrap(), WRITE_MAX);
            body.write(Bytes::copy_from_slice(part)).unwrap();
        }
        // The last of it is not lost where nobody waited for it.
        container.put(body.take().await.unwrap(), "o").unwrap();
        assert!(matches!(body.check_write(), Err(StreamError::LastOperationFailed(_))));

        let permit = Files::default().one().unwrap();
        let mut reader = Reader::new(container.part("o", 0, u64::MAX).unwrap(), permit);
        assert!(reader.read(10).unwrap().is_empty());
        let mut read = Vec::new();
        loop {
            match reader.blocking_read(100_000).await {
                Ok(part) => read.extend(part),
                Err(StreamError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(read == value);
        assert!(matches!(reader.read(1), Err(StreamError::Closed)));
    }

    #[tokio::test]
    async fn a_write_that_was_not_waited_for_is_no_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = Blobs::new(folder.path().to_owned()).open(folder.path()).unwrap();
        let mut body = Body::new(root.draft().unwrap());
        body.write(Bytes::from_static(b"one")).unwrap();
        assert!(matches!(body.write(Bytes::from_static(b"two")), Err(StreamError::Trap(_))));
        assert!(body.take().await.is_err());
    }
}
