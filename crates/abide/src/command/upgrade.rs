//! `upgrade`: another version of the schema, or another behaviour, for objects, by signature.

mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::document::Diagnostic;
use abide_core::guest::Behaviour;
use abide_core::object::Object;
use abide_core::record::json::behaviour_json;
use abide_core::record::{Code, Hash, Place, Reason};
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use abide_host::behaviour::{BehaviourError, Behaviours, Compiler, Image};
use abide_host::keys::Keys;
use abide_host::local::{LocalError, signature_json};
use abide_host::transitions::Transitions;
use abide_host::upgrade::Plan;
use abide_host::view::View;
use clap::{ArgGroup, Args};
use serde_json::{Value as Json, json};

use super::{ask, schema};
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::pairs;

const EXAMPLES: &str = "\
Examples:
  abide upgrade --all --schema frost-guard.yaml --plan       what it would change, and decide otherwise
  abide upgrade --all --schema frost-guard.yaml
  abide upgrade ewr --schema frost-guard.yaml --behaviour frost_guard.wasm
  abide upgrade ewr jfk --behaviour frost_guard.wasm --config margin=2.5 --config unit=Cel
  abide upgrade ewr --revert

A schema takes over from another version as its `migration` says. It is refused, with nothing changed, if any of the objects
cannot take it: each of them is named, with its fields. The component is checked against each object's schema. What takes
force is kept in the store by its digest and named in the record of the upgrade; the next cycle of the object goes by it.
Without `--behaviour` and `--config` the component and the named values stay as they are.

Exit code: 0, or 1 if an object refuses. A plan that decides otherwise than was recorded is no refusal.";

/// Put another version of the schema, or another behaviour, in force, by signature
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["schema", "behaviour", "revert"]))]
pub(crate) struct Upgrade {
    /// The objects' ids
    #[arg(value_name = "OBJECT", required_unless_present = "all")]
    objects: Vec<String>,
    /// Every object whose schema has the name of the new one; without `--schema`, every one that has a behaviour; with
    /// `--revert`, every one that has an upgrade to revert
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// The schema
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The component
    #[arg(long, value_name = "FILE")]
    behaviour: Option<PathBuf>,
    /// A named value that acts see; all of them anew
    #[arg(long, value_name = "NAME=VALUE", requires = "behaviour")]
    config: Vec<String>,
    /// Go back to what was in force before the last upgrade
    #[arg(long, conflicts_with_all = ["schema", "behaviour", "config"])]
    revert: bool,
    /// Show what it would change, and what the objects would have decided; change nothing
    #[arg(long)]
    plan: bool,
}

/// An object, and what is to take force for it.
struct Asked<'a> {
    object: &'a Object,
    act: OperatorAct,
    /// The component, where it is a new one.
    image: Option<Image>,
}

/// What an upgrade would come to for an object, before anything is asked.
struct Prepared<'a> {
    object: &'a Object,
    plan: Plan,
    /// What is to be asked, where the schema can take over at all.
    asked: Option<Asked<'a>>,
}

