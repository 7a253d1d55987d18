//! The world of a schema, its text, and what the sandbox takes for it agree.

use abide_core::guest::Fault;
use abide_core::schema::Schema;
use abide_core::wit::{DEPENDENCIES, World};
use wit_parser::{Resolve, WorldId};

use crate::guests::{load, schema, with_act};

/// The world of a schema as the WebAssembly tools read its text.
pub(crate) fn resolved(schema: &Schema) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    for dependency in DEPENDENCIES {
        resolve.push_str(dependency.folder, dependency.text).unwrap();
    }
    let package = resolve.push_str("world.wit", &World::of(schema).to_wit()).unwrap();
    let id = resolve.select_world(&[package], Some("behaviour")).unwrap();
    (resolve, id)
}

/// A module of that world whose functions are unreachable.
pub(crate) fn dummy((resolve, id): &(Resolve, WorldId)) -> Vec<u8> {
    let abi = wit_parser::ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync);
    wit_component::dummy_module(resolve, *id, abi)
}

/// The component that the WebAssembly tools make of a module of that world.
pub(crate) fn componentize((resolve, id): &(Resolve, WorldId), mut module: Vec<u8>) -> Vec<u8> {
    wit_component::embed_component_metadata(&mut module, resolve, *id, wit_component::StringEncoding::UTF8)
        .unwrap();
    wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// A component that the WebAssembly tools make of the text is taken, and the memory passes its types: only then does its
/// body, which is unreachable, trap.
#[test]
fn a_component_of_the_text_is_taken() {
    let schema = schema("");
    let world = resolved(&schema);
    let component = load(&schema, &componentize(&world, dummy(&world))).unwrap();
    let error = with_act(&schema, |act| component.act(act)).answer.unwrap_err();
    assert_eq!(error.fault, Fault::Trap, "{}", error.message);
}
