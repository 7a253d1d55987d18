//! Two components on one host, and the second of them under the engine alone.
//!
//! The host runs in this process: `caller` behind an HTTP server, linked to `greeter`, both from `interop/guests`. The engine
//! alone runs the same bytes of `greeter` with the host's own engine, as a program that embeds wasmtime would: no links, no
//! gate and nobody who calls from another component, but the bounds of a call and a fresh instance, as the host has them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use abide_host::components::claims::Issuers;
use abide_host::components::{
    Builtin, Carriers, Components, Limits, Link, Provider, RegistryOptions, Settings, Spec,
};
use abide_host::local::Requests;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::asking::{Asking, free_port};

pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../interop/guests/wit",
        world: "greets",
        exports: { default: async },
    });
}

pub(crate) use bindings::exports::interop::greet::greeter::{Mood, Visitor};
pub(crate) use bindings::{Greets, GreetsPre};

const CALLER: &str = "caller";
const GREETER: &str = "greeter";
const SERVER: &str = "server";
const ADDRESS: &str = "address";

/// Both components, as they are built.
pub(crate) struct Images {
    caller: Vec<u8>,
    pub(crate) greeter: Vec<u8>,
}

impl Images {
    /// Of the folder that `cargo xtask interop` builds them into.
    pub(crate) fn read(guests: &Path) -> io::Result<Self> {
        let read = |name: &str| {
            let path = guests.join(name).with_extension("wasm");
            fs::read(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        Ok(Self { caller: read(CALLER)?, greeter: read(GREETER)? })
    }
}

/// A host where `caller` runs and is reached, and `greeter` when it is put there.
pub(crate) struct Neighbours {
    components: Components,
    port: u16,
}

impl Neighbours {
    pub(crate) fn start(folder: &Path, images: &Images, cache: Option<PathBuf>) -> io::Result<Self> {
        let settings = Settings {
            folder: folder.to_owned(),
            cache,
            instances: 1_000,
            limits: Limits::default(),
            allow_files: false,
            issuers: Issuers::new([]).map_err(io::Error::other)?,
            registries: RegistryOptions::new(folder.join("images")),
            requests: Requests::default(),
        };
        let components = Components::open(&settings, Carriers::local(), |_| {})?;
        let neighbours = Self { components, port: free_port()? };
        neighbours.put(CALLER, &images.caller)?;
        let engine = neighbours.components.engine();
        let address = format!("127.0.0.1:{}", neighbours.port);
        let config = [(ADDRESS.to_owned(), [(ADDRESS.to_owned(), address)].into())];
        let links = [
            link(SERVER, CALLER, ("wasi", "http", "incoming-handler"), &[ADDRESS]),
            link(CALLER, GREETER, ("interop", "greet", "greeter"), &[]),
        ];
        engine.fix(links.into(), config.into());
        let server = Provider {
            id: SERVER.to_owned(),
            reference: Builtin::HttpServer.reference(),
            builtin: Builtin::HttpServer,
            config: Vec::new(),
            annotations: BTreeMap::new(),
        };
        engine.start_provider(server).map_err(io::Error::other)?;
        Ok(neighbours)
    }

    /// A connection to `caller`, which answers.
    pub(crate) fn asking(&self) -> io::Result<Asking> {
        Asking::wait_for(self.port, &calls("again", 0))
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.components.engine().engine()
    }

    /// Puts `greeter` beside `caller`: compiled or from the cache, and linked.
    pub(crate) fn put_greeter(&self, images: &Images) -> io::Result<()> {
        self.put(GREETER, &images.greeter)
    }

    pub(crate) fn stop_greeter(&self) {
        self.components.engine().stop(GREETER);
    }

    fn put(&self, id: &str, wasm: &[u8]) -> io::Result<()> {
        let spec = Spec {
            id: id.to_owned(),
            reference: format!("interop/guests/examples/{id}.rs"),
            max_instances: 100,
            limits: Limits::default(),
            config: Vec::new(),
            annotations: BTreeMap::new(),
        };
        self.components.engine().put(spec, wasm).map_err(io::Error::other)
    }
}

fn link(
    source: &str,
    target: &str,
    (namespace, package, interface): (&str, &str, &str),
    config: &[&str],
) -> Link {
    Link {
        source: source.to_owned(),
        target: target.to_owned(),
        name: "default".to_owned(),
        namespace: namespace.to_owned(),
        package: package.to_owned(),
        interfaces: vec![interface.to_owned()],
        source_config: config.iter().map(ToString::to_string).collect(),
        target_config: Vec::new(),
    }
}

/// The path that has `caller` call a function of `greeter` so many times, one after the other.
pub(crate) fn calls(function: &str, count: u32) -> String {
    format!("/{function}/{count}")
}

/// Has `caller` call it, and looks whether it was answered so many times.
pub(crate) fn call(asking: &mut Asking, function: &str, count: u32) -> io::Result<()> {
    let answer = asking.ask(&calls(function, count))?;
    if answer == format!("{count}\n").as_bytes() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(answer);
    Err(io::Error::other(format!("{count} calls of `{function}` were answered by `{}`", told.trim())))
}

/// `greeter`, compiled, under the engine alone.
pub(crate) fn prepare(engine: &Engine, compiled: &Component) -> wasmtime::Result<GreetsPre<StoreLimits>> {
    let mut linker: Linker<StoreLimits> = Linker::new(engine);
    // What it imports is itself, and it is not called to call itself here.
    linker.define_unknown_imports_as_traps(compiled)?;
    GreetsPre::new(linker.instantiate_pre(compiled)?)
}

/// An instance in a store of its own, with the bounds that the host gives a call.
pub(crate) async fn instance(pre: &GreetsPre<StoreLimits>) -> wasmtime::Result<(Store<StoreLimits>, Greets)> {
    let limits = Limits::default();
    let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let mut store = Store::new(pre.engine(), StoreLimitsBuilder::new().memory_size(memory).build());
    store.limiter(|limits| limits);
    store.set_epoch_deadline(1);
    let until = Instant::now() + limits.time;
    store.epoch_deadline_callback(move |_| {
        Ok(if Instant::now() >= until { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
    });
    let instance = pre.instantiate_async(&mut store).await?;
    Ok((store, instance))
}

/// What went wrong under the engine alone.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub(crate) fn failed(error: wasmtime::Error) -> io::Error {
    io::Error::other(format!("{error:#}"))
}
