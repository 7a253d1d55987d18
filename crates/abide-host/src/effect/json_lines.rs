//! The builtin target `jsonl`: appends one line of JSON for each effect to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{CallError, Request, Target};

/// Appends [`Request::to_json`] and a line feed to a file, and flushes it to the disk, before it reports success.
///
/// After a crash between the line and the record of its outcome the same effect is appended again, with the same `key`.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    file: File,
    /// Whether a write failed, so that a part of a line may stand at the end.
    is_torn: bool,
}

impl JsonLines {
    /// Opens the file for appending; it is made if it is not there. A line that a crash left torn is ended, so that it
    /// spoils no other.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if is_torn(path)? {
            file.write_all(b"\n")?;
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(Lines { file, is_torn: false }) })
    }

    fn append(&self, request: &Request) -> io::Result<()> {
        let mut lines = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let start = if lines.is_torn { "\n" } else { "" };
        let line = format!("{start}{}\n", request.to_json());
        lines.is_torn = true;
        lines.file.write_all(line.as_bytes())?;
        lines.is_torn = false;
        match lines.file.sync_data() {
            // A pipe or a terminal has nothing to flush to.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

impl Target for JsonLines {
    fn call(&self, request: &Request) -> Result<serde_json::Value, CallError> {
        match self.append(request) {
            Ok(()) => Ok(serde_json::Value::Null),
            Err(error) => {
                Err(CallError::passing(format!("cannot write to `{}`: {error}", self.path.display())))
            }
        }
    }
}

fn is_torn(path: &Path) -> io::Result<bool> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() || meta.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
