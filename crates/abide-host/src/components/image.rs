//! Where the images of components come from, and whose they have to be.

use std::fs;
use std::path::{Path, PathBuf};

use abide_oci::Registries;
use jiff::Timestamp;

use super::claims::{self, Claims, Issuers};

/// Most bytes of an image.
const IMAGE_MAX: u64 = 256 << 20;

/// Comes by images.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) allow_files: bool,
    pub(super) issuers: Issuers,
    pub(super) registries: Registries,
}

/// An image, and what was signed of it.
pub(super) struct Image {
    pub(super) wasm: Vec<u8>,
    pub(super) claims: Option<Claims>,
}

impl Images {
    /// An image that the lattice asks for.
    ///
    /// # Errors
    /// When it is not to be had, or is not by whom it has to be; with what to do.
    pub(super) fn fetch(&self, reference: &str) -> Result<Image, String> {
        if reference.starts_with("file://") && !self.allow_files {
            return Err(format!(
                "this host takes no images from its own files, such as `{reference}`: start it with `--allow-file-load`"
            ));
        }
        self.fetch_trusted(reference)
    }

    /// An image that whoever started the host asks for.
    ///
    /// # Errors
    /// When it is not to be had, or is not by whom it has to be; with what to do.
    pub(super) fn fetch_trusted(&self, reference: &str) -> Result<Image, String> {
        let wasm = match reference.strip_prefix("file://") {
            Some(path) => file(&PathBuf::from(path))?,
            None => self.registries.fetch(reference).map_err(|error| error.to_string())?,
        };
        let claims = claims::read(&wasm, Timestamp::now()).map_err(|error| error.to_string())?;
        self.issuers.admit(claims.as_ref()).map_err(|error| error.to_string())?;
        Ok(Image { wasm, claims })
    }
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    if !path.is_file() {
        return Err(format!("there is no file `{}`", path.display()));
    }
    let cannot = |error| format!("`{}` cannot be read: {error}", path.display());
    let length = fs::metadata(path).map_err(cannot)?.len();
    if length > IMAGE_MAX {
        return Err(format!("`{}` has {length} bytes, and an image at most {IMAGE_MAX}", path.display()));
    }
    fs::read(path).map_err(cannot)
}
