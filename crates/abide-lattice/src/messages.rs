//! Messages over NATS, for components.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{Client, HeaderMap, Request, RequestErrorKind};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, unconstrained};
use tokio::time::timeout;

use crate::queue::queue;
use crate::subject::Reserved;

/// Most bytes of messages of a subscription that wait until they are taken.
const WAITING_MAX: u32 = 16 << 20;
/// What each of them takes up beside what is in it.
const EACH: u32 = 512;

/// Sends and receives over the connection of a host.
#[derive(Clone, Debug)]
pub struct Messages {
    client: Client,
    reserved: Reserved,
    /// Where the connection is at work: what comes is taken there, however much there is to do elsewhere.
    runtime: Handle,
    dropped: Dropped,
}

/// How many messages were dropped, by what was subscribed to, until it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dropped(Arc<Mutex<BTreeMap<String, u64>>>);

impl Dropped {
    pub(crate) fn count(&self, subject: &str) {
        *self.lock().entry(subject.to_owned()).or_default() += 1;
    }

    /// All that is to be told.
    pub(crate) fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that is to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub body: Vec<u8>,
    /// Where an answer is awaited.
    pub reply_to: Option<String>,
    /// The header `Nats-Msg-Id`, by which JetStream knows what was sent before.
    pub id: Option<String>,
}

impl Outgoing {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.id {
            headers.insert(NATS_MESSAGE_ID, id.as_str());
        }
        headers
    }
}

/// Why a message did not go out, or was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// No connection takes it: why.
    #[error("{0}")]
    Refused(String),
    /// It may be sent again: what is in its way.
    #[error("{0}")]
    Failed(String),
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
pub struct Held(pub(crate) Vec<JoinHandle<()>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Messages {
    pub(crate) fn new(client: Client, reserved: Reserved, runtime: Handle, dropped: Dropped) -> Self {
        Self { client, reserved, runtime, dropped }
    }

    /// Sends a message. It is on its way when this returns, and lost where the connection is.
    ///
    /// # Errors
    /// When the subject is the lattice's own, it is larger than the server takes, or the connection is lost.
    pub async fn publish(&self, message: Outgoing) -> Result<(), NotSent> {
        self.may_send(&message.subject)?;
        message.reply_to.as_deref().map_or(Ok(()), |reply| self.check(reply))?;
        let headers = message.headers();
        let Outgoing { subject, reply_to, body, id } = message;
        let client = &self.client;
        let sent = match (reply_to, id) {
            (Some(reply), Some(_)) => {
                client.publish_with_reply_and_headers(subject, reply, headers, body.into()).await
            }
            (Some(reply), None) => client.publish_with_reply(subject, reply, body.into()).await,
            (None, Some(_)) => client.publish_with_headers(subject, headers, body.into()).await,
            (None, None) => client.publish(subject, body.into()).await,
        };
        sent.map_err(|error| match error.kind() {
            PublishErrorKind::Send => NotSent::Failed(error.to_string()),
            _ => NotSent::Refused(error.to_string()),
        })
    }

    /// Waits until what was sent has come to the server.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn flush(&self) -> Result<(), NotSent> {
        self.is_connected()?;
        self.client.flush().await.map_err(|error| NotSent::Failed(error.to_string()))
    }

    /// Sends a message and waits for an answer.
    ///
    /// # Errors
    /// When nobody listens, none comes in time, or as for `publish`.
    pub async fn request(&self, message: Outgoing, limit: Duration) -> Result<Received, NotSent> {
        self.may_send(&message.subject)?;
        let late = || NotSent::Failed(format!("no answer came within {} ms", limit.as_millis()));
        let headers = message.headers();
        let Outgoing { subject, body, .. } = message;
        let request = Request::new().payload(body.into()).headers(headers).timeout(Some(limit));
        let answer =
            timeout(limit, self.client.send_request(subject.clone(), request)).await.map_err(|_| late())?;
        answer.map(Into::into).map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => NotSent::Failed(format!("nobody listens for `{subject}`")),
            RequestErrorKind::TimedOut => late(),
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                NotSent::Refused(error.to_string())
            }
            RequestErrorKind::Other => NotSent::Failed(error.to_string()),
        })
    }

    /// Has messages of a subject delivered, one after the other has been taken; those of a group share them. Whoever sends does not
    /// wait for it: of what comes faster than it is taken 16 MiB are kept, and what is more is dropped and counted.
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
        let (inlet, mut outlet) = queue(WAITING_MAX, EACH);
        let (dropped, subject) = (self.dropped.clone(), subject.to_owned());
        let coming = self.runtime.spawn(unconstrained(async move {
            while let Some(message) = messages.next().await {
                if inlet.put(message).is_err() {
                    dropped.count(&subject);
                }
            }
        }));
        let taking = tokio::spawn(async move {
            while let Some(waiting) = outlet.recv().await {
                deliver(waiting.message.clone().into()).await;
            }
        });
        Ok(Held(vec![coming, taking]))
    }

    /// A component speaks over the host's connection, and not as the host.
    fn check(&self, subject: &str) -> Result<(), NotSent> {
        if self.reserved.holds(subject) {
            let why = format!("`{subject}` is a subject of the lattice's own: no component speaks on it");
            return Err(NotSent::Refused(why));
        }
        Ok(())
    }

    fn may_send(&self, subject: &str) -> Result<(), NotSent> {
        self.check(subject)?;
        self.is_connected()
    }

    fn is_connected(&self) -> Result<(), NotSent> {
        match self.client.connection_state() {
            async_nats::connection::State::Connected => Ok(()),
            _ => Err(NotSent::Failed("NATS does not answer".to_owned())),
        }
    }
}
