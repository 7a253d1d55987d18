//! Calls between hosts, and between hosts and external providers: wRPC over NATS.
//!
//! Who calls publishes the first part of its parameters on the subject of the function and names an inbox. Who takes the call names one
//! in turn. What is left of the parameters then goes to the second with `.params` behind it, the results come to the first with `.results`
//! behind it, and an empty message ends either. Hosts of Abide say more, in headers that others pass over: why a call failed, and that they
//! can be asked whether they are still there.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, StatusCode, Subject};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{OnceCell, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{interval_at, timeout};

use crate::subject::Reserved;

/// What comes before the name of what is called.
const PROTOCOL: &str = "wrpc.0.0.1";
/// Who calls.
const SOURCE: &str = "source-id";
/// Over which of its links.
const LINK: &str = "link-name";
/// Why there are no results.
const FAILED: &str = "abide-failed";
/// Whoever took a call answers as long as it is there.
const WATCHED: &str = "abide-watched";
/// Parts of the parameters.
const PARAMETERS: &str = "params";
/// Parts of the results.
const RESULTS: &str = "results";
/// Asked whether anyone is there.
const WATCH: &str = "watch";

/// How long until someone takes a call, and how long until all of its parameters have come.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the results may take of whoever cannot be asked whether it is there.
const UNWATCHED: Duration = Duration::from_secs(60);
/// How often whoever took a call is asked whether it is there.
const ASK: Duration = Duration::from_secs(2);
/// How often in a row it may be away until it is gone.
const AWAY_MAX: u32 = 2;
/// Most bytes of parameters or results.
const PAYLOAD_MAX: usize = 64 << 20;
/// Most bytes of parts of which more has to come, all calls taken together.
const HELD_MAX: usize = 512 << 20;
/// Most calls of a function at hand; others wait with the broker.
const CALLS_MAX: usize = 1_024;
/// How many calls still come once a function is served no more; they are passed on. The subscription then ends at both ends of the
/// connection alike, and no call that is on its way is lost.
const PASSED_ON: u64 = 256;
/// How long calls are passed on at most: where so few come, none is on its way.
const LINGER: Duration = Duration::from_secs(30);
/// Most bytes of the text of a header.
const TEXT_MAX: usize = 1_024;

/// Calls over the connection of a host, and those that come.
#[derive(Clone)]
pub struct Invocations(Arc<Shared>);

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// Who is called.
    pub target: &'a str,
    /// With its version; empty for a function of no interface.
    pub interface: &'a str,
    /// The function.
    pub function: &'a str,
    /// Who calls.
    pub source: &'a str,
    /// The name of the link that is called over.
    pub link: &'a str,
    /// What it is called with, encoded.
    pub parameters: Vec<u8>,
    /// How long whoever calls waits.
    pub limit: Duration,
}

/// A function that others may call.
#[derive(Clone)]
pub struct Function<'a> {
    /// Whose it is.
    pub component: &'a str,
    /// With its version; empty for a function of no interface.
    pub interface: &'a str,
    /// The function.
    pub function: &'a str,
    /// Whether bytes are all of the parameters: then no more is waited for.
    pub is_whole: IsWhole,
    /// What gives the results, or says why there are none.
    pub answer: Answer,
}

/// Tells whether bytes are all of the parameters.
pub type IsWhole = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;
/// Takes parameters and gives results.
pub type Answer = Arc<dyn Fn(Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// Calls of a function come as long as this is there; those that come after it are passed on to others that serve it.
#[derive(Debug)]
pub struct Served(#[expect(dead_code, reason = "that it goes is what is told")] oneshot::Sender<()>);

struct Shared {
    client: Client,
    lattice: String,
    reserved: Reserved,
    inbox: OnceCell<Inbox>,
}

impl std::fmt::Debug for Invocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invocations").field("lattice", &self.0.lattice).finish_non_exhaustive()
    }
}

impl Invocations {
    pub(crate) fn new(client: Client, lattice: &str, control: &str) -> Self {
        let reserved = Reserved::new(lattice, control);
        Self(Arc::new(Shared { client, lattice: lattice.to_owned(), reserved, inbox: OnceCell::new() }))
    }

    /// Calls a function wherever in the lattice it is served; its results.
    ///
    /// # Errors
    /// When nobody serves it, it does not end in time, it says so, or the connection is lost.
    pub async fn invoke(&self, invocation: Invocation<'_>) -> Result<Vec<u8>, String> {
        let limit = invocation.limit;
        let exchanged = timeout(limit, self.0.exchange(invocation)).await;
        exchanged.unwrap_or_else(|_| Err(late(limit)))
    }

