//! `wasi:keyvalue`: values by key, in what the host keeps them in.

use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTable};

use super::bindings::wasi::keyvalue::{atomics, batch, store};
use super::call::{Call, Reach};
use crate::link::Config;
use crate::provider::Builtin;

const STORE: &str = "wasi:keyvalue/store";
const ATOMICS: &str = "wasi:keyvalue/atomics";
const BATCH: &str = "wasi:keyvalue/batch";
/// Most bytes of a key, of a bucket's name, and of a value.
const KEY_MAX: usize = 1 << 10;
const VALUE_MAX: usize = 16 << 20;
/// Most keys of a call for several.
const BATCH_MAX: usize = 10_000;

/// A bucket of a provider.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The provider's id.
    pub provider: String,
    /// What the provider was started by.
    pub reference: String,
    /// The name of the link.
    pub link: String,
    /// The bucket's name.
    pub name: String,
    /// The provider's configuration, with the link's over it.
    pub config: Config,
}

/// Why something could not be done with a bucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesFailed {
    /// There is no such bucket.
    #[error("there is no such bucket")]
    NoSuchStore,
    /// The configuration of the provider or of the link is of no use; why. It is told.
    #[error("{0}")]
    Misconfigured(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// What keeps values. Its functions may wait. Each does all that it is asked or nothing, but for `set` where it says so.
pub trait KeyValues: Send + Sync + 'static {
    /// Whether values can be kept as the configuration of a provider says, by what it was started by.
    ///
    /// # Errors
    /// Why not.
    fn check(&self, reference: &str, config: &Config) -> Result<(), String>;
    /// Whether there is the bucket, or it can be made.
    ///
    /// # Errors
    /// When neither.
    fn open(&self, bucket: &Bucket) -> Result<(), ValuesFailed>;
    /// The values of keys, in their order.
    ///
    /// # Errors
    /// When they cannot be read.
    fn get(&self, bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, ValuesFailed>;
    /// Sets values, in their order; `None` deletes.
    ///
    /// # Errors
    /// When they cannot be written. Then none is, or over a network those up to one of them are: `wasi:keyvalue/batch` promises no more.
    fn set(&self, bucket: &Bucket, values: &[(String, Option<Vec<u8>>)]) -> Result<(), ValuesFailed>;
    /// Adds to a number in decimal digits, 0 where there is none: the sum.
    ///
    /// # Errors
    /// When it is no number, the sum is none of 64 bits, or it cannot be written.
    fn increment(&self, bucket: &Bucket, key: &str, delta: u64) -> Result<u64, ValuesFailed>;
    /// Keys in their order, from after one, and whether there are more.
    ///
    /// # Errors
    /// When they cannot be read.
    fn keys(&self, bucket: &Bucket, after: Option<&str>) -> Result<(Vec<String>, bool), ValuesFailed>;
}

/// A bucket that a component has opened.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the bindings name it in traits that are public where they stand")]
pub struct Opened {
    name: String,
    /// The last key of each page that was listed: a cursor is their count.
    pages: Vec<String>,
}

impl From<ValuesFailed> for store::Error {
    fn from(error: ValuesFailed) -> Self {
        match error {
            ValuesFailed::NoSuchStore => Self::NoSuchStore,
            ValuesFailed::Misconfigured(what) | ValuesFailed::Other(what) => Self::Other(what),
        }
    }
}

/// Does something with a bucket that a link grants, off the threads of the runtime.
async fn with<T: Send + 'static>(
    reach: &Reach,
    interface: &str,
    name: &str,
    act: impl FnOnce(&dyn KeyValues, &Bucket) -> Result<T, ValuesFailed> + Send + 'static,
) -> Result<T, store::Error> {
    let grant = reach.grant(interface, Builtin::KeyValue).map_err(|why| {
        reach.host.tell(&why);
        store::Error::AccessDenied
    })?;
    let bucket = Bucket {
        provider: grant.provider.id.clone(),
        reference: grant.provider.reference.clone(),
        link: reach.link_name(interface).to_owned(),
        name: name.to_owned(),
        config: grant.config,
    };
    let host = Arc::clone(&reach.host);
    let done = tokio::task::spawn_blocking(move || act(&*host.ports.keyvalue, &bucket)).await;
    let done = done.map_err(|_| store::Error::Other("the host failed".to_owned()))?;
    if let Err(ValuesFailed::Misconfigured(why)) = &done {
        reach
            .host
            .tell(&format!("keyvalue `{}`, linked to `{}`: {why}", grant.provider.id, reach.component.id));
    }
    done.map_err(Into::into)
}

fn check_key(key: &str) -> Result<(), store::Error> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(store::Error::Other("a key has 1 to 1024 bytes".to_owned()));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), store::Error> {
    if value.len() > VALUE_MAX {
        return Err(store::Error::Other("a value has at most 16 MiB".to_owned()));
    }
    Ok(())
}

fn check_count(count: usize) -> Result<(), store::Error> {
    if count > BATCH_MAX {
        return Err(store::Error::Other("a call has at most 10000 keys".to_owned()));
    }
    Ok(())
}

