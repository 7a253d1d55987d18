//! The keys of a host and its operator: a folder of small files that only their owner may read.
//!
//! `host.nk` is the identity's nkey seed (`SN…`), `log.key` the log key's seed (64 hexadecimal digits), `operator.nk` the
//! operator's nkey seed (`SO…`). `operators/NAME.pub` may hold further operators' public nkeys (`O…`).

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_core::object::Object;
use abide_core::policy::Operator;
use abide_core::record::{Hash, HostGenesis, Signature};
use abide_store::{LogSigner, LogVerifier};
use nkeys::{KeyPair, KeyPairType};

/// The name under which a host's own operator stands in policies.
const OPERATOR: &str = "operator";

/// The keys of a host and its operator.
pub struct Keys {
    folder: PathBuf,
    identity: KeyPair,
    log: [u8; 32],
    operator: KeyPair,
    operator_key: [u8; 32],
    others: Vec<Operator>,
}

/// Why keys are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file or the folder cannot be read or made.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{}` does not hold {what}; put the right file there, or move it away to have a new key made", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Others can read it.
    #[error("`{}` can be read by others; run `chmod 600` on it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
}

impl Keys {
    /// Reads the keys in a folder; what is missing is made.
    ///
    /// # Errors
    /// When a file cannot be read or made, is malformed, or can be read by others.
    pub fn open(folder: &Path) -> Result<Self, KeysError> {
        let io = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| KeysError::Io { operation, path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("create", folder))?;
        let nkey = |name: &str, kind: KeyPairType, what| {
            let path = folder.join(name);
            let seed = read_or_make(&path, |fresh| {
                KeyPair::new_from_raw(kind.clone(), fresh).and_then(|pair| pair.seed()).unwrap_or_default()
            })?;
            let pair = KeyPair::from_seed(seed.trim()).ok().filter(|pair| pair.key_pair_type() == kind);
            pair.ok_or(KeysError::Malformed { path, what })
        };
        let identity = nkey("host.nk", KeyPairType::Server, "the seed of a host's identity (`SN…`)")?;
        let operator = nkey("operator.nk", KeyPairType::Operator, "the seed of an operator's key (`SO…`)")?;
        let path = folder.join("log.key");
        let log = read_or_make(&path, |fresh| Hash(fresh).to_string())?;
        let log =
            Hash::from_hex(log.trim()).ok_or(KeysError::Malformed { path, what: "64 hexadecimal digits" })?.0;
        let operator_key = public_bytes(&operator.public_key()).ok_or_else(|| KeysError::Malformed {
            path: folder.join("operator.nk"),
            what: "an operator's key",
        })?;
        let others = other_operators(&folder.join("operators"))?;
        Ok(Self { folder: folder.to_owned(), identity, log, operator, operator_key, others })
    }

    /// Keys that seeds of 32 bytes decide: of the identity, the log key and the operator. They are in no folder.
    ///
    /// # Errors
    /// When a seed makes no key.
    pub fn from_seeds(identity: [u8; 32], log: [u8; 32], operator: [u8; 32]) -> Result<Self, KeysError> {
        let unusable = |what| KeysError::Malformed { path: PathBuf::new(), what };
        let pair = |kind, seed, what| KeyPair::new_from_raw(kind, seed).map_err(|_| unusable(what));
        let identity = pair(KeyPairType::Server, identity, "the seed of a host's identity")?;
        let operator = pair(KeyPairType::Operator, operator, "the seed of an operator's key")?;
        let operator_key =
            public_bytes(&operator.public_key()).ok_or_else(|| unusable("an operator's key"))?;
        Ok(Self { folder: PathBuf::new(), identity, log, operator, operator_key, others: Vec::new() })
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The host's identity: an nkey, `N…`.
    #[must_use]
    pub fn identity(&self) -> String {
        self.identity.public_key()
    }

    /// Whether a seed (`SN…`) is that of the identity.
    #[must_use]
    pub fn is_identity(&self, seed: &str) -> bool {
        KeyPair::from_seed(seed).is_ok_and(|pair| pair.public_key() == self.identity.public_key())
    }

    /// The operator's public key: an nkey, `O…`.
    #[must_use]
    pub fn operator(&self) -> String {
        self.operator.public_key()
    }

    /// The origin in the first line of a checkpoint: the host's identity, below a name of Abide's.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("abide.dev/host/{}", self.identity())
    }

    /// The signer of checkpoints.
    ///
    /// # Errors
    /// When the log key is unusable.
    pub fn signer(&self) -> Result<LogSigner, KeysError> {
        let path = self.folder.join("log.key");
        LogSigner::new(&self.origin(), &self.log)
            .map_err(|_| KeysError::Malformed { path, what: "a usable log key" })
    }

