//! How message-driven components run, for the commands that run them.

use std::path::Path;
use std::time::Duration;

use abide_host::components::claims::Issuers;
use abide_host::components::{Carriers, Components, Credential, Limits, RegistryOptions, Settings};
use abide_host::local::Requests;
use abide_host::manifest::Application;
use clap::Args;

use crate::error::CommandError;
use crate::folders;
use crate::output::remark;

/// What components may take.
#[derive(Args, Debug)]
#[command(next_help_heading = "Components")]
pub(super) struct Runtime {
    /// Most instances at once, of all components
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_component_instances: u32,
    /// Most bytes of memory of a call, where nothing else is said of a component
    #[arg(long, value_name = "BYTES", env = "WASMCLOUD_MAX_LINEAR_MEMORY", default_value_t = Limits::default().memory)]
    max_linear_memory: u64,
    /// Most time of a call, in milliseconds, where nothing else is said of a component
    #[arg(long, value_name = "MS", env = "WASMCLOUD_MAX_EXECUTION_TIME_MS", default_value_t = 600_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=604_800_000))]
    max_execution_time_ms: u64,
    /// Take only images that this issuer signed, an account key `A…`; may be repeated
    #[arg(long, value_name = "KEY", env = "ABIDE_ISSUERS", value_delimiter = ',')]
    issuer: Vec<String>,
    /// Take images without a version, and with the tag `latest`
    #[arg(long, env = "WASMCLOUD_OCI_ALLOW_LATEST")]
    allow_latest: bool,
    /// A registry that is reached over plain HTTP, as `HOST:PORT`; may be repeated
    #[arg(long, value_name = "HOST", env = "WASMCLOUD_OCI_ALLOWED_INSECURE", value_delimiter = ',')]
    allowed_insecure: Vec<String>,
    /// The registry that user and password are for
    #[arg(long, value_name = "HOST", env = "OCI_REGISTRY")]
    registry: Option<String>,
    /// The host's name to that registry
    #[arg(long, value_name = "NAME", env = "OCI_REGISTRY_USER", requires = "registry")]
    registry_user: Option<String>,
    #[arg(long, hide = true, env = "OCI_REGISTRY_PASSWORD", hide_env_values = true, requires = "registry")]
    registry_password: Option<String>,
}

impl Runtime {
    fn registries(&self, folder: &Path) -> RegistryOptions {
        let cache = folders::cache_home().unwrap_or_else(|| folder.join("cache"));
        let credential = self.registry.clone().map(|registry| {
            let (username, password) = (self.registry_user.clone(), self.registry_password.clone());
            (registry, Credential { username, password, token: None })
        });
        RegistryOptions {
            allow_latest: self.allow_latest,
            insecure: self.allowed_insecure.clone(),
            credentials: credential.into_iter().collect(),
            ..RegistryOptions::new(cache.join("images"))
        }
    }

    /// Sets up what components run in, and runs those of the application.
    pub(super) fn open(
        &self,
        application: &Application,
        folder: &Path,
        allow_files: bool,
        carriers: Carriers,
        requests: &Requests,
    ) -> Result<Components, CommandError> {
        let settings = Settings {
            folder: folder.to_owned(),
            cache: folders::cache_home().map(|cache| cache.join("components")),
            instances: self.max_component_instances,
            limits: Limits {
                memory: self.max_linear_memory,
                time: Duration::from_millis(self.max_execution_time_ms),
            },
            allow_files,
            issuers: Issuers::new(self.issuer.iter().cloned())
                .map_err(|error| CommandError::usage(error.to_string()))?,
            registries: self.registries(folder),
            requests: requests.clone(),
        };
        let components = Components::open(&settings, carriers, |line| remark(format_args!("{line}")))?;
        match components.deploy(application) {
            Ok(()) => Ok(components),
            Err(refused) => {
                let all: Vec<String> = refused.iter().map(ToString::to_string).collect();
                Err(CommandError::refused(all.join("\n")))
            }
        }
    }
}
