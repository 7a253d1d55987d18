//! What comes to the end of a call, without a broker.

use super::*;

fn message(subject: &str, payload: &[u8]) -> Message {
    Message {
        subject: Subject::from(subject),
        reply: None,
        payload: payload.to_vec().into(),
        headers: None,
        status: None,
        description: None,
        length: 0,
    }
}

type Come = oneshot::Receiver<Result<Vec<u8>, String>>;

fn waiting(part: &'static str) -> (Waiting, Come, oneshot::Receiver<Result<Taken, String>>, Arc<AtomicBool>) {
    let ((whole, come), (taken, handshake)) = (oneshot::channel(), oneshot::channel());
    let away = Arc::new(AtomicBool::new(false));
    let waiting =
        Waiting { part, bytes: Vec::new(), whole: Some(whole), taken: Some(taken), away: Arc::clone(&away) };
    (waiting, come, handshake, away)
}

fn places() -> Places {
    Places { prefix: "_INBOX.x.".to_owned(), all: Mutex::default() }
}

#[test]
fn parts_make_a_whole() {
    let places = places();
    let (one, mut come, ..) = waiting(RESULTS);
    let place = places.place(one);
    let subject = format!("{}.results", place.subject);
    places.receive(&message(&subject, b"one "));
    places.receive(&message(&format!("{}.params", place.subject), b"no "));
    places.receive(&message(&format!("{}.results.0", place.subject), b"no "));
    places.receive(&message("_INBOX.x.other.results", b"no "));
    places.receive(&message("elsewhere", b"no "));
    places.receive(&message(&subject, b"two"));
    assert_eq!(places.lock().held, 7);
    assert!(come.try_recv().is_err());
    places.receive(&message(&subject, b""));
    // What comes after the end is passed over.
    places.receive(&message(&subject, b"more"));
    assert_eq!(come.try_recv().unwrap(), Ok(b"one two".to_vec()));
    assert_eq!(places.lock().held, 0);
    drop(place);
    assert!(places.lock().waiting.is_empty());
}

#[test]
fn why_a_call_failed_is_said_at_the_end() {
    let places = places();
    let (one, mut come, ..) = waiting(RESULTS);
    let place = places.place(one);
    let mut headers = HeaderMap::new();
    headers.insert(FAILED, header("it\ntrapped"));
    places
        .receive(&Message { headers: Some(headers), ..message(&format!("{}.results", place.subject), b"") });
    assert_eq!(come.try_recv().unwrap(), Err("it trapped".to_owned()));
}

#[test]
fn who_takes_a_call_is_heard_once() {
    let places = places();
    let check = |answer: Message, expected: Result<Taken, &str>| {
        let (one, _come, mut handshake, _) = waiting(RESULTS);
        let place = places.place(one);
        let answer = Message { subject: place.subject.clone(), ..answer };
        places.receive(&answer);
        places.receive(&answer);
        assert_eq!(handshake.try_recv().unwrap(), expected.map_err(str::to_owned));
    };
    let by = |is_watched| Taken { by: "_INBOX.y.1".to_owned(), is_watched };
    let answer = Message { reply: Some(Subject::from("_INBOX.y.1")), ..message("", b"") };
    check(answer.clone(), Ok(by(false)));
    let mut headers = HeaderMap::new();
    headers.insert(WATCHED, "true");
    check(Message { headers: Some(headers), ..answer.clone() }, Ok(by(true)));
    check(message("", b"garbage"), Err("whoever takes the call names no inbox"));
    let nobody = Message { status: Some(StatusCode::NO_RESPONDERS), ..answer };
    check(nobody, Err("no host of the lattice serves it"));
}

#[test]
fn nobody_there_is_noticed() {
    let places = places();
    let (one, _come, _, away) = waiting(RESULTS);
    let place = places.place(one);
    let asked = message(&format!("{}.watch", place.subject), b"");
    places.receive(&asked);
    assert!(!away.load(Ordering::Relaxed));
    places.receive(&Message { status: Some(StatusCode::NO_RESPONDERS), ..asked });
    assert!(away.load(Ordering::Relaxed));
}

#[test]
fn what_is_held_is_bounded() {
    let (mut one, mut come, ..) = waiting(PARAMETERS);
    let part = message("", &vec![0; PAYLOAD_MAX / 2 + 1]);
    one.receive(Some(PARAMETERS), &part, 0);
    assert!(come.try_recv().is_err());
    one.receive(Some(PARAMETERS), &part, 0);
    assert_eq!(come.try_recv().unwrap(), Err(too_large()));
    assert!(one.bytes.is_empty());
    // Others hold as much as may be held.
    let (mut one, mut come, ..) = waiting(PARAMETERS);
    one.receive(Some(PARAMETERS), &message("", b"more"), HELD_MAX);
    assert_eq!(come.try_recv().unwrap(), Err(too_large()));
}

#[tokio::test]
async fn names_that_would_reach_further_are_refused() {
    let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect("127.0.0.1:1").await;
    let shared = Shared {
        client: client.unwrap(),
        lattice: "farm".to_owned(),
        reserved: Reserved::new("farm", "control.here"),
        inbox: OnceCell::new(),
    };
    let subject = |target, interface, function| shared.subject(target, interface, function);
    let expected = "farm.greeter.wrpc.0.0.1.interop:greet/greeter@1.0.0.greet".to_owned();
    assert_eq!(subject("greeter", "interop:greet/greeter@1.0.0", "greet"), Ok(expected));
    assert_eq!(subject("greeter", "", "greet"), Ok("farm.greeter.wrpc.0.0.1.greet".to_owned()));
    for (target, interface, function) in [
        ("*", "i", "f"),
        ("a.>", "i", "f"),
        ("", "i", "f"),
        ("a", "i", ""),
        ("a..b", "i", "f"),
        ("a b", "i", "f"),
    ] {
        assert!(subject(target, interface, function).is_err(), "{target} {interface} {function}");
    }
    for subject in ["_INBOX.abc.1", "mine.abc", "farmer.x"] {
        assert!(!shared.reserved.holds(subject), "{subject}");
    }
    for subject in ["$JS.API.x", "farm.greeter.x", "control.here.v1.farm.host.stop.N", "wasmbus.ctl.v1"] {
        assert!(shared.reserved.holds(subject), "{subject}");
    }
}

#[test]
fn texts_fit_in_headers() {
    assert_eq!(header("a\r\nb: c"), "a  b: c");
    assert_eq!(header(&"é".repeat(600)).len(), TEXT_MAX);
    assert_eq!(header(&format!("x{}", "é".repeat(600))).len(), TEXT_MAX - 1);
}
