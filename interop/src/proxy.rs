//! A way to a server that can be cut, stalled and slowed down.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Most bytes that go on at once.
const PART: usize = 64 << 10;

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// What goes over it takes so long, each way.
    Slow(Duration),
    /// Connections stay, and nothing goes over them.
    Stalled,
    /// Connections are closed, and so are new ones.
    Cut,
}

/// It ends when this is dropped.
pub struct Proxy {
    pub port: u16,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// To a port of this machine.
    pub async fn to(port: u16) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (way, watched) = watch::channel(Way::Open);
        let own = socket.local_addr().unwrap().port();
        Self { port: own, way, task: tokio::spawn(listen(socket, port, watched)) }
    }

    pub fn set(&self, way: Way) {
        self.way.send(way).unwrap();
    }
}

async fn listen(socket: TcpListener, port: u16, way: watch::Receiver<Way>) {
    loop {
        let (near, _) = socket.accept().await.unwrap();
        if *way.borrow() == Way::Cut {
            continue;
        }
        let way = way.clone();
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            tokio::join!(carry(from_near, to_far, way.clone()), carry(from_far, to_near, way));
        });
    }
}

/// Carries what comes until either end closes, or the way is cut.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut bytes = vec![0; PART];
    loop {
        if passable(&mut way).await == Way::Cut {
            return;
        }
        let count = tokio::select! {
            read = from.read(&mut bytes) => read.unwrap_or(0),
            changed = way.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        if count == 0 {
            return;
        }
        let now = *way.borrow();
        if let Way::Slow(by) = now {
            sleep(by).await;
        }
        // What is on its way when it stalls stays there.
        if passable(&mut way).await == Way::Cut || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// How the way is, once anything goes over it, or never will.
async fn passable(way: &mut watch::Receiver<Way>) -> Way {
    way.wait_for(|way| *way != Way::Stalled).await.map_or(Way::Cut, |way| *way)
}
