//! Links: what they join, and what becomes of components once they are joined.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use abide_core::document::{Diagnostics, NodeKind, Reader};
use abide_core::policy::Grant;
use abide_core::schema::Schema;

use super::component::{Builtin, CapabilityPart, Component, ComponentKind, ObjectPart, RawLink, called};
use super::deployment::{Builder, Deployment};
use super::offer;
use super::target::{self, TargetConfig, TargetKind};
use super::{EffectLink, ObjectComponent, http, keyvalue};
use crate::source::{At, Mapping, Mode, Recipient, Source, SourceConfig, SourceKind, suggestion};

/// The one interface that an object offers to components.
const CLIENT: &str = "abide:object/client";
/// The one interface that an object offers to sources.
const OBSERVATION: &str = "abide:object/observation";

type Joined = (Vec<ObjectComponent>, Vec<Source>, Vec<TargetConfig>, Deployment);

/// Joins components along their links. What does not fit is reported and left out. `names` are those of all components,
/// also of those that could not be read: nothing more is said about a link to one of them.
pub(super) fn join(
    components: Vec<Component>,
    names: &[At<Arc<str>>],
    base: &Path,
    out: &Diagnostics,
) -> Joined {
    let roles: BTreeMap<Arc<str>, Role> =
        components.iter().map(|c| (Arc::clone(&c.name.value), role(c, &components))).collect();
    let joiner = Joiner { components: &components, names, roles: &roles, base, out };
    let sources = joiner.sources();
    let targets = joiner.targets();
    let deployment = joiner.deployment();
    let links: Vec<_> = components.iter().map(|component| joiner.effect_links(component, &targets)).collect();
    report_mixed_modes(&components, &sources, out);
    let objects = components.into_iter().zip(links).filter_map(|(component, links)| match component.kind {
        ComponentKind::Object(part) => Some(ObjectComponent {
            name: component.name.value,
            schema_path: part.schema_path,
            schema: part.schema?,
            behaviour: part.behaviour,
            objects: part.objects.into_iter().map(|object| object.value).collect(),
            links,
            span: component.name.span,
        }),
        _ => None,
    });
    (objects.collect(), sources, targets, deployment)
}

/// What a component is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Object,
    Source,
    /// What effects call.
    Target,
    /// What messages drive: a component, or a provider of components. Effects may send messages by the same provider.
    Deployed,
}

/// `jsonl` is a source where it observes or links to something, and a target otherwise; `messaging` is a source where it observes. It
/// and `keyvalue` are what effects call where objects alone link to them, and so is a component.
fn role(component: &Component, all: &[Component]) -> Role {
    match &component.kind {
        ComponentKind::Object(_) => Role::Object,
        ComponentKind::Provider(_) => Role::Deployed,
        ComponentKind::Component(part) => {
            let drives = part.is_scaled || !component.links.is_empty() || is_linked(component, all, false);
            if drives || !is_linked(component, all, true) { Role::Deployed } else { Role::Target }
        }
        ComponentKind::Capability(part) => match part.builtin {
            Builtin::Csv => Role::Source,
            Builtin::KeyValue if is_linked(component, all, false) => Role::Deployed,
            Builtin::Exec | Builtin::Http | Builtin::KeyValue => Role::Target,
            Builtin::JsonLines if observes(part) || !component.links.is_empty() => Role::Source,
            Builtin::JsonLines => Role::Target,
            Builtin::Messaging if observes(part) => Role::Source,
            Builtin::Messaging
                if component.links.is_empty() && is_called_by_objects_alone(component, all) =>
            {
                Role::Target
            }
            Builtin::Messaging => Role::Deployed,
        },
    }
}

fn is_called_by_objects_alone(component: &Component, all: &[Component]) -> bool {
    is_linked(component, all, true) && !is_linked(component, all, false)
}

fn observes(part: &CapabilityPart) -> bool {
    matches!(&part.properties.kind, NodeKind::Map(entries) if entries.iter().any(|(key, _)| key.text == "observations"))
}

/// Whether objects, or with `objects` false others, link to a component.
fn is_linked(component: &Component, all: &[Component], objects: bool) -> bool {
    let sources = all.iter().filter(|one| matches!(one.kind, ComponentKind::Object(_)) == objects);
    sources.flat_map(|one| &one.links).any(|link| *link.target.value == *component.name.value)
}

struct Joiner<'a> {
    components: &'a [Component],
    names: &'a [At<Arc<str>>],
    roles: &'a BTreeMap<Arc<str>, Role>,
    base: &'a Path,
    out: &'a Diagnostics,
}

