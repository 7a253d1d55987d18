//! Values by key in JetStream, for components: over the connection of the host, and seen by all hosts of the account.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::context::{
    GetStreamError, GetStreamErrorKind, KeyValueError, RequestError, RequestErrorKind,
};
use async_nats::jetstream::kv::{self, Operation, Store};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, connection};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// How long one exchange with JetStream may take, and all of a call for one key.
const ANSWER: Duration = Duration::from_secs(5);
/// How much longer each further key of a call may take.
const ANSWER_KEY: Duration = Duration::from_millis(5);
/// How long it may take to list the keys of a bucket.
const LISTING: Duration = Duration::from_secs(60);
/// How much later than it should be the thread of the lattice is given up.
const SPARE: Duration = Duration::from_secs(1);
/// Keys of a page.
const PAGE: usize = 1_000;
/// How many keys are read at once.
const READS_MAX: usize = 16;
/// How often another host may come first in adding to the same number.
const CONFLICTS_MAX: u64 = 64;
/// The longest wait after one, in milliseconds.
const CONFLICT_WAIT_MAX: u64 = 50;
/// In how many rows those wait on a host who add to numbers: those who add to the same one are in the same row.
const ROWS: usize = 64;
/// Most buckets whose handles are kept.
const STORES_MAX: usize = 1_000;
/// How names of buckets begin that are the lattice's own, and its managers'.
const OWN: [&str; 3] = ["LATTICEDATA_", "CONFIGDATA_", "wadm_"];

/// Where values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the bucket.
    pub bucket: String,
    /// The JetStream domain, where it is another than the host's.
    pub domain: Option<String>,
    /// Whether the bucket is made where it is missing.
    pub is_made: bool,
}

impl Place {
    /// Whether there can be such a place.
    ///
    /// # Errors
    /// When a name is none that NATS has, or the bucket is the lattice's own.
    pub fn check(&self) -> Result<(), ValuesError> {
        let bucket = &self.bucket;
        if !is_token(bucket) {
            return Err(other(format!(
                "`{bucket}` cannot be the name of a bucket in NATS: it has letters, digits, `-` and `_`"
            )));
        }
        if OWN.iter().any(|own| bucket.starts_with(own)) {
            return Err(other(format!("the bucket `{bucket}` is the lattice's own: no component opens it")));
        }
        self.check_domain()
    }

    /// Whether there can be such a domain, whatever the bucket is.
    ///
    /// # Errors
    /// When its name is none that NATS has.
    pub fn check_domain(&self) -> Result<(), ValuesError> {
        match &self.domain {
            Some(domain) if !is_token(domain) => Err(other(format!(
                "`{domain}` cannot be the name of a JetStream domain: it has letters, digits, `-` and `_`"
            ))),
            _ => Ok(()),
        }
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Why something could not be done with values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// There is no such bucket, and none is made.
    #[error("there is no such bucket")]
    NoBucket,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

fn other(what: impl Into<String>) -> ValuesError {
    ValuesError::Other(what.into())
}

/// Buckets of values over the connection of a host.
///
/// Each function waits until it is done, seconds at most but for many keys: nobody calls it on a thread of a runtime. The work is done
/// on the lattice's. Where NATS does not answer, it is not known of what was to be written whether it was.
#[derive(Clone)]
pub struct Values(Arc<Inner>);

struct Inner {
    client: Client,
    domain: Option<String>,
    runtime: Handle,
    /// Handles of buckets, by domain and name.
    stores: Mutex<BTreeMap<(Option<String>, String), Store>>,
    rows: [tokio::sync::Mutex<()>; ROWS],
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").field("domain", &self.0.domain).finish_non_exhaustive()
    }
}

impl Values {
    pub(crate) fn new(client: Client, domain: Option<String>, runtime: Handle) -> Self {
        let rows = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self(Arc::new(Inner { client, domain, runtime, stores: Mutex::default(), rows }))
    }

    /// Looks whether there is the bucket, and makes it where it is missing and may be made.
    ///
    /// # Errors
    /// When neither, or JetStream does not answer.
    pub fn open(&self, place: &Place) -> Result<(), ValuesError> {
        // It may be gone since it was last opened.
        self.0.forget(place);
        self.wait(place, ANSWER, async |_, _| Ok(()))
    }

