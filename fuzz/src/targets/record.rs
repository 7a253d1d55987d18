//! Records: whatever the bytes, they decode or they do not; what decodes strictly is encoded to the same bytes.

use abide_core::record::Hash;
use abide_core::record::decode::{decode, decode_strict, header};
use abide_core::record::encode::encode;
use abide_core::schema::Schema;

use super::{Reached, Target};
use crate::sample::sample;

pub(super) const TARGET: Target = Target { name: "record", run, seeds: || sample().records.clone() };

fn run(bytes: &[u8]) -> Reached {
    let with = with(bytes, Some(&sample().schema));
    Reached::of(&(with, self::with(bytes, None)))
}

fn with(bytes: &[u8], schema: Option<&Schema>) -> Result<u8, String> {
    let strict = decode_strict(bytes, schema);
    let lax = decode(bytes, schema);
    if let Ok(record) = &strict {
        let mut again = Vec::new();
        encode(record, schema, &mut again);
        assert!(again == bytes, "a strict record is encoded to other bytes");
    }
    if let Ok(record) = &lax {
        let head = header(bytes).map(|head| (head.object, head.seq, head.kind));
        assert_eq!(head, Ok((record.object.clone(), record.seq, record.event.kind())));
        // What is not canonical becomes so by being written once.
        let mut once = Vec::new();
        encode(record, schema, &mut once);
        assert_eq!(decode_strict(&once, schema).as_ref().map(|r| r.seq), Ok(record.seq), "{record:?}");
        let _ = record.to_json(Hash::of_record(bytes), schema);
    }
    strict.map(|record| record.event.kind()).map_err(|error| error.to_string())
}
