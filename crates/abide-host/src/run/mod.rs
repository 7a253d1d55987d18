//! Running an application: objects that begin, sources that are read, effects that go out, and a clock that someone drives.

mod dev;
mod effects;
mod live;
mod replay;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use abide_core::admission::{OperatorAct, OperatorRequest, Request};
use abide_core::cycle::Input;
use abide_core::document::Diagnostic;
use abide_core::engine::Beginning;
use abide_core::guest::{Behaviour, LogLine};
use abide_core::object::Object;
use abide_core::policy::{Limits, Policy};
use abide_core::record::{Caller, Hash};
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_store::{Disk, FileDisk};

use crate::ask::by_name;
use crate::behaviour::{Compiler, Image, Images};
use crate::broker::Broker;
use crate::clock::wall_clock;
use crate::host::{Host, HostError, Known, Recovered, Ticked};
use crate::keys::Keys;
use crate::local::{LocalError, Requests, Server};
use crate::manifest::Application;
use crate::source::{
    Cursor, LineProblem, Live, LiveCursor, Observation, Problems, Replay, ResumeError, SourceError,
};

use crate::transitions::in_words;
use crate::view::mutation_name;

use dev::Files;
use effects::Effects;

/// The name under which the place of a replay is kept in the store.
const REPLAY_CURSOR: &str = "@replay";

/// Why an application cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Sources cannot be read: each with what is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Sources(Vec<SourceError>),
    /// The input is not the one that the run began with.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The socket cannot be opened.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A target of effects cannot be opened.
    #[error("the target `{target}` cannot be opened: {source}")]
    Target {
        /// Its name in the manifest.
        target: Arc<str>,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Components are no behaviours of their schemas: what is wrong, at its place in the manifest.
    #[error("{}", .0.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("\n"))]
    Behaviours(Vec<Diagnostic>),
    /// An object acts by another component than the manifest names.
    #[error(
        "object `{object}` acts by the component {had:.12}, and the manifest names {has:.12}: a changed component takes \
         force by an operator's signature; run `abide upgrade --all --behaviour FILE` for it, or `abide run --dev`"
    )]
    BehaviourChanged {
        /// Which.
        object: Arc<str>,
        /// The component in force.
        had: Hash,
        /// The manifest's.
        has: Hash,
    },
    /// An object runs under another schema than the manifest names.
    #[error(
        "object `{object}` runs under schema {had}, and the manifest gives it {has}: a changed schema takes force by an \
         operator's signature; run `abide upgrade --all --schema FILE` for it (`--plan` shows first what it changes), or \
         `abide run --dev`, or give the manifest the schema in force"
    )]
    SchemaChanged {
        /// Which.
        object: Arc<str>,
        /// Name, version and digest in force.
        had: String,
        /// Name, version and digest in the manifest.
        has: String,
    },
}

/// What a run tells while it goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// The store is open and every object has begun: the first tick comes next.
    Started {
        /// What opening the store came upon.
        recovered: Recovered,
        /// Readings that are still to come, of a replay.
        remaining: Option<usize>,
    },
    /// A tick is durable.
    Tick {
        /// Its number.
        tick: u64,
        /// Its time.
        time: Timestamp,
        /// Records it made.
        records: usize,
        /// How many mutations of rules are among them.
        acts: usize,
        /// How many denials there were, recorded in full or counted.
        denials: usize,
        /// Readings that are still to come, of a replay.
        remaining: Option<usize>,
    },
    /// A line of a live source could not be read.
    Line(LineProblem),
    /// A source ended, or failed.
    SourceEnded {
        /// Which.
        source: Arc<str>,
        /// Why, if it failed.
        failure: Option<String>,
    },
    /// Ticks came late: how many since the start.
    Late(u64),
    /// An act of an object wrote a line to its log.
    Log {
        /// Whose.
        object: Arc<str>,
        /// The line.
        line: LogLine,
    },
    /// Something worth a word.
    Note(String),
}

