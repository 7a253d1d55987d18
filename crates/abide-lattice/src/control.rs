//! The control interface: what a host answers to, as decisions alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::event::Event;
use crate::message::{
    Auction, Component, DeleteLink, Link, Provider, RegistryCredential, Scale, Specification, StartProvider,
    StopHost, StopProvider, Update,
};
use crate::subject::Subject;

/// Most labels of a host.
const LABELS_MAX: usize = 256;
/// Most bytes of a name, a label's key or its value.
const NAME_BYTES_MAX: usize = 1024;
/// Most components that an inventory lists: the reply must fit into one message.
pub(crate) const INVENTORY_MAX: usize = 1_000;

/// Who a host is.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Its public nkey: `N…`.
    pub id: String,
    /// Its name, for people.
    pub friendly_name: String,
    /// The lattice.
    pub lattice: String,
    /// Its version: semver.
    pub version: String,
    /// Labels that it starts with.
    pub labels: BTreeMap<String, String>,
    /// Of the address that it is connected to, for people.
    pub address: Option<String>,
    /// The JetStream domain.
    pub js_domain: Option<String>,
}

/// What runs on a host.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Components, and objects as components.
    pub components: Vec<Component>,
    /// Providers.
    pub providers: Vec<Provider>,
    /// How long it has run, in seconds.
    pub uptime: u64,
}

/// A bucket of a lattice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// `LATTICEDATA_…`: components with their links, and claims.
    Data,
    /// `CONFIGDATA_…`: named configuration.
    Config,
}

/// A change of a bucket; every host of the lattice comes to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Which bucket.
    pub bucket: Bucket,
    /// The key.
    pub key: String,
    /// The value; `None` deletes it.
    pub value: Option<Json>,
    /// The revision that it replaces, where another host might have changed it meanwhile; 0: there was none.
    pub replaces: Option<u64>,
}

/// What a host is to do, beside answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A component is to run, to run otherwise, or to run no more.
    Scale(Scale),
    /// A component is to run with another image.
    Update(Update),
    /// A provider is to start.
    StartProvider(StartProvider),
    /// A provider is to stop.
    StopProvider(StopProvider),
    /// Who the host is to registries from now on.
    Credentials(BTreeMap<String, RegistryCredential>),
}

impl Action {
    /// The id of what it is about: what is about the same is done in order.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Scale(scale) => &scale.component_id,
            Self::Update(update) => &update.component_id,
            Self::StartProvider(start) => &start.provider_id,
            Self::StopProvider(stop) => &stop.provider_id,
            Self::Credentials(_) => "",
        }
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Performed {
    /// How components run now, in the order that it is told in; those with 0 instances do no more.
    Components(Vec<Component>),
    /// A provider has started.
    Started(Provider),
    /// A provider has stopped.
    Stopped(Provider),
    /// There was nothing to do.
    Nothing,
}

/// What a host comes to know of its lattice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// All links from a source.
    Links(String, Vec<Link>),
    /// A named configuration; `None`: there is none any more.
    Config(String, Option<BTreeMap<String, String>>),
}

/// What a bucket holds under a key, at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value; `None`: nothing any more.
    pub value: Option<Vec<u8>>,
    /// The revision.
    pub revision: u64,
}

/// What comes of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Handled {
    /// What is answered; `None`: nothing.
    pub reply: Option<Json>,
    /// What is told.
    pub events: Vec<Event>,
    /// What is written.
    pub write: Option<Write>,
    /// What is to be done, once that is written.
    pub action: Option<Action>,
    /// Whether the host is to stop.
    pub stop: bool,
}

/// A host's side of the control interface.
#[derive(Debug)]
pub struct Control {
    identity: Identity,
    labels: BTreeMap<String, String>,
    /// By component, its links and where it came from; with the revision in the bucket.
    specifications: BTreeMap<String, (Specification, u64)>,
    claims: BTreeMap<String, BTreeMap<String, String>>,
    config: BTreeMap<String, BTreeMap<String, String>>,
}

