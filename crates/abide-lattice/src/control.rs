//! The control interface: what a host answers to, as decisions alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::event::Event;
use crate::message::{Component, DeleteLink, Link, Provider, Scale, Specification, StartProvider, StopHost};
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

/// What comes of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Handled {
    /// What is answered; `None`: nothing.
    pub reply: Option<Json>,
    /// What is told.
    pub events: Vec<Event>,
    /// What is written.
    pub write: Option<Write>,
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

    /// Forgets what the buckets held.
    pub fn forget(&mut self) {
        self.specifications.clear();
        self.claims.clear();
        self.config.clear();
    }

    /// Takes up what a bucket holds under a key, at a revision; `None`: nothing any more.
    pub fn learn(&mut self, bucket: Bucket, key: &str, value: Option<&[u8]>, revision: u64) {
        match (bucket, key.split_once('_')) {
            (Bucket::Data, Some(("COMPONENT", id))) => match value.and_then(read::<Specification>) {
                Some(found) => drop(self.specifications.insert(id.to_owned(), (found, revision))),
                None => drop(self.specifications.remove(id)),
            },
            (Bucket::Data, Some(("CLAIMS", key))) => match value.and_then(read) {
                Some(found) => drop(self.claims.insert(key.to_owned(), found)),
                None => drop(self.claims.remove(key)),
            },
            (Bucket::Config, _) if !key.starts_with(SECRET) => match value.and_then(read) {
                Some(found) => drop(self.config.insert(key.to_owned(), found)),
                None => drop(self.config.remove(key)),
            },
            _ => {}
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

    /// The event of an object or a component that runs, or with 0 instances, does so no more.
    #[must_use]
    pub fn scaled(&self, component: &Component) -> Event {
        let data = json!({
            "annotations": component.annotations.clone().unwrap_or_default(),
            "host_id": self.identity.id,
            "image_ref": component.image_ref,
            "max_instances": component.max_instances,
            "component_id": component.id,
        });
        Event::new("component_scaled", data)
    }

    /// Handles a request.
    pub fn handle(&mut self, subject: &Subject, payload: &[u8], inventory: &Inventory) -> Handled {
        let own = self.identity.id.clone();
        match subject {
            Subject::Ping => answered(ok(&self.host(inventory.uptime))),
            Subject::Inventory(id) if *id == own => answered(ok(&self.inventory(inventory))),
            Subject::Stop(id) if *id == own => stop(payload, &own),
            // A host that runs no message-driven components bids for none.
            Subject::AuctionComponent | Subject::AuctionProvider => Handled::default(),
            Subject::Scale(id) if *id == own => refused_component(payload, &own),
            Subject::Update(id) if *id == own => answered(failed(NO_COMPONENTS)),
            Subject::StartProvider(id) if *id == own => refused_provider(payload, &own),
            Subject::StopProvider(id) if *id == own => answered(failed("this host has no such provider")),
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
            Subject::Registries => match read::<BTreeMap<String, Json>>(payload) {
                Some(_) => answered(done("")),
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

const NO_COMPONENTS: &str = "this host runs resident objects, and no message-driven components yet";
const NO_PROVIDERS: &str = "this host starts no providers yet";
/// What the names of configuration begin with that stand for a secret.
const SECRET: &str = "SECRET_";

fn stop(payload: &[u8], host: &str) -> Handled {
    let asked = if payload.is_empty() { Some(StopHost::default()) } else { read(payload) };
    match asked {
        None => answered(failed("this is no request to stop a host")),
        Some(StopHost { host_id: Some(other) }) if other != host => {
            answered(failed("the request is to stop another host than its subject says"))
        }
        Some(_) => Handled { stop: true, ..answered(done("successfully handled stop host")) },
    }
}

fn refused_component(payload: &[u8], host: &str) -> Handled {
    let Some(asked) = read::<Scale>(payload) else {
        return answered(failed("this is no request to scale a component"));
    };
    let data = json!({
        "annotations": asked.annotations.unwrap_or_default(),
        "host_id": host,
        "image_ref": asked.component_ref,
        "component_id": asked.component_id,
        "max_instances": asked.count,
        "error": NO_COMPONENTS,
    });
    Handled { events: vec![Event::new("component_scale_failed", data)], ..answered(failed(NO_COMPONENTS)) }
}

fn refused_provider(payload: &[u8], host: &str) -> Handled {
    let Some(asked) = read::<StartProvider>(payload) else {
        return answered(failed("this is no request to start a provider"));
    };
    let data = json!({
        "provider_ref": asked.provider_ref, "provider_id": asked.provider_id, "host_id": host,
        "error": NO_PROVIDERS, "link_name": "default",
    });
    Handled { events: vec![Event::new("provider_start_failed", data)], ..answered(failed(NO_PROVIDERS)) }
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
