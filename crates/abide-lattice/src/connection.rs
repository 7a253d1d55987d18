//! The connection to a lattice: NATS, and a thread that goes on with and without it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{self, Operation, Store, Watch};
use async_nats::{Client, ConnectOptions, ServerAddr, Subscriber, jetstream};
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, SelectAll, poll_fn};
use nkeys::KeyPair;
use serde_json::Value as Json;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle as Task, unconstrained};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::control::{
    Action, Bucket, Control, Entry, Handled, Identity, Inventory, Learned, Performed, Write,
};
use crate::event::Event;
use crate::invocation::Invocations;
use crate::message::{Component, Provider};
use crate::messages::{Dropped, Messages};
use crate::objects::Objects;
use crate::queue::{Inlet, Waiting, queue};
use crate::subject::{Reserved, Subject};
use crate::values::Values;

/// How often a host says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a host waits for what runs on it to be listed.
const LISTING: Duration = Duration::from_millis(1_500);
/// How long until it is listed again, where that failed.
const LIST_AGAIN: Duration = Duration::from_millis(250);
/// How often NATS is asked whether it is there: it is gone when it has let two pass and the third is due.
const PING: Duration = Duration::from_secs(5);
/// How long NATS may take at first until it is said that it does not answer.
const APART_AFTER: Duration = Duration::from_secs(1);
/// How long one exchange with JetStream may take: a client waits two seconds for its answer.
const EXCHANGE: Duration = Duration::from_millis(1_500);
/// How long it may take to read all that a bucket holds.
const READING: Duration = Duration::from_secs(60);
/// How long until it is tried again to come by the buckets.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the last words of a host may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Most bytes of requests of a kind that wait.
const REQUESTS_MAX: u32 = 8 << 20;
/// What each of them takes up beside what is in it: so some thousand wait at most.
const REQUEST: u32 = 8 << 10;
/// Most actions that wait or are at hand.
const ACTIONS_MAX: usize = 1_000;
/// How many actions are at hand at once.
const ACTIONS_AT_ONCE: usize = 16;
/// What goes with a value that is written, beside the value.
const ENVELOPE: usize = 1_024;
/// How often another host may come first in changing the same value.
const CONFLICTS_MAX: usize = 8;

/// How a lattice is reached.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `nats://HOST:PORT`, several with commas between.
    pub url: String,
    /// A file with a user's JWT and seed.
    pub credentials: Option<PathBuf>,
    /// A user's JWT and seed.
    pub user: Option<(String, String)>,
    /// Certificates to trust, beside the system's.
    pub ca: Option<PathBuf>,
    /// A certificate of the host's own, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether a connection without TLS is refused.
    pub require_tls: bool,
    /// The JetStream domain.
    pub js_domain: Option<String>,
    /// The first part of the subjects of the control interface: `wasmbus.ctl`.
    pub prefix: String,
}

impl Options {
    /// The address for people and for the lattice: without a user, a password or a token.
    #[must_use]
    pub fn address(&self) -> String {
        let shown = self.url.split(',').map(|url| {
            let (scheme, rest) = url.trim().split_once("://").unwrap_or(("nats", url.trim()));
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        });
        shown.collect::<Vec<_>>().join(",")
    }
}

/// What runs on the host, and what may be asked of it.
pub trait Guests: Send + Sync + 'static {
    /// The objects that it runs; `None` where that cannot be told now, as before the first tick. It may wait.
    fn objects(&self) -> Option<Vec<Component>>;
    /// The components that it runs.
    fn components(&self) -> Vec<Component>;
    /// The providers that it runs.
    fn providers(&self) -> Vec<Provider>;
    /// Whether a provider of that reference can start on it.
    fn offers(&self, provider_ref: &str) -> bool;
    /// Does what the lattice asks for. It may wait, and is called from several threads at once, but for the same id once at a time.
    ///
    /// # Errors
    /// Why it was not done.
    fn perform(&self, action: &Action) -> Result<Performed, String>;
    /// Takes up what the host came to know.
    fn learn(&self, learned: Learned);
    /// The host is to stop.
    fn stop(&self);
}

