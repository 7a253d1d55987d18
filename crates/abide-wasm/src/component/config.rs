//! `wasi:config`: what a component was configured with, as it is now.

use wasmtime::component::{ComponentType, Linker, Lower};

use super::call::Call;

const NAMES: [&str; 3] =
    ["wasi:config/store@0.2.0-draft", "wasi:config/runtime@0.2.0-draft", "wasi:config/store@0.2.0-rc.1"];

/// Why a value cannot be read, of which there is nothing here.
#[derive(Debug, ComponentType, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "upstream")]
    #[expect(dead_code, reason = "the shape is given; values are at hand always")]
    Upstream(String),
    #[component(name = "io")]
    #[expect(dead_code, reason = "the shape is given; values are at hand always")]
    Io(String),
}

pub(crate) fn add(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    for name in NAMES {
        let mut instance = linker.instance(name)?;
        instance.func_wrap("get", |store, (key,): (String,)| {
            let value = store.data().reach.config().remove(&key);
            Ok((Ok::<_, Error>(value),))
        })?;
        instance.func_wrap("get-all", |store, (): ()| {
            let all: Vec<(String, String)> = store.data().reach.config().into_iter().collect();
            Ok((Ok::<_, Error>(all),))
        })?;
    }
    Ok(())
}
