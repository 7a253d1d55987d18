//! What waits for whoever takes it: so many bytes at most, since whoever sends does not wait.
//!
//! What fills a queue is not to be held up: before it the client of NATS has a queue of its own, of messages and not of bytes, which
//! grows where its connection reads more in a turn than is taken off it in one. So it runs unconstrained, until there is nothing to take.

use std::sync::Arc;

use async_nats::Message;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Where messages come in.
#[derive(Debug)]
pub(crate) struct Inlet {
    /// A permit for each byte.
    room: Arc<Semaphore>,
    bytes_max: u32,
    /// What each message takes up beside what is in it.
    each: u32,
    sender: UnboundedSender<Waiting>,
}

/// A message that has come. It takes up room as long as this is there.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: Message,
    _room: OwnedSemaphorePermit,
}

/// A queue of so many bytes, in which each message counts for so many more than are in it.
pub(crate) fn queue(bytes_max: u32, each: u32) -> (Inlet, UnboundedReceiver<Waiting>) {
    let (sender, receiver) = unbounded_channel();
    let room = Arc::new(Semaphore::new(usize::try_from(bytes_max).unwrap_or(Semaphore::MAX_PERMITS)));
    (Inlet { room, bytes_max, each, sender }, receiver)
}

impl Inlet {
    /// Puts a message behind the others.
    ///
    /// # Errors
    /// The message, where there is no room for it, or nobody takes any more.
    pub(crate) fn put(&self, mut message: Message) -> Result<(), Box<Message>> {
        let size = u32::try_from(message.length).unwrap_or(u32::MAX).saturating_add(self.each);
        // One that is larger than all of the room has it for itself.
        let place = Arc::clone(&self.room).try_acquire_many_owned(size.min(self.bytes_max));
        match place {
            Ok(place) => {
                // As it came it is a part of all that was read with it, and keeps that.
                message.payload = message.payload.to_vec().into();
                let sent = self.sender.send(Waiting { message, _room: place });
                sent.map_err(|unsent| Box::new(unsent.0.message))
            }
            Err(_) => Err(Box::new(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::Subject;

    use super::*;

    fn message(length: usize) -> Message {
        Message {
            subject: Subject::from("a"),
            reply: None,
            payload: vec![0; length].into(),
            headers: None,
            status: None,
            description: None,
            length,
        }
    }

    #[test]
    fn it_holds_so_many_bytes_and_no_more() {
        let (inlet, mut outlet) = queue(1_000, 100);
        for _ in 0..5 {
            inlet.put(message(100)).unwrap();
        }
        assert_eq!(inlet.put(message(0)).unwrap_err().length, 0);
        // What is taken counts until it is done with.
        let taken = outlet.try_recv().unwrap();
        assert!(inlet.put(message(0)).is_err());
        drop(taken);
        inlet.put(message(100)).unwrap();
        assert_eq!(std::iter::from_fn(|| outlet.try_recv().ok()).count(), 5);
        // However large: alone.
        inlet.put(message(5_000)).unwrap();
        assert!(inlet.put(message(0)).is_err());
        drop(outlet);
        assert!(inlet.put(message(0)).is_err());
    }
}
