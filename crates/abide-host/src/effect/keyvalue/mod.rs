//! The builtin target `keyvalue`: values of JSON in buckets, in a file of the data folder.
//!
//! [`KeyValue`] is the target, with `wasi:keyvalue/store` and `wasi:keyvalue/atomics`. `store` is the file. A change is on
//! the disk before it counts as delivered, and a call that is delivered again is not applied again.

mod store;

use std::fmt;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::{CallError, Request, Target};
use store::{Store, StoreError};

pub use store::APPLIED_MAX;
#[cfg(feature = "components")]
pub(crate) use store::open_database;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest value, in bytes of its JSON text.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most buckets of a target.
pub const BUCKETS_MAX: usize = 64;

/// Which buckets there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValueConfig {
    /// Their names. A call to any other is refused.
    pub buckets: Vec<String>,
}

/// Keeps values in a file.
pub struct KeyValue {
    config: KeyValueConfig,
    store: Store,
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue").field("config", &self.config).field("path", &self.store.path()).finish()
    }
}

impl KeyValue {
    /// Opens the file; it is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened, is damaged, or another process has it.
    pub fn open(path: &Path, config: KeyValueConfig) -> io::Result<Self> {
        Ok(Self { config, store: Store::open(path)? })
    }

    fn failure(&self, error: StoreError) -> CallError {
        match error {
            StoreError::Refused(why) => CallError::permanent(why),
            StoreError::Failed(redb::Error::Corrupted(why)) => {
                let path = self.store.path().display();
                CallError::permanent(format!("`{path}` is damaged: {why}; restore it from a copy"))
            }
            StoreError::Failed(redb::Error::PreviousIo) => {
                let path = self.store.path().display();
                CallError::passing(format!(
                    "`{path}` takes nothing since an earlier failure; look after the disk, then start the host again"
                ))
            }
            StoreError::Failed(error) => {
                let path = self.store.path().display();
                CallError::passing(format!("`{path}` cannot be used: {error}"))
            }
        }
    }

    fn bucket(&self, bucket: &str) -> Result<(), String> {
        if self.config.buckets.iter().any(|known| known == bucket) {
            return Ok(());
        }
        Err(format!(
            "`{}` is not among the `buckets` of the target",
            bucket.chars().take(64).collect::<String>()
        ))
    }
}

impl Target for KeyValue {
    fn call(&self, request: &Request) -> Result<Value, CallError> {
        let call = Call::read(request).map_err(CallError::permanent)?;
        self.bucket(call.bucket).map_err(CallError::permanent)?;
        let apply = |change| self.store.apply(&request.key, call.bucket, call.key, change);
        let key = call.key;
        let answer = match call.operation {
            Operation::Get => self
                .store
                .get(call.bucket, key)
                .map(|value| json!({ "key": key, "found": value.is_some(), "value": value })),
            Operation::Set(value) => apply(&|_| Ok((Some(value.clone()), json!({ "key": key })))),
            Operation::Delete => apply(&|now| Ok((None, json!({ "key": key, "found": now.is_some() })))),
            Operation::Increment(delta) => apply(&|now| {
                let sum = incremented(now.as_ref(), delta, key)?;
                Ok((Some(sum.into()), json!({ "key": key, "value": sum })))
            }),
        };
        answer.map_err(|error| self.failure(error))
    }
}

/// A call, taken apart.
struct Call<'a> {
    bucket: &'a str,
    key: &'a str,
    operation: Operation<'a>,
}

enum Operation<'a> {
    Get,
    Set(&'a Value),
    Delete,
    Increment(i64),
}

impl<'a> Call<'a> {
    fn read(request: &'a Request) -> Result<Self, String> {
        let operation = match (&*request.interface, &*request.function, &*request.args) {
            ("wasi:keyvalue/store", "get", [_, _]) => Operation::Get,
            ("wasi:keyvalue/store", "delete", [_, _]) => Operation::Delete,
            ("wasi:keyvalue/store", "set", [_, _, value]) => Operation::Set(bounded(value)?),
            ("wasi:keyvalue/atomics", "increment", [_, _, delta]) => {
                Operation::Increment(delta.as_i64().ok_or("`delta` must be an integer")?)
            }
            (interface, function, args) => {
                let count = args.len();
                return Err(format!(
                    "`keyvalue` has no `{function}` of `{interface}` with {count} arguments"
                ));
            }
        };
        let text = |at: usize, name| {
            let text = request.args.get(at).and_then(Value::as_str);
            text.ok_or_else(|| format!("`{name}` must be a text"))
        };
        let key = text(1, "key")?;
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(format!("a key has 1 to {KEY_BYTES_MAX} bytes; this one has {}", key.len()));
        }
        Ok(Self { bucket: text(0, "bucket")?, key, operation })
    }
}

fn bounded(value: &Value) -> Result<&Value, String> {
    let length = value.to_string().len();
    if length > VALUE_BYTES_MAX {
        return Err(format!("a value has at most {VALUE_BYTES_MAX} bytes of JSON; this one has {length}"));
    }
    Ok(value)
}

fn incremented(now: Option<&Value>, delta: i64, key: &str) -> Result<i64, String> {
    let before = match now {
        None => 0,
        Some(value) => value.as_i64().ok_or_else(|| {
            format!("the value of `{key}` is no integer; set it to one before it is incremented")
        })?,
    };
    before
        .checked_add(delta)
        .ok_or_else(|| format!("`{key}` is {before}, and {delta} more does not fit into 64 bits"))
}
