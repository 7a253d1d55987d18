//! What an effect is answered: it is recorded, and so is what the schema makes of it, or its denial.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use abide_core::engine::Beginning;
use abide_core::policy::{Grant, Policy};
use abide_core::record::Event;
use abide_core::record::decode::decode_strict;
use abide_core::schema::Schema;
use abide_core::time::Span;
use abide_host::Host;
use abide_host::effect::{CallError, Outcome, OutcomeStatus, Request};
use abide_host::keys::Keys;
use abide_host::verify::verify;
use abide_host::view::View;
use abide_store::{MemoryDisk, Position};
use serde_json::Value as Json;

use crate::sample;

/// Two calls, of which one takes the answer apart and the other as it is.
const SCHEMA: &str = include_str!("answer.yaml");

/// A host whose object waits for the answers of two calls.
struct World {
    keys: Keys,
    files: BTreeMap<String, Vec<u8>>,
    requests: Vec<Request>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "a world that cannot be made is a broken test, not a finding")]
    WORLD.get_or_init(|| make().expect("the world is made"))
}

fn make() -> Result<World, Box<dyn Error>> {
    let (schema, _) = Schema::load(SCHEMA).map_err(|errors| format!("the schema: {errors:?}"))?;
    let (keys, disk) = (sample::keys()?, MemoryDisk::new());
    let mut host = Host::open(Arc::new(disk.clone()), &keys, true, sample::START)?;
    let grant = Grant { target: "out".into(), interface: "example:out/side".into(), functions: Vec::new() };
    let beginning = Beginning {
        id: "one".into(),
        schema: Arc::new(schema),
        behaviour: None,
        policy: Policy { links: vec![grant], ..Policy::default() },
        values: Vec::new(),
    };
    host.begin(&[], &[beginning])?;
    for n in 1..4 {
        host.tick(sample::START.saturating_add(Span::from_secs(n)))?;
    }
    let requests = host.pending_effects();
    drop(host);
    Ok(World { keys, files: sample::files(&disk)?, requests })
}

/// A call as it is ordered.
pub(super) fn request(interface: &str, function: &str, args: Vec<Json>) -> Request {
    #[expect(clippy::expect_used, reason = "the world of the tests calls")]
    let ordered = world().requests.first().expect("an effect is pending");
    Request { interface: interface.into(), function: function.into(), args: args.into(), ..ordered.clone() }
}

/// What a target came to is recorded, and the lineage verifies; what is recorded, in words.
pub(super) fn record(called: &Result<Json, CallError>) -> Vec<String> {
    if let Err(error) = called {
        assert!(!error.message.is_empty(), "a failure says nothing");
    }
    #[expect(clippy::expect_used, reason = "whatever fails here is a finding")]
    let recorded = tick(called).expect("the answer is recorded");
    recorded
}

fn tick(called: &Result<Json, CallError>) -> Result<Vec<String>, Box<dyn Error>> {
    let World { keys, files, requests } = world();
    let disk = sample::disk(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))?;
    let mut host = Host::open(Arc::new(disk.clone()), keys, true, sample::START)?;
    for request in requests {
        let status = match called {
            Ok(result) => OutcomeStatus::Delivered { result: result.clone() },
            Err(error) => OutcomeStatus::Failed { error: error.message.clone() },
        };
        let Request { key, seq, object, .. } = request.clone();
        host.submit(1, Outcome { key, seq, object, status, attempts: 1 }.into_input())?;
    }
    host.tick(host.time().saturating_add(Span::from_secs(1)))?;
    assert!(host.pending_effects().is_empty(), "an effect that was answered is still pending");
    host.finish()?;
    drop(host);
    let view = View::open_disk(Arc::new(disk), None)?;
    let verified = verify(&view)?;
    assert!(verified.is_verified(), "what an answer made does not verify: {:?}", verified.problems.first());
    let mut recorded = Vec::new();
    for frame in view.reader().frames(Position::START) {
        for stored in frame?.records() {
            let schema = view.engine().by_number(stored.object).map(|object| &*object.schema);
            recorded.push(match decode_strict(stored.bytes, schema)?.event {
                Event::Denial(denied) => denied.reason.message.to_string(),
                Event::Outcome(outcome) => outcome.message.unwrap_or_default().to_string(),
                event => event.kind().to_string(),
            });
        }
    }
    Ok(recorded)
}
