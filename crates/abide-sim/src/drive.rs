//! Drives a host over a history, from where its store stands: the replay loop, with effects simulated.

use std::sync::Arc;

use abide_core::admission::{OperatorAct, OperatorRequest, Request, check_args, signed_bytes};
use abide_core::cycle::Input;
use abide_core::record::{Caller, Outcome, OutcomeStatus};
use abide_host::ask::{args_from_json, mutation, object, observation};
use abide_host::effect;
use abide_host::{Host, HostError};
use serde_json::Value as Json;

use crate::application::Application;
use crate::history::{Event, What};

/// The name under which the store keeps how far the history was taken.
const CURSOR: &str = "history";

/// A tick that never ends would be a fault of its own.
const TICKS_MAX: u64 = 20_000;

/// Plays the rest of a history, each flush before the next tick or, if it `overlaps`, beside it. `after` is called after
/// each tick.
pub(crate) fn drive(
    host: &mut Host,
    application: &Application,
    history: &[Event],
    overlaps: bool,
    after: &mut dyn FnMut(&mut Host) -> Result<(), HostError>,
) -> Result<(), HostError> {
    application.begin(host)?;
    after(host)?;
    for request in host.pending_effects() {
        simulate(host, &request)?;
    }
    for _ in 0..TICKS_MAX {
        let taken = taken(host);
        let Some(next) = history.get(taken) else { break };
        let time = host.next_due().map_or(next.time, |due| due.min(next.time));
        let ready = history.iter().skip(taken).take_while(|event| event.time <= time).count();
        for (n, event) in history.iter().enumerate().skip(taken).take(ready) {
            submit(host, application, event, n)?;
        }
        let cursor = u64::try_from(taken + ready).unwrap_or(u64::MAX).to_be_bytes();
        let cursors =
            if ready == 0 { Vec::new() } else { vec![(Arc::from(CURSOR), Arc::from(cursor.as_slice()))] };
        let mut landed = if overlaps {
            host.tick_ahead(time, cursors, None)?
        } else {
            Some(host.tick_with(time, cursors, None)?)
        };
        if host.owes_effects() {
            landed = host.settle()?;
        }
        for request in landed.iter().flat_map(|ticked| &ticked.effects) {
            simulate(host, request)?;
        }
        after(host)?;
    }
    host.settle()?;
    after(host)
}

/// How many of the history's events the store has taken.
fn taken(host: &Host) -> usize {
    let cursor =
        host.engine().cursor(CURSOR).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    usize::try_from(cursor).unwrap_or(usize::MAX)
}

fn simulate(host: &mut Host, request: &effect::Request) -> Result<(), HostError> {
    let number = object(host.engine(), &request.object)?.number;
    let outcome = Outcome { of: request.seq, status: OutcomeStatus::Simulated, attempts: 0, message: None };
    host.submit(number, Input::Outcome(outcome, None))?;
    Ok(())
}

/// Puts an event in its object's inbox. An operator's counter is the number of the event, so that a run that goes on
/// asks the same again.
fn submit(host: &mut Host, application: &Application, event: &Event, n: usize) -> Result<(), HostError> {
    let counter = u64::try_from(n).unwrap_or(u64::MAX).saturating_add(1);
    let number = object(host.engine(), event.object)?.number;
    let input = match &event.what {
        What::Observe { mutation, args } => {
            Input::Ask(observation(host.engine(), event.object, mutation, args, "history")?.1)
        }
        What::Operate { mutation, args } => {
            Input::Ask(signed_request(host, application, event.object, mutation, args, counter)?)
        }
        What::Act(act) => Input::Operate(signed_act(host, application, event.object, act.clone(), counter)?),
        What::Upgrade(version) => {
            // The first version takes over from the second alone, and not from the one that objects begin with.
            let schema = application.version(event.object, *version);
            let Some(act) = schema.and_then(|schema| host.act(number, &schema, None).ok()) else {
                return Ok(());
            };
            Input::Operate(signed_act(host, application, event.object, act, counter)?)
        }
        What::Revert => {
            let Some(act) = OperatorAct::revert(object(host.engine(), event.object)?) else { return Ok(()) };
            Input::Operate(signed_act(host, application, event.object, act, counter)?)
        }
    };
    host.submit(number, input)?;
    Ok(())
}

fn signed_request(
    host: &Host,
    application: &Application,
    id: &str,
    name: &str,
    args: &Json,
    counter: u64,
) -> Result<Request, HostError> {
    let object = object(host.engine(), id)?;
    let (ix, declared) = mutation(&object.schema, name)?;
    let args = args_from_json(declared, args)?;
    let covered = check_args(&declared.args, &args).unwrap_or_else(|_| args.clone());
    let bytes = signed_bytes(object.genesis, "mutate", Some((declared, &covered)), counter);
    let signature = application.keys.sign_as_operator(&bytes, counter)?;
    Ok(Request { mutation: ix, args, caller: Caller::Operator(Box::new(signature)) })
}

fn signed_act(
    host: &Host,
    application: &Application,
    id: &str,
    act: OperatorAct,
    counter: u64,
) -> Result<OperatorRequest, HostError> {
    let bytes = act.signed_bytes(object(host.engine(), id)?.genesis, counter);
    Ok(OperatorRequest { act, signature: application.keys.sign_as_operator(&bytes, counter)? })
}