/// How a host stands to its lattice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// NATS does not answer; it is tried again and again.
    Apart,
    /// It is in the lattice.
    Joined,
    /// It is in the lattice, and links and configuration are at hand.
    Ready,
    /// It is in the lattice, but JetStream does not answer: links and configuration cannot be set. Why.
    WithoutJetStream(String),
    /// What the lattice asked for about a component or a provider was not done.
    Failed {
        /// Its id.
        id: String,
        /// Why.
        why: String,
    },
    /// Messages came faster than they were taken.
    Dropped {
        /// What was subscribed to.
        subject: String,
        /// How many of them were dropped.
        count: u64,
    },
    /// An event was not told.
    Untold {
        /// Its name.
        event: String,
        /// Why.
        why: String,
    },
}

/// Why a host cannot even try to join.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address, the credentials or the certificates are of no use.
    #[error("the lattice cannot be joined: {0}")]
    Options(String),
    /// There is no thread for it.
    #[error("the thread of the lattice cannot start: {0}")]
    Thread(#[from] std::io::Error),
}

/// A host's place in a lattice. It leaves when this is dropped.
#[derive(Debug)]
pub struct Lattice {
    leave: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A connection to NATS, which is made as soon as it can be, and again whenever it was lost.
pub struct Connection {
    client: Client,
    runtime: Runtime,
    events: UnboundedReceiver<async_nats::Event>,
    dropped: Dropped,
    prefix: String,
    domain: Option<String>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Connection {
    /// Begins to connect. Nothing goes over the connection before the host has joined.
    ///
    /// # Errors
    /// When the options can never lead anywhere.
    pub fn new(options: &Options) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (signals, events) = unbounded_channel();
        let connect = connect_options(options, signals)?;
        let (prefix, domain) = (options.prefix.clone(), options.js_domain.clone());
        let addresses =
            options.url.split(',').map(|url| url.trim().parse::<ServerAddr>()).collect::<Result<Vec<_>, _>>();
        let addresses = addresses.map_err(|error| {
            StartError::Options(format!("`{}` is no address: {error}", options.address()))
        })?;
        let client = runtime
            .block_on(async { connect.connect(addresses).await })
            .map_err(|error| StartError::Options(error.to_string()))?;
        Ok(Self { client, runtime, events, dropped: Dropped::default(), prefix, domain })
    }

    /// Messages over this connection, beside what a lattice says over it.
    #[must_use]
    pub fn messages(&self, lattice: &str) -> Messages {
        let reserved = Reserved::new(lattice, &self.prefix);
        Messages::new(self.client.clone(), reserved, self.runtime.handle().clone(), self.dropped.clone())
    }

    /// Calls over this connection, within a lattice.
    #[must_use]
    pub fn invocations(&self, lattice: &str) -> Invocations {
        Invocations::new(self.client.clone(), lattice, &self.prefix)
    }

    /// Objects of other hosts over this connection, and those of this one for others.
    #[must_use]
    pub fn objects(&self, lattice: &str, host: &str) -> Objects {
        Objects::new(self.client.clone(), lattice, &self.prefix, host)
    }

    /// Values over this connection, in JetStream. There are none before the host has joined.
    #[must_use]
    pub fn values(&self) -> Values {
        Values::new(self.client.clone(), self.domain.clone(), self.runtime.handle().clone())
    }

    /// Joins a lattice as soon as there is a connection, and again whenever it was lost. Told of each change of its state.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn join(
        self,
        identity: Identity,
        guests: Arc<dyn Guests>,
        told: impl Fn(State) + Send + 'static,
    ) -> Result<Lattice, StartError> {
        let leave = Arc::new(AtomicBool::new(false));
        let leaving = Arc::clone(&leave);
        let thread = thread::Builder::new().name("lattice".to_owned()).spawn(move || {
            let (done, outcomes) = unbounded_channel();
            let member = Member {
                control: Control::new(identity),
                client: self.client,
                prefix: self.prefix,
                domain: self.domain,
                guests,
                began: Instant::now(),
                stores: None,
                absent: None,
                told: Box::new(told),
                is_new: true,
                unanswered: Some(Instant::now()),
                unlisted: None,
                running: BTreeMap::new(),
                acting: BTreeMap::new(),
                actions: Arc::new(Semaphore::new(ACTIONS_MAX)),
                at_once: Arc::new(Semaphore::new(ACTIONS_AT_ONCE)),
                dropped: self.dropped,
                done,
            };
            self.runtime.block_on(member.run(self.events, outcomes, &leaving));
            // What still lists or waits is not waited for.
            self.runtime.shutdown_timeout(Duration::from_millis(100));
        })?;
        Ok(Lattice { leave, thread: Some(thread) })
    }
}

