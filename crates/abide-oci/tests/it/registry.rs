//! A registry on this machine: what is pushed into it, who may read it, and how it breaks.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::digest;

/// A registry. It ends with the value.
pub(crate) struct Registry {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

/// Who may read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Open,
    /// `robin` with the password.
    Basic,
    /// Who has the token that `robin` gets for the password.
    Bearer,
}

/// How it breaks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It hangs up on everybody.
    HangsUp,
    /// It takes requests and says nothing.
    Silent,
    /// It answers everything so.
    Status(u16, &'static str),
    /// It answers requests for blobs so.
    BlobStatus(u16, &'static str),
    /// Blobs and their lengths are these, whatever is asked for.
    Blob(Vec<u8>),
    /// Blobs come without a length, and are these.
    UnboundedBlob(Vec<u8>),
    /// A blob does not end.
    EndlessBlob,
    /// Of a blob comes a half, and the end.
    BrokenBlob,
    /// Of a blob comes a half, and nothing.
    StalledBlob,
    /// Of a blob comes a byte every ten milliseconds.
    DrippingBlob,
    /// Blobs are at another address, as with a service that stores them.
    MovedBlob(String),
    /// Every manifest is this one.
    Manifest(Vec<u8>),
    /// Manifests come with the digest of something else.
    ManifestDigest,
    /// Tokens are this.
    Token(&'static str),
}

pub(crate) const USER: &str = "robin";
pub(crate) const PASSWORD: &str = "nest-5";
pub(crate) const TOKEN: &str = "egg-7";

struct Shared {
    state: Mutex<State>,
    over: Condvar,
}

struct State {
    manifests: BTreeMap<String, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    guard: Guard,
    fault: Fault,
    requests: Vec<Request>,
    /// Connections that were made.
    connections: usize,
    is_over: bool,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State {
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
            guard: Guard::Open,
            fault: Fault::None,
            requests: Vec::new(),
            connections: 0,
            is_over: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), over: Condvar::new() });
        let accepting = {
            let (shared, address) = (Arc::clone(&shared), address.clone());
            thread::spawn(move || accept(&listener, &shared, &address))
        };
        Self { address, shared, accepting: Some(accepting) }
    }

    /// A reference to what it holds as `garden/guard`: `:TAG` or `@DIGEST` come after it.
    pub(crate) fn reference(&self, version: &str) -> String {
        format!("{}/garden/guard{version}", self.address)
    }

    pub(crate) fn guard(&self, guard: Guard) {
        self.shared.lock().guard = guard;
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.shared.lock().fault = fault;
    }

    /// Holds a blob, and gives its digest.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.shared.lock().blobs.insert(digest.clone(), bytes.to_vec());
        digest
    }

    /// Holds a manifest, under a tag too, and gives its digest.
    pub(crate) fn put_manifest(&self, tag: Option<&str>, manifest: &[u8]) -> String {
        let digest = digest(manifest);
        let mut state = self.shared.lock();
        for name in tag.into_iter().chain([digest.as_str()]) {
            state.manifests.insert(name.to_owned(), manifest.to_vec());
        }
        digest
    }

    /// What was asked of it since this was asked last.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.lock().requests)
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.over.notify_all();
        // So that it sees that it is over.
        let _ = TcpStream::connect(&self.address);
        let _ = self.accepting.take().unwrap().join();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, address: &str) {
    loop {
        let Ok((stream, _)) = listener.accept() else { return };
        {
            let mut state = shared.lock();
            if state.is_over {
                return;
            }
            state.connections += 1;
        }
        let (shared, address) = (Arc::clone(shared), address.to_owned());
        thread::spawn(move || {
            // Whoever asked has hung up.
            let _ = serve(stream, &shared, &address);
        });
    }
}

/// Serves one request of a connection.
fn serve(mut stream: TcpStream, shared: &Shared, address: &str) -> std::io::Result<()> {
    let Some(request) = read(&stream)? else { return Ok(()) };
    shared.lock().requests.push(request.clone());
    let answer = answer(&shared.lock(), &request, address);
    let Some(answer) = answer else { return Ok(()) };
    stream.write_all(answer.head.as_bytes())?;
    match answer.body {
        Body::Whole(bytes) => stream.write_all(&bytes)?,
        Body::Half(bytes) => stream.write_all(&bytes[..bytes.len() / 2])?,
        Body::HalfAndNothing(bytes) => {
            stream.write_all(&bytes[..bytes.len() / 2])?;
            shared.wait(None);
        }
        Body::Nothing => shared.wait(None),
        // Until nobody takes it any more.
        Body::Endless => loop {
            stream.write_all(&[7; 1 << 16])?;
        },
        Body::Dripping(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte])?;
                shared.wait(Some(Duration::from_millis(10)));
            }
        }
    }
    stream.shutdown(Shutdown::Write)?;
    // Until the other side has it all.
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// How a greeting in TLS begins.
const TLS: u8 = 0x16;

/// A request; one of no path where somebody speaks TLS.
fn read(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut first = [0];
    stream.peek(&mut first)?;
    if first == [TLS] {
        return Ok(Some(Request { path: String::new(), headers: BTreeMap::new() }));
    }
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let Some(path) = first.split(' ').nth(1) else { return Ok(None) };
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Ok(Some(Request { path: path.to_owned(), headers }))
}

