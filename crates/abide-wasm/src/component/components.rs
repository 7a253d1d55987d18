//! All that runs on a host: components, providers, links and configuration, and what keeps them in step.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use wasmtime::Engine;

use super::blobstore::Blobs;
use super::engine::{Machine, Shared};
use super::gate::Gate;
use super::http_client::{self, Client};
use super::http_server::{self, Listener, Routes};
use super::keyvalue::KeyValues;
use super::link::Directory;
use super::messaging::{Delivery, Message, Messaging, NotSent, Subscription};
use super::objects::{Granted, Objects};
use super::remote::{Remote, Serving};
use super::running::{Failed, Image, Running, Spec};
use crate::link::{Config, Link};
use crate::provider::{Builtin, Provider};

/// How long until what could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the end of what is at hand is waited for when the host ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// The interface over which a provider delivers messages.
const HANDLER: &str = "wasmcloud:messaging/handler";

/// How components run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where compiled components are kept, as for acts.
    pub cache: Option<PathBuf>,
    /// Most instances at once, of all components.
    pub instances: u32,
    /// What the folders of `blobstore` providers are in that name none.
    pub blobs: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache: None, instances: 1_000, blobs: "blobstore".into() }
    }
}

/// What lies behind the capabilities.
pub struct Ports {
    /// Values by key.
    pub keyvalue: Box<dyn KeyValues>,
    /// Messages.
    pub messaging: Box<dyn Messaging>,
    /// The host's objects.
    pub objects: Box<dyn Objects>,
    /// Calls between hosts, where there are others.
    pub remote: Option<Box<dyn Remote>>,
    /// Takes what is to be told: a line at a time.
    pub told: Box<dyn Fn(&str) + Send + Sync>,
}

/// Why a component does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartFailed {
    /// Its image is of no use here; why.
    #[error("`{reference}` cannot run here: {why}")]
    Image {
        /// Where the image came from.
        reference: String,
        /// All that is wrong with it.
        why: String,
    },
    /// It names configuration that there is not.
    #[error("there is no configuration {}", .0.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    Config(Vec<String>),
}

/// What runs, for whoever calls.
pub(crate) struct Inner {
    pub(crate) machine: Shared,
    pub(crate) ports: Ports,
    pub(crate) blobs: Blobs,
    directory: RwLock<Directory>,
    components: RwLock<BTreeMap<String, Arc<Running>>>,
    providers: RwLock<BTreeMap<String, Arc<Provider>>>,
    /// Said when something changed that providers go by.
    changed: Notify,
    client: OnceLock<Result<Client, String>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("components", &self.components)
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn provider(&self, id: &str) -> Option<Arc<Provider>> {
        self.providers.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The component of an id.
    pub(crate) fn component(&self, id: &str) -> Result<Arc<Running>, Failed> {
        let components = self.components.read().unwrap_or_else(PoisonError::into_inner);
        components.get(id).cloned().ok_or_else(|| Failed::NotRunning(id.to_owned()))
    }

    pub(crate) fn http_client(&self) -> Result<Client, String> {
        self.client.get_or_init(http_client::client).clone()
    }

    pub(crate) fn tell(&self, what: &str) {
        (self.ports.told)(what);
    }
}

/// The components and the builtin providers of a host. What runs ends when this is dropped.
#[derive(Debug)]
pub struct Components {
    inner: Arc<Inner>,
    runtime: Option<Runtime>,
    handle: Handle,
    /// One change of what runs at a time.
    changing: Mutex<()>,
    /// What of each component others may call.
    served: Mutex<BTreeMap<String, Serving>>,
}

impl Components {
    /// Sets an engine and a runtime up.
    ///
    /// # Errors
    /// When the system gives no thread or no address space, or the folder of the cache cannot be made.
    pub fn new(options: &Options, ports: Ports) -> io::Result<Self> {
        let machine = Arc::new(Machine::new(options.cache.clone(), options.instances)?);
        let runtime = Builder::new_multi_thread().enable_all().thread_name("components").build()?;
        let inner = Arc::new(Inner {
            machine,
            ports,
            blobs: Blobs::new(options.blobs.clone()),
            directory: RwLock::default(),
            components: RwLock::default(),
            providers: RwLock::default(),
            changed: Notify::new(),
            client: OnceLock::new(),
        });
        runtime.spawn(keep(Arc::clone(&inner)));
        let handle = runtime.handle().clone();
        Ok(Self { inner, runtime: Some(runtime), handle, changing: Mutex::new(()), served: Mutex::default() })
    }

