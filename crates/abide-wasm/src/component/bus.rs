//! `wasmcloud:bus`: a component chooses by name which of its links an interface is called over.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};

use super::call::Call;

/// An interface that a link is chosen for: `NAMESPACE:PACKAGE/INTERFACE`.
struct Interface(String);

pub(crate) fn add(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    let mut first = linker.instance("wasmcloud:bus/lattice@1.0.0")?;
    interface(&mut first)?;
    first.func_wrap("set-link-name", |store, (name, interfaces): (String, Vec<Resource<Interface>>)| {
        // It cannot be told, and a call over a link that there is not says so.
        let _ = choose(store, &name, interfaces)?;
        Ok(())
    })?;
    let mut second = linker.instance("wasmcloud:bus/lattice@2.0.1")?;
    interface(&mut second)?;
    second.func_wrap("set-link-name", |store, (name, interfaces): (String, Vec<Resource<Interface>>)| {
        Ok((choose(store, &name, interfaces)?,))
    })?;
    Ok(())
}

fn interface(instance: &mut LinkerInstance<'_, Call>) -> wasmtime::Result<()> {
    let kind = ResourceType::host::<Interface>();
    instance.resource("call-target-interface", kind, |mut store, handle| {
        store.data_mut().table.delete(Resource::<Interface>::new_own(handle))?;
        Ok(())
    })?;
    instance.func_wrap(
        "[constructor]call-target-interface",
        |mut store: StoreContextMut<'_, Call>, (namespace, package, name): (String, String, String)| {
            let interface = Interface(format!("{namespace}:{package}/{name}"));
            Ok((store.data_mut().table.push(interface)?,))
        },
    )
}

/// Chooses a link for interfaces: all of them or, where one has no link of that name, none.
fn choose(
    mut store: StoreContextMut<'_, Call>,
    name: &str,
    interfaces: Vec<Resource<Interface>>,
) -> wasmtime::Result<Result<(), String>> {
    let call = store.data_mut();
    let mut names = Vec::with_capacity(interfaces.len());
    for handle in interfaces {
        names.push(call.table.delete(handle)?.0);
    }
    let missing = {
        let directory = call.reach.host.directory();
        let is_missing =
            |interface: &&String| directory.find(&call.reach.component.id, name, interface).is_none();
        names.iter().find(is_missing).cloned()
    };
    call.reach.chosen.extend(names.into_iter().map(|interface| (interface, name.to_owned())));
    Ok(match missing {
        None => Ok(()),
        Some(interface) => Err(format!("there is no link named `{name}` for `{interface}`")),
    })
}
