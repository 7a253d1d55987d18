//! A component that runs: its image, how much of it runs at once, and calls of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use hyper::body::Body;
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use wasmtime::component::{InstancePre, Val};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::bindings::handlers::HandlersPre;
use super::bindings::handlers::exports::wasmcloud::messaging::handler::BrokerMessage;
use super::call::{Call, Caller};
use super::components::Inner;
use super::engine::{MEMORY_MAX, Machine};
use super::gate::{Gate, Pass};
use super::linked;
use super::messaging::Message;
use super::remote::{Export, Signature, exports};
use super::wrpc;

const HTTP: &str = "wasi:http/incoming-handler";
const MESSAGES: &str = "wasmcloud:messaging/handler";

/// What a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a linear memory; at most 4 GiB.
    pub memory: u64,
    /// Most time from the call's arrival to its end.
    pub time: Duration,
}

impl Default for Limits {
    /// Those of a host of wasmCloud's: 256 MiB and ten minutes.
    fn default() -> Self {
        Self { memory: 256 << 20, time: Duration::from_secs(600) }
    }
}

/// What is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its id, which links name.
    pub id: String,
    /// Where its image came from.
    pub reference: String,
    /// Most calls of it at once.
    pub max_instances: u32,
    /// What a call may take.
    pub limits: Limits,
    /// Named configuration.
    pub config: Vec<String>,
    /// What was said of it when it was started.
    pub annotations: BTreeMap<String, String>,
}

/// A component that runs.
#[derive(Debug)]
pub struct Running {
    spec: Spec,
    pub(crate) image: Arc<Image>,
    pub(crate) gate: Arc<Gate>,
}

impl std::ops::Deref for Running {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// There is no such component here.
    #[error("component `{0}` does not run on this host")]
    NotRunning(String),
    /// It has no such export.
    #[error("component `{component}` exports no `{interface}`")]
    NoExport {
        /// Which component.
        component: String,
        /// Which interface.
        interface: String,
    },
    /// As many of its calls run as may, and none ended in time.
    #[error("component `{0}` has as many calls at hand as it may have, and none ended in time")]
    Busy(String),
    /// The host has no room.
    #[error("the host runs as many instances as it can hold")]
    Full,
    /// It took too long.
    #[error("component `{component}` did not end within {} ms", limit.as_millis())]
    Overdue {
        /// Which component.
        component: String,
        /// How long it may take.
        limit: Duration,
    },
    /// Components call each other without end.
    #[error("components call each other more than {0} deep")]
    TooDeep(u32),
    /// It trapped.
    #[error("component `{component}` failed: {why}")]
    Trapped {
        /// Which component.
        component: String,
        /// Why.
        why: String,
    },
    /// What it was called with is not what it takes.
    #[error("component `{component}` was called with parameters that it does not take: {why}")]
    Parameters {
        /// Which component.
        component: String,
        /// What is wrong with them.
        why: String,
    },
    /// What it answered is an error.
    #[error("component `{component}` answered with an error: {why}")]
    Refused {
        /// Which component.
        component: String,
        /// What it said.
        why: String,
    },
}

/// A component, compiled and linked.
pub(crate) struct Image {
    pub(crate) pre: InstancePre<Call>,
    http: Option<ProxyPre<Call>>,
    messages: Option<HandlersPre<Call>>,
    /// What others may call.
    pub(crate) exports: Arc<[Export]>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").finish_non_exhaustive()
    }
}

