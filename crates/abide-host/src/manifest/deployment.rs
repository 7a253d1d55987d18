//! Message-driven components, builtin providers, and the links between them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use abide_core::document::Diagnostics;
use abide_wasm::link::{Config, Link};
use abide_wasm::provider::Builtin;

use super::component::{ComponentPart, NamedConfig, ProviderPart, RawLink, texts};
use crate::source::At;

/// What of a manifest is driven by messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// In the order of the manifest.
    pub components: Vec<ComponentSpec>,
    /// In the order of the manifest.
    pub providers: Vec<ProviderSpec>,
    /// In the order of the manifest.
    pub links: Vec<Link>,
    /// Named configuration.
    pub config: BTreeMap<String, Config>,
}

/// A message-driven component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSpec {
    /// Its name, which is its id.
    pub name: Arc<str>,
    /// Where its image comes from: `file://` and an absolute path, or a reference of a registry.
    pub image: String,
    /// Most of its instances at once.
    pub instances: u32,
    /// Names of configuration.
    pub config: Vec<String>,
    /// Where it stands in the manifest.
    pub span: Range<usize>,
}

/// A builtin provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSpec {
    /// Its name, which is its id.
    pub name: Arc<str>,
    /// What it was written as.
    pub reference: String,
    /// What it is.
    pub builtin: Builtin,
    /// Names of configuration.
    pub config: Vec<String>,
}

impl Deployment {
    /// Whether there is nothing of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.components.is_empty() && self.providers.is_empty()
    }
}

/// Puts a deployment together; what does not fit is reported and left out.
pub(super) struct Builder<'a> {
    pub(super) deployment: Deployment,
    /// Where each named configuration has its values from.
    defined: BTreeMap<String, Range<usize>>,
    /// Names that have to be defined somewhere.
    named: Vec<At<String>>,
    out: &'a Diagnostics,
}

/// The instances of a component where nothing is said, as in wasmCloud's manifests.
const INSTANCES: u32 = 1;

impl<'a> Builder<'a> {
    pub(super) fn new(out: &'a Diagnostics) -> Self {
        Self { deployment: Deployment::default(), defined: BTreeMap::new(), named: Vec::new(), out }
    }

    pub(super) fn component(&mut self, name: &At<Arc<str>>, part: &ComponentPart) {
        let config = self.configs(&part.config);
        self.deployment.components.push(ComponentSpec {
            name: Arc::clone(&name.value),
            image: part.image.clone(),
            instances: part.instances.unwrap_or(INSTANCES),
            config,
            span: name.span.clone(),
        });
    }

    pub(super) fn provider(&mut self, name: &At<Arc<str>>, part: &ProviderPart) {
        let config = self.configs(&part.config);
        self.deployment.providers.push(ProviderSpec {
            name: Arc::clone(&name.value),
            reference: part.reference.clone(),
            builtin: part.builtin,
            config,
        });
    }

    pub(super) fn link(&mut self, source: &str, link: &RawLink) {
        let joined = self.joined(source, link);
        let same = |other: &&Link| {
            (&other.source, &other.name, &other.namespace, &other.package)
                == (&joined.source, &joined.name, &joined.namespace, &joined.package)
                && other.interfaces.iter().any(|interface| joined.interfaces.contains(interface))
                && self.deployment.providers.iter().all(|provider| *provider.name != *joined.source)
        };
        if let Some(other) = self.deployment.links.iter().find(same) {
            let message = format!(
                "`{source}` is linked to `{}` for the same interface under the same name",
                other.target
            );
            self.out.error(link.span.clone(), message, "give one of the links another `name`");
            return;
        }
        self.deployment.links.push(joined);
    }

    /// Links to each of some objects: by their ids.
    pub(super) fn object_links<'o>(
        &mut self,
        source: &str,
        link: &RawLink,
        objects: impl Iterator<Item = &'o str>,
    ) {
        let joined = self.joined(source, link);
        self.deployment
            .links
            .extend(objects.map(|object| Link { target: object.to_owned(), ..joined.clone() }));
    }

    fn joined(&mut self, source: &str, link: &RawLink) -> Link {
        Link {
            source: source.to_owned(),
            target: link.target.value.clone(),
            name: link.name.clone(),
            namespace: link.namespace.clone(),
            package: link.package.clone(),
            interfaces: link.interfaces.iter().map(|interface| interface.value.clone()).collect(),
            source_config: self.configs(&link.source_config),
            target_config: self.configs(&link.target_config),
        }
    }

    /// The names of configurations; those with values are kept.
    fn configs(&mut self, configs: &[NamedConfig]) -> Vec<String> {
        let mut names = Vec::new();
        for config in configs {
            let name = &config.name;
            names.push(name.value.clone());
            let Some(properties) = &config.properties else {
                self.named.push(name.clone());
                continue;
            };
            let values = texts(properties, self.out);
            self.defined.insert(name.value.clone(), name.span.clone());
            match self.deployment.config.get(&name.value) {
                Some(other) if *other != values => {
                    let message = format!("there are two configurations `{}` with other values", name.value);
                    self.out.error(name.span.clone(), message, "rename one of them");
                }
                _ => drop(self.deployment.config.insert(name.value.clone(), values)),
            }
        }
        names
    }

    pub(super) fn finish(self) -> Deployment {
        for name in self.named.iter().filter(|name| !self.defined.contains_key(&name.value)) {
            let message = format!("there is no configuration `{}` in the manifest", name.value);
            self.out.error(name.span.clone(), message, "give it its `properties` here");
        }
        self.deployment
    }
}
