//! `wasi:blobstore`: objects in containers, as files in folders of the host.
//!
//! A link grants the folder of a provider, and each call looks it up: containers are its subfolders. How names become those of files
//! is in [`names`], all that touches files in [`folder`], and what a guest reads and writes a little at a time in [`streams`].

mod folder;
mod names;
mod streams;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use self::folder::{Done, Names, Part, Root};
use self::streams::{Body, Reader};
use super::bindings::wasi::blobstore::{blobstore, container, types};
use super::call::{Call, Reach};
use crate::provider::Builtin;

pub(crate) use self::folder::Blobs;

/// What a link is for that grants it: all interfaces are of use together alone.
const INTERFACE: &str = "wasi:blobstore/blobstore";
/// Most bytes of an object that is read at once.
const SYNC_MAX: u64 = 64 << 20;
/// Most names of a page, and of a call for several objects.
const NAMES_MAX: u64 = 10_000;
/// Most files that a call has open.
const OPEN_MAX: usize = 32;

/// How many files a call may open yet.
pub(crate) struct Files(Arc<Semaphore>);

impl Default for Files {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(OPEN_MAX)))
    }
}

impl Files {
    fn one(&self) -> Done<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            format!(
                "a call has at most {OPEN_MAX} values and listings at once: drop those that are done with"
            )
        })
    }
}

/// A container that a component has opened.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the bindings name it in traits that are public where they stand")]
pub struct Container {
    name: String,
}

/// Names of objects.
#[expect(unreachable_pub, reason = "the bindings name it in traits that are public where they stand")]
pub struct Listing {
    /// Gone where a call for it was given up.
    names: Option<Names>,
    _permit: OwnedSemaphorePermit,
}

/// What an object is, or a part of it.
#[expect(unreachable_pub, reason = "the bindings name it in traits that are public where they stand")]
pub struct Incoming {
    part: Part,
    permit: OwnedSemaphorePermit,
}

/// What an object is to be.
#[derive(Default)]
#[expect(unreachable_pub, reason = "the bindings name it in traits that are public where they stand")]
pub struct Outgoing {
    begun: Option<(Body, OwnedSemaphorePermit)>,
    /// The folder in which it is begun: the one in which it ends.
    place: Option<PathBuf>,
    target: Option<types::ObjectId>,
}

impl Outgoing {
    /// Holds on to the folder: what becomes a file of one cannot become one of another.
    fn settle(&mut self, place: PathBuf) -> Done<()> {
        match &self.place {
            Some(before) if *before != place => {
                Err("the link leads to another folder than when the value was begun: write a new value"
                    .to_owned())
            }
            _ => {
                self.place = Some(place);
                Ok(())
            }
        }
    }
}

/// The folder that a link grants.
fn granted(reach: &Reach) -> Done<PathBuf> {
    let place = reach.grant(INTERFACE, Builtin::Blobstore).and_then(|grant| {
        let place = reach.host.blobs.place(&grant.provider.id, &grant.config);
        place.map_err(|why| format!("blobstore `{}`: {why}", grant.provider.id))
    });
    place.inspect_err(|why| reach.host.tell(why))
}

/// Does something in the folder that a link grants, off the threads of the runtime.
async fn with<T: Send + 'static>(
    reach: &Reach,
    act: impl FnOnce(&Root) -> Done<T> + Send + 'static,
) -> Done<T> {
    within(reach, granted(reach)?, act).await
}

/// Does something in a folder that a link granted.
async fn within<T: Send + 'static>(
    reach: &Reach,
    place: PathBuf,
    act: impl FnOnce(&Root) -> Done<T> + Send + 'static,
) -> Done<T> {
    let host = Arc::clone(&reach.host);
    off(move || act(&host.blobs.open(&place)?)).await
}

async fn off<T: Send + 'static>(act: impl FnOnce() -> Done<T> + Send + 'static) -> Done<T> {
    spawn_blocking(act).await.map_err(|_| "the host failed".to_owned())?
}

impl Call {
    fn named(&self, container: &Resource<Container>) -> wasmtime::Result<String> {
        Ok(self.table.get(container)?.name.clone())
    }

    /// Does something in a container.
    async fn within<T: Send + 'static>(
        &mut self,
        container: &Resource<Container>,
        act: impl FnOnce(&folder::Container) -> Done<T> + Send + 'static,
    ) -> wasmtime::Result<Done<T>> {
        let name = self.named(container)?;
        Ok(with(&self.reach, move |root| act(&root.container(&name)?)).await)
    }

    /// Has an object be what was written.
    async fn end(&mut self, mut value: Outgoing) -> Done<()> {
        let Some(types::ObjectId { container, object }) = value.target.take() else { return Ok(()) };
        // A link that is gone since grants nothing any more.
        let place = granted(&self.reach)?;
        value.settle(place.clone())?;
        let draft = match &value.begun {
            Some((body, _)) => Some(body.take().await?),
            None => None,
        };
        within(&self.reach, place, move |root| {
            let draft = draft.map_or_else(|| root.draft(), Ok)?;
            root.container(&container)?.put(draft, &object)
        })
        .await
    }
}

