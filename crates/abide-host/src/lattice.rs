//! A host's objects in a lattice: they are listed as components, and a request to stop the host stops it.
//!
//! The lattice asks as any other program does, over the socket in the data folder: so it waits for no tick, and no tick for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use abide_lattice::{Component, Guests, Inventory};
use serde_json::Value as Json;

use crate::local;

pub use abide_lattice::{Identity, Lattice, Options, StartError, State};

/// The objects of the host that runs on a data folder.
#[derive(Debug)]
pub struct Residents {
    /// The data folder.
    pub folder: PathBuf,
    /// Set when the host is to stop.
    pub stop: Arc<AtomicBool>,
}

impl Guests for Residents {
    fn inventory(&self) -> Option<Inventory> {
        let listed = local::objects(&self.folder)?;
        let objects = listed.get("objects").and_then(Json::as_array)?;
        Some(Inventory { components: objects.iter().filter_map(component).collect(), ..Inventory::default() })
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// An object as a component of a lattice: its annotations say that it is one.
fn component(object: &Json) -> Option<Component> {
    let text = |name: &str| object.get(name).and_then(Json::as_str);
    let (id, schema, version) = (text("id")?, text("schema")?, text("version")?);
    let annotations = [
        ("abide.dev/kind", "object"),
        ("abide.dev/schema", text("digest")?),
        ("abide.dev/status", text("status")?),
    ];
    let annotations: BTreeMap<_, _> =
        annotations.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(Component {
        id: id.to_owned(),
        image_ref: format!("abide+object://{schema}:{version}"),
        name: Some(schema.to_owned()),
        annotations: Some(annotations),
        revision: 0,
        max_instances: 1,
    })
}
