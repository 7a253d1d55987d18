//! Why an image is not to be had.

use std::io;
use std::path::PathBuf;

/// Why registries cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The cache's folder cannot be made or used.
    #[error("the cache of images cannot be kept in `{}`: {source}; name a folder that this user may write to", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why an image is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// What was given is no reference.
    #[error("`{reference}` is no reference of an image: {why}; write it as `ghcr.io/NAME/IMAGE:1.0.0`")]
    Reference {
        /// What was given.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// The reference names no version, and the host takes none without.
    #[error(
        "`{reference}` names no version, so what it means may change; name one, as in `:1.0.0` or `@sha256:…`, or start \
         the host with `--allow-latest`"
    )]
    Latest {
        /// The reference.
        reference: String,
    },
    /// What the host was told of who it is makes no credential.
    #[error("the credentials for `{registry}` are {why}; give a name with a password, or a token alone")]
    Credential {
        /// The registry.
        registry: String,
        /// What they are instead.
        why: &'static str,
    },
    /// The registry has no such image, or says so to who may not see it.
    #[error(
        "`{registry}` has no `{reference}`: {why}; see to its name and version, and whether it can be seen {identity}"
    )]
    NotFound {
        /// The registry.
        registry: String,
        /// The reference.
        reference: String,
        /// What the registry says.
        why: String,
        /// With or without credentials.
        identity: &'static str,
    },
    /// The registry does not give the image to who the host is.
    #[error(
        "`{registry}` does not give out `{reference}` {identity}: {why}; give the host credentials for `{registry}` that \
         may read it: a name with a password, or a token"
    )]
    Unauthorized {
        /// The registry.
        registry: String,
        /// The reference.
        reference: String,
        /// What the registry says.
        why: String,
        /// With or without credentials.
        identity: &'static str,
    },
    /// The registry is not reached, breaks off, or says that it cannot serve anybody now.
    #[error("`{registry}` does not answer for `{reference}`: {why}; see to the network and try again{hint}")]
    NoAnswer {
        /// The registry.
        registry: String,
        /// The reference.
        reference: String,
        /// What happened.
        why: String,
        /// What else may help, to be read on from there.
        hint: &'static str,
    },
    /// The registry answers with something else than what it was asked for.
    #[error("`{registry}` does not serve `{reference}`: {why}; ask who runs the registry")]
    Refused {
        /// The registry.
        registry: String,
        /// The reference.
        reference: String,
        /// What it says, or what is wrong with it.
        why: String,
    },
    /// The image is none of a component.
    #[error("`{reference}` is no image of a component: {why}")]
    Unfit {
        /// The reference.
        reference: String,
        /// In which way.
        why: Unfit,
    },
    /// Something else came than what was named.
    #[error(
        "the {part} of `{reference}` is not what was named: it has the digest `{found}`, and not `{expected}`; do not run \
         it, and ask who runs the registry"
    )]
    Digest {
        /// The reference.
        reference: String,
        /// `manifest` or `layer`.
        part: &'static str,
        /// The digest that was named.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// As many bytes as the manifest says did not come.
    #[error(
        "the layer of `{reference}` has {found}, and {expected} by its manifest; push the image anew, or ask who runs the \
         registry"
    )]
    Length {
        /// The reference.
        reference: String,
        /// The bytes that its manifest says it has.
        expected: u64,
        /// How many came, in words.
        found: String,
    },
    /// More bytes than the host takes.
    #[error(
        "the {part} of `{reference}` has {bytes} bytes, and this host takes {most} at most; push a smaller one"
    )]
    TooLarge {
        /// The reference.
        reference: String,
        /// `manifest` or `layer`.
        part: &'static str,
        /// How many it has.
        bytes: u64,
        /// How many are taken.
        most: u64,
    },
    /// What was fetched cannot be kept, so that it would be missing when the host is offline.
    #[error("`{reference}` was fetched and cannot be kept in `{}`: {source}; see to its permissions and free space", path.display())]
    Cache {
        /// The reference.
        reference: String,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// This machine does not let the host ask.
    #[error("this machine cannot ask a registry for `{reference}`: {why}")]
    Machine {
        /// The reference.
        reference: String,
        /// What failed.
        why: String,
    },
}

/// In which way an image is none of a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The manifest cannot be read.
    #[error("its manifest cannot be read: {0}")]
    Manifest(String),
    /// None of its layers is WebAssembly.
    #[error(
        "its layers are {found}, and not `application/wasm`; push a component, with `wash push` or `wkg oci push`"
    )]
    MediaType {
        /// The media types that there are.
        found: String,
    },
    /// Several of its layers are WebAssembly.
    #[error(
        "{count} of its layers are WebAssembly, and a component has one; push each component as an image"
    )]
    Layers {
        /// How many.
        count: usize,
    },
    /// It is an index of images for several platforms, of which none is the one for components.
    #[error(
        "it is an index of images for {platforms}; refer to one by its digest, or push it for `wasm` alone"
    )]
    Platforms {
        /// The platforms.
        platforms: String,
    },
}

/// Most characters of what others say that an error repeats.
const QUOTED_MAX: usize = 200;

/// What others say, on one line of bounded length.
pub(crate) fn clean(text: &str) -> String {
    let mut clean: String = text
        .trim()
        .chars()
        .take(QUOTED_MAX)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if text.trim().chars().nth(QUOTED_MAX).is_some() {
        clean.push('…');
    }
    clean
}
