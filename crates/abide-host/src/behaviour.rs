//! Behaviours: the components that objects act by.
//!
//! A host keeps each by its digest beside its log, so that whoever has the store can run its acts again. It is compiled when
//! an act first needs it. What a component may do, and how a call of it goes, is for `abide-wasm` to say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use abide_core::document::Diagnostic;
use abide_core::guest::{Act, ActError, Acted, Behaviour, Fault, Guest, config_bytes, config_from_bytes};
use abide_core::record::Hash;
use abide_core::schema::{Effect, Schema};
use abide_store::{BlobError, Blobs};
use abide_wasm::{Callable, Component, Instances, LoadError, Options, Sandbox};
use sha2::{Digest as _, Sha256};

use crate::manifest::{Application, BehaviourSpec, ObjectComponent, TargetKind};

/// Most bytes of a component.
pub const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// Why a behaviour cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum BehaviourError {
    /// Its file cannot be read.
    #[error("the component `{}` cannot be read: {source}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It cannot be kept in the store, or is not there.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It is no behaviour of the schema.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Components cannot be run on this machine.
    #[error("components cannot be run here: {0}")]
    Sandbox(String),
    /// The configuration in the store is none.
    #[error("the configuration {0} in the store is not in its form; restore the data folder from a copy")]
    Config(Hash),
}

/// Compiles components, from the first one on: a host without acts pays nothing for it.
#[derive(Debug, Default)]
pub struct Compiler {
    cache: Option<PathBuf>,
    sandbox: OnceLock<Result<Sandbox, String>>,
    /// For components that effects call: however many of them run at once, acts find room.
    calls: OnceLock<Result<Sandbox, String>>,
}

impl Compiler {
    /// A compiler that keeps compiled components in a folder.
    #[must_use]
    pub fn new(cache: Option<PathBuf>) -> Self {
        Self { cache, ..Self::default() }
    }

    /// Compiles a component for objects of a schema.
    ///
    /// # Errors
    /// When it is no behaviour of the schema: everything that is wrong with it.
    pub fn compile(
        &self,
        schema: &Arc<Schema>,
        component: &[u8],
        config: BTreeMap<String, String>,
    ) -> Result<Component, BehaviourError> {
        Ok(self.of(&self.sandbox, Instances::Pooled)?.load(schema, component, config)?)
    }

    /// Reads a component that effects call, and compiles it.
    ///
    /// # Errors
    /// When it cannot be read, or it is no component that may be called: everything that is wrong with it.
    pub fn callable(&self, spec: &BehaviourSpec) -> Result<Callable, BehaviourError> {
        let component = read_component(&spec.image)?;
        Ok(self.of(&self.calls, Instances::OnDemand)?.load_callable(&component, spec.config.clone())?)
    }

    fn of<'a>(
        &self,
        sandbox: &'a OnceLock<Result<Sandbox, String>>,
        instances: Instances,
    ) -> Result<&'a Sandbox, BehaviourError> {
        let options = || Options { cache: self.cache.clone(), instances };
        let sandbox = sandbox.get_or_init(|| Sandbox::new(options()).map_err(|error| error.to_string()));
        sandbox.as_ref().map_err(|error| BehaviourError::Sandbox(error.clone()))
    }
}

/// A program, or why there is none.
type Compiled = Result<Arc<Component>, String>;

/// The behaviours of a store.
#[derive(Debug)]
pub struct Behaviours {
    blobs: Blobs,
    compiler: Arc<Compiler>,
    /// By the schema's digest and the behaviour; of one that does not compile, why.
    programs: Mutex<BTreeMap<([u8; 32], Behaviour), Compiled>>,
}

impl Behaviours {
    /// The behaviours that stand beside a log.
    #[must_use]
    pub fn new(blobs: Blobs, compiler: Arc<Compiler>) -> Self {
        Self { blobs, compiler, programs: Mutex::default() }
    }

    /// Keeps an image in the store, and its program at hand: before a record names it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn adopt(&self, image: &Image) -> Result<(), BlobError> {
        image.keep(&self.blobs)?;
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.insert((image.schema, image.behaviour), Ok(Arc::clone(&image.program)));
        Ok(())
    }

    /// The program of a behaviour that the store holds.
    ///
    /// # Errors
    /// When the store lacks it, or it is no behaviour of the schema.
    pub fn program(&self, schema: &Arc<Schema>, behaviour: Behaviour) -> Compiled {
        let key = (schema.digest, behaviour);
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = programs.get(&key) {
            return known.clone();
        }
        let (component, config) = self.read(behaviour).map_err(|error| error.to_string())?;
        let compiled = self.compiler.compile(schema, &component, config);
        let compiled = compiled.map(Arc::new).map_err(|error| error.to_string());
        programs.insert(key, compiled.clone());
        compiled
    }

    /// The named values that a behaviour sees.
    ///
    /// # Errors
    /// When the store lacks them.
    pub fn config(&self, behaviour: Behaviour) -> Result<BTreeMap<String, String>, BehaviourError> {
        let config = self.blobs.get(&behaviour.config.0)?;
        config_from_bytes(&config).map_err(|_| BehaviourError::Config(behaviour.config))
    }

    fn read(&self, behaviour: Behaviour) -> Result<(Vec<u8>, BTreeMap<String, String>), BehaviourError> {
        Ok((self.blobs.get(&behaviour.component.0)?, self.config(behaviour)?))
    }
}

