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

/// A component that is to run, to run otherwise, or with `count` 0 to run no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Scale {
    /// Where its image comes from.
    pub component_ref: String,
    /// Its id.
    pub component_id: String,
    /// What is said of it.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Most of its instances at once.
    #[serde(default)]
    pub count: u32,
    /// What a call may take: `max_memory_limit` in bytes, `max_execution_time` in seconds.
    #[serde(default)]
    pub component_limits: Option<BTreeMap<String, String>>,
    /// Named configuration.
    #[serde(default)]
    pub config: Vec<String>,
    /// Whether one that runs gets the image, where that is another.
    #[serde(default)]
    pub allow_update: bool,
}

/// A component that is to run with another image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Update {
    /// Its id.
    pub component_id: String,
    /// What is said of it.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Where the image comes from.
    pub new_component_ref: String,
}

/// A provider that is to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StartProvider {
    /// Where it comes from.
    pub provider_ref: String,
    /// Its id.
    pub provider_id: String,
    /// Named configuration.
    #[serde(default)]
    pub config: Vec<String>,
    /// What is said of it.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A provider that is to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct StopProvider {
    /// Its id.
    #[serde(alias = "provider_ref")]
    pub provider_id: String,
}

/// What is to be bid for: a component or a provider, on a host with such labels.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Auction {
    #[serde(alias = "provider_ref")]
    pub(crate) component_ref: String,
    #[serde(alias = "provider_id")]
    pub(crate) component_id: String,
    #[serde(default)]
    pub(crate) constraints: BTreeMap<String, String>,
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
    /// What a call may take, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<BTreeMap<String, String>>,
    /// What was signed of its image, where it was signed.
    #[serde(skip)]
    pub claims: Option<Claimed>,
}

/// What was signed of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The component's public key: `M…`.
    pub public_key: String,
    /// As events tell it.
    pub told: serde_json::Value,
    /// As the bucket holds it.
    pub kept: BTreeMap<String, String>,
}

/// Who a host is to a registry.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RegistryCredential {
    /// The name.
    #[serde(default)]
    pub username: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<String>,
    /// A token in their place.
    #[serde(default)]
    pub token: Option<String>,
}

impl std::fmt::Debug for RegistryCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets are never shown.
        f.debug_struct("RegistryCredential").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Component {
    /// Whether it is a resident object: its annotations say so.
    #[must_use]
    pub fn is_object(&self) -> bool {
        let kind = self.annotations.as_ref().and_then(|annotations| annotations.get(KIND));
        kind.is_some_and(|kind| kind == OBJECT)
    }
}

/// The annotation that says what a component is, and what it says of an object.
pub const KIND: &str = "abide.dev/kind";
/// What `KIND` says of an object.
pub const OBJECT: &str = "object";

/// A provider in an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Its id.
    pub id: String,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// Its name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was said of it when it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
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