impl Control {
    /// A host that nobody has told anything yet.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        let labels = identity.labels.clone();
        Self {
            identity,
            labels,
            specifications: BTreeMap::new(),
            claims: BTreeMap::new(),
            config: BTreeMap::new(),
        }
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Takes up all that a bucket holds: what it holds no more is forgotten. What came of it.
    pub fn learn_all(&mut self, bucket: Bucket, entries: &[Entry]) -> Vec<Learned> {
        let kept: BTreeSet<&str> = entries.iter().map(|entry| &*entry.key).collect();
        let held: Vec<String> = match bucket {
            Bucket::Data => {
                self.claims.retain(|key, _| kept.contains(format!("CLAIMS_{key}").as_str()));
                self.specifications.keys().map(|id| format!("COMPONENT_{id}")).collect()
            }
            Bucket::Config => self.config.keys().cloned().collect(),
        };
        let gone = held.iter().filter(|key| !kept.contains(key.as_str()));
        let mut learned: Vec<Learned> = gone.filter_map(|key| self.learn(bucket, key, None, 0)).collect();
        learned.extend(
            entries
                .iter()
                .filter_map(|entry| self.learn(bucket, &entry.key, entry.value.as_deref(), entry.revision)),
        );
        learned
    }

    /// Takes up what a bucket holds under a key, at a revision; `None`: nothing any more. What came of it.
    pub fn learn(
        &mut self,
        bucket: Bucket,
        key: &str,
        value: Option<&[u8]>,
        revision: u64,
    ) -> Option<Learned> {
        match (bucket, key.split_once('_')) {
            (Bucket::Data, Some(("COMPONENT", id))) => {
                // What cannot be read has no links, and what is written in its place replaces it.
                let found = value.map(|value| read::<Specification>(value).unwrap_or_default());
                let links = found.as_ref().map(|found| found.links.clone()).unwrap_or_default();
                match found {
                    Some(found) => drop(self.specifications.insert(id.to_owned(), (found, revision))),
                    None => drop(self.specifications.remove(id)),
                }
                Some(Learned::Links(id.to_owned(), links))
            }
            (Bucket::Data, Some(("CLAIMS", key))) => {
                match value.and_then(read).as_ref().map(texts) {
                    Some(found) => drop(self.claims.insert(key.to_owned(), found)),
                    None => drop(self.claims.remove(key)),
                }
                None
            }
            (Bucket::Config, _) if !key.starts_with(SECRET) => {
                let found: Option<BTreeMap<String, String>> = value.and_then(read);
                match found.clone() {
                    Some(found) => drop(self.config.insert(key.to_owned(), found)),
                    None => drop(self.config.remove(key)),
                }
                Some(Learned::Config(key.to_owned(), found))
            }
            _ => None,
        }
    }

    /// The event of a start.
    #[must_use]
    pub fn started(&self) -> Event {
        let Identity { friendly_name, version, .. } = &self.identity;
        let data = json!({
            "friendly_name": friendly_name, "labels": self.labels, "uptime_seconds": 0, "version": version,
        });
        Event::new("host_started", data)
    }

    /// The event of an end.
    #[must_use]
    pub fn stopped(&self) -> Event {
        Event::new("host_stopped", json!({ "labels": self.labels }))
    }

    /// The event that says, every so often, that the host is there and what runs on it.
    #[must_use]
    pub fn heartbeat(&self, inventory: &Inventory) -> Event {
        Event::new("host_heartbeat", self.inventory(inventory))
    }

    /// What the lattice is to keep of a component's claims, where it does not yet.
    #[must_use]
    pub fn unclaimed(&self, component: &Component) -> Option<Write> {
        let claimed = component.claims.as_ref()?;
        (self.claims.get(&claimed.public_key) != Some(&claimed.kept)).then(|| Write {
            bucket: Bucket::Data,
            key: format!("CLAIMS_{}", claimed.public_key),
            value: Some(json!(claimed.kept)),
            replaces: None,
        })
    }

