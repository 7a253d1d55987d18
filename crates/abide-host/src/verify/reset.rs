//! A reset of the host's clock, held against what it must be: signed, a commit of its own, and told by every lineage that it
//! concerns.

use std::collections::BTreeSet;

use abide_core::clock::Clock;
use abide_core::object::Object;
use abide_core::record::Signature;
use abide_core::record::decode::Header;
use abide_core::record::encode::KINDS;
use abide_core::reset::{HostClock, ResetError};
use abide_core::time::Timestamp;

/// The reset in the commit at hand.
pub(super) struct Reset {
    /// The time before it, as the host's lineage says.
    since: Timestamp,
    /// Objects whose lineage has yet to tell of it, by number.
    awaited: BTreeSet<u32>,
}

impl Reset {
    pub(super) fn new(since: Timestamp, awaited: impl Iterator<Item = u32>) -> Self {
        Self { since, awaited: awaited.collect() }
    }

    /// Whether a record of that kind may stand in the commit of a reset: denials that were counted before go before it.
    pub(super) fn may_hold(kind: u8) -> bool {
        KINDS.get(usize::from(kind)).is_some_and(|name| matches!(*name, "clock" | "denials"))
    }

    /// In what an object's record of a reset is not what the host's lineage orders.
    pub(super) fn breach(reset: Option<&mut Self>, since: Timestamp, number: u32) -> Option<String> {
        let Some(reset) = reset else {
            return Some("the host's lineage has no reset of the clock in this tick".to_owned());
        };
        if since != reset.since {
            let theirs = reset.since;
            return Some(format!(
                "it sets the clock back from {since}, and the host's lineage from {theirs}"
            ));
        }
        let is_awaited = reset.awaited.remove(&number);
        (!is_awaited).then(|| "a reset of the clock does not concern its object, or not once more".to_owned())
    }

    /// The objects whose lineage does not tell of it.
    pub(super) fn into_awaited(self) -> BTreeSet<u32> {
        self.awaited
    }
}

/// In what a reset in the host's lineage cannot have been admitted. `all` says whether every object is among those given.
pub(super) fn reset_breaches<'o>(
    host: &HostClock<'_>,
    objects: impl Iterator<Item = &'o Object>,
    all: bool,
    before: Clock,
    header: &Header,
    signature: Option<&Signature>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if header.tick <= before.tick {
        wrong.push("a reset of the clock is a tick of its own".to_owned());
    }
    // Ticks without a record leave none of their times, so the time before a reset may be later than that of any record.
    if host.time < before.time {
        wrong.push(format!(
            "it sets the clock back from {}, and the commit before it is of {}",
            host.time, before.time
        ));
    }
    let Some(signature) = signature else {
        wrong.push("no operator signed the reset of the clock".to_owned());
        return wrong;
    };
    match host.check(objects, header.time, signature) {
        Err(ResetError::NoObject) if !all => {}
        Err(error) => wrong.push(format!("it cannot have been admitted: {error}")),
        Ok(()) => {}
    }
    wrong
}
