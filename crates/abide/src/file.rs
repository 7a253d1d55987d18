//! Files that a command writes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::error::CommandError;

/// Writes a file under another name and renames it: it is there whole, or as it was. What is there and no file, as a device or a
/// pipe, is written to.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes).map_err(|error| CommandError::file("write", path, &error));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    written.map_err(|error| {
        // Nothing else can be done about what is left of it.
        let _ = fs::remove_file(&temporary);
        CommandError::file("write", path, &error)
    })
}
