//! Requests over HTTP, on a connection that is kept.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to begin.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is kept.
pub(crate) struct Asking {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Asking {
    pub(crate) fn new(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), body: Vec::new() })
    }

    /// A connection to a server that begins, which answers this path.
    pub(crate) fn wait_for(port: u16, path: &str) -> io::Result<Self> {
        let start = Instant::now();
        loop {
            let asked = Self::new(port).and_then(|mut asking| {
                asking.ask(path)?;
                Ok(asking)
            });
            match asked {
                Ok(asking) => return Ok(asking),
                Err(error) if start.elapsed() > PATIENCE => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Asks once, and reads the whole answer; its body.
    pub(crate) fn ask(&mut self, path: &str) -> io::Result<&[u8]> {
        // One write, so that it is one packet.
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.body.clear();
        let wrong = |what: &str| io::Error::other(format!("the answer is wrong: {what}"));
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200") {
            return Err(wrong(line.trim()));
        }
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            match line.trim_end().to_ascii_lowercase().split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().ok(),
                Some(_) => {}
            }
        }
        if let Some(length) = length {
            self.take(length)?;
            return Ok(&self.body);
        }
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).map_err(|_| wrong("no size of a chunk"))?;
            self.take(size)?;
            // The end of the line after a chunk.
            line.clear();
            self.stream.read_line(&mut line)?;
            if size == 0 {
                return Ok(&self.body);
            }
        }
    }

    fn take(&mut self, bytes: u64) -> io::Result<()> {
        let taken = (&mut self.stream).take(bytes).read_to_end(&mut self.body)?;
        if u64::try_from(taken) == Ok(bytes) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
