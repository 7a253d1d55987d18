//! A history: what comes in, and when. A seed decides it; it is replayed, so its times drive the clock.

use abide_core::admission::OperatorAct;
use abide_core::time::{Span, Timestamp};
use serde_json::{Value as Json, json};

use crate::application::Application;
use crate::random::Random;

/// When the log begins.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000_000_000);

/// How many readings a history has.
const EVENTS: u64 = 45;

/// Something that comes in.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) time: Timestamp,
    pub(crate) object: &'static str,
    pub(crate) what: What,
}

/// What comes in.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Observe {
        mutation: &'static str,
        args: Json,
    },
    Operate {
        mutation: &'static str,
        args: Json,
    },
    Act(OperatorAct),
    /// Another version of the object's schema, by its number.
    Upgrade(u32),
    Revert,
}

/// The history of a seed, in the order of time.
pub(crate) fn history(seed: u64) -> Vec<Event> {
    let mut random = Random::new(seed ^ 0x0005_1a71_0a11);
    let mut time = START;
    let mut events = Vec::new();
    for _ in 0..EVENTS {
        if !random.one_in(3) {
            let wait = [1, 1_000_000_000, 15_000_000_000, 60_000_000_000, 90_000_000_000];
            let at = usize::try_from(random.below(5)).unwrap_or(0);
            time = time.saturating_add(Span(wait.get(at).copied().unwrap_or(1)));
        }
        events.push(event(time.max(START.saturating_add(Span(1))), &mut random));
    }
    events
}

fn event(time: Timestamp, random: &mut Random) -> Event {
    let n = usize::try_from(random.below(Application::objects() as u64)).unwrap_or(0);
    let (object, schema) = Application::object(n);
    let what = match (schema, random.below(12)) {
        (_, 0) => match random.below(6) {
            0 | 1 => What::Upgrade(2),
            2 => What::Upgrade(1),
            3 => What::Revert,
            _ => What::Act(OperatorAct::Release),
        },
        ("guard", 1) => operate("refuel", json!({ "value": 60 + random.below(200) })),
        ("guard", 2) => {
            operate("set_burner", json!({ "value": (if random.one_in(2) { "low" } else { "idle" }) }))
        }
        // Above the maximum: a bad sensor.
        ("guard", 3) => observe(json!({ "value": 1048, "at": time.to_string() })),
        ("guard", _) => {
            let value = i64::try_from(random.below(9)).unwrap_or(0) - 3;
            observe(json!({ "value": value, "at": time.to_string() }))
        }
        (_, 1) => operate("reset", json!({ "value": random.below(24) })),
        (_, _) => observe(json!({ "value": random.below(23) })),
    };
    Event { time, object, what }
}

fn observe(args: Json) -> What {
    What::Observe { mutation: "observe", args }
}

fn operate(mutation: &'static str, args: Json) -> What {
    What::Operate { mutation, args }
}
