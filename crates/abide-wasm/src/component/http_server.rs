//! The builtin HTTP server: which requests go to which component, and the listeners that take them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::components::Inner;
use super::running::Failed;
use crate::link::{Config, Link};

pub(crate) const INTERFACE: &str = "wasi:http/incoming-handler";
/// Where requests are taken where nothing else is said.
const DEFAULT_ADDRESS: &str = "0.0.0.0:8000";
/// Most connections of a listener at once.
const CONNECTIONS_MAX: usize = 10_000;
/// How long the head of a request may take.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// How long what is at hand may take when a listener ends.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long until connections are taken again where the system refuses more.
const AGAIN: Duration = Duration::from_millis(50);

/// What of a request says whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    /// Where it arrived: all go to one component.
    Address,
    /// How its path begins.
    Path,
    /// A header, `Host` where nothing else is said.
    Header(HeaderName),
}

/// Which requests of a listener go to which component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routes {
    by: By,
    /// What was asked for, to a component.
    to: BTreeMap<String, String>,
}

impl Routes {
    /// The component that a request is for.
    fn find(&self, uri: &Uri, headers: &HeaderMap) -> Option<&str> {
        match &self.by {
            By::Address => self.to.values().next().map(String::as_str),
            By::Header(name) => {
                let value = match headers.get(name).map(|value| value.to_str()) {
                    Some(value) => value.ok()?,
                    None if *name == header::HOST => uri.authority()?.as_str(),
                    None => return None,
                };
                let asked = value.to_ascii_lowercase();
                let without_port = asked.rsplit_once(':').map_or(&*asked, |(host, _)| host);
                self.to.get(&asked).or_else(|| self.to.get(without_port)).map(String::as_str)
            }
            By::Path => {
                let path = uri.path();
                let fits = |route: &str| match path.strip_prefix(route) {
                    Some(rest) => rest.is_empty() || rest.starts_with('/') || route.ends_with('/'),
                    None => false,
                };
                let fitting = self.to.iter().filter(|(route, _)| fits(route));
                fitting.max_by_key(|(route, _)| route.len()).map(|(_, component)| component.as_str())
            }
        }
    }
}

/// Which requests go where, by the address that they arrive at; and all that is wrong with what was configured.
pub(crate) fn plan(config: &Config, links: &[(Link, Config)]) -> (BTreeMap<SocketAddr, Routes>, Vec<String>) {
    let mut problems = Vec::new();
    let mut plan: BTreeMap<SocketAddr, Routes> = BTreeMap::new();
    let by = match config.get("routing_mode").map_or("address", String::as_str) {
        "address" => By::Address,
        "path" => By::Path,
        "host" => match config.get("header").map_or(Ok(header::HOST), |name| name.parse()) {
            Ok(name) => By::Header(name),
            Err(_) => {
                problems.push("`header` is no name of a header".to_owned());
                return (plan, problems);
            }
        },
        other => {
            problems.push(format!("`routing_mode` is `address`, `path` or `host`, and not `{other}`"));
            return (plan, problems);
        }
    };
    let default = config.get("default_address").or_else(|| config.get("address"));
    let default = default.map_or(DEFAULT_ADDRESS, String::as_str);
    for (link, own) in links.iter().filter(|(link, _)| link.is_for(INTERFACE)) {
        let target = &link.target;
        let mut problem = |what: String| problems.push(format!("the link to `{target}`: {what}"));
        if own.contains_key("tls_cert_file") || own.contains_key("tls_priv_key_file") {
            problem("the builtin server has no TLS: put a proxy before it".to_owned());
            continue;
        }
        let (address, key) = match by {
            By::Address => (own.get("address").map_or(default, String::as_str), Some(String::new())),
            By::Path => (default, own.get("path").cloned()),
            By::Header(_) => (default, own.get("host").map(|host| host.to_ascii_lowercase())),
        };
        let Ok(address) = address.parse::<SocketAddr>() else {
            problem(format!(
                "`{address}` is no address: write an IP address and a port, as `127.0.0.1:8000`"
            ));
            continue;
        };
        let key = match key {
            None => {
                problem(format!(
                    "it needs `{}` in its source configuration",
                    if by == By::Path { "path" } else { "host" }
                ));
                continue;
            }
            Some(path) if by == By::Path && !path.starts_with('/') => {
                problem(format!("the path `{path}` begins with no `/`"));
                continue;
            }
            Some(key) => key,
        };
        let routes = plan.entry(address).or_insert_with(|| Routes { by: by.clone(), to: BTreeMap::new() });
        match routes.to.get(&key) {
            Some(other) if other != target => problem(format!("{address}{key} goes to `{other}` already")),
            _ => drop(routes.to.insert(key, target.clone())),
        }
    }
    (plan, problems)
}

/// Takes requests at an address, as long as this is there.
#[derive(Debug)]
pub(crate) struct Listener {
    routes: Arc<RwLock<Routes>>,
    stop: watch::Sender<()>,
}

impl Listener {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the address is not to be had.
    pub(crate) async fn open(
        host: &Arc<Inner>,
        address: SocketAddr,
        routes: Routes,
    ) -> std::io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let routes = Arc::new(RwLock::new(routes));
        let (stop, stopped) = watch::channel(());
        tokio::spawn(listen(Arc::clone(host), socket, Arc::clone(&routes), stopped));
        Ok(Self { routes, stop })
    }

    /// Routes the requests that come from now on.
    pub(crate) fn route(&self, routes: Routes) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// Ends, and waits for the socket to be free; what is at hand goes on for a while.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(());
        self.stop.closed().await;
    }
}

