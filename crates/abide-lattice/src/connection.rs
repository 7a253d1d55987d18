//! The connection to a lattice: NATS, and a thread that goes on with and without it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{self, Operation, Store};
use async_nats::{Client, ConnectOptions, Message, ServerAddr, Subscriber, jetstream};
use futures_util::StreamExt as _;
use futures_util::stream::SelectAll;
use nkeys::KeyPair;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle as Task;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::control::{Bucket, Control, Handled, Identity, Inventory, Write};
use crate::event::Event;
use crate::message::Component;
use crate::subject::Subject;

/// How often a host says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a host waits for what runs on it to be listed.
const LISTING: Duration = Duration::from_millis(1_500);
/// How long until it is listed again, where that failed.
const LIST_AGAIN: Duration = Duration::from_millis(250);
/// How long NATS may take at first until it is said that it does not answer.
const APART_AFTER: Duration = Duration::from_secs(1);
/// How long one exchange with JetStream may take: a client waits two seconds for its answer.
const EXCHANGE: Duration = Duration::from_millis(1_500);
/// How long until it is tried again to come by the buckets.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the last words of a host may take.
const FAREWELL: Duration = Duration::from_secs(1);
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

/// What runs on the host, and what may be asked of it. Its functions may wait, and are not called at once.
pub trait Guests: Send + Sync + 'static {
    /// What runs; `None` where that cannot be told now, as before the first tick.
    fn inventory(&self) -> Option<Inventory>;
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

