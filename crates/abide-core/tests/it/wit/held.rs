//! A world held against what the parser of the WebAssembly tools makes of its text.

use std::collections::BTreeSet;

use abide_core::wit::{DEPENDENCIES, RecordType, Type, World};
use wit_parser::{Function, InterfaceId, Resolve, Type as Wit, TypeDefKind, WorldId, WorldItem, WorldKey};

/// The text as the parser reads it.
fn resolved(world: &World) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    for dependency in DEPENDENCIES {
        resolve.push_str(dependency.folder, dependency.text).unwrap();
    }
    let text = world.to_wit();
    let package = resolve.push_str("world.wit", &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let id = resolve.select_world(&[package], Some("behaviour")).unwrap();
    (resolve, id)
}

/// Asserts that the text says what the model says: every type, every case, every export.
pub(super) fn held(world: &World) {
    let (resolve, id) = resolved(world);
    let parsed = &resolve.worlds[id];
    let package = &resolve.packages[parsed.package.unwrap()];
    assert_eq!(package.name.to_string(), world.package.replace('%', ""));
    let types = package.interfaces["types"];
    world.types.iter().for_each(|ty| same(&resolve, &of_name(&resolve, types, name(ty)), ty));
    same(&resolve, &of_name(&resolve, types, "memory"), &world.memory);
    mutations(&resolve, types, world);
    let known: BTreeSet<&str> = world.types.iter().map(name).collect();
    assert_eq!(known.len(), world.types.len(), "every name once");

    let exports: Vec<&str> = world.actions.iter().map(|action| action.export.as_str()).collect();
    let parsed: Vec<(&str, &Function)> = parsed
        .exports
        .iter()
        .map(|(key, item)| match (key, item) {
            (WorldKey::Name(name), WorldItem::Function(function)) => (name.as_str(), function),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(parsed.iter().map(|(name, _)| *name).collect::<Vec<_>>(), exports);
    for (_, function) in parsed {
        let params: Vec<_> = function.params.iter().map(|param| param.name.as_str()).collect();
        assert_eq!(params, ["cycle", "memory"]);
        assert!(function.result.is_some());
    }
}

/// Asserts that a component of the world is valid: its names and its depth are within the bounds of components.
pub(super) fn component(world: &World) {
    let (resolve, id) = resolved(world);
    let mut module = wit_component::dummy_module(
        &resolve,
        id,
        wit_parser::ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync),
    );
    wit_component::embed_component_metadata(&mut module, &resolve, id, wit_component::StringEncoding::UTF8)
        .unwrap();
    let mut encoder = wit_component::ComponentEncoder::default().module(&module).unwrap().validate(true);
    encoder.encode().unwrap_or_else(|error| panic!("{error:?}\n{}", world.to_wit()));
}

fn mutations(resolve: &Resolve, types: InterfaceId, world: &World) {
    let step = definition(resolve, &of_name(resolve, types, "step"));
    let TypeDefKind::Variant(step) = step else { panic!("{step:?}") };
    assert_eq!(step.cases.len(), if world.mutations.is_empty() { 4 } else { 5 });
    assert_eq!(resolve.interfaces[types].types.contains_key("mutation"), !world.mutations.is_empty());
    if world.mutations.is_empty() {
        return;
    }
    let mutation = definition(resolve, &of_name(resolve, types, "mutation"));
    let TypeDefKind::Variant(mutation) = mutation else { panic!("{mutation:?}") };
    assert_eq!(mutation.cases.len(), world.mutations.len());
    for (case, expected) in mutation.cases.iter().zip(&world.mutations) {
        assert_eq!((&case.name, case.ty.is_some()), (&expected.name, expected.args.is_some()));
        if let (Some(ty), Some(args)) = (&case.ty, &expected.args) {
            record(resolve, ty, args);
        }
    }
}

fn of_name(resolve: &Resolve, types: InterfaceId, name: &str) -> Wit {
    Wit::Id(*resolve.interfaces[types].types.get(name).unwrap_or_else(|| panic!("there is no type `{name}`")))
}

fn name(ty: &Type) -> &str {
    match ty {
        Type::Enum(of) => &of.name,
        Type::Record(of) => &of.name,
        Type::Nothing(name) => name,
        other => panic!("{other:?} has no name"),
    }
}

/// What a type stands for, through `use` and `type`.
fn definition<'r>(resolve: &'r Resolve, ty: &Wit) -> &'r TypeDefKind {
    let Wit::Id(id) = ty else { panic!("{ty:?} has no definition") };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(ty @ Wit::Id(_)) => definition(resolve, ty),
        kind => kind,
    }
}

fn record(resolve: &Resolve, ty: &Wit, expected: &RecordType) {
    let Wit::Id(id) = ty else { panic!("{ty:?}") };
    assert_eq!(resolve.types[*id].name.as_deref(), Some(&*expected.name));
    let TypeDefKind::Record(parsed) = definition(resolve, ty) else { panic!("{ty:?}") };
    assert_eq!(parsed.fields.len(), expected.fields.len());
    for (field, expected) in parsed.fields.iter().zip(&expected.fields) {
        assert_eq!(field.name, expected.name);
        same(resolve, &field.ty, &expected.ty);
    }
}

fn same(resolve: &Resolve, ty: &Wit, expected: &Type) {
    match (ty, expected) {
        (Wit::Bool, Type::Bool)
        | (Wit::S64, Type::S64)
        | (Wit::F64, Type::F64)
        | (Wit::String, Type::String) => {
            return;
        }
        (_, Type::Record(expected)) => return record(resolve, ty, expected),
        _ => {}
    }
    match (definition(resolve, ty), expected) {
        (TypeDefKind::Type(Wit::S64), Type::Timestamp | Type::Duration) => {
            let Wit::Id(id) = ty else { panic!("{ty:?}") };
            let alias = if *expected == Type::Timestamp { "timestamp" } else { "duration" };
            assert_eq!(resolve.types[*id].name.as_deref(), Some(alias));
        }
        (TypeDefKind::List(Wit::U8), Type::Bytes) => {}
        (TypeDefKind::Enum(parsed), Type::Enum(expected)) => {
            let names = expected.cases.iter().map(|case| &case.name);
            assert!(parsed.cases.iter().map(|case| &case.name).eq(names));
        }
        (TypeDefKind::Enum(parsed), Type::Nothing(_)) => {
            assert!(parsed.cases.len() == 1 && parsed.cases[0].name == "nothing");
        }
        (TypeDefKind::List(item), Type::List(expected)) => same(resolve, item, expected),
        (TypeDefKind::List(item), Type::Map(expected)) => {
            let TypeDefKind::Tuple(entry) = definition(resolve, item) else { panic!("{item:?}") };
            let [Wit::String, value] = entry.types.as_slice() else { panic!("{entry:?}") };
            same(resolve, value, expected);
        }
        (TypeDefKind::Option(some), Type::Option(expected)) => same(resolve, some, expected),
        (parsed, expected) => panic!("{parsed:?} is not {expected:?}"),
    }
}
