//! Calls between hosts: what runs here is served to others, and what does not run here is called where it does.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component as Compiled, Val};

use super::call::Reach;
use super::components::Inner;
use super::linked::is_data;
use super::messaging::{Later, Subscription};
use super::running::{Failed, Running};
use super::wrpc;

/// How long a component that is put waits for its functions to be served.
const SERVING: Duration = Duration::from_secs(1);

/// A call of a function that a component exports.
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
    /// In the value encoding of the component model.
    pub parameters: Vec<u8>,
    /// How long whoever calls waits.
    pub limit: Duration,
}

/// A function that others may call.
#[derive(Clone)]
pub struct Served<'a> {
    /// Whose it is.
    pub component: &'a str,
    /// With its version; empty for a function of no interface.
    pub interface: &'a str,
    /// The function.
    pub function: &'a str,
    /// Whether bytes are all of the parameters: they may come in parts.
    pub is_whole: IsWhole,
    /// Takes parameters and gives results, or says why there are none.
    pub handler: Handler,
}

/// Tells whether bytes are all of the parameters.
pub type IsWhole = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;
/// Takes a call.
pub type Handler = Arc<dyn Fn(Vec<u8>) -> Later<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// What carries calls to other hosts and from them.
pub trait Remote: Send + Sync + 'static {
    /// Calls a function wherever it is served; its results.
    fn invoke<'a>(&'a self, invocation: Invocation<'a>) -> Later<'a, Result<Vec<u8>, String>>;
    /// Has calls of a function handled. Hosts that serve the same share its calls.
    fn serve<'a>(&'a self, served: Served<'a>) -> Later<'a, Result<Subscription, String>>;
}

/// The types that a function takes and gives.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) parameters: Arc<[Type]>,
    pub(crate) results: Arc<[Type]>,
}

impl Signature {
    /// That of a function, where nothing of it is a handle.
    pub(crate) fn of(function: &ComponentFunc) -> Option<Self> {
        let parameters: Arc<[Type]> = function.params().map(|(_, ty)| ty).collect();
        let results: Arc<[Type]> = function.results().collect();
        parameters.iter().chain(results.iter()).all(is_data).then_some(Self { parameters, results })
    }
}

/// A function that a component exports and that others may call.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) interface: String,
    pub(crate) function: String,
    pub(crate) signature: Signature,
}

impl Export {
    fn names(&self) -> (&str, &str) {
        (&self.interface, &self.function)
    }
}

