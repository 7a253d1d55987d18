//! An act: a fresh store and instance, one call, and what came of it.

use std::sync::Arc;

use abide_core::guest::{Act, ActError, ActStep, Acted, Fault};
use abide_core::record::Hash;
use abide_core::schema::{BehaviourLimits, Schema};
use abide_core::wit::World;
use wasmtime::component::{ComponentExportIndex, InstancePre, Val};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::carry;
use crate::imports::Refused;
use crate::journal::Journal;
use crate::limits::{Grown, Limiter};
use crate::wasi::Random;

/// The fuel of starting an instance. It is not the schema's: how much is used depends on how the host copies data.
pub(crate) const START_FUEL: u64 = 200_000_000;

/// A component, checked and compiled: a behaviour of objects of one schema.
pub struct Component {
    pub(crate) digest: Hash,
    pub(crate) schema: [u8; 32],
    pub(crate) world: World,
    pub(crate) limits: BehaviourLimits,
    pub(crate) instance: InstancePre<Hosted>,
    /// By the name that rules have for it.
    pub(crate) actions: Vec<(Arc<str>, ComponentExportIndex)>,
}

/// What an act came to, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What it came to.
    pub acted: Acted,
    /// The fuel that it used up, starting its instance aside.
    pub fuel: u64,
}

/// What the host keeps for an instance.
pub(crate) struct Hosted {
    pub(crate) limiter: Limiter,
    pub(crate) journal: Journal,
    pub(crate) now: i64,
    pub(crate) random: Random,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Component {
    /// The SHA-256 of its bytes.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// The digest of the schema that it was loaded for.
    #[must_use]
    pub fn schema(&self) -> &[u8; 32] {
        &self.schema
    }

    /// One act. Whatever the component does, it comes back: with steps, or with what went wrong.
    #[must_use]
    pub fn act(&self, act: &Act<'_>) -> Acted {
        self.measure(act).acted
    }

    /// One act, and the fuel that it took.
    #[must_use]
    pub fn measure(&self, act: &Act<'_>) -> Measured {
        let hosted = Hosted {
            limiter: Limiter::new(self.limits),
            journal: Journal::new(self.limits.log),
            now: act.now.0,
            random: Random::of(&act.head.0),
        };
        let mut store = Store::new(self.instance.engine(), hosted);
        store.limiter(|hosted| &mut hosted.limiter);
        store.set_hostcall_fuel(usize::try_from(self.limits.output).unwrap_or(usize::MAX));
        let mut is_started = false;
        let answer = self.run(&mut store, act, &mut is_started);
        let left = store.get_fuel().unwrap_or_default();
        let fuel = if is_started { self.limits.fuel.saturating_sub(left) } else { 0 };
        Measured { acted: Acted { answer, log: store.into_data().journal.into_lines() }, fuel }
    }

    fn run(
        &self,
        store: &mut Store<Hosted>,
        act: &Act<'_>,
        is_started: &mut bool,
    ) -> Result<Vec<ActStep>, ActError> {
        let missing = |message: &str| ActError { fault: Fault::Missing, message: message.to_owned() };
        if act.schema.digest != self.schema {
            return Err(missing("the component was loaded for another schema"));
        }
        let action = self.actions.iter().find(|(name, _)| **name == *act.action);
        let (_, export) = action.ok_or_else(|| missing("the schema has no such action"))?;
        let memory = carry::memory(&self.world, act.memory);
        let memory = memory.ok_or_else(|| missing("the memory is not of the schema"))?;

        store.set_fuel(START_FUEL).map_err(|error| fault(&error, "starting"))?;
        let instance = self.instance.instantiate(&mut *store).map_err(|error| fault(&error, "starting"))?;
        store.set_fuel(self.limits.fuel).map_err(|error| fault(&error, "acting"))?;
        *is_started = true;
        let function = instance.get_func(&mut *store, export);
        let function = function.ok_or_else(|| missing("the component has no such export"))?;
        let mut results = [Val::Bool(false)];
        function
            .call(&mut *store, &[carry::cycle(act), memory], &mut results)
            .map_err(|error| fault(&error, "acting"))?;
        let answer = |message| ActError { fault: Fault::Answer, message };
        let [result] = results;
        match result {
            Val::Result(Ok(Some(steps))) => carry::steps(&self.world, *steps).map_err(answer),
            Val::Result(Err(Some(error))) => match *error {
                Val::String(message) => Err(ActError { fault: Fault::Error, message }),
                _ => Err(answer("its error is no text".to_owned())),
            },
            _ => Err(answer("the answer is no result".to_owned())),
        }
    }
}

/// What an error of the engine is to the object. The words are the same on every machine: they are recorded.
pub(crate) fn fault(error: &wasmtime::Error, doing: &str) -> ActError {
    let of = |fault, message: String| ActError { fault, message };
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::OutOfFuel if doing == "starting" => {
                of(Fault::Fuel, format!("starting the component took more than {START_FUEL} fuel"))
            }
            Trap::OutOfFuel => of(
                Fault::Fuel,
                "the act took more fuel than it has; `behaviour.fuel` of the schema sets how much".to_owned(),
            ),
            Trap::StackOverflow => of(Fault::Memory, "the act nests its calls too deep".to_owned()),
            trap => {
                let words = trap.to_string();
                of(Fault::Trap, format!("trapped while {doing}: {}", words.trim_start_matches("wasm trap: ")))
            }
        };
    }
    if let Some(grown) = error.downcast_ref::<Grown>() {
        return of(Fault::Memory, grown.to_string());
    }
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return of(Fault::Trap, refused.to_string());
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return of(Fault::Missing, "more acts run at once than this host has room for".to_owned());
    }
    let fault = if doing == "starting" { Fault::Trap } else { Fault::Answer };
    of(fault, format!("failed while {doing}: {}", error.root_cause()))
}

/// The limits of a schema as they are in force.
pub(crate) fn limits(schema: &Schema) -> BehaviourLimits {
    schema.behaviour
}
