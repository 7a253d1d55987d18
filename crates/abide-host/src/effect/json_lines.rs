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
    file: Mutex<File>,
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
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    fn append(&self, request: &Request) -> io::Result<()> {
        let mut line = request.to_json().to_string();
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes())?;
        match file.sync_data() {
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
