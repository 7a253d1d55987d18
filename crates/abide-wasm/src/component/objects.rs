//! `abide:object/client`: a component sees an object that a link grants, and asks mutations of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bindings::abide::object::client;
use super::call::{Call, Reach};
use super::components::Inner;

const INTERFACE: &str = "abide:object/client";

/// Why an object was not seen, or a mutation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectFailed {
    /// There is no such object, mutation or argument.
    #[error("{0}")]
    NotFound(String),
    /// Admission denied it: the denial, as JSON.
    #[error("denied: {0}")]
    Denied(String),
    /// The host that has the object knows of no link to it.
    #[error("the host that has the object knows of no link to it")]
    NotLinked,
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// Who asks which object, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The component that asks.
    pub component: &'a str,
    /// The object's id.
    pub object: &'a str,
    /// How long the component waits.
    pub limit: Duration,
}

/// The objects of a host, and those that it reaches on others. Its functions may wait.
pub trait Objects: Send + Sync + 'static {
    /// An object as it is, as JSON.
    ///
    /// # Errors
    /// When there is none, or it cannot be read now.
    fn read(&self, asked: Asked<'_>) -> Result<String, ObjectFailed>;
    /// Asks a mutation with its arguments as JSON: the number of the record, none where it was ignored.
    ///
    /// # Errors
    /// When it was denied, there is none, or it cannot be asked now.
    fn ask(&self, asked: Asked<'_>, mutation: &str, arguments: &str) -> Result<Option<u64>, ObjectFailed>;
}

/// Whether components are linked to objects.
#[derive(Clone, Debug)]
pub struct Granted(pub(super) Arc<Inner>);

impl Granted {
    /// Whether a link of any name lets a component reach an object. Where none does, that is told.
    #[must_use]
    pub fn is_granted(&self, component: &str, object: &str) -> bool {
        let is_granted =
            self.0.directory().links(component).any(|link| link.is_for(INTERFACE) && link.target == object);
        if !is_granted {
            self.0.tell(&format!(
                "`{component}` may not reach the object `{object}`: it has no link to it for `{INTERFACE}`"
            ));
        }
        is_granted
    }
}

impl From<ObjectFailed> for client::Error {
    fn from(failed: ObjectFailed) -> Self {
        match failed {
            ObjectFailed::NotFound(what) => Self::NotFound(what),
            ObjectFailed::Denied(denial) => Self::Denied(denial),
            ObjectFailed::NotLinked => Self::NotLinked,
            ObjectFailed::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// Does something with an object that a link grants, off the threads of the runtime.
async fn with<T: Send + 'static>(
    reach: &Reach,
    object: String,
    act: impl FnOnce(&dyn Objects, Asked<'_>) -> Result<T, ObjectFailed> + Send + 'static,
) -> Result<T, client::Error> {
    let (host, component) = (Arc::clone(&reach.host), Arc::clone(&reach.component));
    if !Granted(Arc::clone(&host)).is_granted(&component.id, &object) {
        return Err(client::Error::NotLinked);
    }
    let limit = reach.caller.until.saturating_duration_since(Instant::now());
    let done = tokio::task::spawn_blocking(move || {
        act(&*host.ports.objects, Asked { component: &component.id, object: &object, limit })
    });
    done.await.map_err(|_| client::Error::Unavailable("the host failed".to_owned()))?.map_err(Into::into)
}

impl client::Host for Call {
    async fn read(&mut self, object: String) -> wasmtime::Result<Result<String, client::Error>> {
        Ok(with(&self.reach, object, |objects, asked| objects.read(asked)).await)
    }

    async fn ask(
        &mut self,
        object: String,
        mutation: String,
        arguments: String,
    ) -> wasmtime::Result<Result<Option<u64>, client::Error>> {
        Ok(with(&self.reach, object, move |objects, asked| objects.ask(asked, &mutation, &arguments)).await)
    }
}
