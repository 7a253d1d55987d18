//! The engine of message-driven components, and the thread that ends those that do not end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component as Compiled;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::Cache;

/// How often a guest that computes is looked at: then others have their turn, and one that is overdue ends.
pub(crate) const EPOCH: Duration = Duration::from_millis(10);
/// The native stack of a guest, in bytes, and that of a call with what the host does for it.
const STACK: usize = 1 << 20;
const ASYNC_STACK: usize = 2 << 20;
/// Most bytes of a memory that any component may be given.
pub(crate) const MEMORY_MAX: u64 = 4 << 30;
/// What of a linear memory stays resident between calls.
const RESIDENT: usize = 256 << 10;

/// An engine with its cache.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    cache: Option<Cache>,
}

impl Machine {
    /// Sets an engine up with a pool of so many instances; where the machine does not give the address space, without a pool.
    pub(crate) fn new(cache: Option<PathBuf>, instances: u32) -> io::Result<Self> {
        let failed = |error: &wasmtime::Error| {
            io::Error::other(format!("the WebAssembly engine does not start: {}", error.root_cause()))
        };
        let engine = Engine::new(&config(InstanceAllocationStrategy::Pooling(pool(instances))))
            .or_else(|_| Engine::new(&config(InstanceAllocationStrategy::OnDemand)))
            .map_err(|error| failed(&error))?;
        let cache = cache.map(|folder| Cache::open(folder, &engine)).transpose()?;
        let watched = engine.weak();
        // A thread of the system: whatever holds up the runtime does not hold up this one.
        thread::Builder::new().name("epochs".to_owned()).spawn(move || {
            while let Some(engine) = watched.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(EPOCH);
            }
        })?;
        Ok(Self { engine, cache })
    }

    /// Compiles a component, or takes it from the cache.
    pub(crate) fn compile(&self, component: &[u8]) -> wasmtime::Result<Compiled> {
        let digest: [u8; 32] = Sha256::digest(component).into();
        match &self.cache {
            Some(cache) => cache.load(&self.engine, &digest, component),
            None => Compiled::from_binary(&self.engine, component),
        }
    }
}

fn config(strategy: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(STACK)
        .async_stack_size(ASYNC_STACK)
        .wasm_backtrace_max_frames(None)
        .allocation_strategy(strategy);
    config
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances.saturating_mul(2))
        .max_memory_size(usize::try_from(MEMORY_MAX).unwrap_or(usize::MAX))
        .max_core_instances_per_component(100)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .linear_memory_keep_resident(RESIDENT)
        .table_keep_resident(RESIDENT);
    pool
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// Where a component's own engine is shared.
pub(crate) type Shared = Arc<Machine>;