impl Guest for Behaviours {
    fn act(&self, act: &Act<'_>) -> Acted {
        match self.program(act.schema, act.behaviour) {
            Ok(program) => program.act(act),
            Err(message) => {
                Acted { answer: Err(ActError { fault: Fault::Missing, message }), log: Vec::new() }
            }
        }
    }
}

/// A component and its configuration, as they were read, compiled for the objects of a schema.
#[derive(Clone, Debug)]
pub struct Image {
    component: Arc<[u8]>,
    config: Arc<[u8]>,
    behaviour: Behaviour,
    schema: [u8; 32],
    program: Arc<Component>,
}

impl Image {
    /// Reads a component, and checks that objects of a schema can act by it.
    ///
    /// # Errors
    /// When it cannot be read, or is no behaviour of the schema.
    pub fn read(
        path: &Path,
        config: BTreeMap<String, String>,
        schema: &Arc<Schema>,
        compiler: &Compiler,
    ) -> Result<Self, BehaviourError> {
        let component = read_component(path)?;
        let digested = config_bytes(&config);
        let behaviour = Behaviour { component: digest(&component), config: digest(&digested) };
        let program = Arc::new(compiler.compile(schema, &component, config)?);
        let schema = schema.digest;
        Ok(Self { component: component.into(), config: digested.into(), behaviour, schema, program })
    }

    /// The two digests.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// Keeps both in a store: before a record names them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&self, blobs: &Blobs) -> Result<(), BlobError> {
        blobs.put(&self.component)?;
        blobs.put(&self.config)?;
        Ok(())
    }
}

/// Runs the acts of objects of its schema, whatever behaviour is in force for them.
impl Guest for Image {
    fn act(&self, act: &Act<'_>) -> Acted {
        self.program.act(act)
    }
}

/// The images of an application, by the name of the component that has them.
#[derive(Debug, Default)]
pub struct Images(BTreeMap<Arc<str>, Image>);

impl Images {
    /// Reads every image of an application: what its objects act by is kept, what their effects call is checked.
    ///
    /// # Errors
    /// What is wrong with each, at its place in the manifest.
    pub fn read(application: &Application, compiler: &Compiler) -> Result<Self, Vec<Diagnostic>> {
        let mut images = BTreeMap::new();
        let mut wrong = Vec::new();
        for component in &application.objects {
            let Some(spec) = &component.behaviour else { continue };
            match Image::read(&spec.image, spec.config.clone(), &component.schema, compiler) {
                Ok(image) => drop(images.insert(Arc::clone(&component.name), image)),
                Err(error) => wrong.extend(diagnose(spec.span.clone(), &error)),
            }
        }
        for target in &application.targets {
            let TargetKind::Component(spec) = &target.kind else { continue };
            match compiler.callable(spec) {
                Ok(callable) => wrong.extend(check_calls(application, &target.name, &callable)),
                Err(error) => wrong.extend(diagnose(spec.span.clone(), &error)),
            }
        }
        if wrong.is_empty() { Ok(Self(images)) } else { Err(wrong) }
    }

    /// The behaviour of a component's objects.
    #[must_use]
    pub fn of(&self, component: &ObjectComponent) -> Option<Behaviour> {
        self.0.get(&component.name).map(Image::behaviour)
    }

    /// Replaces the image of a component.
    pub fn replace(&mut self, component: &Arc<str>, image: Image) {
        self.0.insert(Arc::clone(component), image);
    }

    /// Each image.
    pub fn iter(&self) -> impl Iterator<Item = &Image> {
        self.0.values()
    }
}

/// What is wrong with the effects that a component is to answer, at the links that lead to it.
fn check_calls(application: &Application, target: &Arc<str>, callable: &Callable) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    for component in &application.objects {
        for link in component.links.iter().filter(|link| link.grant.target == *target) {
            let granted = |effect: &Effect| {
                let functions = &link.grant.functions;
                effect.interface == link.grant.interface
                    && (functions.is_empty() || functions.contains(&effect.function))
            };
            for mutation in &component.schema.mutations {
                let Some(effect) = mutation.effect.as_ref().filter(|effect| granted(effect)) else {
                    continue;
                };
                let problems = callable.check(&effect.interface, &effect.function, &effect.args);
                wrong.extend(problems.into_iter().map(|problem| {
                    let message = format!(
                        "the effect of `{}` of `{}`: {}",
                        mutation.name, component.schema.name, problem.message
                    );
                    Diagnostic::error(link.span.clone(), message).help(problem.help)
                }));
            }
        }
    }
    wrong
}

/// What is wrong with an image, each thing by itself.
#[must_use]
pub fn diagnose(span: std::ops::Range<usize>, error: &BehaviourError) -> Vec<Diagnostic> {
    match error {
        BehaviourError::Load(error) => {
            let problems = error.problems.iter();
            problems
                .map(|p| Diagnostic::error(span.clone(), p.message.clone()).help(p.help.clone()))
                .collect()
        }
        BehaviourError::Read { .. } => {
            let help = "build it, or check the path; it is relative to the manifest's folder".to_owned();
            vec![Diagnostic::error(span, error.to_string()).help(help)]
        }
        _ => vec![Diagnostic::error(span, error.to_string())],
    }
}

/// What a component and a configuration are named by: SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

fn read_component(path: &Path) -> Result<Vec<u8>, BehaviourError> {
    read_bounded(path).map_err(|source| BehaviourError::Read { path: path.to_owned(), source })
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 256 MiB"));
    }
    Ok(bytes)
}
