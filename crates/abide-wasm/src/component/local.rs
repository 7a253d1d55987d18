//! Messages within a host, where there is no broker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::messaging::{Delivery, Later, Message, Messaging, NotSent, Subscription};
use crate::link::Config;

/// How the subjects begin where answers are awaited.
const INBOX: &str = "_INBOX";

/// Carries messages between the components of one host. Nothing is kept: who does not listen misses it.
#[derive(Clone, Default)]
pub struct Local(Arc<Inner>);

#[derive(Default)]
struct Inner {
    numbers: AtomicU64,
    listeners: Mutex<BTreeMap<u64, Listener>>,
}

struct Listener {
    subject: String,
    group: Option<String>,
    delivery: Delivery,
    /// How many messages it was given: those of a group take turns.
    given: u64,
}

/// Listens until it is dropped.
struct Listening {
    inner: Arc<Inner>,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Local {
    fn number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn listen(&self, subject: String, group: Option<String>, delivery: Delivery) -> Listening {
        let number = self.number();
        let listener = Listener { subject, group, delivery, given: 0 };
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).insert(number, listener);
        Listening { inner: Arc::clone(&self.0), number }
    }

    /// Whoever is to have a message: all that listen alone, and one of each group.
    fn receivers(&self, subject: &str) -> Vec<Delivery> {
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = listeners.iter_mut().filter(|(_, listener)| fits(&listener.subject, subject));
        let mut receivers = Vec::new();
        let mut groups: BTreeMap<(String, String), &mut Listener> = BTreeMap::new();
        for (_, listener) in fitting {
            let Some(group) = listener.group.clone() else {
                receivers.push(Arc::clone(&listener.delivery));
                continue;
            };
            let key = (listener.subject.clone(), group);
            match groups.get(&key) {
                Some(other) if other.given <= listener.given => {}
                _ => drop(groups.insert(key, listener)),
            }
        }
        for listener in groups.into_values() {
            listener.given += 1;
            receivers.push(Arc::clone(&listener.delivery));
        }
        receivers
    }
}

/// Whether a subject is one that is listened for: `*` stands for a word, and `>` at the end for one or more.
fn fits(pattern: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for part in pattern.split('.') {
        match (part, words.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(word)) if part == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

impl Messaging for Local {
    fn publish<'a>(&'a self, _: &'a Config, message: Message) -> Later<'a, Result<(), NotSent>> {
        Box::pin(async move {
            for receive in self.receivers(&message.subject) {
                receive(message.clone()).await;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Later<'_, Result<(), NotSent>> {
        Box::pin(async { Ok(()) })
    }

    fn request<'a>(
        &'a self,
        config: &'a Config,
        message: Message,
        limit: Duration,
    ) -> Later<'a, Result<Message, NotSent>> {
        Box::pin(async move {
            if self.receivers(&message.subject).is_empty() {
                return Err(NotSent::now(format!("nobody listens for `{}`", message.subject)));
            }
            let (sender, answer) = oneshot::channel();
            let sender = Mutex::new(Some(sender));
            let inbox = format!("{INBOX}.{}", self.number());
            let delivery: Delivery = Arc::new(move |message| {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                let _ = sender.map(|sender| sender.send(message));
                Box::pin(async {})
            });
            let _listening = self.listen(inbox.clone(), None, delivery);
            let asked = async {
                self.publish(config, Message { reply_to: Some(inbox), ..message }).await?;
                answer.await.map_err(|_| NotSent::now("nobody answers".to_owned()))
            };
            let late = |_| NotSent::now(format!("no answer came within {} ms", limit.as_millis()));
            timeout(limit, asked).await.map_err(late)?
        })
    }

    fn subscribe<'a>(
        &'a self,
        _: &'a Config,
        subject: &'a str,
        group: Option<&'a str>,
        delivery: Delivery,
    ) -> Later<'a, Result<Subscription, String>> {
        Box::pin(async move {
            let listening = self.listen(subject.to_owned(), group.map(ToOwned::to_owned), delivery);
            Ok(Box::new(listening) as Subscription)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_fit_word_by_word() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a", false),
            ("a", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("*.b", "a.b", true),
        ] {
            assert_eq!(fits(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    #[tokio::test]
    async fn a_group_shares_and_others_all_have_it() {
        let local = Local::default();
        let counts: Vec<Arc<AtomicU64>> = (0..4).map(|_| Arc::default()).collect();
        let delivery = |count: &Arc<AtomicU64>| -> Delivery {
            let count = Arc::clone(count);
            Arc::new(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Box::pin(async {})
            })
        };
        let none = Config::new();
        let mut subscriptions = Vec::new();
        for (count, group) in counts.iter().zip([Some("g"), Some("g"), None, None]) {
            subscriptions.push(local.subscribe(&none, "a.*", group, delivery(count)).await.unwrap());
        }
        let message = Message { subject: "a.b".into(), body: Vec::new(), reply_to: None, id: None };
        for _ in 0..10 {
            local.publish(&none, message.clone()).await.unwrap();
        }
        let told: Vec<u64> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(told, [5, 5, 10, 10]);
        subscriptions.clear();
        assert!(local.request(&none, message, Duration::from_secs(1)).await.is_err());
    }
}
