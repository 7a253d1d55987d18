//! The claims within a component: who signed it, as what, and for how long.
//!
//! Claims are a JSON Web Token, signed with Ed25519, in a custom section of the image, as `wascap` writes it for
//! wasmCloud's tools. [`read`] finds and verifies them, and gives [`Claims`] only when everything about them holds;
//! [`Issuers`] says whose a host runs. Whether unsigned components run, and when claims are looked at, is for the caller.

mod sections;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use nkeys::{KeyPair, KeyPairType};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use sections::Sections;

/// Most bytes of a token.
const TOKEN_MAX: usize = 64 << 10;
/// The type that a token's header names.
const TYPE: &str = "jwt";
/// The algorithm that a token's header names.
const ALGORITHM: &str = "Ed25519";

/// What the one who signed a component says of it. Everything in it is verified to be theirs; that it is true, or that
/// they are to be trusted, is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The component's public key, an nkey, `M…`.
    pub subject: String,
    /// The public key of the account that signed, an nkey, `A…`.
    pub issuer: String,
    /// A name for people.
    pub name: Option<String>,
    /// A name that callers may use instead of the key.
    pub call_alias: Option<String>,
    /// Words that the issuer attached.
    pub tags: Vec<String>,
    /// A version for people; it follows no rule.
    pub version: Option<String>,
    /// Which revision of the component it is; 0 when nothing is said.
    pub revision: i32,
    /// When it was signed, in seconds since 1970.
    pub issued: Option<u64>,
    /// From when on the claims no longer hold, in seconds since 1970.
    pub expires: Option<u64>,
    /// From when on the claims hold, in seconds since 1970.
    pub not_before: Option<u64>,
    /// The token itself, for services that want to verify it on their own.
    pub token: String,
}

/// Why claims do not hold, or do not suffice.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// The image is something else, such as text.
    #[error("the image is no WebAssembly in its binary form")]
    NotWasm,
    /// The image does not consist of sections.
    #[error("the image is no WebAssembly whose sections can be told apart: {source}")]
    Unreadable {
        /// What is wrong, and where.
        #[source]
        source: wasmparser::Error,
    },
    /// A section goes on after the end of the image.
    #[error("the image ends in the middle of a section; fetch it again")]
    Truncated,
    /// There are more modules and components in the image than are looked through.
    #[error(
        "the image is made of more than {} modules and components, too many to verify its claims",
        sections::PARTS_MAX
    )]
    Parts,
    /// It cannot be told which claims are meant.
    #[error("the image has {count} sections with claims, and may have one; sign it again, which leaves one")]
    Several {
        /// How many there are.
        count: usize,
    },
    /// The section is too long.
    #[error("the claims have {length} bytes, and may have {TOKEN_MAX}; sign the component with fewer tags")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// The section holds something else than a token about a component.
    #[error(
        "the claims are no token as `wash claims sign` makes it: {why}; sign the component again, or remove the section"
    )]
    NotToken {
        /// What is missing or wrong.
        why: String,
    },
    /// The token is signed in another way.
    #[error(
        "the claims are signed with `{found}` and not with `{ALGORITHM}`; sign the component with `wash claims sign`"
    )]
    Algorithm {
        /// The algorithm that it names.
        found: String,
    },
    /// The issuer cannot be one.
    #[error(
        "the claims on `{subject}` name the issuer `{issuer}`, which is no account's key (`A…`); sign the component with the seed of an account (`SA…`)"
    )]
    Issuer {
        /// Whom the claims name.
        issuer: String,
        /// What they are about.
        subject: String,
    },
    /// The subject is no component.
    #[error(
        "the claims by `{issuer}` are about `{subject}`, which is no component's key (`M…`); sign the component with the seed of a module (`SM…`)"
    )]
    Subject {
        /// Who issued them.
        issuer: String,
        /// What they name.
        subject: String,
    },
    /// Somebody else signed, or the token was changed.
    #[error(
        "the claims on `{subject}` are not signed by their issuer `{issuer}`; get the component from them anew, or sign it yourself"
    )]
    Signature {
        /// Whom the claims name.
        issuer: String,
        /// What they are about.
        subject: String,
    },
    /// The image is another one than was signed.
    #[error(
        "the component `{subject}` is not what `{issuer}` signed: its hash is {found}, and {signed} was signed; get it from them anew, or sign it yourself"
    )]
    Changed {
        /// Who signed.
        issuer: String,
        /// The component.
        subject: String,
        /// The hash in the claims.
        signed: String,
        /// The hash of the image.
        found: String,
    },
    /// The claims no longer hold.
    #[error("the claims by `{issuer}` on `{subject}` expired at {at}; have the component signed again")]
    Expired {
        /// Who issued them.
        issuer: String,
        /// The component.
        subject: String,
        /// When, for people.
        at: String,
    },
    /// The claims do not hold yet.
    #[error(
        "the claims by `{issuer}` on `{subject}` hold from {at} on; wait until then, or set this host's clock right"
    )]
    NotYet {
        /// Who issued them.
        issuer: String,
        /// The component.
        subject: String,
        /// When, for people.
        at: String,
    },
    /// There are issuers to be heeded, and no claims.
    #[error("the component is not signed, and this host only runs those that are, by one of: {allowed}")]
    Unsigned {
        /// The issuers.
        allowed: String,
    },
    /// The issuer is not among those that are allowed.
    #[error(
        "the component `{subject}` is signed by `{issuer}`, and this host does not run what they sign; to allow it, add `{issuer}` to the issuers that this host allows"
    )]
    Unlisted {
        /// Who issued the claims.
        issuer: String,
        /// The component.
        subject: String,
    },
    /// Something that is to be allowed is no issuer.
    #[error("`{key}` cannot be allowed as an issuer: it is no account's public key (`A…`)")]
    NotIssuer {
        /// What was given.
        key: String,
    },
}

