//! A broker that ends, that stands still, and that is out of reach; and one that keeps nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use interop::{PATIENCE, Proxy, Way, no, yes};
use tokio::time::timeout;
use wasmcloud_control_interface::Link;

use crate::support::{Site, get, until};

const APART: &str = "does not answer";
const READY: &str = "links and configuration are at hand";
/// How many ticks pass while the host is apart.
const TICKS: u64 = 50;

impl Site {
    /// Two hosts with something behind each way to the first: an HTTP server, a subscription, the other host, links, configuration.
    async fn busy() -> (Self, String) {
        let mut site = Self::new(&["first", "second"], &[]).await;
        let url = site.deploy().await;
        (site, url)
    }

    async fn deploy(&mut self) -> String {
        self.start("first", "echo", 5, 60).await;
        self.start("first", "caller", 5, 60).await;
        self.start("second", "greeter", 5, 60).await;
        self.link("caller", "greeter", "interop:greet/greeter", (&[], &[])).await;
        self.subscribe("first", "echo", "echo.>").await;
        let url = self.serve("first", "caller").await;
        self.works(&url).await;
        url
    }

    /// Holds that everything works that worked before.
    async fn works(&mut self, url: &str) {
        let nats = self.lattice.nats().await;
        // Whoever asks first may be there before the host is.
        let start = Instant::now();
        while !matches!(timeout(Duration::from_secs(1), nats.request("echo.one", "hello".into())).await, Ok(Ok(answer)) if &*answer.payload == b"hello")
        {
            assert!(start.elapsed() < PATIENCE, "it takes no messages");
        }
        let greeted = async || get(&format!("{url}/you")).unwrap();
        until(greeted, |answer| *answer == (200, "Ok(\"hello you [a,b]\")\n".to_owned())).await;
        let links =
            until(async || yes(self.client.get_links().await).unwrap(), |links| links.len() == 4).await;
        assert!(links.iter().any(|link| (link.source_id(), link.target()) == ("caller", "greeter")));
        let config = until(async || yes(self.client.get_config("subjects").await), Option::is_some).await;
        assert_eq!(config.unwrap()["subscriptions"], "echo.>");
        let id = self.id("first").await;
        let inventory = yes(self.client.get_host_inventory(&id).await).unwrap();
        let mut runs: Vec<&str> = inventory.components().iter().map(|one| one.id()).collect();
        runs.sort_unstable();
        assert_eq!(runs, ["caller", "echo", "lamp-first"]);
        assert_eq!(inventory.providers().len(), 2);
        yes(self.client.put_label(&id, "row", "7").await);
    }

    /// Holds that objects go on, and how it is said that the lattice is away.
    async fn is_apart(&self) {
        self.host("first").wait_for(APART);
        let before = self.lattice.ticks("first");
        self.ticks("first", before + TICKS).await;
    }

    /// Holds that the host has come back, with all that it had.
    async fn is_back(&mut self, url: &str) {
        self.host("first").wait_for(READY);
        self.ask_anew().await;
        self.works(url).await;
        // What is put now counts: the buckets are open again.
        self.config("new", &[("a", "b")]).await;
    }

    fn end(&mut self) {
        self.settle("first");
        self.settle("second");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_started_again_is_joined_again() {
    let (mut site, url) = Site::busy().await;
    for _ in 0..2 {
        // Killed: it says nothing to anyone.
        site.lattice.nats = None;
        site.is_apart().await;
        // What needs no broker is served, and what does is an error and no silence.
        assert_eq!(get(&format!("{url}/you")).unwrap(), (500, "the component did not answer\n".to_owned()));
        site.lattice.serve(true);
        site.is_back(&url).await;
    }
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stands_still_is_noticed_and_joined_again() {
    let (mut site, url) = Site::busy().await;
    let nats = site.lattice.nats.as_ref().unwrap();
    nats.signal("STOP");
    let start = Instant::now();
    site.is_apart().await;
    assert!(start.elapsed() < Duration::from_secs(30), "it took {:?}", start.elapsed());
    assert_eq!(get(&format!("{url}/you")).unwrap(), (500, "the component did not answer\n".to_owned()));
    site.lattice.nats.as_ref().unwrap().signal("CONT");
    site.is_back(&url).await;
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_the_broker_that_is_slow_stalls_or_is_cut_is_lived_with() {
    let mut site = Site::empty(true).await;
    let proxy = Proxy::to(site.lattice.port).await;
    site.hosts.insert("first", site.lattice.host_over(proxy.port, "first", true, &[]));
    let mut site = site.join(&["second"], true, &[]);
    let url = site.deploy().await;
    // Slow is not away: nothing is said, and everything works.
    proxy.set(Way::Slow(Duration::from_millis(150)));
    site.works(&url).await;
    for way in [Way::Cut, Way::Stalled] {
        proxy.set(way);
        site.is_apart().await;
        // The others go on without it.
        site.serves("second").await;
        proxy.set(Way::Open);
        site.is_back(&url).await;
    }
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_what_can_be_served_is_and_it_is_taken_up_when_it_comes() {
    let site = Site::empty(false).await;
    let mut site = site.join(&["orchard"], false, &[]);
    let absent = "JetStream is not to be had, so links and configuration cannot be set";
    let without = "JetStream does not answer, and without it nothing is kept";
    let link = || {
        let link =
            Link::builder().source_id("caller").target("greeter").name("default").wit_namespace("interop");
        link.wit_package("greet").interfaces(vec!["greeter".to_owned()]).build().unwrap()
    };
    site.host("orchard").wait_for(absent);
    let web = HashMap::from([("a".to_owned(), "b".to_owned())]);
    no(site.client.put_config("web", web.clone()).await, without);
    no(site.client.delete_config("web").await, without);
    no(site.client.put_link(link()).await, without);
    // What needs no bucket is done.
    site.start("orchard", "greeter", 5, 60).await;
    site.provide("orchard", "messaging-nats", &[]).await;
    let id = site.id("orchard").await;
    yes(site.client.put_label(&id, "row", "7").await);
    site.serves("orchard").await;

    // It comes, goes and comes again, and keeps what it holds.
    for jetstream in [true, false, true] {
        site.lattice.nats = None;
        site.host("orchard").wait_for(APART);
        site.lattice.serve(jetstream);
        site.host("orchard").wait_for(if jetstream { READY } else { absent });
        site.ask_anew().await;
        if jetstream {
            site.config("web", &[("a", "b")]).await;
            yes(site.client.put_link(link()).await);
        } else {
            no(site.client.put_link(link()).await, without);
        }
        // A host goes on by what it knew last.
        assert_eq!(
            until(async || yes(site.client.get_links().await).unwrap(), |links| !links.is_empty())
                .await
                .len(),
            1
        );
        assert_eq!(yes(site.client.get_config("web").await), Some(web.clone()));
        site.serves("orchard").await;
    }
    // A host that comes anew finds it in the buckets.
    site.settle("orchard");
    let mut site = site.join(&["late"], true, &[]);
    assert_eq!(
        until(async || yes(site.client.get_links().await).unwrap(), |links| !links.is_empty()).await.len(),
        1
    );
    assert_eq!(yes(site.client.get_config("web").await), Some(web));
    site.serves("late").await;
    site.settle("late");
}
