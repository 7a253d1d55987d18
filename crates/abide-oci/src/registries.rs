//! When a registry is asked, and when the cache answers for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::thread;

use tokio::runtime::{Builder, Runtime};

use crate::cache::{Cache, Named, Unwritten};
use crate::credential::{Credential, by_registry, registry_name};
use crate::digest::Digest;
use crate::error::{FetchError, OpenError};
use crate::manifest::{Layer, MANIFEST_MAX_BYTES, Manifest};
use crate::options::{Options, Timeouts};
use crate::reference::{Reference, Version};
use crate::session::Session;

/// Where images come from: registries, and a cache of what they gave.
///
/// Its functions block, for as long as [`Timeouts::overall`], so call them from threads that may wait. They may be called from
/// several at once.
pub struct Registries {
    cache: Cache,
    allow_latest: bool,
    insecure: BTreeSet<String>,
    credentials: RwLock<BTreeMap<String, Credential>>,
    image_max_bytes: u64,
    timeouts: Timeouts,
}

/// What came of asking a registry again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The image's bytes.
    pub image: Vec<u8>,
    /// The digest of its manifest, or of the index that it is in, as `sha256:…`. With it the reference can be pinned.
    pub digest: String,
    /// Whether the cache held another image for the reference, or none.
    pub is_new: bool,
}

/// An image with what led to it.
struct Image {
    manifest: Digest,
    layer: Digest,
    bytes: Vec<u8>,
}

impl Registries {
    /// Opens the cache. No registry is asked.
    ///
    /// Where the process has no TLS provider yet, `ring` becomes the one of the process.
    ///
    /// # Errors
    /// [`OpenError::Cache`] when the folder of the cache cannot be made or used.
    pub fn new(options: Options) -> Result<Self, OpenError> {
        // It fails where there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cache =
            Cache::open(&options.cache).map_err(|(path, source)| OpenError::Cache { path, source })?;
        Ok(Self {
            cache,
            allow_latest: options.allow_latest,
            insecure: options.insecure.iter().map(|registry| registry_name(registry)).collect(),
            credentials: RwLock::new(by_registry(options.credentials)),
            image_max_bytes: options.image_max_bytes,
            timeouts: options.timeouts,
        })
    }

    /// Takes credentials for more registries, or others for some. Those of registries that are not named stay.
    pub fn set_credentials(&self, credentials: BTreeMap<String, Credential>) {
        let mut held = self.credentials.write().unwrap_or_else(PoisonError::into_inner);
        held.extend(by_registry(credentials));
    }