/// How an application is run.
pub struct Run<'a> {
    /// What to run.
    pub application: &'a Application,
    /// The data folder.
    pub folder: PathBuf,
    /// The host's keys and the operator's.
    pub keys: &'a Keys,
    /// Set by whoever wants it to stop: it does so after the tick at hand.
    pub stop: &'a AtomicBool,
    /// Told what goes on.
    pub progress: &'a mut dyn FnMut(Progress),
    /// Stop after so many ticks.
    pub ticks_max: Option<u64>,
    /// Compiles components.
    pub compiler: Arc<Compiler>,
    /// Whether a changed schema or component takes force at once, signed by the operator's key of this machine; in real time
    /// their files are watched.
    pub dev: bool,
    /// What components of this process ask of its objects.
    pub requests: Requests,
    /// What carries messages, where something does.
    pub broker: Option<Arc<dyn Broker>>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// The host, still open.
    pub host: Host,
    /// Ticks of this run.
    pub ticks: u64,
    /// Ticks that came late.
    pub late_ticks: u64,
    /// Lines of sources that could not be read.
    pub problems: Problems,
    /// Whether all of a replayed input was taken.
    pub finished: bool,
}

impl Run<'_> {
    /// Runs it until its input ends or it is asked to stop; then all is in order on the disk.
    ///
    /// # Errors
    /// When the store, a source or a target cannot be used. What was acknowledged is on the disk.
    pub fn run(mut self) -> Result<Ran, RunError> {
        if self.application.is_replay() { self.replay() } else { self.live() }
    }

    fn replay(&mut self) -> Result<Ran, RunError> {
        let mut input = Replay::open(&self.application.sources).map_err(RunError::Sources)?;
        // The first record goes before the first reading, so that time moves on at the first tick.
        let start = input
            .span()
            .map_or(Timestamp(0), |(first, _)| Timestamp(first.0.saturating_sub(Span::from_secs(1).0)));
        let mut host = self.open(true, start)?;
        if let Some(cursor) = host.engine().cursor(REPLAY_CURSOR).and_then(Cursor::from_bytes) {
            input.resume(&cursor)?;
        }
        for note in input.notes() {
            (self.progress)(Progress::Note(note.clone()));
        }
        let mut server = Server::listen(&self.folder, &self.requests)?;
        let mut effects =
            Effects::open(self.application, &self.folder, &self.compiler, self.broker.as_ref(), true)?;
        effects.send(host.pending_effects());
        let remaining = Some(input.remaining());
        (self.progress)(Progress::Started { recovered: host.recovered().clone(), remaining });
        let (ticks, finished) = replay::run(self, &mut host, &mut input, &mut effects, &mut server)?;
        effects.stop();
        host.finish()?;
        Ok(Ran { host, ticks, late_ticks: 0, problems: input.problems().clone(), finished })
    }

    fn live(&mut self) -> Result<Ran, RunError> {
        let wall = wall_clock();
        let mut host = self.open(false, wall)?;
        let ahead = host.time().since(wall);
        if ahead > Span::from_secs(1) {
            let message = format!(
                "the last recorded time, {}, is {ahead} ahead of the clock: time goes on from there, since it never runs \
                 backwards by itself; `abide clock --reset` sets it back, by your signature",
                host.time()
            );
            (self.progress)(Progress::Note(message));
        }
        let mut server = Server::listen(&self.folder, &self.requests)?;
        let mut sources = Vec::new();
        let mut errors = Vec::new();
        for source in &self.application.sources {
            let cursor = host.engine().cursor(&source.config.name).and_then(LiveCursor::from_bytes);
            match Live::start(source.clone(), cursor, 4096, self.broker.as_deref()) {
                Ok(live) => sources.push(live),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(RunError::Sources(errors));
        }
        let mut effects =
            Effects::open(self.application, &self.folder, &self.compiler, self.broker.as_ref(), false)?;
        effects.send(host.pending_effects());
        (self.progress)(Progress::Started { recovered: host.recovered().clone(), remaining: None });
        let (ticks, problems) = live::run(self, &mut host, sources, &mut effects, &mut server)?;
        effects.stop();
        host.finish()?;
        let late_ticks = host.late_ticks();
        Ok(Ran { host, ticks, late_ticks, problems, finished: true })
    }

    fn open(&mut self, replayed: bool, start: Timestamp) -> Result<Host, RunError> {
        let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(&self.folder));
        let images = Images::read(self.application, &self.compiler).map_err(RunError::Behaviours)?;
        let mut host = Host::open(disk, self.keys, replayed, start)?;
        host.set_compiler(Arc::clone(&self.compiler));
        let refused = begin_application(&mut host, self.application, &images, self.keys, self.dev)?;
        self.tell_refused(refused);
        Ok(host)
    }

    /// Tells what objects refuse.
    fn tell_refused(&mut self, refused: Vec<Refused>) {
        for Refused { object, why } in refused {
            (self.progress)(Progress::Note(format!("`{object}` goes on as it is: {why}")));
        }
    }
}

