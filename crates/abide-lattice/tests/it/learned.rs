//! What a host comes to know of its lattice, piece by piece and all at once.

use abide_lattice::{Bucket, Entry, Learned, Link};
use serde_json::{Value as Json, json};

use crate::support::{Host, texts};

fn link(source: &str, target: &str) -> Link {
    Link {
        source_id: source.to_owned(),
        target: target.to_owned(),
        name: "default".to_owned(),
        wit_namespace: "wasi".to_owned(),
        wit_package: "http".to_owned(),
        interfaces: vec!["incoming-handler".to_owned()],
        source_config: Vec::new(),
        target_config: Vec::new(),
    }
}

/// What a bucket holds of a component with these links.
fn specification(links: &[Link]) -> Json {
    json!({ "url": "file:///x.wasm", "links": links })
}

fn entry(key: &str, value: &Json, revision: u64) -> Entry {
    Entry { key: key.to_owned(), value: Some(value.to_string().into_bytes()), revision }
}

fn deleted(key: &str) -> Entry {
    Entry { key: key.to_owned(), value: None, revision: 0 }
}

fn links(source: &str, links: &[Link]) -> Learned {
    Learned::Links(source.to_owned(), links.to_vec())
}

/// What is known of all links.
#[track_caller]
fn known(host: &mut Host, expected: &[Link]) {
    assert_eq!(host.yes("link.get", "").1, json!(expected));
}

#[test]
fn links_of_a_source_are_learned_as_they_are_now() {
    let mut host = Host::new();
    let mut learn = |key: &str, value: Option<&Json>| {
        let value = value.map(|value| value.to_string().into_bytes());
        host.control.learn(Bucket::Data, key, value.as_deref(), 1)
    };
    let both = [link("a", "b"), link("a", "c")];
    assert_eq!(learn("COMPONENT_a", Some(&specification(&both))), Some(links("a", &both)));
    assert_eq!(learn("COMPONENT_a", Some(&specification(&both[..1]))), Some(links("a", &both[..1])));
    assert_eq!(learn("COMPONENT_a", Some(&json!({ "url": "x" }))), Some(links("a", &[])));
    assert_eq!(learn("COMPONENT_a", Some(&specification(&both))), Some(links("a", &both)));
    // An id may have what stands between it and its kind.
    assert_eq!(learn("COMPONENT_a_b", Some(&specification(&both[..1]))), Some(links("a_b", &both[..1])));
    // What is gone, and what cannot be read, has none.
    assert_eq!(learn("COMPONENT_a_b", None), Some(links("a_b", &[])));
    assert_eq!(learn("COMPONENT_x", None), Some(links("x", &[])));
    for unreadable in [json!([]), json!({ "links": [1] }), json!({ "links": {} }), json!(null)] {
        assert_eq!(learn("COMPONENT_a", Some(&specification(&both))), Some(links("a", &both)));
        assert_eq!(learn("COMPONENT_a", Some(&unreadable)), Some(links("a", &[])), "{unreadable}");
    }
    known(&mut host, &[]);
}

