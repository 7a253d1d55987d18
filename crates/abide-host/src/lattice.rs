//! What a host has for its lattice: its objects, listed as components, its message-driven components and its providers.
//!
//! The lattice asks for objects as any other program does, over the socket in the data folder: so it waits for no tick, and no tick for it.

mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abide_lattice::{
    Action, Claimed, Component, Function, Guests, Invocations, KIND, Learned, Messages, OBJECT, Objects,
    Outgoing, Performed, Provider as Listed, Received, RegistryCredential, Scale, StartProvider, Unasked,
    Update,
};
use abide_wasm::component::{
    Delivery, Invocation, Later, Message, NotSent, ObjectFailed, Remote, Served, Subscription, aside,
};
use serde_json::Value as Json;

use crate::components::claims::Claims;
use crate::components::{
    Builtin, Components, Config, Credential, Keeper, Link, Messaging, Neighbours, Provider, Running, Spec,
};
use crate::local;

pub use abide_lattice::{Connection, Identity, Lattice, Options, StartError, State};
pub use values::Shared;

/// The host that runs on a data folder.
#[derive(Debug)]
pub struct Residents {
    /// The data folder.
    pub folder: PathBuf,
    /// Set when the host is to stop.
    pub stop: Arc<AtomicBool>,
    /// Its message-driven components.
    pub components: Arc<Components>,
}

impl Guests for Residents {
    fn objects(&self) -> Option<Vec<Component>> {
        let listed = local::objects(&self.folder)?;
        let objects = listed.get("objects").and_then(Json::as_array)?;
        Some(objects.iter().filter_map(object).collect())
    }

    fn components(&self) -> Vec<Component> {
        self.components.engine().list().iter().map(|running| self.component(running)).collect()
    }

    fn providers(&self) -> Vec<Listed> {
        self.components.engine().providers().iter().map(|running| provider(running)).collect()
    }

    fn offers(&self, provider_ref: &str) -> bool {
        Builtin::from_ref(provider_ref).is_ok()
    }

    fn perform(&self, action: &Action) -> Result<Performed, String> {
        match action {
            Action::Scale(scale) => self.scale(scale),
            Action::Update(update) => self.update(update),
            Action::StartProvider(start) => self.start_provider(start),
            Action::Credentials(all) => {
                let all = all.iter().map(|(registry, one)| {
                    let RegistryCredential { username, password, token } = one.clone();
                    (registry.clone(), Credential { username, password, token })
                });
                self.components.set_credentials(all.collect());
                Ok(Performed::Nothing)
            }
            Action::StopProvider(stop) => {
                Ok(match self.components.engine().stop_provider(&stop.provider_id) {
                    Some(stopped) => Performed::Stopped(provider(&stopped)),
                    None => Performed::Nothing,
                })
            }
        }
    }

