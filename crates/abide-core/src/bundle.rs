//! A bundle: what an outsider needs to check lineages offline. Its form stands in `docs/formats/bundle.md`; what it proves
//! is for others to check.

use minicbor::{Decoder, Encoder};

use crate::codec::{self, DecodeError, Head, bytes_of, head, put, text};
use crate::record::Hash;

/// The version of the form.
pub const VERSION: u64 = 1;
/// Most bytes of a bundle.
pub const BYTES_MAX: u64 = 1 << 30;
/// Most hashes of a proof: twice the height of the tallest tree.
pub const PROOF_MAX: u64 = 128;
/// Most components and configurations, and most earlier checkpoints.
pub const OTHERS_MAX: u64 = 1 << 16;
/// Fewest bytes of a record: what a bundle says it holds is never much more in memory than in the file.
const RECORD_BYTES_MIN: usize = 16;

const MAGIC: &str = "abide-bundle";

/// Lineages, and what proves that they are a host's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The signed note of the head of the log that they were taken from.
    pub checkpoint: String,
    /// Of the host's own lineage what the others rest on, record 0 first, in the order of the log.
    pub host: Vec<Proved>,
    /// Components and configurations that the lineages name by digest: those that are carried.
    pub blobs: Vec<Vec<u8>>,
    /// The records of whole lineages, in the order of the log.
    pub records: Vec<Vec<u8>>,
    /// For each lineage, in the order of their first records: where its last record is in the log.
    pub lasts: Vec<Place>,
    /// Earlier checkpoints, and that the log only grew since.
    pub earlier: Vec<Earlier>,
}

/// A record, and that it is in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proved {
    /// The record.
    pub bytes: Vec<u8>,
    /// Where it is.
    pub place: Place,
}

/// A place in the log, proved by RFC 6962 §2.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of records before it.
    pub leaf: u64,
    /// From the record's hash to the root, the lowest first.
    pub proof: Vec<Hash>,
}

/// An earlier head of the log, and that it is the beginning of this one: RFC 6962 §2.1.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Its signed note.
    pub note: String,
    /// The lowest first; none where it is empty or the same.
    pub proof: Vec<Hash>,
}

impl Bundle {
    /// The bundle as bytes: core deterministic CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let e = &mut Encoder::new(&mut out);
        put(e.map(8));
        put(e.u8(0));
        put(e.str(MAGIC));
        put(e.u8(1));
        put(e.u64(VERSION));
        put(e.u8(2));
        put(e.str(&self.checkpoint));
        put(e.u8(3));
        put(e.array(self.host.len() as u64));
        for proved in &self.host {
            put(e.array(3));
            put(e.u64(proved.place.leaf));
            put(e.bytes(&proved.bytes));
            encode_proof(e, &proved.place.proof);
        }
        for (key, list) in [(4, &self.blobs), (5, &self.records)] {
            put(e.u8(key));
            put(e.array(list.len() as u64));
            list.iter().for_each(|bytes| put(e.bytes(bytes)));
        }
        put(e.u8(6));
        put(e.array(self.lasts.len() as u64));
        for last in &self.lasts {
            put(e.array(2));
            put(e.u64(last.leaf));
            encode_proof(e, &last.proof);
        }
        put(e.u8(7));
        put(e.array(self.earlier.len() as u64));
        for earlier in &self.earlier {
            put(e.array(2));
            put(e.str(&earlier.note));
            encode_proof(e, &earlier.proof);
        }
        out
    }

    /// The bundle that [`Bundle::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not in that one form, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let d = &mut Decoder::new(bytes);
        let fail = |at, what| Err(DecodeError { at, what });
        if head(d)? != Head::Map(8) {
            return fail(0, "a bundle is a map of eight entries");
        }
        key(d, 0)?;
        let at = d.position();
        if text(d)? != MAGIC {
            return fail(at, "it is no bundle");
        }
        key(d, 1)?;
        let at = d.position();
        if head(d)? != Head::Unsigned(VERSION) {
            return fail(at, "it is of another version than 1");
        }
        key(d, 2)?;
        let checkpoint = text(d)?.to_owned();
        key(d, 3)?;
        let host = list(d, u64::MAX, |d| {
            tuple(d, 3)?;
            let (leaf, bytes) = (unsigned(d)?, record(d)?);
            Ok(Proved { bytes, place: Place { leaf, proof: proof(d)? } })
        })?;
        key(d, 4)?;
        let blobs = list(d, OTHERS_MAX, blob)?;
        key(d, 5)?;
        let records = list(d, u64::MAX, record)?;
        key(d, 6)?;
        let lasts = list(d, records.len() as u64, |d| {
            tuple(d, 2)?;
            Ok(Place { leaf: unsigned(d)?, proof: proof(d)? })
        })?;
        key(d, 7)?;
        let earlier = list(d, OTHERS_MAX, |d| {
            tuple(d, 2)?;
            Ok(Earlier { note: text(d)?.to_owned(), proof: proof(d)? })
        })?;
        codec::end(d)?;
        Ok(Self { checkpoint, host, blobs, records, lasts, earlier })
    }
}

fn encode_proof(e: &mut Encoder<&mut Vec<u8>>, proof: &[Hash]) {
    put(e.array(proof.len() as u64));
    proof.iter().for_each(|hash| put(e.bytes(&hash.0)));
}

fn key(d: &mut Decoder<'_>, key: u64) -> Result<(), DecodeError> {
    let at = d.position();
    if head(d)? == Head::Unsigned(key) {
        return Ok(());
    }
    Err(DecodeError { at, what: "the keys of a bundle are 0 to 7, in order" })
}

fn unsigned(d: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    let at = d.position();
    match head(d)? {
        Head::Unsigned(n) => Ok(n),
        _ => Err(DecodeError { at, what: "an unsigned integer is expected" }),
    }
}

fn record(d: &mut Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
    let at = d.position();
    let bytes = blob(d)?;
    if bytes.len() < RECORD_BYTES_MIN {
        return Err(DecodeError { at, what: "a record has more bytes" });
    }
    Ok(bytes)
}

fn blob(d: &mut Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
    let at = d.position();
    match head(d)? {
        Head::Bytes(length) => Ok(bytes_of(d, length)?.to_vec()),
        _ => Err(DecodeError { at, what: "bytes are expected" }),
    }
}

fn length(d: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    let at = d.position();
    match head(d)? {
        Head::Array(length) => Ok(length),
        _ => Err(DecodeError { at, what: "an array is expected" }),
    }
}

fn tuple(d: &mut Decoder<'_>, expected: u64) -> Result<(), DecodeError> {
    let at = d.position();
    if length(d)? == expected {
        return Ok(());
    }
    Err(DecodeError { at, what: "an array has another length" })
}

/// Grows as its items are read: what its length says is not believed.
fn list<T>(
    d: &mut Decoder<'_>,
    most: u64,
    mut item: impl FnMut(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let at = d.position();
    let length = length(d)?;
    if length > most {
        return Err(DecodeError { at, what: "an array has more items than it may" });
    }
    let mut items = Vec::new();
    for _ in 0..length {
        items.push(item(d)?);
    }
    Ok(items)
}

fn proof(d: &mut Decoder<'_>) -> Result<Vec<Hash>, DecodeError> {
    list(d, PROOF_MAX, |d| {
        let at = d.position();
        let hash = blob(d)?.try_into();
        hash.map(Hash).map_err(|_| DecodeError { at, what: "a hash has 32 bytes" })
    })
}
