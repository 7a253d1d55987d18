//! What an endpoint answers: every answer ends the call, with what the manifest allows or a failure.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use abide_host::effect::{AllowedHost, CallError, Http, HttpConfig, Target as _};
use serde_json::{Value as Json, json};

use super::{Reached, Target, answer};

pub(super) const TARGET: Target = Target { name: "http", run, seeds };

const BODY_BYTES_MAX: usize = 2_048;

fn seeds() -> Vec<Vec<u8>> {
    let answers = [
        "200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"body\":[1.5,\"\"]}",
        "200 OK\r\nContent-Type: application/problem+json; charset=utf-8\r\nETag: \"7\"\r\n\r\n{\"a\":{\"b\":[null,true,-1e3]}}",
        "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n3;x=y\r\n!!!\r\n0\r\nX-Odd: z\r\n\r\n",
        "204 No Content\r\nX-Odd: a\r\nX-Odd: b\r\n\r\n",
        "301 Moved Permanently\r\nLocation: /elsewhere?x=1#y\r\nContent-Length: 0\r\n\r\n",
        "307 Temporary Redirect\r\nLocation: http://user@example.org:80/\r\n\r\n",
        "404 Not Found\r\nContent-Length: 4\r\n\r\ngone",
        "429 Too Many Requests\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n\r\nlater",
        "100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\u{1f}\u{8b}",
    ];
    answers.iter().map(|answer| format!("HTTP/1.1 {answer}").into_bytes()).collect()
}

/// A target whose endpoint answers every request with the same bytes.
struct Endpoint {
    http: Http,
    answer: Arc<Mutex<Vec<u8>>>,
}

fn endpoint() -> &'static Mutex<Endpoint> {
    static ENDPOINT: OnceLock<Mutex<Endpoint>> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "an endpoint that cannot be made is a broken test, not a finding")]
    ENDPOINT.get_or_init(|| Mutex::new(listen().expect("the endpoint listens")))
}

fn listen() -> io::Result<Endpoint> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let answer = Arc::new(Mutex::new(Vec::new()));
    let http = Http::open(config(listener.local_addr()?)?)?;
    let said = Arc::clone(&answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that has heard enough goes away.
            let _ = stream.and_then(|stream| serve(stream, &lock(&said).clone()));
        }
    });
    Ok(Endpoint { http, answer })
}

fn config(address: SocketAddr) -> io::Result<HttpConfig> {
    let url = format!("http://{address}/v1/");
    Ok(HttpConfig {
        allowed_hosts: vec![AllowedHost::parse(&address.to_string()).map_err(io::Error::other)?],
        base_url: Some(url.parse().map_err(io::Error::other)?),
        headers: BTreeMap::new(),
        response_bytes_max: BODY_BYTES_MAX,
        redirects_max: 3,
        accept: vec![404],
        answer_headers: vec!["etag".to_owned(), "x-odd".to_owned()],
    })
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let header = BufReader::new(stream.try_clone()?).lines();
    header.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
    stream.write_all(answer)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(bytes: &[u8]) -> Reached {
    let called = {
        let endpoint = lock(endpoint());
        *lock(&endpoint.answer) = bytes.to_vec();
        let argument = json!({ "method": "GET", "url": "state" });
        endpoint.http.call(&answer::request("abide:http/client", "request", vec![argument]))
    };
    check(&called);
    Reached::of(&answer::record(&called))
}

fn check(called: &Result<Json, CallError>) {
    let Ok(result) = called else { return };
    let status = result["status"].as_u64();
    assert!(status.is_some_and(|status| status == 404 || status / 100 == 2), "{status:?} is delivered");
    if let Some(text) = result["body"].as_str() {
        assert!(text.len() <= BODY_BYTES_MAX, "{} bytes are delivered", text.len());
    }
}