    fn learn(&self, learned: Learned) {
        match learned {
            Learned::Links(source, links) => {
                self.components.engine().set_links(&source, links.into_iter().map(link).collect());
            }
            Learned::Config(name, config) => self.components.engine().set_config(&name, config),
        }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Residents {
    fn scale(&self, scale: &Scale) -> Result<Performed, String> {
        let engine = self.components.engine();
        if scale.count == 0 {
            let stopped = match engine.stop(&scale.component_id) {
                Some(running) => self.component(&running),
                None => component_of(scale),
            };
            return Ok(Performed::Components(vec![Component { max_instances: 0, ..stopped }]));
        }
        let running = engine.get(&scale.component_id);
        if running.is_none() && self.is_object(&scale.component_id) {
            return Err(format!("`{}` is a resident object", scale.component_id));
        }
        let limits = match (&scale.component_limits, &running) {
            (None, Some(running)) => running.limits,
            (said, _) => self.components.limits(said.as_ref()).map_err(|refused| refused.to_string())?,
        };
        let mut spec = Spec {
            id: scale.component_id.clone(),
            reference: scale.component_ref.clone(),
            max_instances: scale.count,
            limits,
            config: scale.config.clone(),
            annotations: scale.annotations.clone().unwrap_or_default(),
        };
        match running {
            Some(running) if scale.component_ref == running.reference || !scale.allow_update => {
                spec.reference.clone_from(&running.reference);
                self.components.change(spec)
            }
            _ => self.components.start(spec),
        }
        .map_err(|refused| refused.to_string())?;
        Ok(Performed::Components(self.now(&scale.component_id)))
    }

    fn update(&self, update: &Update) -> Result<Performed, String> {
        let Some(before) = self.components.engine().get(&update.component_id) else {
            return Err(format!("component {} not found", update.component_id));
        };
        let annotations = update.annotations.clone().unwrap_or_else(|| before.annotations.clone());
        let reference = update.new_component_ref.clone();
        let before_told = self.component(&before);
        self.components
            .start(Spec { reference, annotations, ..Spec::clone(&before) })
            .map_err(|refused| refused.to_string())?;
        let mut told = self.now(&update.component_id);
        told.push(Component { max_instances: 0, ..before_told });
        Ok(Performed::Components(told))
    }

    /// Whether an object has that id. One that has just begun may not be listed to the lattice yet.
    fn is_object(&self, id: &str) -> bool {
        self.objects().is_some_and(|objects| objects.iter().any(|object| object.id == id))
    }

    fn component(&self, running: &Running) -> Component {
        component(running, self.components.claims(&running.id).as_ref())
    }

    fn now(&self, id: &str) -> Vec<Component> {
        self.components.engine().get(id).iter().map(|running| self.component(running)).collect()
    }

    fn start_provider(&self, start: &StartProvider) -> Result<Performed, String> {
        let started = Provider {
            id: start.provider_id.clone(),
            reference: start.provider_ref.clone(),
            builtin: Builtin::from_ref(&start.provider_ref)?,
            config: start.config.clone(),
            annotations: start.annotations.clone().unwrap_or_default(),
        };
        self.components.engine().start_provider(started.clone())?;
        Ok(Performed::Started(provider(&started)))
    }
}

/// An object as a component of a lattice: its annotations say that it is one.
fn object(object: &Json) -> Option<Component> {
    let text = |name: &str| object.get(name).and_then(Json::as_str);
    let (id, schema, version) = (text("id")?, text("schema")?, text("version")?);
    let annotations =
        [(KIND, OBJECT), ("abide.dev/schema", text("digest")?), ("abide.dev/status", text("status")?)];
    let annotations: BTreeMap<_, _> =
        annotations.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(Component {
        id: id.to_owned(),
        image_ref: format!("abide+object://{schema}:{version}"),
        name: Some(schema.to_owned()),
        annotations: Some(annotations),
        revision: 0,
        max_instances: 1,
        limits: None,
        claims: None,
    })
}

fn component(running: &Running, claims: Option<&Claims>) -> Component {
    let limits = [
        ("max_memory_limit", running.limits.memory.to_string()),
        ("max_execution_time", running.limits.time.as_secs().to_string()),
    ];
    Component {
        id: running.id.clone(),
        image_ref: running.reference.clone(),
        name: claims.and_then(|claims| claims.name.clone()),
        annotations: Some(running.annotations.clone()),
        revision: claims.map_or(0, |claims| claims.revision),
        max_instances: running.max_instances,
        limits: Some(limits.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        claims: claims.map(|claims| Claimed {
            public_key: claims.subject.clone(),
            told: claims.to_event(),
            kept: claims.to_bucket(),
        }),
    }
}

fn component_of(scale: &Scale) -> Component {
    Component {
        id: scale.component_id.clone(),
        image_ref: scale.component_ref.clone(),
        name: None,
        annotations: scale.annotations.clone(),
        revision: 0,
        max_instances: 0,
        limits: None,
        claims: None,
    }
}

fn provider(running: &Provider) -> Listed {
    Listed {
        id: running.id.clone(),
        image_ref: Some(running.reference.clone()),
        name: Some(running.builtin.to_string()),
        annotations: Some(running.annotations.clone()),
        revision: 0,
    }
}

fn link(link: abide_lattice::Link) -> Link {
    Link {
        source: link.source_id,
        target: link.target,
        name: link.name,
        namespace: link.wit_namespace,
        package: link.wit_package,
        interfaces: link.interfaces,
        source_config: link.source_config,
        target_config: link.target_config,
    }
}

/// Messages over the connection of the host.
#[derive(Debug)]
pub struct Broker(pub Messages);

fn message(received: Received) -> Message {
    Message { subject: received.subject, body: received.body, reply_to: received.reply_to, id: None }
}

fn outgoing(message: Message) -> Outgoing {
    let Message { subject, body, reply_to, id } = message;
    Outgoing { subject, body, reply_to, id }
}

fn not_sent(failed: &abide_lattice::NotSent) -> NotSent {
    let is_final = matches!(failed, abide_lattice::NotSent::Refused(_));
    NotSent { why: failed.to_string(), is_final }
}

impl Messaging for Broker {
    fn publish<'a>(&'a self, _: &'a Config, message: Message) -> Later<'a, Result<(), NotSent>> {
        Box::pin(async move { self.0.publish(outgoing(message)).await.map_err(|failed| not_sent(&failed)) })
    }

    fn flush(&self) -> Later<'_, Result<(), NotSent>> {
        Box::pin(async move { self.0.flush().await.map_err(|failed| not_sent(&failed)) })
    }

    fn request<'a>(
        &'a self,
        _: &'a Config,
        asked: Message,
        limit: Duration,
    ) -> Later<'a, Result<Message, NotSent>> {
        Box::pin(async move {
            self.0.request(outgoing(asked), limit).await.map(message).map_err(|failed| not_sent(&failed))
        })
    }