    /// Record 0: the identity certifies the log key.
    ///
    /// # Errors
    /// When the log key is unusable.
    pub fn host_genesis(&self, replayed: bool) -> Result<HostGenesis, KeysError> {
        let origin = self.origin();
        let log_key = self.signer()?.verifier().key();
        let certificate =
            self.sign("host.nk", &self.identity, &HostGenesis::certified_bytes(&origin, &log_key))?;
        Ok(HostGenesis {
            identity: self.identity().into(),
            log_key,
            origin: origin.into(),
            certificate,
            replayed,
        })
    }

    /// The operators that new objects get: this folder's own, then the others by name.
    #[must_use]
    pub fn operators(&self) -> Vec<Operator> {
        let own = Operator { name: OPERATOR.into(), key: self.operator_key };
        std::iter::once(own).chain(self.others.iter().cloned()).collect()
    }

    /// The operator's signature over what [`abide_core::admission::signed_bytes`] gives for that counter.
    ///
    /// # Errors
    /// When the key is unusable.
    pub fn sign_as_operator(&self, bytes: &[u8], counter: u64) -> Result<Signature, KeysError> {
        let signature = self.sign("operator.nk", &self.operator, bytes)?;
        Ok(Signature { name: OPERATOR.into(), key: self.operator_key, counter, signature })
    }

    /// A counter for the operator's next signature over an act on an object: above the last one recorded.
    #[must_use]
    pub fn next_counter(&self, object: &Object) -> u64 {
        object.state.counters.get(&self.operator_key).map_or(1, |last| last.saturating_add(1))
    }

    fn sign(&self, file: &str, pair: &KeyPair, bytes: &[u8]) -> Result<[u8; 64], KeysError> {
        let signature = pair.sign(bytes).ok().and_then(|signature| signature.try_into().ok());
        signature
            .ok_or_else(|| KeysError::Malformed { path: self.folder.join(file), what: "a key that can sign" })
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("folder", &self.folder)
            .field("identity", &self.identity())
            .finish_non_exhaustive()
    }
}

/// Whether record 0's certificate is its identity's, for its origin and log key.
#[must_use]
pub fn is_certified(genesis: &HostGenesis) -> bool {
    let bytes = HostGenesis::certified_bytes(&genesis.origin, &genesis.log_key);
    KeyPair::from_public_key(&genesis.identity).is_ok_and(|identity| {
        identity.key_pair_type() == KeyPairType::Server
            && identity.verify(&bytes, &genesis.certificate).is_ok()
    })
}

/// Whether checkpoints under that name and key are of the host that record 0 begins.
#[must_use]
pub fn is_log_key(genesis: &HostGenesis, verifier: &LogVerifier) -> bool {
    verifier.origin() == &*genesis.origin && verifier.key() == genesis.log_key
}

fn public_bytes(nkey: &str) -> Option<[u8; 32]> {
    nkeys::from_public_key(nkey).ok().map(|(_, bytes)| bytes)
}

/// The text of a file; if it is missing, `make` writes it from 32 random bytes.
fn read_or_make(path: &Path, make: impl FnOnce([u8; 32]) -> String) -> Result<String, KeysError> {
    let io = |operation| move |source| KeysError::Io { operation, path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => {
            use std::os::unix::fs::MetadataExt as _;
            let mode = fs::metadata(path).map_err(io("read"))?.mode();
            if mode & 0o077 != 0 { Err(KeysError::Open { path: path.to_owned() }) } else { Ok(text) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut fresh = [0; 32];
            getrandom::fill(&mut fresh)
                .map_err(|error| io("make a random key for")(io::Error::other(error)))?;
            let text = make(fresh);
            let part = path.with_extension("part");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&part)
                .map_err(io("create"))?;
            file.write_all(format!("{text}\n").as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(io("write"))?;
            // Whoever is first makes the key; a second process at the same moment takes up what the first one made.
            match fs::hard_link(&part, path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(io("create")(source)),
            }
            let _ = fs::remove_file(&part);
            fs::read_to_string(path).map_err(io("read"))
        }
        Err(source) => Err(io("read")(source)),
    }
}

fn other_operators(folder: &Path) -> Result<Vec<Operator>, KeysError> {
    let io = |source| KeysError::Io { operation: "read", path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut operators = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()).map(Arc::from) else { continue };
        if path.extension().is_none_or(|extension| extension != "pub") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(io)?;
        let nkey = text.trim();
        let key = public_bytes(nkey).filter(|_| nkey.starts_with('O'));
        let key = key.ok_or(KeysError::Malformed { path, what: "an operator's public key (`O…`)" })?;
        operators.push(Operator { name, key });
    }
    operators.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(operators)
}
