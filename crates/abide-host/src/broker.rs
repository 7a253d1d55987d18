//! Messages, for sources and for effects. What carries them, NATS or the host alone, is given to a run.

use std::time::Duration;

use crate::effect::CallError;

/// Takes a message: its subject, and what it says. It does not wait.
pub type Take = Box<dyn FnMut(&str, &[u8]) + Send>;
/// Messages come as long as this is there.
pub type Subscription = Box<dyn Send + Sync>;

/// A message that is to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// What it is about.
    pub subject: &'a str,
    /// Where an answer is awaited.
    pub reply_to: Option<&'a str>,
    /// What it says.
    pub body: &'a [u8],
    /// Names it: the same message has the same, also when it is sent again. Of NATS it is the header `Nats-Msg-Id`.
    pub id: &'a str,
}

/// Carries messages. All its functions may wait.
pub trait Broker: Send + Sync {
    /// Has messages of a subject taken, one after the other; those of a group share them.
    ///
    /// # Errors
    /// When the subject is none.
    fn subscribe(&self, subject: &str, group: Option<&str>, take: Take) -> Result<Subscription, String>;
    /// Sends a message. The broker has it when this returns.
    ///
    /// # Errors
    /// When the broker does not take it in time, or never will.
    fn publish(&self, message: Outgoing<'_>, limit: Duration) -> Result<(), CallError>;
    /// Sends a message, and waits for an answer to it: what that says.
    ///
    /// # Errors
    /// When nobody answers in time, or as for `publish`.
    fn request(&self, message: Outgoing<'_>, limit: Duration) -> Result<Vec<u8>, CallError>;
}
