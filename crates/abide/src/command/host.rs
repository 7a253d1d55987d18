//! `host`: the resident objects of a data folder, and a place in a lattice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use abide_core::time::Span;
use abide_host::components::{Carriers, Components};
use abide_host::lattice::{
    Broker, Connection, Elsewhere, Identity, Lattice, Options, Peers, Residents, Shared, StartError, State,
};
use abide_host::local::Requests;
use abide_host::manifest::{Application, Deployment};
use clap::Args;

use super::run::application::{Chosen, Given, choose};
use super::run::{Control, Pace, refuse};
use super::runtime::Runtime;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::pairs;
use crate::output::remark;
use crate::{folders, report};

const EXAMPLES: &str = "\
Examples:
  abide host app.yaml                                    an application, in the lattice `default` of a NATS on this machine
  abide host --data-dir ./orchard                        the objects of a data folder alone
  abide host app.yaml --nats-url tls://nats.example:4222 --nats-creds orchard.creds --lattice farm
  abide host app.yaml --label zone=north                 as `wash get hosts` then shows it
  abide host --allow-file-load                           then `wash start component file:///srv/hello.wasm hello`

The host runs with and without NATS: it joins the lattice when NATS answers, and again when it was lost. No tick waits for it.
What the lattice asks for is in docs/lattice.md. Ctrl-C, SIGTERM and `wash stop host` stop it as they stop `abide run`.";

/// Run resident objects and message-driven components as a host of a wasmCloud lattice
///
/// In real time. Objects are listed as components whose annotations say that they are objects. Components, builtin providers and
/// links are what clients of the lattice ask for.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Host {
    /// A manifest, or a folder with an app.yaml; without one, the objects of the data folder alone
    #[arg(value_name = "APP|FOLDER")]
    what: Option<PathBuf>,
    #[command(flatten)]
    pace: Pace,
    /// Take images that the lattice asks for from files of this machine, as `file:///srv/hello.wasm`
    #[arg(long, env = "WASMCLOUD_ALLOW_FILE_LOAD")]
    allow_file_load: bool,
    #[command(flatten)]
    components: Runtime,
    #[command(flatten)]
    lattice: Membership,
}

/// Where and as what the host joins.
#[derive(Args, Debug)]
#[command(next_help_heading = "The lattice")]
struct Membership {
    /// The lattice
    #[arg(long, value_name = "NAME", env = "WASMCLOUD_LATTICE", default_value = "default")]
    lattice: String,
    /// Where NATS is; several with commas between [default: nats://127.0.0.1:4222]
    #[arg(long, value_name = "URL", env = "ABIDE_NATS_URL")]
    nats_url: Option<String>,
    #[arg(long, hide = true, env = "WASMCLOUD_CTL_HOST")]
    ctl_host: Option<String>,
    #[arg(long, hide = true, env = "WASMCLOUD_CTL_PORT")]
    ctl_port: Option<u16>,
    /// A file with the JWT and the seed of a NATS user
    #[arg(long, value_name = "FILE", env = "ABIDE_NATS_CREDS")]
    nats_creds: Option<PathBuf>,
    /// The JWT of a NATS user
    #[arg(
        long,
        value_name = "JWT",
        env = "WASMCLOUD_CTL_JWT",
        hide_env_values = true,
        requires = "nats_seed"
    )]
    nats_jwt: Option<String>,
    /// The seed of that user
    #[arg(long, value_name = "SEED", env = "WASMCLOUD_CTL_SEED", hide_env_values = true)]
    nats_seed: Option<String>,
    /// Refuse a connection without TLS
    #[arg(long, env = "WASMCLOUD_CTL_TLS")]
    nats_tls: bool,
    /// Certificates to trust, beside the system's
    #[arg(long, value_name = "FILE", env = "WASMCLOUD_CTL_TLS_CA_FILE")]
    nats_ca: Option<PathBuf>,
    /// A certificate of this host's own
    #[arg(long, value_name = "FILE", requires = "nats_key")]
    nats_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "nats_cert")]
    nats_key: Option<PathBuf>,
    /// The JetStream domain
    #[arg(long, value_name = "DOMAIN", env = "WASMCLOUD_JS_DOMAIN")]
    js_domain: Option<String>,
    /// The first part of the control interface's subjects
    #[arg(long, value_name = "PREFIX", env = "WASMCLOUD_CTL_TOPIC_PREFIX", default_value = "wasmbus.ctl")]
    ctl_topic_prefix: String,
    /// A label of the host; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// The host's name for people [default: the application's]
    #[arg(long, value_name = "NAME")]
    friendly_name: Option<String>,
    #[arg(long, hide = true, env = "WASMCLOUD_HOST_SEED", hide_env_values = true)]
    host_seed: Option<String>,
}

