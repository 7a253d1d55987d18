//! Requests that are not as they should be, on every subject of the control interface.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::{self, kv};
use futures::StreamExt as _;
use interop::yes;
use serde_json::{Map, Value as Json, json};
use tokio::time::timeout;
use wasmcloud_control_interface::Link;

use crate::support::{Site, until};

/// How many requests of each kind.
const COUNT: usize = 120;
/// What chooses them; `ABIDE_FAULTS_SEED` says otherwise.
const SEED: u64 = 8_417;
/// How long all of a kind may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Most bytes of an answer that says what is wrong.
const REFUSAL_MAX: usize = 2 << 10;

/// Numbers that are those of a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }
}

/// A request that is as it should be.
struct Request {
    /// Below the lattice; `HOST` stands for the host.
    subject: &'static str,
    body: Json,
    /// What it cannot be without: names, and a value of the kind.
    needs: &'static [&'static str],
    /// Whether what is well may be answered by nothing.
    bids: bool,
}

fn requests() -> Vec<Request> {
    let request = |subject, body, needs| Request { subject, body, needs, bids: false };
    let auction = |kind: &str| json!({ format!("{kind}_ref"): "a", format!("{kind}_id"): "a", "constraints": { "zone": "south" } });
    let link = json!({
        "source_id": "source", "target": "target", "name": "default", "wit_namespace": "wasi", "wit_package": "http",
        "interfaces": ["incoming-handler"], "source_config": [], "target_config": [],
    });
    let scale = json!({
        "component_ref": "file:///nowhere/x.wasm", "component_id": "x", "host_id": "HOST", "count": 2, "config": [],
        "annotations": { "a": "b" }, "component_limits": { "max_execution_time": "1" }, "allow_update": false,
    });
    let start = json!({ "provider_ref": "abide+builtin://keyvalue", "provider_id": "values", "host_id": "HOST", "config": [] });
    vec![
        request("host.ping", json!({}), &[]),
        request("host.get.HOST", json!({}), &[]),
        request("host.stop.HOST", json!({ "host_id": "NOTHER", "timeout": 1 }), &[]),
        Request {
            bids: true,
            ..request("component.auction", auction("component"), &["component_ref", "component_id"])
        },
        Request {
            bids: true,
            ..request("provider.auction", auction("provider"), &["provider_ref", "provider_id"])
        },
        request("component.scale.HOST", scale, &["component_ref", "component_id"]),
        request(
            "component.update.HOST",
            json!({ "component_id": "x", "new_component_ref": "y" }),
            &["component_id", "new_component_ref"],
        ),
        request("provider.start.HOST", start, &["provider_ref", "provider_id"]),
        request("provider.stop.HOST", json!({ "provider_id": "values" }), &["provider_id"]),
        request("label.put.HOST", json!({ "key": "row", "value": "7" }), &["key", "value"]),
        request("label.del.HOST", json!({ "key": "row" }), &["key"]),
        request("link.put", link, &["source_id", "target", "wit_namespace", "wit_package", "interfaces"]),
        request(
            "link.del",
            json!({ "source_id": "source", "name": "default", "wit_namespace": "wasi", "wit_package": "http" }),
            &["source_id", "wit_namespace", "wit_package"],
        ),
        request("link.get", json!({}), &[]),
        request("claims.get", json!({}), &[]),
        request("config.put.web", json!({ "address": "0.0.0.0:80" }), &["address"]),
        request("config.get.web", json!({}), &[]),
        request("config.del.web", json!({}), &[]),
        request(
            "registry.put",
            json!({ "registry.example": { "username": "a", "registryType": "oci" } }),
            &["registry.example"],
        ),
        request("component.none.HOST", json!({}), &[]),
        request("host.none.HOST", json!({}), &[]),
        request("label.none.HOST", json!({}), &[]),
        request("provider.none.HOST", json!({}), &[]),
        request("link.none", json!({}), &[]),
        request("config.none", json!({}), &[]),
        request("config.put.we.b", json!({ "a": "b" }), &[]),
    ]
}

impl Request {
    /// Whether its body is read at all.
    fn is_read(&self) -> bool {
        !self.needs.is_empty() || self.subject.starts_with("host.stop")
    }

