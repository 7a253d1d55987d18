//! Components that never end, behind each capability: they are ended, whoever waits is told, and what they took up is free again.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use interop::PATIENCE;
use tokio::time::timeout;

use crate::support::{Site, get, get_all};

/// Instances of a host, and calls of a component at once: one that is leaked is missed.
const ROOM: u32 = 2;
const FULL: &[&str] = &["--max-component-instances", "2"];

/// Holds that what is given up was given up for its time, and not long after it.
fn in_time(start: Instant) {
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(10), "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_never_done_with_is_given_up() {
    let mut site = Site::new(&["orchard"], FULL).await;
    site.start("orchard", "echo", ROOM, 1).await;
    site.subscribe("orchard", "echo", "echo.>").await;
    let nats = site.lattice.nats().await;
    let answered = async |text: &'static str| {
        let start = Instant::now();
        loop {
            let asked = nats.request("echo.one", text.into());
            match timeout(Duration::from_millis(1_500), asked).await {
                Ok(Ok(answer)) => return assert_eq!(&*answer.payload, text.as_bytes()),
                _ => assert!(start.elapsed() < PATIENCE, "it never answers"),
            }
        }
    };
    answered("hello").await;
    let start = Instant::now();
    for _ in 0..ROOM {
        nats.publish_with_reply("echo.one", "nobody", "spin".into()).await.unwrap();
    }
    // Those behind wait for the room, and have it.
    answered("behind").await;
    in_time(start);
    for _ in 0..ROOM {
        site.host("orchard").wait_for("component `echo` did not end within 1000 ms");
    }
    // As many as may run are at hand at once: each asks, and is kept waiting for its answer.
    let mut questions = nats.subscribe("question").await.unwrap();
    nats.flush().await.unwrap();
    let asking: Vec<_> = (0..ROOM)
        .map(|_| {
            let nats = nats.clone();
            tokio::spawn(
                async move { nats.request("echo.one", "ask question".into()).await.unwrap().payload },
            )
        })
        .collect();
    let mut asked = Vec::new();
    for _ in 0..ROOM {
        asked.push(timeout(PATIENCE, questions.next()).await.expect("no room").unwrap());
    }
    for question in asked {
        nats.publish(question.reply.unwrap(), "answered".into()).await.unwrap();
    }
    for one in asking {
        assert_eq!(&*one.await.unwrap(), b"answered");
    }
    site.serves("orchard").await;
    site.settle("orchard");
}