    /// Runs a component, or puts a new image in the place of the one that runs: calls at hand end in the old one, and none is lost.
    ///
    /// # Errors
    /// When the image cannot run, or names configuration that there is not; what ran runs on.
    pub fn put(&self, spec: Spec, wasm: &[u8]) -> Result<(), StartFailed> {
        self.check(&spec)?;
        let image = Image::load(&self.inner.machine, wasm)
            .map_err(|why| StartFailed::Image { reference: spec.reference.clone(), why })?;
        let _changing = self.changing();
        let gate = match self.inner.component(&spec.id) {
            Ok(running) => Arc::clone(&running.gate),
            Err(_) => Gate::new(spec.max_instances),
        };
        self.place(Running::new(spec, Arc::new(image), gate));
        Ok(())
    }

    /// Changes how a component runs that runs, with the image that it has.
    ///
    /// # Errors
    /// When it names configuration that there is not.
    pub fn change(&self, spec: Spec) -> Result<(), StartFailed> {
        self.check(&spec)?;
        let _changing = self.changing();
        if let Ok(running) = self.inner.component(&spec.id) {
            self.place(Running::new(spec, Arc::clone(&running.image), Arc::clone(&running.gate)));
        }
        Ok(())
    }

    fn check(&self, spec: &Spec) -> Result<(), StartFailed> {
        let directory = self.inner.directory();
        let missing = directory.missing(&spec.config);
        if missing.is_empty() {
            return Ok(());
        }
        Err(StartFailed::Config(missing.into_iter().map(ToOwned::to_owned).collect()))
    }

    fn place(&self, running: Running) {
        let running = Arc::new(running);
        let mut components = self.inner.components.write().unwrap_or_else(PoisonError::into_inner);
        components.insert(running.id.clone(), Arc::clone(&running));
        drop(components);
        self.serve(&running);
    }

    /// Lets other hosts call what a component exports.
    fn serve(&self, running: &Arc<Running>) {
        if self.inner.ports.remote.is_none() {
            return;
        }
        if self.served().get(&running.id).is_some_and(|serving| serving.go_on(running)) {
            return;
        }
        let (serving, ready) = Serving::begin(&self.handle, &self.inner, running);
        Serving::wait(&ready);
        // What was served before is given up after that, so that no call is lost.
        self.served().insert(running.id.clone(), serving);
    }