impl Host {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let compiler = context.compiler();
        let application = match &self.what {
            Some(what) => {
                let given =
                    Given { what, sources: &[], objects: &[], tick: self.pace.tick, compiler: &compiler };
                let Chosen { application, reports } = choose(&given)?;
                let Some(application) = application else { return refuse(context, &reports) };
                reports.iter().for_each(|one| remark(report::render(one, context.out.color_err())));
                application
            }
            None => alone(&context.folder()?, self.pace.tick),
        };
        if application.is_replay() {
            let message = "its sources are replayed, and a host of a lattice runs in real time";
            return Err(
                CommandError::usage(message).help("`abide run` replays; or give the sources `mode: live`")
            );
        }
        let folder = match context.named_folder() {
            Some(folder) => folder,
            None if self.what.is_none() => context.folder()?,
            None => folders::data_home()?.join(&*application.name),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Requests::default();
        let open =
            |carriers| self.components.open(&application, &folder, self.allow_file_load, carriers, &requests);
        let (lattice, components) = self.lattice.join(context, &application, &folder, &stop, open)?;
        let control = Control { stop, requests: requests.clone(), broker: Some(components) };
        let answer = self.pace.run(context, &application, compiler, &folder, control);
        // It leaves while what it leaves is still told.
        drop(lattice);
        answer
    }
}

/// The objects of a data folder, without sources and targets.
fn alone(folder: &std::path::Path, tick: Option<Span>) -> Application {
    let name = folder.file_name().map_or_else(|| "host".into(), |name| name.to_string_lossy().into_owned());
    Application {
        name: name.into(),
        version: None,
        tick: tick.unwrap_or(Span::from_secs(1)),
        objects: Vec::new(),
        sources: Vec::new(),
        targets: Vec::new(),
        deployment: Deployment::default(),
    }
}

impl Membership {
    fn join(
        self,
        context: &Context,
        application: &Application,
        folder: &std::path::Path,
        stop: &Arc<AtomicBool>,
        open: impl FnOnce(Carriers) -> Result<Components, CommandError>,
    ) -> Result<(Lattice, Arc<Components>), CommandError> {
        let keys = context.keys()?;
        let id = keys.identity();
        if let Some(seed) = &self.host_seed
            && !keys.is_identity(seed)
        {
            let message = "WASMCLOUD_HOST_SEED is not the seed of this host's identity";
            return Err(
                CommandError::usage(message).help("a host's identity is in its keys folder: `abide keys`")
            );
        }
        let is_token = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if !is_token(&self.lattice) {
            let message = format!("`{}` cannot be the name of a lattice", self.lattice);
            return Err(CommandError::usage(message).help("write letters, digits, `-` and `_`"));
        }
        if !self.ctl_topic_prefix.split('.').all(is_token) {
            let message = format!("`{}` cannot begin a subject", self.ctl_topic_prefix);
            return Err(
                CommandError::usage(message).help("write letters, digits, `-` and `_`, with dots between")
            );
        }
        let url = self.nats_url.clone().unwrap_or_else(|| {
            let host = self.ctl_host.as_deref().unwrap_or("127.0.0.1");
            format!("nats://{host}:{}", self.ctl_port.unwrap_or(4222))
        });
        let mut labels: BTreeMap<String, String> = pairs(&self.label)?.into_iter().collect();
        let own = [
            ("arch", std::env::consts::ARCH),
            ("os", std::env::consts::OS),
            ("osfamily", std::env::consts::FAMILY),
        ];
        labels.extend(own.map(|(name, value)| (format!("hostcore.{name}"), value.to_owned())));
        let options = Options {
            url,
            credentials: self.nats_creds,
            user: self.nats_jwt.zip(self.nats_seed),
            ca: self.nats_ca,
            certificate: self.nats_cert.zip(self.nats_key),
            require_tls: self.nats_tls,
            js_domain: self.js_domain,
            prefix: self.ctl_topic_prefix,
        };
        let address = options.address();
        let identity = Identity {
            id: id.clone(),
            friendly_name: self.friendly_name.unwrap_or_else(|| application.name.to_string()),
            lattice: self.lattice.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            labels,
            address: Some(address.clone()),
            js_domain: options.js_domain.clone(),
        };
        let wrong = |error: StartError| CommandError::usage(error.to_string());
        let connection = Connection::new(&options).map_err(wrong)?;
        let components = Arc::new(open(Carriers {
            messaging: Box::new(Broker(connection.messages(&self.lattice))),
            remote: Some(Box::new(Peers(connection.invocations(&self.lattice)))),
            neighbours: Some(Arc::new(Elsewhere(connection.objects(&self.lattice, &id)))),
            values: Some(Box::new(Shared(connection.values()))),
        })?);
        let guests = Arc::new(Residents {
            folder: folder.to_owned(),
            stop: Arc::clone(stop),
            components: Arc::clone(&components),
        });
        let lattice = self.lattice;
        let told = move |state: State| match state {
            State::Apart => remark(format_args!(
                "lattice `{lattice}`: NATS at {address} does not answer; the host runs on without it"
            )),
            State::Joined => remark(format_args!("lattice `{lattice}`: host {id} started")),
            State::Ready => remark(format_args!("lattice `{lattice}`: links and configuration are at hand")),
            State::WithoutJetStream(why) => remark(format_args!(
                "lattice `{lattice}`: JetStream is not to be had, so links and configuration cannot be set: {why}"
            )),
            State::Failed { id, why } => remark(format_args!("lattice `{lattice}`: `{id}`: {why}")),
            State::Dropped { subject, count } => remark(format_args!(
                "lattice `{lattice}`: {count} messages of `{subject}` came faster than they were taken and are dropped"
            )),
            State::Untold { event, why } => {
                remark(format_args!("lattice `{lattice}`: the event `{event}` is not told: {why}"));
            }
        };
        Ok((connection.join(identity, guests, told).map_err(wrong)?, components))
    }
}