    /// Has calls of a function answered. All in the lattice that serve it for a component of the same id share its calls.
    ///
    /// # Errors
    /// When a name cannot be part of a subject.
    pub async fn serve(&self, function: Function<'_>) -> Result<Served, String> {
        let shared = Arc::clone(&self.0);
        let subject = shared.subject(function.component, function.interface, function.function)?;
        let group = format!("{}.{}", shared.lattice, function.component);
        shared.inbox().await?;
        let calls = shared.client.queue_subscribe(subject, group).await;
        let mut calls = calls.map_err(|error| error.to_string())?;
        let (is_whole, answer) = (function.is_whole, function.answer);
        let (served, mut gone) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CALLS_MAX));
            let mut count = 0;
            loop {
                let call = tokio::select! {
                    call = calls.next() => call,
                    _ = &mut gone => break,
                };
                let Some(call) = call else { return };
                count += 1;
                let Ok(pass) = Arc::clone(&room).acquire_owned().await else { return };
                let (shared, is_whole, answer) =
                    (Arc::clone(&shared), Arc::clone(&is_whole), Arc::clone(&answer));
                tokio::spawn(async move {
                    // Who called and went away is not told.
                    let _ = shared.take(call, &is_whole, &answer).await;
                    drop(pass);
                });
            }
            if calls.unsubscribe_after(count + PASSED_ON).await.is_ok() {
                let passing = async {
                    while let Some(call) = calls.next().await {
                        // Where the connection is lost so is the call.
                        let _ = shared.pass_on(call).await;
                    }
                };
                let _ = timeout(LINGER, passing).await;
            }
        });
        Ok(Served(served))
    }
}

impl Shared {
    /// The subject of a function.
    fn subject(&self, target: &str, interface: &str, function: &str) -> Result<String, String> {
        let of_interface = if interface.is_empty() { String::new() } else { format!("{interface}.") };
        let is_word = |word: &str| {
            let is_apart = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
            !word.is_empty() && !word.contains(is_apart)
        };
        for name in [target, function].into_iter().chain(Some(interface).filter(|name| !name.is_empty())) {
            if !name.split('.').all(is_word) {
                return Err(format!("`{name}` cannot be part of a subject"));
            }
        }
        Ok(format!("{}.{target}.{PROTOCOL}.{of_interface}{function}", self.lattice))
    }

    async fn inbox(&self) -> Result<&Inbox, String> {
        self.inbox.get_or_try_init(|| Inbox::open(&self.client)).await
    }

