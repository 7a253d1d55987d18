//! What components say: `wasi:logging`, and what they print.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{ComponentType, Lift, Linker};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::call::Call;
use super::components::Inner;
use super::running::Running;

/// Most bytes of a line that is told.
const LINE_MAX: usize = 16 << 10;
/// What of its output a component may write at once.
const WRITE_MAX: usize = 64 << 10;
const NAMES: [&str; 2] = ["wasi:logging/logging", "wasi:logging/logging@0.1.0-draft"];

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "most are made by what components call")]
pub(crate) enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

pub(crate) fn add(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    for name in NAMES {
        linker.instance(name)?.func_wrap(
            "log",
            |store, (level, context, message): (Level, String, String)| {
                let reach = &store.data().reach;
                let context = if context.is_empty() { String::new() } else { format!("{context}: ") };
                say(&reach.host, &reach.component.id, level, &format!("{context}{message}"));
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Tells what a component says, a line at a time. What is finer than information is dropped.
fn say(host: &Inner, component: &str, level: Level, message: &str) {
    if matches!(level, Level::Trace | Level::Debug) {
        return;
    }
    for line in message.lines().filter(|line| !line.trim().is_empty()) {
        let end = line.floor_char_boundary(LINE_MAX);
        let shown: String =
            line.get(..end).unwrap_or_default().chars().filter(|c| !c.is_control() || *c == '\t').collect();
        host.tell(&format!("{component}: {level}: {shown}"));
    }
}

/// Where a component prints to.
#[derive(Clone)]
pub(crate) struct Output {
    host: Arc<Inner>,
    component: Arc<Running>,
    level: Level,
    /// What has no end of line yet.
    begun: Vec<u8>,
}

impl Output {
    pub(crate) fn new(host: &Arc<Inner>, component: &Arc<Running>, level: Level) -> Self {
        Self { host: Arc::clone(host), component: Arc::clone(component), level, begun: Vec::new() }
    }

    fn tell(&mut self, bytes: usize) {
        let rest = self.begun.split_off(bytes.min(self.begun.len()));
        let told = std::mem::replace(&mut self.begun, rest);
        say(&self.host, &self.component.id, self.level, &String::from_utf8_lossy(&told));
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.tell(usize::MAX);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Preview 2 asks for the other one.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.begun.extend_from_slice(&bytes);
        if let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') {
            self.tell(end + 1);
        } else if self.begun.len() > LINE_MAX {
            self.tell(usize::MAX);
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX)
    }
}
