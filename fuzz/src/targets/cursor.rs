//! The cursor of a replay, as the log keeps it.

use abide_host::source::Cursor;

use super::{Reached, Target};

pub(super) const TARGET: Target =
    Target { name: "cursor", run, seeds: || vec![Cursor::default().to_bytes().to_vec()] };

fn run(bytes: &[u8]) -> Reached {
    let cursor = Cursor::from_bytes(bytes);
    if let Some(cursor) = cursor {
        assert_eq!(cursor.to_bytes().as_slice(), bytes);
    }
    Reached::of(&cursor.is_some())
}
