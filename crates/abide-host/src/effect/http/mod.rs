//! The builtin target `http`: makes one request for each effect, to hosts that the manifest allows and to no other.
//!
//! [`Http`] is the target. `address` decides where a call may go, `call` takes its argument apart, `answer` turns what
//! came back into a result or a failure. When a call goes, and how often, is left to the dispatcher.

mod address;
mod answer;
mod call;

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use ureq::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use ureq::http::{self, HeaderMap, Method, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};
use url::Url;

use super::{CallError, Request, Target};
use call::Call;

pub use address::AllowedHost;
pub(crate) use address::checked;
pub(crate) use call::{METHODS, header_name, takes_body};

/// Most bytes of an answer's body, and how many are taken where the manifest says nothing.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most redirects that are followed.
pub const REDIRECTS_MAX: u32 = 10;
/// Most bytes of an answer's header.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Where calls may go, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where calls may go. Nothing is allowed that is not among them.
    pub allowed_hosts: Vec<AllowedHost>,
    /// What the addresses of calls are relative to.
    pub base_url: Option<Url>,
    /// What every call carries; a call cannot set these itself. They do not follow a redirect to another host.
    pub headers: BTreeMap<String, HeaderSource>,
    /// Most bytes of an answer's body; at most [`BODY_BYTES_MAX`].
    pub response_bytes_max: usize,
    /// How many redirects are followed, each to an allowed host only; at most [`REDIRECTS_MAX`].
    pub redirects_max: u32,
    /// Statuses besides 2xx that count as delivered.
    pub accept: Vec<u16>,
    /// Headers of the answer, in lower case, that are part of the result.
    pub answer_headers: Vec<String>,
}

/// Where the value of a header comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderSource {
    /// The manifest.
    Text(String),
    /// A variable of the host's environment, after a prefix. It is read when the target is opened, and never shown.
    Environment {
        /// The variable.
        variable: String,
        /// What stands before its value, as in `Bearer `.
        prefix: String,
    },
}