    fn served(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Serving>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a component away; its calls at hand go on to their end.
    pub fn stop(&self, id: &str) -> Option<Arc<Running>> {
        let _changing = self.changing();
        self.served().remove(id);
        self.inner.components.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// A component that runs.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Running>> {
        self.inner.component(id).ok()
    }

    /// The components that run, by their ids.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Running>> {
        self.inner.components.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Starts a provider, in the place of one of the same id.
    ///
    /// # Errors
    /// When it names configuration that there is not, or its configuration is of no use.
    pub fn start_provider(&self, provider: Provider) -> Result<(), String> {
        {
            let directory = self.inner.directory();
            let missing = directory.missing(&provider.config);
            if !missing.is_empty() {
                let missing = missing.into_iter().map(ToOwned::to_owned).collect();
                return Err(StartFailed::Config(missing).to_string());
            }
            if provider.builtin == Builtin::HttpServer {
                let (_, problems) = http_server::plan(&directory.merged(&provider.config), &[]);
                if !problems.is_empty() {
                    return Err(problems.join("; "));
                }
            }
            if provider.builtin == Builtin::KeyValue {
                let config = directory.merged(&provider.config);
                self.inner.ports.keyvalue.check(&provider.reference, &config)?;
            }
            if provider.builtin == Builtin::Blobstore {
                self.inner.blobs.place(&provider.id, &directory.merged(&provider.config))?;
            }
        }
        let mut providers = self.inner.providers.write().unwrap_or_else(PoisonError::into_inner);
        providers.insert(provider.id.clone(), Arc::new(provider));
        drop(providers);
        self.inner.changed.notify_one();
        Ok(())
    }

    /// Stops a provider.
    pub fn stop_provider(&self, id: &str) -> Option<Arc<Provider>> {
        let stopped = self.inner.providers.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.inner.changed.notify_one();
        stopped
    }

    /// The providers that run, by their ids.
    #[must_use]
    pub fn providers(&self) -> Vec<Arc<Provider>> {
        self.inner.providers.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Sets the links and the configuration that the host is started with, which no lattice changes.
    pub fn fix(&self, links: Vec<Link>, config: BTreeMap<String, Config>) {
        self.inner.directory.write().unwrap_or_else(PoisonError::into_inner).fix(links, config);
        self.inner.changed.notify_one();
    }

    /// Sets the links from a source, in place of those before. They count from the next call.
    pub fn set_links(&self, source: &str, links: Vec<Link>) {
        self.inner.directory.write().unwrap_or_else(PoisonError::into_inner).set_links(source, links);
        self.inner.changed.notify_one();
    }

    /// Sets a named configuration, or takes it away.
    pub fn set_config(&self, name: &str, config: Option<Config>) {
        self.inner.directory.write().unwrap_or_else(PoisonError::into_inner).set_config(name, config);
        self.inner.changed.notify_one();
    }

    /// Has messages of a subject delivered to the host itself.
    ///
    /// # Errors
    /// When the subject is none.
    pub fn subscribe(
        &self,
        subject: &str,
        group: Option<&str>,
        delivery: Delivery,
    ) -> Result<Subscription, String> {
        let config = Config::new();
        self.wait(self.inner.ports.messaging.subscribe(&config, subject, group, delivery))
    }

    /// Sends a message of the host's own, and waits until it is with the broker.
    ///
    /// # Errors
    /// When the broker does not take it within the limit, or never will.
    pub fn publish(&self, message: Message, limit: Duration) -> Result<(), NotSent> {
        let messaging = &self.inner.ports.messaging;
        let config = Config::new();
        let sent = async {
            messaging.publish(&config, message).await?;
            messaging.flush().await
        };
        let late = || NotSent::now(format!("the broker did not take it within {} ms", limit.as_millis()));
        self.wait(async { timeout(limit, sent).await.unwrap_or_else(|_| Err(late())) })
    }

    /// Sends a message of the host's own, and waits for an answer.
    ///
    /// # Errors
    /// When nobody answers within the limit, or as for `publish`.
    pub fn request(&self, message: Message, limit: Duration) -> Result<Message, NotSent> {
        let config = Config::new();
        self.wait(self.inner.ports.messaging.request(&config, message, limit))
    }

    /// Which objects components are linked to.
    #[must_use]
    pub fn granted(&self) -> Granted {
        Granted(Arc::clone(&self.inner))
    }

    /// Waits for something of the runtime's. Not to be called on one of its own threads.
    pub fn wait<T>(&self, later: impl Future<Output = T>) -> T {
        self.handle.block_on(later)
    }

    /// The engine, for benchmarks that compare with it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.machine.engine
    }

    fn changing(&self) -> std::sync::MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Components {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(FAREWELL);
        }
    }
}

/// What providers have open.
#[derive(Default)]
struct Open {
    listeners: BTreeMap<SocketAddr, (Routes, Listener)>,
    subscriptions: BTreeMap<Wanted, Subscription>,
    /// What was told to be wrong, so that it is told once.
    problems: Vec<String>,
}

/// A subscription that a link asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    component: String,
    subject: String,
    group: Option<String>,
    config: Config,
}

/// Keeps what providers have open in step with links and configuration.
async fn keep(inner: Arc<Inner>) {
    let mut open = Open::default();
    loop {
        let problems = settle(&inner, &mut open).await;
        problems.iter().filter(|one| !open.problems.contains(one)).for_each(|one| inner.tell(one));
        let again = !problems.is_empty();
        open.problems = problems;
        if again {
            let _ = timeout(AGAIN, inner.changed.notified()).await;
        } else {
            inner.changed.notified().await;
        }
        // Changes come many at a time.
        sleep(Duration::from_millis(5)).await;
    }
}