impl blobstore::Host for Call {
    async fn create_container(&mut self, name: String) -> wasmtime::Result<Done<Resource<Container>>> {
        let made = name.clone();
        match with(&self.reach, move |root| root.create(&made)).await {
            Ok(()) => Ok(Ok(self.table.push(Container { name })?)),
            Err(why) => Ok(Err(why)),
        }
    }

    async fn get_container(&mut self, name: String) -> wasmtime::Result<Done<Resource<Container>>> {
        let opened = name.clone();
        match with(&self.reach, move |root| root.container(&opened).map(drop)).await {
            Ok(()) => Ok(Ok(self.table.push(Container { name })?)),
            Err(why) => Ok(Err(why)),
        }
    }

    async fn delete_container(&mut self, name: String) -> wasmtime::Result<Done<()>> {
        Ok(with(&self.reach, move |root| root.delete(&name)).await)
    }

    async fn container_exists(&mut self, name: String) -> wasmtime::Result<Done<bool>> {
        Ok(with(&self.reach, move |root| root.has(&name)).await)
    }

    async fn copy_object(
        &mut self,
        from: types::ObjectId,
        to: types::ObjectId,
    ) -> wasmtime::Result<Done<()>> {
        Ok(with(&self.reach, move |root| {
            root.copy((&from.container, &from.object), (&to.container, &to.object))
        })
        .await)
    }

    async fn move_object(
        &mut self,
        from: types::ObjectId,
        to: types::ObjectId,
    ) -> wasmtime::Result<Done<()>> {
        Ok(with(&self.reach, move |root| {
            root.rename((&from.container, &from.object), (&to.container, &to.object))
        })
        .await)
    }
}

impl container::Host for Call {}

impl container::HostContainer for Call {
    async fn name(&mut self, container: Resource<Container>) -> wasmtime::Result<Done<String>> {
        let name = self.named(&container)?;
        Ok(granted(&self.reach).map(|_| name))
    }

    async fn info(
        &mut self,
        container: Resource<Container>,
    ) -> wasmtime::Result<Done<types::ContainerMetadata>> {
        let name = self.named(&container)?;
        let created = self.within(&container, folder::Container::created_at).await?;
        Ok(created.map(|created_at| types::ContainerMetadata { name, created_at }))
    }

    async fn get_data(
        &mut self,
        container: Resource<Container>,
        object: String,
        start: u64,
        end: u64,
    ) -> wasmtime::Result<Done<Resource<Incoming>>> {
        let permit = match self.blobs.one() {
            Ok(permit) => permit,
            Err(why) => return Ok(Err(why)),
        };
        match self.within(&container, move |container| container.part(&object, start, end)).await? {
            Ok(part) => Ok(Ok(self.table.push(Incoming { part, permit })?)),
            Err(why) => Ok(Err(why)),
        }
    }

    async fn write_data(
        &mut self,
        container: Resource<Container>,
        object: String,
        value: Resource<Outgoing>,
    ) -> wasmtime::Result<Done<()>> {
        let target = types::ObjectId { container: self.named(&container)?, object: object.clone() };
        let place = match granted(&self.reach) {
            Ok(place) => place,
            Err(why) => return Ok(Err(why)),
        };
        // What cannot be written is told now, and not after all of it has come.
        let sought = target.container.clone();
        let checked = within(&self.reach, place.clone(), move |root| {
            root.container(&sought).and_then(|_| names::encode(&object)).map(drop)
        });
        let checked = checked.await;
        let value = self.table.get_mut(&value)?;
        Ok(checked.and_then(|()| {
            if value.target.is_some() {
                return Err(
                    "a value is written to one object: make another one for another object".to_owned()
                );
            }
            value.settle(place)?;
            value.target = Some(target);
            Ok(())
        }))
    }

    async fn list_objects(
        &mut self,
        container: Resource<Container>,
    ) -> wasmtime::Result<Done<Resource<Listing>>> {
        let permit = match self.blobs.one() {
            Ok(permit) => permit,
            Err(why) => return Ok(Err(why)),
        };
        match self.within(&container, folder::Container::names).await? {
            Ok(names) => Ok(Ok(self.table.push(Listing { names: Some(names), _permit: permit })?)),
            Err(why) => Ok(Err(why)),
        }
    }

    async fn delete_object(
        &mut self,
        container: Resource<Container>,
        object: String,
    ) -> wasmtime::Result<Done<()>> {
        self.delete_objects(container, vec![object]).await
    }

    async fn delete_objects(
        &mut self,
        container: Resource<Container>,
        objects: Vec<String>,
    ) -> wasmtime::Result<Done<()>> {
        if u64::try_from(objects.len()).is_ok_and(|count| count > NAMES_MAX) {
            return Ok(Err(format!("a call has at most {NAMES_MAX} names")));
        }
        self.within(&container, move |container| container.delete(&objects)).await
    }

    async fn has_object(
        &mut self,
        container: Resource<Container>,
        object: String,
    ) -> wasmtime::Result<Done<bool>> {
        self.within(&container, move |container| container.has(&object)).await
    }