    /// The event of an object or a component that runs, or with 0 instances, does so no more.
    #[must_use]
    pub fn scaled(&self, component: &Component) -> Event {
        let mut data = json!({
            "annotations": component.annotations.clone().unwrap_or_default(),
            "host_id": self.identity.id,
            "image_ref": component.image_ref,
            "max_instances": component.max_instances,
            "component_id": component.id,
        });
        if let (Some(claimed), Json::Object(data)) = (&component.claims, &mut data) {
            data.insert("public_key".to_owned(), claimed.public_key.as_str().into());
            data.insert("claims".to_owned(), claimed.told.clone());
        }
        Event::new("component_scaled", data)
    }

    /// What is told of an action, by what came of it.
    #[must_use]
    pub fn performed(&self, action: &Action, outcome: &Result<Performed, String>) -> Vec<Event> {
        match outcome {
            Ok(Performed::Nothing) => Vec::new(),
            Ok(Performed::Components(components)) => components.iter().map(|one| self.scaled(one)).collect(),
            Ok(Performed::Started(provider)) => {
                let data = json!({
                    "host_id": self.identity.id,
                    "image_ref": provider.image_ref,
                    "provider_id": provider.id,
                    "annotations": provider.annotations.clone().unwrap_or_default(),
                });
                vec![Event::new("provider_started", data)]
            }
            Ok(Performed::Stopped(provider)) => {
                let data = json!({
                    "host_id": self.identity.id,
                    "provider_id": provider.id,
                    "annotations": provider.annotations.clone().unwrap_or_default(),
                    "reason": "stop",
                    "instance_id": provider.id,
                    "public_key": provider.id,
                    "link_name": "default",
                });
                vec![Event::new("provider_stopped", data)]
            }
            Err(error) => match action {
                Action::Scale(scale) => vec![self.scale_failed(
                    &scale.component_ref,
                    &scale.component_id,
                    scale.annotations.as_ref(),
                    scale.count,
                    error,
                )],
                Action::Update(update) => vec![self.scale_failed(
                    &update.new_component_ref,
                    &update.component_id,
                    update.annotations.as_ref(),
                    0,
                    error,
                )],
                Action::StartProvider(start) => {
                    let data = json!({
                        "provider_ref": start.provider_ref, "provider_id": start.provider_id,
                        "host_id": self.identity.id, "error": error, "link_name": "default",
                    });
                    vec![Event::new("provider_start_failed", data)]
                }
                Action::StopProvider(_) | Action::Credentials(_) => Vec::new(),
            },
        }
    }

    fn scale_failed(
        &self,
        reference: &str,
        id: &str,
        annotations: Option<&BTreeMap<String, String>>,
        count: u32,
        error: &str,
    ) -> Event {
        let data = json!({
            "annotations": annotations.cloned().unwrap_or_default(),
            "host_id": self.identity.id,
            "image_ref": reference,
            "component_id": id,
            "max_instances": count,
            "error": error,
        });
        Event::new("component_scale_failed", data)
    }

