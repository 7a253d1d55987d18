//! A component against the world of a schema: everything that is wrong, each with what to do about it.

use abide_core::wit::World;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex};

use crate::imports;
use crate::sandbox::Problem;
use crate::shape::Signature;

/// Largest component that is looked at, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// Most differences of one export that are told.
const DIFFERENCES_MAX: usize = 20;

/// What bytes are before they are compiled.
pub(crate) fn form(bytes: &[u8]) -> Result<(), Problem> {
    if bytes.len() > BYTES_MAX {
        let message = format!("it has {} bytes; at most {BYTES_MAX} are loaded", bytes.len());
        return Err(Problem::new(message, "strip its debug information (`wasm-tools strip`)"));
    }
    match bytes {
        // The fourth byte after the magic tells a layer: 0 of modules, 1 of components.
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => Err(Problem::new(
            "it is a core module and not a component",
            "make a component of it: `wasm-tools component new MODULE -o COMPONENT`, with the types of the world embedded",
        )),
        [0, b'a', b's', b'm', ..] => Ok(()),
        _ => Err(Problem::new(
            "it is no WebAssembly",
            "give the component that your build made, a file that ends in .wasm",
        )),
    }
}

/// The export of each action, in the order of the world's.
pub(crate) fn exports(
    engine: &Engine,
    component: &Component,
    world: &World,
) -> Result<Vec<ComponentExportIndex>, Vec<Problem>> {
    let mut problems = imports::problems(engine, component);
    let signature = Signature::of_actions(world);
    let ty = component.component_type();
    let mut found = Vec::new();
    let mut differs = false;
    for action in &world.actions {
        let export = &action.export;
        let expected = "func(cycle: cycle, memory: memory) -> result<list<step>, string>";
        let Some(item) = ty.get_export(engine, export) else {
            differs = true;
            problems.push(Problem::new(
                format!(
                    "it lacks the export `{export}: {expected}`, which the rules of the schema call as `{}`",
                    action.name
                ),
                format!("export `{export}`, or let no rule say `act: {}`", action.name),
            ));
            continue;
        };
        let ComponentItem::ComponentFunc(function) = item.ty else {
            differs = true;
            problems.push(Problem::new(
                format!("its export `{export}` is no function; `{expected}` is expected"),
                "build it against the world that `abide wit SCHEMA` writes",
            ));
            continue;
        };
        let differences = signature.differences(&function);
        differs |= !differences.is_empty();
        let more = differences.len().saturating_sub(DIFFERENCES_MAX);
        problems.extend(differences.into_iter().take(DIFFERENCES_MAX).map(|difference| {
            Problem::new(
                format!("its export `{export}` is not of the schema: {difference}"),
                "write the world again with `abide wit SCHEMA`, and build the behaviour against it",
            )
        }));
        if more > 0 {
            let message = format!("its export `{export}` has {more} more differences");
            problems.push(Problem::new(message, "mend the others first"));
        }
        found.extend(component.get_export_index(None, export));
    }
    if differs {
        problems.extend(other_world(engine, component, world));
    }
    if problems.is_empty() && found.len() == world.actions.len() { Ok(found) } else { Err(problems) }
}

/// The package that a component was built for, if it names another than this one.
fn other_world(engine: &Engine, component: &Component, world: &World) -> Option<Problem> {
    let package = world.package.replace('%', "");
    let ty = component.component_type();
    let mut names = ty.imports(engine).map(|(name, _)| name).filter(|name| name.starts_with("schema:"));
    let other = names.find_map(|name| {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        let of = format!("{}@{version}", interface.split('/').next().unwrap_or(interface));
        (of != package).then_some(of)
    })?;
    Some(Problem::new(
        format!("it was built for `{other}`, and the schema is `{package}`"),
        "give the component of this schema, or build it against the world that `abide wit SCHEMA` writes",
    ))
}
