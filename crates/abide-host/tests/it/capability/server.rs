//! HTTP servers of a few lines: each connection gets the next answer of a script.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// A server, and the requests that it got.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) requests: Receiver<String>,
}

/// What one connection gets.
pub(super) enum Answer {
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// Nothing, until the client goes away.
    Never,
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    Answer::Bytes(text.into_bytes())
}

pub(super) fn json(status: &str, body: &str) -> Answer {
    answer(status, "Content-Type: application/json; charset=utf-8\r\n", body)
}

pub(super) fn serve(answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = sender.send(read(&mut stream));
            match answer {
                Answer::Bytes(bytes) => drop(stream.write_all(&bytes)),
                // The end of the stream is the client's: so long the call is in flight.
                Answer::Never => drop(stream.read(&mut [0])),
            }
        }
    });
    Server { address, requests }
}

/// An address where nothing listens.
pub(super) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A request, to the end of its body.
fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        bytes.push(byte[0]);
    }
    let header = String::from_utf8(bytes).unwrap();
    let length = header
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = stream.read_exact(&mut body);
    header + &String::from_utf8(body).unwrap()
}
