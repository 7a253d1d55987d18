//! Which crate may know which: the shape that ARCHITECTURE.md describes, held over `cargo metadata`.
//!
//! The table names crates that may not exist yet; a crate of the workspace that is not in the table has no place and fails
//! the test.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Who may depend on whom within the workspace, tests included.
const LAYERS: &[(&str, &[&str])] = &[
    ("abide-core", &[]),
    ("abide-store", &["abide-core"]),
    ("abide-wasm", &["abide-core"]),
    ("abide-lattice", &["abide-core"]),
    ("abide-oci", &[]),
    // The example's behaviour is held against the component that is carried of it.
    ("abide-host", &["abide-core", "abide-store", "abide-wasm", "abide-lattice", "abide-oci", "frost_guard"]),
    ("abide", &["abide-core", "abide-host"]),
    ("abide-sdk", &["abide-sdk-macros"]),
    ("abide-sdk-macros", &["abide-core"]),
    ("abide-sim", &["abide-core", "abide-store", "abide-host"]),
    ("abide-fuzz", &["abide-core", "abide-store", "abide-host"]),
    ("abide-bench", &["abide-core", "abide-store", "abide-wasm", "abide-lattice", "abide-host", "abide-sim"]),
    ("frost_guard", &["abide-sdk"]),
    ("xtask", &[]),
];

/// Crates that are for this repository alone.
const UNPUBLISHED: &[&str] = &["abide-sim", "abide-fuzz", "abide-bench", "frost_guard", "xtask"];

/// What only some crates name among their dependencies, of any kind. A `*` at the end stands for the rest of a name.
const CONFINED: &[(&str, &[&str])] = &[
    // Benchmarks hold acts, and calls of components, against the engine alone.
    ("wasmtime", &["abide-wasm", "abide-host", "abide-bench"]),
    ("wasmtime-*", &["abide-wasm", "abide-host"]),
    // A benchmark holds a component that answers messages against a program that does.
    ("async-nats", &["abide-lattice", "abide-bench"]),
    // Nothing else waits, but for a benchmark that does what these do.
    ("tokio", &["abide-lattice", "abide-oci", "abide-wasm", "abide-bench"]),
    ("hyper*", &["abide-oci", "abide-wasm", "abide-bench"]),
    ("oci-*", &["abide-oci"]),
    // Competitors.
    ("wasmcloud-*", &["abide-bench"]),
    ("wash-*", &["abide-bench"]),
    ("wadm*", &["abide-bench"]),
    ("spin-*", &["abide-bench"]),
    ("extism*", &["abide-bench"]),
    ("rusqlite", &["abide-bench"]),
    ("libsqlite3-sys", &["abide-bench"]),
    // What the builtin target `keyvalue` keeps its values in; the log is ours.
    ("redb", &["abide-host", "abide-bench"]),
    ("sled", &["abide-bench"]),
    ("fjall", &["abide-bench"]),
];

/// What a crate never brings in, not through any of its dependencies either.
const ABSENT: &[(&str, &[&str])] = &[
    ("abide-core", &["tokio", "wasmtime", "async-nats"]),
    ("abide-store", &["tokio", "wasmtime", "async-nats"]),
    ("abide-wasm", &["async-nats"]),
    ("abide-lattice", &["wasmtime"]),
    ("abide-sdk", &["tokio", "wasmtime", "async-nats"]),
];