    fn subscribe<'a>(
        &'a self,
        _: &'a Config,
        subject: &'a str,
        group: Option<&'a str>,
        delivery: Delivery,
    ) -> Later<'a, Result<Subscription, String>> {
        Box::pin(async move {
            let deliver = Arc::new(move |received| delivery(message(received)));
            let held = self.0.subscribe(subject, group, deliver).await?;
            Ok(Box::new(held) as Subscription)
        })
    }
}

/// Calls over the connection of the host.
#[derive(Debug)]
pub struct Peers(pub Invocations);

impl Remote for Peers {
    fn invoke<'a>(&'a self, called: Invocation<'a>) -> Later<'a, Result<Vec<u8>, String>> {
        let Invocation { target, interface, function, source, link, parameters, limit } = called;
        let called =
            abide_lattice::Invocation { target, interface, function, source, link, parameters, limit };
        Box::pin(self.0.invoke(called))
    }

    fn serve<'a>(&'a self, served: Served<'a>) -> Later<'a, Result<Subscription, String>> {
        Box::pin(async move {
            let Served { component, interface, function, is_whole, handler } = served;
            let function = Function { component, interface, function, is_whole, answer: handler };
            let held = self.0.serve(function).await?;
            Ok(Box::new(held) as Subscription)
        })
    }
}

/// Objects of other hosts over the connection of the host.
#[derive(Debug)]
pub struct Elsewhere(pub Objects);

impl Neighbours for Elsewhere {
    fn ask<'a>(
        &'a self,
        object: &'a str,
        asked: Vec<u8>,
        limit: Duration,
    ) -> Later<'a, Result<Vec<u8>, ObjectFailed>> {
        Box::pin(async move {
            self.0.ask(object, asked, limit).await.map_err(|failed| match failed {
                Unasked::Nowhere => ObjectFailed::Unavailable(format!("{failed} `{object}`")),
                Unasked::Failed(why) => ObjectFailed::Unavailable(why),
            })
        })
    }

    fn serve(&self, keeper: Keeper) -> Later<'_, Result<Subscription, String>> {
        Box::pin(async move {
            let held = self.0.serve(Arc::new(OfHost(keeper))).await?;
            Ok(Box::new(held) as Subscription)
        })
    }
}

/// A keeper, off the threads of the runtime.
struct OfHost(Keeper);

impl abide_lattice::Keeper for OfHost {
    fn has<'a>(&'a self, object: &'a str) -> Later<'a, bool> {
        let (keeper, object) = (self.0.clone(), object.to_owned());
        Box::pin(async move { aside(move || keeper.has(&object)).await.unwrap_or(false) })
    }

    fn answer<'a>(&'a self, object: &'a str, asked: Vec<u8>) -> Later<'a, Vec<u8>> {
        let (keeper, object) = (self.0.clone(), object.to_owned());
        Box::pin(async move { aside(move || keeper.answer(&object, &asked)).await.unwrap_or_default() })
    }
}