/// A server that answers when so many have asked, and whom it never answers.
fn server(count: u32) -> (u16, thread::JoinHandle<()>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let silent: Vec<_> = (0..count).map(|_| socket.accept().unwrap()).collect();
        // The head of an answer, and never its body.
        let half: Vec<_> = (0..count)
            .map(|_| {
                let (mut stream, _) = socket.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal").unwrap();
                stream
            })
            .collect();
        let together: Vec<_> = (0..count).map(|_| socket.accept().unwrap()).collect();
        for (mut stream, _) in together {
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nhere";
            stream.write_all(answer).unwrap();
        }
        drop((silent, half));
    });
    (port, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_holds_up_nobody_else() {
    let mut site = Site::new(&["orchard"], FULL).await;
    site.start("orchard", "fetch", ROOM, 1).await;
    let (port, serving) = server(ROOM);
    site.config("allowed", &[("allowed_hosts", "*")]).await;
    site.provide("orchard", "http-client", &[]).await;
    site.link("fetch", "http-client", "wasi:http/outgoing-handler", (&[], &["allowed"])).await;
    let url = site.serve("orchard", "fetch").await;
    let all = || get_all((0..ROOM).map(|_| format!("{url}/?127.0.0.1:{port}")));
    for _ in ["no answer", "half of one"] {
        let start = Instant::now();
        for (status, text) in all().join().unwrap() {
            assert_eq!((status, &*text), (504, "the component did not answer\n"));
        }
        in_time(start);
        site.host("orchard").wait_for("component `fetch` did not end within 1000 ms");
    }
    // All of the room is there again: these are answered together, or not at all.
    for (status, text) in all().join().unwrap() {
        assert_eq!((status, &*text), (200, "200: here"));
    }
    serving.join().unwrap();
    site.serves("orchard").await;
    site.settle("orchard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_is_not_waited_for() {
    let mut site = Site::new(&["orchard"], FULL).await;
    site.start("orchard", "blobs", ROOM, 1).await;
    site.provide("orchard", "blobstore", &[]).await;
    site.link("blobs", "blobstore", "wasi:blobstore/blobstore", (&[], &[])).await;
    let url = site.serve("orchard", "blobs").await;
    let address = url.strip_prefix("http://").unwrap();
    let ask = |head: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{head} HTTP/1.1\r\nhost: here\r\n").as_bytes()).unwrap();
        stream
    };
    let answered = |mut stream: TcpStream| {
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    };
    let mut made = ask("PUT /c");
    made.write_all(b"content-length: 0\r\n\r\n").unwrap();
    assert_eq!(answered(made), "200");
    let start = Instant::now();
    let half = (0..ROOM).map(|n| {
        let mut stream = ask(&format!("PUT /c/half{n}"));
        stream.write_all(b"content-length: 100\r\n\r\nhalf").unwrap();
        stream
    });
    let half: Vec<TcpStream> = half.collect();
    half.into_iter().for_each(|stream| assert_eq!(answered(stream), "504"));
    in_time(start);
    assert_eq!(get(&format!("{url}/c/half0")).unwrap().0, 502, "half of an object is there");
    // As many bodies as there may be calls come a piece at a time, together.
    let mut slow: Vec<TcpStream> = (0..ROOM).map(|n| ask(&format!("PUT /c/whole{n}"))).collect();
    for part in ["content-length: 4\r\n\r\nwh", "ol"] {
        slow.iter_mut().for_each(|stream| stream.write_all(part.as_bytes()).unwrap());
    }
    slow.into_iter().for_each(|stream| assert_eq!(answered(stream), "200"));
    assert_eq!(get(&format!("{url}/c/whole1")).unwrap(), (200, "whol".to_owned()));
    site.serves("orchard").await;
    site.settle("orchard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_between_components_ends_with_whoever_is_first_out_of_time() {
    // A caller and who is called are two instances.
    let mut site = Site::new(&["orchard"], FULL).await;
    site.start("orchard", "caller", 1, 3).await;
    site.start("orchard", "greeter", 1, 1).await;
    site.link("caller", "greeter", "interop:greet/greeter", (&[], &[])).await;
    let url = site.serve("orchard", "caller").await;
    let greeted =
        || assert_eq!(get(&format!("{url}/you")).unwrap(), (200, "Ok(\"hello you [a,b]\")\n".to_owned()));
    greeted();
    let start = Instant::now();
    assert_eq!(get(&format!("{url}/forever")).unwrap().0, 500);
    in_time(start);
    site.host("orchard").wait_for("component `greeter` did not end within 1000 ms");
    greeted();
    // A caller that is given up gives up whom it calls, whose own limit is ten minutes.
    site.start("orchard", "caller", 1, 1).await;
    site.start("orchard", "greeter", 1, 600).await;
    let start = Instant::now();
    assert_eq!(get(&format!("{url}/forever")).unwrap().0, 504);
    in_time(start);
    greeted();
    site.serves("orchard").await;
    site.settle("orchard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_another_host_that_never_ends_is_given_up_on_both() {
    let mut site = Site::new(&["first", "second"], &["--max-component-instances", "1"]).await;
    site.start("first", "caller", 1, 3).await;
    site.start("second", "greeter", 1, 1).await;
    site.link("caller", "greeter", "interop:greet/greeter", (&[], &[])).await;
    let url = site.serve("first", "caller").await;
    let greeted =
        || assert_eq!(get(&format!("{url}/you")).unwrap(), (200, "Ok(\"hello you [a,b]\")\n".to_owned()));
    greeted();
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(get(&format!("{url}/forever")).unwrap().0, 500);
        in_time(start);
        site.host("second").wait_for("component `greeter` did not end within 1000 ms");
        greeted();
    }
    // Whoever called has given up before: who is called is ended in its own time, and then has room.
    site.start("first", "caller", 1, 1).await;
    site.start("second", "greeter", 1, 2).await;
    let start = Instant::now();
    assert_eq!(get(&format!("{url}/forever")).unwrap().0, 504);
    in_time(start);
    site.host("second").wait_for("component `greeter` did not end within 2000 ms");
    greeted();
    for name in ["first", "second"] {
        site.serves(name).await;
        site.settle(name);
    }
}