impl Shared {
    /// Waits until the registry is over, or this long.
    fn wait(&self, time: Option<Duration>) {
        let state = self.lock();
        match time {
            None => drop(self.over.wait_while(state, |state| !state.is_over).unwrap()),
            Some(time) => drop(self.over.wait_timeout_while(state, time, |state| !state.is_over).unwrap()),
        }
    }
}

struct Answer {
    head: String,
    body: Body,
}

enum Body {
    Whole(Vec<u8>),
    Half(Vec<u8>),
    HalfAndNothing(Vec<u8>),
    Dripping(Vec<u8>),
    Endless,
    Nothing,
}

fn answer(state: &State, request: &Request, address: &str) -> Option<Answer> {
    match &state.fault {
        Fault::HangsUp => return None,
        Fault::Silent => return Some(Answer { head: String::new(), body: Body::Nothing }),
        Fault::Status(status, body) => return Some(whole(*status, "", body.as_bytes())),
        _ => {}
    }
    let path = request.path.split('?').next().unwrap();
    if path.is_empty() {
        return Some(whole(400, "", b"this is plain HTTP"));
    }
    if path == "/token" {
        return Some(token(state, request));
    }
    if !is_let_in(state, request) {
        let challenge = match state.guard {
            Guard::Bearer => format!("Bearer realm=\"http://{address}/token\",service=\"garden\""),
            _ => "Basic realm=\"garden\"".to_owned(),
        };
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        return Some(whole(401, &format!("WWW-Authenticate: {challenge}\r\n"), body));
    }
    if path == "/v2/" {
        return Some(whole(200, "", b"{}"));
    }
    if let Some(name) = path.strip_prefix("/v2/garden/guard/manifests/") {
        return Some(manifest(state, name));
    }
    let blob = path.strip_prefix("/v2/garden/guard/blobs/").and_then(|digest| state.blobs.get(digest));
    Some(blob.map_or_else(|| unknown("BLOB_UNKNOWN"), |bytes| self::blob(state, bytes, path)))
}

fn is_let_in(state: &State, request: &Request) -> bool {
    let said = request.headers.get("authorization").map(String::as_str);
    match state.guard {
        Guard::Open => true,
        Guard::Basic => said == Some(&basic()),
        Guard::Bearer => said == Some(&format!("Bearer {TOKEN}")),
    }
}

fn basic() -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

fn token(state: &State, request: &Request) -> Answer {
    if let Fault::Token(token) = &state.fault {
        return whole(200, "", token.as_bytes());
    }
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    assert!(query.contains("scope=repository%3Agarden%2Fguard%3Apull"), "{query}");
    assert!(query.contains("service=garden"), "{query}");
    if request.headers.get("authorization") != Some(&basic()) {
        return whole(401, "", br#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#);
    }
    whole(200, "", format!(r#"{{"token":"{TOKEN}"}}"#).as_bytes())
}

fn manifest(state: &State, name: &str) -> Answer {
    let bytes = match &state.fault {
        Fault::Manifest(bytes) => Some(bytes),
        _ => state.manifests.get(name),
    };
    let Some(bytes) = bytes else { return unknown("MANIFEST_UNKNOWN") };
    let digest = match &state.fault {
        Fault::ManifestDigest => format!("Docker-Content-Digest: {}\r\n", digest(b"something else")),
        // One that breaks it does not tell.
        Fault::Manifest(_) => String::new(),
        _ => format!("Docker-Content-Digest: {}\r\n", digest(bytes)),
    };
    whole(200, &digest, bytes)
}

fn blob(state: &State, bytes: &[u8], path: &str) -> Answer {
    let sized =
        |body: Body| Answer { head: head(200, &format!("Content-Length: {}\r\n", bytes.len())), body };
    match &state.fault {
        Fault::BlobStatus(status, body) => whole(*status, "", body.as_bytes()),
        Fault::Blob(other) => whole(200, "", other),
        Fault::UnboundedBlob(other) => Answer { head: head(200, ""), body: Body::Whole(other.clone()) },
        Fault::EndlessBlob => Answer { head: head(200, ""), body: Body::Endless },
        Fault::BrokenBlob => sized(Body::Half(bytes.to_vec())),
        Fault::StalledBlob => sized(Body::HalfAndNothing(bytes.to_vec())),
        Fault::DrippingBlob => sized(Body::Dripping(bytes.to_vec())),
        Fault::MovedBlob(address) => whole(307, &format!("Location: http://{address}{path}\r\n"), b""),
        _ => whole(200, "", bytes),
    }
}

fn unknown(code: &str) -> Answer {
    whole(404, "", format!(r#"{{"errors":[{{"code":"{code}","message":"it is unknown"}}]}}"#).as_bytes())
}

fn whole(status: u16, headers: &str, body: &[u8]) -> Answer {
    let head = head(status, &format!("{headers}Content-Length: {}\r\n", body.len()));
    Answer { head, body: Body::Whole(body.to_vec()) }
}

fn head(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} As It Is\r\n{headers}Connection: close\r\n\r\n")
}
