//! The values that components keep on a host, in one file.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{fmt, sync::Arc};

use abide_wasm::component::{Bucket, Config, KeyValues, ValuesFailed};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::effect::open_database;

/// From the provider, the bucket and the key to a value.
const VALUES: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("values");
/// Keys of a page.
const PAGE: usize = 1_000;

/// Values in a file that is made with the first of them.
pub(super) struct Values {
    path: PathBuf,
    open: Mutex<Option<Arc<Database>>>,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Values {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: Mutex::default() }
    }

    fn database(&self) -> Result<Arc<Database>, ValuesFailed> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*open {
            return Ok(Arc::clone(database));
        }
        let database = open_database(&self.path).map_err(|error| ValuesFailed::Other(error.to_string()))?;
        let writing = database.begin_write().map_err(failed)?;
        writing.open_table(VALUES).map_err(failed)?;
        writing.commit().map_err(failed)?;
        let database = Arc::new(database);
        *open = Some(Arc::clone(&database));
        Ok(database)
    }
}

fn failed(error: impl Into<redb::Error>) -> ValuesFailed {
    ValuesFailed::Other(error.into().to_string())
}

fn at<'k>(bucket: &'k Bucket, key: &'k str) -> (&'k str, &'k str, &'k str) {
    (&bucket.provider, &bucket.name, key)
}

impl KeyValues for Values {
    fn check(&self, _: &str, _: &Config) -> Result<(), String> {
        Ok(())
    }

    fn open(&self, _: &Bucket) -> Result<(), ValuesFailed> {
        self.database().map(drop)
    }

    fn get(&self, bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, ValuesFailed> {
        let reading = self.database()?.begin_read().map_err(failed)?;
        let values = reading.open_table(VALUES).map_err(failed)?;
        let one = |key: &String| {
            let found = values.get(at(bucket, key)).map_err(failed)?;
            Ok(found.map(|value| value.value().to_vec()))
        };
        keys.iter().map(one).collect()
    }

    fn set(&self, bucket: &Bucket, all: &[(String, Option<Vec<u8>>)]) -> Result<(), ValuesFailed> {
        let writing = self.database()?.begin_write().map_err(failed)?;
        {
            let mut values = writing.open_table(VALUES).map_err(failed)?;
            for (key, value) in all {
                match value {
                    Some(value) => drop(values.insert(at(bucket, key), value.as_slice()).map_err(failed)?),
                    None => drop(values.remove(at(bucket, key)).map_err(failed)?),
                }
            }
        }
        writing.commit().map_err(failed)
    }

    fn increment(&self, bucket: &Bucket, key: &str, delta: u64) -> Result<u64, ValuesFailed> {
        let writing = self.database()?.begin_write().map_err(failed)?;
        let sum = {
            let mut values = writing.open_table(VALUES).map_err(failed)?;
            let now = match values.get(at(bucket, key)).map_err(failed)? {
                None => 0,
                Some(found) => {
                    let text = std::str::from_utf8(found.value()).ok();
                    text.and_then(|text| text.parse::<u64>().ok())
                        .ok_or_else(|| ValuesFailed::Other(format!("the value of `{key}` is no number")))?
                }
            };
            let sum = now.checked_add(delta).ok_or_else(|| {
                ValuesFailed::Other(format!("the value of `{key}` would be more than 64 bits hold"))
            })?;
            values.insert(at(bucket, key), sum.to_string().as_bytes()).map_err(failed)?;
            sum
        };
        writing.commit().map_err(failed)?;
        Ok(sum)
    }

    fn keys(&self, bucket: &Bucket, after: Option<&str>) -> Result<(Vec<String>, bool), ValuesFailed> {
        let reading = self.database()?.begin_read().map_err(failed)?;
        let values = reading.open_table(VALUES).map_err(failed)?;
        let mut keys = Vec::new();
        for found in values.range(at(bucket, after.unwrap_or(""))..).map_err(failed)? {
            let (place, _) = found.map_err(failed)?;
            let (provider, name, key) = place.value();
            if (provider, name) != (&*bucket.provider, &*bucket.name) {
                break;
            }
            if after == Some(key) {
                continue;
            }
            if keys.len() == PAGE {
                return Ok((keys, true));
            }
            keys.push(key.to_owned());
        }
        Ok((keys, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str) -> Bucket {
        Bucket {
            provider: "kv".into(),
            reference: "abide+builtin://keyvalue".into(),
            link: "default".into(),
            name: name.into(),
            config: Config::new(),
        }
    }

    #[test]
    fn buckets_are_apart_and_keys_come_in_pages() {
        let folder = tempfile::tempdir().unwrap();
        let values = Values::new(folder.path().join("values.redb"));
        let (a, b) = (bucket("a"), bucket("b"));
        let all: Vec<_> = (0..PAGE + 1).map(|n| (format!("{n:05}"), Some(vec![1]))).collect();
        values.set(&a, &all).unwrap();
        values.set(&b, &[("x".into(), Some(b"7".to_vec()))]).unwrap();
        let (first, more) = values.keys(&a, None).unwrap();
        assert_eq!((first.len(), more), (PAGE, true));
        let (rest, more) = values.keys(&a, first.last().map(String::as_str)).unwrap();
        assert_eq!((rest, more), (vec![format!("{PAGE:05}")], false));
        assert_eq!(values.keys(&b, None).unwrap(), (vec!["x".to_owned()], false));
        assert_eq!(values.get(&b, &["00000".into(), "x".into()]).unwrap(), [None, Some(b"7".to_vec())]);
    }

    #[test]
    fn a_sum_is_exact_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let values = Values::new(folder.path().join("values.redb"));
        let a = bucket("a");
        assert_eq!(values.increment(&a, "n", 3).unwrap(), 3);
        assert_eq!(values.increment(&a, "n", 4).unwrap(), 7);
        assert!(values.increment(&a, "n", u64::MAX).is_err());
        values.set(&a, &[("t".into(), Some(b"text".to_vec()))]).unwrap();
        assert!(values.increment(&a, "t", 1).is_err());
        drop(values);
        let again = Values::new(folder.path().join("values.redb"));
        assert_eq!(again.increment(&a, "n", 0).unwrap(), 7);
    }
}
