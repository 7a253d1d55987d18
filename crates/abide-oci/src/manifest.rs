//! Manifests: which layer of an image is the component. Pure.
//!
//! An image has one layer of WebAssembly. An index names images for several platforms: it is followed where it leaves no choice, to
//! the only image, or to the only one for the architecture `wasm`.

use serde::Deserialize;

use crate::digest::Digest;
use crate::error::{Unfit, clean};

/// Most bytes of a manifest, as the specification has registries take.
pub(crate) const MANIFEST_MAX_BYTES: u64 = 4 << 20;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What may come as a manifest.
pub(crate) const ACCEPTED: &[&str] = &[IMAGE, INDEX, DOCKER_IMAGE, DOCKER_INDEX];

/// As `wkg` and newer `wash` push components, and as older ones did.
const LAYERS: &[&str] = &["application/wasm", "application/vnd.module.wasm.content.layer.v1+wasm"];

/// Most layers or platforms that an error names.
const NAMED_MAX: usize = 5;

/// What a manifest leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    Image(Layer),
    /// An index, and the manifest of the image to take of it.
    Index(Digest),
}

/// The layer that is the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    media_type: Option<String>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Manifest {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unfit> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| Unfit::Manifest(clean(&error.to_string())))?;
        if document.schema_version != 2 {
            return Err(Unfit::Manifest(format!(
                "its schema is version {}, and not 2",
                document.schema_version
            )));
        }
        let says = |media_types: [&str; 2]| {
            document.media_type.as_deref().is_none_or(|said| media_types.contains(&said))
        };
        // One that may be read in two ways means something else to the next reader.
        match (&document.layers, &document.manifests) {
            (Some(layers), None) if says([IMAGE, DOCKER_IMAGE]) => component(layers).map(Self::Image),
            (None, Some(manifests)) if says([INDEX, DOCKER_INDEX]) => choose(manifests).map(Self::Index),
            _ => Err(Unfit::Manifest("it is neither an image's nor an index".to_owned())),
        }
    }

    /// The layer of an image. What an index chose may be no index again.
    pub(crate) fn image(self) -> Result<Layer, Unfit> {
        match self {
            Self::Image(layer) => Ok(layer),
            Self::Index(_) => Err(Unfit::Manifest("it is an index in an index".to_owned())),
        }
    }
}

fn component(layers: &[Descriptor]) -> Result<Layer, Unfit> {
    let mut wasm = layers.iter().filter(|layer| LAYERS.contains(&layer.media_type.as_str()));
    let (Some(layer), rest) = (wasm.next(), wasm.count()) else {
        return Err(Unfit::MediaType { found: list(layers.iter().map(|layer| layer.media_type.clone())) });
    };
    if rest > 0 {
        return Err(Unfit::Layers { count: rest + 1 });
    }
    Ok(Layer { digest: digest(layer)?, bytes: layer.size })
}

fn choose(manifests: &[Descriptor]) -> Result<Digest, Unfit> {
    let images = || {
        manifests.iter().filter(|entry| {
            // What tools attach to an image, as its provenance, is listed for a platform that there is not.
            [IMAGE, DOCKER_IMAGE].contains(&entry.media_type.as_str()) && architecture(entry) != "unknown"
        })
    };
    let only = |mut entries: Vec<&Descriptor>| entries.pop().filter(|_| entries.is_empty()).map(digest);
    only(images().collect())
        .or_else(|| only(images().filter(|entry| architecture(entry) == "wasm").collect()))
        .unwrap_or_else(|| Err(Unfit::Platforms { platforms: list(images().map(platform)) }))
}

fn digest(descriptor: &Descriptor) -> Result<Digest, Unfit> {
    Digest::read(&descriptor.digest)
        .ok_or_else(|| Unfit::Manifest(format!("`{}` is no SHA-256", clean(&descriptor.digest))))
}

fn architecture(entry: &Descriptor) -> &str {
    entry.platform.as_ref().map_or("", |platform| &platform.architecture)
}

fn platform(entry: &Descriptor) -> String {
    entry.platform.as_ref().map_or_else(
        || "no platform".to_owned(),
        |platform| format!("{}/{}", platform.os, platform.architecture),
    )
}

/// What there is, each once.
fn list(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = all.map(|one| format!("`{}`", clean(&one))).collect();
    all.sort();
    all.dedup();
    let rest = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    match (all.is_empty(), rest) {
        (true, _) => "none".to_owned(),
        (false, 0) => all.join(", "),
        (false, _) => format!("{} and {rest} others", all.join(", ")),
    }
}
