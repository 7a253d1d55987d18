//! `upgrade`: another behaviour for objects, by signature.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use abide_core::admission::OperatorAct;
use abide_core::guest::Behaviour;
use abide_core::object::Object;
use abide_core::record::json::behaviour_json;
use abide_core::state::Status;
use abide_host::behaviour::{Behaviours, Compiler, Image};
use abide_host::keys::Keys;
use abide_host::local::signature_json;
use abide_host::view::View;
use clap::Args;
use serde_json::json;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::pairs;

const EXAMPLES: &str = "\
Examples:
  abide upgrade ewr jfk --behaviour frost_guard.wasm
  abide upgrade --all --behaviour frost_guard.wasm
  abide upgrade ewr --behaviour frost_guard.wasm --config margin=2.5 --config unit=Cel

The component is checked against each object's schema first. It is kept in the store by its digest; the record of the
upgrade names it, and the next act of the object uses it. Without `--config` the named values stay as they are.";

/// Put another behaviour in force, by signature
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Upgrade {
    /// The objects' ids
    #[arg(value_name = "OBJECT", required_unless_present = "all")]
    objects: Vec<String>,
    /// Every object that has a behaviour
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// The component
    #[arg(long, value_name = "FILE")]
    behaviour: PathBuf,
    /// A named value that acts see; all of them anew
    #[arg(long, value_name = "NAME=VALUE")]
    config: Vec<String>,
}

/// An object, and what is to take force for it.
struct Change {
    object: String,
    behaviour: Behaviour,
}

impl Upgrade {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let view = context.view()?;
        let keys = context.keys()?;
        let changes = self.prepare(&view, &context.compiler())?;
        if changes.is_empty() {
            if context.out.json() {
                context.out.json_pretty(&json!({ "upgraded": [] }))?;
            } else {
                context.out.line("no object has another behaviour: nothing is to be done")?;
            }
            return Ok(Answer::Yes);
        }
        let mut answer = Answer::Yes;
        for change in changes {
            if ask_for(context, &keys, &change)? == Answer::No {
                answer = Answer::No;
            }
        }
        Ok(answer)
    }

    /// Checks the component against the schema of every object before anything is asked, and keeps it in the store.
    fn prepare(&self, view: &View, compiler: &Arc<Compiler>) -> Result<Vec<Change>, CommandError> {
        let given = (!self.config.is_empty()).then(|| pairs(&self.config)).transpose()?;
        let given: Option<BTreeMap<String, String>> = given.map(|pairs| pairs.into_iter().collect());
        let blobs = view.reader().blobs();
        let behaviours = Behaviours::new(blobs.clone(), Arc::clone(compiler));
        let mut images: BTreeMap<([u8; 32], Behaviour), Image> = BTreeMap::new();
        let mut changes = Vec::new();
        for object in self.chosen(view)? {
            let Some(had) = object.behaviour else {
                let message = format!("`{}` has no behaviour: its schema has no acts", object.id);
                return Err(CommandError::usage(message).help("`abide ls` shows the schema of each object"));
            };
            let image = match images.get(&(object.schema.digest, had)) {
                Some(image) => image.clone(),
                None => {
                    let config = match &given {
                        Some(config) => config.clone(),
                        None => behaviours.config(had)?,
                    };
                    let image = Image::read(&self.behaviour, config, &object.schema, compiler)?;
                    image.keep(&blobs).map_err(abide_host::behaviour::BehaviourError::from)?;
                    images.entry((object.schema.digest, had)).or_insert(image).clone()
                }
            };
            if !self.all || image.behaviour() != had {
                changes.push(Change { object: object.id.to_string(), behaviour: image.behaviour() });
            }
        }
        Ok(changes)
    }

    fn chosen<'a>(&self, view: &'a View) -> Result<Vec<&'a Object>, CommandError> {
        if !self.all {
            return self.objects.iter().map(|id| ask::object(view, id)).collect();
        }
        let open = |object: &&Object| {
            object.behaviour.is_some() && !matches!(object.state.status, Status::Sealed | Status::Terminated)
        };
        Ok(view.engine().objects().iter().filter(open).collect())
    }
}

fn ask_for(context: &mut Context, keys: &Keys, change: &Change) -> Result<Answer, CommandError> {
    let view = context.view()?;
    let object = ask::object(&view, &change.object)?;
    let act = OperatorAct::Upgrade(change.behaviour);
    let counter = keys.next_counter(object);
    let signature = keys.sign_as_operator(&act.signed_bytes(object.genesis, counter), counter)?;
    let body = json!({
        "op": act.name(),
        "object": change.object,
        "behaviour": behaviour_json(change.behaviour),
        "signature": signature_json(&signature),
    });
    let answer = context.ask(keys, &body)?;
    ask::tell(context, &change.object, answer)
}
