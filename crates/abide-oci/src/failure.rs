//! What it means when a registry does not do as it is asked.

use std::error::Error;

use oci_client::errors::{DigestError, OciDistributionError, OciEnvelope, OciErrorCode};

use crate::digest::Digest;
use crate::error::{FetchError, clean};
use crate::manifest::Layer;
use crate::options::Timeouts;
use crate::reference::Reference;

/// What is being asked for, and how.
pub(crate) struct Asking<'a> {
    pub(crate) reference: &'a Reference,
    /// Whether the registry is told who asks.
    pub(crate) is_known: bool,
    /// Whether it is asked over plain HTTP.
    pub(crate) is_plain: bool,
    pub(crate) timeouts: Timeouts,
}

/// A part of an image.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Manifest,
    Layer,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Layer => "layer",
        }
    }
}

impl Asking<'_> {
    /// What a failure of the client's means.
    pub(crate) fn failed(&self, part: Part, error: OciDistributionError) -> FetchError {
        match error {
            OciDistributionError::UnauthorizedError { .. } => self.unauthorized("it answers 401"),
            OciDistributionError::AuthenticationFailure(said) => self.unauthorized(&said),
            OciDistributionError::RegistryError { envelope, .. } => self.answered(&envelope),
            OciDistributionError::ServerError { code, message, .. } => self.status(code, &message),
            OciDistributionError::RequestError(error) if error.is_builder() || error.is_redirect() => {
                self.refused(&cause(&error))
            }
            OciDistributionError::RequestError(error) if error.is_timeout() && error.is_connect() => {
                self.no_answer(format!("there was no connection within {:?}", self.timeouts.connect))
            }
            OciDistributionError::RequestError(error) => self.broke(&error),
            OciDistributionError::IoError(error) => self.broke(&error),
            OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                self.digest(part, clean(&expected), actual)
            }
            error => self.refused(&error.to_string()),
        }
    }

    /// Whether bytes are what was named.
    pub(crate) fn check(&self, part: Part, expected: Digest, bytes: &[u8]) -> Result<(), FetchError> {
        let found = Digest::of(bytes);
        if found == expected {
            return Ok(());
        }
        Err(self.digest(part, expected.to_string(), found.to_string()))
    }

    pub(crate) fn length(&self, layer: Layer, found: String) -> FetchError {
        FetchError::Length { reference: self.written(), expected: layer.bytes, found }
    }

    pub(crate) fn manifest_too_large(&self, bytes: u64, most: u64) -> FetchError {
        FetchError::TooLarge { reference: self.written(), part: Part::Manifest.name(), bytes, most }
    }

    pub(crate) fn no_answer(&self, why: String) -> FetchError {
        // What a registry on plain HTTP says to a greeting in TLS.
        let hint = if !self.is_plain && why.contains("corrupt message") {
            ", and if the registry is on plain HTTP, start the host with `--allowed-insecure`"
        } else {
            ""
        };
        FetchError::NoAnswer { registry: self.registry(), reference: self.written(), why, hint }
    }

    pub(crate) fn refused(&self, why: &str) -> FetchError {
        FetchError::Refused { registry: self.registry(), reference: self.written(), why: clean(why) }
    }

    pub(crate) fn machine(&self, why: String) -> FetchError {
        FetchError::Machine { reference: self.written(), why }
    }

    fn answered(&self, envelope: &OciEnvelope) -> FetchError {
        let Some(error) = envelope.errors.first() else {
            return self.refused("it gives no reason");
        };
        let said = if error.message.is_empty() { format!("{:?}", error.code) } else { clean(&error.message) };
        match error.code {
            OciErrorCode::BlobUnknown
            | OciErrorCode::ManifestBlobUnknown
            | OciErrorCode::ManifestUnknown
            | OciErrorCode::NameUnknown
            | OciErrorCode::NotFound => self.not_found(said),
            OciErrorCode::Unauthorized | OciErrorCode::Denied => self.unauthorized(&said),
            OciErrorCode::Toomanyrequests => self.no_answer(said),
            _ => self.refused(&said),
        }
    }

    fn status(&self, code: u16, message: &str) -> FetchError {
        let message = clean(message);
        let said = if message.is_empty() {
            format!("it answers {code}")
        } else {
            format!("it answers {code}: {message}")
        };
        match code {
            401 | 403 => self.unauthorized(&said),
            404 => self.not_found(said),
            429 | 500.. => self.no_answer(said),
            _ => self.refused(&said),
        }
    }

    fn broke(&self, error: &dyn Error) -> FetchError {
        let cause = cause(error);
        if cause == TIMED_OUT {
            return self.no_answer(format!("nothing came for {:?}", self.timeouts.idle));
        }
        self.no_answer(clean(&cause))
    }

    fn not_found(&self, why: String) -> FetchError {
        FetchError::NotFound {
            registry: self.registry(),
            reference: self.written(),
            why,
            identity: self.identity(),
        }
    }

    fn unauthorized(&self, said: &str) -> FetchError {
        let why = if said.trim().is_empty() { "it does not say why".to_owned() } else { clean(said) };
        FetchError::Unauthorized {
            registry: self.registry(),
            reference: self.written(),
            why,
            identity: self.identity(),
        }
    }

    fn digest(&self, part: Part, expected: String, found: String) -> FetchError {
        FetchError::Digest { reference: self.written(), part: part.name(), expected, found }
    }

    fn identity(&self) -> &'static str {
        if self.is_known { "with the credentials that this host has" } else { "without credentials" }
    }

    fn registry(&self) -> String {
        self.reference.registry.clone()
    }

    fn written(&self) -> String {
        self.reference.written.clone()
    }
}

/// How the client says that a time ran out.
const TIMED_OUT: &str = "operation timed out";

/// What lies at the bottom of an error.
pub(crate) fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
