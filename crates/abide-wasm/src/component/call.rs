//! What a call has: its instance's handles, its limits, and what it was granted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::blobstore::Files;
use super::components::Inner;
use super::logging::Output;
use super::running::{Failed, Running};
use crate::link::Config;
use crate::provider::{Builtin, Provider};

/// The name of a link where none is chosen.
const DEFAULT_LINK: &str = "default";
/// Most handles of an instance at once.
const HANDLES_MAX: usize = 100_000;
/// Most bytes of random numbers at once.
const RANDOM_MAX: u64 = 64 << 10;
/// How deep components may call each other.
const DEPTH_MAX: u32 = 16;

/// Who calls, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// How many components are before it in the chain of calls.
    pub(crate) depth: u32,
    /// When whoever waits waits no more.
    pub(crate) until: Instant,
}

/// One call of a component.
pub(crate) struct Call {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    limits: StoreLimits,
    pub(crate) table: ResourceTable,
    pub(crate) blobs: Files,
    pub(crate) reach: Reach,
}

/// What a call may reach.
pub(crate) struct Reach {
    pub(crate) host: Arc<Inner>,
    pub(crate) component: Arc<Running>,
    /// The names of links that the component chose, by interface.
    pub(crate) chosen: BTreeMap<String, String>,
    pub(crate) caller: Caller,
}

/// What a link grants.
pub(crate) struct Grant {
    pub(crate) provider: Arc<Provider>,
    /// The provider's configuration with that of the link over it.
    pub(crate) config: Config,
}

impl Reach {
    /// What the component is configured with, as it is now.
    pub(crate) fn config(&self) -> Config {
        self.host.directory().merged(&self.component.config)
    }

    /// The name of the link for an interface.
    pub(crate) fn link_name(&self, interface: &str) -> &str {
        self.chosen.get(interface).map_or(DEFAULT_LINK, String::as_str)
    }

    /// Who is called for an interface, and with which configuration.
    pub(crate) fn target(&self, interface: &str) -> Result<(String, Config), String> {
        let (id, name) = (&*self.component.id, self.link_name(interface));
        let directory = self.host.directory();
        match directory.find(id, name, interface) {
            Some(link) => Ok((link.target.clone(), directory.merged(&link.target_config))),
            None => Err(format!(
                "`{id}` may not call `{interface}`: it has no link named `{name}` for it; put one, as with `wash link put`"
            )),
        }
    }

    /// What a link grants for an interface that a builtin provider serves. Looked up each time: links change.
    pub(crate) fn grant(&self, interface: &str, builtin: Builtin) -> Result<Grant, String> {
        let (target, config) = self.target(interface)?;
        let provider = self.host.provider(&target).filter(|provider| provider.builtin == builtin).ok_or_else(|| {
            format!(
                "`{}` is linked to `{target}` for `{interface}`, and no `abide+builtin://{builtin}` of that id runs on this host",
                self.component.id
            )
        })?;
        let mut merged = self.host.directory().merged(&provider.config);
        merged.extend(config);
        Ok(Grant { provider, config: merged })
    }
}

impl Call {
    /// A store for one call of a component, which ends in time.
    pub(crate) fn store(
        host: &Arc<Inner>,
        component: &Arc<Running>,
        caller: Caller,
    ) -> Result<Store<Self>, Failed> {
        if caller.depth > DEPTH_MAX {
            return Err(Failed::TooDeep(DEPTH_MAX));
        }
        let limits = &component.limits;
        let output = |level| Output::new(host, component, level);
        let wasi = WasiCtx::builder()
            .stdout(output(super::logging::Level::Info))
            .stderr(output(super::logging::Level::Warn))
            .max_random_size(RANDOM_MAX)
            // A guest that waits must not hold up the thread of others.
            .allow_blocking_current_thread(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let until = caller.until;
        let reach = Reach {
            host: Arc::clone(host),
            component: Arc::clone(component),
            chosen: BTreeMap::new(),
            caller,
        };
        let call = Self {
            wasi,
            http: WasiHttpCtx::new(),
            limits: StoreLimitsBuilder::new()
                .memory_size(usize::try_from(limits.memory).unwrap_or(usize::MAX))
                .build(),
            table,
            blobs: Files::default(),
            reach,
        };
        let mut store = Store::new(&host.machine.engine, call);
        store.limiter(|call| &mut call.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            Ok(if Instant::now() >= until {
                UpdateDeadline::Interrupt
            } else {
                // The runtime's own yield, before whose end it looks at its sockets: a guest that computes keeps nobody out.
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            })
        });
        Ok(store)
    }
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Call {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.reach }
    }
}
