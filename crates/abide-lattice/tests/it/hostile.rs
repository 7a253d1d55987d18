//! Whatever comes over the lattice, a host goes on, and what it answers is what a client can read.

use abide_lattice::{Bucket, Handled, Subject};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support::{HOST, Host, PREFIX};

fn config(cases: u32) -> ProptestConfig {
    let own = ProptestConfig::default();
    let seed = if own.rng_seed == RngSeed::Random { RngSeed::Fixed(2026) } else { own.rng_seed };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { own.cases } else { cases };
    ProptestConfig { cases, rng_seed: seed, failure_persistence: None, ..own }
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
        "count",
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

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64),
        3 => json().prop_map(|json| json.to_string().into_bytes()),
        2 => link().prop_map(|json| json.to_string().into_bytes()),
        1 => json().prop_map(|json| {
            let text = json.to_string().into_bytes();
            text.get(..text.len() / 2).unwrap_or_default().to_vec()
        }),
    ]
}

/// What a client and the buckets rely on, whatever was asked.
fn check(handled: &Handled) -> Result<(), TestCaseError> {
    if let Some(reply) = &handled.reply {
        let text = reply.to_string();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert!(read["success"].is_boolean() && read["message"].is_string(), "{text}");
        let refused = read["success"] == false;
        prop_assert!(!refused || (handled.write.is_none() && !handled.stop), "refused, and done: {text}");
    } else {
        prop_assert_eq!(handled, &Handled::default());
    }
    if let Some(write) = &handled.write {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'=');
        prop_assert!(!write.key.is_empty() && write.key.bytes().all(allowed), "{}", write.key);
    }
    for event in &handled.events {
        prop_assert!(event.data.is_object(), "{event:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(400))]

    /// Also when what came before is kept, and when other hosts write anything into the buckets.
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
            if let Some(write) = handled.write.filter(|_| *kept) {
                let value = write.value.map(|value| value.to_string().into_bytes());
                host.control.learn(write.bucket, &write.key, value.as_deref(), 2);
            }
        }
        prop_assert_eq!(&host.yes("host.ping", "").1["id"], HOST);
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
