//! The local API: a socket in the data folder, over which the command line asks things of a running host.
//!
//! One request and one answer a connection, each a line of JSON. A request is `{"op": …}` with `op` one of `status`, `objects`,
//! `observe`, `mutate`, `release`, `seal`, `upgrade`, `revert`, `reset-clock`; the answer to all but `status`, `objects` and `reset-clock` comes after
//! the flush of the tick that took it, that to `reset-clock` after the flush of its own commit. `{"op": "all", "requests": […]}`
//! asks for several things, and is answered by `{"answers": […]}`, one for each. The same requests are answered by [`fn@ask`] when no
//! host runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use abide_core::admission::{OperatorAct, OperatorRequest, Request};
use abide_core::cycle::{Input, Verdict};
use abide_core::guest::Behaviour;
use abide_core::object::Object;
use abide_core::record::{Caller, Hash, Signature};
use abide_core::time::{Span, Timestamp};
use serde_json::{Value as Json, json};

use crate::ask::{self, AskError};
use crate::behaviour::Compiler;
use crate::host::{Host, HostError};
use crate::keys::Keys;

/// The socket's name in the data folder.
pub const SOCKET: &str = "host.sock";

/// Most bytes of a request.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// Most objects that are listed at once.
pub const LISTED_MAX: usize = 1_000;
/// Connections served at once.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to send its request, or to take its answer. The answer itself comes with a tick, which
/// may be long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Call {
    body: Json,
    /// The component of this process that asks: nobody says so of himself.
    component: Option<Arc<str>>,
    answer: SyncSender<Json>,
}

/// What components of this process ask of the host that runs in it. Cloning it gives another handle of the same.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Mutex<Option<Sender<Call>>>>);