impl Upgrade {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let schema = match &self.schema {
            None => None,
            Some(path) => match schema::load_file(path, context)? {
                Some(schema) => Some(schema),
                None => return Ok(Answer::No),
            },
        };
        let view = context.view()?;
        let compiler = context.compiler();
        let prepared = self.prepare(&view, schema.as_ref(), &compiler)?;
        let refused = prepared.iter().any(|one| !one.plan.refused.is_empty());
        if refused && !self.plan {
            return plan::refuse(&mut context.out, &prepared);
        }
        if self.plan {
            let tried = if refused { Vec::new() } else { plan::tried(&view, &prepared, &compiler)? };
            return plan::tell(&mut context.out, &prepared, &tried);
        }
        let asked: Vec<Asked<'_>> = prepared.into_iter().filter_map(|one| one.asked).collect();
        if asked.is_empty() && !context.out.json() {
            context.out.line("nothing is to be done: no object differs from that")?;
            return Ok(Answer::Yes);
        }
        let answers = if asked.is_empty() { Vec::new() } else { ask(context, &view, &asked)? };
        tell(context, &asked, answers)
    }

    /// What is to be asked of each object, and what it would make of it.
    fn prepare<'a>(
        &self,
        view: &'a View,
        schema: Option<&Arc<Schema>>,
        compiler: &Arc<Compiler>,
    ) -> Result<Vec<Prepared<'a>>, CommandError> {
        let mut prepare = Prepare {
            upgrade: self,
            now: view.time(),
            behaviours: Behaviours::new(view.reader().blobs(), Arc::clone(compiler)),
            compiler,
            transitions: Transitions::default(),
            images: BTreeMap::new(),
        };
        let mut prepared = Vec::new();
        let mut wrong: Vec<CommandError> = Vec::new();
        for object in self.chosen(view, schema)? {
            let one =
                if self.revert { prepare.revert(object).map(Some) } else { prepare.one(object, schema) };
            match one {
                Ok(one) => prepared.extend(one),
                // What is wrong with a file is the same for all that are to have it.
                Err(error) if wrong.iter().all(|known| known.message != error.message) => wrong.push(error),
                Err(_) => {}
            }
        }
        let mut wrong = wrong.into_iter();
        let Some(first) = wrong.next() else { return Ok(prepared) };
        let message = wrong.fold(first.message, |all, next| format!("{all}\n{}", next.message));
        Err(CommandError { message, ..first })
    }

    fn chosen<'a>(
        &self,
        view: &'a View,
        schema: Option<&Arc<Schema>>,
    ) -> Result<Vec<&'a Object>, CommandError> {
        if !self.all {
            let mut named = BTreeSet::new();
            let ids = self.objects.iter().filter(|id| named.insert(*id));
            return ids.map(|id| ask::object(view, id)).collect();
        }
        let is_meant = |object: &&Object| match schema {
            _ if self.revert => object.state.previous.is_some(),
            Some(schema) => object.schema.name == schema.name,
            None => object.behaviour.is_some(),
        };
        let meant: Vec<_> = view.engine().objects().iter().filter(is_meant).collect();
        let open: Vec<_> = meant.iter().copied().filter(|object| !object.state.status.is_closed()).collect();
        match schema {
            Some(schema) if meant.is_empty() => {
                let message = format!("no object has a schema of the name `{}`", schema.name);
                Err(CommandError::usage(message).help("name the objects; `abide ls` shows them"))
            }
            Some(schema) if open.is_empty() => {
                let message = format!(
                    "every object that has a schema of the name `{}` is sealed or has ended",
                    schema.name
                );
                Err(CommandError::usage(message).help("nothing takes force for those any more"))
            }
            _ => Ok(open),
        }
    }
}