    /// Handles a request.
    pub fn handle(&mut self, subject: &Subject, payload: &[u8], inventory: &Inventory) -> Handled {
        let own = self.identity.id.clone();
        match subject {
            Subject::Ping => answered(ok(&self.host(inventory.uptime))),
            Subject::Inventory(id) if *id == own => answered(ok(&self.inventory(inventory))),
            Subject::Stop(id) if *id == own => stop(payload, &own),
            Subject::AuctionComponent => {
                let runs = |id: &str| inventory.components.iter().any(|one| one.id == id);
                self.bid(payload, "component", runs)
            }
            Subject::AuctionProvider => {
                let runs = |id: &str| inventory.providers.iter().any(|one| one.id == id);
                self.bid(payload, "provider", runs)
            }
            Subject::Scale(id) if *id == own => self.scale(payload, inventory),
            Subject::Update(id) if *id == own => update(payload, inventory),
            Subject::StartProvider(id) if *id == own => start_provider(payload, inventory),
            Subject::StopProvider(id) if *id == own => stop_provider(payload, inventory),
            Subject::PutLabel(id) if *id == own => self.put_label(payload),
            Subject::DeleteLabel(id) if *id == own => self.delete_label(payload),
            Subject::PutLink => self.put_link(payload),
            Subject::DeleteLink => self.delete_link(payload),
            Subject::Links => {
                let links: Vec<&Link> =
                    self.specifications.values().flat_map(|(spec, _)| &spec.links).collect();
                answered(ok(&json!(links)))
            }
            Subject::Claims => answered(ok(&json!(self.claims.values().collect::<Vec<_>>()))),
            Subject::PutConfig(name) => self.put_config(name, payload),
            Subject::DeleteConfig(name) => self.delete_config(name),
            Subject::Config(name) => answered(match self.config.get(name) {
                Some(config) => ok(&json!(config)),
                None => done("Configuration not found"),
            }),
            Subject::Registries => match read(payload) {
                Some(all) => Handled {
                    action: Some(Action::Credentials(all)),
                    ..answered(done("successfully put registries"))
                },
                None => answered(failed("the credentials are no map of registries")),
            },
            Subject::Unsupported => answered(failed("unsupported subject")),
            // Of another host.
            _ => Handled::default(),
        }
    }