impl Requests {
    /// Asks for a component, and waits for the answer: `read`, `mutate`, or `has` for whether there is an object.
    ///
    /// # Errors
    /// When no host runs, it stops, or no answer comes within the limit.
    pub fn ask(&self, component: &str, body: Json, limit: Duration) -> Result<Json, String> {
        let gone = || "no host runs its objects now".to_owned();
        let calls = self.lock().clone().ok_or_else(gone)?;
        let (answer, answered) = sync_channel(1);
        calls.send(Call { body, component: Some(component.into()), answer }).map_err(|_| gone())?;
        answered.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Disconnected => gone(),
            RecvTimeoutError::Timeout => format!("no answer came within {} ms", limit.as_millis()),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Sender<Call>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket of a running host. It is removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    calls: Receiver<Call>,
    /// By the tickets that they wait for: the call, and which of its answers it is.
    waiting: BTreeMap<u64, (u64, usize)>,
    /// By their numbers, calls that wait.
    open: BTreeMap<u64, Open>,
    /// Answers that hold what is not durable yet: the call, which of its answers, and the answer.
    held: Vec<(u64, usize, Json)>,
    taken: u64,
    requests: Requests,
}

/// A call that waits for verdicts.
#[derive(Debug)]
struct Open {
    answers: Vec<Json>,
    missing: usize,
    /// Whether it asked for several things at once.
    batch: bool,
    answer: SyncSender<Json>,
}

impl Open {
    /// Answers, if nothing is missing. Whether it did.
    fn is_answered(&mut self) -> bool {
        if self.missing > 0 {
            return false;
        }
        let answers = std::mem::take(&mut self.answers);
        let answer = if self.batch {
            json!({ "answers": answers })
        } else {
            answers.into_iter().next().unwrap_or_default()
        };
        // Whoever asked may have gone; the records stand all the same.
        let _ = self.answer.send(answer);
        true
    }
}

/// Why the local API cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The socket cannot be made or used.
    #[error("cannot {operation} the host's socket `{}`: {source}", path.display())]
    Socket {
        /// What was tried.
        operation: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The host's answer is not one.
    #[error("the host's answer is not one that this version knows: {0}; run the same version on both sides")]
    Answer(String),
    /// The host refused the request.
    #[error("{0}")]
    Refused(String),
    /// The host that was opened for the request failed.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Server {
    /// Listens in a data folder, and to this process. Whoever holds the store's lock may replace a socket that a host left behind.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(folder: &Path, requests: &Requests) -> Result<Self, LocalError> {
        let path = folder.join(SOCKET);
        let at = |operation| {
            let path = path.clone();
            move |source| LocalError::Socket { operation, path, source }
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("replace")(error)),
            _ => {}
        }
        let listener = short_path(folder, |short| UnixListener::bind(short)).map_err(at("open"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(at("protect"))?;
        let (sender, calls) = channel();
        *requests.lock() = Some(sender.clone());
        thread::spawn(move || accept(&listener, &sender));
        Ok(Self {
            path,
            calls,
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            held: Vec::new(),
            taken: 0,
            requests: requests.clone(),
        })
    }

    /// Puts the requests that came in into the inboxes; those that need no tick are answered at once.
    pub fn take(&mut self, host: &mut Host) {
        while let Ok(call) = self.calls.try_recv() {
            self.take_one(host, call);
        }
    }

    /// Waits at most so long for a request. Whether one came.
    pub fn wait(&mut self, host: &mut Host, most: Duration) -> bool {
        let Ok(call) = self.calls.recv_timeout(most) else { return false };
        self.take_one(host, call);
        true
    }

    /// Answers the requests whose verdicts a tick gave.
    pub fn answer(&mut self, verdicts: &[(u64, Verdict)]) {
        for (number, index, answer) in std::mem::take(&mut self.held) {
            self.complete(number, index, answer);
        }
        if self.waiting.is_empty() {
            return;
        }
        for (ticket, verdict) in verdicts {
            let Some((number, index)) = self.waiting.remove(ticket) else { continue };
            self.complete(number, index, verdict_json(verdict));
        }
    }

    fn complete(&mut self, number: u64, index: usize, answer: Json) {
        let Some(open) = self.open.get_mut(&number) else { return };
        if let Some(place) = open.answers.get_mut(index) {
            *place = answer;
        }
        open.missing -= 1;
        if open.is_answered() {
            self.open.remove(&number);
        }
    }

    fn take_one(&mut self, host: &mut Host, call: Call) {
        let batch = call.body.get("op").and_then(Json::as_str) == Some("all");
        let requests = match call.body.get("requests").and_then(Json::as_array) {
            Some(requests) if batch => requests.as_slice(),
            _ => std::slice::from_ref(&call.body),
        };
        self.taken += 1;
        let mut open =
            Open { answers: Vec::with_capacity(requests.len()), missing: 0, batch, answer: call.answer };
        for (index, request) in requests.iter().enumerate() {
            let submitted = match &call.component {
                Some(component) => submit_of(host, request, component),
                None => submit(host, request),
            };
            open.answers.push(match submitted {
                Ok(Submitted::Waits(ticket)) => {
                    self.waiting.insert(ticket, (self.taken, index));
                    open.missing += 1;
                    Json::Null
                }
                // What it shows may not be on the disk yet.
                Ok(Submitted::Shown(answer)) if host.is_under_way() => {
                    self.held.push((self.taken, index, answer));
                    open.missing += 1;
                    Json::Null
                }
                Ok(Submitted::Answered(answer) | Submitted::Shown(answer)) => answer,
                Err(error) => json!({ "error": error.to_string() }),
            });
        }
        if !open.is_answered() {
            self.open.insert(self.taken, open);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.requests.lock() = None;
        let _ = fs::remove_file(&self.path);
    }
}

/// Asks the host of a data folder: the running one over its socket; else one that is opened for this request alone, for
/// one tick.
///
/// # Errors
/// When the host refuses the request (an object that does not exist, a full inbox), or the store cannot be used.
pub fn ask(
    folder: &Path,
    keys: &Keys,
    body: &Json,
    wall_clock: Timestamp,
    compiler: Arc<Compiler>,
) -> Result<Json, LocalError> {
    let answers = ask_all(folder, keys, std::slice::from_ref(body), wall_clock, compiler)?;
    answers.into_iter().next().unwrap_or_else(|| Err(LocalError::Answer("none".to_owned())))
}

/// As [`ask()`], for several requests: a host that is opened for them takes them in one tick, or as many as [`Host::submit`] says.
///
/// # Errors
/// When the store cannot be used; of each request, when it is refused.
pub fn ask_all(
    folder: &Path,
    keys: &Keys,
    bodies: &[Json],
    wall_clock: Timestamp,
    compiler: Arc<Compiler>,
) -> Result<Vec<Result<Json, LocalError>>, LocalError> {
    if connect(folder).is_some() {
        return ask_running(folder, bodies);
    }
    let replayed = crate::host::is_replayed(folder)?;
    let mut host = Host::open_folder(folder, keys, replayed, wall_clock)?;
    host.set_compiler(compiler);
    let submitted: Vec<_> = bodies.iter().map(|body| submit(&mut host, body)).collect();
    let mut verdicts = BTreeMap::new();
    if submitted.iter().any(|one| matches!(one, Ok(Submitted::Waits(_)))) {
        while host.has_input() {
            // A replayed clock belongs to its sources: a request between two runs goes just after what was last recorded.
            let time = if replayed { host.time().saturating_add(Span::from_millis(1)) } else { wall_clock };
            verdicts.extend(host.tick(time)?.verdicts);
        }
        host.finish()?;
    }
    let answer = |submitted: Result<Submitted, HostError>| match submitted {
        Ok(Submitted::Waits(ticket)) => {
            let verdict = verdicts.get(&ticket).map(verdict_json);
            verdict.ok_or_else(|| LocalError::Answer("no verdict".to_owned()))
        }
        Ok(Submitted::Answered(answer) | Submitted::Shown(answer)) => checked(answer),
        Err(error) => Err(LocalError::Refused(error.to_string())),
    };
    Ok(submitted.into_iter().map(answer).collect())
}

/// The status of the host that runs on a data folder; `None` when none does.
#[must_use]
pub fn status(folder: &Path) -> Option<Json> {
    exchange(connect(folder)?, folder, &json!({ "op": "status" })).ok()
}

/// Objects of the host that runs on a data folder, at most [`LISTED_MAX`]: `{objects: [{id, schema, version, digest, status}],
/// total}`; `None` when none does.
#[must_use]
pub fn objects(folder: &Path) -> Option<Json> {
    exchange(connect(folder)?, folder, &json!({ "op": "objects" })).ok()
}

/// What became of a request.
enum Submitted {
    /// Its verdict comes with the next tick.
    Waits(u64),
    /// It needed no tick.
    Answered(Json),
    /// It shows what the last tick left.
    Shown(Json),
}

/// What a component asks: to see an object, or a mutation of it. That a link lets it is not looked at here.
fn submit_of(host: &mut Host, body: &Json, component: &Arc<str>) -> Result<Submitted, HostError> {
    let text = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default();
    if text("op") == "has" {
        return Ok(Submitted::Answered(json!({ "has": host.engine().object(text("object")).is_some() })));
    }
    let object = ask::object(host.engine(), text("object"))?;
    if text("op") == "read" {
        let schema = &object.schema;
        let shown = json!({
            "id": &*object.id,
            "schema": &*schema.name,
            "version": &*schema.version,
            "status": object.state.status.name(),
            "memory": schema.memory.to_json(&object.state.memory),
        });
        return Ok(Submitted::Shown(json!({ "object": shown })));
    }
    let (ix, mutation) = ask::mutation(&object.schema, text("mutation"))?;
    let args = ask::args_from_json(mutation, body.get("args").unwrap_or(&Json::Null))?;
    let request = Request { mutation: ix, args, caller: Caller::Component(Arc::clone(component)) };
    host.submit(object.number, Input::Ask(request)).map(Submitted::Waits)
}

fn submit(host: &mut Host, body: &Json) -> Result<Submitted, HostError> {
    let text = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default();
    let args = body.get("args").cloned().unwrap_or_else(|| json!({}));
    let op = text("op");
    let (number, input) = match op {
        "status" => return Ok(Submitted::Answered(status_json(host))),
        "objects" => return Ok(Submitted::Answered(objects_json(host))),
        "reset-clock" => return reset_clock(host, body).map(Submitted::Answered),
        "observe" => {
            let (number, request) =
                ask::observation(host.engine(), text("object"), text("mutation"), &args, "cli")?;
            (number, Input::Ask(request))
        }
        "mutate" => {
            let object = ask::object(host.engine(), text("object"))?;
            let (ix, mutation) = ask::mutation(&object.schema, text("mutation"))?;
            let args = ask::args_from_json(mutation, &args)?;
            let caller = Caller::Operator(Box::new(signature(body).ok_or(AskError::Shape)?));
            (object.number, Input::Ask(Request { mutation: ix, args, caller }))
        }
        "upgrade" => {
            let object = ask::object(host.engine(), text("object"))?;
            let (number, in_force) = (object.number, Arc::clone(&object.schema));
            let (behaviour, signature) = (behaviour(body)?, signature(body).ok_or(AskError::Shape)?);
            let schema = match body.get("schema").filter(|schema| !schema.is_null()) {
                None => in_force,
                Some(digest) => {
                    host.schema(digest.as_str().and_then(Hash::from_hex).ok_or(AskError::Shape)?)?
                }
            };
            let act = host.act(number, &schema, behaviour).map_err(HostError::Upgrade)?;
            (number, Input::Operate(OperatorRequest { act, signature }))
        }
        "revert" => {
            let object = ask::object(host.engine(), text("object"))?;
            let signature = signature(body).ok_or(AskError::Shape)?;
            let nothing = || HostError::Upgrade(format!("`{}` has no upgrade to revert", object.id));
            let act = OperatorAct::revert(object).ok_or_else(nothing)?;
            (object.number, Input::Operate(OperatorRequest { act, signature }))
        }
        "release" | "seal" => {
            let object = ask::object(host.engine(), text("object"))?;
            let act = if op == "release" { OperatorAct::Release } else { OperatorAct::Seal };
            let signature = signature(body).ok_or(AskError::Shape)?;
            (object.number, Input::Operate(OperatorRequest { act, signature }))
        }
        other => return Ok(Submitted::Answered(json!({ "error": format!("`{other}` is not a request") }))),
    };
    host.submit(number, input).map(Submitted::Waits)
}

/// A reset of the clock is a commit of its own, so its answer waits for no tick. A refusal is an answer like any other.
fn reset_clock(host: &mut Host, body: &Json) -> Result<Json, HostError> {
    let to = body.get("to").and_then(Json::as_str).and_then(|to| to.parse().ok()).ok_or(AskError::Shape)?;
    let signature = signature(body).ok_or(AskError::Shape)?;
    let since = host.time();
    match host.reset_clock(to, signature) {
        Ok(clock) => Ok(json!({
            "verdict": "recorded",
            "since": since.to_string(),
            "time": clock.time.to_string(),
            "tick": clock.tick,
        })),
        Err(HostError::Reset(refused)) => Ok(json!({ "verdict": "refused", "message": refused.to_string() })),
        Err(error) => Err(error),
    }
}

fn status_json(host: &Host) -> Json {
    let clock = host.shown_clock();
    let ahead = clock_ahead(host.engine().host().replayed, clock.time);
    let help =
        ahead.as_ref().map(|_| "`abide clock --reset` sets the clock back, by an operator's signature");
    json!({
        "running": true,
        "identity": &*host.engine().host().identity,
        "replayed": host.engine().host().replayed,
        "objects": host.engine().objects().len(),
        "tick": clock.tick,
        "time": clock.time.to_string(),
        "records": host.log().checkpoint().map_or(0, |checkpoint| checkpoint.size),
        "late_ticks": host.late_ticks(),
        "clock_ahead": ahead,
        "help": help,
    })
}

fn objects_json(host: &Host) -> Json {
    let all = host.engine().objects();
    let one = |object: &Object| {
        let schema = &object.schema;
        json!({
            "id": &*object.id,
            "schema": &*schema.name,
            "version": &*schema.version,
            "digest": Hash(schema.digest).to_string(),
            "status": object.state.status.name(),
        })
    };
    json!({ "objects": all.iter().take(LISTED_MAX).map(one).collect::<Vec<_>>(), "total": all.len() })
}

/// How far the recorded clock of a live host is ahead of the wall clock, if it is by more than a second.
fn clock_ahead(replayed: bool, recorded: Timestamp) -> Option<String> {
    let ahead = recorded.since(crate::clock::wall_clock());
    (!replayed && ahead > Span::from_secs(1)).then(|| ahead.to_string())
}

fn verdict_json(verdict: &Verdict) -> Json {
    match verdict {
        Verdict::Recorded(seq) => json!({ "verdict": "recorded", "seq": seq }),
        Verdict::Ignored => json!({ "verdict": "ignored" }),
        Verdict::Denied(reason) => json!({ "verdict": "denied", "reason": reason.to_json() }),
    }
}

/// A signature as a request carries it.
#[must_use]
pub fn signature_json(signature: &Signature) -> Json {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    json!({
        "name": &*signature.name,
        "key": hex(&signature.key),
        "counter": signature.counter,
        "signature": hex(&signature.signature),
    })
}

/// The behaviour that a request carries, if it does.
fn behaviour(body: &Json) -> Result<Option<Behaviour>, AskError> {
    let Some(given) = body.get("behaviour").filter(|given| !given.is_null()) else { return Ok(None) };
    let digest = |name: &str| Hash::from_hex(given.get(name)?.as_str()?);
    let both = digest("component").zip(digest("config")).ok_or(AskError::Shape)?;
    Ok(Some(Behaviour { component: both.0, config: both.1 }))
}

fn signature(body: &Json) -> Option<Signature> {
    let given = body.get("signature")?;
    let text = given.get("signature")?.as_str()?;
    let (first, second) = text.split_at_checked(64)?;
    let mut bytes = [0; 64];
    for (to, from) in
        bytes.iter_mut().zip(Hash::from_hex(first)?.0.into_iter().chain(Hash::from_hex(second)?.0))
    {
        *to = from;
    }
    Some(Signature {
        name: given.get("name")?.as_str()?.into(),
        key: Hash::from_hex(given.get("key")?.as_str()?)?.0,
        counter: given.get("counter")?.as_u64()?,
        signature: bytes,
    })
}

fn connect(folder: &Path) -> Option<UnixStream> {
    short_path(folder, |short| UnixStream::connect(short)).ok()
}

/// Asks a running host, of several requests as many at a time as go into a line.
fn ask_running(folder: &Path, bodies: &[Json]) -> Result<Vec<Result<Json, LocalError>>, LocalError> {
    let gone = || LocalError::Answer("the host has stopped; ask again".to_owned());
    if let [body] = bodies {
        return Ok(vec![exchange(connect(folder).ok_or_else(gone)?, folder, body)]);
    }
    let mut answers = Vec::with_capacity(bodies.len());
    let mut rest = bodies;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|body| {
            bytes += body.to_string().len() as u64 + 1;
            bytes < REQUEST_BYTES_MAX / 2
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        let all =
            exchange(connect(folder).ok_or_else(gone)?, folder, &json!({ "op": "all", "requests": now }))?;
        match all.get("answers").and_then(Json::as_array) {
            Some(told) if told.len() == now.len() => answers.extend(told.iter().cloned().map(checked)),
            _ => return Err(LocalError::Answer(all.to_string())),
        }
        rest = later;
    }
    Ok(answers)
}

fn exchange(mut stream: UnixStream, folder: &Path, body: &Json) -> Result<Json, LocalError> {
    let at = |operation| move |source| LocalError::Socket { operation, path: folder.join(SOCKET), source };
    stream.write_all(format!("{body}\n").as_bytes()).map_err(at("write to"))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(at("read from"))?;
    checked(serde_json::from_str(&line).map_err(|_| LocalError::Answer(line))?)
}

/// An answer that is no refusal.
fn checked(answer: Json) -> Result<Json, LocalError> {
    match answer.get("error").and_then(Json::as_str) {
        Some(error) => Err(LocalError::Refused(error.to_owned())),
        None => Ok(answer),
    }
}

/// A socket's path has at most 107 bytes; through the folder's descriptor, a folder may be as deep as it likes.
fn short_path<T>(folder: &Path, run: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let descriptor = fs::File::open(folder)?;
    run(&Path::new("/proc/self/fd").join(descriptor.as_raw_fd().to_string()).join(SOCKET))
}

fn accept(listener: &UnixListener, calls: &Sender<Call>) {
    let open = Arc::new(AtomicUsize::new(0));
    let calls = Arc::new(Mutex::new(calls.clone()));
    for stream in listener.incoming().flatten() {
        if !is_of_this_user(&stream) {
            let _ = (&stream).write_all(b"{\"error\":\"the host belongs to another user\"}\n");
            continue;
        }
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::Relaxed);
            let _ = (&stream).write_all(b"{\"error\":\"too many requests at once; ask again\"}\n");
            continue;
        }
        let (open, calls) = (Arc::clone(&open), Arc::clone(&calls));
        thread::spawn(move || {
            let sender = calls.lock().map(|calls| calls.clone());
            if let Ok(sender) = sender {
                // A connection that breaks costs nobody but itself.
                let _ = serve(&stream, &sender);
            }
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Whether whoever connected runs as this user, or as root: also where the socket's mode was changed. Where the system
/// does not tell, nobody is.
fn is_of_this_user(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == own || peer.uid.is_root())
}

fn serve(stream: &UnixStream, calls: &Sender<Call>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_until(b'\n', &mut line)?;
    let answer = match serde_json::from_slice(&line) {
        Ok(body) => {
            let (sender, receiver) = sync_channel(1);
            let answer = match calls.send(Call { body, component: None, answer: sender }) {
                Ok(()) => receiver.recv().ok(),
                Err(_) => None,
            };
            answer.unwrap_or_else(|| json!({ "error": "the host is stopping; ask again" }))
        }
        Err(error) => json!({ "error": format!("the request is not a line of JSON: {error}") }),
    };
    let mut writer = stream;
    writer.write_all(format!("{answer}\n").as_bytes())?;
    // To close it over bytes that were not read would take the answer back from whoever sent them.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(REQUEST_BYTES_MAX), &mut io::sink()).map(drop)
}