/// Asks for all of it, signed.
fn ask(
    context: &Context,
    view: &View,
    asked: &[Asked<'_>],
) -> Result<Vec<Result<Json, LocalError>>, CommandError> {
    let keys = context.keys()?;
    keep(view, asked)?;
    let bodies = asked.iter().map(|one| request(&keys, one)).collect::<Result<Vec<_>, _>>()?;
    context.ask_all(&keys, &bodies)
}

/// Tells every answer, and then what could not be asked.
fn tell(
    context: &mut Context,
    asked: &[Asked<'_>],
    answers: Vec<Result<Json, LocalError>>,
) -> Result<Answer, CommandError> {
    let mut admitted = Answer::Yes;
    let mut upgraded = Vec::new();
    let mut unasked: Option<CommandError> = None;
    for (one, answer) in asked.iter().zip(answers) {
        let id = &one.object.id;
        match answer {
            Ok(answer) => {
                if ask::verdict(&answer) == Answer::No {
                    admitted = Answer::No;
                }
                if context.out.json() {
                    upgraded.push(ask::completed(id, answer));
                } else {
                    ask::tell(context, id, answer)?;
                }
            }
            Err(error) => {
                let error = CommandError::from(error);
                let message = format!("`{id}`: {}", error.message);
                let before = unasked.map_or_else(String::new, |before| format!("{}\n", before.message));
                unasked = Some(CommandError { message: before + &message, ..error });
            }
        }
    }
    if context.out.json() {
        context.out.json_pretty(&json!({ "upgraded": upgraded }))?;
    }
    unasked.map_or(Ok(admitted), Err)
}

/// What is prepared once for objects that are alike.
struct Prepare<'a> {
    upgrade: &'a Upgrade,
    now: Timestamp,
    behaviours: Behaviours,
    compiler: &'a Compiler,
    transitions: Transitions,
    images: BTreeMap<([u8; 32], Option<Behaviour>), Image>,
}

impl Prepare<'_> {
    fn asked<'o>(&self, object: &'o Object, act: OperatorAct, image: Option<Image>) -> Prepared<'o> {
        let plan = Plan::of(object, &act, self.now);
        Prepared { object, plan, asked: Some(Asked { object, act, image }) }
    }

    fn revert<'o>(&self, object: &'o Object) -> Result<Prepared<'o>, CommandError> {
        let act = OperatorAct::revert(object).ok_or_else(|| {
            let message = format!("`{}` has no upgrade to revert", object.id);
            CommandError::usage(message)
                .help("a reversal cannot be reverted: upgrade to the schema that it is to have")
        })?;
        Ok(self.asked(object, act, None))
    }

    /// What is to be asked for an object; `None` where it is in force already and was not named.
    fn one<'o>(
        &mut self,
        object: &'o Object,
        schema: Option<&Arc<Schema>>,
    ) -> Result<Option<Prepared<'o>>, CommandError> {
        let to = schema.unwrap_or(&object.schema);
        let image = self.image(object, to)?;
        let behaviour = image.as_ref().map(Image::behaviour).or(object.behaviour);
        let behaviour = behaviour.filter(|_| !to.actions().is_empty());
        if *to == object.schema && behaviour == object.behaviour && self.upgrade.all {
            return Ok(None);
        }
        if *to == object.schema
            && let Some(behaviour) = behaviour.filter(|_| object.behaviour.is_some())
        {
            return Ok(Some(self.asked(object, OperatorAct::Behaviour(behaviour), image)));
        }
        if schema.is_none() {
            let message = format!("`{}` has no behaviour: its schema has no acts", object.id);
            return Err(CommandError::usage(message).help("`abide ls` shows the schema of each object"));
        }
        match (behaviour, &image) {
            (None, _) if !to.actions().is_empty() => {
                let message = format!(
                    "schema `{}` {} has acts, and `{}` has no behaviour",
                    to.name, to.version, object.id
                );
                return Err(CommandError::usage(message).help("name their component with `--behaviour FILE`"));
            }
            (Some(had), None) => {
                self.behaviours.program(to, had).map_err(|why| {
                    let message = format!(
                        "the component in force does not fit schema `{}` {}: {why}",
                        to.name, to.version
                    );
                    CommandError::refused(message).help("name the one that does with `--behaviour FILE`")
                })?;
            }
            _ => {}
        }
        Ok(Some(match self.transitions.between(&object.schema, to) {
            Ok(transition) => self.asked(object, OperatorAct::Schema(transition, behaviour), image),
            Err(wrong) => {
                let plan = self.unbound(object, to, &wrong);
                Prepared { object, plan, asked: None }
            }
        }))
    }

    /// A schema that cannot take over from the one in force, and everything that keeps it from it.
    fn unbound(&self, object: &Object, to: &Arc<Schema>, wrong: &[Diagnostic]) -> Plan {
        let reason = |one: &Diagnostic| {
            let help = one.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
            let message = format!("{}{help}", one.message).into();
            Reason { code: Code::Status, place: Place::Object, value: None, message }
        };
        Plan::refused(object, to, self.now, wrong.iter().map(reason).collect())
    }

    fn image(&mut self, object: &Object, schema: &Arc<Schema>) -> Result<Option<Image>, CommandError> {
        let Some(path) = &self.upgrade.behaviour else { return Ok(None) };
        let key = (schema.digest, object.behaviour);
        if let Some(image) = self.images.get(&key) {
            return Ok(Some(image.clone()));
        }
        let config: BTreeMap<String, String> = match object.behaviour {
            Some(had) if self.upgrade.config.is_empty() => self.behaviours.config(had)?,
            _ => pairs(&self.upgrade.config)?.into_iter().collect(),
        };
        let image = Image::read(path, config, schema, self.compiler)?;
        Ok(Some(self.images.entry(key).or_insert(image).clone()))
    }
}

/// Keeps what is to take force beside the log, under its digest.
fn keep(view: &View, asked: &[Asked<'_>]) -> Result<(), CommandError> {
    let blobs = view.reader().blobs();
    // Many objects have the same: each is kept once.
    let (mut schemas, mut behaviours) = (BTreeSet::new(), BTreeSet::new());
    for one in asked {
        if let Some(image) = &one.image
            && behaviours.insert(image.behaviour())
        {
            image.keep(&blobs).map_err(BehaviourError::from)?;
        }
        if let OperatorAct::Schema(transition, _) = &one.act
            && schemas.insert(transition.to().digest)
        {
            blobs.put(&transition.to().canonical).map_err(BehaviourError::from)?;
        }
    }
    Ok(())
}

/// What is asked of the host for an object, signed.
fn request(keys: &Keys, asked: &Asked<'_>) -> Result<Json, CommandError> {
    let Asked { object, act, .. } = asked;
    let counter = keys.next_counter(object);
    let signature = keys.sign_as_operator(&act.signed_bytes(object.genesis, counter), counter)?;
    let (schema, behaviour) = match act {
        OperatorAct::Behaviour(behaviour) => (None, Some(*behaviour)),
        OperatorAct::Schema(transition, behaviour) => {
            (Some(Hash(transition.to().digest).to_string()), *behaviour)
        }
        _ => (None, None),
    };
    Ok(json!({
        "op": act.name(),
        "object": &*object.id,
        "schema": schema,
        "behaviour": behaviour.map(behaviour_json),
        "signature": signature_json(&signature),
    }))
}
