//! Where the images of components come from.

use std::fs;
use std::path::Path;

/// Most bytes of an image.
const IMAGE_MAX: u64 = 256 << 20;

/// Comes by images.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) allow_files: bool,
}

impl Images {
    /// The bytes of an image that the lattice asks for.
    ///
    /// # Errors
    /// When they are not to be had, with what to do.
    pub(super) fn fetch(&self, reference: &str) -> Result<Vec<u8>, String> {
        if reference.starts_with("file://") && !self.allow_files {
            return Err(format!(
                "this host takes no images from its own files, such as `{reference}`: start it with `--allow-file-load`"
            ));
        }
        self.fetch_trusted(reference)
    }

    /// The bytes of an image that whoever started the host asks for.
    ///
    /// # Errors
    /// When they are not to be had, with what to do.
    #[expect(clippy::unused_self, reason = "registries will be kept here")]
    pub(super) fn fetch_trusted(&self, reference: &str) -> Result<Vec<u8>, String> {
        let Some(path) = reference.strip_prefix("file://") else {
            return Err(format!(
                "`{reference}` is no file, and images from registries are not to be had yet"
            ));
        };
        file(Path::new(path))
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
