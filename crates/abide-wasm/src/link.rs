//! Who may call whom for what: links, and the configuration that they name.

use std::collections::BTreeMap;

/// A configuration: texts by name.
pub type Config = BTreeMap<String, String>;

/// A link: its source may call its target for some interfaces of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who calls.
    pub source: String,
    /// Who is called.
    pub target: String,
    /// Its name: a source with several links for the same interface chooses by it.
    pub name: String,
    /// Of the WIT package.
    pub namespace: String,
    /// The WIT package.
    pub package: String,
    /// Its interfaces.
    pub interfaces: Vec<String>,
    /// Named configuration for the source.
    pub source_config: Vec<String>,
    /// Named configuration for the target.
    pub target_config: Vec<String>,
}

impl Link {
    /// Whether it is for an interface, `NAMESPACE:PACKAGE/INTERFACE` without a version.
    #[must_use]
    pub fn is_for(&self, interface: &str) -> bool {
        let name = interface.strip_prefix(self.namespace.as_str()).and_then(|rest| rest.strip_prefix(':'));
        let name = name.and_then(|rest| rest.strip_prefix(self.package.as_str()));
        let name = name.and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| self.interfaces.iter().any(|one| one == name))
    }
}
