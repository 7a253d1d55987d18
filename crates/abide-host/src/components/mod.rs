//! Message-driven components on a host: where their images come from, and what lies behind their capabilities.

mod backends;
pub mod claims;
mod image;
mod objects;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use abide_oci::Registries;
use abide_wasm::component::{self as engine, Delivery, Message, NotSent, Subscription};

pub use abide_oci::{Credential, Options as RegistryOptions};
pub use engine::{
    Builtin, Config, KeyValues, Limits, Link, Local, Messaging, Provider, Remote, Running, Spec, StartFailed,
};
pub use objects::{Keeper, Neighbours};

use crate::broker::{Broker, Outgoing, Take};
use crate::effect::CallError;
use crate::local::Requests;
use crate::manifest::{Application, Deployment};
use backends::Backends;
use claims::{Claims, Issuers};
use image::{Image, Images};
use values::Values;

/// How components run on a host.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host's data folder.
    pub folder: PathBuf,
    /// Where compiled components are kept.
    pub cache: Option<PathBuf>,
    /// Most instances at once, of all components.
    pub instances: u32,
    /// What a call may take where nothing else is said of a component.
    pub limits: Limits,
    /// Whether images may be files of this machine.
    pub allow_files: bool,
    /// Who must have signed the images; anyone where it is empty.
    pub issuers: Issuers,
    /// How images are fetched from registries.
    pub registries: RegistryOptions,
    /// What components ask of the objects of the run.
    pub requests: Requests,
}

/// What carries messages, calls between hosts, and values that hosts have in common.
pub struct Carriers {
    /// Messages.
    pub messaging: Box<dyn Messaging>,
    /// Calls, where there are other hosts.
    pub remote: Option<Box<dyn Remote>>,
    /// Their objects, where there are other hosts.
    pub neighbours: Option<Arc<dyn Neighbours>>,
    /// Values, where others than the host keep them.
    pub values: Option<Box<dyn KeyValues>>,
}

impl Carriers {
    /// Those of a host that is alone.
    #[must_use]
    pub fn local() -> Self {
        Self { messaging: Box::new(Local::default()), remote: None, neighbours: None, values: None }
    }
}

/// The components and the builtin providers of a host.
pub struct Components {
    /// What others ask of this host's objects comes as long as this is there.
    _asked: Option<Subscription>,
    engine: engine::Components,
    images: Images,
    limits: Limits,
    /// Of components that were signed, by their ids.
    claims: Mutex<BTreeMap<String, Claims>>,
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Components").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Why a component does not run, or a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Components {
    /// Sets up what components run in.
    ///
    /// # Errors
    /// When the system does not give what it takes.
    pub fn open(
        settings: &Settings,
        carriers: Carriers,
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let options = engine::Options {
            cache: settings.cache.clone(),
            instances: settings.instances,
            // `blobs` is the lineage's own.
            blobs: settings.folder.join("blobstore"),
        };
        let ports = engine::Ports {
            keyvalue: Box::new(Backends {
                embedded: Values::new(settings.folder.join("components.redb")),
                carried: carriers.values,
            }),
            messaging: carriers.messaging,
            objects: Box::new(objects::Residents {
                requests: settings.requests.clone(),
                neighbours: carriers.neighbours.clone(),
            }),
            remote: carriers.remote,
            told: Box::new(told),
        };
        let engine = engine::Components::new(&options, ports)?;
        let asked = carriers.neighbours.map(|neighbours| {
            let (requests, limit) = (settings.requests.clone(), settings.limits.time);
            engine.wait(neighbours.serve(Keeper { requests, granted: engine.granted(), limit }))
        });
        Ok(Self {
            _asked: asked.transpose().map_err(io::Error::other)?,
            engine,
            images: Images {
                allow_files: settings.allow_files,
                issuers: settings.issuers.clone(),
                registries: Registries::new(settings.registries.clone()).map_err(io::Error::other)?,
            },
            claims: Mutex::default(),
            limits: settings.limits,
        })
    }

