//! The local socket: every request has an answer of one line of JSON, and the host lives on.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use abide_core::time::Span;
use abide_host::local::{Requests, SOCKET, Server};
use abide_store::MemoryDisk;
use tempfile::TempDir;

use super::{Reached, Target, no_seeds};
use crate::sample::{host, keys, sample};

pub(super) const TARGET: Target = Target { name: "local", run, seeds: no_seeds };

/// A socket, and the folder that it is in.
type Socket = (Server, TempDir);

fn socket() -> Option<&'static Mutex<Socket>> {
    static SOCKET: OnceLock<Option<Mutex<Socket>>> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().ok()?;
        Some(Mutex::new((Server::listen(folder.path(), &Requests::default()).ok()?, folder)))
    };
    SOCKET.get_or_init(make).as_ref()
}

fn run(bytes: &[u8]) -> Reached {
    let answer = socket().and_then(|socket| {
        let mut socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&mut socket, bytes)
    });
    Reached::of(&answer)
}

/// What a fresh host answers.
fn ask((server, folder): &mut Socket, bytes: &[u8]) -> Option<String> {
    let mut host = host(&MemoryDisk::new(), &keys().ok()?, &sample().schema).ok()?;
    let mut stream = UnixStream::connect(folder.path().join(SOCKET)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    // A host that stopped listening in the middle of a request closed the connection.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    if serde_json::from_slice::<serde_json::Value>(line).is_ok() {
        assert!(server.wait(&mut host, Duration::from_secs(10)), "a request does not reach the host");
        let time = host.time().saturating_add(Span::from_secs(1));
        let ticked = host.tick(time);
        assert!(ticked.is_ok(), "a request breaks the host: {ticked:?}");
        ticked.into_iter().for_each(|ticked| server.answer(&ticked.verdicts));
    }
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    assert!(read.is_ok() && answer.ends_with('\n'), "a request has no answer: {read:?}");
    let json = serde_json::from_str::<serde_json::Value>(&answer);
    assert!(json.is_ok_and(|json| json.is_object()), "an answer is no line of JSON: {answer}");
    Some(answer)
}