impl Image {
    /// Compiles a component and gives it what it imports.
    ///
    /// # Errors
    /// All that it imports and is not to be had, or why it does not compile.
    pub(crate) fn load(machine: &Machine, wasm: &[u8]) -> Result<Self, String> {
        let is_component = wasm.get(..8).is_some_and(|start| start == b"\0asm\x0d\0\x01\0");
        if !is_component {
            return Err("it is no WebAssembly component: build it for `wasm32-wasip2`, or make a module one with `wasm-tools component new`".to_owned());
        }
        let compiled = machine.compile(wasm).map_err(|error| format!("it does not compile: {error:#}"))?;
        let linker = linked::linker(&machine.engine, &compiled)?;
        let pre = linker.instantiate_pre(&compiled).map_err(|error| {
            format!("it imports what this host does not have as it is asked for: {error:#}")
        })?;
        let http = ProxyPre::new(pre.clone()).ok();
        let messages = HandlersPre::new(pre.clone()).ok();
        let exports = exports(&machine.engine, &compiled).into();
        Ok(Self { pre, http, messages, exports })
    }

    /// A function that others may call.
    pub(crate) fn export(&self, interface: &str, function: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.interface == interface && export.function == function)
    }
}

impl Running {
    pub(crate) fn new(mut spec: Spec, image: Arc<Image>, gate: Arc<Gate>) -> Self {
        spec.limits.memory = spec.limits.memory.min(MEMORY_MAX);
        gate.resize(spec.max_instances);
        Self { spec, image, gate }
    }

    /// Until when a call that comes now may take.
    fn until(&self) -> Instant {
        Instant::now() + self.limits.time
    }

    async fn enter(&self, until: Instant) -> Result<Pass, Failed> {
        timeout_at(until.into(), self.gate.enter()).await.map_err(|_| Failed::Busy(self.id.clone()))
    }

    fn no_export(&self, interface: &str) -> Failed {
        Failed::NoExport { component: self.id.clone(), interface: interface.to_owned() }
    }