/// What a component exports that others may call.
pub(crate) fn exports(engine: &Engine, compiled: &Compiled) -> Vec<Export> {
    let export = |interface: &str, function: &str, found: &ComponentFunc| {
        // What belongs to a handle has its kind in brackets before its name.
        let signature = Signature::of(found).filter(|_| !function.starts_with('['))?;
        Some(Export { interface: interface.to_owned(), function: function.to_owned(), signature })
    };
    let mut exports = Vec::new();
    for (name, found) in compiled.component_type().exports(engine) {
        match found.ty {
            ComponentItem::ComponentFunc(function) => exports.extend(export("", name, &function)),
            ComponentItem::ComponentInstance(instance) => {
                exports.extend(instance.exports(engine).filter_map(|(item, found)| match found.ty {
                    ComponentItem::ComponentFunc(function) => export(name, item, &function),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    exports
}

/// Calls a component that does not run here.
pub(crate) async fn call(
    remote: &dyn Remote,
    reach: &Reach,
    target: &str,
    (link, interface, function): (&str, &str, &str),
    signature: &Signature,
    arguments: &[Val],
    results: &mut [Val],
) -> Result<(), String> {
    let failed = |why: String| format!("`{interface}#{function}` of `{target}`: {why}");
    let parameters = wrpc::encode(arguments, &signature.parameters).map_err(|why| failed(why.to_string()))?;
    let invocation = Invocation {
        target,
        interface,
        function,
        source: &reach.component.id,
        link,
        parameters,
        limit: reach.caller.until.saturating_duration_since(Instant::now()),
    };
    let answered = remote.invoke(invocation).await.map_err(&failed)?;
    let values = wrpc::decode(&answered, &signature.results)
        .map_err(|why| failed(format!("it did not answer as it should: {why}")))?;
    // As many as there are types, and the engine gave as many places.
    results.iter_mut().zip(values).for_each(|(result, value)| *result = value);
    Ok(())
}

/// What of a component is served, as long as this is there. Calls that were taken before it goes are still answered.
#[derive(Debug)]
pub(crate) struct Serving {
    names: Vec<(String, String)>,
    now: Now,
    task: JoinHandle<()>,
}

/// How the component runs of late.
type Now = Arc<RwLock<Arc<Running>>>;

fn running(now: &Now) -> Arc<Running> {
    Arc::clone(&now.read().unwrap_or_else(PoisonError::into_inner))
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Serving {
    /// Serves what a component exports, which may take a moment: then there is something to wait for.
    pub(crate) fn begin(
        runtime: &Handle,
        inner: &Arc<Inner>,
        running: &Arc<Running>,
    ) -> (Self, Receiver<()>) {
        let exports = Arc::clone(&running.image.exports);
        let names =
            exports.iter().map(|export| (export.interface.clone(), export.function.clone())).collect();
        let now = Arc::new(RwLock::new(Arc::clone(running)));
        let (ready, wait) = sync_channel(1);
        let (inner, id, served) = (Arc::clone(inner), running.id.clone(), Arc::clone(&now));
        let task = runtime.spawn(async move {
            let Some(remote) = inner.ports.remote.as_deref() else { return };
            let mut held = Vec::with_capacity(exports.len());
            for export in exports.iter() {
                match remote.serve(function(&inner, &served, &id, export)).await {
                    Ok(subscription) => held.push(subscription),
                    Err(why) => inner.tell(&format!(
                        "component `{id}`: `{}#{}` cannot be served to other hosts: {why}",
                        export.interface, export.function
                    )),
                }
            }
            let _ = ready.send(());
            std::future::pending::<()>().await;
        });
        (Self { names, now, task }, wait)
    }

    /// Serves what a component exports of late, where these are the same functions.
    pub(crate) fn go_on(&self, running: &Arc<Running>) -> bool {
        let names = self.names.iter().map(|(interface, function)| (&**interface, &**function));
        let is_same = names.eq(running.image.exports.iter().map(Export::names));
        if is_same {
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(running);
        }
        is_same
    }

    /// Waits until all is served, where that comes soon.
    pub(crate) fn wait(ready: &Receiver<()>) {
        // What comes later comes all the same.
        let _ = ready.recv_timeout(SERVING);
    }
}

/// A function of whichever image of the component runs when it is called.
fn function<'a>(inner: &Arc<Inner>, now: &Now, id: &'a str, export: &'a Export) -> Served<'a> {
    let names = (export.interface.clone(), export.function.clone());
    let (of, asked) = (Arc::clone(now), names.clone());
    let (inner, now) = (Arc::clone(inner), Arc::clone(now));
    Served {
        component: id,
        interface: &export.interface,
        function: &export.function,
        is_whole: Arc::new(move |bytes| match running(&of).image.export(&asked.0, &asked.1) {
            Some(export) => wrpc::decode(bytes, &export.signature.parameters).is_ok(),
            None => false,
        }),
        handler: Arc::new(move |parameters| {
            let (inner, running, (interface, function)) = (Arc::clone(&inner), running(&now), names.clone());
            Box::pin(async move {
                let answered = running.invoked(&inner, &interface, &function, parameters).await;
                answered.map_err(|failed| {
                    let why = failed.to_string();
                    // What others send wrong is for them to know.
                    if !matches!(failed, Failed::Parameters { .. }) {
                        inner.tell(&why);
                    }
                    why
                })
            })
        }),
    }
}
