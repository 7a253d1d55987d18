//! Where the values of components are kept: in a file of the host, or where all hosts of a lattice find them. Configuration says which.

use abide_wasm::component::{Bucket, Builtin, Config, KeyValues, ValuesFailed};

use super::values::Values;

/// Both places, of which each call goes to one.
pub(super) struct Backends {
    pub(super) embedded: Values,
    pub(super) carried: Option<Box<dyn KeyValues>>,
}

impl Backends {
    /// The one that a provider was started for, by what it was started by and its configuration.
    fn choose(&self, reference: &str, config: &Config) -> Result<&dyn KeyValues, String> {
        match (config.get("backend").map(String::as_str), &self.carried) {
            (Some("nats"), Some(carried)) => Ok(&**carried),
            (Some("nats"), None) => {
                Err("`backend: nats` keeps values in the NATS of a lattice, and this host is in none: \
                 leave it out, or run the application with `abide host`"
                    .to_owned())
            }
            (Some("embedded"), _) => Ok(&self.embedded),
            (Some(said), _) => {
                Err(format!("there is no backend `{said}` of values: there are `embedded` and `nats`"))
            }
            (None, Some(carried)) if Builtin::is_of_nats(reference) => Ok(&**carried),
            (None, _) => Ok(&self.embedded),
        }
    }

    fn of(&self, bucket: &Bucket) -> Result<&dyn KeyValues, ValuesFailed> {
        self.choose(&bucket.reference, &bucket.config).map_err(ValuesFailed::Misconfigured)
    }
}

impl KeyValues for Backends {
    fn check(&self, reference: &str, config: &Config) -> Result<(), String> {
        self.choose(reference, config)?.check(reference, config)
    }

    fn open(&self, bucket: &Bucket) -> Result<(), ValuesFailed> {
        self.of(bucket)?.open(bucket)
    }

    fn get(&self, bucket: &Bucket, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, ValuesFailed> {
        self.of(bucket)?.get(bucket, keys)
    }

    fn set(&self, bucket: &Bucket, values: &[(String, Option<Vec<u8>>)]) -> Result<(), ValuesFailed> {
        self.of(bucket)?.set(bucket, values)
    }

    fn increment(&self, bucket: &Bucket, key: &str, delta: u64) -> Result<u64, ValuesFailed> {
        self.of(bucket)?.increment(bucket, key, delta)
    }

    fn keys(&self, bucket: &Bucket, after: Option<&str>) -> Result<(Vec<String>, bool), ValuesFailed> {
        self.of(bucket)?.keys(bucket, after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILTIN: &str = "abide+builtin://keyvalue";

    fn backends(folder: &tempfile::TempDir, carried: bool) -> Backends {
        let values = |name: &str| Values::new(folder.path().join(name));
        let carried = carried.then(|| Box::new(values("carried.redb")) as Box<dyn KeyValues>);
        Backends { embedded: values("embedded.redb"), carried }
    }

    fn bucket(reference: &str, backend: Option<&str>) -> Bucket {
        Bucket {
            provider: "values".into(),
            reference: reference.into(),
            link: "default".into(),
            name: "default".into(),
            config: backend.map(|said| ("backend".to_owned(), said.to_owned())).into_iter().collect(),
        }
    }

    #[test]
    fn each_call_goes_where_its_configuration_says() {
        let folder = tempfile::tempdir().unwrap();
        let backends = backends(&folder, true);
        let (near, far) = (bucket(BUILTIN, Some("embedded")), bucket(BUILTIN, Some("nats")));
        backends.open(&near).unwrap();
        assert_eq!(backends.increment(&far, "n", 3), Ok(3));
        assert_eq!(backends.increment(&near, "n", 1), Ok(1));
        backends.set(&far, &[("t".into(), Some(b"far".to_vec()))]).unwrap();
        assert_eq!(backends.keys(&near, None), Ok((vec!["n".to_owned()], false)));
        assert_eq!(backends.get(&far, &["t".into()]), Ok(vec![Some(b"far".to_vec())]));
        // The host's own file is where it is not said, but for the provider that is of NATS by its name.
        assert_eq!(backends.increment(&bucket(BUILTIN, None), "n", 0), Ok(1));
        for (reference, count) in [
            ("ghcr.io/wasmcloud/keyvalue-nats:0.3.1", 3),
            ("ghcr.io/wasmcloud/keyvalue-nats", 3),
            ("ghcr.io/wasmcloud/keyvalue-redis:0.28.1", 1),
            ("ghcr.io/wasmcloud/keyvalue-nats-of-others:1", 1),
        ] {
            assert_eq!(backends.increment(&bucket(reference, None), "n", 0), Ok(count), "{reference}");
        }
        let image = "ghcr.io/wasmcloud/keyvalue-nats:0.3.1";
        assert_eq!(backends.increment(&bucket(image, Some("embedded")), "n", 0), Ok(1));
    }

    #[test]
    fn a_host_that_is_alone_has_no_nats() {
        let folder = tempfile::tempdir().unwrap();
        let backends = backends(&folder, false);
        let nats = bucket(BUILTIN, Some("nats"));
        assert!(backends.check(BUILTIN, &nats.config).unwrap_err().contains("`abide host`"));
        let ValuesFailed::Misconfigured(why) = backends.open(&nats).unwrap_err() else { panic!() };
        assert!(why.contains("is in none"), "{why}");
        let image = bucket("ghcr.io/wasmcloud/keyvalue-nats:0.3.1", None);
        assert_eq!(backends.check(&image.reference, &image.config), Ok(()));
        assert_eq!(backends.increment(&image, "n", 1), Ok(1));
    }

    #[test]
    fn another_backend_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let backends = backends(&folder, true);
        let redis = bucket(BUILTIN, Some("redis"));
        let why = "there is no backend `redis` of values: there are `embedded` and `nats`";
        assert_eq!(backends.check(BUILTIN, &redis.config), Err(why.to_owned()));
        assert_eq!(backends.get(&redis, &[]), Err(ValuesFailed::Misconfigured(why.to_owned())));
    }
}