/// Makes a request for each effect.
///
/// Its function is `request` of `abide:http/client`, with one argument `{ method, url, headers, body }`. The effect's key
/// goes out as the header `Idempotency-Key`.
pub struct Http {
    config: HttpConfig,
    headers: HeaderMap,
    /// Whether one of the headers is from the environment.
    has_secret: bool,
    agent: Agent,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The headers may hold secrets.
        f.debug_struct("Http").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Http {
    /// A target that reads its secrets from the environment now.
    ///
    /// # Errors
    /// If a variable is not there, or cannot be a header's value.
    pub fn open(config: HttpConfig) -> io::Result<Self> {
        let mut headers = HeaderMap::new();
        for (name, source) in &config.headers {
            let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
            let name = header_name(name).map_err(invalid)?;
            let value = match source {
                HeaderSource::Text(text) => HeaderValue::from_str(text),
                HeaderSource::Environment { variable, prefix } => {
                    let secret = env::var(variable).map_err(|_| {
                        invalid(format!("the variable `{variable}` for the header `{name}` is not set"))
                    })?;
                    HeaderValue::from_str(&format!("{prefix}{secret}"))
                }
            };
            let mut value =
                value.map_err(|_| invalid(format!("the header `{name}` is not one line of text")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let has_secret =
            config.headers.values().any(|source| matches!(source, HeaderSource::Environment { .. }));
        Ok(Self { config, headers, has_secret, agent: agent() })
    }

    fn send(&self, mut call: Call, key: &str, deadline: Instant) -> Result<serde_json::Value, CallError> {
        let allowed = &self.config.allowed_hosts;
        let mut url =
            checked(self.config.base_url.as_ref(), &call.url, allowed).map_err(CallError::permanent)?;
        if let Some(name) = call.headers.keys().find(|name| self.headers.contains_key(*name)) {
            let message = format!("the header `{name}` is set by the manifest; take it out of the call");
            return Err(CallError::permanent(message));
        }
        if url.scheme() == "http"
            && self.has_secret
            && self.config.base_url.as_ref().is_none_or(|base| base.scheme() != "http")
        {
            let message = format!(
                "`{}` would get a secret of the manifest in plain text; use `https:`, or give a `base_url` with `http:`",
                address::origin(&url)
            );
            return Err(CallError::permanent(message));
        }
        let first = url.origin();
        let mut redirects = 0;
        loop {
            let with_own = url.origin() == first;
            let answer = self.exchange(&call, &url, key, with_own, deadline)?;
            let Some(next) = self.redirected(&answer) else {
                return answer::read(answer, &url, &self.config);
            };
            redirects += 1;
            if redirects > self.config.redirects_max {
                let message = format!("`{}` redirects too often", address::origin(&url));
                return Err(CallError::permanent(message));
            }
            let next = checked(Some(&url), &next, allowed).map_err(|why| {
                CallError::permanent(format!("`{}` redirects: {why}", address::origin(&url)))
            })?;
            if url.scheme() == "https" && next.scheme() == "http" {
                let message = format!("`{}` redirects from `https:` to `http:`", address::origin(&url));
                return Err(CallError::permanent(message));
            }
            if next.origin() != first {
                // What a call says to one host, such as a token of its own, is not for another.
                call.headers.remove(http::header::AUTHORIZATION);
                call.headers.remove(http::header::COOKIE);
            }
            redirect_method(&mut call, answer.status());
            url = next;
        }
    }

    fn exchange(
        &self,
        call: &Call,
        url: &Url,
        key: &str,
        with_own: bool,
        deadline: Instant,
    ) -> Result<http::Response<Body>, CallError> {
        let built = |error: http::Error| CallError::permanent(format!("the request cannot be made: {error}"));
        let uri: http::Uri =
            url.as_str().parse().map_err(|error: http::uri::InvalidUri| built(error.into()))?;
        // What is connected to is what the client reads; it must be what was checked.
        if uri.host() != url.host_str() || uri.port_u16() != url.port() {
            return Err(CallError::permanent(
                "the address of the request can be read in two ways; write it plainly",
            ));
        }
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(uri)
            .body(call.body.as_slice())
            .map_err(built)?;
        let headers = request.headers_mut();
        *headers = call.headers.clone();
        if with_own {
            headers.extend(self.headers.clone());
        }
        if let Some(kind) = call.kind.as_ref().filter(|_| !call.body.is_empty()) {
            headers.entry(CONTENT_TYPE).or_insert_with(|| kind.clone());
        }
        let key = HeaderValue::from_str(key).map_err(|error| built(error.into()))?;
        headers.insert(HeaderName::from_static("idempotency-key"), key);
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let send = |request| {
            let request = self.agent.configure_request(request).timeout_global(Some(left)).build();
            self.agent.run(request)
        };
        // Only a method that takes a body says how long it is.
        let answer = if takes_body(call.method.as_str()) {
            send(request)
        } else {
            send(request.map(|_| [].as_slice()))
        };
        answer.map_err(|error| answer::failure(&error, url))
    }

    /// Where an answer sends the call on to, if redirects are followed.
    fn redirected(&self, answer: &http::Response<Body>) -> Option<String> {
        let redirects = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        if !redirects || self.config.redirects_max == 0 {
            return None;
        }
        Some(answer.headers().get(LOCATION)?.to_str().ok()?.to_owned())
    }
}

impl Target for Http {
    fn call(&self, request: &Request) -> Result<serde_json::Value, CallError> {
        let timeout = Duration::from_nanos(u64::try_from(request.timeout.0).unwrap_or(0));
        let deadline = Instant::now() + timeout;
        let call = Call::read(&request.args).map_err(CallError::permanent)?;
        self.send(call, &request.key_hex(), deadline)
    }
}

/// As browsers and RFC 9110 have it: 303 asks for what is elsewhere, and so do 301 and 302 after a `POST`.
fn redirect_method(call: &mut Call, status: StatusCode) {
    let asks = match status.as_u16() {
        303 => call.method != Method::HEAD,
        301 | 302 => call.method == Method::POST,
        _ => false,
    };
    if asks {
        call.method = Method::GET;
        call.body.clear();
        call.headers.remove(CONTENT_TYPE);
    }
}

/// A client that follows nothing by itself, uses no proxy of the environment, and trusts what the system trusts.
fn agent() -> Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::Specific(root_certificates()))
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEADER_BYTES_MAX)
        .proxy(None)
        .user_agent(concat!("abide/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent()
}

/// The certificates that the system trusts; where it has none, every `https:` call fails and says so.
fn root_certificates() -> Arc<Vec<Certificate<'static>>> {
    static ROOTS: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs().certs;
        Arc::new(found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
    };
    Arc::clone(ROOTS.get_or_init(load))
}
