//! The sections of an image: its token among them, and the hash of what a token is signed over.
//!
//! What is hashed is not the image's bytes, but the image written anew: without the sections that may hold a token, at
//! any depth, and with the length of each section in its shortest form. Images within the image are written anew too,
//! and so have other lengths. They are measured in a first pass and hashed in a second, without a copy of anything.

use abide_core::record::Hash;
use sha2::{Digest as _, Sha256};
use wasmparser::{Parser, Payload};

use super::{ClaimsError, TOKEN_MAX};

/// The sections that may hold a token; the second is what `wascap` wrote before 0.9.
const NAMES: [&str; 2] = ["wasmcloud_jwt", "jwt"];
/// Most modules and components within an image. It bounds the memory that their nesting takes.
pub(super) const PARTS_MAX: usize = 10_000;

/// What there is in an image.
#[derive(Debug)]
pub(super) struct Sections<'w> {
    wasm: &'w [u8],
    /// The first token, and how many there are.
    tokens: (Option<&'w [u8]>, usize),
    /// How long the images within the image are when written anew, in the order in which they begin.
    lengths: Vec<u64>,
}

/// A piece of an image, in the order in which they come.
enum Piece<'w> {
    /// The bytes that an image begins with.
    Header(&'w [u8]),
    /// A section by its number, with what it holds.
    Section(u8, &'w [u8]),
    /// What a section holds that is the image's own and may hold a token.
    Token(&'w [u8]),
    /// A section by its number, which holds an image.
    Begin(u8),
    /// That image ends.
    End,
}

impl<'w> Sections<'w> {
    /// Looks through an image.
    ///
    /// # Errors
    /// When it cannot be read, or has too many images within.
    pub(super) fn read(wasm: &'w [u8]) -> Result<Self, ClaimsError> {
        let mut sections = Self { wasm, tokens: (None, 0), lengths: Vec::new() };
        let mut length = 0;
        // Around each image that has not ended: its place in `lengths`, and how long what is around it is so far.
        let mut around = Vec::new();
        walk(wasm, |piece| match piece {
            Piece::Header(bytes) => length += count(bytes),
            Piece::Section(_, bytes) => length += section_length(count(bytes)),
            Piece::Token(bytes) => {
                sections.tokens.0.get_or_insert(bytes);
                sections.tokens.1 += 1;
            }
            Piece::Begin(_) => {
                around.push((sections.lengths.len(), std::mem::take(&mut length)));
                sections.lengths.push(0);
            }
            Piece::End => {
                let Some((place, before)) = around.pop() else { return };
                if let Some(kept) = sections.lengths.get_mut(place) {
                    *kept = length;
                }
                length = before + section_length(length);
            }
        })?;
        Ok(sections)
    }

    /// The token, if there is one.
    ///
    /// # Errors
    /// When there are several, or it is too long.
    pub(super) fn token(&self) -> Result<Option<&'w [u8]>, ClaimsError> {
        match self.tokens {
            (_, count) if count > 1 => Err(ClaimsError::Several { count }),
            (Some(token), _) if token.len() > TOKEN_MAX => Err(ClaimsError::TooLong { length: token.len() }),
            (token, _) => Ok(token),
        }
    }

    /// The SHA-256 of the image as it was before it was signed, in upper-case hexadecimal digits.
    ///
    /// # Errors
    /// None after [`Sections::read`] has had none.
    pub(super) fn hash(&self) -> Result<String, ClaimsError> {
        let mut hash = Sha256::new();
        let mut lengths = self.lengths.iter();
        let begin = |hash: &mut Sha256, id: u8, length: u64| {
            hash.update([id]);
            leb128(length).for_each(|byte| hash.update([byte]));
        };
        walk(self.wasm, |piece| match piece {
            Piece::Header(bytes) => hash.update(bytes),
            Piece::Section(id, bytes) => {
                begin(&mut hash, id, count(bytes));
                hash.update(bytes);
            }
            Piece::Begin(id) => begin(&mut hash, id, lengths.next().copied().unwrap_or(0)),
            Piece::Token(_) | Piece::End => {}
        })?;
        Ok(Hash(hash.finalize().into()).to_string().to_ascii_uppercase())
    }
}

/// Shows an image's pieces. What may hold a token in images within the image is left out.
fn walk<'w>(wasm: &'w [u8], mut see: impl FnMut(Piece<'w>)) -> Result<(), ClaimsError> {
    if !wasm.starts_with(b"\0asm") {
        return Err(ClaimsError::NotWasm);
    }
    let bytes = |range| wasm.get(range).ok_or(ClaimsError::Truncated);
    let (mut depth, mut parts) = (0_usize, 0_usize);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|source| ClaimsError::Unreadable { source })?;
        match &payload {
            Payload::Version { range, .. } => see(Piece::Header(bytes(range.clone())?)),
            Payload::CustomSection(section) if NAMES.contains(&section.name()) => {
                if depth == 0 {
                    see(Piece::Token(section.data()));
                }
            }
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                see(Piece::End);
            }
            _ => {
                let Some((id, range)) = payload.as_section() else { continue };
                let bytes = bytes(range)?;
                if !matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) {
                    see(Piece::Section(id, bytes));
                    continue;
                }
                (depth, parts) = (depth + 1, parts + 1);
                if parts > PARTS_MAX {
                    return Err(ClaimsError::Parts);
                }
                see(Piece::Begin(id));
            }
        }
    }
    Ok(())
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// How long a section is that holds so many bytes.
fn section_length(content: u64) -> u64 {
    leb128(content).fold(1, |length, _| length + 1) + content
}

/// The shortest form of a number in LEB128.
fn leb128(number: u64) -> impl Iterator<Item = u8> {
    let rest = |number: &u64| Some(number >> 7).filter(|rest| *rest > 0);
    std::iter::successors(Some(number), rest).map(move |number| {
        let [low, ..] = number.to_le_bytes();
        if rest(&number).is_some() { low | 0x80 } else { low & 0x7F }
    })
}
