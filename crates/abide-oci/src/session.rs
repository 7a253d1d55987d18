//! One conversation with a registry: what is asked of it, within which time and size.
//!
//! Blocking: a runtime on the calling thread drives the client. What its failures mean is told by [`failure`](crate::failure), and
//! what is kept of the answers is for others.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::DigestError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};
use tokio::runtime::Runtime;

use crate::credential::{Credential, Identity};
use crate::digest::Digest;
use crate::error::FetchError;
use crate::failure::{Asking, Part, cause};
use crate::manifest::{ACCEPTED, Layer, MANIFEST_MAX_BYTES};
use crate::options::Timeouts;
use crate::reference::Reference;

const USER_AGENT: &str = concat!("abide/", env!("CARGO_PKG_VERSION"));

/// A conversation about one reference.
pub(crate) struct Session<'a> {
    runtime: &'a Runtime,
    client: Client,
    auth: RegistryAuth,
    reference: &'a Reference,
    asking: Asking<'a>,
    began: Instant,
}

impl<'a> Session<'a> {
    /// Begins a conversation: the host says who it is, where the registry wants to know.
    pub(crate) fn begin(
        runtime: &'a Runtime,
        reference: &'a Reference,
        credential: &Credential,
        is_plain: bool,
        timeouts: Timeouts,
    ) -> Result<Self, FetchError> {
        let auth = auth(credential, reference)?;
        let is_known = auth != RegistryAuth::Anonymous;
        let asking = Asking { reference, is_known, is_plain, timeouts };
        let client =
            Client::try_from(config(is_plain, timeouts)).map_err(|error| asking.machine(cause(&error)))?;
        let began = Instant::now();
        let session = Self { runtime, client, auth, reference, asking, began };
        session.wait(session.manifest_timeout(), session.authorize())?;
        Ok(session)
    }

    /// The manifest of the reference, or the one with a digest. Its bytes have the digest that was asked for.
    pub(crate) fn manifest(&self, digest: Option<Digest>) -> Result<Vec<u8>, FetchError> {
        self.wait(self.manifest_timeout(), self.pull_manifest(digest))
    }

    /// The bytes of a layer, which have its digest and its length.
    pub(crate) fn layer(&self, layer: Layer) -> Result<Vec<u8>, FetchError> {
        self.wait(self.asking.timeouts.overall, self.pull_layer(layer))
    }

    fn manifest_timeout(&self) -> Duration {
        self.asking.timeouts.manifest.min(self.asking.timeouts.overall)
    }

    /// Waits for an answer, until this long after the beginning.
    fn wait<T>(
        &self,
        timeout: Duration,
        answer: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let left = timeout.saturating_sub(self.began.elapsed());
        let answer = self.runtime.block_on(async { tokio::time::timeout(left, answer).await });
        answer.unwrap_or_else(|_| Err(self.asking.no_answer(format!("it was not done within {timeout:?}"))))
    }

    async fn authorize(&self) -> Result<(), FetchError> {
        let authorized = self.client.auth(&self.reference.asked(), &self.auth, RegistryOperation::Pull).await;
        let token = authorized.map_err(|error| self.asking.failed(Part::Manifest, error))?;
        // The client would panic on it.
        if token.is_some_and(|token| !is_token(&token)) {
            return Err(self.asking.refused("the token that it gives is none"));
        }
        Ok(())
    }

    async fn pull_manifest(&self, digest: Option<Digest>) -> Result<Vec<u8>, FetchError> {
        let mut asked = self.reference.asked();
        if let Some(digest) = digest {
            asked = asked.clone_with_digest(digest.to_string());
        }
        let pulled = self.client.pull_manifest_raw(&asked, &self.auth, ACCEPTED).await;
        let (bytes, _) = pulled.map_err(|error| self.asking.failed(Part::Manifest, error))?;
        let length = bytes.len() as u64;
        if length > MANIFEST_MAX_BYTES {
            return Err(self.asking.manifest_too_large(length, MANIFEST_MAX_BYTES));
        }
        if let Some(expected) = asked.digest().and_then(Digest::read) {
            self.asking.check(Part::Manifest, expected, &bytes)?;
        }
        Ok(bytes.into())
    }

    async fn pull_layer(&self, layer: Layer) -> Result<Vec<u8>, FetchError> {
        let failed = |error| self.asking.failed(Part::Layer, error);
        let digest = layer.digest.to_string();
        // By its digest alone: a manifest could name other addresses for it, which the host would then ask.
        let pulled = self.client.pull_blob_stream(&self.reference.asked(), digest.as_str()).await;
        let mut blob = pulled.map_err(failed)?;
        if let Some(length) = blob.content_length.filter(|length| *length != layer.bytes) {
            return Err(self.asking.length(layer, format!("{length} bytes")));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                // The client has seen the end and another digest; both are looked at below.
                Err(error) if error.get_ref().is_some_and(|inner| inner.is::<DigestError>()) => break,
                Err(error) => return Err(failed(error.into())),
            };
            if (bytes.len() + chunk.len()) as u64 > layer.bytes {
                return Err(self.asking.length(layer, "more".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 != layer.bytes {
            return Err(self.asking.length(layer, format!("{} bytes", bytes.len())));
        }
        self.asking.check(Part::Layer, layer.digest, &bytes)?;
        Ok(bytes)
    }
}

fn config(is_plain: bool, timeouts: Timeouts) -> ClientConfig {
    ClientConfig {
        protocol: if is_plain { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(timeouts.connect),
        read_timeout: Some(timeouts.idle),
        user_agent: USER_AGENT,
        // Indexes are read by `manifest`.
        platform_resolver: None,
        ..ClientConfig::default()
    }
}

fn auth(credential: &Credential, reference: &Reference) -> Result<RegistryAuth, FetchError> {
    let bad = |why| FetchError::Credential { registry: reference.registry.clone(), why };
    match credential.identity().map_err(bad)? {
        Identity::Nobody => Ok(RegistryAuth::Anonymous),
        Identity::Named { username, password } => {
            Ok(RegistryAuth::Basic(username.to_owned(), password.to_owned()))
        }
        Identity::Token(token) if is_token(token) => Ok(RegistryAuth::Bearer(token.to_owned())),
        Identity::Token(_) => Err(bad("a token with characters that none has")),
    }
}

/// Whether a header may say it.
fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
