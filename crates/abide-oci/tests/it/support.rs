//! What the tests share: images to push, and a host to fetch them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use abide_oci::{Options, Registries, Timeouts};
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;

use crate::registry::Registry;

pub(crate) const WASM: &str = "application/wasm";
pub(crate) const OLDER_WASM: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// A registry, and the cache of a host that asks it.
pub(crate) struct Bench {
    pub(crate) registry: Registry,
    pub(crate) cache: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { registry: Registry::start(), cache: TempDir::new().unwrap() }
    }

    /// One whose registry holds an image as `:1.0.0`.
    pub(crate) fn with_image(image: &[u8]) -> Self {
        let bench = Self::new();
        bench.push("1.0.0", image);
        bench
    }

    /// Pushes an image under a tag, and gives its manifest's digest.
    pub(crate) fn push(&self, tag: &str, image: &[u8]) -> String {
        self.registry.put_blob(image);
        self.registry.put_manifest(Some(tag), &manifest(&[(WASM, image)]))
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            insecure: vec![self.registry.address.clone()],
            timeouts: Timeouts {
                connect: Duration::from_secs(30),
                idle: Duration::from_secs(30),
                manifest: Duration::from_secs(30),
                overall: Duration::from_secs(30),
            },
            ..Options::new(self.cache.path())
        }
    }

    /// A host that has just started.
    pub(crate) fn host(&self) -> Registries {
        Registries::new(self.options()).unwrap()
    }

    /// All files of the cache.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.cache.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }

    /// Where the cache holds a blob.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        self.cache.path().join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    /// The only file for a reference.
    pub(crate) fn reference_file(&self) -> PathBuf {
        let folder = self.cache.path().join("references");
        let files: Vec<PathBuf> = self.files().into_iter().filter(|file| file.starts_with(&folder)).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

/// An image's manifest, of layers with their media types.
pub(crate) fn manifest(layers: &[(&str, &[u8])]) -> Vec<u8> {
    let layers: Vec<Value> =
        layers.iter().map(|(media_type, bytes)| descriptor(media_type, bytes, None)).collect();
    let config = descriptor("application/vnd.wasm.config.v0+json", b"{}", None);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// An index, of manifests with their platforms.
pub(crate) fn index(manifests: &[(&str, &[u8])]) -> Vec<u8> {
    let entry = |(platform, bytes): &(&str, &[u8])| {
        descriptor("application/vnd.oci.image.manifest.v1+json", bytes, Some(platform))
    };
    let manifests: Vec<Value> = manifests.iter().map(entry).collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests }).to_string().into_bytes()
}

fn descriptor(media_type: &str, bytes: &[u8], platform: Option<&str>) -> Value {
    let mut descriptor: BTreeMap<&str, Value> = BTreeMap::from([
        ("mediaType", json!(media_type)),
        ("digest", json!(digest(bytes))),
        ("size", json!(bytes.len())),
    ]);
    if let Some((os, architecture)) = platform.and_then(|platform| platform.split_once('/')) {
        descriptor.insert("platform", json!({ "os": os, "architecture": architecture }));
    }
    json!(descriptor)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A file's last byte becomes another.
pub(crate) fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
}
