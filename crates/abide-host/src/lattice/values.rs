//! Values in the JetStream of a lattice, as its hosts have them in common.

use abide_lattice::{Place, Values, ValuesError};
use abide_wasm::component::{Bucket, KeyValues, ValuesFailed};

use crate::components::Config;

/// Values over the connection of the host.
#[derive(Debug)]
pub struct Shared(pub Values);

impl KeyValues for Shared {
    fn check(&self, _: &str, config: &Config) -> Result<(), String> {
        // A provider may leave the bucket to its links, and to the components.
        let bucket = config.get("bucket").map_or("default", String::as_str);
        place(bucket, config)?.check().map_err(|error| error.to_string())
    }

    fn open(&self, bucket: &Bucket) -> Result<(), ValuesFailed> {
        self.0.open(&place_of(bucket)?).map_err(failed)
    }

    fn get(&self, bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, ValuesFailed> {
        self.0.get(&place_of(bucket)?, keys).map_err(failed)
    }

    fn set(&self, bucket: &Bucket, values: &[(String, Option<Vec<u8>>)]) -> Result<(), ValuesFailed> {
        self.0.set(&place_of(bucket)?, values).map_err(failed)
    }

    fn increment(&self, bucket: &Bucket, key: &str, delta: u64) -> Result<u64, ValuesFailed> {
        self.0.increment(&place_of(bucket)?, key, delta).map_err(failed)
    }

    fn keys(&self, bucket: &Bucket, after: Option<&str>) -> Result<(Vec<String>, bool), ValuesFailed> {
        self.0.keys(&place_of(bucket)?, after).map_err(failed)
    }
}

fn failed(error: ValuesError) -> ValuesFailed {
    match error {
        ValuesError::NoBucket => ValuesFailed::NoSuchStore,
        ValuesError::Other(what) => ValuesFailed::Other(what),
    }
}

/// Where a bucket is that a component has opened. One that the configuration names is the only one: then `default`, nothing and the
/// name of the link stand for it, as they do with wasmCloud's provider.
fn place_of(bucket: &Bucket) -> Result<Place, ValuesFailed> {
    let named = bucket.config.get("bucket");
    let name = match named {
        Some(named)
            if ["", "default", bucket.link.as_str(), named.as_str()].contains(&bucket.name.as_str()) =>
        {
            named
        }
        Some(_) => return Err(ValuesFailed::NoSuchStore),
        None if bucket.name.is_empty() => {
            let what = "a bucket without a name is the `bucket` of the configuration, and it has none";
            return Err(ValuesFailed::Other(what.to_owned()));
        }
        None => &bucket.name,
    };
    let place = place(name, &bucket.config).map_err(ValuesFailed::Misconfigured)?;
    match (place.check(), named) {
        (Ok(()), _) => Ok(place),
        (Err(error), Some(_)) => Err(ValuesFailed::Misconfigured(error.to_string())),
        (Err(error), None) => Err(failed(error)),
    }
}

fn place(bucket: &str, config: &Config) -> Result<Place, String> {
    let is_made = match config.get("enable_bucket_auto_create").map(|said| said.to_lowercase()).as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(said) => {
            return Err(format!("`enable_bucket_auto_create` is `true` or `false`, and not `{said}`"));
        }
    };
    let place = Place { bucket: bucket.to_owned(), domain: config.get("js_domain").cloned(), is_made };
    place.check_domain().map_err(|error| error.to_string())?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(all: &[(&str, &str)]) -> Config {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Where a bucket of that name is.
    fn opened(name: &str, all: &[(&str, &str)]) -> Result<Place, ValuesFailed> {
        place_of(&Bucket {
            provider: "values".into(),
            reference: "abide+builtin://keyvalue".into(),
            link: "second".into(),
            name: name.into(),
            config: config(all),
        })
    }

    fn made(bucket: &str) -> Result<Place, ValuesFailed> {
        Ok(Place { bucket: bucket.into(), domain: None, is_made: true })
    }

    #[test]
    fn without_a_bucket_in_the_configuration_any_is_opened_by_its_name() {
        assert_eq!(opened("default", &[]), made("default"));
        assert_eq!(opened("orchard", &[]), made("orchard"));
        assert!(matches!(opened("", &[]), Err(ValuesFailed::Other(_))));
        assert!(matches!(opened("a.b", &[]), Err(ValuesFailed::Other(_))));
    }

    #[test]
    fn a_bucket_of_the_configuration_is_the_only_one() {
        let all = [("bucket", "orchard")];
        for name in ["", "default", "second", "orchard"] {
            assert_eq!(opened(name, &all), made("orchard"), "{name}");
        }
        assert_eq!(opened("other", &all), Err(ValuesFailed::NoSuchStore));
        assert!(matches!(opened("default", &[("bucket", "a.b")]), Err(ValuesFailed::Misconfigured(_))));
    }

    #[test]
    fn the_domain_and_whether_it_is_made_are_configured() {
        let leaf = opened("a", &[("js_domain", "leaf"), ("enable_bucket_auto_create", "False")]);
        assert_eq!(leaf, Ok(Place { bucket: "a".into(), domain: Some("leaf".into()), is_made: false }));
        assert!(matches!(
            opened("a", &[("enable_bucket_auto_create", "maybe")]),
            Err(ValuesFailed::Misconfigured(_))
        ));
        assert!(matches!(opened("a", &[("js_domain", "a.b")]), Err(ValuesFailed::Misconfigured(_))));
    }
}
