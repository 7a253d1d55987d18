//! The builtin target `messaging`: a message for each effect, by the broker of the host.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{CallError, Request, Target};
use crate::broker::{Broker, Outgoing};

/// The interface of the target.
pub(crate) const CONSUMER: &str = "wasmcloud:messaging/consumer";
/// The keys of a message.
pub(crate) const MESSAGE_KEYS: [&str; 3] = ["subject", "body", "reply_to"];
/// Longest subject, in bytes.
const SUBJECT_BYTES_MAX: usize = 4 << 10;

/// Sends messages.
pub struct Messages {
    broker: Arc<dyn Broker>,
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Messages {
    /// Sends by that broker.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker }
    }
}

impl Target for Messages {
    fn call(&self, request: &Request) -> Result<Value, CallError> {
        let limit = Duration::from_nanos(u64::try_from(request.timeout.0).unwrap_or(0));
        let id = request.key_hex();
        match (&*request.interface, &*request.function, &*request.args) {
            (CONSUMER, "publish", [Value::Object(message)]) => {
                let (subject, reply_to, body) = read(message).map_err(CallError::permanent)?;
                self.broker.publish(Outgoing { subject, reply_to, body: &body, id: &id }, limit)?;
                Ok(Value::Null)
            }
            (CONSUMER, "request", [Value::String(subject), body]) => {
                check_subject(subject).map_err(CallError::permanent)?;
                let message = Outgoing { subject, reply_to: None, body: &bytes(body), id: &id };
                let answer = self.broker.request(message, limit)?;
                let text = String::from_utf8(answer)
                    .map_err(|_| CallError::permanent("the answer is no text: it is not UTF-8"))?;
                let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
                Ok(json!({ "body": body }))
            }
            (interface, function, args) => {
                let count = args.len();
                let message =
                    format!("`messaging` has no `{function}` of `{interface}` with such {count} arguments");
                Err(CallError::permanent(message))
            }
        }
    }
}

type Read<'a> = (&'a str, Option<&'a str>, Vec<u8>);

fn read(message: &Map<String, Value>) -> Result<Read<'_>, String> {
    if let Some(name) = message.keys().find(|name| !MESSAGE_KEYS.contains(&name.as_str())) {
        return Err(format!("a message has no `{name}`"));
    }
    let text = |name: &str| match message.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => check_subject(text).map(|()| Some(text.as_str())),
        Some(_) => Err(format!("`{name}` of a message must be a text")),
    };
    let subject = text("subject")?.ok_or("the message has no `subject`")?;
    Ok((subject, text("reply_to")?, bytes(message.get("body").unwrap_or(&Value::Null))))
}

/// A text goes out as it is, nothing as nothing, and all else as JSON.
fn bytes(body: &Value) -> Vec<u8> {
    match body {
        Value::Null => Vec::new(),
        Value::String(text) => text.as_bytes().to_vec(),
        other => other.to_string().into_bytes(),
    }
}

/// Whether messages can be sent to a subject.
pub(crate) fn check_subject(subject: &str) -> Result<(), String> {
    let is_apart = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
    let is_word = |word: &str| !word.is_empty() && !word.contains(is_apart);
    if subject.len() <= SUBJECT_BYTES_MAX && subject.split('.').all(is_word) {
        return Ok(());
    }
    let shown: String = subject.chars().take(64).collect();
    Err(format!(
        "nothing can be sent to `{shown}`: a subject has words with dots between, without `*` and `>`"
    ))
}
