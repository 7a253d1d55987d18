//! `run --dev` in real time: the files of schemas and components are watched, and what changes takes force.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use abide_core::document::{Diagnostic, line_column};
use abide_core::schema::Schema;

use crate::behaviour::{Compiler, Image};
use crate::manifest::{Application, BehaviourSpec, ObjectComponent};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A component of the manifest whose files changed.
pub(super) struct Changed {
    /// Which.
    pub(super) component: Arc<str>,
    /// What they hold now; or why that is of no use.
    pub(super) files: Result<Files, String>,
}

/// What the files of a component hold.
pub(super) struct Files {
    /// The schema.
    pub(super) schema: Arc<Schema>,
    /// The behaviour, compiled for it.
    pub(super) image: Option<Image>,
}

/// Watches the files of an application, on a thread of its own: compiling a component may take a while, and holds up no tick.
pub(super) struct Watch {
    pub(super) changes: Receiver<Changed>,
    /// The thread ends when this is dropped.
    _alive: Sender<()>,
}

/// A file as it was when it was last looked at.
type Stamp = Option<(SystemTime, u64)>;

struct Watched {
    component: Arc<str>,
    schema: PathBuf,
    spec: Option<BehaviourSpec>,
    stamps: [Stamp; 2],
    /// Seen to differ, and not yet twice the same: someone may still be writing.
    settling: Option<[Stamp; 2]>,
}

impl Watch {
    /// Begins to watch.
    pub(super) fn start(application: &Application, compiler: &Arc<Compiler>) -> Self {
        let mut watched: Vec<_> = application.objects.iter().map(Watched::new).collect();
        let (sender, changes) = channel();
        let (alive, ended) = channel::<()>();
        let compiler = Arc::clone(compiler);
        thread::spawn(move || {
            while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                for one in &mut watched {
                    let Some(changed) = one.look(&compiler) else { continue };
                    if sender.send(changed).is_err() {
                        return;
                    }
                }
            }
        });
        Self { changes, _alive: alive }
    }
}

impl Watched {
    fn new(component: &ObjectComponent) -> Self {
        let (schema, spec) = (component.schema_path.clone(), component.behaviour.clone());
        let mut watched =
            Self { component: Arc::clone(&component.name), schema, spec, stamps: [None; 2], settling: None };
        watched.stamps = watched.stamps_now();
        watched
    }

    fn stamps_now(&self) -> [Stamp; 2] {
        [stamp(&self.schema), self.spec.as_ref().and_then(|spec| stamp(&spec.image))]
    }

    fn look(&mut self, compiler: &Compiler) -> Option<Changed> {
        let now = self.stamps_now();
        if now == self.stamps || now[0].is_none() || now[1].is_none() && self.spec.is_some() {
            self.settling = None;
            return None;
        }
        if self.settling.replace(now) != Some(now) {
            return None;
        }
        self.stamps = now;
        Some(Changed { component: Arc::clone(&self.component), files: self.read(compiler) })
    }

    fn read(&self, compiler: &Compiler) -> Result<Files, String> {
        let text = std::fs::read_to_string(&self.schema)
            .map_err(|error| format!("the schema `{}` cannot be read: {error}", self.schema.display()))?;
        let (schema, _) = Schema::load(&text).map_err(|wrong| self.in_words(&text, &wrong))?;
        let schema = Arc::new(schema);
        let spec = self.spec.as_ref().filter(|_| !schema.actions().is_empty());
        let image = spec.map(|spec| Image::read(&spec.image, spec.config.clone(), &schema, compiler));
        let image = image.transpose().map_err(|error| error.to_string())?;
        Ok(Files { schema, image })
    }

    fn in_words(&self, text: &str, wrong: &[Diagnostic]) -> String {
        let one = |diagnostic: &Diagnostic| {
            let (line, column) = line_column(text, diagnostic.span.as_ref().map_or(0, |span| span.start));
            format!("{}:{line}:{column}: {}", self.schema.display(), diagnostic.message)
        };
        wrong.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
