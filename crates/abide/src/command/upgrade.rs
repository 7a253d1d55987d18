//! `upgrade`: another version of the schema, or another behaviour, for objects, by signature.

mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::document::Diagnostic;
use abide_core::guest::Behaviour;
use abide_core::object::Object;
use abide_core::record::Hash;
use abide_core::record::json::behaviour_json;
use abide_core::schema::Schema;
use abide_host::behaviour::{BehaviourError, Behaviours, Compiler, Image};
use abide_host::keys::Keys;
use abide_host::local::signature_json;
use abide_host::transitions::Transitions;
use abide_host::upgrade::Plan;
use abide_host::view::View;
use clap::Args;
use serde_json::{Value as Json, json};

use super::{ask, schema};
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::pairs;
use plan::Tried;

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
pub(crate) struct Upgrade {
    /// The objects' ids
    #[arg(value_name = "OBJECT", required_unless_present = "all")]
    objects: Vec<String>,
    /// Every object whose schema has the name of the new one; without `--schema`, every one that has a behaviour; with
    /// `--revert`, every one that has an upgrade to revert
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// The schema
    #[arg(long, value_name = "FILE", required_unless_present_any = ["behaviour", "revert"])]
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
        let asked = self.prepare(&view, schema.as_ref(), &compiler)?;
        let plans: Vec<Plan> =
            asked.iter().map(|asked| Plan::of(asked.object, &asked.act, view.time())).collect();
        let refused = plans.iter().any(|plan| !plan.refused.is_empty());
        if self.plan {
            let tried = if refused { Vec::new() } else { plan::tried(&view, &asked, &compiler)? };
            let tried: Vec<&Tried> = tried.iter().collect();
            return plan::tell(&mut context.out, &plans, &tried);
        }
        if refused && (self.schema.is_some() || self.revert) {
            return plan::refuse(&mut context.out, &plans);
        }
        if asked.is_empty() {
            if context.out.json() {
                context.out.json_pretty(&json!({ "upgraded": [] }))?;
            } else {
                context.out.line("nothing is to be done: no object differs from that")?;
            }
            return Ok(Answer::Yes);
        }
        let keys = context.keys()?;
        keep(&view, &asked)?;
        let bodies = asked.iter().map(|one| request(&keys, one)).collect::<Result<Vec<_>, _>>()?;
        let answers = context.ask_all(&keys, &bodies)?;
        let mut answer = Answer::Yes;
        for (one, told) in asked.iter().zip(answers) {
            if ask::tell(context, &one.object.id, told?)? == Answer::No {
                answer = Answer::No;
            }
        }
        Ok(answer)
    }

    /// What is to be asked, checked as far as it can be without the objects' memories.
    fn prepare<'a>(
        &self,
        view: &'a View,
        schema: Option<&Arc<Schema>>,
        compiler: &Arc<Compiler>,
    ) -> Result<Vec<Asked<'a>>, CommandError> {
        let mut prepare = Prepare {
            upgrade: self,
            behaviours: Behaviours::new(view.reader().blobs(), Arc::clone(compiler)),
            compiler,
            transitions: Transitions::default(),
            images: BTreeMap::new(),
        };
        let mut asked = Vec::new();
        let mut wrong: Vec<CommandError> = Vec::new();
        for object in self.chosen(view, schema)? {
            let one = if self.revert { revert(object).map(Some) } else { prepare.one(object, schema) };
            match one {
                Ok(one) => asked.extend(one),
                // What keeps one version from taking over is the same for all that have it.
                Err(error) if wrong.iter().all(|known| known.message != error.message) => wrong.push(error),
                Err(_) => {}
            }
        }
        let mut wrong = wrong.into_iter();
        let Some(first) = wrong.next() else { return Ok(asked) };
        let message = wrong.fold(first.message, |all, next| format!("{all}\n{}", next.message));
        Err(CommandError { message, ..first })
    }

    fn chosen<'a>(
        &self,
        view: &'a View,
        schema: Option<&Arc<Schema>>,
    ) -> Result<Vec<&'a Object>, CommandError> {
        if !self.all {
            return self.objects.iter().map(|id| ask::object(view, id)).collect();
        }
        let is_meant = |object: &&Object| match schema {
            _ if object.state.status.is_closed() => false,
            _ if self.revert => object.state.previous.is_some(),
            Some(schema) => object.schema.name == schema.name,
            None => object.behaviour.is_some(),
        };
        let all: Vec<_> = view.engine().objects().iter().filter(is_meant).collect();
        if let (true, Some(schema)) = (all.is_empty(), schema) {
            let message = format!("no object has a schema of the name `{}`", schema.name);
            return Err(CommandError::usage(message).help("name the objects; `abide ls` shows them"));
        }
        Ok(all)
    }
}

fn revert(object: &Object) -> Result<Asked<'_>, CommandError> {
    let act = OperatorAct::revert(object).ok_or_else(|| {
        let message = format!("`{}` has no upgrade to revert", object.id);
        CommandError::usage(message)
            .help("a reversal cannot be reverted: upgrade to the schema that it is to have")
    })?;
    Ok(Asked { object, act, image: None })
}

/// What is prepared once for objects that are alike.
struct Prepare<'a> {
    upgrade: &'a Upgrade,
    behaviours: Behaviours,
    compiler: &'a Compiler,
    transitions: Transitions,
    images: BTreeMap<([u8; 32], Option<Behaviour>), Image>,
}

impl Prepare<'_> {
    /// What is to be asked for an object; `None` where it is in force already and was not named.
    fn one<'o>(
        &mut self,
        object: &'o Object,
        schema: Option<&Arc<Schema>>,
    ) -> Result<Option<Asked<'o>>, CommandError> {
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
            return Ok(Some(Asked { object, act: OperatorAct::Behaviour(behaviour), image }));
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
        let transition =
            self.transitions.between(&object.schema, to).map_err(|wrong| cannot(object, to, &wrong))?;
        Ok(Some(Asked { object, act: OperatorAct::Schema(transition, behaviour), image }))
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

/// A schema that cannot take over from the one in force, and everything that keeps it from it.
fn cannot(object: &Object, to: &Schema, wrong: &[Diagnostic]) -> CommandError {
    let from = &object.schema;
    let head =
        format!("schema `{}` {} cannot take over from `{}` {}", to.name, to.version, from.name, from.version);
    let each = wrong.iter().map(|one| {
        let help = one.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        format!("\n  {}{help}", one.message)
    });
    CommandError::refused(format!("{head}:{}", each.collect::<String>()))
        .help("the key `migration` of a schema says how it takes over: docs/upgrades.md")
}

/// Keeps what is to take force beside the log, under its digest.
fn keep(view: &View, asked: &[Asked<'_>]) -> Result<(), CommandError> {
    let blobs = view.reader().blobs();
    let mut kept: Vec<Hash> = Vec::new();
    for one in asked {
        if let Some(image) = &one.image {
            image.keep(&blobs).map_err(BehaviourError::from)?;
        }
        if let OperatorAct::Schema(transition, _) = &one.act {
            let digest = Hash(transition.to().digest);
            if !kept.contains(&digest) {
                blobs.put(&transition.to().canonical).map_err(BehaviourError::from)?;
                kept.push(digest);
            }
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
