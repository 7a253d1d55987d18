//! `verify`: whether the log is what its host wrote, or a bundle what its host signed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use abide_core::bundle::{BYTES_MAX, Bundle};
use abide_core::record::Hash;
use abide_host::history::Problem;
use abide_host::verify::{self, Against, TrustedKey, VerifiedBundle};
use clap::Args;

use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::input::{read_note, read_text};
use crate::output::counted;

const EXAMPLES: &str = "\
Examples:
  abide verify
  abide verify --since 2026-03.checkpoint       the log only grew since then
  abide verify --data-dir ./copy-from-the-field --json
  abide verify ewr.abide --key NBQX…            a bundle, offline, of a host that is known
  abide verify ewr.abide --execute              and its rules and acts come to the same records again";

/// Verify the store or a bundle: every hash, link, signature, and the law of every schema
///
/// Without FILE, the store: no snapshot is trusted. With FILE, a bundle, for which nothing else is needed. The exit code is 1 if
/// anything is wrong. With `--json`: {verified, records, objects, head, executed, problems}.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// A bundle that `export` wrote; `-` is standard input
    #[arg(value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Whose it must be: a host's identity (`N…`), a log's key (`origin+id+key`), or a file with either
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A checkpoint that it must have grown out of; may be repeated
    #[arg(long, value_name = "CHECKPOINT")]
    since: Vec<PathBuf>,
    /// Run rules and behaviours again, too
    #[arg(long)]
    execute: bool,
}

impl Verify {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let against = Against {
            key: self.key.as_deref().map(trusted_key).transpose()?,
            since: self.since.iter().map(|path| read_note(path)).collect::<Result<_, _>>()?,
            execute: self.execute.then(|| context.compiler()),
        };
        match &self.bundle {
            Some(path) => verify_bundle(path, &against, context),
            None => verify_store(&against, context),
        }
    }
}

fn verify_store(against: &Against, context: &mut Context) -> Result<Answer, CommandError> {
    let verified = verify::verify_folder(&context.folder()?, against)?;
    let answer = Answer::of(verified.is_verified());
    if context.out.json() {
        context.out.json_pretty(&verified.to_json())?;
        return Ok(answer);
    }
    let found = u64::try_from(verified.problems.len()).unwrap_or(u64::MAX);
    tell_problems(&verified.problems, verified.problems_more, context)?;
    let head = head_in_words(verified.head);
    let records = counted(verified.records, "record");
    let verdict = verdict(answer, found.saturating_add(verified.problems_more), context);
    let out = &mut context.out;
    out.line(format_args!("{verdict}: {records} of {}, {head}", counted(verified.objects, "object")))?;
    tell_executed(verified.executed, context)?;
    Ok(answer)
}

fn verify_bundle(path: &Path, against: &Against, context: &mut Context) -> Result<Answer, CommandError> {
    let bytes = read_bundle(path).map_err(|error| CommandError::file("read", path, &error))?;
    let verified = match Bundle::decode(&bytes) {
        Ok(bundle) => verify::verify_bundle(&bundle, against)?,
        Err(error) => {
            let what = format!("`{}` is no bundle, or damaged, {error}", path.display());
            let problem = Problem { object: None, seq: None, leaf: None, tick: None, what };
            VerifiedBundle { problems: vec![problem], ..VerifiedBundle::default() }
        }
    };
    let answer = Answer::of(verified.is_verified());
    if context.out.json() {
        context.out.json_pretty(&verified.to_json())?;
        return Ok(answer);
    }
    tell_problems(&verified.problems, 0, context)?;
    let verdict = verdict(answer, verified.problems.len() as u64, context);
    let out = &mut context.out;
    let (records, objects) =
        (counted(verified.records, "record"), counted(verified.objects.len() as u64, "object"));
    let head = head_in_words(verified.head);
    out.line(format_args!("{verdict}: {records} of {objects}, {head}"))?;
    for size in &verified.earlier {
        out.line(format_args!("the log goes on from its checkpoint of {}", counted(*size, "record")))?;
    }
    if let Some(host) = verified.host.as_deref().filter(|_| verified.is_verified()) {
        let whose = if verified.is_confirmed {
            format!("it is of the host `{host}`, whose key was given")
        } else {
            format!("it says that it is of the host `{host}`: give `--key` to be sure of it")
        };
        out.line(whose)?;
    }
    tell_executed(verified.executed, context)?;
    Ok(answer)
}

fn head_in_words(head: Option<(u64, Hash)>) -> String {
    head.map_or_else(|| "no head".to_owned(), |(size, root)| format!("head {root} of size {size}"))
}

fn tell_problems(problems: &[Problem], more: u64, context: &mut Context) -> Result<(), CommandError> {
    let out = &mut context.out;
    for problem in problems {
        let line = format!("{} {problem}", out.bad("problem:"));
        out.line(line)?;
    }
    if more > 0 {
        out.line(format_args!("and {more} more"))?;
    }
    Ok(())
}

fn verdict(answer: Answer, problems: u64, context: &Context) -> String {
    match answer {
        Answer::Yes => context.out.good("verified"),
        Answer::No => context.out.bad(format_args!("not verified, {}", counted(problems, "problem"))),
    }
}

fn tell_executed(executed: Option<u64>, context: &mut Context) -> Result<(), CommandError> {
    let Some(executed) = executed else { return Ok(()) };
    context
        .out
        .line(format_args!("{} came out of running rules and behaviours again", counted(executed, "record")))
}

/// The key itself, or a file with it.
fn trusted_key(text: &str) -> Result<TrustedKey, CommandError> {
    let path = Path::new(text);
    let key = if path.is_file() {
        read_text(path).map_err(|error| CommandError::file("read", path, &error))?
    } else {
        text.to_owned()
    };
    TrustedKey::from_str(&key).map_err(|why| CommandError::usage(format!("`{text}` is no key: {why}")))
}

fn read_bundle(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(path)?) };
    source.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 GiB"));
    }
    Ok(bytes)
}