    /// Runs what an application deploys. Its images may be files whatever else may be.
    ///
    /// # Errors
    /// All components that cannot run, each with why: then no provider offers anything; or all providers that cannot.
    pub fn deploy(&self, application: &Application) -> Result<(), Vec<Refused>> {
        let Deployment { components, providers, links, config } = &application.deployment;
        // Names of a lattice are apart from those of the application.
        let own = |name: &String| format!("{}/{name}", application.name);
        let owned = |names: &[String]| names.iter().map(own).collect::<Vec<_>>();
        let links = links.iter().map(|link| Link {
            source_config: owned(&link.source_config),
            target_config: owned(&link.target_config),
            ..link.clone()
        });
        let config = config.iter().map(|(name, values)| (own(name), values.clone())).collect();
        self.engine.fix(links.collect(), config);
        let mut refused = Vec::new();
        // One after the other: the engine compiles one with all threads.
        for component in components.iter().filter(|component| component.instances > 0) {
            let started = self.images.fetch_trusted(&component.image).and_then(|image| {
                let spec = Spec {
                    id: component.name.to_string(),
                    reference: component.image.clone(),
                    max_instances: component.instances,
                    limits: self.limits,
                    config: owned(&component.config),
                    annotations: BTreeMap::new(),
                };
                self.put(spec, image)
            });
            refused
                .extend(started.err().map(|why| Refused(format!("component `{}`: {why}", component.name))));
        }
        if !refused.is_empty() {
            // Nobody is let in to half an application.
            return Err(refused);
        }
        for provider in providers {
            let started = self.engine.start_provider(Provider {
                id: provider.name.to_string(),
                reference: provider.reference.clone(),
                builtin: provider.builtin,
                config: owned(&provider.config),
                annotations: BTreeMap::new(),
            });
            refused.extend(started.err().map(|why| Refused(format!("provider `{}`: {why}", provider.name))));
        }
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// Runs a component, or another image of one that runs.
    ///
    /// # Errors
    /// When its image is not to be had or cannot run here.
    pub fn start(&self, spec: Spec) -> Result<(), Refused> {
        let image = self.images.fetch(&spec.reference).map_err(Refused)?;
        self.put(spec, image).map_err(Refused)
    }

    fn put(&self, spec: Spec, image: Image) -> Result<(), String> {
        let id = spec.id.clone();
        self.engine.put(spec, &image.wasm).map_err(|error| error.to_string())?;
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match image.claims {
            Some(signed) => drop(claims.insert(id, signed)),
            None => drop(claims.remove(&id)),
        }
        Ok(())
    }

    /// What was signed of the image of a component, where it was signed.
    #[must_use]
    pub fn claims(&self, id: &str) -> Option<Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Takes up who the host is to registries.
    pub fn set_credentials(&self, credentials: BTreeMap<String, Credential>) {
        self.images.registries.set_credentials(credentials);
    }

    /// Changes how a component runs, and not its image.
    ///
    /// # Errors
    /// When it names configuration that there is not.
    pub fn change(&self, spec: Spec) -> Result<(), Refused> {
        self.engine.change(spec).map_err(|error| Refused(error.to_string()))
    }

    /// What runs.
    #[must_use]
    pub fn engine(&self) -> &engine::Components {
        &self.engine
    }

    /// What a call may take, by what was said of a component: `max_memory_limit` in bytes, `max_execution_time` in seconds.
    ///
    /// # Errors
    /// When something was said that is no such limit.
    pub fn limits(&self, said: Option<&BTreeMap<String, String>>) -> Result<Limits, Refused> {
        let mut limits = self.limits;
        for (name, value) in said.into_iter().flatten() {
            let number = value.parse::<u64>().ok().filter(|number| *number > 0);
            let number = number.ok_or_else(|| {
                Refused(format!("the limit `{name}` is a number above 0, and not `{value}`"))
            })?;
            match name.as_str() {
                "max_memory_limit" => limits.memory = number,
                "max_execution_time" => limits.time = Duration::from_secs(number.min(DAYS_MAX)),
                _ => {
                    return Err(Refused(format!(
                        "there is no limit `{name}`: there are `max_memory_limit` in bytes and `max_execution_time` in seconds"
                    )));
                }
            }
        }
        Ok(limits)
    }
}

impl Broker for Components {
    fn subscribe(&self, subject: &str, group: Option<&str>, take: Take) -> Result<Subscription, String> {
        let take = Mutex::new(take);
        let delivery: Delivery = Arc::new(move |message: Message| {
            (take.lock().unwrap_or_else(PoisonError::into_inner))(&message.subject, &message.body);
            Box::pin(async {})
        });
        self.engine.subscribe(subject, group, delivery)
    }

    fn publish(&self, message: Outgoing<'_>, limit: Duration) -> Result<(), CallError> {
        self.engine.publish(own(message), limit).map_err(not_sent)
    }

    fn request(&self, message: Outgoing<'_>, limit: Duration) -> Result<Vec<u8>, CallError> {
        self.engine.request(own(message), limit).map(|answer| answer.body).map_err(not_sent)
    }
}

fn own(message: Outgoing<'_>) -> Message {
    Message {
        subject: message.subject.to_owned(),
        body: message.body.to_vec(),
        reply_to: message.reply_to.map(ToOwned::to_owned),
        id: Some(message.id.to_owned()),
    }
}

fn not_sent(failed: NotSent) -> CallError {
    CallError { message: failed.why, permanent: failed.is_final }
}

/// The longest that a call may take, in seconds.
const DAYS_MAX: u64 = 7 * 24 * 3_600;
