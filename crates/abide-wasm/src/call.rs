//! A component that effects call: its exported functions, each call in a fresh instance.
//!
//! A call is a function of its arguments, the time and the key of the record that ordered it: the same call, delivered
//! twice, is answered the same way. It may import what an act may, and no more.

use std::collections::BTreeMap;

use abide_core::guest::Fault;
use abide_core::schema::{BehaviourLimits, Template};
use serde_json::Value as Json;
use wasmtime::Store;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{ComponentExportIndex, InstancePre, Val};

use crate::act::{self, Hosted, START_FUEL};
use crate::journal::Journal;
use crate::json;
use crate::limits::Limiter;
use crate::sandbox::{LoadError, Problem};
use crate::wasi::Random;
use crate::{Sandbox, check, imports};

/// A component whose functions can be called with JSON.
pub struct Callable {
    instance: InstancePre<Hosted>,
    functions: Vec<Exported>,
}

struct Exported {
    /// Without its version.
    interface: String,
    name: String,
    ty: ComponentFunc,
    index: ComponentExportIndex,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// As in `example:orchard/planner`.
    pub interface: &'a str,
    /// Function of it.
    pub function: &'a str,
    /// In the order of its parameters.
    pub args: &'a [Json],
    /// What its clocks show: nanoseconds since 1970.
    pub now: i64,
    /// What its random numbers follow from.
    pub seed: &'a [u8; 32],
    /// What it may take; an answer is bounded by `output`.
    pub limits: BehaviourLimits,
}

/// Why a call has no answer: in words, lower case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallFailed(pub String);

impl std::fmt::Debug for Callable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callable").field("functions", &self.functions.len()).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Compiles a component for calls of its functions, or takes it from the cache. What it asks of `wasi:config` is in `config`.
    ///
    /// # Errors
    /// When it is no component, or imports what it may not: everything that is wrong with it.
    pub fn load_callable(
        &self,
        component: &[u8],
        config: BTreeMap<String, String>,
    ) -> Result<Callable, LoadError> {
        check::form(component)?;
        let (_, compiled) = self.compile(component)?;
        let problems = imports::problems(self.engine(), &compiled);
        if !problems.is_empty() {
            return Err(LoadError { problems });
        }
        let instance = self.link(&compiled, config)?;
        let mut functions = Vec::new();
        for (interface, item) in compiled.component_type().exports(self.engine()) {
            let ComponentItem::ComponentInstance(exported) = item.ty else { continue };
            let Some(parent) = compiled.get_export_index(None, interface) else { continue };
            for (name, item) in exported.exports(self.engine()) {
                let (ComponentItem::ComponentFunc(ty), Some(index)) =
                    (item.ty, compiled.get_export_index(Some(&parent), name))
                else {
                    continue;
                };
                let interface = interface.split('@').next().unwrap_or(interface).to_owned();
                functions.push(Exported { interface, name: name.to_owned(), ty, index });
            }
        }
        Ok(Callable { instance, functions })
    }
}