impl<'a> Joiner<'a> {
    fn sources(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        for (component, part) in self.capabilities(Role::Source) {
            let recipients = self.recipients(component);
            let name = Arc::clone(&component.name.value);
            let Some(reader) = self.properties(component, part, "a source") else { continue };
            let kind = match part.builtin {
                Builtin::Csv => SourceKind::Csv,
                Builtin::Messaging => SourceKind::Messages,
                _ => SourceKind::JsonLines,
            };
            let config = SourceConfig::read(name, kind, reader, self.base);
            let (Some(config), Some(recipients)) = (config, recipients) else { continue };
            if let Some(mapping) = Mapping::bind(&config, &recipients, self.out) {
                sources.push(Source { config, mapping: Arc::new(mapping) });
            }
        }
        sources
    }

    fn targets(&self) -> Vec<TargetConfig> {
        let mut targets = Vec::new();
        for component in self.components {
            let name = &component.name;
            if self.is_shared(component) && is_linked(component, self.components, true) {
                targets.push(TargetConfig { name: Arc::clone(&name.value), kind: TargetKind::Messages });
            }
            if self.roles.get(&name.value) != Some(&Role::Target) {
                continue;
            }
            for link in &component.links {
                let message = format!("`{}` is a target of effects; it links to nothing", name.value);
                self.out.error(
                    link.span.clone(),
                    message,
                    "put the link on the object component that calls it",
                );
            }
            let links = || self.components.iter().flat_map(|c| &c.links);
            if !links().any(|link| *link.target.value == *name.value) {
                let message = format!("nothing links to `{}`", name.value);
                let help = "link an object component to it, or a source from it, or take it out";
                self.out.warning(name.span.clone(), message, help);
            }
            let kind = match &component.kind {
                ComponentKind::Object(_) | ComponentKind::Provider(_) => None,
                ComponentKind::Component(part) => called(part, self.out).map(TargetKind::Component),
                ComponentKind::Capability(part) => {
                    let Some(reader) = self.properties(component, part, "a target") else { continue };
                    match part.builtin {
                        Builtin::Exec => target::read_exec(reader, self.base),
                        Builtin::Http => http::read(reader),
                        Builtin::KeyValue => keyvalue::read(reader),
                        Builtin::Messaging => {
                            reader.finish();
                            Some(TargetKind::Messages)
                        }
                        Builtin::JsonLines | Builtin::Csv => target::read_json_lines(reader, self.base),
                    }
                }
            };
            targets.extend(kind.map(|kind| TargetConfig { name: Arc::clone(&name.value), kind }));
        }
        targets
    }

    /// Whether effects and components call the same provider.
    fn is_shared(&self, component: &Component) -> bool {
        component.builtin() == Some(Builtin::Messaging)
            && self.roles.get(&component.name.value) == Some(&Role::Deployed)
    }

    /// What messages drive, with its links.
    fn deployment(&self) -> Deployment {
        let mut builder = Builder::new(self.out);
        let is_deployed = |name: &str| self.roles.get(name) == Some(&Role::Deployed);
        let deployed: Vec<_> = self.components.iter().filter(|one| is_deployed(&one.name.value)).collect();
        for component in &deployed {
            match &component.kind {
                ComponentKind::Component(part) => builder.component(&component.name, part),
                ComponentKind::Provider(part) => builder.provider(&component.name, part),
                ComponentKind::Capability(CapabilityPart { provided: Some(part), .. }) => {
                    builder.provider(&component.name, part);
                }
                _ => {}
            }
            let links = || self.components.iter().flat_map(|one| &one.links);
            let name = &component.name;
            if component.links.is_empty() && !links().any(|link| *link.target.value == *name.value) {
                let message = format!("nothing links to `{}`, and it links to nothing", name.value);
                self.out.warning(name.span.clone(), message, "link something to it, or take it out");
            }
        }
        for component in &deployed {
            for link in &component.links {
                if self.find(&link.target).is_none() {
                    continue;
                }
                let target = self.find(&link.target).map(|target| &target.kind);
                if is_deployed(&link.target.value) {
                    builder.link(&component.name.value, link);
                } else if let (Some(ComponentKind::Object(part)), ComponentKind::Component(_)) =
                    (target, &component.kind)
                {
                    self.client_only(link);
                    let objects = part.objects.iter().map(|object| &*object.value.id);
                    builder.object_links(&component.name.value, link, objects);
                } else {
                    let message = format!("`{}` cannot call `{}`", component.name.value, link.target.value);
                    let help = "a component calls components, objects over `abide:object/client`, and builtin providers of components";
                    self.out.error(link.target.span.clone(), message, help);
                }
            }
        }
        builder.finish()
    }

