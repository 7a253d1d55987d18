//! Objects of one host, asked from another.
//!
//! Who asks says whose object it is on `LATTICE.abide.objects.v1.find.OBJECT`, and the host that has it answers with its id, at once. What
//! is asked then goes to `LATTICE.abide.objects.v1.ask.HOST`, and is answered when it is done. What is asked and answered is the hosts' own.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Request, RequestErrorKind, Subscriber};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::select;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::messages::Held;
use crate::subject::Reserved;

/// How long the host that has an object may take to say so.
const FIND: Duration = Duration::from_secs(2);
/// Most questions at hand; others wait with the broker.
const ASKED_MAX: usize = 256;
/// The header that says which object is asked.
const OBJECT: &str = "abide-object";

/// Objects of the hosts of a lattice.
#[derive(Clone, Debug)]
pub struct Objects {
    client: Client,
    /// How the subjects begin.
    prefix: String,
    /// This host.
    host: String,
    /// Where no answer goes.
    reserved: Reserved,
}

/// Who answers for the objects of a host.
pub trait Keeper: Send + Sync + 'static {
    /// Whether the host has the object.
    fn has<'a>(&'a self, object: &'a str) -> BoxFuture<'a, bool>;
    /// Answers what is asked of the object.
    fn answer<'a>(&'a self, object: &'a str, asked: Vec<u8>) -> BoxFuture<'a, Vec<u8>>;
}

/// Why an object was not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unasked {
    /// No host says that it has it.
    #[error("no host of the lattice says that it has the object")]
    Nowhere,
    /// It was perhaps asked, and no answer came.
    #[error("{0}")]
    Failed(String),
}

impl Objects {
    pub(crate) fn new(client: Client, lattice: &str, control: &str, host: &str) -> Self {
        let reserved = Reserved::new(lattice, control);
        Self { client, prefix: format!("{lattice}.abide.objects.v1"), host: host.to_owned(), reserved }
    }

    /// Asks an object, on whichever host it is.
    ///
    /// # Errors
    /// When no host has it, or none answers within the limit.
    pub async fn ask(&self, object: &str, asked: Vec<u8>, limit: Duration) -> Result<Vec<u8>, Unasked> {
        let is_named = !object.split('.').any(str::is_empty)
            && !object.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>'));
        if !is_named {
            return Err(Unasked::Nowhere);
        }
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return Err(Unasked::Failed("NATS does not answer".to_owned()));
        }
        let found =
            self.request(format!("{}.find.{object}", self.prefix), object, Vec::new(), FIND.min(limit));
        let found = found.await.map_err(|failed| failed.unwrap_or(Unasked::Nowhere))?;
        let host = String::from_utf8(found.payload.into())
            .ok()
            .filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric()));
        let host =
            host.ok_or_else(|| Unasked::Failed("whoever has the object says no host's id".to_owned()))?;
        let answered = self.request(format!("{}.ask.{host}", self.prefix), object, asked, limit).await;
        let late = || Unasked::Failed(format!("host {host} did not answer within {} ms", limit.as_millis()));
        answered.map(|answer| answer.payload.into()).map_err(|failed| failed.unwrap_or_else(late))
    }

    /// `Err(None)` where nobody answers in time.
    async fn request(
        &self,
        subject: String,
        object: &str,
        payload: Vec<u8>,
        limit: Duration,
    ) -> Result<Message, Option<Unasked>> {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(OBJECT, object);
        let request = Request::new().payload(payload.into()).headers(headers).timeout(Some(limit));
        let answered = timeout(limit, self.client.send_request(subject, request)).await.map_err(|_| None)?;
        answered.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut | RequestErrorKind::NoResponders => None,
            _ => Some(Unasked::Failed(error.to_string())),
        })
    }

    /// Has a keeper answer for the objects of this host, as long as what is given back is there.
    ///
    /// # Errors
    /// When nothing can be listened for.
    pub async fn serve(&self, keeper: Arc<dyn Keeper>) -> Result<Held, String> {
        let find = self.listen(format!("{}.find.>", self.prefix)).await?;
        let ask = self.listen(format!("{}.ask.{}", self.prefix, self.host)).await?;
        let mut questions = select(find.map(|message| (false, message)), ask.map(|message| (true, message)));
        let this = self.clone();
        Ok(Held(vec![tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(ASKED_MAX));
            while let Some((is_asked, message)) = questions.next().await {
                let Ok(pass) = Arc::clone(&room).acquire_owned().await else { return };
                let (this, keeper) = (this.clone(), Arc::clone(&keeper));
                tokio::spawn(async move {
                    this.answer(&*keeper, is_asked, message).await;
                    drop(pass);
                });
            }
        })]))
    }

    async fn listen(&self, subject: String) -> Result<Subscriber, String> {
        self.client.subscribe(subject).await.map_err(|error| error.to_string())
    }

    async fn answer(&self, keeper: &dyn Keeper, is_asked: bool, message: Message) {
        let Some(to) = message.reply.filter(|to| !self.reserved.holds(to)) else { return };
        let named = message.headers.as_ref().and_then(|headers| headers.get(OBJECT));
        let Some(object) = named.map(|object| object.as_str().to_owned()) else { return };
        let answer = if is_asked {
            keeper.answer(&object, message.payload.into()).await
        } else if keeper.has(&object).await {
            self.host.clone().into_bytes()
        } else {
            return;
        };
        // Whoever asked and is not reached any more knows of nothing.
        let _ = self.client.publish(to, answer.into()).await;
    }
}
