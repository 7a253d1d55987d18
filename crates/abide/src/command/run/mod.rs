//! `run`: an application, until its input ends or someone stops it.

pub(super) mod application;
mod progress;
mod summary;
mod tell;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use abide_core::time::Span;
use abide_host::behaviour::Compiler;
use abide_host::broker::Broker;
use abide_host::components::{Carriers, Components};
use abide_host::local::Requests;
use abide_host::manifest::{Application, Report};
use abide_host::run::Ran;
use abide_host::view::View;
use clap::Args;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::runtime::Runtime;
use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::output::remark;
use crate::{folders, report};
use application::{Chosen, Given};
use progress::Teller;
use summary::Summary;

const EXAMPLES: &str = "\
Examples:
  abide run examples/frost-guard                         a folder with an app.yaml
  abide run app.yaml --source ./other-season.csv         the same with other data
  abide run app.yaml --source weather=- < readings.csv   one of several sources, from standard input
  abide run tank.yaml --tick 100ms                       one object of a schema, in real time
  abide run app.yaml --data-dir ./second --json          into another store, for a program
  abide run app.yaml --dev                               while you work on its schemas and behaviours

Ctrl-C and SIGTERM stop it after the tick at hand, with everything in order and exit code 0; a second one ends it at once,
which loses nothing that was recorded. Run again, it goes on from where it was.";

/// Run an application
///
/// Replayed sources drive the clock: then it runs as fast as it goes, to the end of its data. Else it ticks in real time
/// until it is stopped. With `--json`: a line for the start, one for the first tick, and one with the summary.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Run {
    /// A manifest, a folder with an app.yaml, or a schema: one object of it, in real time
    #[arg(value_name = "APP|FOLDER|SCHEMA")]
    what: PathBuf,
    /// Read a source from another file, `-` for standard input; of several sources, say which
    #[arg(long, value_name = "[NAME=]FILE")]
    source: Vec<String>,
    /// Of a schema: the ids of the objects to begin [default: the schema's name]
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    objects: Vec<String>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    components: Runtime,
}

/// How an application is run.
#[derive(Args, Debug)]
pub(super) struct Pace {
    /// In real time: how long a tick is, from 1ms to 24h
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    pub(super) tick: Option<Span>,
    /// Stop after so many ticks
    #[arg(long, value_name = "N")]
    ticks: Option<u64>,
    /// Put changed schemas and components in force at once, signed by your key; in real time their files are watched
    #[arg(long)]
    dev: bool,
}

impl Run {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let compiler = context.compiler();
        let given = Given {
            what: &self.what,
            sources: &self.source,
            objects: &self.objects,
            tick: self.pace.tick,
            compiler: &compiler,
        };
        let Chosen { application, reports } = application::choose(&given)?;
        let Some(application) = application else { return refuse(context, &reports) };
        reports.iter().for_each(|one| remark(report::render(one, context.out.color_err())));
        let folder = match context.named_folder() {
            Some(folder) => folder,
            None => folders::data_home()?.join(&*application.name),
        };
        let requests = Requests::default();
        let components = self.deploy(&application, &folder, &requests)?.map(Arc::new);
        let broker = components.clone().map(|components| components as Arc<dyn Broker>);
        let control = Control { stop: Arc::default(), requests, broker };
        let answer = self.pace.run(context, &application, compiler, &folder, control);
        drop(components);
        answer
    }

    /// Runs what messages drive, on this host alone. In a replay nobody sends any.
    fn deploy(
        &self,
        application: &Application,
        folder: &Path,
        requests: &Requests,
    ) -> Result<Option<Components>, CommandError> {
        if application.deployment.is_empty() && !application.has_messages() {
            return Ok(None);
        }
        if application.is_replay() {
            remark("its sources are replayed: the components that messages drive do not run");
            return Ok(None);
        }
        self.components.open(application, folder, false, Carriers::local(), requests).map(Some)
    }
}

/// What a run is bound to.
pub(super) struct Control {
    /// Set when it is to stop.
    pub(super) stop: Arc<AtomicBool>,
    /// What components ask of its objects.
    pub(super) requests: Requests,
    /// What carries its messages.
    pub(super) broker: Option<Arc<dyn Broker>>,
}

impl Pace {
    /// Runs an application until its end, or until it is to stop, and tells in the end what came of it.
    pub(super) fn run(
        self,
        context: &mut Context,
        application: &Application,
        compiler: Arc<Compiler>,
        folder: &Path,
        control: Control,
    ) -> Result<Answer, CommandError> {
        let (ran, readings) = self.drive(context, application, compiler, folder, control)?;
        let view = View::open(folder)?;
        let summary = Summary::of(&view, &ran)?;
        if context.out.json() {
            let mut finished = summary.to_json();
            if let Some(entries) = finished.as_object_mut() {
                entries.insert("data_dir".to_owned(), folder.display().to_string().into());
                entries.insert("readings".to_owned(), readings.into());
            }
            context.out.json_line(&finished)?;
        } else {
            tell::tell(context, application, folder, &summary)?;
        }
        Ok(Answer::Yes)
    }

    /// Runs it; and how many readings were taken, of a replay.
    fn drive(
        &self,
        context: &mut Context,
        application: &Application,
        compiler: Arc<Compiler>,
        folder: &Path,
        control: Control,
    ) -> Result<(Ran, Option<usize>), CommandError> {
        let Control { stop, requests, broker } = control;
        let keys = context.keys()?;
        for signal in [SIGINT, SIGTERM] {
            // The first sets the flag; one that comes after it ends the process as the signal alone would have done.
            let register = flag::register_conditional_default(signal, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)));
            register
                .map_err(|error| CommandError::environment(format!("cannot listen for signals: {error}")))?;
        }
        let mut teller = Teller::new(context, application, folder);
        let ran = abide_host::run::Run {
            application,
            folder: folder.to_owned(),
            keys: &keys,
            stop: &stop,
            progress: &mut |progress| teller.take(progress),
            ticks_max: self.ticks,
            compiler,
            dev: self.dev,
            requests,
            broker,
        }
        .run();
        let readings = teller.finish();
        Ok((ran?, readings))
    }
}

/// Says what is wrong with what was to be run.
pub(super) fn refuse(context: &mut Context, reports: &[Report]) -> Result<Answer, CommandError> {
    let (errors, warnings) = report::count(reports);
    if context.out.json() {
        context.out.json_line(&json!({ "event": "refused", "errors": report::to_json(reports) }))?;
        return Ok(Answer::No);
    }
    reports.iter().for_each(|one| remark(format_args!("{}\n", report::render(one, context.out.color_err()))));
    remark(format_args!("nothing was run: {}", report::counted(errors, warnings)));
    Ok(Answer::No)
}

fn period(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: abide_core::time::TimeError| error.to_string())?;
    if span < Span::from_millis(1) || span > Span::from_secs(24 * 3600) {
        return Err(format!("`{text}` is out of bounds: a tick takes from 1ms to 24h"));
    }
    Ok(span)
}
