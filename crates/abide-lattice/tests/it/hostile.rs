//! Whatever comes over the lattice, a host goes on, and what it answers is what a client can read.

use std::collections::BTreeMap;

use abide_lattice::{
    Action, Bucket, Component, Entry, Handled, Inventory, Learned, Link, Performed, Provider, Subject,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support::{HOST, Host, PREFIX, own, server, web};

fn config(cases: u32) -> ProptestConfig {
    let own = ProptestConfig::default();
    let seed = if own.rng_seed == RngSeed::Random { RngSeed::Fixed(2026) } else { own.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { own.cases } else { cases };
    ProptestConfig { cases, rng_seed: seed, failure_persistence: None, ..own }
}

/// Every request that there is.
fn requests() -> Vec<String> {
    let host =
        ["host.get", "host.stop", "component.scale", "component.update", "provider.start", "provider.stop"];
    let host = host.into_iter().chain(["label.put", "label.del"]).map(own);
    let all = [
        "host.ping",
        "component.auction",
        "provider.auction",
        "link.put",
        "link.del",
        "link.get",
        "claims.get",
        "config.put.a",
        "config.del.a",
        "config.get.a",
        "registry.put",
        "none",
    ];
    host.chain(all.map(str::to_owned)).collect()
}

/// Subjects: those that there are, for this host and for others, and some that are none.
fn subject() -> impl Strategy<Value = String> {
    let area = prop::sample::select(vec![
        "host",
        "component",
        "provider",
        "label",
        "link",
        "claims",
        "config",
        "registry",
    ]);
    let verb = prop::sample::select(vec![
        "ping", "get", "put", "del", "stop", "start", "scale", "update", "auction",
    ]);
    let rest = prop_oneof![
        4 => Just(format!(".{HOST}")),
        1 => Just(String::new()),
        2 => "\\.[a-z]{1,3}",
        1 => "\\.\\PC{0,8}",
    ];
    prop_oneof![
        8 => prop::sample::select(requests()).prop_map(|what| format!("{PREFIX}.v1.default.{what}")),
        8 => (area, verb, rest).prop_map(|(area, verb, rest)| format!("{PREFIX}.v1.default.{area}.{verb}{rest}")),
        1 => "\\PC{0,24}".prop_map(|rest| format!("{PREFIX}.v1.default.{rest}")),
        1 => "\\PC{0,40}",
    ]
}

/// JSON with the keys that requests have, and values that need not fit them.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let keys = [
        "key",
        "value",
        "source_id",
        "target",
        "name",
        "wit_namespace",
        "wit_package",
        "interfaces",
        "source_config",
        "target_config",
        "component_ref",
        "component_id",
        "new_component_ref",
        "count",
        "component_limits",
        "config",
        "allow_update",
        "constraints",
        "host_id",
        "annotations",
        "provider_ref",
        "provider_id",
        "links",
        "url",
    ];
    let text = prop_oneof![4 => "[a-c]{1,2}", 1 => "\\PC{0,6}", 1 => Just(HOST.to_owned()), 1 => Just("SECRET_a".to_owned())];
    let leaf = prop_oneof![
        6 => text.prop_map(Into::into),
        1 => any::<i64>().prop_map(Into::into),
        1 => any::<bool>().prop_map(Into::into),
        1 => Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(3, 32, 12, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            4 => prop::collection::btree_map(prop::sample::select(keys.to_vec()), inner, 0..12)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn link() -> impl Strategy<Value = serde_json::Value> {
    let text = "[a-c]";
    let list = prop::collection::vec("[a-c]", 0..3);
    (text, text, text, list.clone(), list).prop_map(|(source, target, name, interfaces, config)| {
        serde_json::json!({
            "source_id": source, "target": target, "name": name, "wit_namespace": "n", "wit_package": "p",
            "interfaces": interfaces, "source_config": config,
        })
    })
}

/// What components, providers and auctions are asked for by.
fn order() -> impl Strategy<Value = serde_json::Value> {
    let id = prop::sample::select(vec!["lamp", "web", "server", "a", "b", "a b", ""]);
    let kind = prop::sample::select(vec!["component", "provider"]);
    (id, kind, "[a-c]", 0..3_u32, any::<bool>(), any::<bool>()).prop_map(
        |(id, kind, image, count, allow_update, short)| {
            let mut order = serde_json::json!({
                format!("{kind}_id"): id, format!("{kind}_ref"): image, "new_component_ref": image, "count": count,
                "allow_update": allow_update, "config": [], "constraints": {},
            });
            // A provider is told to stop by one name of its id, not by two.
            if short && kind == "provider" {
                order.as_object_mut().unwrap().remove("provider_ref");
            }
            order
        },
    )
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64),
        3 => json().prop_map(|json| json.to_string().into_bytes()),
        2 => link().prop_map(|json| json.to_string().into_bytes()),
        2 => order().prop_map(|json| json.to_string().into_bytes()),
        1 => json().prop_map(|json| {
            let text = json.to_string().into_bytes();
            text.get(..text.len() / 2).unwrap_or_default().to_vec()
        }),
    ]
}

/// What a bucket holds, each key once: what a host reads, and what it does not.
fn held() -> impl Strategy<Value = Vec<Entry>> {
    let text =
        (link(), link()).prop_map(|(one, other)| serde_json::json!({ "url": "x", "links": [one, other] }));
    let texts = prop::collection::btree_map("[a-c]", "[a-c]", 0..3).prop_map(|map| serde_json::json!(map));
    let value = prop_oneof![
        4 => text.prop_map(|json| Some(json.to_string().into_bytes())),
        4 => texts.prop_map(|json| Some(json.to_string().into_bytes())),
        1 => payload().prop_map(Some),
        1 => Just(None),
    ];
    let key = "(COMPONENT_|CLAIMS_|SECRET_|LINKDEF_|)[a-c]";
    prop::collection::btree_map(key, (value, 1..9_u64), 0..8).prop_map(|all| {
        let entry = |(key, (value, revision))| Entry { key, value, revision };
        all.into_iter().map(entry).collect()
    })
}

/// What whoever is told of all that is learned knows by it.
#[derive(Debug, Default, PartialEq)]
struct Follower {
    links: BTreeMap<String, Vec<Link>>,
    config: BTreeMap<String, BTreeMap<String, String>>,
}

impl Follower {
    fn take(&mut self, learned: Vec<Learned>) {
        for one in learned {
            match one {
                Learned::Links(source, links) if links.is_empty() => drop(self.links.remove(&source)),
                Learned::Links(source, links) => drop(self.links.insert(source, links)),
                Learned::Config(name, Some(config)) => drop(self.config.insert(name, config)),
                Learned::Config(name, None) => drop(self.config.remove(&name)),
            }
        }
    }
}

/// Does it, as a host does that can do anything.
fn perform(inventory: &mut Inventory, action: &Action) -> Performed {
    let Inventory { components, providers, .. } = inventory;
    match action {
        Action::Scale(scale) => {
            let component = Component {
                id: scale.component_id.clone(),
                image_ref: scale.component_ref.clone(),
                max_instances: scale.count,
                annotations: None,
                ..web()
            };
            components.retain(|one| one.id != component.id);
            components.extend(Some(component.clone()).filter(|one| one.max_instances > 0));
            Performed::Components(vec![component])
        }
        Action::Update(update) => {
            let one = components.iter_mut().find(|one| one.id == update.component_id).unwrap();
            one.image_ref.clone_from(&update.new_component_ref);
            Performed::Components(vec![one.clone()])
        }
        Action::StartProvider(start) => {
            let provider = Provider {
                id: start.provider_id.clone(),
                image_ref: Some(start.provider_ref.clone()),
                ..server()
            };
            providers.push(provider.clone());
            Performed::Started(provider)
        }
        Action::StopProvider(stop) => {
            let at = providers.iter().position(|one| one.id == stop.provider_id).unwrap();
            Performed::Stopped(providers.remove(at))
        }
        Action::Credentials(_) => Performed::Nothing,
    }
}

/// What a host that is to do something relies on.
fn check_action(action: &Action, inventory: &Inventory) -> Result<(), TestCaseError> {
    let running = inventory.components.iter().find(|one| one.id == action.id());
    let provides = inventory.providers.iter().any(|one| one.id == action.id());
    let allowed = match action {
        Action::Scale(_) => is_key(action.id()) && !running.is_some_and(Component::is_object),
        Action::Update(update) => {
            running.is_some_and(|one| !one.is_object() && one.image_ref != update.new_component_ref)
        }
        Action::StartProvider(_) => is_key(action.id()) && !provides,
        Action::StopProvider(_) => provides,
        Action::Credentials(_) => true,
    };
    prop_assert!(allowed, "{action:?}");
    Ok(())
}

fn is_key(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'=');
    !name.is_empty() && name.bytes().all(allowed)
}