    async fn exchange(&self, invocation: Invocation<'_>) -> Result<Vec<u8>, String> {
        let Invocation { target, interface, function, source, link, parameters, .. } = invocation;
        let subject = self.subject(target, interface, function)?;
        if parameters.len() > PAYLOAD_MAX {
            return Err(too_large());
        }
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return Err("NATS does not answer".to_owned());
        }
        let (taken, handshake) = oneshot::channel();
        let (whole, results) = oneshot::channel();
        let away = Arc::new(AtomicBool::new(false));
        let waiting = Waiting {
            part: RESULTS,
            bytes: Vec::new(),
            whole: Some(whole),
            taken: Some(taken),
            away: Arc::clone(&away),
        };
        let place = self.inbox().await?.place(waiting);
        let mut headers = HeaderMap::new();
        headers.insert(SOURCE, header(source));
        headers.insert(LINK, header(link));
        // What headers take counts: four bytes of each beside its text, and the line before them.
        let taken_up = 64
            + [SOURCE, LINK].map(str::len).iter().sum::<usize>()
            + header(source).len()
            + header(link).len();
        let count = self.client.max_payload().saturating_sub(taken_up).min(parameters.len());
        let (first, rest) = parameters.split_at(count);
        self.client
            .publish_with_reply_and_headers(subject, place.subject.clone(), headers, first.to_vec().into())
            .await
            .map_err(|error| error.to_string())?;
        let handshake =
            timeout(HANDSHAKE, handshake).await.map_err(|_| "nobody takes the call".to_owned())?;
        let Taken { by, is_watched } = handshake.map_err(|_| lost())??;
        if self.reserved.holds(&by) {
            return Err("whoever takes the call names no inbox".to_owned());
        }
        self.stream(&format!("{by}.{PARAMETERS}"), rest).await?;
        if is_watched { self.watch(&by, &place, &away, results).await } else { unwatched(results).await }
    }

    /// Waits for results as long as whoever took the call is there.
    async fn watch(
        &self,
        by: &str,
        place: &Place<'_>,
        away: &AtomicBool,
        mut results: oneshot::Receiver<Result<Vec<u8>, String>>,
    ) -> Result<Vec<u8>, String> {
        let mut ask = interval_at(tokio::time::Instant::now() + ASK, ASK);
        let mut count = 0;
        loop {
            tokio::select! {
                results = &mut results => return results.map_err(|_| lost())?,
                _ = ask.tick() => {
                    count = if away.swap(false, Ordering::Relaxed) { count + 1 } else { 0 };
                    if count >= AWAY_MAX {
                        return Err("whoever took the call is gone".to_owned());
                    }
                    let (to, reply) = (format!("{by}.{WATCH}"), format!("{}.{WATCH}", place.subject));
                    let asked = self.client.publish_with_reply(to, reply, Vec::new().into()).await;
                    asked.map_err(|error| error.to_string())?;
                }
            }
        }
    }

    /// Has another take a call; where there is none the broker tells so whoever called.
    async fn pass_on(&self, call: Message) -> Result<(), String> {
        let Message { subject, reply, payload, headers, .. } = call;
        let Some(reply) = reply else { return Ok(()) };
        let passed = match headers {
            Some(headers) => {
                self.client.publish_with_reply_and_headers(subject, reply, headers, payload).await
            }
            None => self.client.publish_with_reply(subject, reply, payload).await,
        };
        passed.map_err(|error| error.to_string())
    }

    /// Takes a call, and answers it.
    async fn take(&self, call: Message, is_whole: &IsWhole, answer: &Answer) -> Result<(), String> {
        let Some(to) = call.reply.filter(|to| !self.reserved.holds(to)) else { return Ok(()) };
        let inbox = self.inbox().await?;
        let (whole, parameters) = oneshot::channel();
        let mut first = Vec::from(call.payload);
        let is_whole = is_whole(&first);
        let bytes = if is_whole { Vec::new() } else { std::mem::take(&mut first) };
        let place = inbox.place(Waiting {
            part: PARAMETERS,
            bytes,
            whole: Some(whole),
            taken: None,
            away: Arc::default(),
        });
        let mut headers = HeaderMap::new();
        headers.insert(WATCHED, "true");
        self.client
            .publish_with_reply_and_headers(to.clone(), place.subject.clone(), headers, Vec::new().into())
            .await
            .map_err(|error| error.to_string())?;
        let parameters = if is_whole {
            drop(place);
            Ok(first)
        } else {
            match timeout(HANDSHAKE, parameters).await {
                Ok(Ok(come)) => come,
                Ok(Err(_)) => Err(lost()),
                Err(_) => Err(format!("the parameters did not come within {} ms", HANDSHAKE.as_millis())),
            }
        };
        let results = match parameters {
            Ok(parameters) => answer(parameters).await,
            Err(why) => Err(why),
        };
        let results =
            results.and_then(|bytes| if bytes.len() > PAYLOAD_MAX { Err(too_large()) } else { Ok(bytes) });
        match results {
            Ok(bytes) => self.stream(&format!("{to}.{RESULTS}"), &bytes).await,
            Err(why) => {
                let mut headers = HeaderMap::new();
                headers.insert(FAILED, header(&why));
                let ended =
                    self.client.publish_with_headers(format!("{to}.{RESULTS}"), headers, Vec::new().into());
                ended.await.map_err(|error| error.to_string())
            }
        }
    }

    /// Sends bytes in as many parts as it takes, and the end.
    async fn stream(&self, subject: &str, bytes: &[u8]) -> Result<(), String> {
        let parts = bytes.chunks(self.client.max_payload().max(1));
        for part in parts.chain([&[][..]]) {
            let sent = self.client.publish(subject.to_owned(), part.to_vec().into()).await;
            sent.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

async fn unwatched(results: oneshot::Receiver<Result<Vec<u8>, String>>) -> Result<Vec<u8>, String> {
    match timeout(UNWATCHED, results).await {
        Ok(come) => come.map_err(|_| lost())?,
        Err(_) => Err(late(UNWATCHED)),
    }
}

/// A text that fits in a header.
fn header(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    text.replace(|c: char| c.is_control(), " ")
}

fn late(limit: Duration) -> String {
    format!("it did not answer within {} ms", limit.as_millis())
}

fn lost() -> String {
    "the connection is lost".to_owned()
}

fn too_large() -> String {
    format!("parameters and results may have {PAYLOAD_MAX} bytes at most")
}

/// Who took a call.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    /// Where the rest of the parameters goes.
    by: String,
    /// Whether it can be asked if it is there.
    is_watched: bool,
}

/// What an end of a call waits for.
struct Waiting {
    /// The name of the parts that come.
    part: &'static str,
    /// What has come of them.
    bytes: Vec<u8>,
    whole: Option<oneshot::Sender<Result<Vec<u8>, String>>>,
    taken: Option<oneshot::Sender<Result<Taken, String>>>,
    /// Set when nobody was there who could be asked.
    away: Arc<AtomicBool>,
}

impl Waiting {
    /// Takes what comes to its place, with what follows the place in its subject, and while others hold so many bytes.
    fn receive(&mut self, behind: Option<&str>, message: &Message, held: usize) {
        match behind {
            None => self.handshake(message),
            Some(WATCH) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                self.away.store(true, Ordering::Relaxed);
            }
            Some(part) if part == self.part => self.part(message, held),
            Some(_) => {}
        }
    }

    fn handshake(&mut self, message: &Message) {
        let Some(taken) = self.taken.take() else { return };
        let outcome = match (message.status, &message.reply) {
            (Some(StatusCode::NO_RESPONDERS), _) => Err("no host of the lattice serves it".to_owned()),
            (Some(status), _) if !status.is_success() => Err(format!("the broker says {status}")),
            (_, Some(reply)) => {
                let headers = message.headers.as_ref();
                let is_watched = headers.is_some_and(|headers| headers.get(WATCHED).is_some());
                Ok(Taken { by: reply.to_string(), is_watched })
            }
            (_, None) => Err("whoever takes the call names no inbox".to_owned()),
        };
        // Whoever waits no more has gone.
        let _ = taken.send(outcome);
    }

    fn part(&mut self, message: &Message, held: usize) {
        if self.whole.is_none() {
            return;
        }
        let is_end = message.payload.is_empty();
        let count = self.bytes.len() + message.payload.len();
        let is_much = count > PAYLOAD_MAX || held + count > HELD_MAX;
        if !is_end && !is_much {
            return self.bytes.extend_from_slice(&message.payload);
        }
        let failed = message.headers.as_ref().and_then(|headers| headers.get(FAILED));
        let bytes = std::mem::take(&mut self.bytes);
        let outcome = match failed {
            _ if is_much => Err(too_large()),
            Some(why) => Err(why.to_string()),
            None => Ok(bytes),
        };
        if let Some(whole) = self.whole.take() {
            let _ = whole.send(outcome);
        }
    }
}