async fn listen(
    host: Arc<Inner>,
    socket: TcpListener,
    routes: Arc<RwLock<Routes>>,
    mut stopped: watch::Receiver<()>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).keep_alive(true);
    server.http2().timer(TokioTimer::new());
    let server = Arc::new(server);
    loop {
        let taken = async {
            let place = Arc::clone(&room).acquire_owned().await.ok();
            (place, socket.accept().await)
        };
        let (place, accepted) = tokio::select! {
            taken = taken => taken,
            // Said, or nobody is left to say it.
            _ = stopped.changed() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (host, routes, server) = (Arc::clone(&host), Arc::clone(&routes), Arc::clone(&server));
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (host, routes) = (Arc::clone(&host), Arc::clone(&routes));
                async move { answer(host, &routes, request).await }
            });
            let connection = server.serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no failure of the host.
            let _ = watcher.watch(connection).await;
            drop(place);
        });
    }
    drop(socket);
    drop(stopped);
    let _ = timeout(FAREWELL, graceful.shutdown()).await;
}

/// Answers a request: whatever goes wrong is an answer too.
async fn answer(
    host: Arc<Inner>,
    routes: &RwLock<Routes>,
    mut request: Request<Incoming>,
) -> Result<Response<HyperOutgoingBody>, http::Error> {
    let target = {
        let routes = routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.find(request.uri(), request.headers()).map(ToOwned::to_owned)
    };
    let Some(target) = target else {
        return said(StatusCode::NOT_FOUND, "no component answers here\n");
    };
    if request.uri().authority().is_none() && !request.headers().contains_key(header::HOST) {
        request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    }
    let answered = match host.component(&target) {
        Ok(component) => component.http(Arc::clone(&host), request).await,
        Err(failed) => Err(failed),
    };
    answered.or_else(|failed| {
        host.tell(&failed.to_string());
        let status = match failed {
            Failed::NotRunning(_) | Failed::Busy(_) | Failed::Full => StatusCode::SERVICE_UNAVAILABLE,
            Failed::Overdue { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // Why is for who runs the host, and not for who asks.
        said(status, "the component did not answer\n")
    })
}

fn said(status: StatusCode, text: &'static str) -> Result<Response<HyperOutgoingBody>, http::Error> {
    let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).header(header::CONTENT_TYPE, "text/plain").body(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn link(target: &str, own: &[(&str, &str)]) -> (Link, Config) {
        let link = Link {
            source: "server".into(),
            target: target.into(),
            name: "default".into(),
            namespace: "wasi".into(),
            package: "http".into(),
            interfaces: vec!["incoming-handler".into()],
            source_config: Vec::new(),
            target_config: Vec::new(),
        };
        (link, config(own))
    }

    fn found<'r>(routes: &'r Routes, uri: &str, host: Option<&str>) -> Option<&'r str> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        routes.find(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn an_address_has_one_component() {
        let links = [
            link("a", &[("address", "127.0.0.1:1")]),
            link("b", &[("address", "127.0.0.1:2")]),
            link("c", &[("address", "127.0.0.1:1")]),
        ];
        let (plan, problems) = plan(&config(&[]), &links);
        assert_eq!(plan.len(), 2);
        assert_eq!(found(&plan[&"127.0.0.1:1".parse().unwrap()], "/x", None), Some("a"));
        assert_eq!(problems, ["the link to `c`: 127.0.0.1:1 goes to `a` already"]);
    }

    #[test]
    fn the_longest_path_counts_and_ends_at_a_slash() {
        let links = [
            link("root", &[("path", "/")]),
            link("a", &[("path", "/a")]),
            link("ab", &[("path", "/a/b")]),
            link("none", &[]),
            link("bad", &[("path", "x")]),
        ];
        let (plan, problems) =
            plan(&config(&[("routing_mode", "path"), ("default_address", "127.0.0.1:1")]), &links);
        let routes = &plan[&"127.0.0.1:1".parse().unwrap()];
        for (uri, expected) in [
            ("/", "root"),
            ("/a", "a"),
            ("/a?b=/a/b", "a"),
            ("/ab", "root"),
            ("/a/c", "a"),
            ("/a/b", "ab"),
            ("/a/b/c", "ab"),
        ] {
            assert_eq!(found(routes, uri, None), Some(expected), "{uri}");
        }
        assert_eq!(
            problems,
            [
                "the link to `none`: it needs `path` in its source configuration",
                "the link to `bad`: the path `x` begins with no `/`"
            ]
        );
    }

    #[test]
    fn a_host_counts_with_and_without_its_port() {
        let links = [link("a", &[("host", "A.example")]), link("b", &[("host", "b.example:8000")])];
        let (plan, problems) =
            plan(&config(&[("routing_mode", "host"), ("default_address", "127.0.0.1:1")]), &links);
        assert_eq!(problems, [""; 0]);
        let routes = &plan[&"127.0.0.1:1".parse().unwrap()];
        assert_eq!(found(routes, "/", Some("a.example")), Some("a"));
        assert_eq!(found(routes, "/", Some("a.EXAMPLE:8000")), Some("a"));
        assert_eq!(found(routes, "/", Some("b.example:8000")), Some("b"));
        assert_eq!(found(routes, "/", Some("b.example")), None);
        assert_eq!(found(routes, "/", None), None);
        assert_eq!(found(routes, "http://a.example/", None), Some("a"));
    }

    #[test]
    fn what_cannot_be_served_is_said() {
        let (_, problems) = plan(&config(&[("routing_mode", "magic")]), &[]);
        assert_eq!(problems, ["`routing_mode` is `address`, `path` or `host`, and not `magic`"]);
        let (none, problems) = plan(
            &config(&[]),
            &[link("a", &[("address", "here")]), link("b", &[("tls_cert_file", "x.pem")])],
        );
        assert!(none.is_empty());
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
