//! Every request that is done when it is answered: what is right, what is malformed, what is not there, what is for another host.

use abide_lattice::{Bucket, Write};
use serde_json::{Value as Json, json};

use crate::support::{HOST, Host, MALFORMED, lamp, own};

fn link(target: &str, interfaces: &[&str]) -> Json {
    json!({
        "source_id": "caller", "target": target, "name": "default", "wit_namespace": "wasi", "wit_package": "http",
        "interfaces": interfaces, "source_config": [], "target_config": [],
    })
}

#[test]
fn a_ping_is_answered_with_who_is_there() {
    let mut host = Host::new();
    let expected = json!({
        "id": HOST, "friendly_name": "orchard", "lattice": "default", "version": "0.1.0",
        "labels": { "hostcore.os": "linux", "zone": "north" }, "uptime_seconds": 93_784, "uptime_human": "1d 2h 3m 4s",
    });
    assert_eq!(host.yes("host.ping", "").1, expected);
    for payload in MALFORMED {
        assert_eq!(host.yes("host.ping", payload).1, expected);
    }
}

#[test]
fn an_inventory_lists_what_runs_and_stays_within_a_message() {
    let mut host = Host::new();
    let inventory = host.yes(&own("host.get"), "").1;
    assert_eq!(
        inventory,
        json!({
            "host_id": HOST, "friendly_name": "orchard", "labels": { "hostcore.os": "linux", "zone": "north" },
            "version": "0.1.0", "uptime_seconds": 93_784, "uptime_human": "1d 2h 3m 4s",
            "components": [{
                "id": "lamp", "image_ref": "abide+object://lamp:1.2.0", "name": "lamp", "revision": 0,
                "max_instances": 1, "annotations": { "abide.dev/kind": "object" },
            }, {
                "id": "web", "image_ref": "file:///web.wasm", "revision": 0, "max_instances": 10,
                "annotations": { "wasmcloud.dev/managed-by": "wadm" }, "limits": { "max_memory_limit": "1048576" },
            }],
            "providers": [{
                "id": "server", "image_ref": "wasmcloud+builtin://http-server", "name": "http-server", "revision": 0,
                "annotations": { "wasmcloud.dev/managed-by": "wadm" },
            }],
        })
    );
    host.inventory.components = (0..1_001).map(|n| lamp(&format!("lamp-{n}"))).collect();
    let inventory = host.yes(&own("host.get"), "{").1;
    assert_eq!(inventory["components"].as_array().unwrap().len(), 1_000);
    assert_eq!(inventory["components"][999]["id"], "lamp-999");
}