    fn capabilities(&self, role: Role) -> impl Iterator<Item = (&'a Component, &'a CapabilityPart)> {
        self.components.iter().filter_map(move |component| match &component.kind {
            ComponentKind::Capability(part) if self.roles.get(&component.name.value) == Some(&role) => {
                Some((component, part))
            }
            _ => None,
        })
    }

    fn properties(&self, component: &Component, part: &'a CapabilityPart, what: &str) -> Option<Reader<'a>> {
        let reader = Reader::new(&part.properties, format!("{what} (`{}`)", component.name.value), self.out)?;
        Some(reader.at(component.name.span.clone()))
    }

    /// The object components that a source is linked to; `None` where one of them has no schema to bind to.
    fn recipients(&self, source: &Component) -> Option<Vec<Recipient>> {
        if source.links.is_empty() {
            let message = format!("the source `{}` is linked to no object component", source.name.value);
            let help = "add a `link` trait with `target`, `namespace: abide`, `package: object` and \
                        `interfaces: [observation]`";
            self.out.error(source.name.span.clone(), message, help);
            return None;
        }
        let mut recipients: Vec<Recipient> = Vec::new();
        let mut complete = true;
        for link in &source.links {
            link.check_options(self.out);
            self.observation_only(link);
            let Some(component) = self.find(&link.target) else {
                complete = false;
                continue;
            };
            let ComponentKind::Object(part) = &component.kind else {
                let message = format!("a source cannot deliver to `{}`", link.target.value);
                self.out.error(link.target.span.clone(), message, "link it to a component of type `object`");
                complete = false;
                continue;
            };
            match &part.schema {
                Some(schema) if recipients.iter().all(|r| r.component != component.name.value) => {
                    recipients.push(recipient(component, part, schema));
                }
                Some(_) => {}
                None => complete = false,
            }
        }
        complete.then_some(recipients)
    }

    /// An object is there for components over one interface.
    fn client_only(&self, link: &RawLink) {
        for interface in &link.interfaces {
            let name = interface_name(link, &interface.value);
            if name != CLIENT {
                let message = format!("an object does not offer `{name}` to components");
                let help = "a component reaches it over `namespace: abide`, `package: object`, `interfaces: [client]`";
                self.out.error(interface.span.clone(), message, help);
            }
        }
    }

    fn observation_only(&self, link: &RawLink) {
        for interface in &link.interfaces {
            let name = interface_name(link, &interface.value);
            if name != OBSERVATION {
                let message = format!("an object does not offer `{name}`");
                let help = "a source delivers over `namespace: abide`, `package: object`, `interfaces: [observation]`";
                self.out.error(interface.span.clone(), message, help);
            }
        }
        if let Some(first) = link.functions.first() {
            let help = "what a source may ask for is named in its `observations`";
            self.out.error(first.span.clone(), "a link from a source has no `functions`", help);
        }
    }

    /// The links of an object component; none for anything else.
    fn effect_links(&self, component: &Component, targets: &[TargetConfig]) -> Vec<EffectLink> {
        let ComponentKind::Object(part) = &component.kind else { return Vec::new() };
        let mut links: Vec<EffectLink> = Vec::new();
        for link in &component.links {
            link.check_options(self.out);
            if !self.is_target(link) {
                continue;
            }
            let builtin = self.find(&link.target).and_then(Component::builtin);
            let callee = builtin.map(|builtin| offer::Callee {
                builtin,
                config: targets.iter().find(|target| *target.name == *link.target.value),
            });
            for interface in &link.interfaces {
                let effect_link = EffectLink {
                    grant: grant(link, interface),
                    live_in_replay: link.live_in_replay,
                    span: interface.span.clone(),
                };
                if links.iter().any(|other| overlap(&other.grant, &effect_link.grant)) {
                    let message = format!("`{}` is granted twice", effect_link.grant.interface);
                    let help =
                        "an effect goes over one link: take one out, or divide the `functions` between them";
                    self.out.error(interface.span.clone(), message, help);
                    continue;
                }
                if let Some(callee) = &callee
                    && !callee.check_link(link, interface, &effect_link.grant, self.out)
                {
                    continue;
                }
                if let Some(schema) = &part.schema {
                    self.report_unused(schema, link, interface, &effect_link.grant);
                    if let Some(callee) = &callee {
                        callee.check_effects(schema, &effect_link.grant, &interface.span, self.out);
                    }
                }
                links.push(effect_link);
            }
        }
        self.report_ungranted(component, part, &links);
        links
    }

    fn is_target(&self, link: &RawLink) -> bool {
        let Some(component) = self.find(&link.target) else { return false };
        let name = &link.target.value;
        let (message, help) = match self.roles.get(&component.name.value) {
            Some(Role::Target) => return true,
            Some(Role::Deployed) if self.is_shared(component) => return true,
            Some(Role::Deployed) => {
                let help = "effects call what objects alone link to: name it once more, under another name, for them";
                (format!("`{name}` is driven by messages; an object's effects do not call it"), help)
            }
            Some(Role::Source) => {
                let help = "put the link on the source, with the object component as its target";
                (format!("`{name}` is a source; an object calls nothing of it"), help)
            }
            _ => {
                let help = "an object's link leads to a capability; objects do not call each other";
                (format!("`{name}` is an object component; it offers nothing to call"), help)
            }
        };
        self.out.error(link.target.span.clone(), message, help);
        false
    }

    fn find(&self, name: &At<String>) -> Option<&'a Component> {
        let found = self.components.iter().find(|c| *c.name.value == *name.value);
        if found.is_none() && self.names.iter().all(|known| *known.value != *name.value) {
            let names: Vec<&str> = self.names.iter().map(|known| &*known.value).collect();
            let message = format!("there is no component `{}`", name.value);
            self.out.error(name.span.clone(), message, suggestion(&name.value, names, "components"));
        }
        found
    }