impl Lattice {
    /// Joins a lattice as soon as it can, and again whenever it was lost. Told of each change of its state.
    ///
    /// # Errors
    /// When the options can never lead anywhere.
    pub fn join(
        identity: Identity,
        options: &Options,
        guests: Arc<dyn Guests>,
        told: impl Fn(State) + Send + 'static,
    ) -> Result<Self, StartError> {
        let leave = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (signals, connection) = unbounded_channel();
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
        let leaving = Arc::clone(&leave);
        let thread = thread::Builder::new().name("lattice".to_owned()).spawn(move || {
            let member = Member {
                control: Control::new(identity),
                client,
                prefix,
                domain,
                guests,
                began: Instant::now(),
                stores: None,
                told: Box::new(told),
                is_new: true,
                unanswered: Some(Instant::now()),
                unlisted: None,
                running: BTreeMap::new(),
            };
            runtime.block_on(member.run(connection, &leaving));
            // What still lists or waits is not waited for.
            runtime.shutdown_timeout(Duration::from_millis(100));
        })?;
        Ok(Self { leave, thread: Some(thread) })
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
    Ok(connect.require_tls(options.require_tls).retry_on_initial_connect().event_callback(move |event| {
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
    /// What a bucket holds.
    Entry { bucket: Bucket, key: String, value: Option<Vec<u8>>, revision: u64 },
}

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
    told: Box<dyn Fn(State) + Send>,
    /// Whether its start was not told yet.
    is_new: bool,
    /// Since when NATS has not answered, as long as that was not said.
    unanswered: Option<Instant>,
    /// When what runs was to be told and could not be listed.
    unlisted: Option<Instant>,
    /// What was told to run.
    running: BTreeMap<String, Component>,
}

impl Member {
    async fn run(mut self, mut connection: UnboundedReceiver<async_nats::Event>, leave: &AtomicBool) {
        let Ok(mut requests) = self.subscribe().await else { return };
        let (news, mut heard) = unbounded_channel();
        let mut buckets: Option<Task<()>> = None;
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        let mut look = interval(Duration::from_millis(50));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                        let of = (self.client.clone(), self.domain.clone(), self.control.identity().lattice.clone());
                        buckets = Some(tokio::spawn(keep_up(of, news.clone())));
                    }
                    async_nats::Event::Disconnected => {
                        buckets.take().into_iter().for_each(|task| task.abort());
                        self.stores = None;
                        self.unanswered = None;
                        (self.told)(State::Apart);
                    }
                    _ => {}
                },
                _ = look.tick() => {
                    if leave.load(Ordering::Relaxed) {
                        break;
                    }
                    self.look().await;
                }
                _ = beat.tick() => self.beat().await,
                Some(one) = heard.recv() => self.hear(one),
                Some(message) = requests.next() => self.request(message).await,
            }
        }
        buckets.into_iter().for_each(|task| task.abort());
        if self.is_connected() && !self.is_new {
            self.tell(&self.control.stopped()).await;
            let _ = timeout(FAREWELL, self.client.flush()).await;
        }
    }

    async fn subscribe(&self) -> Result<SelectAll<Subscriber>, async_nats::SubscribeError> {
        let Identity { id, lattice, .. } = self.control.identity();
        let mut all = SelectAll::new();
        for (subject, group) in Subject::subscriptions(&self.prefix, lattice, id) {
            all.push(match group {
                Some(group) => self.client.queue_subscribe(subject, group).await?,
                None => self.client.subscribe(subject).await?,
            });
        }
        Ok(all)
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Ready(stores) => {
                // All that they hold is told anew, and what was deleted meanwhile is not.
                self.control.forget();
                self.stores = Some(*stores);
                (self.told)(State::Ready);
            }
            News::Absent(why) => {
                self.stores = None;
                (self.told)(State::WithoutJetStream(why));
            }
            News::Entry { bucket, key, value, revision } => {
                self.control.learn(bucket, &key, value.as_deref(), revision);
            }
        }
    }

    async fn request(&mut self, message: Message) {
        let Some(subject) = Subject::read(&self.prefix, &self.control.identity().lattice, &message.subject)
        else {
            return;
        };
        let inventory = match subject {
            Subject::Inventory(_) => self.listed().await.unwrap_or_else(|| self.last_listed()),
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
        if let (Some(to), Some(reply)) = (message.reply, handled.reply) {
            // A connection that is lost loses its answers; whoever asked asks again.
            let _ = self.client.publish(to, reply.to_string().into()).await;
        }
        for event in &handled.events {
            self.tell(event).await;
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
        let exchanged = timeout(EXCHANGE, put(&store, write, bytes.clone())).await;
        match exchanged.map_err(|_| without())?? {
            Some(revision) => {
                self.control.learn(write.bucket, &write.key, bytes.as_deref(), revision);
                Ok(true)
            }
            None => {
                let entry = timeout(EXCHANGE, store.entry(&write.key)).await.map_err(|_| without())?;
                let entry = entry.map_err(|error| error.to_string())?;
                let (value, revision) = match &entry {
                    Some(entry) if entry.operation == Operation::Put => (Some(&*entry.value), entry.revision),
                    _ => (None, 0),
                };
                self.control.learn(write.bucket, &write.key, value, revision);
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
        let listed = timeout(LISTING, tokio::task::spawn_blocking(move || guests.inventory())).await;
        let inventory = listed.ok()?.ok()??;
        Some(Inventory { uptime: self.uptime(), ..inventory })
    }

    /// What ran when it was last listed.
    fn last_listed(&self) -> Inventory {
        let components = self.running.values().cloned().collect();
        Inventory { components, uptime: self.uptime(), ..Inventory::default() }
    }

    fn uptime(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    async fn tell(&self, event: &Event) {
        let Identity { id, lattice, .. } = self.control.identity();
        let envelope =
            event.envelope(id, &uuid::Uuid::new_v4().to_string(), &jiff::Timestamp::now().to_string());
        // What nobody hears is said again with the next heartbeat.
        let _ = self.client.publish(event.subject(lattice), envelope.to_string().into()).await;
    }
}

fn refused(why: &str) -> Handled {
    let reply = serde_json::json!({ "success": false, "message": why });
    Handled { reply: Some(reply), ..Handled::default() }
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
        let _ = news.send(News::Ready(Box::new((data.clone(), config.clone()))));
        tokio::select! {
            () = follow(&data, Bucket::Data, &news) => {}
            () = follow(&config, Bucket::Config, &news) => {}
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

/// Tells what a bucket holds, until it cannot be followed any more.
async fn follow(store: &Store, bucket: Bucket, news: &UnboundedSender<News>) {
    let Ok(mut entries) = store.watch_with_history(">").await else { return };
    while let Some(Ok(entry)) = entries.next().await {
        let value = (entry.operation == Operation::Put).then(|| entry.value.to_vec());
        let revision = if value.is_some() { entry.revision } else { 0 };
        if news.send(News::Entry { bucket, key: entry.key, value, revision }).is_err() {
            return;
        }
    }
}