#[test]
fn a_host_stops_when_it_is_asked_and_by_nothing_else() {
    let mut host = Host::new();
    let good = [json!({}), json!({ "host_id": HOST }), json!({ "host_id": HOST, "timeout": 1_000 })];
    for payload in good.iter().map(ToString::to_string).chain([String::new()]) {
        let handled = host.only_ask(&own("host.stop"), &payload);
        assert!(
            handled.stop && handled.write.is_none() && handled.action.is_none() && handled.events.is_empty()
        );
        assert_eq!(handled.reply.unwrap()["message"], "successfully handled stop host");
    }
    for payload in MALFORMED {
        host.no(&own("host.stop"), payload, "no request to stop a host", &[]);
    }
    host.no(&own("host.stop"), r#"{"host_id":"NOTHER"}"#, "another host", &[]);
    assert!(host.only_ask(&own("host.stop"), r#"{"host_id":""}"#).stop);
}

#[test]
fn what_is_for_another_host_is_not_answered() {
    let mut host = Host::new();
    for what in ["host.get", "host.stop", "label.put", "label.del"] {
        for id in ["NOTHER", "", "nhost", "NHOST.x", "*"] {
            host.silent(&format!("{what}.{id}"), r#"{"key":"zone","value":"south"}"#);
        }
    }
    assert_eq!(host.yes("host.ping", "").1["labels"]["zone"], "north");
}

#[test]
fn labels_are_set_and_go_and_those_of_the_host_stay() {
    let mut host = Host::new();
    let handled = host.ask(&own("label.put"), r#"{"key":"row","value":"7"}"#);
    let labels = json!({ "hostcore.os": "linux", "zone": "north", "row": "7" });
    assert_eq!(handled.events[0].name, "labels_changed");
    assert_eq!(handled.events[0].data, json!({ "host_id": HOST, "labels": labels }));
    assert_eq!(handled.reply.unwrap()["success"], true);
    assert_eq!(host.yes(&own("host.get"), "").1["labels"], labels);
    let handled = host.ask(&own("label.del"), r#"{"key":"row"}"#);
    assert_eq!(handled.events[0].data["labels"], json!({ "hostcore.os": "linux", "zone": "north" }));
    // It is gone, and that is nothing to tell.
    let handled = host.ask(&own("label.del"), r#"{"key":"row"}"#);
    assert_eq!((handled.events.len(), &handled.reply.unwrap()["success"]), (0, &json!(true)));

    host.no(&own("label.put"), r#"{"key":"hostcore.os","value":"x"}"#, "hostcore.", &[]);
    host.no(&own("label.del"), r#"{"key":"hostcore.os"}"#, "hostcore.", &[]);
    host.no(&own("label.put"), r#"{"key":"","value":"x"}"#, "empty", &[]);
    let long = "x".repeat(1_025);
    host.no(
        &own("label.put"),
        json!({ "key": long, "value": "" }).to_string(),
        "longer than 1024 bytes",
        &[],
    );
    host.no(
        &own("label.put"),
        json!({ "key": "x", "value": long }).to_string(),
        "longer than 1024 bytes",
        &[],
    );
    let payloads =
        [&b""[..], b"{}", b"null", br#"{"key":"x"}"#, br#"{"key":"x","value":7}"#, br#"{"value":"x"}"#];
    for payload in MALFORMED.iter().chain(&payloads) {
        host.no(&own("label.put"), payload, "a `key` and a `value`", &[]);
    }
    for payload in MALFORMED.iter().chain(&[&b""[..], b"{}", br#"{"value":"x"}"#]) {
        host.no(&own("label.del"), payload, "a label to delete has a `key`", &[]);
    }
    for n in 0..254 {
        host.yes(&own("label.put"), format!(r#"{{"key":"n{n}","value":""}}"#));
    }
    host.no(&own("label.put"), r#"{"key":"more","value":""}"#, "at most 256 labels", &[]);
    host.yes(&own("label.put"), r#"{"key":"zone","value":"south"}"#);
}

#[test]
fn a_link_is_written_with_the_revision_that_it_replaces() {
    let mut host = Host::new();
    let handled = host.ask("link.put", link("server", &["incoming-handler"]).to_string());
    let specification = json!({ "url": "", "links": [link("server", &["incoming-handler"])] });
    assert_eq!(
        handled.write,
        Some(Write {
            bucket: Bucket::Data,
            key: "COMPONENT_caller".to_owned(),
            value: Some(specification),
            replaces: Some(0)
        })
    );
    assert_eq!(
        (handled.events[0].name, &handled.events[0].data),
        ("linkdef_set", &link("server", &["incoming-handler"]))
    );
    assert_eq!(host.yes("link.get", "").1, json!([link("server", &["incoming-handler"])]));

    // The same again replaces; another target for the same interface is refused; another interface stands beside it.
    let wider = link("server", &["incoming-handler", "types"]);
    let handled = host.ask("link.put", wider.to_string());
    assert_eq!(handled.write.unwrap().replaces, Some(1));
    let other = link("other", &["types"]).to_string();
    host.no("link.put", other, "`caller` is linked to `server`", &["linkdef_set_failed"]);
    host.yes("link.put", link("other", &["outgoing-handler"]).to_string());
    let mut named = link("other", &["types"]);
    named["name"] = "second".into();
    host.yes("link.put", named.to_string());
    assert_eq!(host.yes("link.get", "{").1, json!([wider, link("other", &["outgoing-handler"]), named]));

    // What another host wrote counts, and where a component came from is kept.
    host.learn(
        Bucket::Data,
        "COMPONENT_caller",
        &json!({ "url": "file://x", "links": [link("server", &["types"])] }),
    );
    let handled = host.ask("link.put", link("server", &["types"]).to_string());
    let write = handled.write.unwrap();
    assert_eq!((write.replaces, &write.value.unwrap()["url"]), (Some(4 + 1), &"file://x".into()));
}

#[test]
fn a_link_that_names_no_name_is_the_default_one_and_goes_as_such() {
    let mut host = Host::new();
    let short = json!({ "source_id": "a", "target": "b", "wit_namespace": "n", "wit_package": "p", "interfaces": [] });
    host.yes("link.put", short.to_string());
    assert_eq!(host.yes("link.get", "").1[0]["name"], "default");
    let unlike = [("name", "x"), ("wit_namespace", "x"), ("wit_package", "x"), ("source_id", "x")];
    for (key, value) in unlike {
        let mut delete =
            json!({ "source_id": "a", "name": "default", "wit_namespace": "n", "wit_package": "p" });
        delete[key] = value.into();
        let handled = host.ask("link.del", delete.to_string());
        assert_eq!(handled.reply.unwrap()["message"], "there is no such link");
        assert_eq!((handled.write, handled.events.len()), (None, 0));
    }
    let handled = host.ask("link.del", r#"{"source_id":"a","wit_namespace":"n","wit_package":"p"}"#);
    assert_eq!(handled.events[0].name, "linkdef_deleted");
    assert_eq!(
        handled.events[0].data,
        json!({ "source_id": "a", "name": "default", "wit_namespace": "n", "wit_package": "p" })
    );
    assert_eq!(host.yes("link.get", "").1, json!([]));
}

#[test]
fn links_that_are_none_or_cannot_be_kept_are_refused() {
    let mut host = Host::new();
    for payload in MALFORMED.iter().chain(&[&b""[..], b"{}", b"null", br#"{"source_id":"a"}"#]) {
        host.no("link.put", payload, "this is no link", &[]);
        host.no("link.del", payload, "this names no link", &[]);
    }
    let long = "x".repeat(1_025);
    for id in ["", "a b", "a.b", "*", ">", "ä", &long] {
        let mut link = link("server", &["types"]);
        link["source_id"] = id.into();
        host.no("link.put", link.to_string(), "`source_id`", &["linkdef_set_failed"]);
    }
    for side in ["source_config", "target_config"] {
        let mut link = link("server", &["types"]);
        link[side] = json!(["web"]);
        let event = host.ask("link.put", link.to_string()).events.remove(0);
        assert!(event.data["error"].as_str().unwrap().contains("there is no configuration `web`"));
        host.no("link.put", link.to_string(), "there is no configuration `web`", &["linkdef_set_failed"]);
        link[side] = json!(["SECRET_web"]);
        host.learn(Bucket::Config, "SECRET_web", &json!({ "name": "web" }));
        host.no(
            "link.put",
            link.to_string(),
            "resolves no secrets yet, such as `SECRET_web`",
            &["linkdef_set_failed"],
        );
    }
    host.yes("config.put.web", "{}");
    let mut link = link("server", &["types"]);
    link["target_config"] = json!(["web"]);
    host.yes("link.put", link.to_string());
}

#[test]
fn configuration_is_put_found_and_goes() {
    let mut host = Host::new();
    assert_eq!(host.yes("config.get.web", ""), ("Configuration not found".to_owned(), Json::Null));
    let handled = host.ask("config.put.web", r#"{"address":"0.0.0.0:80"}"#);
    let value = json!({ "address": "0.0.0.0:80" });
    let write =
        Write { bucket: Bucket::Config, key: "web".to_owned(), value: Some(value.clone()), replaces: None };
    assert_eq!(handled.write, Some(write));
    assert_eq!(
        (handled.events[0].name, &handled.events[0].data),
        ("config_set", &json!({ "config_name": "web" }))
    );
    assert_eq!(host.yes("config.get.web", "{").1, value);
    let handled = host.ask("config.del.web", "");
    assert_eq!(
        handled.write,
        Some(Write { bucket: Bucket::Config, key: "web".to_owned(), value: None, replaces: None })
    );
    assert_eq!(handled.events[0].name, "config_deleted");
    assert_eq!(host.yes("config.get.web", "").0, "Configuration not found");

    for payload in MALFORMED.iter().chain(&[&b""[..], b"null", br#"{"a":1}"#, br#"{"a":null}"#]) {
        host.no("config.put.web", payload, "a map of text to text", &[]);
    }
    let long = "x".repeat(1_025);
    for name in ["", "a b", "a.b", ".", "*", ">", "ä", &long] {
        host.no(&format!("config.put.{name}"), "{}", "a name of configuration", &[]);
        host.no(&format!("config.del.{name}"), "", "no configuration of that name", &[]);
        assert_eq!(host.yes(&format!("config.get.{name}"), "").0, "Configuration not found");
    }
    // What stands for a secret is kept for others, and is no configuration.
    host.yes("config.put.SECRET_web", r#"{"backend":"vault"}"#);
    assert_eq!(host.yes("config.get.SECRET_web", "").0, "Configuration not found");
}

#[test]
fn claims_are_those_of_the_bucket() {
    let mut host = Host::new();
    assert_eq!(host.yes("claims.get", "").1, json!([]));
    let claims = json!({ "name": "x", "subject": "MX", "issuer": "AX" });
    host.learn(Bucket::Data, "CLAIMS_MX", &claims);
    host.learn(Bucket::Data, "LINKDEF_x", &claims);
    host.learn(Bucket::Data, "REFMAP_x", &claims);
    assert_eq!(host.yes("claims.get", "{").1, json!([claims]));
    // What cannot be read is as if it were not there.
    host.learn(Bucket::Data, "CLAIMS_MX", &json!([1]));
    assert_eq!(host.yes("claims.get", "").1, json!([]));
}

#[test]
fn credentials_of_registries_are_taken() {
    let mut host = Host::new();
    host.yes("registry.put", "{}");
    host.yes("registry.put", r#"{"ghcr.io":{"username":"a","password":"b","registryType":"oci"}}"#);
    for payload in MALFORMED.iter().chain(&[&b""[..], b"null"]) {
        host.no("registry.put", payload, "no map of registries", &[]);
    }
}

#[test]
fn what_is_not_supported_is_said_to_be() {
    let mut host = Host::new();
    for what in
        ["link.x", "config.x", "host.x.y", "host", "", "label.put", "component.scale", "claims", "a.b.c.d"]
    {
        host.no(what, "{}", "unsupported subject", &[]);
    }
}
