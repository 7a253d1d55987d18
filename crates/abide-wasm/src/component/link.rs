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

/// The links and the configuration that a host knows: those that it was started with, which stay, and those of its lattice.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    fixed: Part,
    lattice: Part,
}

#[derive(Debug, Default)]
struct Part {
    /// By source.
    links: BTreeMap<String, Vec<Link>>,
    config: BTreeMap<String, Config>,
}

impl Part {
    fn links(&self, source: &str) -> &[Link] {
        self.links.get(source).map_or(&[], Vec::as_slice)
    }
}

impl Directory {
    /// What the host was started with.
    pub(crate) fn fix(&mut self, links: Vec<Link>, config: BTreeMap<String, Config>) {
        self.fixed = Part { links: BTreeMap::new(), config };
        for link in links {
            self.fixed.links.entry(link.source.clone()).or_default().push(link);
        }
    }

    /// The links from a source, in place of those before.
    pub(crate) fn set_links(&mut self, source: &str, links: Vec<Link>) {
        if links.is_empty() {
            self.lattice.links.remove(source);
        } else {
            self.lattice.links.insert(source.to_owned(), links);
        }
    }

    /// A configuration, in place of the one before.
    pub(crate) fn set_config(&mut self, name: &str, config: Option<Config>) {
        match config {
            Some(config) => drop(self.lattice.config.insert(name.to_owned(), config)),
            None => drop(self.lattice.config.remove(name)),
        }
    }

    /// The links from a source.
    pub(crate) fn links(&self, source: &str) -> impl Iterator<Item = &Link> {
        self.fixed.links(source).iter().chain(self.lattice.links(source))
    }

    /// The link of a name from a source for an interface.
    pub(crate) fn find(&self, source: &str, name: &str, interface: &str) -> Option<&Link> {
        self.links(source).find(|link| link.name == name && link.is_for(interface))
    }

    fn config(&self, name: &str) -> Option<&Config> {
        self.fixed.config.get(name).or_else(|| self.lattice.config.get(name))
    }

    /// Configurations laid over each other: what comes later counts.
    pub(crate) fn merged(&self, names: &[String]) -> Config {
        let mut merged = Config::new();
        for config in names.iter().filter_map(|name| self.config(name)) {
            merged.extend(config.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        merged
    }

    /// Those of some names that there are not.
    pub(crate) fn missing<'n>(&self, names: &'n [String]) -> Vec<&'n str> {
        names.iter().map(String::as_str).filter(|name| self.config(name).is_none()).collect()
    }
}