    /// The values of keys, in their order.
    ///
    /// # Errors
    /// When a key is none that NATS has, or they cannot be read.
    pub fn get(&self, place: &Place, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, ValuesError> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let keys = keys.to_vec();
        self.wait(place, limit(keys.len()), async |_, store| {
            let one = async |key| {
                let value = answered(store.get::<String>(key)).await?.map_err(|error| unread(&error))?;
                Ok::<_, ValuesError>(value.map(Vec::from))
            };
            stream::iter(keys).map(one).buffered(READS_MAX).try_collect().await
        })
    }

    /// Sets values, one after the other; `None` deletes.
    ///
    /// # Errors
    /// When a key is none that NATS has or a value is larger than the server takes: then nothing was written. When one cannot be
    /// written: then those before it were.
    pub fn set(&self, place: &Place, values: &[(String, Option<Vec<u8>>)]) -> Result<(), ValuesError> {
        let bytes_max = self.0.client.max_payload();
        for (key, value) in values {
            check_key(key)?;
            if value.as_ref().is_some_and(|value| value.len() > bytes_max) {
                return Err(other(format!(
                    "the value of `{key}` is larger than NATS takes: the server's `max_payload` is {bytes_max} bytes"
                )));
            }
        }
        let values = values.to_vec();
        self.wait(place, limit(values.len()), async |_, store| {
            for (key, value) in values {
                match value {
                    Some(value) => {
                        let put = store.put(&key, value.into());
                        answered(put).await?.map_err(|error| unwritten(&key, &error))?;
                    }
                    None => answered(store.delete(&key)).await?.map_err(|error| unwritten(&key, &error))?,
                }
            }
            Ok(())
        })
    }

    /// Adds to a number in decimal digits, 0 where there is none: the sum. Who adds on other hosts is counted too.
    ///
    /// # Errors
    /// When it is no number, the sum is none of 64 bits, others add to it all the time, or it cannot be written.
    pub fn increment(&self, place: &Place, key: &str, delta: u64) -> Result<u64, ValuesError> {
        check_key(key)?;
        let key = key.to_owned();
        let row = BuildHasherDefault::<DefaultHasher>::new().hash_one((&place.bucket, &key));
        self.wait(place, ANSWER * 2, async move |values, store| {
            // Those on this host add one after the other, so that only another host can come first.
            let _turn = timeout(ANSWER, values.turn(row)).await.map_err(|_| crowded(&key))?;
            for conflicts in 1..=CONFLICTS_MAX {
                let entry = answered(store.entry(&key)).await?.map_err(|error| unread(&error))?;
                // What was deleted has a revision too.
                let revision = entry.as_ref().map_or(0, |entry| entry.revision);
                let value = entry.filter(|entry| entry.operation == Operation::Put).map(|entry| entry.value);
                let sum = add(&key, value.as_deref(), delta)?;
                match answered(store.update(&key, sum.to_string().into(), revision)).await? {
                    Ok(_) => return Ok(sum),
                    Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {
                        let [random, ..] = uuid::Uuid::new_v4().into_bytes();
                        let millis = u64::from(random) % conflicts.saturating_mul(2).min(CONFLICT_WAIT_MAX);
                        sleep(Duration::from_millis(millis)).await;
                    }
                    Err(error) => return Err(unwritten(&key, &error)),
                }
            }
            Err(other(format!(
                "`{key}` was changed by others each of {CONFLICTS_MAX} times; nothing was added"
            )))
        })
    }

    /// Keys in their order, from after one, and whether there are more.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn keys(&self, place: &Place, after: Option<&str>) -> Result<(Vec<String>, bool), ValuesError> {
        let after = after.map(ToOwned::to_owned);
        self.wait(place, LISTING, async move |_, store| {
            let mut listed = answered(store.keys()).await?.map_err(|error| unread(&error))?;
            let mut page = BTreeSet::new();
            while let Some(key) = answered(listed.next()).await? {
                let key = key.map_err(|error| unread(&error))?;
                if after.as_ref().is_none_or(|after| key > *after) {
                    page.insert(key);
                }
                // NATS lists all in the order in which they were written: one more than a page is kept.
                if page.len() > PAGE + 1 {
                    page.pop_last();
                }
            }
            let has_more = page.len() > PAGE;
            Ok((page.into_iter().take(PAGE).collect(), has_more))
        })
    }