    fn host(&self, uptime: u64) -> Json {
        let Identity { id, friendly_name, lattice, version, address, js_domain, .. } = &self.identity;
        let all = [
            ("id", json!(id)),
            ("friendly_name", json!(friendly_name)),
            ("labels", json!(self.labels)),
            ("lattice", json!(lattice)),
            ("uptime_seconds", json!(uptime)),
            ("uptime_human", json!(human(uptime))),
            ("version", json!(version)),
            ("ctl_host", json!(address)),
            ("rpc_host", json!(address)),
            ("js_domain", json!(js_domain)),
        ];
        let there = all.into_iter().filter(|(_, value)| !value.is_null());
        Json::Object(there.map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn inventory(&self, inventory: &Inventory) -> Json {
        let Identity { id, friendly_name, version, .. } = &self.identity;
        let components = inventory.components.get(..INVENTORY_MAX).unwrap_or(&inventory.components);
        json!({
            "host_id": id,
            "friendly_name": friendly_name,
            "labels": self.labels,
            "version": version,
            "uptime_human": human(inventory.uptime),
            "uptime_seconds": inventory.uptime,
            "components": components,
            "providers": inventory.providers,
        })
    }

    /// Bids where the labels are as they have to be and it does not run here yet; says nothing otherwise. What no host could bid for
    /// is refused.
    fn bid(&self, payload: &[u8], kind: &str, runs: impl Fn(&str) -> bool) -> Handled {
        let Some(auction) = read::<Auction>(payload) else {
            return answered(failed(&format!("this is no auction of a {kind}")));
        };
        if !is_key(&auction.component_id) {
            return answered(failed(NO_ID));
        }
        let mut constraints = auction.constraints.iter();
        if runs(&auction.component_id) || !constraints.all(|(key, value)| self.labels.get(key) == Some(value))
        {
            return Handled::default();
        }
        let (reference, id) = (format!("{kind}_ref"), format!("{kind}_id"));
        answered(ok(&json!({
            reference: auction.component_ref,
            id: auction.component_id,
            "constraints": auction.constraints,
            "host_id": self.identity.id,
        })))
    }

    fn scale(&self, payload: &[u8], inventory: &Inventory) -> Handled {
        let Some(asked) = read::<Scale>(payload) else {
            return answered(failed("this is no request to scale a component"));
        };
        let refuse = |why: &str| {
            let (annotations, error) = (asked.annotations.as_ref(), why);
            let event =
                self.scale_failed(&asked.component_ref, &asked.component_id, annotations, asked.count, error);
            Handled { events: vec![event], ..answered(failed(why)) }
        };
        if !is_key(&asked.component_id) {
            return refuse(NO_ID);
        }
        if are_ours(asked.annotations.as_ref()) {
            return refuse(OURS);
        }
        let message = match inventory.components.iter().find(|one| one.id == asked.component_id) {
            Some(object) if object.is_object() => return refuse(OBJECT),
            Some(running) if asked.count > 0 && running.image_ref != asked.component_ref => {
                let what = if asked.allow_update {
                    "It gets the new one."
                } else {
                    "It keeps the one that it has; the request to update it gives it another."
                };
                format!("it runs with the image {}, not {}. {what}", running.image_ref, asked.component_ref)
            }
            _ => String::new(),
        };
        Handled { action: Some(Action::Scale(asked)), ..answered(done(&message)) }
    }

    fn put_label(&mut self, payload: &[u8]) -> Handled {
        let Some(label) = read::<BTreeMap<String, String>>(payload) else {
            return answered(failed("a label has a `key` and a `value`, both texts"));
        };
        let (Some(key), Some(value)) = (label.get("key"), label.get("value")) else {
            return answered(failed("a label has a `key` and a `value`, both texts"));
        };
        if key.starts_with("hostcore.") {
            return answered(failed("labels that begin with `hostcore.` are the host's own"));
        }
        if key.is_empty() || key.len() > NAME_BYTES_MAX || value.len() > NAME_BYTES_MAX {
            return answered(failed("the key or the value of a label is empty, or longer than 1024 bytes"));
        }
        if self.labels.len() >= LABELS_MAX && !self.labels.contains_key(key) {
            return answered(failed("a host has at most 256 labels"));
        }
        self.labels.insert(key.clone(), value.clone());
        self.labels_changed("successfully put host label")
    }

    fn delete_label(&mut self, payload: &[u8]) -> Handled {
        let key = read::<BTreeMap<String, String>>(payload).and_then(|mut label| label.remove("key"));
        let Some(key) = key else { return answered(failed("a label to delete has a `key`")) };
        if key.starts_with("hostcore.") {
            return answered(failed("labels that begin with `hostcore.` are the host's own"));
        }
        if self.labels.remove(&key).is_none() {
            return answered(done("the host has no such label"));
        }
        self.labels_changed("successfully deleted host label")
    }

    fn labels_changed(&self, message: &str) -> Handled {
        let data = json!({ "host_id": self.identity.id, "labels": self.labels });
        Handled { events: vec![Event::new("labels_changed", data)], ..answered(done(message)) }
    }

    fn put_link(&self, payload: &[u8]) -> Handled {
        let Some(link) = read::<Link>(payload) else { return answered(failed("this is no link")) };
        let refuse = |what: String| {
            let mut data = json!(link);
            if let Json::Object(data) = &mut data {
                data.insert("error".to_owned(), what.as_str().into());
            }
            Handled { events: vec![Event::new("linkdef_set_failed", data)], ..answered(failed(&what)) }
        };
        if !is_key(&link.source_id) {
            return refuse(
                "the `source_id` of a link has letters, digits, `-`, `_`, `/` and `=`, 1024 at most"
                    .to_owned(),
            );
        }
        let mut named = link.source_config.iter().chain(&link.target_config);
        if let Some(secret) = named.clone().find(|name| name.starts_with(SECRET)) {
            return refuse(format!(
                "Failed to validate configuration and secrets: this host resolves no secrets yet, such as `{secret}`"
            ));
        }
        if let Some(missing) = named.find(|name| !self.config.contains_key(*name)) {
            return refuse(format!(
                "Failed to validate configuration and secrets: there is no configuration `{missing}`; put it first"
            ));
        }
        let (mut specification, revision) =
            self.specifications.get(&link.source_id).cloned().unwrap_or_default();
        let same = |other: &Link| {
            other.name == link.name
                && other.wit_namespace == link.wit_namespace
                && other.wit_package == link.wit_package
        };
        let overlaps = |other: &Link| {
            let wanted: BTreeSet<&String> = link.interfaces.iter().collect();
            other.interfaces.iter().any(|interface| wanted.contains(interface))
        };
        if let Some(other) = specification
            .links
            .iter()
            .find(|other| same(other) && overlaps(other) && other.target != link.target)
        {
            return refuse(format!(
                "`{}` is linked to `{}` for an interface of these under the name `{}` already; delete that link first",
                link.source_id, other.target, link.name
            ));
        }
        specification.links.retain(|other| !(same(other) && other.target == link.target));
        specification.links.push(link.clone());
        self.written(
            &link.source_id,
            &specification,
            revision,
            Event::new("linkdef_set", json!(link)),
            "successfully set link",
        )
    }

    fn delete_link(&self, payload: &[u8]) -> Handled {
        let Some(wanted) = read::<DeleteLink>(payload) else { return answered(failed("this names no link")) };
        let Some((mut specification, revision)) = self.specifications.get(&wanted.source_id).cloned() else {
            return answered(done("there is no such link"));
        };
        let before = specification.links.len();
        specification.links.retain(|link| {
            link.name != wanted.name
                || link.wit_namespace != wanted.wit_namespace
                || link.wit_package != wanted.wit_package
        });
        if specification.links.len() == before {
            return answered(done("there is no such link"));
        }
        let data = json!({
            "source_id": wanted.source_id, "name": wanted.name,
            "wit_namespace": wanted.wit_namespace, "wit_package": wanted.wit_package,
        });
        let event = Event::new("linkdef_deleted", data);
        self.written(&wanted.source_id, &specification, revision, event, "successfully deleted link")
    }

    /// What a changed specification comes to: it counts when it is written.
    fn written(
        &self,
        source: &str,
        specification: &Specification,
        revision: u64,
        event: Event,
        message: &str,
    ) -> Handled {
        let write = Write {
            bucket: Bucket::Data,
            key: format!("COMPONENT_{source}"),
            value: Some(json!(specification)),
            replaces: Some(revision),
        };
        Handled { events: vec![event], write: Some(write), ..answered(done(message)) }
    }

    fn put_config(&self, name: &str, payload: &[u8]) -> Handled {
        if !is_key(name) {
            return answered(failed(
                "a name of configuration has letters, digits, `-`, `_`, `/` and `=`, 1024 at most",
            ));
        }
        let Some(config) = read::<BTreeMap<String, String>>(payload) else {
            return answered(failed("configuration is a map of text to text"));
        };
        let value = Some(json!(config));
        let write = Write { bucket: Bucket::Config, key: name.to_owned(), value, replaces: None };
        let event = Event::new("config_set", json!({ "config_name": name }));
        Handled { events: vec![event], write: Some(write), ..answered(done("successfully put config")) }
    }

    fn delete_config(&self, name: &str) -> Handled {
        if !is_key(name) {
            return answered(failed("there can be no configuration of that name"));
        }
        let write = Write { bucket: Bucket::Config, key: name.to_owned(), value: None, replaces: None };
        let event = Event::new("config_deleted", json!({ "config_name": name }));
        Handled { events: vec![event], write: Some(write), ..answered(done("successfully deleted config")) }
    }
}

const NO_ID: &str = "an id has letters, digits, `-`, `_`, `/` and `=`, 1024 at most";
const OURS: &str = "annotations that begin with `abide.dev/` are the host's own";
const OBJECT: &str =
    "it is a resident object: it acts by itself, and what changes it is a mutation or an upgrade";
/// What the names of configuration begin with that stand for a secret.
const SECRET: &str = "SECRET_";

fn stop(payload: &[u8], host: &str) -> Handled {
    let asked = if payload.is_empty() { Some(StopHost::default()) } else { read(payload) };
    match asked {
        None => answered(failed("this is no request to stop a host")),
        Some(StopHost { host_id: Some(other) }) if !other.is_empty() && other != host => {
            answered(failed("the request is to stop another host than its subject says"))
        }
        Some(_) => Handled { stop: true, ..answered(done("successfully handled stop host")) },
    }
}

/// Whether annotations say what the host alone says.
fn are_ours(annotations: Option<&BTreeMap<String, String>>) -> bool {
    annotations.into_iter().flatten().any(|(name, _)| name.starts_with("abide.dev/"))
}

fn update(payload: &[u8], inventory: &Inventory) -> Handled {
    let Some(asked) = read::<Update>(payload) else {
        return answered(failed("this is no request to update a component"));
    };
    if !is_key(&asked.component_id) {
        return answered(failed(NO_ID));
    }
    if are_ours(asked.annotations.as_ref()) {
        return answered(failed(OURS));
    }
    let (id, reference) = (&asked.component_id, &asked.new_component_ref);
    match inventory.components.iter().find(|one| one.id == *id) {
        None => answered(failed(&format!("component {id} not found"))),
        Some(object) if object.is_object() => answered(failed(OBJECT)),
        Some(running) if running.image_ref == *reference => {
            answered(done(&format!("component {id} already updated to {reference}")))
        }
        Some(running) => {
            let message = format!("component {id} updating from {} to {reference}", running.image_ref);
            Handled { action: Some(Action::Update(asked)), ..answered(done(&message)) }
        }
    }
}

fn start_provider(payload: &[u8], inventory: &Inventory) -> Handled {
    let Some(asked) = read::<StartProvider>(payload) else {
        return answered(failed("this is no request to start a provider"));
    };
    if !is_key(&asked.provider_id) {
        return answered(failed(NO_ID));
    }
    if inventory.providers.iter().any(|one| one.id == asked.provider_id) {
        return answered(failed("provider with that ID is already running"));
    }
    Handled { action: Some(Action::StartProvider(asked)), ..answered(done("successfully started provider")) }
}

fn stop_provider(payload: &[u8], inventory: &Inventory) -> Handled {
    let Some(asked) = read::<StopProvider>(payload) else {
        return answered(failed("this is no request to stop a provider"));
    };
    if inventory.providers.iter().all(|one| one.id != asked.provider_id) {
        return answered(failed("provider with that ID is not running"));
    }
    Handled { action: Some(Action::StopProvider(asked)), ..answered(done("successfully stopped provider")) }
}

fn answered(reply: Json) -> Handled {
    Handled { reply: Some(reply), ..Handled::default() }
}

fn ok(response: &Json) -> Json {
    json!({ "success": true, "message": "", "response": response })
}

fn done(message: &str) -> Json {
    json!({ "success": true, "message": message })
}

fn failed(message: &str) -> Json {
    json!({ "success": false, "message": message })
}

/// Claims as texts; hosts of wasmCloud keep their tags as a list.
fn texts(claims: &BTreeMap<String, Json>) -> BTreeMap<String, String> {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
        }
        Json::Null => String::new(),
        other => other.to_string(),
    };
    claims.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// What is asked or kept is a map, always: a list would be taken for its values in order.
fn read<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    payload.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(payload).ok()).flatten()
}

/// Whether a name can be a key of a bucket.
fn is_key(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'=');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}

/// So many seconds as people say it: `1d 2h 3m 4s`.
fn human(seconds: u64) -> String {
    let parts = [(seconds / 86_400, 'd'), (seconds / 3_600 % 24, 'h'), (seconds / 60 % 60, 'm')];
    let shown: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit} ")).collect();
    format!("{shown}{}s", seconds % 60)
}
