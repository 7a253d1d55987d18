//! Messages over NATS, for components.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, RequestErrorKind};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::subject::Reserved;

/// Sends and receives over the connection of a host.
#[derive(Clone, Debug)]
pub struct Messages {
    client: Client,
    reserved: Reserved,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub body: Vec<u8>,
    /// Where an answer is awaited.
    pub reply_to: Option<String>,
}

impl From<async_nats::Message> for Received {
    fn from(message: async_nats::Message) -> Self {
        Self {
            subject: message.subject.into_string(),
            body: message.payload.into(),
            reply_to: message.reply.map(async_nats::Subject::into_string),
        }
    }
}

/// Messages come as long as this is there.
#[derive(Debug)]
pub struct Held(JoinHandle<()>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Messages {
    pub(crate) fn new(client: Client, lattice: &str, control: &str) -> Self {
        Self { client, reserved: Reserved::new(lattice, control) }
    }

    /// Sends a message. It is on its way when this returns, and lost where the connection is.
    ///
    /// # Errors
    /// When the subject is the lattice's own, it is larger than the server takes, or the connection is lost.
    pub async fn publish(
        &self,
        subject: String,
        reply_to: Option<String>,
        body: Vec<u8>,
    ) -> Result<(), String> {
        self.may_send(&subject)?;
        reply_to.as_deref().map_or(Ok(()), |reply| self.check(reply))?;
        let sent = match reply_to {
            Some(reply) => self.client.publish_with_reply(subject, reply, body.into()).await,
            None => self.client.publish(subject, body.into()).await,
        };
        sent.map_err(|error| error.to_string())
    }

    /// Sends a message and waits for an answer.
    ///
    /// # Errors
    /// When nobody listens, none comes in time, or as for `publish`.
    pub async fn request(&self, subject: String, body: Vec<u8>, limit: Duration) -> Result<Received, String> {
        self.may_send(&subject)?;
        let late = || format!("no answer came within {} ms", limit.as_millis());
        let answer =
            timeout(limit, self.client.request(subject.clone(), body.into())).await.map_err(|_| late())?;
        answer.map(Into::into).map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => format!("nobody listens for `{subject}`"),
            RequestErrorKind::TimedOut => late(),
            _ => error.to_string(),
        })
    }

    /// Has messages of a subject delivered, one after the other has been taken; those of a group share them.
    ///
    /// # Errors
    /// When the subject is none.
    pub async fn subscribe(
        &self,
        subject: &str,
        group: Option<&str>,
        deliver: Arc<dyn Fn(Received) -> BoxFuture<'static, ()> + Send + Sync>,
    ) -> Result<Held, String> {
        let mut messages = match group {
            Some(group) => self.client.queue_subscribe(subject.to_owned(), group.to_owned()).await,
            None => self.client.subscribe(subject.to_owned()).await,
        }
        .map_err(|error| error.to_string())?;
        Ok(Held(tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                deliver(message.into()).await;
            }
        })))
    }

    /// A component speaks over the host's connection, and not as the host.
    fn check(&self, subject: &str) -> Result<(), String> {
        if self.reserved.holds(subject) {
            return Err(format!("`{subject}` is a subject of the lattice's own: no component speaks on it"));
        }
        Ok(())
    }

    fn may_send(&self, subject: &str) -> Result<(), String> {
        self.check(subject)?;
        self.is_connected()
    }

    fn is_connected(&self) -> Result<(), String> {
        match self.client.connection_state() {
            async_nats::connection::State::Connected => Ok(()),
            _ => Err("NATS does not answer".to_owned()),
        }
    }
}
