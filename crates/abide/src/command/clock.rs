//! `clock`: whether the recorded clock is ahead, and the signed reset that mends it.

use abide_core::reset::reset_bytes;
use abide_core::time::{Span, Timestamp};
use abide_host::clock::wall_clock;
use abide_host::local::{self, signature_json};
use clap::Args;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::error::{Answer, CommandError};

const EXAMPLES: &str = "\
Examples:
  abide clock                        the recorded time, and how far it is ahead of the clock
  abide clock --reset                set it back to the clock, by your signature
  abide clock --reset --to 2026-03-01T05:00:00Z
  abide lineage @host --json | jq 'select(.kind == \"clock\")'

A recorded clock that was ahead once stays ahead, since time never runs backwards by itself. A reset is recorded in every
object's lineage. What had passed before it has passed: rules, refills and windows go on as if the clock had not moved.";

/// Show the recorded clock, and set it back where it is ahead
///
/// With `--reset` it is signed with the operator's key, who must be an operator of every object that is neither sealed nor
/// terminated. The exit code is 1 if it is refused.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Clock {
    /// Set the recorded clock back to the clock of this machine, or to `--to`
    #[arg(long)]
    reset: bool,
    /// Set it back to that time
    #[arg(long, value_name = "TIME", requires = "reset")]
    to: Option<Timestamp>,
}

impl Clock {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        if self.reset { reset(context, self.to) } else { show(context) }
    }
}

fn show(context: &mut Context) -> Result<Answer, CommandError> {
    let view = context.view()?;
    let replayed = view.engine().host().replayed;
    // A running host knows of ticks that left no record.
    let running = local::status(&context.folder()?);
    let told = running.as_ref().and_then(|status| status.get("time")?.as_str()?.parse().ok());
    let recorded: Timestamp = told.unwrap_or_else(|| view.time());
    let wall = wall_clock();
    let ahead = Some(recorded.since(wall)).filter(|ahead| ahead.0 > 0 && !replayed);
    let out = &mut context.out;
    if out.json() {
        out.json_pretty(&json!({
            "recorded": recorded.to_string(),
            "wall_clock": wall.to_string(),
            "ahead": ahead.map(|ahead| ahead.to_string()),
            "replayed": replayed,
            "running": running.is_some(),
        }))?;
        return Ok(Answer::Yes);
    }
    out.line(format_args!("recorded    {recorded}"))?;
    out.line(format_args!("wall clock  {wall}"))?;
    let second = Span::from_secs(1);
    match ahead {
        _ if replayed => out.line("it belongs to its sources, which are replayed")?,
        Some(ahead) if ahead >= second => {
            let seconds = Span(ahead.0 - ahead.0 % second.0);
            let line = out.bad(format_args!("it is {seconds} ahead"));
            out.line(format_args!("{line}: `abide clock --reset` sets it back, by your signature"))?;
        }
        _ => out.line(out.good("it is not ahead"))?,
    }
    Ok(Answer::Yes)
}

fn reset(context: &mut Context, to: Option<Timestamp>) -> Result<Answer, CommandError> {
    let keys = context.keys()?;
    let to = to.unwrap_or_else(wall_clock);
    let view = context.view()?;
    let clock = view.engine().host_clock();
    let counter = keys.operators().first().map_or(1, |own| clock.next_counter(&own.key));
    let signature = keys.sign_as_operator(&reset_bytes(clock.genesis, to, counter), counter)?;
    let body = json!({ "op": "reset-clock", "to": to.to_string(), "signature": signature_json(&signature) });
    let answer = context.ask(&keys, &body)?;
    let text = |name: &str| answer.get(name).and_then(Json::as_str).unwrap_or_default();
    let recorded = text("verdict") == "recorded";
    let out = &mut context.out;
    if out.json() {
        out.json_pretty(&answer)?;
    } else if recorded {
        let line = out.good(format_args!("set back from {} to {}", text("since"), text("time")));
        out.line(line)?;
    } else {
        let line = format!("{}: {}", out.bad("refused"), text("message"));
        out.line(line)?;
    }
    Ok(Answer::of(recorded))
}
