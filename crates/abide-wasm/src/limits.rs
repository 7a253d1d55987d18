//! What an instance may take of the machine.

use abide_core::schema::BehaviourLimits;
use wasmtime::ResourceLimiter;

/// Most core instances of a component, and of an act: those of Python have more than 32.
pub(crate) const INSTANCES_MAX: usize = 100;
/// Most linear memories of a component.
pub(crate) const MEMORIES_MAX: u32 = 8;
/// Most tables of a component.
pub(crate) const TABLES_MAX: u32 = 32;
/// How often memories and tables may grow in an act: each time costs the host more than the guest's fuel tells.
const GROWTHS_MAX: u32 = 100_000;

/// Why an instance may not grow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Grown {
    #[error(
        "the act needs more than {0} bytes of memory; `behaviour.memory` of the schema sets how much it may have"
    )]
    Memory(u64),
    #[error(
        "the act needs more than {0} elements in tables; `behaviour.tables` of the schema sets how many it may have"
    )]
    Tables(u64),
    #[error("the act grows its memories and tables more than {GROWTHS_MAX} times")]
    Often,
}

/// Counts what an instance has taken.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: BehaviourLimits,
    memory: u64,
    tables: u64,
    growths: u32,
}

impl Limiter {
    pub(crate) fn new(limits: BehaviourLimits) -> Self {
        Self { limits, memory: 0, tables: 0, growths: 0 }
    }

    fn count(&mut self) -> wasmtime::Result<()> {
        self.growths += 1;
        if self.growths > GROWTHS_MAX { Err(Grown::Often.into()) } else { Ok(()) }
    }
}

/// An error traps, where `false` would leave it to the guest what to do: most abort, which looks like any other trap.
impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.count()?;
        self.memory = self.memory.saturating_add(wanted.saturating_sub(now) as u64);
        if self.memory > self.limits.memory {
            Err(Grown::Memory(self.limits.memory).into())
        } else {
            Ok(true)
        }
    }

    fn table_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.count()?;
        self.tables = self.tables.saturating_add(wanted.saturating_sub(now) as u64);
        if self.tables > self.limits.tables {
            Err(Grown::Tables(self.limits.tables).into())
        } else {
            Ok(true)
        }
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX * 2
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }
}