    /// Does something with a bucket on the thread of the lattice, and waits for it.
    fn wait<T: Send + 'static, F: Future<Output = Result<T, ValuesError>> + Send + 'static>(
        &self,
        place: &Place,
        limit: Duration,
        act: impl FnOnce(Arc<Inner>, Store) -> F + Send + 'static,
    ) -> Result<T, ValuesError> {
        place.check()?;
        self.0.is_connected()?;
        let (sender, done) = channel();
        let (values, place) = (Arc::clone(&self.0), place.clone());
        self.0.runtime.spawn(async move {
            let whole = async { act(Arc::clone(&values), values.store(&place).await?).await };
            let done = timeout(limit, whole).await.unwrap_or_else(|_| Err(late(limit)));
            if done.is_err() {
                // It may be gone, or be another one of the same name.
                values.forget(&place);
            }
            // Who asked may have given up.
            let _ = sender.send(done);
        });
        done.recv_timeout(limit + SPARE).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(late(limit + SPARE)),
            RecvTimeoutError::Disconnected => Err(other("the host leaves its lattice")),
        })
    }
}

impl Inner {
    fn is_connected(&self) -> Result<(), ValuesError> {
        match self.client.connection_state() {
            connection::State::Connected => Ok(()),
            _ => Err(other("NATS does not answer, and the values are in NATS")),
        }
    }

    /// The handle of a bucket.
    async fn store(&self, place: &Place) -> Result<Store, ValuesError> {
        let domain = place.domain.clone().or_else(|| self.domain.clone());
        let name = (domain, place.bucket.clone());
        if let Some(store) = self.stores().get(&name) {
            return Ok(store.clone());
        }
        let store = answered(self.find(name.0.clone(), place)).await??;
        let mut stores = self.stores();
        if stores.len() >= STORES_MAX {
            stores.clear();
        }
        stores.insert(name, store.clone());
        Ok(store)
    }

    async fn find(&self, domain: Option<String>, place: &Place) -> Result<Store, ValuesError> {
        let mut context = match domain {
            Some(domain) => jetstream::with_domain(self.client.clone(), domain),
            None => jetstream::new(self.client.clone()),
        };
        context.set_timeout(ANSWER);
        let bucket = place.bucket.clone();
        match context.get_key_value(&bucket).await {
            Ok(store) => Ok(store),
            Err(error) if is_absent(&error) => Err(other(
                "JetStream does not answer: it is not on in NATS, or not in the domain, and the values are in it",
            )),
            Err(error) if !is_missing(&error) => Err(not_had(&bucket, &error)),
            Err(_) if !place.is_made => Err(ValuesError::NoBucket),
            Err(_) => {
                let made = kv::Config { bucket: bucket.clone(), history: 1, ..kv::Config::default() };
                match context.create_key_value(made).await {
                    Ok(store) => Ok(store),
                    // Another host may have come first.
                    Err(error) => context.get_key_value(&bucket).await.map_err(|_| not_had(&bucket, &error)),
                }
            }
        }
    }

    async fn turn(&self, row: u64) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let row = usize::try_from(row % ROWS as u64).ok().and_then(|row| self.rows.get(row))?;
        Some(row.lock().await)
    }

    fn forget(&self, place: &Place) {
        let domain = place.domain.clone().or_else(|| self.domain.clone());
        self.stores().remove(&(domain, place.bucket.clone()));
    }

    fn stores(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Option<String>, String), Store>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a call for several keys may take.
fn limit(keys: usize) -> Duration {
    ANSWER.saturating_add(ANSWER_KEY.saturating_mul(u32::try_from(keys).unwrap_or(u32::MAX)))
}

async fn answered<T>(asked: impl Future<Output = T>) -> Result<T, ValuesError> {
    timeout(ANSWER, asked).await.map_err(|_| late(ANSWER))
}

fn late(limit: Duration) -> ValuesError {
    other(format!(
        "NATS did not answer within {} ms, so what was to be written may be or not",
        limit.as_millis()
    ))
}