impl Drop for Lattice {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn connect_options(
    options: &Options,
    signals: UnboundedSender<async_nats::Event>,
) -> Result<ConnectOptions, StartError> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| StartError::Options(format!("{what}: {error}"));
    let mut connect = match (&options.credentials, &options.user) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                wrong(&format!("the credentials `{}` cannot be read", path.display()), &error)
            })?;
            ConnectOptions::with_credentials(&text)
                .map_err(|error| wrong(&format!("the credentials `{}` are none", path.display()), &error))?
        }
        (None, Some((jwt, seed))) => {
            let pair =
                Arc::new(KeyPair::from_seed(seed).map_err(|error| wrong("the user's seed is none", &error))?);
            ConnectOptions::with_jwt(jwt.clone(), move |nonce| {
                let pair = Arc::clone(&pair);
                async move { pair.sign(&nonce).map_err(async_nats::AuthError::new) }
            })
        }
        (None, None) => ConnectOptions::new(),
    };
    if let Some(ca) = &options.ca {
        connect = connect.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &options.certificate {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    let connect = connect.require_tls(options.require_tls).retry_on_initial_connect().ping_interval(PING);
    Ok(connect.event_callback(move |event| {
        let _ = signals.send(event);
        async {}
    }))
}

/// The buckets: of components with their links, and of configuration.
type Stores = (Store, Store);

/// Something that comes from the buckets.
enum News {
    /// They are at hand.
    Ready(Box<Stores>),
    /// They are not; why.
    Absent(String),
    /// All that a bucket holds.
    All(Bucket, Vec<Entry>),
    /// What a bucket holds of late.
    Entry(Bucket, Entry),
}

/// Requests of all kinds.
type Requests = SelectAll<BoxStream<'static, Waiting>>;

/// An action, and what came of it.
type Outcome = (Action, Result<Performed, String>);

/// A host within its lattice.
struct Member {
    control: Control,
    client: Client,
    prefix: String,
    domain: Option<String>,
    guests: Arc<dyn Guests>,
    began: Instant,
    /// The buckets, as long as they are at hand.
    stores: Option<Stores>,
    /// Why they are not, as it was told last since they were, or since the host joined.
    absent: Option<String>,
    told: Box<dyn Fn(State) + Send>,
    /// Whether its start was not told yet.
    is_new: bool,
    /// Since when NATS has not answered, as long as that was not said.
    unanswered: Option<Instant>,
    /// When what runs was to be told and could not be listed.
    unlisted: Option<Instant>,
    /// What was told to run.
    running: BTreeMap<String, Component>,
    /// The last action about each id: the next one waits for it.
    acting: BTreeMap<String, Task<()>>,
    /// Places for actions that wait or are at hand.
    actions: Arc<Semaphore>,
    /// Places for actions that are at hand.
    at_once: Arc<Semaphore>,
    /// Messages that were dropped.
    dropped: Dropped,
    /// Takes what came of actions.
    done: UnboundedSender<Outcome>,
}

impl Member {
    async fn run(
        mut self,
        mut connection: UnboundedReceiver<async_nats::Event>,
        mut outcomes: UnboundedReceiver<Outcome>,
        leave: &AtomicBool,
    ) {
        let Ok(mut requests) = self.subscribe().await else { return };
        let (news, mut heard) = unbounded_channel();
        let mut buckets: Option<Task<()>> = None;
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        let mut look = interval(Duration::from_millis(50));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = interval(Duration::from_secs(1));
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order, so that a start is told before anything else is.
                biased;
                Some(event) = connection.recv() => match event {
                    async_nats::Event::Connected => {
                        self.unanswered = None;
                        (self.told)(State::Joined);
                        if std::mem::take(&mut self.is_new) {
                            self.tell(&self.control.started()).await;
                        }
                        self.beat().await;
                        buckets.take().into_iter().for_each(|task| task.abort());
                        self.stores = None;
                        self.absent = None;
                        let of = (self.client.clone(), self.domain.clone(), self.control.identity().lattice.clone());
                        buckets = Some(tokio::spawn(keep_up(of, news.clone())));
                    }
                    async_nats::Event::Disconnected => {
                        buckets.take().into_iter().for_each(|task| task.abort());
                        self.stores = None;
                        self.unanswered = None;
                        (self.told)(State::Apart);
                    }
                    // More came at once than the client holds; it does not say of what.
                    async_nats::Event::SlowConsumer(_) => self.dropped.count(">"),
                    _ => {}
                },
                _ = look.tick() => {
                    if leave.load(Ordering::Relaxed) {
                        break;
                    }
                    self.look().await;
                }
                _ = beat.tick() => self.beat().await,
                _ = count.tick() => self.tell_dropped(),
                Some(one) = heard.recv() => self.hear(one),
                Some((action, outcome)) = outcomes.recv() => self.performed(&action, outcome).await,
                Some(request) = requests.next() => self.request(request).await,
            }
        }
        self.tell_dropped();
        buckets.into_iter().for_each(|task| task.abort());
        if self.is_connected() && !self.is_new {
            self.tell(&self.control.stopped()).await;
            let _ = timeout(FAREWELL, self.client.flush()).await;
        }
    }

    /// Requests of each kind, which wait apart from those of others.
    async fn subscribe(&self) -> Result<Requests, async_nats::SubscribeError> {
        let Identity { id, lattice, .. } = self.control.identity();
        let mut all = SelectAll::new();
        for (subject, group) in Subject::subscriptions(&self.prefix, lattice, id) {
            let come = match group {
                Some(group) => self.client.queue_subscribe(subject, group).await?,
                None => self.client.subscribe(subject).await?,
            };
            let (inlet, mut outlet) = queue(REQUESTS_MAX, REQUEST);
            let reserved = Reserved::new(lattice, &self.prefix);
            tokio::spawn(unconstrained(let_in(come, inlet, self.client.clone(), reserved)));
            all.push(poll_fn(move |context| outlet.poll_recv(context)).boxed());
        }
        Ok(all)
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Ready(stores) => {
                self.stores = Some(*stores);
                self.absent = None;
                (self.told)(State::Ready);
            }
            News::Absent(why) => {
                self.stores = None;
                // It is tried again and again, and told once.
                if self.absent.as_ref() != Some(&why) {
                    self.absent = Some(why.clone());
                    (self.told)(State::WithoutJetStream(why));
                }
            }
            News::All(bucket, entries) => {
                let learned = self.control.learn_all(bucket, &entries);
                learned.into_iter().for_each(|one| self.guests.learn(one));
            }
            News::Entry(bucket, entry) => {
                self.learn(bucket, &entry.key, entry.value.as_deref(), entry.revision);
            }
        }
    }

    /// Whether what is bid for is a provider that cannot start here.
    fn overbids(&self, bid: &Handled) -> bool {
        let reference =
            bid.reply.as_ref().and_then(|reply| reply.pointer("/response/provider_ref")?.as_str());
        reference.is_some_and(|reference| !self.guests.offers(reference))
    }

    fn learn(&mut self, bucket: Bucket, key: &str, value: Option<&[u8]>, revision: u64) {
        let learned = self.control.learn(bucket, key, value, revision);
        learned.into_iter().for_each(|one| self.guests.learn(one));
    }

    /// Has something done, after all else that is to be done about the same id.
    fn act(&mut self, action: Action, place: OwnedSemaphorePermit) {
        self.acting.retain(|_, task| !task.is_finished());
        let before = self.acting.remove(action.id());
        let (id, guests, done) = (action.id().to_owned(), Arc::clone(&self.guests), self.done.clone());
        let at_once = Arc::clone(&self.at_once);
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            let _turn = at_once.acquire().await;
            let performed = tokio::task::spawn_blocking(move || {
                let outcome = guests.perform(&action);
                (action, outcome)
            });
            if let Ok(outcome) = performed.await {
                let _ = done.send(outcome);
            }
            drop(place);
        });
        self.acting.insert(id, task);
    }

    /// Tells of what was done.
    async fn performed(&mut self, action: &Action, outcome: Result<Performed, String>) {
        if let Err(why) = &outcome {
            (self.told)(State::Failed { id: action.id().to_owned(), why: why.clone() });
        }
        let components = match &outcome {
            Ok(Performed::Components(components)) => components.as_slice(),
            _ => &[],
        };
        // What is told here is not told again with the next heartbeat. An update tells of the old one last.
        for component in components.iter().rev() {
            match component.max_instances {
                0 => drop(self.running.remove(&component.id)),
                _ => drop(self.running.insert(component.id.clone(), component.clone())),
            }
        }
        let claims: Vec<Write> = components.iter().filter_map(|one| self.control.unclaimed(one)).collect();
        for write in claims {
            // Without JetStream nobody keeps them, and the component runs all the same.
            let _ = self.write(&write).await;
        }
        for event in self.control.performed(action, &outcome) {
            self.tell(&event).await;
        }
    }

    async fn request(&mut self, request: Waiting) {
        let message = &request.message;
        let Some(subject) = Subject::read(&self.prefix, &self.control.identity().lattice, &message.subject)
        else {
            return;
        };
        let inventory = match subject {
            Subject::Inventory(_) => match self.listed().await {
                Some(inventory) => inventory,
                None => self.known(),
            },
            Subject::AuctionComponent
            | Subject::AuctionProvider
            | Subject::Scale(_)
            | Subject::Update(_)
            | Subject::StartProvider(_)
            | Subject::StopProvider(_) => self.known(),
            _ => Inventory { uptime: self.uptime(), ..Inventory::default() },
        };
        let mut handled = self.control.handle(&subject, &message.payload, &inventory);
        for _ in 0..CONFLICTS_MAX {
            let Some(write) = handled.write.take() else { break };
            match self.write(&write).await {
                Ok(true) => {}
                // Another host came first: what it wrote is known now.
                Ok(false) => handled = self.control.handle(&subject, &message.payload, &inventory),
                Err(why) => handled = refused(&why),
            }
        }
        if handled.write.is_some() {
            handled = refused("other hosts change the same value at the same time; ask again");
        }
        if matches!(subject, Subject::AuctionProvider) && self.overbids(&handled) {
            handled = Handled::default();
        }
        let place = handled.action.as_ref().map(|_| Arc::clone(&self.actions).try_acquire_owned());
        if matches!(place, Some(Err(_))) {
            handled = refused("this host has as much to do as it takes on; ask again later");
        }
        if let (Some(to), Some(reply)) = (&message.reply, &handled.reply) {
            self.answer(to.clone(), reply).await;
        }
        for event in &handled.events {
            self.tell(event).await;
        }
        if let (Some(action), Some(Ok(place))) = (handled.action, place) {
            self.act(action, place);
        }
        if handled.stop {
            let _ = timeout(FAREWELL, self.client.flush()).await;
            let guests = Arc::clone(&self.guests);
            drop(tokio::task::spawn_blocking(move || guests.stop()));
        }
    }

    /// Changes a bucket. `false` where another host changed the value first: that is taken up.
    async fn write(&mut self, write: &Write) -> Result<bool, String> {
        let without =
            || "JetStream does not answer, and without it nothing is kept; ask again when it does".to_owned();
        let (data, config) = self.stores.clone().ok_or_else(without)?;
        let store = match write.bucket {
            Bucket::Data => data,
            Bucket::Config => config,
        };
        let bytes = write.value.as_ref().map(|value| value.to_string().into_bytes());
        self.fits(bytes.as_ref().map_or(0, Vec::len) + ENVELOPE + write.key.len())
            .map_err(|why| format!("`{}` cannot be kept: {why}", write.key))?;
        let exchanged = timeout(EXCHANGE, put(&store, write, bytes.clone())).await;
        match exchanged.map_err(|_| without())?? {
            Some(revision) => {
                self.learn(write.bucket, &write.key, bytes.as_deref(), revision);
                Ok(true)
            }
            None => {
                let entry = timeout(EXCHANGE, store.entry(&write.key)).await.map_err(|_| without())?;
                let entry = entry.map_err(|error| error.to_string())?;
                let (value, revision) = match &entry {
                    Some(entry) if entry.operation == Operation::Put => (Some(&*entry.value), entry.revision),
                    _ => (None, 0),
                };
                self.learn(write.bucket, &write.key, value, revision);
                Ok(false)
            }
        }
    }

    /// Sees to what is overdue.
    async fn look(&mut self) {
        if self.unanswered.is_some_and(|since| since.elapsed() >= APART_AFTER) {
            self.unanswered = None;
            (self.told)(State::Apart);
        }
        if self.unlisted.is_some_and(|since| since.elapsed() >= LIST_AGAIN) {
            self.beat().await;
        }
    }

    /// Says that the host is there, and what runs on it. Where that cannot be listed nothing is said: who hears of nothing takes
    /// all of it for gone.
    async fn beat(&mut self) {
        if self.is_new || !self.is_connected() {
            return;
        }
        let listed = self.listed().await;
        self.unlisted = listed.is_none().then(Instant::now);
        if let Some(inventory) = listed {
            self.tell_changes(&inventory).await;
            self.tell(&self.control.heartbeat(&inventory)).await;
        }
    }

    /// Tells of what runs since the last time, and of what does no more.
    async fn tell_changes(&mut self, inventory: &Inventory) {
        let now: BTreeMap<String, Component> =
            inventory.components.iter().map(|component| (component.id.clone(), component.clone())).collect();
        let before = std::mem::replace(&mut self.running, now);
        let gone = before.values().filter(|component| !self.running.contains_key(&component.id));
        let gone = gone.map(|component| Component { max_instances: 0, ..component.clone() });
        let new =
            self.running.values().filter(|component| before.get(&component.id) != Some(*component)).cloned();
        for component in gone.chain(new).collect::<Vec<_>>() {
            self.tell(&self.control.scaled(&component)).await;
        }
    }

    /// What runs, where that can be listed in time.
    async fn listed(&self) -> Option<Inventory> {
        let guests = Arc::clone(&self.guests);
        let listed = timeout(LISTING, tokio::task::spawn_blocking(move || guests.objects())).await;
        let objects = listed.ok()?.ok()??;
        Some(self.with(objects))
    }

    /// What runs, with the objects that did when they were last listed.
    fn known(&self) -> Inventory {
        self.with(self.running.values().filter(|component| component.is_object()).cloned().collect())
    }

    fn with(&self, objects: Vec<Component>) -> Inventory {
        let mut components = self.guests.components();
        components.extend(objects);
        Inventory { components, providers: self.guests.providers(), uptime: self.uptime() }
    }

    fn uptime(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    async fn tell(&self, event: &Event) {
        let Identity { id, lattice, .. } = self.control.identity();
        let envelope =
            event.envelope(id, &uuid::Uuid::new_v4().to_string(), &jiff::Timestamp::now().to_string());
        let bytes = envelope.to_string().into_bytes();
        if let Err(why) = self.fits(bytes.len()) {
            return (self.told)(State::Untold { event: event.name.to_owned(), why });
        }
        // What nobody hears is said again with the next heartbeat.
        self.publish(event.subject(lattice).into(), bytes).await;
    }

    /// Answers a request; where the answer is larger than may be, that is the answer.
    async fn answer(&self, to: async_nats::Subject, reply: &Json) {
        let mut bytes = reply.to_string().into_bytes();
        if let Err(why) = self.fits(bytes.len()) {
            bytes = refusal(&why).to_string().into_bytes();
        }
        // A connection that is lost loses its answers; whoever asked asks again.
        self.publish(to, bytes).await;
    }

    /// Whether NATS takes so many bytes at once.
    fn fits(&self, count: usize) -> Result<(), String> {
        let max = self.client.max_payload();
        if count <= max {
            return Ok(());
        }
        Err(format!("it has {count} bytes, and NATS takes {max} at once: raise the server's `max_payload`"))
    }

    /// Says something. Where the connection takes nothing in, nobody waits for it: there is else to do.
    async fn publish(&self, to: async_nats::Subject, bytes: Vec<u8>) {
        let _ = timeout(EXCHANGE, self.client.publish(to, bytes.into())).await;
    }

    fn tell_dropped(&self) {
        for (subject, count) in self.dropped.take() {
            (self.told)(State::Dropped { subject, count });
        }
    }
}

