//! `run --dev` in real time: the files of components are watched, and what changes takes force.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use abide_core::schema::Schema;

use crate::behaviour::{BehaviourError, Compiler, Image};
use crate::manifest::{Application, BehaviourSpec};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A component that changed.
pub(super) struct Changed {
    /// The component of the manifest.
    pub(super) component: Arc<str>,
    /// The new one, compiled; or why it is none.
    pub(super) image: Result<Image, BehaviourError>,
}

/// Watches the components of an application, on a thread of its own: compiling one may take a while, and holds up no tick.
pub(super) struct Watch {
    pub(super) changes: Receiver<Changed>,
    /// The thread ends when this is dropped.
    _alive: Sender<()>,
}

/// A file as it was when it was last looked at.
type Stamp = Option<(SystemTime, u64)>;

struct Watched {
    component: Arc<str>,
    schema: Arc<Schema>,
    spec: BehaviourSpec,
    stamp: Stamp,
    /// Seen to differ, and not yet twice the same: someone may still be writing.
    settling: Option<Stamp>,
}

impl Watch {
    /// Begins to watch.
    pub(super) fn start(application: &Application, compiler: &Arc<Compiler>) -> Self {
        let watched = application.objects.iter().filter_map(|component| {
            let spec = component.behaviour.clone()?;
            let stamp = stamp(&spec.image);
            let (name, schema) = (Arc::clone(&component.name), Arc::clone(&component.schema));
            Some(Watched { component: name, schema, spec, stamp, settling: None })
        });
        let mut watched: Vec<_> = watched.collect();
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
    fn look(&mut self, compiler: &Compiler) -> Option<Changed> {
        let now = stamp(&self.spec.image);
        if now == self.stamp || now.is_none() {
            self.settling = None;
            return None;
        }
        if self.settling.replace(now) != Some(now) {
            return None;
        }
        self.stamp = now;
        let BehaviourSpec { image, config, .. } = &self.spec;
        let image = Image::read(image, config.clone(), &self.schema, compiler);
        Some(Changed { component: Arc::clone(&self.component), image })
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