    /// The bytes of an image.
    ///
    /// What the cache holds is given without asking the registry, except for `latest`, which is asked of the registry first and
    /// given from the cache where the registry does not answer. A reference with a digest is given as that and nothing else.
    ///
    /// # Errors
    /// A [`FetchError`], which says what to do.
    pub fn fetch(&self, reference: &str) -> Result<Vec<u8>, FetchError> {
        let reference = self.read(reference)?;
        let is_latest = reference.version == Version::Latest;
        if !is_latest && let Some(image) = self.cached(&reference)? {
            return Ok(image.bytes);
        }
        match self.ask(&reference) {
            Ok(image) => Ok(image.bytes),
            Err(error @ FetchError::NoAnswer { .. }) if is_latest => {
                self.cached(&reference)?.map(|image| image.bytes).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the registry what a reference is now, whatever the cache holds, and keeps that. A layer that the cache holds is not
    /// fetched again.
    ///
    /// # Errors
    /// A [`FetchError`], which says what to do. The cache then holds what it held.
    pub fn refresh(&self, reference: &str) -> Result<Refreshed, FetchError> {
        let reference = self.read(reference)?;
        // One that has grown too large is no reason not to ask for another.
        let held = self.cached(&reference).ok().flatten().map(|image| image.manifest);
        let image = self.ask(&reference)?;
        let is_new = held != Some(image.manifest);
        Ok(Refreshed { image: image.bytes, digest: image.manifest.to_string(), is_new })
    }

    fn read(&self, reference: &str) -> Result<Reference, FetchError> {
        let reference = Reference::read(reference)?;
        if reference.version == Version::Latest && !self.allow_latest {
            return Err(FetchError::Latest { reference: reference.written });
        }
        Ok(reference)
    }

    /// The image as the cache holds it, if it holds all of it and all is sound.
    fn cached(&self, reference: &Reference) -> Result<Option<Image>, FetchError> {
        let (manifest, layer_was) = match &reference.version {
            Version::Pinned(digest) => (*digest, None),
            Version::Tagged(_) | Version::Latest => {
                let named = reference.name().and_then(|name| self.cache.reference(&name));
                let Some(named) = named else { return Ok(None) };
                (named.manifest, Some(named.layer))
            }
        };
        let Some(layer) = self.cached_layer(manifest) else { return Ok(None) };
        if layer_was.is_some_and(|was| was != layer.digest) {
            return Ok(None);
        }
        self.admit(reference, layer)?;
        let bytes = self.cache.blob(layer.digest, layer.bytes);
        Ok(bytes.map(|bytes| Image { manifest, layer: layer.digest, bytes }))
    }

    fn cached_layer(&self, manifest: Digest) -> Option<Layer> {
        let read = |digest| Manifest::read(&self.cache.blob(digest, MANIFEST_MAX_BYTES)?).ok();
        match read(manifest)? {
            Manifest::Image(layer) => Some(layer),
            Manifest::Index(chosen) => read(chosen)?.image().ok(),
        }
    }

    /// Asks on a thread of its own: the caller's may drive a runtime already, and a fault of the client's ends there.
    fn ask(&self, reference: &Reference) -> Result<Image, FetchError> {
        let machine = |why: String| FetchError::Machine { reference: reference.written.clone(), why };
        thread::scope(|scope| {
            let asked = thread::Builder::new().name("abide-oci".into()).spawn_scoped(scope, || {
                let runtime = Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| machine(error.to_string()))?;
                let image = self.converse(&runtime, reference);
                // Looking up a name cannot be given up, and is not waited for.
                runtime.shutdown_background();
                image
            });
            let asked = asked.map_err(|error| machine(error.to_string()))?;
            asked
                .join()
                .unwrap_or_else(|_| Err(machine("the client failed on what the registry said".into())))
        })
    }

    fn converse(&self, runtime: &Runtime, reference: &Reference) -> Result<Image, FetchError> {
        let is_plain = self.insecure.contains(&reference.registry);
        let credential = self.credential(&reference.registry);
        let session = Session::begin(runtime, reference, &credential, is_plain, self.timeouts)?;

        let unfit = |why| FetchError::Unfit { reference: reference.written.clone(), why };
        let top = session.manifest(None)?;
        let (chosen, layer) = match Manifest::read(&top).map_err(unfit)? {
            Manifest::Image(layer) => (None, layer),
            Manifest::Index(digest) => {
                let chosen = session.manifest(Some(digest))?;
                let layer = Manifest::read(&chosen).and_then(Manifest::image).map_err(unfit)?;
                (Some(chosen), layer)
            }
        };
        self.admit(reference, layer)?;
        let bytes = match self.cache.blob(layer.digest, layer.bytes) {
            Some(bytes) => bytes,
            None => session.layer(layer)?,
        };
        let image = Image { manifest: Digest::of(&top), layer: layer.digest, bytes };
        self.keep(reference, &image, chosen.iter().chain([&top])).map_err(|(path, source)| {
            FetchError::Cache { reference: reference.written.clone(), path, source }
        })?;
        Ok(image)
    }

    fn admit(&self, reference: &Reference, layer: Layer) -> Result<(), FetchError> {
        if layer.bytes <= self.image_max_bytes {
            return Ok(());
        }
        Err(FetchError::TooLarge {
            reference: reference.written.clone(),
            part: "layer",
            bytes: layer.bytes,
            most: self.image_max_bytes,
        })
    }

    /// The reference last: it is not named before all that it leads to is there.
    fn keep<'a>(
        &self,
        reference: &Reference,
        image: &Image,
        manifests: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Result<(), Unwritten> {
        self.cache.put_blob(&image.bytes)?;
        for manifest in manifests {
            self.cache.put_blob(manifest)?;
        }
        let named = Named { manifest: image.manifest, layer: image.layer };
        reference.name().map_or(Ok(()), |name| self.cache.put_reference(&name, named))
    }

    fn credential(&self, registry: &str) -> Credential {
        let held = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        held.get(registry).cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Registries {
    /// Without credentials: of those, the registries alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Registries")
            .field("cache", &self.cache)
            .field("allow_latest", &self.allow_latest)
            .field("insecure", &self.insecure)
            .field("credentials", &held.keys().collect::<Vec<_>>())
            .field("image_max_bytes", &self.image_max_bytes)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}
