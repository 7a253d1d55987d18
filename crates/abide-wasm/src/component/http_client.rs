//! `wasi:http/outgoing-handler`: requests of components, to the hosts that a link allows.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, StreamBody};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::call::Reach;
use crate::provider::Builtin;

const INTERFACE: &str = "wasi:http/outgoing-handler";
/// The configuration that names the hosts.
const ALLOWED: &str = "allowed_hosts";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// What requests go out over, with its connections.
pub(crate) type Client = Pooled<HttpsConnector<HttpConnector>, WasiBody>;

/// A client that trusts whom the system trusts.
pub(crate) fn client() -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(connector);
    Ok(Pooled::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .build(connector))
}

/// Whether a request may go where it is to go: to `HOST` over the port of its scheme, to `HOST:PORT`, to `*.DOMAIN` or anywhere,
/// `*`; with `https://` before it, over TLS alone.
fn is_allowed(allowed: &str, uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
    let usual = if is_tls { 443 } else { 80 };
    let port = authority.port_u16().unwrap_or(usual);
    allowed.split(',').map(str::trim).filter(|rule| !rule.is_empty()).any(|rule| {
        let rule = match rule.split_once("://") {
            Some(("https", rest)) if is_tls => rest,
            Some(("http", rest)) if !is_tls => rest,
            Some(_) => return false,
            None => rule,
        };
        if rule == "*" {
            return true;
        }
        let Ok(rule) = rule.trim_end_matches('/').parse::<Authority>() else { return false };
        let host = authority.host();
        let fits = match rule.host().strip_prefix("*.") {
            Some(domain) => {
                host.len() > domain.len()
                    && host
                        .get(host.len() - domain.len()..)
                        .is_some_and(|end| end.eq_ignore_ascii_case(domain))
                    && host.as_bytes().get(host.len() - domain.len() - 1) == Some(&b'.')
            }
            None => host.eq_ignore_ascii_case(rule.host()),
        };
        fits && rule.port_u16().unwrap_or(usual) == port
    })
}

impl Reach {
    /// The client, where a link lets the request out.
    fn let_out(&self, uri: &Uri) -> Result<Client, Error> {
        let denied = |why: &str| {
            self.host.tell(why);
            Error::HttpRequestDenied
        };
        let grant = self.grant(INTERFACE, Builtin::HttpClient).map_err(|why| denied(&why))?;
        let allowed = grant.config.get(ALLOWED).map_or("", String::as_str);
        if !is_allowed(allowed, uri) {
            let to = uri.authority().map_or("", Authority::as_str);
            return Err(denied(&format!(
                "`{}` may not call `{to}`: `{ALLOWED}` of its link to `{}` is `{allowed}`",
                self.component.id, grant.provider.id
            )));
        }
        self.host.http_client().map_err(|why| denied(&why))
    }
}

/// A request that goes on beside the guest, and what comes of it.
type Sent = Box<dyn Future<Output = Result<(Response<WasiBody>, Rest), Error>> + Send>;
/// What of it goes on after the answer's head.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Reach {
    fn send_request(&mut self, request: Request<WasiBody>, options: Option<RequestOptions>, _: Rest) -> Sent {
        let client = self.let_out(request.uri());
        let options = options.unwrap_or_default();
        let connect = options.connect_timeout.unwrap_or(CONNECT);
        let first = options.first_byte_timeout.unwrap_or(self.component.limits.time);
        let between = options.between_bytes_timeout.unwrap_or(self.component.limits.time);
        Box::new(async move {
            let answer = timeout(connect.saturating_add(first), client?.request(request)).await;
            let answer = answer.map_err(|_| Error::HttpResponseTimeout)?.map_err(|error| {
                if error.is_connect() { Error::ConnectionRefused } else { Error::HttpProtocolError }
            })?;
            Ok((answer.map(|body| in_time(body, between)), Box::new(async { Ok(()) }) as Rest))
        })
    }
}

/// A body whose parts come in time.
fn in_time(body: hyper::body::Incoming, limit: Duration) -> WasiBody {
    let frames = stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match timeout(limit, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(body))),
            Ok(Some(Err(error))) => Some((Err(Error::from(error)), None)),
            Err(_) => Some((Err(Error::ConnectionReadTimeout), None)),
        }
    });
    StreamBody::<_>::new(frames).map_frame(|frame: hyper::body::Frame<Bytes>| frame).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn a_request_goes_where_a_rule_lets_it_and_nowhere_else() {
        let cases = [
            ("", "http://example.com/", false),
            ("*", "http://example.com/", true),
            ("example.com", "http://example.com/x", true),
            ("example.com", "https://EXAMPLE.com/x", true),
            ("example.com", "http://example.com:8080/", false),
            ("example.com:8080", "http://example.com:8080/", true),
            ("example.com", "http://example.com.evil.net/", false),
            ("example.com", "http://evil.net/example.com", false),
            ("example.com", "http://example.com@evil.net/", false),
            ("*.example.com", "http://a.example.com/", true),
            ("*.example.com", "http://a.b.example.com/", true),
            ("*.example.com", "http://example.com/", false),
            ("*.example.com", "http://badexample.com/", false),
            ("https://example.com", "http://example.com/", false),
            ("https://example.com", "https://example.com/", true),
            ("https://*", "https://example.com:444/", true),
            ("https://*", "http://example.com/", false),
            ("a.net, 127.0.0.1:9", "http://127.0.0.1:9/", true),
            ("127.0.0.1", "http://127.0.0.1:9/", false),
            ("[::1]:80", "http://[::1]/", true),
            ("ftp://example.com", "http://example.com/", false),
        ];
        for (allowed, uri, expected) in cases {
            assert_eq!(is_allowed(allowed, &uri.parse().unwrap()), expected, "{allowed} {uri}");
        }
    }
}
