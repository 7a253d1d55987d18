//! References: `REGISTRY/REPOSITORY`, with a tag or a digest or both.

use crate::credential::registry_name;
use crate::digest::Digest;
use crate::error::{FetchError, clean};

/// A reference as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// As it was written.
    pub(crate) written: String,
    /// `HOST` or `HOST:PORT`, in lower case.
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) version: Version,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The one whose manifest has the digest. A tag beside it says nothing more.
    Pinned(Digest),
    Tagged(String),
    /// `latest`, or nothing.
    Latest,
}

const LATEST: &str = "latest";

impl Reference {
    pub(crate) fn read(written: &str) -> Result<Self, FetchError> {
        let bad = |why: &str| FetchError::Reference { reference: clean(written), why: why.to_owned() };
        let text = written.strip_prefix("oci://").unwrap_or(written);
        // Else `team/guard:1` would be looked for on Docker Hub, where anybody may own it.
        let first = text.split_once('/').map_or("", |(first, _)| first);
        if !first.contains(['.', ':']) && first != "localhost" {
            return Err(bad("it names no registry"));
        }
        let read: oci_client::Reference =
            text.parse().map_err(|error: oci_client::ParseError| bad(&error.to_string()))?;
        let version = match (read.digest(), read.tag()) {
            (Some(digest), _) => {
                let digest = Digest::read(digest);
                Version::Pinned(digest.ok_or_else(|| bad("its digest is no SHA-256 in lower case"))?)
            }
            (None, Some(tag)) if tag != LATEST => Version::Tagged(tag.to_owned()),
            (None, _) => Version::Latest,
        };
        Ok(Self {
            written: text.to_owned(),
            registry: registry_name(read.registry()),
            repository: read.repository().to_owned(),
            version,
        })
    }

    /// What a cache keeps under the reference's own name: a pinned image needs none.
    pub(crate) fn name(&self) -> Option<String> {
        let tag = match &self.version {
            Version::Pinned(_) => return None,
            Version::Tagged(tag) => tag,
            Version::Latest => LATEST,
        };
        Some(format!("{}/{}:{tag}", self.registry, self.repository))
    }

    /// As the client asks for it.
    pub(crate) fn asked(&self) -> oci_client::Reference {
        let (registry, repository) = (self.registry.clone(), self.repository.clone());
        match &self.version {
            Version::Pinned(digest) => {
                oci_client::Reference::with_digest(registry, repository, digest.to_string())
            }
            Version::Tagged(tag) => oci_client::Reference::with_tag(registry, repository, tag.clone()),
            Version::Latest => oci_client::Reference::with_tag(registry, repository, LATEST.to_owned()),
        }
    }
}