/// Where what concerns calls comes in: one subscription for all.
struct Inbox {
    places: Arc<Places>,
    task: JoinHandle<()>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inbox {
    async fn open(client: &Client) -> Result<Self, String> {
        let places = Arc::new(Places { prefix: format!("{}.", client.new_inbox()), all: Mutex::default() });
        let come = client.subscribe(format!("{}>", places.prefix)).await;
        let mut come = come.map_err(|error| error.to_string())?;
        let there = Arc::clone(&places);
        let task = tokio::spawn(async move {
            while let Some(message) = come.next().await {
                there.receive(&message);
            }
        });
        Ok(Self { places, task })
    }

    fn place(&self, waiting: Waiting) -> Place<'_> {
        self.places.place(waiting)
    }
}

#[derive(Default)]
struct Places {
    /// How their subjects begin.
    prefix: String,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    waiting: HashMap<String, Waiting>,
    /// How many bytes they hold.
    held: usize,
}

impl Places {
    fn place(&self, waiting: Waiting) -> Place<'_> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let subject = Subject::from(format!("{}{name}", self.prefix));
        let mut all = self.lock();
        all.held += waiting.bytes.len();
        all.waiting.insert(name.clone(), waiting);
        Place { places: self, name, subject }
    }

    fn receive(&self, message: &Message) {
        let Some(behind) = message.subject.strip_prefix(&*self.prefix) else { return };
        let (name, behind) = match behind.split_once('.') {
            Some((name, behind)) => (name, Some(behind)),
            None => (behind, None),
        };
        let mut all = self.lock();
        let All { waiting, held } = &mut *all;
        // What comes late concerns nobody.
        let Some(one) = waiting.get_mut(name) else { return };
        let others = held.saturating_sub(one.bytes.len());
        one.receive(behind, message, others);
        *held = others + one.bytes.len();
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something is waited for here, as long as this is there.
struct Place<'p> {
    places: &'p Places,
    name: String,
    subject: Subject,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = self.places.lock();
        if let Some(waiting) = all.waiting.remove(&self.name) {
            all.held = all.held.saturating_sub(waiting.bytes.len());
        }
    }
}
