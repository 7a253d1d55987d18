//! Who may call whom for what: links, and the configuration that they name.

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// The links and the configuration that a host knows.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// By source.
    links: BTreeMap<String, Arc<[Link]>>,
    config: BTreeMap<String, Arc<Config>>,
}

impl Directory {
    /// The links from a source, in place of those before.
    pub(crate) fn set_links(&mut self, source: &str, links: Vec<Link>) {
        if links.is_empty() {
            self.links.remove(source);
        } else {
            self.links.insert(source.to_owned(), links.into());
        }
    }

    /// A configuration, in place of the one before.
    pub(crate) fn set_config(&mut self, name: &str, config: Option<Config>) {
        match config {
            Some(config) => drop(self.config.insert(name.to_owned(), Arc::new(config))),
            None => drop(self.config.remove(name)),
        }
    }

    /// The links from a source.
    pub(crate) fn links(&self, source: &str) -> Arc<[Link]> {
        self.links.get(source).cloned().unwrap_or_default()
    }

    /// The link of a name from a source for an interface.
    pub(crate) fn find(&self, source: &str, name: &str, interface: &str) -> Option<&Link> {
        self.links.get(source)?.iter().find(|link| link.name == name && link.is_for(interface))
    }

    /// Configurations laid over each other: what comes later counts.
    pub(crate) fn merged(&self, names: &[String]) -> Config {
        let mut merged = Config::new();
        for config in names.iter().filter_map(|name| self.config.get(name)) {
            merged.extend(config.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        merged
    }

    /// Those of some names that there are not.
    pub(crate) fn missing<'n>(&self, names: &'n [String]) -> Vec<&'n str> {
        names.iter().map(String::as_str).filter(|name| !self.config.contains_key(*name)).collect()
    }
}
