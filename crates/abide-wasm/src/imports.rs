//! What a component may import, and what it gets for it: the log, its configuration, and WASI in virtual form.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::guest::Level;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, Val};
use wasmtime::{Engine, StoreContextMut, Trap};

use crate::act::Hosted;
use crate::sandbox::Problem;
use crate::shape::{Shape, Signature};
use crate::wasi;

const EFFECT: &str =
    "do it as an effect: declare `effect` on a mutation of the schema, and let the act ask for that mutation";
const WORLD: &str = "build it against the world that `abide wit SCHEMA` writes";

/// The fuel of any call of the host, beside what it does.
const CALL_FUEL: u64 = 500;
/// The fuel of an item of a list that a call of the host takes or gives.
const ITEM_FUEL: u64 = 50;

/// Why the host did not do what a guest called it for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("an act may not call `{0}`: {EFFECT}")]
    NotOffered(String),
    #[error("`{0}` was called with what it does not take")]
    Arguments(String),
    #[error("the act asks for {0} random bytes at once; 65536 is the most")]
    Random(u64),
}

/// An interface that is offered.
enum Offer<'n> {
    Log,
    Config,
    Logging,
    /// By its name without `wasi:` and version.
    Wasi(&'n str),
}

fn offer(name: &str) -> Option<Offer<'_>> {
    match name {
        "wasi:config/store@0.2.0-draft" => return Some(Offer::Config),
        "wasi:logging/logging@0.1.0-draft" => return Some(Offer::Logging),
        _ => {}
    }
    let (interface, version) = name.split_once('@')?;
    if interface == "abide:object/log" && version.starts_with("0.1.") {
        return Some(Offer::Log);
    }
    let rest = interface.strip_prefix("wasi:").filter(|_| version.starts_with("0.2."))?;
    let (package, _) = rest.split_once('/')?;
    let is_virtual = matches!(package, "cli" | "clocks" | "io" | "random");
    is_virtual.then_some(Offer::Wasi(rest))
}

/// Every import that is not offered as it is asked for.
pub(crate) fn problems(engine: &Engine, component: &Component) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, import) in component.component_type().imports(engine) {
        match import.ty {
            ComponentItem::Type(_) => {}
            ComponentItem::ComponentInstance(instance) => {
                if !has_types_alone(engine, &instance) {
                    of_instance(engine, name, &instance, &mut problems);
                }
            }
            _ => problems.push(Problem::new(format!("it imports `{name}`, which is no interface"), WORLD)),
        }
    }
    problems
}

/// Types need no definition.
fn has_types_alone(engine: &Engine, instance: &ComponentInstance) -> bool {
    instance.exports(engine).all(|(_, item)| matches!(item.ty, ComponentItem::Type(_)))
}

fn of_instance(engine: &Engine, name: &str, instance: &ComponentInstance, out: &mut Vec<Problem>) {
    let Some(offer) = offer(name) else {
        out.push(refusal(name));
        return;
    };
    for (item, found) in instance.exports(engine) {
        let place = format!("{name}#{item}");
        match (&offer, found.ty) {
            (_, ComponentItem::Type(_)) | (Offer::Wasi(_), ComponentItem::ComponentFunc(_)) => {}
            (Offer::Wasi(_), ComponentItem::Resource(_)) if wasi::resource(item).is_some() => {}
            (offer, ComponentItem::ComponentFunc(function)) => match signature(offer, item) {
                Some(signature) => {
                    out.extend(signature.differences(&function).into_iter().map(|difference| {
                        Problem::new(format!("it imports `{place}` in another form: {difference}"), WORLD)
                    }));
                }
                None => out.push(Problem::new(format!("it imports `{place}`, which there is not"), WORLD)),
            },
            _ => out.push(Problem::new(format!("it imports `{place}`, which there is not"), WORLD)),
        }
    }
}

fn refusal(name: &str) -> Problem {
    let interface = name.split_once('@').map_or(name, |(interface, _)| interface);
    let offered = match interface {
        "abide:object/log" => Some("abide:object/log@0.1.0"),
        "wasi:config/store" => Some("wasi:config/store@0.2.0-draft"),
        "wasi:logging/logging" => Some("wasi:logging/logging@0.1.0-draft"),
        _ => None,
    };
    match offered {
        Some(offered) => {
            Problem::new(format!("it imports `{name}`, and `{offered}` is what there is"), WORLD)
        }
        None => Problem::new(format!("it imports `{name}`, which an act may not"), EFFECT),
    }
}

fn signature(offer: &Offer<'_>, function: &str) -> Option<Signature> {
    let error =
        || Shape::Variant(vec![("upstream".into(), Some(Shape::String)), ("io".into(), Some(Shape::String))]);
    let answer = |ok| Some(Shape::Result(Some(Box::new(ok)), Some(Box::new(error()))));
    Some(match (offer, function) {
        (Offer::Log, "log") => Signature {
            params: vec![
                ("level", Shape::enumeration(&["trace", "debug", "info", "warn", "error"])),
                ("message", Shape::String),
            ],
            result: None,
        },
        (Offer::Logging, "log") => Signature {
            params: vec![
                ("level", Shape::enumeration(&["trace", "debug", "info", "warn", "error", "critical"])),
                ("context", Shape::String),
                ("message", Shape::String),
            ],
            result: None,
        },
        (Offer::Config, "get") => {
            Signature { params: vec![("key", Shape::String)], result: answer(Shape::option(Shape::String)) }
        }
        (Offer::Config, "get-all") => Signature {
            params: Vec::new(),
            result: answer(Shape::list(Shape::Tuple(vec![Shape::String, Shape::String]))),
        },
        _ => return None,
    })
}

