//! `verify`: whether the log is what its host wrote.

use abide_host::verify;
use clap::Args;

use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::output::counted;

const EXAMPLES: &str = "\
Examples:
  abide verify
  abide verify --data-dir ./copy-from-the-field --json";

/// Verify the store: every checksum, hash, link, signature, and the law of every schema
///
/// No snapshot is trusted. The exit code is 1 if anything is wrong. With `--json`: {verified, records, objects, head,
/// problems}.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {}

impl Verify {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let verified = verify::verify_folder(&context.folder()?)?;
        let answer = Answer::of(verified.is_verified());
        let out = &mut context.out;
        if out.json() {
            out.json_pretty(&verified.to_json())?;
            return Ok(answer);
        }
        for problem in &verified.problems {
            let line = format!("{} {problem}", out.bad("problem:"));
            out.line(line)?;
        }
        if verified.problems_more > 0 {
            out.line(format_args!("and {} more", verified.problems_more))?;
        }
        let found =
            u64::try_from(verified.problems.len()).unwrap_or(u64::MAX).saturating_add(verified.problems_more);
        let verdict = match answer {
            Answer::Yes => out.good("verified"),
            Answer::No => out.bad(format_args!("not verified, {}", counted(found, "problem"))),
        };
        let head = verified
            .head
            .map_or_else(|| "no head".to_owned(), |(size, root)| format!("head {} of size {size}", root));
        let records = counted(verified.records, "record");
        out.line(format_args!("{verdict}: {records} of {}, {head}", counted(verified.objects, "object")))?;
        Ok(answer)
    }
}
