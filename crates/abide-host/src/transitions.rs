//! Transitions from one version of a schema to another, each bound once.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::admission::{Denial, OperatorAct};
use abide_core::document::Diagnostic;
use abide_core::guest::Behaviour;
use abide_core::object::Object;
use abide_core::record::{Hash, Upgrade};
use abide_core::schema::Schema;
use abide_core::transition::Transition;

/// A transition, or everything that keeps one schema from taking over from the other.
pub type Bound = Result<Arc<Transition>, Arc<[Diagnostic]>>;

/// The transitions that were asked for.
#[derive(Debug, Default)]
pub struct Transitions(BTreeMap<(Hash, Hash), Bound>);

impl Transitions {
    /// How one schema takes over from another.
    ///
    /// # Errors
    /// As [`Transition::new`].
    pub fn between(&mut self, from: &Arc<Schema>, to: &Arc<Schema>) -> Bound {
        let known = self.0.entry((Hash(from.digest), Hash(to.digest)));
        known.or_insert_with(|| Transition::new(from, to).map(Arc::new).map_err(Into::into)).clone()
    }

    /// The act that puts a schema and a behaviour in force for an object.
    ///
    /// # Errors
    /// In words, what keeps that schema from taking over.
    pub fn act_to(
        &mut self,
        object: &Object,
        schema: &Arc<Schema>,
        behaviour: Option<Behaviour>,
    ) -> Result<OperatorAct, String> {
        match behaviour.filter(|_| object.schema == *schema) {
            Some(behaviour) => Ok(OperatorAct::Behaviour(behaviour)),
            None => Ok(OperatorAct::Schema(
                self.between(&object.schema, schema).map_err(|wrong| told(&wrong))?,
                behaviour,
            )),
        }
    }

    /// The act that the record of an upgrade is of, for the object as it stood before; `after` is the schema in force after it.
    ///
    /// # Errors
    /// In words, what keeps that schema from taking over from the one before.
    pub(crate) fn act(
        &mut self,
        upgrade: &Upgrade,
        object: &Object,
        after: &Arc<Schema>,
    ) -> Result<OperatorAct, String> {
        if let Some(of) = upgrade.reverts {
            let schema = upgrade.schema.as_ref().map(|change| change.is);
            return Ok(OperatorAct::Revert { of, schema, behaviour: upgrade.behaviour });
        }
        match (&upgrade.schema, upgrade.behaviour) {
            (Some(_), behaviour) => {
                let bound = self.between(&object.schema, after);
                Ok(OperatorAct::Schema(bound.map_err(|wrong| told(&wrong))?, behaviour))
            }
            (None, Some(behaviour)) => Ok(OperatorAct::Behaviour(behaviour)),
            (None, None) => Err("it puts nothing in force".to_owned()),
        }
    }
}

/// What keeps one schema from taking over from another, on a line.
fn told(wrong: &[Diagnostic]) -> String {
    wrong.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Denials on a line.
pub(crate) fn in_words(denials: &[Denial]) -> String {
    denials.iter().map(|denial| &*denial.reason.message).collect::<Vec<_>>().join("; ")
}
