//! What a host says of its registries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::Credential;

/// Most bytes of an image where nothing else is said: 256 MiB.
pub const IMAGE_MAX_BYTES: u64 = 256 << 20;

/// How images are fetched.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the cache. It is made if it is not there, for its owner alone. Several processes may share it.
    pub cache: PathBuf,
    /// Whether references without a version, or with the tag `latest`, are taken.
    pub allow_latest: bool,
    /// Registries, as `HOST` or `HOST:PORT`, that are reached over plain HTTP. Credentials go to them in the clear.
    pub insecure: Vec<String>,
    /// Who the host is, by registry as `HOST` or `HOST:PORT`. Registries that are not named are asked without credentials.
    pub credentials: BTreeMap<String, Credential>,
    /// Most bytes of an image.
    pub image_max_bytes: u64,
    /// How long a registry is waited for.
    pub timeouts: Timeouts,
}

/// How long a registry is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes of what it sends, from the request on.
    pub idle: Duration,
    /// For all that comes before an image's bytes: credentials and manifest.
    pub manifest: Duration,
    /// For a fetch as a whole.
    pub overall: Duration,
}

impl Options {
    /// What a host says that says nothing but where its cache is: no `latest`, no plain HTTP, no credentials, and
    /// [`IMAGE_MAX_BYTES`].
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            allow_latest: false,
            insecure: Vec::new(),
            credentials: BTreeMap::new(),
            image_max_bytes: IMAGE_MAX_BYTES,
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    /// 10 s for a connection, 30 s without data, a minute for the manifest, 5 minutes as a whole.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            manifest: Duration::from_secs(60),
            overall: Duration::from_secs(5 * 60),
        }
    }
}
