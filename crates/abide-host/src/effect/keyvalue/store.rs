//! The file behind `keyvalue`: values by bucket and key, and the keys of the effects that were applied last.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError,
    TableDefinition,
};
use serde_json::Value;

/// How many applied effects are remembered: the oldest are forgotten beyond that.
pub const APPLIED_MAX: u64 = 65_536;

/// How long a file that is in use is waited for: the thread of a run that has just ended may still hold it.
const IN_USE_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const IN_USE_CHECK: Duration = Duration::from_millis(20);

/// From bucket and key to a value, as JSON.
const VALUES: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("values");
/// From an effect's key to its number in `ORDER` and what it was answered, as JSON.
const APPLIED: TableDefinition<'_, &[u8; 32], (u64, &str)> = TableDefinition::new("applied");
/// From the number of an applied effect, ascending, to its key.
const ORDER: TableDefinition<'_, u64, &[u8; 32]> = TableDefinition::new("order");

/// What a change makes of a value: what is there afterwards, and the answer.
pub(super) type Change<'c> = &'c dyn Fn(Option<Value>) -> Result<(Option<Value>, Value), String>;

/// Why the store did not do it.
#[derive(Debug)]
pub(super) enum StoreError {
    /// The call asks for what cannot be: no further attempt helps.
    Refused(String),
    /// The file failed.
    Failed(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The open file.
pub(super) struct Store {
    path: PathBuf,
    database: Database,
}

impl Store {
    /// Opens the file and checks the whole of it; it is made, with mode 0600, if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let store = Self { path: path.to_owned(), database: open_database(path)? };
        match store.make_tables() {
            Ok(()) => Ok(store),
            Err(redb::Error::Io(error)) => Err(error),
            Err(error) => Err(damaged(path, &error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a key.
    pub(super) fn get(&self, bucket: &str, key: &str) -> Result<Option<Value>, StoreError> {
        let reading = self.database.begin_read()?;
        let values = reading.open_table(VALUES)?;
        let Some(found) = values.get((bucket, key))? else { return Ok(None) };
        parsed(found.value()).map(Some)
    }

    /// Changes the value of a key, once for an effect: one that was applied before changes nothing and has the answer that
    /// it had. It is on the disk when this returns.
    pub(super) fn apply(
        &self,
        effect: &[u8; 32],
        bucket: &str,
        key: &str,
        change: Change<'_>,
    ) -> Result<Value, StoreError> {
        let writing = self.database.begin_write()?;
        let answer = {
            let mut applied = writing.open_table(APPLIED)?;
            if let Some(before) = applied.get(effect)? {
                return parsed(before.value().1);
            }
            let mut values = writing.open_table(VALUES)?;
            let now = match values.get((bucket, key))? {
                Some(found) => Some(parsed(found.value())?),
                None => None,
            };
            let (after, answer) = change(now).map_err(StoreError::Refused)?;
            match after {
                Some(value) => drop(values.insert((bucket, key), value.to_string().as_str())?),
                None => drop(values.remove((bucket, key))?),
            }
            let mut order = writing.open_table(ORDER)?;
            let number = order.last()?.map_or(0, |(number, _)| number.value().saturating_add(1));
            order.insert(number, effect)?;
            applied.insert(effect, (number, answer.to_string().as_str()))?;
            while order.len()? > APPLIED_MAX {
                let Some((_, oldest)) = order.pop_first()? else { break };
                applied.remove(oldest.value())?;
            }
            answer
        };
        writing.commit()?;
        Ok(answer)
    }

    fn make_tables(&self) -> Result<(), redb::Error> {
        let writing = self.database.begin_write()?;
        writing.open_table(VALUES)?;
        writing.open_table(APPLIED)?;
        writing.open_table(ORDER)?;
        Ok(writing.commit()?)
    }
}

/// Opens a file of values and checks the whole of it; it is made, with mode 0600, if it is not there.
///
/// # Errors
/// When it is damaged, in use by another process, or cannot be opened.
pub(crate) fn open_database(path: &Path) -> io::Result<Database> {
    match open_free(path)? {
        Some(Ok(database)) => Ok(database),
        Some(Err(DatabaseError::DatabaseAlreadyOpen)) => {
            let message = format!("`{}` is in use by another process; stop it first", path.display());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
        }
        Some(Err(DatabaseError::Storage(StorageError::Io(error))))
            if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            Err(error)
        }
        Some(Err(error)) => Err(damaged(path, &error)),
        None => Err(damaged(path, &"it cannot be read")),
    }
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> io::Error {
    let message = format!(
        "`{}` is damaged ({why}); restore it from a copy, or move it away to begin with an empty one",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Opens the file, and waits a moment while it is in use; `None` where the library panics over damage that its checks
/// do not foresee.
fn open_free(path: &Path) -> io::Result<Option<Result<Database, DatabaseError>>> {
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true);
    let deadline = Instant::now() + IN_USE_WAIT;
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            FileBackend::new(file).and_then(|file| builder.create_with_backend(file))
        }));
        let in_use = matches!(opened, Ok(Err(DatabaseError::DatabaseAlreadyOpen)));
        if !in_use || Instant::now() >= deadline {
            return Ok(opened.ok());
        }
        thread::sleep(IN_USE_CHECK);
    }
}

fn parsed(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Failed(redb::Error::Corrupted("a value is no JSON".to_owned())))
}