impl Callable {
    /// What it exports: interfaces without their versions, and functions of them.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.functions.iter().map(|function| (&*function.interface, &*function.name))
    }

    /// All that is wrong with a call whose arguments are known as far as a schema tells. What only a value can tell, as a
    /// case of an enum that an expression gives, is left to the call.
    #[must_use]
    pub fn check(&self, interface: &str, function: &str, args: &[Template]) -> Vec<Problem> {
        let Some(found) = self.find(interface, function) else {
            let names: Vec<_> = self.functions().map(|(i, f)| format!("`{f}` of `{i}`")).collect();
            let help = match names.as_slice() {
                [] => "export an interface with functions".to_owned(),
                names => format!("it exports {}", names.join(", ")),
            };
            return vec![Problem::new(format!("it has no function `{function}` of `{interface}`"), help)];
        };
        let many = self.functions().filter(|known| *known == (interface, function)).count();
        if many > 1 {
            let message = format!("it exports `{function}` of `{interface}` in {many} versions");
            return vec![Problem::new(message, "export one of them")];
        }
        let params: Vec<_> = found.ty.params().collect();
        if params.len() != args.len() {
            let names: Vec<_> = params.iter().map(|(name, _)| *name).collect();
            let message =
                format!("`{function}` takes {} arguments, and there are {}", names.len(), args.len());
            return vec![Problem::new(message, format!("write `args: [{}]`", names.join(", ")))];
        }
        let checked = params.iter().zip(args).filter_map(|((name, ty), arg)| {
            let why = json::mismatch(arg, ty)?;
            Some(Problem::new(format!("`{name}` of `{function}`: {why}"), "give what the function takes"))
        });
        let answers = found.ty.results().filter(|ty| !json::is_carried(ty)).map(|_| {
            let message = format!(
                "JSON has no form for the answer of `{function}`: it has handles, or options of options"
            );
            Problem::new(message, "give an answer of plain values")
        });
        checked.chain(answers).collect()
    }

    /// Calls a function. An error of its own (`result`) is a failure; what it answers otherwise comes back as JSON.
    ///
    /// # Errors
    /// When there is no such function, the arguments are not of its types, it answers with an error, traps, or takes more than
    /// it may.
    pub fn call(&self, call: &Call<'_>) -> Result<Json, CallFailed> {
        let failed = |message: String| CallFailed(message);
        let found = self.find(call.interface, call.function).ok_or_else(|| {
            failed(format!("there is no function `{}` of `{}`", call.function, call.interface))
        })?;
        let params: Vec<_> = found.ty.params().collect();
        if params.len() != call.args.len() {
            return Err(failed(format!(
                "it takes {} arguments, and there are {}",
                params.len(),
                call.args.len()
            )));
        }
        let args = params.iter().zip(call.args).map(|((name, ty), arg)| {
            json::to_val(arg, ty).map_err(|why| failed(format!("the argument `{name}`: {why}")))
        });
        let args = args.collect::<Result<Vec<_>, _>>()?;
        let answer = self.run(call, found, &args).map_err(failed)?;
        let Some((answer, ty)) = answer.as_ref().zip(found.ty.results().next()) else {
            return Ok(Json::Null);
        };
        let (Val::Result(result), Type::Result(of)) = (answer, &ty) else {
            return json::from_val(answer, &ty).map_err(failed);
        };
        match result {
            Ok(answer) => json::payload(answer.as_deref(), of.ok()).map_err(failed),
            Err(error) => Err(failed(match json::payload(error.as_deref(), of.err()).map_err(failed)? {
                Json::Null => "it answered with an error".to_owned(),
                Json::String(text) => text,
                other => other.to_string(),
            })),
        }
    }

    fn run(&self, call: &Call<'_>, found: &Exported, args: &[Val]) -> Result<Option<Val>, String> {
        let hosted = Hosted {
            limiter: Limiter::new(call.limits),
            journal: Journal::new(call.limits.log),
            now: call.now,
            random: Random::of(call.seed),
        };
        let mut store = Store::new(self.instance.engine(), hosted);
        store.limiter(|hosted| &mut hosted.limiter);
        store.set_hostcall_fuel(usize::try_from(call.limits.output).unwrap_or(usize::MAX));
        let fault = |error: &wasmtime::Error, doing: &str| {
            let error = act::fault(error, doing);
            match error.fault {
                Fault::Fuel => "it computed for longer than it may".to_owned(),
                Fault::Memory => "it needs more memory, tables or stack than a call may have".to_owned(),
                _ => error.message,
            }
        };
        store.set_fuel(START_FUEL).map_err(|error| fault(&error, "starting"))?;
        let instance = self.instance.instantiate(&mut store).map_err(|error| fault(&error, "starting"))?;
        store.set_fuel(call.limits.fuel).map_err(|error| fault(&error, "answering"))?;
        let function = instance.get_func(&mut store, found.index);
        let function = function.ok_or_else(|| "the component has no such export".to_owned())?;
        let mut results: Vec<Val> = found.ty.results().map(|_| Val::Bool(false)).collect();
        function.call(&mut store, args, &mut results).map_err(|error| fault(&error, "answering"))?;
        Ok(results.into_iter().next())
    }

    fn find(&self, interface: &str, function: &str) -> Option<&Exported> {
        self.functions.iter().find(|known| known.interface == interface && known.name == function)
    }
}