/// What a client and the buckets rely on, whatever was asked.
fn check(handled: &Handled) -> Result<(), TestCaseError> {
    if let Some(reply) = &handled.reply {
        let text = reply.to_string();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert!(read["success"].is_boolean() && read["message"].is_string(), "{text}");
        let refused = read["success"] == false;
        let comes_to = handled.write.is_some() || handled.action.is_some() || handled.stop;
        prop_assert!(!refused || !comes_to, "refused, and done: {text}");
    } else {
        prop_assert_eq!(handled, &Handled::default());
    }
    if let Some(write) = &handled.write {
        prop_assert!(is_key(&write.key), "{}", write.key);
    }
    if handled.action.is_some() {
        prop_assert!(handled.write.is_none() && !handled.stop && handled.events.is_empty(), "{handled:?}");
    }
    for event in &handled.events {
        prop_assert!(event.data.is_object(), "{event:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(400))]

    /// Also when what came before is kept and done, and when other hosts write anything into the buckets.
    #[test]
    fn whatever_is_asked_a_host_goes_on(
        requests in prop::collection::vec((subject(), payload(), any::<bool>()), 1..24),
        keys in prop::collection::vec(("(COMPONENT_|CLAIMS_|SECRET_|LINKDEF_|)[a-c]?", payload()), 0..8),
    ) {
        let mut host = Host::new();
        for (key, value) in &keys {
            for bucket in [Bucket::Data, Bucket::Config] {
                host.control.learn(bucket, key, Some(value), 1);
            }
        }
        for (subject, payload, kept) in &requests {
            let Some(read) = Subject::read(PREFIX, "default", subject) else { continue };
            let handled = host.control.handle(&read, payload, &host.inventory);
            check(&handled)?;
            if let Some(action) = &handled.action {
                check_action(action, &host.inventory)?;
                let failed = host.control.performed(action, &Err("why".to_owned()));
                let outcome = if *kept { perform(&mut host.inventory, action) } else { Performed::Nothing };
                for event in host.control.performed(action, &Ok(outcome)).iter().chain(&failed) {
                    prop_assert_eq!(&event.data["host_id"], HOST, "{:?}", event);
                }
            }
            if let Some(write) = handled.write.filter(|_| *kept) {
                let value = write.value.map(|value| value.to_string().into_bytes());
                host.control.learn(write.bucket, &write.key, value.as_deref(), 2);
            }
        }
        prop_assert_eq!(&host.yes("host.ping", "").1["id"], HOST);
        prop_assert_eq!(host.inventory.components.iter().filter(|one| one.is_object()).count(), 1);
    }

    /// Bytes come to nothing: every request wants a map, and these are none.
    #[test]
    fn bytes_on_every_subject_come_to_nothing_to_do(
        open in any::<bool>(),
        mut bytes in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let mut host = Host::new();
        if open {
            bytes.insert(0, b'{');
        }
        let is_map = serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(&bytes).is_ok();
        for what in requests() {
            let handled = host.only_ask(&what, &bytes);
            check(&handled)?;
            prop_assert!(is_map || handled.action.is_none(), "{what}");
        }
    }

    /// On every subject; for another host, nothing at all.
    #[test]
    fn what_is_to_be_done_is_what_a_host_can_do(payload in payload()) {
        let mut host = Host::new();
        for what in requests() {
            let handled = host.only_ask(&what, &payload);
            check(&handled)?;
            if let Some(action) = &handled.action {
                prop_assert_eq!(&handled.reply.unwrap()["success"], true);
                check_action(action, &host.inventory)?;
            }
            if what.ends_with(HOST) {
                host.silent(&what.replace(HOST, "NOTHER"), &payload);
            }
        }
    }

    /// A bucket that is read anew is known as by a host that came to know it piece by piece, whatever was known before; and so it
    /// is by whoever is told.
    #[test]
    fn what_a_bucket_holds_is_all_that_is_known_of_it(
        before in (held(), held()),
        after in (held(), held()),
    ) {
        let (mut used, mut fresh) = (Host::new(), Host::new());
        let (mut follower, mut first) = (Follower::default(), Follower::default());
        for (data, config) in [&before, &after] {
            follower.take(used.control.learn_all(Bucket::Data, data));
            follower.take(used.control.learn_all(Bucket::Config, config));
        }
        for (bucket, entries) in [(Bucket::Data, &after.0), (Bucket::Config, &after.1)] {
            for Entry { key, value, revision } in entries {
                first.take(fresh.control.learn(bucket, key, value.as_deref(), *revision).into_iter().collect());
            }
        }
        prop_assert_eq!(&follower, &first);
        let all: Vec<&Link> = follower.links.values().flatten().collect();
        prop_assert_eq!(used.yes("link.get", "").1, serde_json::json!(all));
        for Entry { key, .. } in before.1.iter().chain(&after.1) {
            let known = used.yes(&format!("config.get.{key}"), "").1;
            prop_assert_eq!(known, serde_json::json!(follower.config.get(key)));
        }
        for what in ["link.get", "claims.get"] {
            prop_assert_eq!(used.yes(what, ""), fresh.yes(what, ""));
        }
        // What is written next replaces the same revision.
        for source in ["a", "b", "c"] {
            let link = serde_json::json!({
                "source_id": source, "target": "new", "wit_namespace": "n", "wit_package": "p", "interfaces": [],
            });
            let link = link.to_string();
            prop_assert_eq!(used.only_ask("link.put", &link), fresh.only_ask("link.put", &link));
        }
    }

    /// Of a source, a name and a package, no interface is linked to two targets.
    #[test]
    fn an_interface_is_linked_to_one_target(links in prop::collection::vec(link(), 1..16)) {
        let mut host = Host::new();
        for name in ["a", "b"] {
            host.yes(&format!("config.put.{name}"), "{}");
        }
        for link in &links {
            check(&host.ask("link.put", link.to_string()))?;
        }
        let all = host.yes("link.get", "").1;
        let all = all.as_array().unwrap();
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let same = ["source_id", "name"].iter().all(|key| one[key] == other[key]);
            let shared = |link: &serde_json::Value| {
                link["interfaces"].as_array().unwrap().iter().any(|i| other["interfaces"].as_array().unwrap().contains(i))
            };
            prop_assert!(!(same && one["target"] != other["target"] && shared(one)), "{one} {other}");
        }
    }
}
