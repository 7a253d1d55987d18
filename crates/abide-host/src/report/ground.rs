//! What a report stands on: the verdict on a log, and what of the log can be shown.

use std::path::Path;
use std::sync::Arc;

use abide_store::{Disk, FileDisk, LogReader, OpenError, ReadError};

use super::{Report, gather};
use crate::host::HostError;
use crate::verify::{Against, Verified, verify, verify_disk};
use crate::view::View;

/// A log that was verified, for reports.
#[derive(Debug)]
pub struct Ground {
    verified: Verified,
    /// The log; where it does not verify, what stands before the first thing that is wrong, if anything does.
    view: Option<View>,
}

impl Ground {
    /// Verifies the log in a data folder, also one that is damaged, up to the first `durable` records.
    ///
    /// # Errors
    /// When there is no store, or the disk refuses.
    pub fn open(folder: &Path, durable: Option<u64>) -> Result<Self, HostError> {
        Self::open_disk(Arc::new(FileDisk::new(folder)), durable)
    }

    /// As [`Ground::open`], on any disk.
    ///
    /// # Errors
    /// As [`Ground::open`].
    pub fn open_disk(disk: Arc<dyn Disk>, durable: Option<u64>) -> Result<Self, HostError> {
        let verified = match View::open_disk(Arc::clone(&disk), durable) {
            Ok(view) => {
                let verified = verify(&view)?;
                if verified.is_verified() {
                    return Ok(Self { verified, view: Some(view) });
                }
                verified
            }
            Err(error) if is_damage(&error) => {
                let verified = verify_disk(Arc::clone(&disk), &Against::default())?;
                if verified.is_verified() {
                    return Err(error);
                }
                verified
            }
            Err(error) => return Err(error),
        };
        let sound = durable.map_or(verified.sound_records, |durable| durable.min(verified.sound_records));
        let view = View::of_reader(LogReader::open_damaged(disk)?.first(sound)?, None);
        // Where even these do not fold, the verdict is all that can be told.
        Ok(Self { verified, view: view.ok().flatten() })
    }

    /// The whole log, where it verifies.
    #[must_use]
    pub fn whole(&self) -> Option<&View> {
        self.view.as_ref().filter(|_| self.verified.is_verified())
    }

    /// Gathers a report on the objects of those names, or on every one.
    ///
    /// # Errors
    /// When the log cannot be read. Where it verifies, also when there is no object of a name, with the nearest.
    pub fn report(&self, ids: Option<&[String]>) -> Result<Report, HostError> {
        let (whole, view) = (self.whole().is_some(), self.view.as_ref());
        let mut report = Report {
            host: view.map(|view| Arc::clone(&view.engine().host().identity)),
            time: view.map(View::time),
            verified: self.verified.clone(),
            sound_records: (!whole).then(|| view.map_or(0, View::shown)),
            objects: Vec::new(),
            absent: Vec::new(),
        };
        let all =
            || view.into_iter().flat_map(|view| view.engine().objects()).map(|object| object.id.to_string());
        for id in ids.map_or_else(|| all().collect(), <[String]>::to_vec) {
            match view.map(|view| (view, view.object(&id))) {
                Some((view, Ok(object))) => report.objects.push(gather::object(view, object)?),
                Some((_, Err(error))) if whole => return Err(error),
                _ => report.absent.push(id),
            }
        }
        Ok(report)
    }
}

fn is_damage(error: &HostError) -> bool {
    matches!(
        error,
        HostError::Open(OpenError::Damaged(_))
            | HostError::Read(ReadError::Damaged(_))
            | HostError::Fold { .. }
    )
}
