//! More than a host can take: what is too much is refused or dropped and told, and the host goes on.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::Client;
use futures::StreamExt as _;
use interop::{PATIENCE, Running};
use serde_json::{Value as Json, json};
use tokio::time::timeout;

use crate::support::{Site, until};

/// How much more memory a host may have while it is flooded: less than what comes.
const MORE_MAX: u64 = 150 << 20;

/// What comes to a subject of the test's own.
#[derive(Clone, Default)]
struct Answers {
    good: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Answers {
    /// Counts what comes to a subject: as refused where `is_refused` says so.
    async fn to(nats: &Client, subject: &str, is_refused: fn(&[u8]) -> bool) -> Self {
        let answers = Self::default();
        let mut come = nats.subscribe(subject.to_owned()).await.unwrap();
        nats.flush().await.unwrap();
        let counted = answers.clone();
        tokio::spawn(async move {
            while let Some(answer) = come.next().await {
                let which = if is_refused(&answer.payload) { &counted.refused } else { &counted.good };
                which.fetch_add(1, Ordering::Relaxed);
            }
        });
        answers
    }

    fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// How many messages a host says that nobody handled.
fn lost(host: &Running) -> u64 {
    let of = |line: String| {
        let (_, rest) = line.split_once("lattice `default`: ").unwrap_or_default();
        match rest.split_once(" messages of `flood.>` came faster") {
            Some((count, _)) => count.parse().unwrap(),
            None => u64::from(line.contains("none ended in time")),
        }
    };
    host.said.try_iter().map(of).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_faster_than_they_are_taken_are_dropped_and_told() {
    const COUNT: u64 = 50_000;
    let mut site = Site::new(&["orchard"], &[]).await;
    site.start("orchard", "echo", 1, 1).await;
    site.subscribe("orchard", "echo", "flood.>").await;
    let nats = site.lattice.nats().await;
    let answers = Answers::to(&nats, "answers", |_| false).await;
    let takes = async || {
        let asked = nats.request("flood.first", "hello".into());
        timeout(Duration::from_secs(1), asked).await.is_ok_and(|answer| answer.is_ok())
    };
    until(takes, |taken| *taken).await;
    let host = site.host("orchard");
    let before = host.memory();
    nats.publish_with_reply("flood.slow", "nobody", "spin".into()).await.unwrap();
    let body = vec![b'x'; 4 << 10];
    for _ in 0..COUNT {
        nats.publish_with_reply("flood.one", "answers", body.clone().into()).await.unwrap();
    }
    nats.flush().await.unwrap();
    let (start, mut told, mut most) = (Instant::now(), 0, 0);
    while told + answers.good() < COUNT {
        assert!(start.elapsed() < PATIENCE, "{told} told and {} answered of {COUNT}", answers.good());
        told += lost(host);
        most = most.max(host.memory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told + answers.good(), COUNT);
    assert!(told > COUNT / 10 && answers.good() > 100, "{told} of {COUNT} are lost");
    assert!(most < before + MORE_MAX, "it has {most} bytes of memory, and had {before}");
    // It takes what comes now.
    until(takes, |taken| *taken).await;
    site.serves("orchard").await;
    site.settle("orchard");
}

fn is_refused(answer: &[u8]) -> bool {
    let answer: Json = serde_json::from_slice(answer).unwrap();
    !answer["success"].as_bool().unwrap() && answer["message"].as_str().unwrap().contains("ask again later")
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_too_many_are_refused_and_each_is_answered() {
    const COUNT: u64 = 4_000;
    let mut site = Site::new(&["orchard"], &[]).await;
    let id = site.id("orchard").await;
    let before = site.host("orchard").memory();
    let nats = site.lattice.nats().await;
    let answers = Answers::to(&nats, "answers", is_refused).await;
    let subject = |what: &str| format!("wasmbus.ctl.v1.default.{what}");
    let (inventory, scale) = (subject(&format!("host.get.{id}")), subject(&format!("component.scale.{id}")));
    let config = subject("config.get.web");
    let long = "x".repeat(8 << 10);
    for n in 0..COUNT {
        let asked = json!({
            "component_ref": "file:///nowhere/x.wasm", "component_id": format!("x{n}"), "count": 1, "annotations": { "a": long },
        });
        for (subject, body) in
            [(&inventory, String::new()), (&config, long.clone()), (&scale, asked.to_string())]
        {
            nats.publish_with_reply(subject.clone(), "answers", body.into()).await.unwrap();
        }
    }
    nats.flush().await.unwrap();
    // Who asks something else meanwhile is not kept waiting behind them.
    let start = Instant::now();
    until(async || site.client.get_hosts().await.unwrap().len(), |count| *count == 1).await;
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
    let mut most = 0;
    while answers.good() + answers.refused() < 3 * COUNT {
        let (good, refused) = (answers.good(), answers.refused());
        assert!(start.elapsed() < PATIENCE, "{good} and {refused} are answered");
        most = most.max(site.host("orchard").memory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{} are refused", answers.refused());
    assert!(answers.good() > 1_000 && answers.refused() > 0, "{} are refused", answers.refused());
    assert!(most < before + MORE_MAX, "it has {most} bytes of memory, and had {before}");
    site.serves("orchard").await;
    site.settle("orchard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_never_answers_holds_up_so_much_and_no_more() {
    const COUNT: u64 = 1_500;
    // It takes connections, and says nothing.
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = registry.local_addr().unwrap().to_string();
    let mut site = Site::new(&["orchard"], &["--allowed-insecure", &at]).await;
    let id = site.id("orchard").await;
    let nats = site.lattice.nats().await;
    let answers = Answers::to(&nats, "answers", is_refused).await;
    let subject = format!("wasmbus.ctl.v1.default.component.scale.{id}");
    for n in 0..COUNT {
        let asked = json!({ "component_ref": format!("{at}/x:1.{n}.0"), "component_id": format!("x{n}"), "count": 1 });
        nats.publish_with_reply(subject.clone(), "answers", asked.to_string().into()).await.unwrap();
        if n % 100 == 99 {
            until(async || answers.good() + answers.refused(), |count| *count > n).await;
        }
    }
    assert!(answers.refused() > 0 && answers.good() > 500, "{} are refused", answers.refused());
    site.serves("orchard").await;
    // It ends all the same.
    site.settle("orchard");
    drop(registry);
}
