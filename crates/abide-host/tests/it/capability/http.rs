//! Requests, answers and failures of the target `http`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use abide_core::time::Span;
use abide_host::effect::{
    AllowedHost, BODY_BYTES_MAX, Backoff, CallError, Dispatcher, DispatcherConfig, HeaderSource, Http,
    HttpConfig, OutcomeStatus, Request, Target,
};
use serde_json::{Value, json};

use super::server::{Answer, Server, answer, json as json_answer, nobody, serve};

fn config(address: SocketAddr) -> HttpConfig {
    HttpConfig {
        allowed_hosts: vec![AllowedHost::parse(&address.to_string()).unwrap()],
        base_url: Some(format!("http://{address}/v1/").parse().unwrap()),
        headers: BTreeMap::new(),
        response_bytes_max: BODY_BYTES_MAX,
        redirects_max: 0,
        accept: Vec::new(),
        answer_headers: Vec::new(),
    }
}

fn request(argument: Value) -> Request {
    super::request("abide:http/client", "request", 3, vec![argument])
}

fn call(server: &Server, argument: Value) -> Result<Value, CallError> {
    Http::open(config(server.address)).unwrap().call(&request(argument))
}

fn get() -> Value {
    json!({ "method": "GET", "url": "state" })
}

/// The message of a failure, with the port of the server left out, and whether it is final.
fn failure(result: Result<Value, CallError>, address: SocketAddr) -> (String, bool) {
    let error = result.unwrap_err();
    (error.message.replace(&address.to_string(), "HOST"), error.permanent)
}