    async fn object_info(
        &mut self,
        container: Resource<Container>,
        object: String,
    ) -> wasmtime::Result<Done<types::ObjectMetadata>> {
        let (name, sought) = (object, self.named(&container)?);
        let asked = name.clone();
        let info = self.within(&container, move |container| container.info(&asked)).await?;
        Ok(info.map(|(created_at, size)| types::ObjectMetadata { name, container: sought, created_at, size }))
    }

    async fn clear(&mut self, container: Resource<Container>) -> wasmtime::Result<Done<()>> {
        self.within(&container, folder::Container::clear).await
    }

    async fn drop(&mut self, container: Resource<Container>) -> wasmtime::Result<()> {
        self.table.delete(container)?;
        Ok(())
    }
}

impl Call {
    /// Reads on in a listing.
    async fn list<T: Send + 'static>(
        &mut self,
        listing: &Resource<Listing>,
        read: impl FnOnce(&mut Names) -> Done<T> + Send + 'static,
    ) -> wasmtime::Result<Done<T>> {
        if let Err(why) = granted(&self.reach) {
            return Ok(Err(why));
        }
        let Some(mut names) = self.table.get_mut(listing)?.names.take() else {
            return Ok(Err("the listing has failed: begin a new one".to_owned()));
        };
        let done = off(move || read(&mut names).map(|found| (found, names))).await;
        Ok(match done {
            Ok((found, names)) => {
                self.table.get_mut(listing)?.names = Some(names);
                Ok(found)
            }
            Err(why) => Err(why),
        })
    }
}

impl container::HostStreamObjectNames for Call {
    async fn read_stream_object_names(
        &mut self,
        listing: Resource<Listing>,
        count: u64,
    ) -> wasmtime::Result<Done<(Vec<String>, bool)>> {
        self.list(&listing, move |names| names.page(count.min(NAMES_MAX))).await
    }

    async fn skip_stream_object_names(
        &mut self,
        listing: Resource<Listing>,
        count: u64,
    ) -> wasmtime::Result<Done<(u64, bool)>> {
        self.list(&listing, move |names| names.skip(count)).await
    }

    async fn drop(&mut self, listing: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(listing)?;
        Ok(())
    }
}

impl types::Host for Call {}

impl types::HostOutgoingValue for Call {
    async fn new_outgoing_value(&mut self) -> wasmtime::Result<Resource<Outgoing>> {
        Ok(self.table.push(Outgoing::default())?)
    }

    async fn outgoing_value_write_body(
        &mut self,
        value: Resource<Outgoing>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        if self.table.get(&value)?.begun.is_some() {
            return Ok(Err(()));
        }
        let begun = match (granted(&self.reach), self.blobs.one()) {
            (Ok(place), Ok(permit)) => {
                let draft = within(&self.reach, place.clone(), Root::draft).await;
                draft.map(|draft| (place, Body::new(draft), permit))
            }
            // It is told already.
            (Err(_), _) => return Ok(Err(())),
            (_, Err(why)) => Err(why),
        };
        let outgoing = self.table.get_mut(&value)?;
        let begun = begun.and_then(|(place, body, permit)| {
            outgoing.settle(place)?;
            outgoing.begun = Some((body.clone(), permit));
            Ok(body)
        });
        match begun {
            Ok(body) => {
                let stream: DynOutputStream = Box::new(body);
                Ok(Ok(self.table.push_child(stream, &value)?))
            }
            // The component is not told why.
            Err(why) => {
                self.reach.host.tell(&format!("`{}` cannot write an object: {why}", self.reach.component.id));
                Ok(Err(()))
            }
        }
    }

    async fn finish(&mut self, value: Resource<Outgoing>) -> wasmtime::Result<Done<()>> {
        let value = self.table.delete(value)?;
        Ok(self.end(value).await)
    }

    async fn drop(&mut self, value: Resource<Outgoing>) -> wasmtime::Result<()> {
        self.table.delete(value)?;
        Ok(())
    }
}

impl types::HostIncomingValue for Call {
    async fn incoming_value_consume_sync(
        &mut self,
        value: Resource<Incoming>,
    ) -> wasmtime::Result<Done<Vec<u8>>> {
        let Incoming { mut part, permit: _permit } = self.table.delete(value)?;
        if part.left() > SYNC_MAX {
            return Ok(Err(format!(
                "at most {} MiB are read at once: read it as a stream, or a part of it",
                SYNC_MAX >> 20
            )));
        }
        let read = move || part.read_all().map_err(|error| format!("the object cannot be read: {error}"));
        Ok(off(read).await)
    }

    async fn incoming_value_consume_async(
        &mut self,
        value: Resource<Incoming>,
    ) -> wasmtime::Result<Done<Resource<DynInputStream>>> {
        let Incoming { part, permit } = self.table.delete(value)?;
        let stream: DynInputStream = Box::new(Reader::new(part, permit));
        Ok(Ok(self.table.push(stream)?))
    }

    async fn size(&mut self, value: Resource<Incoming>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&value)?.part.left())
    }

    async fn drop(&mut self, value: Resource<Incoming>) -> wasmtime::Result<()> {
        self.table.delete(value)?;
        Ok(())
    }
}
