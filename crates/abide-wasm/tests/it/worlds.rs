//! The world of a schema, its text, and what the sandbox takes for it agree.

use abide_core::guest::Fault;
use abide_core::wit::{DEPENDENCIES, World};

use crate::guests::{load, schema, with_act};

/// A component that the WebAssembly tools make of the text is taken, and the memory passes its types: only then does its
/// body, which is unreachable, trap.
#[test]
fn a_component_of_the_text_is_taken() {
    let schema = schema("");
    let mut resolve = wit_parser::Resolve::default();
    for dependency in DEPENDENCIES {
        resolve.push_str(dependency.folder, dependency.text).unwrap();
    }
    let package = resolve.push_str("world.wit", &World::of(&schema).to_wit()).unwrap();
    let id = resolve.select_world(&[package], Some("behaviour")).unwrap();
    let abi = wit_parser::ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync);
    let mut module = wit_component::dummy_module(&resolve, id, abi);
    wit_component::embed_component_metadata(&mut module, &resolve, id, wit_component::StringEncoding::UTF8)
        .unwrap();
    let component = wit_component::ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    let component = load(&schema, &component).unwrap();
    let error = with_act(&schema, |act| component.act(act)).answer.unwrap_err();
    assert_eq!(error.fault, Fault::Trap, "{}", error.message);
}