/// Finds and verifies the claims of an image; `None` when it carries none.
///
/// Only a section of the image itself counts, and none of a component or module within it. Time and memory are at most
/// proportional to the image's length.
///
/// # Errors
/// When the image cannot be read, or anything about its claims does not hold at `now`.
pub fn read(wasm: &[u8], now: Timestamp) -> Result<Option<Claims>, ClaimsError> {
    let sections = Sections::read(wasm)?;
    let Some(token) = sections.token()? else { return Ok(None) };
    let (claims, signed) = verify(token)?;
    let found = sections.hash()?;
    let Claims { issuer, subject, .. } = &claims;
    let (issuer, subject) = (issuer.clone(), subject.clone());
    // `wascap` lets the hash of tokens from before its third revision be anything. Those are on modules alone, which do
    // not run here, and each of them could be put on any component.
    if signed != found {
        return Err(ClaimsError::Changed { issuer, subject, signed: shown(&signed), found });
    }
    // Claims hold from the second of `not_before` on and until before that of `expires`, as RFC 7519 has it.
    let now = u64::try_from(now.as_second()).unwrap_or(0);
    if let Some(at) = claims.expires.filter(|expires| *expires <= now) {
        return Err(ClaimsError::Expired { issuer, subject, at: for_people(at) });
    }
    if let Some(at) = claims.not_before.filter(|not_before| *not_before > now) {
        return Err(ClaimsError::NotYet { issuer, subject, at: for_people(at) });
    }
    Ok(Some(claims))
}

/// What a token says, and the hash that it says it of: signed by its issuer, whoever that is and whenever it holds.
fn verify(token: &[u8]) -> Result<(Claims, String), ClaimsError> {
    let token = std::str::from_utf8(token).map_err(|_| not_token("it is no text"))?;
    let mut parts = token.split('.');
    let (Some(header), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(not_token("it has not three parts with `.` between them"));
    };
    let Header { typ, alg } = decode("header", header)?;
    if alg != ALGORITHM {
        return Err(ClaimsError::Algorithm { found: shown(&alg) });
    }
    if typ != TYPE {
        return Err(not_token(format!("its type is `{}` and not `{TYPE}`", shown(&typ))));
    }
    let Body { iss, sub, iat, exp, nbf, wascap } = decode("body", body)?;
    let Some(key) = nkey(&iss, &KeyPairType::Account) else {
        return Err(ClaimsError::Issuer { issuer: shown(&iss), subject: shown(&sub) });
    };
    if nkey(&sub, &KeyPairType::Module).is_none() {
        return Err(ClaimsError::Subject { issuer: iss, subject: shown(&sub) });
    }
    let Some(signature) = URL_SAFE_NO_PAD.decode(signature).ok() else {
        return Err(not_token("its signature is not in base64url"));
    };
    let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
    if key.verify(signed.as_bytes(), &signature).is_err() {
        return Err(ClaimsError::Signature { issuer: iss, subject: sub });
    }
    let Some(About { name, hash: Some(hash), tags, rev, ver, call_alias }) = wascap else {
        return Err(not_token("it has no hash of a component"));
    };
    let claims = Claims {
        subject: sub,
        issuer: iss,
        name,
        call_alias,
        tags: tags.unwrap_or_default(),
        version: ver,
        revision: rev.unwrap_or(0),
        issued: iat,
        expires: exp,
        not_before: nbf,
        token: token.to_owned(),
    };
    Ok((claims, hash))
}

