//! What a host knows of who may call whom for what.

use std::collections::BTreeMap;

use crate::link::{Config, Link};

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