#[test]
fn json_goes_out_and_comes_back() {
    let server = serve(vec![json_answer("200 OK", r#"{"accepted":[1,2.5,null]}"#)]);
    let argument = json!({ "method": "POST", "url": "alerts?zone=a", "headers": { "X-Site": "orchard" }, "body": { "level": "low" } });
    let result = call(&server, argument).unwrap();
    assert_eq!(result, json!({ "status": 200, "body": { "accepted": [1, 2.5, null] } }));
    let got = server.requests.recv().unwrap();
    assert!(got.starts_with("POST /v1/alerts?zone=a HTTP/1.1\r\n"), "{got}");
    for header in [
        "x-site: orchard\r\n",
        "content-type: application/json\r\n",
        &format!("idempotency-key: {}\r\n", request(get()).key_hex()),
        &format!("host: {}\r\n", server.address),
    ] {
        assert!(got.to_ascii_lowercase().contains(header), "{header}: {got}");
    }
    assert!(got.ends_with("\r\n\r\n{\"level\":\"low\"}"), "{got}");
}

#[test]
fn text_goes_out_and_comes_back() {
    let server = serve(vec![
        answer("200 OK", "Content-Type: text/plain\r\nETag: \"7\"\r\nSet-Cookie: a=b\r\n", "done"),
        answer("204 No Content", "", ""),
    ]);
    let config = HttpConfig { answer_headers: vec!["etag".to_owned()], ..config(server.address) };
    let target = Http::open(config).unwrap();
    let result = target.call(&request(json!({ "method": "PUT", "url": "state", "body": "on" })));
    assert_eq!(result, Ok(json!({ "status": 200, "headers": { "etag": "\"7\"" }, "body": "done" })));
    assert!(server.requests.recv().unwrap().ends_with("\r\n\r\non"));
    let result = target.call(&request(json!({ "method": "DELETE", "url": "state" })));
    assert_eq!(result, Ok(json!({ "status": 204, "headers": {}, "body": null })));
}

#[test]
fn a_secret_comes_from_the_environment_and_is_not_shown() {
    let server = serve(vec![json_answer("200 OK", "1")]);
    let source = |variable: &str| HeaderSource::Environment {
        variable: variable.to_owned(),
        prefix: "Key ".to_owned(),
    };
    // A variable that is set wherever tests run.
    let headers = BTreeMap::from([("authorization".to_owned(), source("PATH"))]);
    let secret = std::env::var("PATH").unwrap();
    let target = Http::open(HttpConfig { headers, ..config(server.address) }).unwrap();
    assert!(!format!("{target:?}").contains(&secret));
    target.call(&request(get())).unwrap();
    assert!(server.requests.recv().unwrap().contains(&format!("authorization: Key {secret}\r\n")));
    let own = json!({ "method": "GET", "url": "", "headers": { "Authorization": "mine" } });
    let error = target.call(&request(own)).unwrap_err();
    assert_eq!(error.message, "the header `authorization` is set by the manifest; take it out of the call");

    let headers = BTreeMap::from([("authorization".to_owned(), source("ABIDE_NOT_SET"))]);
    let error = Http::open(HttpConfig { headers, ..config(server.address) }).unwrap_err();
    insta::assert_snapshot!(error, @"the variable `ABIDE_NOT_SET` for the header `authorization` is not set");
}

#[test]
fn what_may_pass_is_told_from_what_is_final() {
    for (status, permanent) in [
        ("400 Bad Request", true),
        ("401 Unauthorized", true),
        ("404 Not Found", true),
        ("409 Conflict", true),
        ("301 Moved Permanently", true),
        ("408 Request Timeout", false),
        ("429 Too Many Requests", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        let server = serve(vec![answer(status, "", "no such valve")]);
        let expected = (format!("`http://HOST` answered {status}: no such valve"), permanent);
        assert_eq!(failure(call(&server, get()), server.address), expected);
    }
}

#[test]
fn a_status_that_the_manifest_accepts_is_delivered() {
    let server = serve(vec![json_answer("404 Not Found", "null")]);
    let target = Http::open(HttpConfig { accept: vec![404], ..config(server.address) }).unwrap();
    assert_eq!(target.call(&request(get())), Ok(json!({ "status": 404, "body": null })));
}

#[test]
fn a_call_to_a_host_that_is_not_allowed_does_not_go_out() {
    let other = serve(vec![json_answer("200 OK", "1")]);
    let server = serve(vec![json_answer("200 OK", "1")]);
    let port = server.address.port();
    for url in [
        format!("http://{}/", other.address),
        format!("http://{}@{}/", server.address, other.address),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("https://127.0.0.1:{port}@evil.test/"),
        "//evil.test/".to_owned(),
    ] {
        let error = call(&server, json!({ "method": "GET", "url": url })).unwrap_err();
        assert!(error.permanent, "{error}");
    }
    assert!(other.requests.try_recv().is_err() && server.requests.try_recv().is_err());
}

#[test]
fn a_redirect_goes_to_allowed_hosts_only() {
    let elsewhere = serve(vec![json_answer("200 OK", "1")]);
    let to = |place: String| answer("302 Found", &format!("Location: {place}\r\n"), "");
    let away = format!("http://{}/", elsewhere.address);
    let server = serve(vec![to("/next".to_owned()), json_answer("200 OK", "2"), to(away.clone()), to(away)]);
    let following = HttpConfig { redirects_max: 3, ..config(server.address) };
    let target = Http::open(following).unwrap();
    let result = target.call(&request(json!({ "method": "POST", "url": "start", "body": 1 })));
    assert_eq!(result, Ok(json!({ "status": 200, "body": 2 })));
    assert!(server.requests.recv().unwrap().starts_with("POST /v1/start "));
    assert!(server.requests.recv().unwrap().starts_with("GET /next "));
    let (message, permanent) = failure(target.call(&request(get())), server.address);
    let message = message.replace(&elsewhere.address.to_string(), "ELSEWHERE");
    insta::assert_snapshot!(message, @"`http://HOST` redirects: `http://ELSEWHERE` is not among the `allowed_hosts` of the target");
    assert!(permanent);
    // Without `redirects` none is followed.
    let (message, _) = failure(call(&server, get()), server.address);
    insta::assert_snapshot!(message, @"`http://HOST` answered 302 Found");
    assert!(elsewhere.requests.try_recv().is_err());
}

#[test]
fn a_redirect_to_another_host_takes_no_secret_along() {
    let elsewhere = serve(vec![json_answer("200 OK", "1")]);
    let place = format!("Location: http://{}/\r\n", elsewhere.address);
    let server = serve(vec![answer("307 Temporary Redirect", &place, "")]);
    let mut following = HttpConfig { redirects_max: 1, ..config(server.address) };
    following.allowed_hosts.push(AllowedHost::parse(&elsewhere.address.to_string()).unwrap());
    following.headers = BTreeMap::from([("x-token".to_owned(), HeaderSource::Text("secret".to_owned()))]);
    let target = Http::open(following).unwrap();
    let argument = json!({ "method": "GET", "url": "", "headers": { "authorization": "secret" } });
    target.call(&request(argument)).unwrap();
    assert!(server.requests.recv().unwrap().contains("secret"));
    assert!(!elsewhere.requests.recv().unwrap().contains("secret"));
}

#[test]
fn an_answer_is_bounded() {
    let long = "x".repeat(BODY_BYTES_MAX + 1);
    let fits = "x".repeat(BODY_BYTES_MAX);
    let endless = Answer::Bytes(format!("HTTP/1.1 200 OK\r\n\r\n{long}{long}").into_bytes());
    let header = format!("X-Long: {}\r\n", "y".repeat(40_000));
    let server = serve(vec![
        answer("200 OK", "", &fits),
        answer("200 OK", "", &long),
        endless,
        answer("200 OK", &header, ""),
    ]);
    assert_eq!(call(&server, get()).unwrap()["body"].as_str().map(str::len), Some(BODY_BYTES_MAX));
    for _ in 0..2 {
        let (message, permanent) = failure(call(&server, get()), server.address);
        insta::allow_duplicates! {
            insta::assert_snapshot!(message, @"the answer of `http://HOST` is longer than 65536 bytes; ask for less of it");
        }
        assert!(permanent);
    }
    assert!(call(&server, get()).is_err());
}

#[test]
fn what_is_no_answer_is_a_failure() {
    let server = serve(vec![
        Answer::Bytes(b"\x00\x01garbage\r\n\r\n".to_vec()),
        Answer::Bytes(Vec::new()),
        json_answer("200 OK", "{\"half\":"),
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe".to_vec()),
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort".to_vec()),
    ]);
    assert!(!call(&server, get()).unwrap_err().permanent);
    assert!(!call(&server, get()).unwrap_err().permanent);
    let (message, permanent) = failure(call(&server, get()), server.address);
    assert_eq!(
        (message.as_str(), permanent),
        ("the answer of `http://HOST` is said to be JSON, and is not", true)
    );
    let (message, permanent) = failure(call(&server, get()), server.address);
    assert_eq!(
        (message.as_str(), permanent),
        ("the answer of `http://HOST` is neither JSON nor text in UTF-8", true)
    );
    assert!(!call(&server, get()).unwrap_err().permanent);
}

#[test]
fn where_nothing_listens_may_pass() {
    let address = nobody();
    let error = Http::open(config(address)).unwrap().call(&request(get())).unwrap_err();
    assert!(!error.permanent);
    assert!(error.message.contains("cannot be reached"), "{error}");
}

#[test]
fn an_endpoint_that_never_answers_ends_at_the_timeout() {
    let server = serve(vec![Answer::Never]);
    let target = Http::open(config(server.address)).unwrap();
    let error = target.call(&Request { timeout: Span::from_millis(50), ..request(get()) }).unwrap_err();
    assert!(error.message.ends_with("did not answer within the timeout"), "{error}");
    assert!(!error.permanent);
}

#[test]
fn a_call_that_cannot_be_made_says_why() {
    let server = serve(Vec::new());
    let said: Vec<_> = [
        json!("state"),
        json!({ "method": "get", "url": "" }),
        json!({ "method": "GET" }),
        json!({ "method": "GET", "url": "", "body": 1 }),
        json!({ "method": "GET", "url": "", "query": {} }),
        json!({ "method": "GET", "url": "", "headers": { "Host": "evil.test" } }),
        json!({ "method": "GET", "url": "", "headers": { "X-A": "a\r\nX-B: b" } }),
        json!({ "method": "GET", "url": "", "headers": { "X-A": 1 } }),
        json!({ "method": "GET", "url": "ftp://a/" }),
    ]
    .into_iter()
    .map(|argument| {
        let (message, permanent) = failure(call(&server, argument), server.address);
        assert!(permanent);
        message
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_500_is_tried_again_with_the_same_key() {
    let server = serve(vec![answer("500 Internal Server Error", "", ""), json_answer("200 OK", "true")]);
    let target: Arc<dyn Target> = Arc::new(Http::open(config(server.address)).unwrap());
    let (dispatcher, outcomes) = Dispatcher::new(DispatcherConfig {
        targets: BTreeMap::from([("t".into(), target)]),
        workers_max: 2,
        backoff: Backoff { first: Span::from_millis(1), longest: Span::from_millis(1) },
        clock: Arc::new(|| abide_core::time::Timestamp(0)),
    });
    dispatcher.submit(request(get()));
    let outcome = outcomes.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(outcome.attempts, 2);
    assert_eq!(outcome.status, OutcomeStatus::Delivered { result: json!({ "status": 200, "body": true }) });
    assert_eq!(server.requests.recv().unwrap(), server.requests.recv().unwrap());
}

#[test]
fn the_content_type_of_the_manifest_stands_and_a_call_may_have_its_own() {
    let server = serve(vec![json_answer("200 OK", "{}"), json_answer("200 OK", "{}")]);
    let with = |name: &str| {
        let headers = BTreeMap::from([(name.to_owned(), HeaderSource::Text("application/cbor".to_owned()))]);
        Http::open(HttpConfig { headers, ..config(server.address) }).unwrap()
    };
    let post = |headers: Value| {
        request(json!({ "method": "POST", "url": "a", "headers": headers, "body": { "a": 1 } }))
    };
    with("Content-Type").call(&post(Value::Null)).unwrap();
    assert!(server.requests.recv().unwrap().contains("content-type: application/cbor\r\n"));
    with("X-Other").call(&post(json!({ "Content-Type": "text/csv" }))).unwrap();
    assert!(server.requests.recv().unwrap().contains("content-type: text/csv\r\n"));
}

#[test]
fn a_secret_goes_out_in_plain_text_only_where_the_base_does() {
    let server = serve(vec![json_answer("200 OK", "{}")]);
    let source = HeaderSource::Environment { variable: "PATH".to_owned(), prefix: "Bearer ".to_owned() };
    let headers = BTreeMap::from([("Authorization".to_owned(), source)]);
    let plain = HttpConfig { headers, ..config(server.address) };
    let safe = HttpConfig { base_url: Some("https://api.example.com/".parse().unwrap()), ..plain.clone() };
    let call = request(json!({ "method": "GET", "url": format!("http://{}/", server.address) }));
    let error = Http::open(safe).unwrap().call(&call).unwrap_err();
    assert!(error.permanent && error.message.contains("in plain text"), "{error}");
    assert!(server.requests.try_recv().is_err());
    Http::open(plain).unwrap().call(&call).unwrap();
    assert!(server.requests.recv().unwrap().contains("authorization: Bearer "));
}
