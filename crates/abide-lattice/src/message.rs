//! What goes over the lattice, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A link from a component to what it may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Who calls.
    pub source_id: String,
    /// Who is called.
    pub target: String,
    /// Its name; `default` where none is given.
    #[serde(default = "default_name")]
    pub name: String,
    /// Of the WIT package.
    pub wit_namespace: String,
    /// The WIT package.
    pub wit_package: String,
    /// Its interfaces.
    pub interfaces: Vec<String>,
    /// Named configuration for the source.
    #[serde(default)]
    pub source_config: Vec<String>,
    /// Named configuration for the target.
    #[serde(default)]
    pub target_config: Vec<String>,
}

/// What identifies a link to delete.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DeleteLink {
    pub(crate) source_id: String,
    #[serde(default = "default_name")]
    pub(crate) name: String,
    pub(crate) wit_namespace: String,
    pub(crate) wit_package: String,
}

/// What is asked of a host that is to run a component.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Scale {
    pub(crate) component_ref: String,
    pub(crate) component_id: String,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) count: u32,
}

/// What is asked of a host that is to start a provider.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StartProvider {
    pub(crate) provider_ref: String,
    pub(crate) provider_id: String,
}

/// What is asked of a host that is to stop. It stops after its tick at hand, whatever `timeout` says.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct StopHost {
    #[serde(default)]
    pub(crate) host_id: Option<String>,
}

/// A component in an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its id.
    pub id: String,
    /// Where it came from.
    pub image_ref: String,
    /// Its name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was said of it when it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The revision in its claims; 0 without.
    pub revision: i32,
    /// Most of its instances at once.
    pub max_instances: u32,
}

/// A provider in an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Its id.
    pub id: String,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// The revision in its claims; 0 without.
    pub revision: i32,
}

/// What a bucket holds of a component: where it came from, and its links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Specification {
    #[serde(default)]
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) links: Vec<Link>,
}

fn default_name() -> String {
    "default".to_owned()
}