/// Begins the objects of an application that do not exist yet, and gives the others their policy where it has changed; with
/// `upgrades` also their schema and behaviour, by the operator's signature: the answer is which objects refuse that. They go on as
/// they are.
///
/// # Errors
/// When an object cannot begin, or exists under another schema or behaviour and that may not change; then nothing is.
pub fn begin_application(
    host: &mut Host,
    application: &Application,
    images: &Images,
    keys: &Keys,
    upgrades: bool,
) -> Result<Vec<Refused>, RunError> {
    let mut beginnings = Vec::new();
    let mut policies = Vec::new();
    let mut changed = Vec::new();
    for component in &application.objects {
        let behaviour = images.of(component);
        let policy =
            Policy { operators: keys.operators(), links: component.grants(), limits: Limits::default() };
        for spec in &component.objects {
            match host.engine().object(&spec.id) {
                None => beginnings.push(Beginning {
                    id: Arc::clone(&spec.id),
                    schema: Arc::clone(&component.schema),
                    behaviour,
                    policy: policy.clone(),
                    values: spec.values.clone(),
                }),
                Some(object) => {
                    if *object.policy != policy {
                        policies.push((object.number, policy.clone()));
                    }
                    let differs = object.schema != component.schema || object.behaviour != behaviour;
                    if differs && !object.state.status.is_closed() {
                        check_may_change(object, &component.schema, behaviour, upgrades)?;
                        changed.push((object.number, Arc::clone(&component.schema), behaviour));
                    }
                }
            }
        }
    }
    images.iter().try_for_each(|image| host.behaviours().adopt(image)).map_err(HostError::from)?;
    let mut acts = Vec::new();
    let mut refused = Vec::new();
    for (number, schema, behaviour) in changed {
        match checked_act(host, number, &schema, behaviour) {
            Ok(act) => acts.push((number, act)),
            Err(why) => refused
                .extend(host.engine().by_number(number).map(|o| Refused { object: Arc::clone(&o.id), why })),
        }
    }
    let schemas: Vec<Known> = application
        .objects
        .iter()
        .map(|component| (Arc::clone(&component.schema), images.of(component)))
        .collect();
    host.begin(&schemas, &beginnings)?;
    for (number, policy) in policies {
        host.submit(number, Input::Policy(Box::new(policy)))?;
    }
    acts.into_iter().try_for_each(|(number, act)| upgrade(host, number, act, keys))?;
    Ok(refused)
}

/// What an object of the application has against the schema or behaviour that it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub object: Arc<str>,
    /// What is in its way.
    pub why: String,
}

/// What the manifest changes takes force by a signature, which is given here only if that is asked for.
fn check_may_change(
    object: &Object,
    schema: &Arc<Schema>,
    behaviour: Option<Behaviour>,
    upgrades: bool,
) -> Result<(), RunError> {
    if upgrades {
        return Ok(());
    }
    let id = Arc::clone(&object.id);
    if object.schema == *schema {
        let digest = |behaviour: Option<Behaviour>| behaviour.map_or(Hash::default(), |one| one.component);
        let (had, has) = (digest(object.behaviour), digest(behaviour));
        return Err(RunError::BehaviourChanged { object: id, had, has });
    }
    let shown = |s: &Schema| format!("`{}` {} ({})", s.name, s.version, Hash(s.digest));
    Err(RunError::SchemaChanged { object: id, had: shown(&object.schema), has: shown(schema) })
}

/// What came of putting something in force.
struct Forced {
    /// For how many objects it was asked.
    asked: usize,
    /// The others.
    refused: Vec<Refused>,
}

/// Asks for what the files of a component hold to take force for every object of it, and for children of its schema.
fn put_in_force(
    host: &mut Host,
    application: &Application,
    component: &str,
    files: &Files,
    keys: &Keys,
) -> Result<Forced, RunError> {
    let mut forced = Forced { asked: 0, refused: Vec::new() };
    let Some(component) = application.objects.iter().find(|one| &*one.name == component) else {
        return Ok(forced);
    };
    let (schema, behaviour) = (&files.schema, files.image.as_ref().map(Image::behaviour));
    host.begin(&[(Arc::clone(schema), behaviour)], &[])?;
    let listed = |object: &Object| component.objects.iter().any(|spec| spec.id == object.id);
    let is_child = |object: &Object| object.parent.is_some() && object.schema.name == schema.name;
    let of_component = |object: &Object| listed(object) || is_child(object);
    let objects = host.engine().objects().iter().filter(|object| of_component(object));
    let changes = |o: &&Object| o.schema != *schema || o.behaviour != behaviour;
    let open = objects.filter(|object| !object.state.status.is_closed()).filter(changes);
    let numbers: Vec<(u32, Arc<str>)> = open.map(|object| (object.number, Arc::clone(&object.id))).collect();
    for (number, id) in numbers {
        match checked_act(host, number, schema, behaviour) {
            Ok(act) => {
                upgrade(host, number, act, keys)?;
                forced.asked += 1;
            }
            Err(why) => forced.refused.push(Refused { object: id, why }),
        }
    }
    Ok(forced)
}