fn crowded(key: &str) -> ValuesError {
    other(format!(
        "so many add to `{key}` that it had no turn within {} ms; nothing was added",
        ANSWER.as_millis()
    ))
}

fn unread(error: &dyn std::fmt::Display) -> ValuesError {
    other(format!("JetStream does not give what the bucket holds: {error}"))
}

fn unwritten(key: &str, error: &dyn std::fmt::Display) -> ValuesError {
    other(format!("JetStream does not take the value of `{key}`: {error}"))
}

fn not_had(bucket: &str, error: &dyn std::fmt::Display) -> ValuesError {
    other(format!("the bucket `{bucket}` is not to be had from JetStream: {error}"))
}

/// Why the stream of a bucket is not to be had.
fn of_stream(error: &KeyValueError) -> Option<&GetStreamError> {
    error.source()?.downcast_ref()
}

/// Whether JetStream answered, and has no such bucket.
fn is_missing(error: &KeyValueError) -> bool {
    of_stream(error).is_some_and(|error| match error.kind() {
        GetStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        _ => false,
    })
}

/// Whether nobody answers for JetStream.
fn is_absent(error: &KeyValueError) -> bool {
    let request = of_stream(error).and_then(|error| error.source()?.downcast_ref::<RequestError>());
    request.is_some_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

/// Whether a key is one that NATS has. No other is written in a way of ours: whoever else reads the bucket would not know it.
fn check_key(key: &str) -> Result<(), ValuesError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'=' | b'.');
    if !key.is_empty() && key.bytes().all(is_plain) && key.split('.').all(|part| !part.is_empty()) {
        return Ok(());
    }
    Err(other(format!(
        "`{key}` cannot be a key in NATS: it has letters, digits, `-`, `_`, `/`, `=` and, between others, `.`"
    )))
}

/// The sum of a number in decimal digits and another one.
fn add(key: &str, value: Option<&[u8]>, delta: u64) -> Result<u64, ValuesError> {
    let now = match value {
        None => 0,
        Some(value) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or_else(|| other(format!("the value of `{key}` is no number")))?,
    };
    now.checked_add(delta)
        .ok_or_else(|| other(format!("the value of `{key}` would be more than 64 bits hold")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bucket: &str, domain: Option<&str>) -> Result<(), String> {
        let domain = domain.map(ToOwned::to_owned);
        Place { bucket: bucket.to_owned(), domain, is_made: true }.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_bucket_has_a_name_that_nats_has_and_is_not_the_lattices() {
        for name in ["default", "orchard_1-a", "latticedata", "wadmire"] {
            assert_eq!(place(name, None), Ok(()), "{name}");
        }
        for name in ["", "a.b", "a b", "a*", ">", "a/b", "früh"] {
            assert!(place(name, None).unwrap_err().contains("letters, digits, `-` and `_`"), "{name}");
        }
        for name in ["LATTICEDATA_default", "CONFIGDATA_farm", "wadm_state"] {
            assert!(place(name, None).unwrap_err().contains("the lattice's own"), "{name}");
        }
        assert_eq!(place("default", Some("leaf")), Ok(()));
        assert!(place("default", Some("a.>")).unwrap_err().contains("JetStream domain"));
    }

    #[test]
    fn a_key_is_one_that_nats_has_or_refused() {
        for key in ["a", "/first", "a.b-c_d=e/f", "=", "-"] {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
        for key in ["", ".a", "a.", "a..b", "a b", "a*", ">", "ä", "a\n", "a:b"] {
            assert!(check_key(key).unwrap_err().to_string().contains("letters, digits"), "{key}");
        }
    }

    #[test]
    fn a_sum_is_exact_or_refused() {
        assert_eq!(add("n", None, 3), Ok(3));
        assert_eq!(add("n", Some(b"41"), 1), Ok(42));
        assert_eq!(add("n", Some(b"18446744073709551614"), 1), Ok(u64::MAX));
        for (value, delta) in [(&b"1"[..], u64::MAX), (b"text", 1), (b"", 1), (b"-1", 1), (b"\xff", 1)] {
            assert!(add("n", Some(value), delta).is_err());
        }
    }
}
