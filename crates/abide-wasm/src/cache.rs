//! Compiled components on disk, so that a start does not compile.
//!
//! A file is named by the SHA-256 of the component and a hash of all that decides what the engine makes of it. It holds the
//! SHA-256 of the compiled form and then the compiled form.

use std::fs::{self, DirBuilder};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// Of the engine.
    key: String,
    /// Tells files apart that are being written.
    written: AtomicU64,
}

impl Cache {
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("the cache {} cannot be opened: {error}", folder.display()))
        };
        builder.create(&folder).map_err(named)?;
        #[cfg(unix)]
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(named)?;
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let key = hex(hasher.0.finalize().get(..8).unwrap_or_default());
        Ok(Self { folder, key, written: AtomicU64::new(0) })
    }

    /// The component from its file; where there is none, or a damaged one, it is compiled and its file is written.
    pub(crate) fn load(
        &self,
        engine: &Engine,
        digest: &[u8; 32],
        component: &[u8],
    ) -> wasmtime::Result<Component> {
        let path = self.folder.join(format!("{}-{}.cwasm", hex(digest), self.key));
        if let Some(component) = read(engine, &path) {
            return Ok(component);
        }
        let compiled = Component::from_binary(engine, component)?;
        // A cache that cannot be written costs time and nothing else.
        if let Ok(bytes) = compiled.serialize() {
            let _ = self.write(&path, &bytes);
        }
        Ok(compiled)
    }

    /// A reader sees all of a file or none of it.
    fn write(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        let n = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{n}.new", std::process::id()));
        let written = (|| {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&Sha256::digest(compiled))?;
            file.write_all(compiled)?;
            fs::rename(&temporary, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

fn read(engine: &Engine, path: &Path) -> Option<Component> {
    let bytes = fs::read(path).ok()?;
    let (digest, compiled) = bytes.split_at_checked(32)?;
    if *Sha256::digest(compiled) != *digest {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "the engine runs what it is given; the bytes are what it made, by their digest, in a folder that only the owner may write to"
    )]
    // SAFETY: these bytes came from `Component::serialize` of an engine of the same version and settings: the name of the
    // file says so, and their digest says that nothing happened to them since. The folder is open to its owner alone.
    let component = unsafe { Component::deserialize(engine, compiled) };
    component.ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hasher whose result is the same in every process and with every compiler.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}