/// The act that puts a schema and a behaviour in force for an object; or what is in its way as the object stands now.
fn checked_act(
    host: &mut Host,
    number: u32,
    schema: &Arc<Schema>,
    behaviour: Option<Behaviour>,
) -> Result<OperatorAct, String> {
    let act = host.act(number, schema, behaviour)?;
    let Some(object) = host.engine().by_number(number) else { return Ok(act) };
    match act.check(object, host.time()) {
        Ok(_) => Ok(act),
        Err(denials) => Err(in_words(&denials)),
    }
}

/// Asks for something to take force, signed by the operator's key.
fn upgrade(host: &mut Host, number: u32, act: OperatorAct, keys: &Keys) -> Result<(), RunError> {
    let Some(object) = host.engine().by_number(number) else { return Ok(()) };
    let counter = keys.next_counter(object);
    let signature = keys.sign_as_operator(&act.signed_bytes(object.genesis, counter), counter);
    let signature = signature.map_err(HostError::from)?;
    host.submit(number, Input::Operate(OperatorRequest { act, signature }))?;
    Ok(())
}

/// What a tick that is durable lets out: answers, effects and word of it.
fn show(
    landed: Option<Ticked>,
    run: &mut Run<'_>,
    effects: &mut Effects,
    server: &mut Server,
    remaining: Option<usize>,
) {
    let Some(ticked) = landed else { return };
    server.answer(&ticked.verdicts);
    effects.send(ticked.effects);
    for (object, line) in ticked.log {
        (run.progress)(Progress::Log { object, line });
    }
    (run.progress)(Progress::Tick {
        tick: ticked.clock.tick,
        time: ticked.clock.time,
        records: ticked.records,
        acts: ticked.acts,
        denials: ticked.denials,
        remaining,
    });
}

/// How long a live host may go without a tick before it counts as a pause.
fn pause_after(period: Duration) -> Duration {
    (period * 10).max(Duration::from_secs(1))
}

/// Whether every inbox has room for what a reading asks for.
fn fits(host: &Host, observations: &[Observation]) -> bool {
    observations.iter().all(|one| {
        let asked = observations.iter().filter(|other| other.object == one.object).count();
        let room = host.engine().object(&one.object).map(|object| host.room(object.number));
        room.is_none_or(|room| usize::try_from(room).is_ok_and(|room| room >= asked))
    })
}

/// Puts what readings ask for into inboxes.
#[derive(Debug, Default)]
struct Intake {
    /// Notes that are told once.
    told: BTreeSet<String>,
}

impl Intake {
    /// Puts what a reading asks for into inboxes. An object may have come to run under another version of its schema since the
    /// source was bound: then it is asked by name.
    fn submit(
        &mut self,
        run: &mut Run<'_>,
        host: &mut Host,
        source: &Arc<str>,
        observations: Vec<Observation>,
    ) -> Result<(), HostError> {
        for Observation { object: id, schema, mutation, args } in observations {
            let Some(object) = host.engine().object(&id) else { continue };
            let asked = if object.schema == schema {
                Some((mutation, args))
            } else {
                by_name(&schema, &object.schema, mutation, &args)
            };
            let Some((mutation, args)) = asked else {
                let name = mutation_name(&schema, mutation);
                let now = &object.schema;
                let note = format!(
                    "schema `{}` {} of `{id}` has no mutation `{name}`: what source `{source}` gives for it is left out",
                    now.name, now.version
                );
                if self.told.insert(note.clone()) {
                    (run.progress)(Progress::Note(note));
                }
                continue;
            };
            let caller = Caller::Observation(Arc::clone(source));
            host.submit(object.number, Input::Ask(Request { mutation, args, caller }))?;
        }
        Ok(())
    }
}
