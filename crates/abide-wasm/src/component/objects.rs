//! `abide:object/client`: a component sees an object that a link grants, and asks mutations of it.

use std::sync::Arc;

use super::bindings::abide::object::client;
use super::call::{Call, Reach};

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
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// The objects of a host. Its functions may wait.
pub trait Objects: Send + Sync + 'static {
    /// An object as it is, as JSON.
    ///
    /// # Errors
    /// When there is none, or it cannot be read now.
    fn read(&self, component: &str, object: &str) -> Result<String, ObjectFailed>;
    /// Asks a mutation with its arguments as JSON: the number of the record, none where it was ignored.
    ///
    /// # Errors
    /// When it was denied, there is none, or it cannot be asked now.
    fn ask(
        &self,
        component: &str,
        object: &str,
        mutation: &str,
        arguments: &str,
    ) -> Result<Option<u64>, ObjectFailed>;
}

impl From<ObjectFailed> for client::Error {
    fn from(failed: ObjectFailed) -> Self {
        match failed {
            ObjectFailed::NotFound(what) => Self::NotFound(what),
            ObjectFailed::Denied(denial) => Self::Denied(denial),
            ObjectFailed::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// Does something with an object that a link of any name grants, off the threads of the runtime.
async fn with<T: Send + 'static>(
    reach: &Reach,
    object: &str,
    act: impl FnOnce(&dyn Objects, &str) -> Result<T, ObjectFailed> + Send + 'static,
) -> Result<T, client::Error> {
    let component = Arc::clone(&reach.component);
    let is_granted = reach
        .host
        .directory()
        .links(&component.id)
        .any(|link| link.is_for(INTERFACE) && link.target == object);
    if !is_granted {
        let id = &component.id;
        reach.host.tell(&format!(
            "`{id}` may not reach the object `{object}`: it has no link to it for `{INTERFACE}`"
        ));
        return Err(client::Error::NotLinked);
    }
    let host = Arc::clone(&reach.host);
    let done = tokio::task::spawn_blocking(move || act(&*host.ports.objects, &component.id)).await;
    done.map_err(|_| client::Error::Unavailable("the host failed".to_owned()))?.map_err(Into::into)
}

impl client::Host for Call {
    async fn read(&mut self, object: String) -> wasmtime::Result<Result<String, client::Error>> {
        let id = object.clone();
        Ok(with(&self.reach, &object, move |objects, component| objects.read(component, &id)).await)
    }

    async fn ask(
        &mut self,
        object: String,
        mutation: String,
        arguments: String,
    ) -> wasmtime::Result<Result<Option<u64>, client::Error>> {
        let id = object.clone();
        Ok(with(&self.reach, &object, move |objects, component| {
            objects.ask(component, &id, &mutation, &arguments)
        })
        .await)
    }
}