fn name_of(table: &ResourceTable, bucket: &Resource<Opened>) -> wasmtime::Result<String> {
    Ok(table.get(bucket)?.name.clone())
}

impl store::Host for Call {
    async fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Opened>, store::Error>> {
        if name.len() > KEY_MAX {
            return Ok(Err(store::Error::NoSuchStore));
        }
        match with(&self.reach, STORE, &name, |values, bucket| values.open(bucket)).await {
            Ok(()) => Ok(Ok(self.table.push(Opened { name, pages: Vec::new() })?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl store::HostBucket for Call {
    async fn get(
        &mut self,
        bucket: Resource<Opened>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, store::Error>> {
        let name = name_of(&self.table, &bucket)?;
        let found = with(&self.reach, STORE, &name, move |values, bucket| values.get(bucket, &[key])).await;
        Ok(found.map(|values| values.into_iter().next().flatten()))
    }

    async fn set(
        &mut self,
        bucket: Resource<Opened>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let name = name_of(&self.table, &bucket)?;
        if let Err(error) = check_key(&key).and_then(|()| check_value(&value)) {
            return Ok(Err(error));
        }
        Ok(with(&self.reach, STORE, &name, move |values, bucket| values.set(bucket, &[(key, Some(value))]))
            .await)
    }

    async fn delete(
        &mut self,
        bucket: Resource<Opened>,
        key: String,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let name = name_of(&self.table, &bucket)?;
        Ok(with(&self.reach, STORE, &name, move |values, bucket| values.set(bucket, &[(key, None)])).await)
    }

    async fn exists(
        &mut self,
        bucket: Resource<Opened>,
        key: String,
    ) -> wasmtime::Result<Result<bool, store::Error>> {
        Ok(self.get(bucket, key).await?.map(|value| value.is_some()))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Opened>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<store::KeyResponse, store::Error>> {
        let opened = self.table.get(&bucket)?;
        let page = cursor.and_then(|cursor| usize::try_from(cursor).ok());
        let after = match (cursor, page.and_then(|page| opened.pages.get(page.checked_sub(1)?))) {
            (None, _) => None,
            (_, Some(after)) => Some(after.clone()),
            (Some(_), None) => {
                return Ok(Err(store::Error::Other(
                    "a cursor is of use with the bucket that gave it".to_owned(),
                )));
            }
        };
        let name = opened.name.clone();
        let listed =
            with(&self.reach, STORE, &name, move |values, bucket| values.keys(bucket, after.as_deref()))
                .await;
        let (keys, more) = match listed {
            Ok(listed) => listed,
            Err(error) => return Ok(Err(error)),
        };
        let cursor = match keys.last().filter(|_| more) {
            Some(last) => {
                let opened = self.table.get_mut(&bucket)?;
                let page = page.unwrap_or(0);
                opened.pages.truncate(page);
                opened.pages.push(last.clone());
                u64::try_from(page + 1).ok()
            }
            None => None,
        };
        Ok(Ok(store::KeyResponse { keys, cursor }))
    }

    async fn drop(&mut self, bucket: Resource<Opened>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Call {
    async fn increment(
        &mut self,
        bucket: Resource<Opened>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, store::Error>> {
        let name = name_of(&self.table, &bucket)?;
        if let Err(error) = check_key(&key) {
            return Ok(Err(error));
        }
        Ok(with(&self.reach, ATOMICS, &name, move |values, bucket| values.increment(bucket, &key, delta))
            .await)
    }
}

/// Values with their keys, in the order that they were asked for.
type Found = Vec<Option<(String, Vec<u8>)>>;

impl batch::Host for Call {
    async fn get_many(
        &mut self,
        bucket: Resource<Opened>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Found, store::Error>> {
        let name = name_of(&self.table, &bucket)?;
        if let Err(error) = check_count(keys.len()) {
            return Ok(Err(error));
        }
        Ok(with(&self.reach, BATCH, &name, move |values, bucket| {
            let found = values.get(bucket, &keys)?;
            Ok(keys.into_iter().zip(found).map(|(key, value)| value.map(|value| (key, value))).collect())
        })
        .await)
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Opened>,
        all: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let name = name_of(&self.table, &bucket)?;
        let checked = check_count(all.len()).and_then(|()| {
            all.iter().try_for_each(|(key, value)| check_key(key).and_then(|()| check_value(value)))
        });
        if let Err(error) = checked {
            return Ok(Err(error));
        }
        let all: Vec<_> = all.into_iter().map(|(key, value)| (key, Some(value))).collect();
        Ok(with(&self.reach, BATCH, &name, move |values, bucket| values.set(bucket, &all)).await)
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Opened>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let name = name_of(&self.table, &bucket)?;
        if let Err(error) = check_count(keys.len()) {
            return Ok(Err(error));
        }
        let all: Vec<_> = keys.into_iter().map(|key| (key, None)).collect();
        Ok(with(&self.reach, BATCH, &name, move |values, bucket| values.set(bucket, &all)).await)
    }
}