    /// Whether a body cannot be one of these, whatever else is in it.
    fn is_wrong(&self, body: &[u8]) -> bool {
        if !body.trim_ascii_start().starts_with(b"{") || !body.contains(&b'}') {
            return true;
        }
        let Ok(Json::Object(map)) = serde_json::from_slice(body) else { return false };
        let kind = std::mem::discriminant::<Json>;
        // Where names are free, it is their values that have to be of the kind.
        if let ("config.put.web" | "registry.put", Json::Object(well)) = (self.subject, &self.body) {
            return map.values().any(|value| well.values().any(|well| kind(value) != kind(well)));
        }
        self.needs
            .iter()
            .any(|name| map.get(*name).is_none_or(|value| kind(value) != kind(&self.body[*name])))
    }

    /// Whether it might come to what no test wants: a host that stops.
    fn is_forbidden(&self, body: &[u8]) -> bool {
        let body = body.trim_ascii_start();
        let names_another = body.windows(19).any(|part| part == &br#""host_id":"NOTHER""#[..]);
        self.subject.starts_with("host.stop") && (body.is_empty() || body.starts_with(b"{") && !names_another)
    }
}

/// A body that something happened to.
fn mutated(body: &Json, random: &mut Random, payload_max: usize) -> Vec<u8> {
    let text = body.to_string().into_bytes();
    let names: Vec<String> = body.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    let with = |name: &str, value: Json| {
        let mut map = body.as_object().cloned().unwrap_or_default();
        map.insert(name.to_owned(), value);
        Json::Object(map).to_string().into_bytes()
    };
    let name = if names.is_empty() { "a".to_owned() } else { random.of(&names).clone() };
    match random.below(14) {
        0 => text[..random.below(text.len())].to_vec(),
        1 | 2 => {
            let mut text = text;
            for _ in 0..=random.below(8) {
                let at = random.below(text.len());
                text[at] ^= 1 << random.below(8);
            }
            text
        }
        3 | 4 => {
            let wrong = [
                json!(null),
                json!(7),
                json!(-1),
                json!(0.5),
                json!(true),
                json!("text"),
                json!([1]),
                json!({ "a": 1 }),
                json!([[]]),
            ];
            with(&name, random.of(&wrong).clone())
        }
        5 => {
            let mut map: Map<String, Json> = body.as_object().cloned().unwrap_or_default();
            map.remove(&name);
            Json::Object(map).to_string().into_bytes()
        }
        // A text as long as there may be, with all else as it was; or with characters that nobody expects.
        6 | 7 => {
            let sizes = [
                0,
                1_024,
                1_025,
                65_536,
                payload_max / 2,
                payload_max.saturating_sub(text.len() + 2 + name.len()),
            ];
            with(&name, "x".repeat(*random.of(&sizes)).into())
        }
        8 => with(
            &name,
            (*random.of(&[
                "\0",
                " ",
                "*",
                ">",
                "a.b",
                "ä\u{202e}\u{feff}",
                "$JS.API.>",
                "../..",
                "SECRET_x",
                "\u{10ffff}",
            ]))
            .into(),
        ),
        9 => {
            let depth = *random.of(&[10, 127, 128, 1_000, payload_max / 2 - 64]);
            let nested = format!("{{{}:{}{}}}", json!(name), "[".repeat(depth), "]".repeat(depth));
            nested.into_bytes()
        }
        10 => {
            let size = random.below(256);
            (0..size).map(|_| random.next().to_le_bytes()[0]).collect()
        }
        11 => {
            let number = *random.of(&[
                "1e999",
                "-0",
                "18446744073709551616",
                "-9223372036854775809",
                "0x1",
                "NaN",
                "01",
            ]);
            format!("{{{}:{number}}}", json!(name)).into_bytes()
        }
        12 => match random.below(5) {
            0 => Vec::new(),
            1 => format!("[{body}]").into_bytes(),
            2 => json!(body.to_string()).to_string().into_bytes(),
            3 => format!("\u{feff}{body}").into_bytes(),
            _ => format!("{body}{body}").into_bytes(),
        },
        // A name that is there twice.
        _ => {
            let inner = body.to_string();
            format!("{{{}:7,{}", json!(name), inner.trim_start_matches('{')).into_bytes()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_is_answered_and_the_host_goes_on() {
    let seed =
        std::env::var("ABIDE_FAULTS_SEED").map_or(SEED, |seed| seed.parse().expect("a seed is a number"));
    println!("ABIDE_FAULTS_SEED={seed}");
    let mut site = Site::new(&["orchard"], &[]).await;
    let id = site.id("orchard").await;
    let nats = site.lattice.nats().await;
    let payload_max = nats.server_info().max_payload;
    let mut random = Random(seed);
    for request in requests() {
        let subject = format!("wasmbus.ctl.v1.default.{}", request.subject.replace("HOST", &id));
        let inbox = nats.new_inbox();
        let mut answers = nats.subscribe(format!("{inbox}.*")).await.unwrap();
        let mut asked: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for n in 0..COUNT {
            let mut body = mutated(&request.body, &mut random, payload_max);
            body.truncate(payload_max);
            if request.is_forbidden(&body) {
                continue;
            }
            // Some do not say where an answer goes.
            if n % 10 == 9 {
                nats.publish(subject.clone(), body.into()).await.unwrap();
                continue;
            }
            let reply = format!("{inbox}.{n}");
            nats.publish_with_reply(subject.clone(), reply, body.clone().into()).await.unwrap();
            asked.insert(n.to_string(), body);
        }
        nats.flush().await.unwrap();
        let shown = |n: &String| {
            let body = &asked[n];
            let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
            format!("{subject} {n} ({} bytes): {text}", body.len())
        };
        let awaited = |n: &&String| !request.bids || request.is_wrong(&asked[*n]);
        let mut left: BTreeSet<&String> = asked.keys().filter(awaited).collect();
        while !left.is_empty() {
            let Ok(answer) = timeout(LIMIT, answers.next()).await else {
                panic!(
                    "nothing answers {} of {}, such as {}",
                    left.len(),
                    asked.len(),
                    shown(left.first().unwrap())
                )
            };
            let answer = answer.unwrap();
            let n = answer.subject.rsplit('.').next().unwrap().to_owned();
            let is_first = left.remove(&n) || request.bids;
            assert!(is_first, "answered twice: {}", shown(&n));
            let reply: Json = serde_json::from_slice(&answer.payload).expect("an answer is JSON");
            let (success, message) =
                (reply["success"].as_bool().unwrap(), reply["message"].as_str().unwrap());
            assert!(
                success || !message.is_empty() && message.len() < REFUSAL_MAX,
                "{}: {message:.300}",
                shown(&n)
            );
            let is_wrong = request.is_read() && request.is_wrong(&asked[&n]);
            assert!(!(success && is_wrong), "{}: {reply}", shown(&n));
        }
        // It still says who it is, and what runs on it.
        assert_eq!(site.id("orchard").await, id);
        let inventory = yes(site.client.get_host_inventory(&id).await).unwrap();
        assert!(inventory.components().iter().any(|one| one.id() == "lamp-orchard"), "{}", request.subject);
    }
    site.serves("orchard").await;
    site.settle("orchard");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_into_the_buckets_does_no_harm() {
    let mut site = Site::new(&["orchard"], &[]).await;
    let nats = site.lattice.nats().await;
    let context = jetstream::new(nats);
    let mut random = Random(SEED);
    let specification = json!({ "url": "x", "links": [{
        "source_id": "a", "target": "b", "wit_namespace": "c", "wit_package": "d", "interfaces": ["e"],
    }] });
    let stores: [(kv::Store, &str, Json); 3] = [
        (context.get_key_value("LATTICEDATA_default").await.unwrap(), "COMPONENT_", specification),
        (context.get_key_value("LATTICEDATA_default").await.unwrap(), "CLAIMS_", json!({ "tags": ["a"] })),
        (context.get_key_value("CONFIGDATA_default").await.unwrap(), "", json!({ "a": "b" })),
    ];
    for (store, prefix, value) in &stores {
        for n in 0..60 {
            let mut body = mutated(value, &mut random, 64 << 10);
            body.truncate(64 << 10);
            store.put(format!("{prefix}bad{n}"), body.into()).await.unwrap();
        }
    }
    // Once the last one is known, so are all before it.
    let known = json!({ "a": "known" }).to_string();
    stores[2].0.put("known", known.into()).await.unwrap();
    until(async || yes(site.client.get_config("known").await), Option::is_some).await;
    yes(site.client.get_links().await);
    yes(site.client.get_claims().await);
    let link = |source: &str| {
        let link = Link::builder().source_id(source).target("new").name("default").wit_namespace("wasi");
        link.wit_package("http").interfaces(vec!["incoming-handler".to_owned()]).build().unwrap()
    };
    for n in 0..60 {
        yes(site.client.put_link(link(&format!("bad{n}"))).await);
    }
    site.serves("orchard").await;
    site.settle("orchard");
}
