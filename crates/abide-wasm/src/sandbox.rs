//! The engine, and how a component is loaded into it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::record::Hash;
use abide_core::schema::{GUEST_MEMORY_MAX, Schema, TABLES_MAX as ELEMENTS_MAX};
use abide_core::wit::World;
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component as Compiled, InstancePre};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::act::{self, Component, Hosted};
use crate::cache::Cache;
use crate::limits::{INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};
use crate::{check, imports};

/// The native stack of a guest, in bytes.
const STACK: usize = 512 << 10;
/// What of a linear memory stays resident between acts where the kernel tells which pages were written.
const RESIDENT_SCANNED: usize = 8 << 20;
/// The same where all of it has to be cleared.
const RESIDENT_CLEARED: usize = 256 << 10;

/// How a sandbox is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where compiled components are kept; it is made if it is not there, and only its owner may enter it. Whoever can
    /// write to it can run code as this process. Without one, every load compiles.
    pub cache: Option<PathBuf>,
    /// Where instances come from.
    pub instances: Instances,
}

/// Where instances come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// A pool of so many that the threads of the host never wait, made ready beforehand: for acts.
    #[default]
    Pooled,
    /// The system, each time.
    OnDemand,
}

/// Runs components. Cloning it gives another handle of the same.
#[derive(Clone)]
pub struct Sandbox {
    engine: Engine,
    cache: Option<Arc<Cache>>,
}

/// Why a component was not loaded: all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, about “it”, the component.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the component does not fit")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.help)
    }
}

impl From<Problem> for LoadError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Sets an engine up.
    ///
    /// # Errors
    /// When the machine does not give the address space, or the folder of the cache cannot be made.
    pub fn new(options: Options) -> io::Result<Self> {
        let engine = Engine::new(&config(options.instances)).map_err(|error| {
            io::Error::other(format!("the WebAssembly engine does not start: {}", error.root_cause()))
        })?;
        let cache = options.cache.map(|folder| Cache::open(folder, &engine)).transpose()?;
        Ok(Self { engine, cache: cache.map(Arc::new) })
    }

    /// Checks a component against a schema and compiles it, or takes it from the cache. What the component asks of
    /// `wasi:config` is in `config`.
    ///
    /// # Errors
    /// All that is wrong with the component at once, each with what to do about it.
    pub fn load(
        &self,
        schema: &Arc<Schema>,
        component: &[u8],
        config: BTreeMap<String, String>,
    ) -> Result<Component, LoadError> {
        check::form(component)?;
        let (digest, compiled) = self.compile(component)?;
        let world = World::of(schema);
        let exports =
            check::exports(&self.engine, &compiled, &world).map_err(|problems| LoadError { problems })?;
        let instance = self.link(&compiled, config)?;
        let actions = world.actions.iter().map(|action| Arc::clone(&action.name)).zip(exports).collect();
        Ok(Component { digest, schema: schema.digest, limits: act::limits(schema), world, instance, actions })
    }

    /// Compiles a component, or takes it from the cache; also its SHA-256.
    pub(crate) fn compile(&self, component: &[u8]) -> Result<(Hash, Compiled), Problem> {
        let digest: [u8; 32] = Sha256::digest(component).into();
        let compiled = match &self.cache {
            Some(cache) => cache.load(&self.engine, &digest, component),
            None => Compiled::from_binary(&self.engine, component),
        };
        let compiled = compiled.map_err(|error| {
            let message = format!("it does not compile: {error:#}");
            Problem::new(message, "build it again, without threads, relaxed SIMD and async exports")
        })?;
        Ok((Hash(digest), compiled))
    }

    /// Gives a component what it imports.
    pub(crate) fn link(
        &self,
        compiled: &Compiled,
        config: BTreeMap<String, String>,
    ) -> Result<InstancePre<Hosted>, Problem> {
        let linked = imports::link(&self.engine, compiled, &Arc::new(config))
            .and_then(|linker| linker.instantiate_pre(compiled));
        linked.map_err(|error| {
            let message = format!("it cannot be linked: {}", error.root_cause());
            Problem::new(message, "build it against the world that `abide wit SCHEMA` writes")
        })
    }

    /// The engine, for benchmarks that compare with it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// What decides is set here and not left to the engine's defaults: what a guest computes is recorded and computed again.
fn config(instances: Instances) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_relaxed_simd(false)
        .memory_init_cow(true)
        .max_wasm_stack(STACK)
        .wasm_backtrace_max_frames(None)
        .allocation_strategy(match instances {
            Instances::Pooled => InstanceAllocationStrategy::Pooling(pool()),
            Instances::OnDemand => InstanceAllocationStrategy::OnDemand,
        });
    config
}

fn pool() -> PoolingAllocationConfig {
    // Acts run on the threads of the host, one each.
    let threads = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
    let acts = u32::try_from(threads.clamp(4, 256) * 2).unwrap_or(8);
    let resident = if PoolingAllocationConfig::is_pagemap_scan_available() {
        RESIDENT_SCANNED
    } else {
        RESIDENT_CLEARED
    };
    let instances = u32::try_from(INSTANCES_MAX).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(acts)
        .total_core_instances(acts * instances)
        .max_core_instances_per_component(instances)
        .total_memories(acts * MEMORIES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_memories_per_module(MEMORIES_MAX)
        .total_tables(acts * TABLES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .max_memory_size(usize::try_from(GUEST_MEMORY_MAX).unwrap_or(usize::MAX))
        .table_elements(usize::try_from(ELEMENTS_MAX).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(resident)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(acts)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20);
    pool
}
