//! More links than fit into a message.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};
use interop::{no, yes};
use serde_json::{Value as Json, json};
use wasmcloud_control_interface::Link;

use crate::support::{Site, get, until};

/// Sources, and the links of each.
const SOURCES: usize = 1_000;
const EACH: usize = 10;
/// How many are put at once.
const AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_links_are_put_read_and_there_after_a_restart() {
    let mut site = Site::empty(true).await;
    site.lattice.nats = None;
    site.lattice.serve_with(true, "max_payload: 8MB");
    site.ask_anew().await;
    let mut site = site.join(&["orchard"], true, &[]);
    let nats = site.lattice.nats().await;
    let start = Instant::now();
    let put = stream::iter(0..SOURCES * EACH).map(|n| {
        let link = json!({
            "source_id": format!("source{}", n % SOURCES), "target": format!("target{}", n / SOURCES),
            "name": format!("link{}", n / SOURCES), "wit_namespace": "wasi", "wit_package": "keyvalue",
            "interfaces": ["store", "atomics"], "source_config": [], "target_config": [],
        });
        let asked = nats.request("wasmbus.ctl.v1.default.link.put", link.to_string().into());
        async move {
            let reply: Json = serde_json::from_slice(&asked.await.unwrap().payload).unwrap();
            assert_eq!(reply["success"], true, "{reply}");
        }
    });
    put.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    println!("{} links are put in {:?}", SOURCES * EACH, start.elapsed());
    let all = |links: &Vec<Link>| {
        let links: BTreeSet<_> =
            links.iter().map(|link| (link.source_id(), link.name(), link.target())).collect();
        links.len()
    };
    assert_eq!(all(&yes(site.client.get_links().await).unwrap()), SOURCES * EACH);
    site.start("orchard", "greeter", 5, 60).await;
    site.start("orchard", "caller", 5, 60).await;
    site.link("caller", "greeter", "interop:greet/greeter", (&[], &[])).await;
    let url = site.serve("orchard", "caller").await;
    until(async || get(&format!("{url}/you")).unwrap().0, |status| *status == 200).await;
    site.serves("orchard").await;
    site.settle("orchard");

    // Another host knows them all from the buckets.
    let mut site = site.join(&["late"], true, &[]);
    let known = async || yes(site.client.get_links().await).unwrap();
    assert_eq!(all(&until(known, |links| links.len() == SOURCES * EACH + 2).await), SOURCES * EACH + 2);
    site.serves("late").await;

    // A server that takes less at once: that it is too much is the answer, and one by one they change on.
    site.lattice.nats = None;
    site.host("late").wait_for("does not answer");
    site.lattice.serve(true);
    site.host("late").wait_for("links and configuration are at hand");
    site.ask_anew().await;
    no(site.client.get_links().await, "raise the server's `max_payload`");
    yes(site.client.delete_link("source7", "link7", "wasi", "keyvalue").await);
    site.serves("late").await;

    // What a source is linked to is kept in one message too.
    let wide = |n: usize| {
        let interfaces = (0..2_000).map(|i| format!("interface-{n}-{i}-{}", "x".repeat(80))).collect();
        let link = Link::builder().source_id("wide").target("target").name(&format!("link{n}"));
        link.wit_namespace("wasi").wit_package("wide").interfaces(interfaces).build().unwrap()
    };
    let mut count = 0;
    let refused = loop {
        let reply = site.client.put_link(wide(count)).await.unwrap();
        if !reply.succeeded() {
            break reply.message().to_owned();
        }
        count += 1;
        assert!(count < 20, "there is no end to it");
    };
    assert!(count > 2 && refused.contains("`COMPONENT_wide` cannot be kept"), "{count}: {refused}");
    // What was there is there still, and can go.
    yes(site.client.delete_link("wide", "link0", "wasi", "wide").await);
    yes(site.client.put_link(wide(count)).await);
    site.serves("late").await;
    site.settle("late");
}