#[test]
fn the_workspace_keeps_its_shape() {
    let problems = problems(&read_workspace());
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_breach_is_found() {
    let sound = || Crate { published: true, lints: true, ..Crate::default() };
    let unpublished = || Crate { published: false, ..sound() };
    let of = |krate: Crate, dependencies: &[&str]| Crate {
        direct: names(dependencies),
        all: names(dependencies),
        ..krate
    };
    let check = |name: &str, krate: Crate| problems(&BTreeMap::from([(name.to_owned(), krate)]));

    assert_eq!(check("abide-host", of(sound(), &["abide-store", "abide-lattice", "wasmtime"])), [""; 0]);
    assert_eq!(
        check("abide-bench", of(unpublished(), &["abide-host", "rusqlite", "wasmcloud-host"])),
        [""; 0]
    );

    let breaches = [
        ("abide-new", of(sound(), &[]), "`abide-new` has no place in the layering table"),
        ("abide-store", of(sound(), &["abide-wasm"]), "`abide-store` must not depend on `abide-wasm`"),
        ("abide", of(sound(), &["abide-store"]), "`abide` must not depend on `abide-store`"),
        ("abide-host", of(sound(), &["async-nats"]), "`abide-host` must not name `async-nats`"),
        ("abide-host", of(sound(), &["tokio"]), "`abide-host` must not name `tokio`"),
        ("abide-lattice", of(sound(), &["wasmtime-wasi"]), "`abide-lattice` must not name `wasmtime-wasi`"),
        ("abide-host", of(sound(), &["rusqlite"]), "`abide-host` must not name `rusqlite`"),
        ("abide-core", Crate { all: names(&["tokio"]), ..sound() }, "`abide-core` must not bring in `tokio`"),
        ("abide-sim", of(sound(), &[]), "`abide-sim` must say `publish = false`"),
        ("abide-core", of(unpublished(), &[]), "`abide-core` is meant to be published"),
        ("abide-core", Crate { lints: false, ..sound() }, "`abide-core` must say `[lints] workspace = true`"),
    ];
    for (name, krate, expected) in breaches {
        let found = check(name, krate);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
    }
}

/// What the rules look at in a crate of the workspace.
#[derive(Default)]
struct Crate {
    /// The names among its dependencies, of every kind and platform, optional ones included.
    direct: BTreeSet<String>,
    /// What it brings in with all features on, through others too; its development dependencies included.
    all: BTreeSet<String>,
    published: bool,
    lints: bool,
}

fn problems(workspace: &BTreeMap<String, Crate>) -> Vec<String> {
    workspace.iter().flat_map(|(name, krate)| problems_of(name, krate)).collect()
}

fn problems_of(name: &str, krate: &Crate) -> Vec<String> {
    let mut problems = Vec::new();
    match LAYERS.iter().find(|(layer, _)| *layer == name) {
        None => problems.push(format!("`{name}` has no place in the layering table of {}", file!())),
        Some((_, allowed)) => {
            let ours = krate.direct.iter().filter(|d| LAYERS.iter().any(|(layer, _)| layer == d));
            let refused = ours.filter(|d| !allowed.contains(&d.as_str()));
            problems.extend(refused.map(|d| format!("`{name}` must not depend on `{d}`")));
        }
    }
    for (pattern, _) in CONFINED.iter().filter(|(_, allowed)| !allowed.contains(&name)) {
        let named = krate.direct.iter().filter(|d| matches(pattern, d));
        problems.extend(named.map(|d| format!("`{name}` must not name `{d}`")));
    }
    for (_, absent) in ABSENT.iter().filter(|(layer, _)| *layer == name) {
        let present = absent.iter().filter(|dependency| krate.all.contains(**dependency));
        problems.extend(
            present.map(|d| format!("`{name}` must not bring in `{d}`: see `cargo tree -p {name} -i {d}`")),
        );
    }
    if !krate.lints {
        problems.push(format!("`{name}` must say `[lints] workspace = true`"));
    }
    match (krate.published, UNPUBLISHED.contains(&name)) {
        (true, true) => problems.push(format!("`{name}` must say `publish = false`")),
        (false, false) => {
            problems.push(format!("`{name}` is meant to be published, and says `publish = false`"));
        }
        _ => {}
    }
    problems
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn read_workspace() -> BTreeMap<String, Crate> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .features(CargoOpt::AllFeatures)
        .exec()
        .expect("cargo metadata reads");
    let read = |package: &Package| Crate {
        direct: package.dependencies.iter().map(|dependency| dependency.name.clone()).collect(),
        all: brought_in(&metadata, &package.id),
        published: package.publish.is_none(),
        lints: inherits_lints(&fs::read_to_string(&package.manifest_path).unwrap()),
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.to_string(), read(package)))
        .collect()
}

/// Names of everything reached from a package over its own dependencies of every kind, and from there over what is built
/// for use: the development dependencies of others are never built.
fn brought_in(metadata: &Metadata, root: &PackageId) -> BTreeSet<String> {
    let nodes: BTreeMap<_, _> =
        metadata.resolve.iter().flat_map(|r| &r.nodes).map(|node| (&node.id, node)).collect();
    let mut reached = BTreeSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        for dependency in &nodes[id].deps {
            let used = dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if (used || id == root) && reached.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    reached.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.replace(' ', "") == "workspace=true")
}