    fn failed(&self, error: &wasmtime::Error) -> Failed {
        if error.is::<PoolConcurrencyLimitError>() {
            return Failed::Full;
        }
        let component = self.id.clone();
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Failed::Overdue { component, limit: self.limits.time },
            _ => Failed::Trapped { component, why: error.root_cause().to_string() },
        }
    }

    /// What comes of a call that ends in time.
    async fn ends<T>(
        &self,
        until: Instant,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, Failed> {
        let overdue = || Failed::Overdue { component: self.id.clone(), limit: self.limits.time };
        match timeout_at(until.into(), call).await {
            Ok(Ok(done)) => Ok(done),
            // Whom it called ends when it does, and is not to blame.
            Ok(Err(_)) if Instant::now() >= until => Err(overdue()),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(overdue()),
        }
    }

    /// Answers an HTTP request. The answer's body may go on after its head.
    pub(crate) async fn http<B>(
        self: Arc<Self>,
        host: Arc<Inner>,
        request: Request<B>,
    ) -> Result<http::Response<HyperOutgoingBody>, Failed>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<wasmtime_wasi_http::Error>,
    {
        let until = self.until();
        let pre = self.image.http.clone().ok_or_else(|| self.no_export(HTTP))?;
        let pass = self.enter(until).await?;
        let mut store = Call::store(&host, &self, Caller { depth: 0, until })?;
        let (sender, receiver) = oneshot::channel();
        let mut http = store.data_mut().http();
        let request =
            http.new_incoming_request(Scheme::Http, request).map_err(|error| self.failed(&error))?;
        let out = http.new_response_outparam(sender).map_err(|error| self.failed(&error))?;
        let running = Arc::clone(&self);
        let task = tokio::spawn(async move {
            let call = async {
                let proxy = pre.instantiate_async(&mut store).await?;
                proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
            };
            let ended = running.ends(until, call).await;
            drop(store);
            drop(pass);
            ended
        });
        match receiver.await {
            Ok(Ok(response)) => {
                // What fails now cannot be answered any more.
                tokio::spawn(async move {
                    if let Ok(Err(failed)) = task.await {
                        host.tell(&format!("{failed}, after it had begun to answer"));
                    }
                });
                Ok(response)
            }
            Ok(Err(code)) => Err(Failed::Refused { component: self.id.clone(), why: format!("{code:?}") }),
            Err(_) => Err(match task.await {
                Ok(Err(failed)) => failed,
                _ => Failed::Refused { component: self.id.clone(), why: "it gave no answer".to_owned() },
            }),
        }
    }

    /// Takes a message as soon as there is room for it, and handles it beside whoever brought it.
    pub(crate) async fn receive(self: Arc<Self>, host: Arc<Inner>, message: Message) -> Result<(), Failed> {
        let until = self.until();
        let pass = self.enter(until).await?;
        tokio::spawn(async move {
            if let Err(failed) = self.message(&host, until, message).await {
                host.tell(&failed.to_string());
            }
            drop(pass);
        });
        Ok(())
    }

    async fn message(
        self: &Arc<Self>,
        host: &Arc<Inner>,
        until: Instant,
        message: Message,
    ) -> Result<(), Failed> {
        let pre = self.image.messages.clone().ok_or_else(|| self.no_export(MESSAGES))?;
        let mut store = Call::store(host, self, Caller { depth: 0, until })?;
        let message =
            BrokerMessage { subject: message.subject, body: message.body, reply_to: message.reply_to };
        let call = async {
            let handlers = pre.instantiate_async(&mut store).await?;
            handlers.wasmcloud_messaging_handler().call_handle_message(&mut store, &message).await
        };
        let answered = self.ends(until, call).await?;
        answered.map_err(|why| Failed::Refused { component: self.id.clone(), why })
    }

    /// Calls a function that it exports, from another component.
    pub(crate) async fn function(
        self: Arc<Self>,
        host: &Arc<Inner>,
        caller: &Caller,
        interface: &str,
        name: &str,
        arguments: &[Val],
        results: &mut [Val],
    ) -> Result<(), Failed> {
        let until = self.until().min(caller.until);
        let _pass = self.enter(until).await?;
        let caller = Caller { depth: caller.depth + 1, until };
        self.within(host, caller, (interface, name), arguments, results).await
    }

    /// Calls a function that it exports, from another host. What comes is read when there is room for the call.
    pub(crate) async fn invoked(
        self: Arc<Self>,
        host: &Arc<Inner>,
        interface: &str,
        name: &str,
        parameters: Vec<u8>,
    ) -> Result<Vec<u8>, Failed> {
        let until = self.until();
        let export = self
            .image
            .export(interface, name)
            .ok_or_else(|| self.no_export(&format!("{interface}#{name}")))?;
        let _pass = self.enter(until).await?;
        let Signature { parameters: takes, results: gives } = &export.signature;
        let arguments = wrpc::decode(&parameters, takes)
            .map_err(|why| Failed::Parameters { component: self.id.clone(), why: why.to_string() })?;
        drop(parameters);
        let mut results = vec![Val::Bool(false); gives.len()];
        self.within(host, Caller { depth: 0, until }, (interface, name), &arguments, &mut results).await?;
        wrpc::encode(&results, gives)
            .map_err(|why| Failed::Refused { component: self.id.clone(), why: why.to_string() })
    }

    /// Calls a function that it exports; of the component itself where the interface is empty.
    async fn within(
        self: &Arc<Self>,
        host: &Arc<Inner>,
        caller: Caller,
        (interface, name): (&str, &str),
        arguments: &[Val],
        results: &mut [Val],
    ) -> Result<(), Failed> {
        let until = caller.until;
        let mut store: Store<Call> = Call::store(host, self, caller)?;
        let no_export = || self.no_export(&format!("{interface}#{name}"));
        let compiled = self.image.pre.component();
        let instance = match interface {
            "" => None,
            _ => Some(compiled.get_export_index(None, interface).ok_or_else(no_export)?),
        };
        let function = compiled.get_export_index(instance.as_ref(), name).ok_or_else(no_export)?;
        let call = async {
            let instance = self.image.pre.instantiate_async(&mut store).await?;
            let function = instance
                .get_func(&mut store, function)
                .ok_or_else(|| wasmtime::format_err!("`{interface}#{name}` is no function"))?;
            function.call_async(&mut store, arguments, results).await
        };
        self.ends(until, call).await
    }
}