/// Defines all that a component imports, once [`problems`] has found none.
pub(crate) fn link(
    engine: &Engine,
    component: &Component,
    config: &Arc<BTreeMap<String, String>>,
) -> wasmtime::Result<Linker<Hosted>> {
    let mut linker = Linker::new(engine);
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        let Some(offer) = offer(name).filter(|_| !has_types_alone(engine, &instance)) else { continue };
        let mut into = linker.instance(name)?;
        for (item, found) in instance.exports(engine) {
            match (&offer, &found.ty) {
                (Offer::Wasi(interface), ComponentItem::ComponentFunc(_)) => {
                    wasi::define(&mut into, name, interface, item)?;
                }
                (Offer::Wasi(_), ComponentItem::Resource(_)) => wasi::define_resource(&mut into, item)?,
                (_, ComponentItem::ComponentFunc(_)) => define(&mut into, &offer, item, config)?,
                _ => {}
            }
        }
    }
    Ok(linker)
}

fn define(
    into: &mut LinkerInstance<'_, Hosted>,
    offer: &Offer<'_>,
    function: &str,
    config: &Arc<BTreeMap<String, String>>,
) -> wasmtime::Result<()> {
    let config = Arc::clone(config);
    match (offer, function) {
        (Offer::Log, _) => into.func_new(function, |mut cx, _, args, _| match args {
            [Val::Enum(level), Val::String(message)] => {
                charge(&mut cx, args)?;
                cx.data_mut().journal.line(level_of(level), message);
                Ok(())
            }
            _ => Err(Refused::Arguments("log".to_owned()).into()),
        }),
        (Offer::Logging, _) => into.func_new(function, |mut cx, _, args, _| match args {
            [Val::Enum(level), Val::String(context), Val::String(message)] => {
                charge(&mut cx, args)?;
                let line = if context.is_empty() { message.clone() } else { format!("{context}: {message}") };
                cx.data_mut().journal.line(level_of(level), &line);
                Ok(())
            }
            _ => Err(Refused::Arguments("log".to_owned()).into()),
        }),
        (_, "get") => into.func_new(function, move |mut cx, _, args, results| match args {
            [Val::String(key)] => {
                charge(&mut cx, args)?;
                let value = config.get(key).map(|value| Box::new(Val::String(value.clone())));
                give(&mut cx, results, ok(Val::Option(value)))
            }
            _ => Err(Refused::Arguments("get".to_owned()).into()),
        }),
        _ => into.func_new(function, move |mut cx, _, args, results| {
            charge(&mut cx, args)?;
            let text = |text: &String| Val::String(text.clone());
            let entries = config.iter().map(|(key, value)| Val::Tuple(vec![text(key), text(value)]));
            give(&mut cx, results, ok(Val::List(entries.collect())))
        }),
    }
}

/// `result<T, …>`, good.
pub(crate) fn ok(value: Val) -> Val {
    Val::Result(Ok(Some(Box::new(value))))
}

fn level_of(name: &str) -> Level {
    match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        // `critical` of `wasi:logging` is no level of ours.
        _ => Level::Error,
    }
}

/// Takes the fuel of a call of the host and of what it was given: work of the host is the guest's.
pub(crate) fn charge(cx: &mut StoreContextMut<'_, Hosted>, args: &[Val]) -> wasmtime::Result<()> {
    let size: u64 = args.iter().map(size).sum();
    burn(cx, CALL_FUEL + size)
}

/// Gives a result, and takes its fuel.
pub(crate) fn give(
    cx: &mut StoreContextMut<'_, Hosted>,
    results: &mut [Val],
    value: Val,
) -> wasmtime::Result<()> {
    burn(cx, size(&value))?;
    if let Some(result) = results.first_mut() {
        *result = value;
    }
    Ok(())
}

pub(crate) fn burn(cx: &mut StoreContextMut<'_, Hosted>, amount: u64) -> wasmtime::Result<()> {
    match cx.get_fuel()?.checked_sub(amount) {
        Some(left) => cx.set_fuel(left),
        None => {
            cx.set_fuel(0)?;
            Err(Trap::OutOfFuel.into())
        }
    }
}

fn size(value: &Val) -> u64 {
    match value {
        Val::String(text) => text.len() as u64,
        Val::List(items) => items.iter().map(|item| ITEM_FUEL + size(item)).sum(),
        Val::Tuple(items) => items.iter().map(size).sum(),
        Val::Option(Some(some)) | Val::Result(Ok(Some(some))) => size(some),
        _ => 0,
    }
}
