//! The header of a segment: which log it belongs to, where it starts, and under which key it is signed.

use crate::checkpoint::{LogVerifier, ORIGIN_BYTES_MAX};
use crate::merkle::Hash;

use super::{FORMAT_VERSION, Fields};

const MAGIC: [u8; 8] = *b"ABIDELOG";
/// Magic, version, checksum: what stands before the bytes that the checksum covers.
const UNCOVERED_BYTES: usize = 16;
/// All fields but the origin.
const FIXED_BYTES: usize = 112;
/// The length of the longest header.
pub(crate) const SEGMENT_HEADER_BYTES_MAX: usize = FIXED_BYTES + ORIGIN_BYTES_MAX.next_multiple_of(8);

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The segment's position in the log.
    pub(crate) base: u64,
    /// The index of the first record in it.
    pub(crate) first_leaf: u64,
    /// The root of the tree before it.
    pub(crate) root_before: Hash,
    /// The name and the key of all checkpoints in it.
    pub(crate) verifier: LogVerifier,
}

/// Why bytes are not the header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// They are a header of a later format.
    Newer(u32),
    /// They are no header; the text says why.
    Invalid(&'static str),
}

impl SegmentHeader {
    /// The header's length in the file.
    pub(crate) fn len(&self) -> u64 {
        (FIXED_BYTES + self.verifier.origin().len().next_multiple_of(8)) as u64
    }

    /// Appends the header to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let origin = self.verifier.origin().as_bytes();
        let mut covered = Vec::with_capacity(SEGMENT_HEADER_BYTES_MAX);
        covered.extend(u32::try_from(self.len()).unwrap_or(u32::MAX).to_le_bytes());
        covered.extend(u32::try_from(origin.len()).unwrap_or(u32::MAX).to_le_bytes());
        covered.extend(self.base.to_le_bytes());
        covered.extend(self.first_leaf.to_le_bytes());
        covered.extend(self.root_before);
        covered.extend(self.verifier.key());
        covered.extend(self.verifier.key_id().0);
        covered.extend([0; 4]);
        covered.extend(origin);
        covered.resize(covered.len().next_multiple_of(8), 0);
        out.extend(MAGIC);
        out.extend(FORMAT_VERSION.to_le_bytes());
        out.extend(crc32fast::hash(&covered).to_le_bytes());
        out.extend(covered);
    }

    /// Reads the header at the start of `bytes`, which may go on after it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let short = HeaderFault::Invalid("the segment header is cut short");
        let mut fields = Fields::new(bytes);
        if fields.array().ok_or(short.clone())? != MAGIC {
            return Err(HeaderFault::Invalid("there is no segment header"));
        }
        let version = fields.u32().ok_or(short.clone())?;
        if version > FORMAT_VERSION {
            return Err(HeaderFault::Newer(version));
        }
        let checksum = fields.u32().ok_or(short.clone())?;
        let len = Fields::new(fields.rest()).u32().and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
        let covered = len.checked_sub(UNCOVERED_BYTES).and_then(|len| fields.bytes(len)).ok_or(short)?;
        if version != FORMAT_VERSION || crc32fast::hash(covered) != checksum {
            return Err(HeaderFault::Invalid("the segment header does not have its checksum"));
        }
        let header = Self::from_covered(covered);
        let header = header.ok_or(HeaderFault::Invalid("the segment header holds what no writer writes"))?;
        Ok(header)
    }

    fn from_covered(covered: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(covered);
        let len = fields.u32()?;
        let origin_len = usize::try_from(fields.u32()?).ok()?;
        let (base, first_leaf) = (fields.u64()?, fields.u64()?);
        let (root_before, key) = (fields.array()?, fields.array()?);
        let (key_id, reserved) = (fields.array::<4>()?, fields.u32()?);
        let origin = str::from_utf8(fields.bytes(origin_len)?).ok()?;
        let verifier = LogVerifier::new(origin, &key).ok()?;
        let header = Self { base, first_leaf, root_before, verifier };
        let sound = header.verifier.key_id().0 == key_id
            && reserved == 0
            && header.len() == u64::from(len)
            && fields.rest().iter().all(|byte| *byte == 0);
        sound.then_some(header)
    }
}
