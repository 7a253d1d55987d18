//! `wasmcloud:messaging`: messages over a broker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::bindings::wasmcloud::messaging::{consumer, types};
use super::call::{Call, Grant};
use crate::link::Config;
use crate::provider::Builtin;

const CONSUMER: &str = "wasmcloud:messaging/consumer";
/// Most bytes of a subject.
const SUBJECT_MAX: usize = 4 << 10;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is about: words with dots between.
    pub subject: String,
    /// What it says.
    pub body: Vec<u8>,
    /// Where an answer is awaited.
    pub reply_to: Option<String>,
    /// Names it, where it may be sent again: then under the same name.
    pub id: Option<String>,
}

/// Why a message was not sent, or not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotSent {
    /// Why.
    pub why: String,
    /// Whether it is of no use to try again.
    pub is_final: bool,
}

impl NotSent {
    /// It may be tried again.
    #[must_use]
    pub fn now(why: String) -> Self {
        Self { why, is_final: false }
    }
}

/// What comes of something in time.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Waits for something, on a thread on which a call of a port waits.
pub fn wait_for<T>(later: Later<'_, T>) -> T {
    Handle::current().block_on(later)
}

/// Does something that waits, off the threads of the runtime; `None` where it panics.
pub fn aside<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Later<'static, Option<T>> {
    Box::pin(async move { spawn_blocking(act).await.ok() })
}

/// Takes a message; the next one comes when there is room for it.
pub type Delivery = Arc<dyn Fn(Message) -> Later<'static, ()> + Send + Sync>;
/// Messages come as long as this is there.
pub type Subscription = Box<dyn Send + Sync>;

/// What carries messages. The configuration is the provider's, with the link's over it.
pub trait Messaging: Send + Sync + 'static {
    /// Sends a message. It is on its way when this returns.
    fn publish<'a>(&'a self, config: &'a Config, message: Message) -> Later<'a, Result<(), NotSent>>;
    /// Waits until what was sent is with the broker.
    fn flush(&self) -> Later<'_, Result<(), NotSent>>;
    /// Sends a message and waits for an answer.
    fn request<'a>(
        &'a self,
        config: &'a Config,
        message: Message,
        limit: Duration,
    ) -> Later<'a, Result<Message, NotSent>>;
    /// Has messages of a subject, `*` and `>` in it standing for any word and any words, delivered; those of a group share them.
    fn subscribe<'a>(
        &'a self,
        config: &'a Config,
        subject: &'a str,
        group: Option<&'a str>,
        delivery: Delivery,
    ) -> Later<'a, Result<Subscription, String>>;
}

impl types::Host for Call {}

impl Call {
    fn messages(&self) -> Result<Grant, String> {
        self.reach.grant(CONSUMER, Builtin::Messaging).inspect_err(|why| self.reach.host.tell(why))
    }
}

fn check(subject: &str) -> Result<(), String> {
    let is_word =
        |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
    let is_subject = subject.len() <= SUBJECT_MAX && subject.split('.').all(is_word);
    is_subject
        .then_some(())
        .ok_or_else(|| format!("`{subject}` is no subject: it has words with dots between"))
}

impl consumer::Host for Call {
    async fn request(
        &mut self,
        subject: String,
        body: Vec<u8>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<types::BrokerMessage, String>> {
        let grant = match self.messages().and_then(|grant| check(&subject).map(|()| grant)) {
            Ok(grant) => grant,
            Err(why) => return Ok(Err(why)),
        };
        let limit = Duration::from_millis(timeout_ms.into());
        let message = Message { subject, body, reply_to: None, id: None };
        let answer = self.reach.host.ports.messaging.request(&grant.config, message, limit).await;
        let answered = |answer: Message| types::BrokerMessage {
            subject: answer.subject,
            body: answer.body,
            reply_to: answer.reply_to,
        };
        Ok(answer.map(answered).map_err(|failed| failed.why))
    }

    async fn publish(&mut self, msg: types::BrokerMessage) -> wasmtime::Result<Result<(), String>> {
        let checked = self.messages().and_then(|grant| {
            check(&msg.subject)?;
            msg.reply_to.as_deref().map_or(Ok(()), check)?;
            Ok(grant)
        });
        let grant = match checked {
            Ok(grant) => grant,
            Err(why) => return Ok(Err(why)),
        };
        let message = Message { subject: msg.subject, body: msg.body, reply_to: msg.reply_to, id: None };
        let sent = self.reach.host.ports.messaging.publish(&grant.config, message).await;
        Ok(sent.map_err(|failed| failed.why))
    }
}