impl Claims {
    /// As an event of a lattice tells of them: `claims` of `component_scaled`, whose `public_key` is the subject.
    #[must_use]
    pub fn to_event(&self) -> Json {
        json!({
            "call_alias": self.call_alias,
            "issuer": self.issuer,
            "tags": self.tags,
            // wadm takes no event in which the name is null, or a revision below 0.
            "name": self.name.as_deref().unwrap_or_default(),
            "version": self.version,
            "revision": u32::try_from(self.revision).ok(),
            "not_before_human": self.not_before.map_or_else(|| "immediately".to_owned(), for_people),
            "expires_human": self.expires.map_or_else(|| "never".to_owned(), for_people),
        })
    }

    /// As a lattice keeps them, under `CLAIMS_` and the subject. Each key is there: hosts of wasmCloud's take a value
    /// without `tags` for a provider's.
    #[must_use]
    pub fn to_bucket(&self) -> BTreeMap<String, String> {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        BTreeMap::from([
            ("call_alias".to_owned(), or_empty(&self.call_alias)),
            ("issuer".to_owned(), self.issuer.clone()),
            ("name".to_owned(), or_empty(&self.name)),
            ("revision".to_owned(), self.revision.to_string()),
            ("subject".to_owned(), self.subject.clone()),
            ("tags".to_owned(), self.tags.join(",")),
            ("version".to_owned(), or_empty(&self.version)),
        ])
    }
}

/// The accounts whose components a host runs; when there are none, it runs every component, also one without claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuers(BTreeSet<String>);

impl Issuers {
    /// Those with these public keys (`A…`).
    ///
    /// # Errors
    /// When one is no account's key: it could never be met.
    pub fn new(keys: impl IntoIterator<Item = String>) -> Result<Self, ClaimsError> {
        let account = |key: String| match nkey(&key, &KeyPairType::Account) {
            Some(_) => Ok(key),
            None => Err(ClaimsError::NotIssuer { key: shown(&key) }),
        };
        keys.into_iter().map(account).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a component with these claims, which [`read`] gave, may run.
    ///
    /// # Errors
    /// When it may not, with who signed it.
    pub fn admit(&self, claims: Option<&Claims>) -> Result<(), ClaimsError> {
        match claims {
            _ if self.0.is_empty() => Ok(()),
            None => {
                let keys: Vec<_> = self.0.iter().map(|key| format!("`{key}`")).collect();
                Err(ClaimsError::Unsigned { allowed: keys.join(", ") })
            }
            Some(claims) if self.0.contains(&claims.issuer) => Ok(()),
            Some(Claims { issuer, subject, .. }) => {
                Err(ClaimsError::Unlisted { issuer: issuer.clone(), subject: subject.clone() })
            }
        }
    }
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
}

#[derive(Deserialize)]
struct Body {
    iss: String,
    sub: String,
    iat: Option<u64>,
    exp: Option<u64>,
    nbf: Option<u64>,
    wascap: Option<About>,
}

#[derive(Deserialize)]
struct About {
    name: Option<String>,
    hash: Option<String>,
    tags: Option<Vec<String>>,
    rev: Option<i32>,
    ver: Option<String>,
    call_alias: Option<String>,
}

/// A part of a token, which is JSON in base64url.
fn decode<T: DeserializeOwned>(part: &str, text: &str) -> Result<T, ClaimsError> {
    let json =
        URL_SAFE_NO_PAD.decode(text).map_err(|_| not_token(format!("its {part} is not in base64url")))?;
    serde_json::from_slice(&json).map_err(|error| {
        not_token(format!("its {part} is not as it should be: {}", shown(&error.to_string())))
    })
}

fn not_token(why: impl Into<String>) -> ClaimsError {
    ClaimsError::NotToken { why: why.into() }
}

/// The key that an nkey holds, if it is one of that kind.
fn nkey(text: &str, kind: &KeyPairType) -> Option<KeyPair> {
    KeyPair::from_public_key(text).ok().filter(|key| key.key_pair_type() == *kind)
}

/// A moment in RFC 3339, or the seconds themselves where they are after the year 9999.
fn for_people(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("{seconds} s after 1970"), |time| time.to_string())
}

/// What a stranger wrote, for a message: without control characters, and cut off where it is long.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    let mut shown: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
