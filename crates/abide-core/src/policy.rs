//! Policy: what an object may do beyond its schema. It is recorded at genesis and at each change.

use std::sync::Arc;

/// Operators' keys and names, the links the object is granted, and its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Who may act on it by signature.
    pub operators: Vec<Operator>,
    /// What its effects may call.
    pub links: Vec<Grant>,
    /// What it may take up.
    pub limits: Limits,
}

/// An operator: a name and an Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// As shown in the lineage.
    pub name: Arc<str>,
    /// Ed25519 public key.
    pub key: [u8; 32],
}

/// A link's grant: an interface, over a named link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The link's target, as the manifest names it.
    pub target: Arc<str>,
    /// WIT interface, as in `example:orchard/burner`.
    pub interface: Arc<str>,
    /// Functions of it; empty: all.
    pub functions: Vec<Arc<str>>,
}

/// Bounds on what an object may take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Observations and requests that wait in its inbox.
    pub inbox: u32,
    /// Effects without an outcome.
    pub effects: u32,
    /// Generations below it.
    pub depth: u32,
    /// Children alive at once.
    pub children: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { inbox: 1024, effects: 256, depth: 4, children: 64 }
    }
}

impl Policy {
    /// The grant that lets a call go out, if there is one.
    #[must_use]
    pub fn grant(&self, interface: &str, function: &str) -> Option<&Grant> {
        self.links.iter().find(|grant| {
            &*grant.interface == interface
                && (grant.functions.is_empty() || grant.functions.iter().any(|f| &**f == function))
        })
    }

    /// The operator with that key.
    #[must_use]
    pub fn operator(&self, key: &[u8; 32]) -> Option<&Operator> {
        self.operators.iter().find(|operator| operator.key == *key)
    }
}
