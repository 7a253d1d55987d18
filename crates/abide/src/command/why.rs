//! `why`: how a value came about, and why a rule did not act.

use abide_core::object::Object;
use abide_core::schema::Schema;
use abide_core::time::Timestamp;
use abide_host::view::View;
use abide_host::why::{self, Branch, Mark};
use clap::Args;

use super::ask;
use crate::context::Context;
use crate::error::{Answer, CommandError, ErrorKind};

const EXAMPLES: &str = "\
Examples:
  abide why ewr.burner                                     who set it, by which rule, on what readings
  abide why ewr --not light --at 2013-03-21T12:00:00Z      what kept the rule `light` from acting then
  abide why ewr --not light                                what keeps it now";

/// Explain why a field has its value, or why a rule did not act
///
/// The answer goes from a value to the record that set it, to the rule behind the record and what that rule read, down to
/// observations. Of a rule that did not act it names the operand that kept it.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Why {
    /// A field of an object; with `--not`, an object
    #[arg(value_name = "OBJECT.FIELD|OBJECT")]
    of: String,
    /// The rule that did not act
    #[arg(long, value_name = "RULE")]
    not: Option<String>,
    /// When it did not act [default: the last tick]
    #[arg(long, value_name = "TIME", requires = "not", value_parser = time)]
    at: Option<Timestamp>,
}

impl Why {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let view = context.view()?;
        let (answer, branch) = match &self.not {
            Some(rule) => {
                let object = ask::object(&view, &self.of)?;
                let answer = why::why_not(&view, object, rule, self.at.unwrap_or(view.time()));
                let answer = answer.map_err(|error| with_names(error.into(), rules(&object.schema)))?;
                (answer.to_json(), answer.branch())
            }
            None => {
                let (object, field) = field_of(&view, &self.of)?;
                let answer = why::why_field(&view, object, field);
                let answer = answer.map_err(|error| with_names(error.into(), fields(&object.schema)))?;
                (answer.to_json(), answer.branch())
            }
        };
        let out = &mut context.out;
        if out.json() {
            out.json_pretty(&answer)?;
        } else {
            let text = render(&branch, |mark, text| match mark {
                Mark::Value => out.strong(text),
                Mark::Culprit => out.bad(text),
                Mark::Record => out.good(text),
                Mark::Remark | Mark::Operand => text.to_owned(),
            });
            out.text(text)?;
        }
        Ok(Answer::Yes)
    }
}

fn render(branch: &Branch, style: impl Fn(Mark, &str) -> String) -> String {
    branch.render(&style)
}

/// The object and the field of `OBJECT.FIELD`. An id may have points as well: it is the longest that there is.
fn field_of<'v, 'n>(view: &'v View, of: &'n str) -> Result<(&'v Object, &'n str), CommandError> {
    let mut splits = of
        .rmatch_indices('.')
        .map(|(at, _)| (of.get(..at).unwrap_or(of), of.get(at + 1..).unwrap_or_default()));
    let known = splits.clone().find_map(|(id, field)| Some((view.engine().object(id)?, field)));
    match (known, splits.next_back()) {
        (Some(found), _) => Ok(found),
        (None, Some((id, field))) => Ok((ask::object(view, id)?, field)),
        (None, None) => {
            let object = ask::object(view, of)?;
            Err(CommandError::usage(format!("`{of}` names no field"))
                .help(format!("write `{of}.FIELD`, or `{of} --not RULE`; {}", fields(&object.schema))))
        }
    }
}

fn fields(schema: &Schema) -> String {
    ask::known(schema.memory.fields.iter().map(|field| &*field.name), "the fields are")
}

fn rules(schema: &Schema) -> String {
    ask::known(schema.rules.iter().map(|rule| &*rule.name), "the rules are")
}

fn with_names(error: CommandError, names: String) -> CommandError {
    let is_name = error.kind == ErrorKind::Usage && error.message.starts_with("schema");
    if is_name { error.help(names) } else { error }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error: abide_core::time::TimeError| error.to_string())
}
