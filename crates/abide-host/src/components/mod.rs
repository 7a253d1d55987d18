//! Message-driven components on a host: where their images come from, and what lies behind their capabilities.

mod image;
mod values;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use abide_wasm::component as engine;

pub use engine::{Builtin, Config, Limits, Link, Local, Messaging, Provider, Running, Spec, StartFailed};

use image::Images;
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
}

/// The components and the builtin providers of a host.
#[derive(Debug)]
pub struct Components {
    engine: engine::Components,
    images: Images,
    limits: Limits,
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
        messaging: Box<dyn Messaging>,
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let options = engine::Options { cache: settings.cache.clone(), instances: settings.instances };
        let ports = engine::Ports {
            keyvalue: Box::new(Values::new(settings.folder.join("components.redb"))),
            messaging,
            told: Box::new(told),
        };
        Ok(Self {
            engine: engine::Components::new(&options, ports)?,
            images: Images { allow_files: settings.allow_files },
            limits: settings.limits,
        })
    }

    /// Runs a component, or another image of one that runs.
    ///
    /// # Errors
    /// When its image is not to be had or cannot run here.
    pub fn start(&self, spec: Spec) -> Result<(), Refused> {
        let wasm = self.images.fetch(&spec.reference).map_err(Refused)?;
        self.engine.put(spec, &wasm).map_err(|error| Refused(error.to_string()))
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

/// The longest that a call may take, in seconds.
const DAYS_MAX: u64 = 7 * 24 * 3_600;