async fn settle(inner: &Arc<Inner>, open: &mut Open) -> Vec<String> {
    let mut problems = Vec::new();
    let mut routes = BTreeMap::new();
    let mut wanted = Vec::new();
    let providers: Vec<Arc<Provider>> =
        inner.providers.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    for provider in providers.iter().filter(|provider| provider.builtin.calls()) {
        let (config, links) = {
            let directory = inner.directory();
            let own = |link: &Link| (link.clone(), directory.merged(&link.source_config));
            (directory.merged(&provider.config), directory.links(&provider.id).map(own).collect::<Vec<_>>())
        };
        match provider.builtin {
            Builtin::HttpServer => {
                let (plan, wrong) = http_server::plan(&config, &links);
                problems
                    .extend(wrong.into_iter().map(|what| format!("http-server `{}`: {what}", provider.id)));
                for (address, to) in plan {
                    match routes.entry(address) {
                        Entry::Vacant(free) => drop(free.insert((provider.id.clone(), to))),
                        Entry::Occupied(_) => problems
                            .push(format!("http-server `{}`: another server has {address}", provider.id)),
                    }
                }
            }
            _ => wanted.extend(links.iter().flat_map(|(link, own)| subscriptions(&config, link, own))),
        }
    }
    let gone: Vec<SocketAddr> =
        open.listeners.keys().filter(|address| !routes.contains_key(address)).copied().collect();
    for address in gone {
        if let Some((_, listener)) = open.listeners.remove(&address) {
            listener.close().await;
        }
    }
    for (address, (provider, to)) in routes {
        match open.listeners.get_mut(&address) {
            Some((now, _)) if *now == to => {}
            Some((now, listener)) => {
                listener.route(to.clone());
                *now = to;
            }
            None => match Listener::open(inner, address, to.clone()).await {
                Ok(listener) => {
                    inner.tell(&format!("http-server `{provider}`: listens on http://{address}"));
                    open.listeners.insert(address, (to, listener));
                }
                Err(error) => {
                    problems.push(format!("http-server `{provider}`: {address} is not to be had: {error}"));
                }
            },
        }
    }
    open.subscriptions.retain(|one, _| wanted.contains(one));
    for one in wanted.into_iter().filter(|one| !open.subscriptions.contains_key(one)).collect::<Vec<_>>() {
        let delivery = delivery(inner, &one.component);
        match inner.ports.messaging.subscribe(&one.config, &one.subject, one.group.as_deref(), delivery).await
        {
            Ok(subscription) => drop(open.subscriptions.insert(one, subscription)),
            Err(why) => problems.push(format!("messages of `{}` cannot be had: {why}", one.subject)),
        }
    }
    problems
}

/// The subjects that a link asks for: `SUBJECT` and `SUBJECT|GROUP`, with commas between.
fn subscriptions(config: &Config, link: &Link, own: &Config) -> Vec<Wanted> {
    if !link.is_for(HANDLER) {
        return Vec::new();
    }
    let mut merged = config.clone();
    merged.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    let subjects = merged.remove("subscriptions").unwrap_or_default();
    let subjects = subjects.split(',').map(str::trim).filter(|subject| !subject.is_empty());
    let wanted = subjects.map(|subject| {
        let (subject, group) = match subject.split_once('|') {
            Some((subject, group)) => (subject.trim(), Some(group.trim().to_owned())),
            None => (subject, None),
        };
        Wanted { component: link.target.clone(), subject: subject.to_owned(), group, config: merged.clone() }
    });
    wanted.collect()
}

/// Has a component take a message. It returns when the component has.
fn delivery(inner: &Arc<Inner>, component: &str) -> Delivery {
    let (inner, id) = (Arc::clone(inner), component.to_owned());
    Arc::new(move |message| {
        let (inner, id) = (Arc::clone(&inner), id.clone());
        Box::pin(async move {
            let handled = match inner.component(&id) {
                Ok(component) => component.receive(Arc::clone(&inner), message).await,
                Err(failed) => Err(failed),
            };
            if let Err(failed) = handled {
                inner.tell(&failed.to_string());
            }
        })
    })
}