/// Lets requests wait, as many as there is room for; others are refused at once. An answer on a subject of the lattice's own would ask for
/// something in the name of this host: it is not given.
async fn let_in(mut come: Subscriber, inlet: Inlet, client: Client, reserved: Reserved) {
    let busy = refusal("this host has as many requests before it as it holds; ask again later").to_string();
    while let Some(mut message) = come.next().await {
        message.reply = message.reply.filter(|to| !reserved.holds(to));
        let Err(refused) = inlet.put(message) else { continue };
        if let Some(to) = refused.reply {
            // A connection that is lost loses its answers; whoever asked asks again.
            let _ = client.publish(to, busy.clone().into()).await;
        }
    }
}

fn refused(why: &str) -> Handled {
    Handled { reply: Some(refusal(why)), ..Handled::default() }
}

fn refusal(why: &str) -> Json {
    serde_json::json!({ "success": false, "message": why })
}

/// Writes a value: its revision; `None` where another host came first.
async fn put(store: &Store, write: &Write, bytes: Option<Vec<u8>>) -> Result<Option<u64>, String> {
    match (bytes, write.replaces) {
        (None, _) => store.delete(&write.key).await.map(|()| Some(0)).map_err(|error| error.to_string()),
        (Some(bytes), None) => {
            store.put(&write.key, bytes.into()).await.map(Some).map_err(|error| error.to_string())
        }
        (Some(bytes), Some(0)) => match store.create(&write.key, bytes.into()).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error.to_string()),
        },
        (Some(bytes), Some(revision)) => match store.update(&write.key, bytes.into(), revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Comes by the buckets of a lattice, makes those that are missing, and tells what they hold, now and later.
async fn keep_up((client, domain, lattice): (Client, Option<String>, String), news: UnboundedSender<News>) {
    let context = match domain {
        Some(domain) => jetstream::with_domain(client, domain),
        None => jetstream::new(client),
    };
    loop {
        let opened = timeout(Duration::from_secs(10), open(&context, &lattice)).await;
        let (data, config) = match opened {
            Ok(Ok(stores)) => stores,
            Ok(Err(why)) => {
                let _ = news.send(News::Absent(why));
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(_) => {
                let _ = news.send(News::Absent("it does not answer".to_owned()));
                continue;
            }
        };
        let followed = async {
            let mut of_data = watch(&data, Bucket::Data, &news).await?;
            let mut of_config = watch(&config, Bucket::Config, &news).await?;
            let _ = news.send(News::Ready(Box::new((data.clone(), config.clone()))));
            tokio::select! {
                () = follow(&mut of_data, Bucket::Data, &news) => {}
                () = follow(&mut of_config, Bucket::Config, &news) => {}
            }
            Ok::<_, String>(())
        };
        if let Err(why) = followed.await {
            let _ = news.send(News::Absent(why));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn open(context: &jetstream::Context, lattice: &str) -> Result<Stores, String> {
    let one = async |kind: &str| {
        let bucket = format!("{kind}_{lattice}");
        match context.get_key_value(&bucket).await {
            Ok(store) => Ok(store),
            Err(_) => {
                let made = kv::Config { bucket, history: 1, ..kv::Config::default() };
                context.create_key_value(made).await.map_err(|error| error.to_string())
            }
        }
    };
    Ok((one("LATTICEDATA").await?, one("CONFIGDATA").await?))
}

/// Tells all that a bucket holds, and goes on to watch it.
async fn watch(store: &Store, bucket: Bucket, news: &UnboundedSender<News>) -> Result<Watch, String> {
    let read = async {
        let held = store.status().await.map_err(|error| error.to_string())?.values();
        let mut watch = store.watch_with_history(">").await.map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        // The last of what there was has nothing behind it.
        let mut left = held > 0;
        while left {
            let entry = watch.next().await.ok_or_else(lost)?.map_err(|error| error.to_string())?;
            left = entry.delta > 0;
            all.push(read_entry(entry));
        }
        Ok::<_, String>((watch, all))
    };
    let (watch, all) = timeout(READING, read).await.map_err(|_| lost())??;
    let _ = news.send(News::All(bucket, all));
    Ok(watch)
}

fn lost() -> String {
    "it does not answer".to_owned()
}

fn read_entry(entry: kv::Entry) -> Entry {
    let value = (entry.operation == Operation::Put).then(|| entry.value.to_vec());
    let revision = if value.is_some() { entry.revision } else { 0 };
    Entry { key: entry.key, value, revision }
}

/// Tells what a bucket holds of late, until it cannot be followed any more.
async fn follow(watch: &mut Watch, bucket: Bucket, news: &UnboundedSender<News>) {
    while let Some(Ok(entry)) = watch.next().await {
        if news.send(News::Entry(bucket, read_entry(entry))).is_err() {
            return;
        }
    }
}