    /// A grant that no effect uses is probably misspelt.
    fn report_unused(&self, schema: &Schema, link: &RawLink, interface: &At<String>, grant: &Grant) {
        let effects = || schema.mutations.iter().filter_map(|m| m.effect.as_ref());
        if !effects().any(|effect| effect.interface == grant.interface) {
            let message = format!("no effect of `{}` calls `{}`", schema.name, grant.interface);
            let names: BTreeSet<&str> = effects().map(|effect| &*effect.interface).collect();
            self.out.warning(
                interface.span.clone(),
                message,
                suggestion(&grant.interface, names, "interfaces that its effects call"),
            );
            return;
        }
        let functions: BTreeSet<&str> =
            effects().filter(|e| e.interface == grant.interface).map(|e| &*e.function).collect();
        for function in link.functions.iter().filter(|f| !functions.contains(f.value.as_str())) {
            let message =
                format!("no effect of `{}` calls `{}` of `{}`", schema.name, function.value, grant.interface);
            let help = suggestion(&function.value, functions.clone(), "functions that its effects call");
            self.out.warning(function.span.clone(), message, help);
        }
    }

    fn report_ungranted(&self, component: &Component, part: &ObjectPart, links: &[EffectLink]) {
        let Some(schema) = &part.schema else { return };
        for mutation in &schema.mutations {
            let Some(effect) = &mutation.effect else { continue };
            let granted = links.iter().any(|link| {
                link.grant.interface == effect.interface
                    && (link.grant.functions.is_empty() || link.grant.functions.contains(&effect.function))
            });
            if !granted {
                let message = format!(
                    "no link of `{}` grants `{}` of `{}`: `{}` will be denied",
                    component.name.value, effect.function, effect.interface, mutation.name
                );
                let help = "add a `link` trait to the capability that takes the call";
                self.out.warning(component.name.span.clone(), message, help);
            }
        }
    }
}

fn recipient(component: &Component, part: &ObjectPart, schema: &Arc<Schema>) -> Recipient {
    Recipient {
        component: Arc::clone(&component.name.value),
        schema: Arc::clone(schema),
        objects: part.objects.iter().map(|object| Arc::clone(&object.value.id)).collect(),
    }
}

fn grant(link: &RawLink, interface: &At<String>) -> Grant {
    Grant {
        target: link.target.value.as_str().into(),
        interface: interface_name(link, &interface.value).into(),
        functions: link.functions.iter().map(|function| function.value.as_str().into()).collect(),
    }
}

fn interface_name(link: &RawLink, interface: &str) -> String {
    format!("{}:{}/{interface}", link.namespace, link.package)
}

/// Whether a call could go over either.
fn overlap(a: &Grant, b: &Grant) -> bool {
    a.interface == b.interface
        && (a.functions.is_empty()
            || b.functions.is_empty()
            || a.functions.iter().any(|function| b.functions.contains(function)))
}

/// A replay is the same each time; a live source is not.
fn report_mixed_modes(components: &[Component], sources: &[Source], out: &Diagnostics) {
    let of = |mode: Mode| sources.iter().find(|source| source.config.mode == mode);
    let (Some(replayed), Some(live)) = (of(Mode::Replay), of(Mode::Live)) else { return };
    let Some(component) = components.iter().find(|c| c.name.value == live.config.name) else { return };
    let message = format!("`{}` is live while `{}` is replayed", live.config.name, replayed.config.name);
    let help = "give all sources the same `mode`: a replay comes out the same each time, and a live source would not";
    out.error(component.name.span.clone(), message, help);
}