#[test]
fn configuration_is_learned_and_secrets_are_not() {
    let mut host = Host::new();
    let mut learn =
        |key: &str, value: Option<&str>| host.control.learn(Bucket::Config, key, value.map(str::as_bytes), 1);
    let config = |name: &str, value| Some(Learned::Config(name.to_owned(), value));
    let address = || Some(texts([("address", "0.0.0.0:80")]));
    let text = r#"{"address":"0.0.0.0:80"}"#;
    // A name is one whatever it begins with, but for what stands for a secret.
    for name in ["web", "a_b", "COMPONENT_a", "CLAIMS_a", "SECRET", "secret_a", ""] {
        assert_eq!(learn(name, Some(text)), config(name, address()));
        assert_eq!(learn(name, Some("{}")), config(name, Some(texts([]))));
        assert_eq!(learn(name, None), config(name, None));
        for unreadable in ["", "{", "[]", "null", r#"{"address":80}"#] {
            assert_eq!(learn(name, Some(text)), config(name, address()));
            assert_eq!(learn(name, Some(unreadable)), config(name, None), "{unreadable}");
        }
    }
    for value in [Some(text), Some(r#"{"backend":"vault"}"#), None] {
        assert_eq!(learn("SECRET_web", value), None);
        assert_eq!(learn("SECRET_", value), None);
    }
    for name in ["web", "SECRET_web"] {
        assert_eq!(host.yes(&format!("config.get.{name}"), "").0, "Configuration not found");
    }
}

#[test]
fn of_what_else_the_buckets_hold_nothing_is_told() {
    let mut host = Host::new();
    let claims = json!({ "name": "x" }).to_string();
    for key in ["CLAIMS_MX", "LINKDEF_x", "REFMAP_x", "component_x", "COMPONENT", "x", ""] {
        for value in [Some(claims.as_bytes()), None, Some(claims.as_bytes())] {
            assert_eq!(host.control.learn(Bucket::Data, key, value, 1), None, "{key}");
        }
    }
    // Claims are known all the same.
    assert_eq!(host.yes("claims.get", "").1, json!([{ "name": "x" }]));
    assert_eq!(host.control.learn(Bucket::Data, "CLAIMS_MX", None, 0), None);
    assert_eq!(host.yes("claims.get", "").1, json!([]));
}

#[test]
fn components_with_all_their_links_are_taken_up_at_once_and_those_that_are_gone_have_none() {
    let mut host = Host::new();
    let first = [
        entry("COMPONENT_a", &specification(&[link("a", "b")]), 1),
        entry("CLAIMS_MA", &json!({ "name": "a" }), 2),
        entry("CLAIMS_MB", &json!({ "name": "b" }), 3),
        entry("COMPONENT_c_d", &specification(&[link("c_d", "b")]), 4),
        entry("LINKDEF_x", &json!({}), 5),
        entry("COMPONENT_e", &specification(&[link("e", "b")]), 6),
    ];
    assert_eq!(
        host.control.learn_all(Bucket::Data, &first),
        [links("a", &[link("a", "b")]), links("c_d", &[link("c_d", "b")]), links("e", &[link("e", "b")])]
    );
    known(&mut host, &[link("a", "b"), link("c_d", "b"), link("e", "b")]);
    assert_eq!(host.yes("claims.get", "").1, json!([{ "name": "a" }, { "name": "b" }]));

    // One is gone, one has other links, one is as it was, one is new; and so with claims.
    let second = [
        entry("COMPONENT_e", &specification(&[link("e", "b")]), 6),
        entry("CLAIMS_MB", &json!({ "name": "b" }), 3),
        entry("COMPONENT_a", &specification(&[link("a", "c")]), 7),
        entry("COMPONENT_f", &specification(&[]), 8),
        entry("CLAIMS_MC", &json!({ "name": "c" }), 9),
    ];
    let learned = host.control.learn_all(Bucket::Data, &second);
    let told =
        [links("c_d", &[]), links("e", &[link("e", "b")]), links("a", &[link("a", "c")]), links("f", &[])];
    assert_eq!(learned, told);
    known(&mut host, &[link("a", "c"), link("e", "b")]);
    assert_eq!(host.yes("claims.get", "").1, json!([{ "name": "b" }, { "name": "c" }]));

    // Nothing is left.
    let learned = host.control.learn_all(Bucket::Data, &[]);
    assert_eq!(learned, [links("a", &[]), links("e", &[]), links("f", &[])]);
    known(&mut host, &[]);
    assert_eq!(host.yes("claims.get", "").1, json!([]));
    assert_eq!(host.control.learn_all(Bucket::Data, &[]), []);
}

#[test]
fn what_was_deleted_is_gone_also_where_the_bucket_still_says_so() {
    let mut host = Host::new();
    host.learn(Bucket::Data, "COMPONENT_a", &specification(&[link("a", "b")]));
    host.learn(Bucket::Data, "CLAIMS_MA", &json!({ "name": "a" }));
    host.learn(Bucket::Config, "web", &json!({ "address": "0.0.0.0:80" }));
    let of_data = host.control.learn_all(Bucket::Data, &[deleted("COMPONENT_a"), deleted("CLAIMS_MA")]);
    assert!(!of_data.is_empty() && of_data.iter().all(|one| *one == links("a", &[])), "{of_data:?}");
    let of_config = host.control.learn_all(Bucket::Config, &[deleted("web")]);
    let gone = Learned::Config("web".to_owned(), None);
    assert!(!of_config.is_empty() && of_config.iter().all(|one| *one == gone), "{of_config:?}");
    known(&mut host, &[]);
    assert_eq!(host.yes("claims.get", "").1, json!([]));
    assert_eq!(host.yes("config.get.web", "").0, "Configuration not found");
}

#[test]
fn all_configuration_is_taken_up_and_what_is_gone_is_none() {
    let mut host = Host::new();
    let config = |name: &str, value| Learned::Config(name.to_owned(), value);
    let address = || Some(texts([("address", "0.0.0.0:80")]));
    let first = [
        entry("web", &json!({ "address": "0.0.0.0:80" }), 1),
        entry("SECRET_web", &json!({ "backend": "vault" }), 2),
        entry("a_b", &json!({}), 3),
        entry("none", &json!([1]), 4),
    ];
    assert_eq!(
        host.control.learn_all(Bucket::Config, &first),
        [config("web", address()), config("a_b", Some(texts([]))), config("none", None)]
    );
    let second = [
        entry("SECRET_other", &json!({ "backend": "vault" }), 5),
        entry("new", &json!({ "address": "0.0.0.0:80" }), 6),
        entry("a_b", &json!({ "c": "d" }), 7),
    ];
    assert_eq!(
        host.control.learn_all(Bucket::Config, &second),
        [config("web", None), config("new", address()), config("a_b", Some(texts([("c", "d")])))]
    );
    for name in ["web", "none", "SECRET_web", "SECRET_other"] {
        assert_eq!(host.yes(&format!("config.get.{name}"), "").0, "Configuration not found");
    }
    assert_eq!(host.yes("config.get.a_b", "").1, json!({ "c": "d" }));
    // A link may name what is known, and nothing else.
    let mut asked = json!(link("a", "b"));
    asked["target_config"] = json!(["web"]);
    host.no("link.put", asked.to_string(), "there is no configuration `web`", &["linkdef_set_failed"]);
    asked["target_config"] = json!(["new"]);
    host.yes("link.put", asked.to_string());
}

#[test]
fn one_bucket_says_nothing_of_the_other() {
    let mut host = Host::new();
    host.learn(Bucket::Data, "COMPONENT_a", &specification(&[link("a", "b")]));
    host.learn(Bucket::Data, "CLAIMS_MA", &json!({ "name": "a" }));
    host.learn(Bucket::Config, "web", &json!({ "address": "0.0.0.0:80" }));
    assert_eq!(host.control.learn_all(Bucket::Config, &[]), [Learned::Config("web".to_owned(), None)]);
    known(&mut host, &[link("a", "b")]);
    assert_eq!(host.yes("claims.get", "").1, json!([{ "name": "a" }]));

    host.learn(Bucket::Config, "web", &json!({ "address": "0.0.0.0:80" }));
    assert_eq!(host.control.learn_all(Bucket::Data, &[]), [links("a", &[])]);
    assert_eq!(host.yes("config.get.web", "").1, json!({ "address": "0.0.0.0:80" }));
}

#[test]
fn a_link_replaces_the_revision_that_was_taken_up_last() {
    let mut host = Host::new();
    let mut replaces = |entries: &[Entry]| {
        host.control.learn_all(Bucket::Data, entries);
        let handled = host.only_ask("link.put", json!(link("a", "b")).to_string());
        let write = handled.write.unwrap();
        (write.replaces, write.value.unwrap()["url"].clone())
    };
    let at = |revision| [entry("COMPONENT_a", &specification(&[]), revision)];
    assert_eq!(replaces(&at(7)), (Some(7), "file:///x.wasm".into()));
    assert_eq!(replaces(&at(9)), (Some(9), "file:///x.wasm".into()));
    assert_eq!(replaces(&[deleted("COMPONENT_a")]), (Some(0), "".into()));
    assert_eq!(replaces(&at(12)), (Some(12), "file:///x.wasm".into()));
    assert_eq!(replaces(&[]), (Some(0), "".into()));
}

#[test]
fn what_was_deleted_is_learned_once() {
    let mut host = Host::new();
    host.learn(Bucket::Config, "name", &json!({ "a": "b" }));
    let deleted = Entry { key: "name".into(), value: None, revision: 7 };
    let learned = host.control.learn_all(Bucket::Config, &[deleted]);
    assert_eq!(learned, [Learned::Config("name".into(), None)]);
}

#[test]
fn a_link_replaces_a_value_that_nobody_can_read() {
    let mut host = Host::new();
    host.control.learn(Bucket::Data, "COMPONENT_caller", Some(b"what?"), 9);
    let link = json!({
        "source_id": "caller", "target": "x", "name": "default", "wit_namespace": "wasi", "wit_package": "http",
        "interfaces": ["outgoing-handler"],
    });
    let handled = host.only_ask("link.put", link.to_string());
    assert_eq!(handled.write.unwrap().replaces, Some(9));
}

#[test]
fn claims_of_other_hosts_are_known_however_they_keep_their_tags() {
    let mut host = Host::new();
    let kept = json!({ "issuer": "AX", "name": "hello", "revision": 3, "subject": "MX", "tags": ["a", "b"], "version": null });
    host.learn(Bucket::Data, "CLAIMS_MX", &kept);
    let (_, claims) = host.yes("claims.get", b"");
    assert_eq!(
        claims,
        json!([{ "issuer": "AX", "name": "hello", "revision": "3", "subject": "MX", "tags": "a,b", "version": "" }])
    );
}
