//! Checkpoints: the signed head of the log, as a C2SP `tlog-checkpoint` in a C2SP `signed-note`.
//!
//! The text of the note is the origin, the tree size and the root, a line each. Ed25519 signs it without chance, so
//! the frame keeps root, key id and signature, and the note is built from them when somebody asks for it.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::merkle::Hash;

/// The signature type of Ed25519 in the C2SP `signed-note` specification.
const SIGNATURE_TYPE_ED25519: u8 = 1;

/// The longest origin, in bytes.
pub(crate) const ORIGIN_BYTES_MAX: usize = 255;

/// The first four bytes of a hash over the origin and a log key: how notes and frames name the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    /// Eight hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// The head of the log after a commit: what is shown to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The number of records.
    pub size: u64,
    /// The root of the Merkle tree over them.
    pub root: Hash,
    /// The tick of the commit.
    pub tick: u64,
    /// The time of the commit, in nanoseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// The signed note.
    pub note: String,
}

/// What signs the head of the log. The key signs nothing else.
#[derive(Clone)]
pub struct LogSigner {
    key: SigningKey,
    verifier: LogVerifier,
}

/// What checks signatures of the head of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogVerifier {
    origin: String,
    key: VerifyingKey,
    key_id: KeyId,
}

/// Why an origin or a key cannot stand in a note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The origin would break the note's lines.
    #[error(
        "`{origin}` cannot name a log: an origin has 1 to {ORIGIN_BYTES_MAX} bytes, without spaces, plus or control characters"
    )]
    Origin {
        /// The origin, shown with escapes.
        origin: String,
    },
    /// The bytes are not a public key.
    #[error("the log key is not an Ed25519 public key")]
    Key,
}

impl LogSigner {
    /// A signer for the log that `origin` names, with the seed of an Ed25519 key.
    ///
    /// The origin is a name without a scheme, as `abide.example.org/host/NABC…`: 1 to 255 bytes of UTF-8 without spaces,
    /// plus signs and control characters.
    ///
    /// # Errors
    /// [`SignerError::Origin`] if the origin is not such a name.
    pub fn new(origin: &str, seed: &[u8; 32]) -> Result<Self, SignerError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = LogVerifier::new(origin, &key.verifying_key().to_bytes())?;
        Ok(Self { key, verifier })
    }

    /// What checks this signer's signatures.
    #[must_use]
    pub fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// Signs the head of a tree of `size` leaves.
    #[must_use]
    pub(crate) fn sign(&self, size: u64, root: &Hash) -> [u8; 64] {
        self.key.sign(self.verifier.note_text(size, root).as_bytes()).to_bytes()
    }
}

impl fmt::Debug for LogSigner {
    /// The public half alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSigner").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl LogVerifier {
    /// A verifier for the log that `origin` names, with an Ed25519 public key.
    ///
    /// # Errors
    /// [`SignerError`] if the origin cannot stand in a note or the bytes are no public key.
    pub fn new(origin: &str, key: &[u8; 32]) -> Result<Self, SignerError> {
        let breaks_lines = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX || origin.contains(breaks_lines) {
            return Err(SignerError::Origin { origin: origin.escape_debug().to_string() });
        }
        let key = VerifyingKey::from_bytes(key).map_err(|_| SignerError::Key)?;
        let key_id = key_id(origin, &key);
        Ok(Self { origin: origin.to_owned(), key, key_id })
    }

    /// The name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The key's id.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The key as the text `origin+id+key` that other programs take to check a note.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        let mut bytes = vec![SIGNATURE_TYPE_ED25519];
        bytes.extend(self.key());
        format!("{}+{}+{}", self.origin, self.key_id, BASE64_STANDARD.encode(bytes))
    }

    /// Whether `signature` is this key's over the head of a tree of `size` leaves.
    #[must_use]
    pub fn verify(&self, size: u64, root: &Hash, signature: &[u8; 64]) -> bool {
        let text = self.note_text(size, root);
        self.key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature)).is_ok()
    }

    /// Reads a note that one signature closes, and checks it: the size and the root it states, or `None` if it is not a
    /// note of this log under this key.
    #[must_use]
    pub fn verify_note(&self, note: &str) -> Option<(u64, Hash)> {
        let (text, signature_line) = note.split_once("\n\n")?;
        let mut lines = text.split('\n');
        let (_, size, root) = (lines.next()?, lines.next()?.parse().ok()?, lines.next()?);
        let root = BASE64_STANDARD.decode(root).ok()?.try_into().ok()?;
        let signature = signature_line.trim_end_matches('\n').rsplit(' ').next()?;
        let signature: [u8; 68] = BASE64_STANDARD.decode(signature).ok()?.try_into().ok()?;
        let (_, signature) = signature.split_last_chunk::<64>()?;
        let same = self.note(size, &root, signature) == note;
        (same && self.verify(size, &root, signature)).then_some((size, root))
    }

    /// The signed note.
    #[must_use]
    pub(crate) fn note(&self, size: u64, root: &Hash, signature: &[u8; 64]) -> String {
        let mut named = [0; 68];
        let (id, rest) = named.split_at_mut(4);
        id.copy_from_slice(&self.key_id.0);
        rest.copy_from_slice(signature);
        let text = self.note_text(size, root);
        format!("{text}\n\u{2014} {} {}\n", self.origin, BASE64_STANDARD.encode(named))
    }

    fn note_text(&self, size: u64, root: &Hash) -> String {
        format!("{}\n{size}\n{}\n", self.origin, BASE64_STANDARD.encode(root))
    }
}

fn key_id(origin: &str, key: &VerifyingKey) -> KeyId {
    let digest: Hash = Sha256::new()
        .chain_update(origin)
        .chain_update([b'\n', SIGNATURE_TYPE_ED25519])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    KeyId([a, b, c, d])
}
