//! What a component imports: what the host has for all, and what other components export.

use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem, Type};
use wasmtime::component::{Component as Compiled, Linker};

use super::bindings::{abide, wasi, wasmcloud};
use super::call::Call;
use super::remote::{self, Signature};
use super::{bus, config, logging};

/// Interfaces that the host has for all, by how their names begin.
const HOST: [&str; 14] = [
    "abide:object/client",
    "wasi:blobstore/",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:config/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:keyvalue/",
    "wasi:logging/",
    "wasi:random/",
    "wasi:sockets/",
    "wasmcloud:bus/",
    "wasmcloud:messaging/",
];

struct HasCall;

impl wasmtime::component::HasData for HasCall {
    type Data<'a> = &'a mut Call;
}

/// What a component is linked with.
///
/// # Errors
/// All that it imports and that cannot be had.
pub(crate) fn linker(engine: &Engine, compiled: &Compiled) -> Result<Linker<Call>, String> {
    let mut linker = Linker::new(engine);
    host(&mut linker).map_err(|error| format!("the host's own functions do not link: {error:#}"))?;
    let mut problems = Vec::new();
    for (name, import) in compiled.component_type().imports(engine) {
        match import.ty {
            ComponentItem::Type(_) => {}
            _ if HOST.iter().any(|known| name.starts_with(known)) => {}
            _ if name.starts_with("wasmcloud:secrets/") => {
                problems.push(format!(
                    "it imports `{name}`, and this host keeps no secrets yet; give it named configuration"
                ));
            }
            ComponentItem::ComponentInstance(instance) => {
                if let Err(problem) = component(engine, &mut linker, name, &instance) {
                    problems.push(problem);
                }
            }
            _ => problems.push(format!("it imports `{name}`, which is no interface")),
        }
    }
    if problems.is_empty() { Ok(linker) } else { Err(problems.join("; ")) }
}

fn host(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasi::blobstore::types::add_to_linker::<_, HasCall>(linker, |call| call)?;
    wasi::blobstore::container::add_to_linker::<_, HasCall>(linker, |call| call)?;
    wasi::blobstore::blobstore::add_to_linker::<_, HasCall>(linker, |call| call)?;
    abide::object::client::add_to_linker::<_, HasCall>(linker, |call| call)?;
    wasi::keyvalue::store::add_to_linker::<_, HasCall>(linker, |call| call)?;
    wasi::keyvalue::atomics::add_to_linker::<_, HasCall>(linker, |call| call)?;
    wasi::keyvalue::batch::add_to_linker::<_, HasCall>(linker, |call| call)?;
    wasmcloud::messaging::types::add_to_linker::<_, HasCall>(linker, |call| call)?;
    wasmcloud::messaging::consumer::add_to_linker::<_, HasCall>(linker, |call| call)?;
    config::add(linker)?;
    logging::add(linker)?;
    bus::add(linker)
}

/// Links functions of an interface to whichever component a link names when they are called.
fn component(
    engine: &Engine,
    linker: &mut Linker<Call>,
    name: &str,
    instance: &ComponentInstance,
) -> Result<(), String> {
    let failed = |error: wasmtime::Error| format!("`{name}` does not link: {error:#}");
    let mut linked = linker.instance(name).map_err(failed)?;
    for (item, found) in instance.exports(engine) {
        match found.ty {
            ComponentItem::Type(_) => {}
            ComponentItem::ComponentFunc(function) => {
                let Some(signature) = Signature::of(&function) else {
                    return Err(format!(
                        "it imports `{name}#{item}`, which takes or gives handles, and these stay within a component"
                    ));
                };
                let (versioned, function) = (name.to_owned(), item.to_owned());
                let interface = name.split_once('@').map_or(name, |(interface, _)| interface).to_owned();
                linked
                    .func_new_async(item, move |store, _, arguments, results| {
                        let (interface, versioned, function, signature) =
                            (interface.clone(), versioned.clone(), function.clone(), signature.clone());
                        Box::new(async move {
                            let reach = &store.data().reach;
                            let (target, _) = reach.target(&interface).map_err(wasmtime::Error::msg)?;
                            let host = std::sync::Arc::clone(&reach.host);
                            match (host.component(&target), host.ports.remote.as_deref()) {
                                (Ok(component), _) => component
                                    .function(&host, &reach.caller, &versioned, &function, arguments, results)
                                    .await
                                    .map_err(wasmtime::Error::new),
                                (Err(_), Some(remote)) => {
                                    let link = reach.link_name(&interface);
                                    let called = (link, &*versioned, &*function);
                                    remote::call(
                                        remote, reach, &target, called, &signature, arguments, results,
                                    )
                                    .await
                                    .map_err(wasmtime::Error::msg)
                                }
                                (Err(failed), None) => Err(wasmtime::Error::new(failed)),
                            }
                        })
                    })
                    .map_err(failed)?;
            }
            _ => {
                return Err(format!(
                    "it imports `{name}`, whose `{item}` is a handle, and this host has no such interface"
                ));
            }
        }
    }
    Ok(())
}

/// Whether a value can be told apart from whose it is.
pub(crate) fn is_data(ty: &Type) -> bool {
    match ty {
        Type::List(list) => is_data(&list.ty()),
        Type::Record(record) => record.fields().all(|field| is_data(&field.ty)),
        Type::Tuple(tuple) => tuple.types().all(|ty| is_data(&ty)),
        Type::Variant(variant) => variant.cases().filter_map(|case| case.ty).all(|ty| is_data(&ty)),
        Type::Option(option) => is_data(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()].into_iter().flatten().all(|ty| is_data(&ty)),
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => false,
        _ => true,
    }
}
