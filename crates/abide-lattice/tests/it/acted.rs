//! Auctions, and the requests that a host only says yes to: what is to be done comes out as an action.

use abide_lattice::{Action, Component, Handled, Scale, StartProvider, StopProvider, Update};
use serde_json::{Value as Json, json};

use crate::support::{HOST, Host, MALFORMED, lamp, own, texts};

/// An auction of something that does not run.
fn auction(kind: &str, constraints: &Json) -> Json {
    json!({ format!("{kind}_ref"): "file:///x", format!("{kind}_id"): "x", "constraints": constraints })
}

/// A component to run, as wasmCloud's client asks for it.
fn scale(id: &str, image: &str, count: u32) -> Json {
    json!({
        "component_ref": image, "component_id": id, "count": count, "host_id": HOST, "config": [], "allow_update": false,
    })
}

fn update(id: &str, image: &str) -> Json {
    json!({ "component_id": id, "new_component_ref": image, "host_id": HOST })
}

fn start(id: &str) -> Json {
    json!({ "provider_id": id, "provider_ref": "wasmcloud+builtin://http-server", "host_id": HOST, "config": [] })
}

/// A good request but for one of its fields.
fn with(mut good: Json, key: &str, value: Json) -> String {
    good[key] = value;
    good.to_string()
}

/// Ids that cannot be a key of a bucket.
fn bad_ids() -> Vec<String> {
    let long = "x".repeat(1_025);
    ["", "a b", "a.b", "*", ">", "ä", "a\n", &long].map(str::to_owned).into()
}

#[test]
fn a_host_bids_where_its_labels_are_as_wanted() {
    let mut host = Host::new();
    for kind in ["component", "provider"] {
        let subject = format!("{kind}.auction");
        for constraints in
            [json!({}), json!({ "zone": "north" }), json!({ "zone": "north", "hostcore.os": "linux" })]
        {
            let bid = json!({
                format!("{kind}_ref"): "file:///x", format!("{kind}_id"): "x", "constraints": constraints,
                "host_id": HOST,
            });
            let reply = json!({ "success": true, "message": "", "response": bid });
            let handled = host.only_ask(&subject, auction(kind, &constraints).to_string());
            assert_eq!(handled, Handled { reply: Some(reply), ..Handled::default() });
        }
        for constraints in [
            json!({ "zone": "south" }),
            json!({ "zone": "" }),
            json!({ "Zone": "north" }),
            json!({ "row": "7" }),
            json!({ "zone": "north", "row": "7" }),
        ] {
            host.silent(&subject, auction(kind, &constraints).to_string());
        }
    }
}

#[test]
fn a_label_that_is_set_counts_at_the_next_auction() {
    let mut host = Host::new();
    let asked = auction("component", &json!({ "row": "7" })).to_string();
    host.silent("component.auction", &asked);
    host.yes(&own("label.put"), r#"{"key":"row","value":"7"}"#);
    assert_eq!(host.yes("component.auction", &asked).1["constraints"], json!({ "row": "7" }));
    host.yes(&own("label.del"), r#"{"key":"row"}"#);
    host.silent("component.auction", &asked);
}

#[test]
fn a_host_does_not_bid_for_what_runs_on_it() {
    let mut host = Host::new();
    for id in ["web", "lamp"] {
        let asked = auction("component", &json!({}));
        host.silent("component.auction", with(asked, "component_id", id.into()));
    }
    host.silent("provider.auction", with(auction("provider", &json!({})), "provider_id", "server".into()));

    // A component and a provider of one id are two, and one image may run under many ids.
    let asked = with(auction("component", &json!({})), "component_id", "server".into());
    assert_eq!(host.yes("component.auction", asked).1["component_id"], "server");
    let asked = with(auction("provider", &json!({})), "provider_id", "web".into());
    assert_eq!(host.yes("provider.auction", asked).1["provider_id"], "web");
    let asked = with(auction("component", &json!({})), "component_ref", "file:///web.wasm".into());
    assert_eq!(host.yes("component.auction", asked).1["component_ref"], "file:///web.wasm");

    // What is gone is bid for again.
    host.inventory.components.clear();
    host.inventory.providers.clear();
    host.yes("component.auction", with(auction("component", &json!({})), "component_id", "web".into()));
    host.yes("provider.auction", with(auction("provider", &json!({})), "provider_id", "server".into()));
}

#[test]
fn an_auction_of_nothing_is_refused() {
    let mut host = Host::new();
    for kind in ["component", "provider"] {
        let subject = format!("{kind}.auction");
        let why = format!("this is no auction of a {kind}");
        for payload in MALFORMED.iter().chain(&[&b""[..], b"{}", br#"{"constraints":{}}"#]) {
            host.no(&subject, payload, &why, &[]);
        }
        for constraints in
            [json!(null), json!([]), json!("zone"), json!({ "zone": 1 }), json!({ "zone": null })]
        {
            host.no(&subject, auction(kind, &constraints).to_string(), &why, &[]);
        }
        for (key, value) in [("ref", json!(1)), ("id", json!(null)), ("id", json!(["x"]))] {
            host.no(&subject, with(auction(kind, &json!({})), &format!("{kind}_{key}"), value), &why, &[]);
        }
    }
}

#[test]
fn what_another_host_is_to_do_comes_to_nothing() {
    let mut host = Host::new();
    for (what, asked) in [
        ("component.scale", scale("x", "file:///x.wasm", 3)),
        ("component.scale", scale("web", "file:///web.wasm", 0)),
        ("component.scale", scale("lamp", "file:///x.wasm", 3)),
        ("component.update", update("web", "file:///web2.wasm")),
        ("component.update", update("x", "file:///x.wasm")),
        ("provider.start", start("x")),
        ("provider.start", start("server")),
        ("provider.stop", json!({ "provider_id": "server" })),
        ("provider.stop", json!({ "provider_id": "x" })),
    ] {
        for id in ["NOTHER", "", "nhost", "NHOST.x", "*"] {
            host.silent(&format!("{what}.{id}"), asked.to_string());
            host.silent(&format!("{what}.{id}"), "{");
        }
        // Here it comes to something, and to the same whichever host the request says beside its subject.
        let [here, other] =
            [HOST, "NOTHER"].map(|id| host.only_ask(&own(what), with(asked.clone(), "host_id", id.into())));
        assert!(here.reply.is_some(), "{what}");
        assert_eq!(here, other);
    }
}

#[test]
fn a_component_is_to_run_with_all_that_is_said_of_it() {
    let mut host = Host::new();
    let asked = json!({
        "component_ref": "file:///x.wasm", "component_id": "x", "count": 3, "host_id": HOST,
        "annotations": { "wasmcloud.dev/managed-by": "wadm" }, "config": ["b", "a", "b"], "allow_update": true,
        "component_limits": { "max_memory_limit": "1048576", "max_execution_time": "5" },
    });
    let expected = Scale {
        component_ref: "file:///x.wasm".to_owned(),
        component_id: "x".to_owned(),
        annotations: Some(texts([("wasmcloud.dev/managed-by", "wadm")])),
        count: 3,
        component_limits: Some(texts([("max_memory_limit", "1048576"), ("max_execution_time", "5")])),
        config: ["b", "a", "b"].map(str::to_owned).into(),
        allow_update: true,
    };
    let (message, action) = host.does(&own("component.scale"), asked.to_string());
    assert_eq!((message.as_str(), action), ("", Action::Scale(expected)));

    // What is not said, and what is said to be nothing, is none.
    let expected = Scale { component_ref: "y".to_owned(), component_id: "x".to_owned(), ..Scale::default() };
    for payload in [
        r#"{"component_ref":"y","component_id":"x"}"#,
        r#" {"component_ref":"y","component_id":"x","annotations":null,"component_limits":null,"more":1}"#,
    ] {
        let (message, action) = host.does(&own("component.scale"), payload);
        assert_eq!((message.as_str(), action), ("", Action::Scale(expected.clone())));
    }
    // No limits and none named are two things.
    let asked = with(scale("x", "y", 1), "component_limits", json!({}));
    let (_, action) = host.does(&own("component.scale"), asked);
    assert!(
        matches!(action, Action::Scale(Scale { component_limits: Some(limits), .. }) if limits.is_empty())
    );
}

#[test]
fn how_many_is_said_by_count_alone() {
    let mut host = Host::new();
    let mut count = |asked: String| match host.does(&own("component.scale"), asked).1 {
        Action::Scale(scale) => scale.count,
        other => panic!("{other:?}"),
    };
    for n in [0, 1, u32::MAX] {
        assert_eq!(count(scale("x", "y", n).to_string()), n);
    }
    // Whoever says it as wasmCloud's own pages do stops the component.
    assert_eq!(count(r#"{"component_ref":"y","component_id":"x","max_instances":5}"#.to_owned()), 0);
    assert_eq!(count(with(scale("x", "y", 2), "max_instances", 5.into())), 2);
}

#[test]
fn a_component_that_runs_is_scaled_and_stopped_and_its_image_changes_only_where_that_is_allowed() {
    let mut host = Host::new();
    let mut scaled = |id: &str, image: &str, count: u32, allow_update: bool| {
        let asked = with(scale(id, image, count), "allow_update", allow_update.into());
        let (message, action) = host.does(&own("component.scale"), asked);
        let expected = Scale {
            component_ref: image.to_owned(),
            component_id: id.to_owned(),
            count,
            allow_update,
            ..Scale::default()
        };
        assert_eq!(action, Action::Scale(expected));
        message
    };
    for allow_update in [false, true] {
        // The same image, one that does not run, and to stop, whatever the image.
        for (id, image, count) in [
            ("web", "file:///web.wasm", 1),
            ("web", "file:///web.wasm", 10),
            ("x", "file:///web2.wasm", 1),
            ("web", "file:///web.wasm", 0),
            ("web", "file:///web2.wasm", 0),
            ("web", "", 0),
            ("x", "", 0),
        ] {
            assert_eq!(scaled(id, image, count, allow_update), "", "{id} {image} {count}");
        }
    }
    assert_eq!(
        scaled("web", "file:///web2.wasm", 1, true),
        "it runs with the image file:///web.wasm, not file:///web2.wasm. It gets the new one."
    );
    assert_eq!(
        scaled("web", "file:///web2.wasm", 1, false),
        "it runs with the image file:///web.wasm, not file:///web2.wasm. It keeps the one that it has; the request to \
         update it gives it another."
    );
}

#[test]
fn a_resident_object_is_not_scaled_and_not_updated() {
    let mut host = Host::new();
    let why = "it is a resident object: it acts by itself, and what changes it is a mutation or an upgrade";
    for (image, count, allow_update) in [
        ("abide+object://lamp:1.2.0", 1, false),
        ("abide+object://lamp:1.2.0", 0, false),
        ("abide+object://lamp:1.3.0", 2, true),
        ("file:///x.wasm", 3, true),
    ] {
        let mut asked = scale("lamp", image, count);
        asked["annotations"] = json!({ "a": "b" });
        asked["allow_update"] = allow_update.into();
        host.no(&own("component.scale"), asked.to_string(), why, &["component_scale_failed"]);
        let event = host.only_ask(&own("component.scale"), asked.to_string()).events.remove(0);
        assert_eq!(
            event.data,
            json!({
                "annotations": { "a": "b" }, "host_id": HOST, "image_ref": image, "component_id": "lamp",
                "max_instances": count, "error": why,
            })
        );
        host.no(&own("component.update"), update("lamp", image).to_string(), why, &[]);
    }
    // It is one by its annotations, and by nothing else.
    let mut like = [lamp("a"), lamp("b"), lamp("c")];
    like[0].annotations = None;
    like[1].annotations = Some(texts([("abide.dev/kind", "component")]));
    like[2].annotations = Some(texts([("kind", "object")]));
    for component in like {
        let id = component.id.clone();
        host.inventory.components = vec![Component { image_ref: "x".to_owned(), ..component }];
        host.does(&own("component.scale"), scale(&id, "x", 0).to_string());
        host.does(&own("component.update"), update(&id, "y").to_string());
    }
}

#[test]
fn what_can_be_no_id_is_refused_and_for_a_component_the_refusal_is_told() {
    let mut host = Host::new();
    let why = "an id has letters, digits, `-`, `_`, `/` and `=`, 1024 at most";
    for id in bad_ids() {
        let asked = scale(&id, "file:///x.wasm", 3).to_string();
        let event = host.only_ask(&own("component.scale"), &asked).events.remove(0);
        assert_eq!(
            event.data,
            json!({
                "annotations": {}, "host_id": HOST, "image_ref": "file:///x.wasm", "component_id": id,
                "max_instances": 3, "error": why,
            })
        );
        host.no(&own("component.scale"), asked, why, &["component_scale_failed"]);
        host.no(&own("component.scale"), scale(&id, "", 0).to_string(), why, &["component_scale_failed"]);
        host.no(&own("component.update"), update(&id, "y").to_string(), why, &[]);
        host.no(&own("provider.start"), start(&id).to_string(), why, &[]);
        host.no(&own("provider.stop"), json!({ "provider_id": id }).to_string(), "is not running", &[]);
    }
    for id in ["x", "A-b_c/d=9", &"x".repeat(1_024)] {
        assert_eq!(host.does(&own("component.scale"), scale(id, "y", 1).to_string()).1.id(), id);
        assert_eq!(host.does(&own("provider.start"), start(id).to_string()).1.id(), id);
    }
}

#[test]
fn what_is_no_request_is_refused_and_nothing_is_told() {
    let mut host = Host::new();
    for payload in MALFORMED.iter().chain(&[&b""[..], b"{}", b"null", br#"{"component_ref":"y"}"#]) {
        host.no(&own("component.scale"), payload, "this is no request to scale a component", &[]);
        host.no(&own("component.update"), payload, "this is no request to update a component", &[]);
        host.no(&own("provider.start"), payload, "this is no request to start a provider", &[]);
        host.no(&own("provider.stop"), payload, "this is no request to stop a provider", &[]);
    }
    let scales = [
        ("component_ref", json!(1)),
        ("component_id", json!(null)),
        ("component_id", json!(7)),
        ("count", json!(-1)),
        ("count", json!(1.5)),
        ("count", json!("3")),
        ("count", json!(null)),
        ("count", json!(4_294_967_296_u64)),
        ("annotations", json!([])),
        ("annotations", json!({ "a": 1 })),
        ("component_limits", json!("1048576")),
        ("component_limits", json!({ "max_memory_limit": 1_048_576 })),
        ("config", json!("web")),
        ("config", json!([1])),
        ("allow_update", json!("yes")),
    ];
    for (key, value) in scales {
        let asked = with(scale("x", "y", 3), key, value);
        host.no(&own("component.scale"), asked, "this is no request to scale a component", &[]);
    }
    let twice = r#"{"component_ref":"y","component_id":"x","count":1,"count":2}"#;
    host.no(&own("component.scale"), twice, "this is no request to scale a component", &[]);
    for (key, value) in
        [("component_id", json!(1)), ("new_component_ref", json!(null)), ("annotations", json!(["a"]))]
    {
        let asked = with(update("web", "y"), key, value);
        host.no(&own("component.update"), asked, "this is no request to update a component", &[]);
    }
    for (key, value) in [
        ("provider_id", json!(1)),
        ("provider_ref", json!({})),
        ("config", json!({ "a": "b" })),
        ("annotations", json!({ "a": null })),
    ] {
        let asked = with(start("x"), key, value);
        host.no(&own("provider.start"), asked, "this is no request to start a provider", &[]);
    }
    for id in [json!(1), json!(null), json!(["server"])] {
        let asked = json!({ "provider_id": id }).to_string();
        host.no(&own("provider.stop"), asked, "this is no request to stop a provider", &[]);
    }
}

#[test]
fn a_component_that_runs_is_to_run_with_another_image() {
    let mut host = Host::new();
    let mut asked = update("web", "file:///web2.wasm");
    let expected = Update {
        component_id: "web".to_owned(),
        annotations: None,
        new_component_ref: "file:///web2.wasm".to_owned(),
    };
    let message = "component web updating from file:///web.wasm to file:///web2.wasm".to_owned();
    assert_eq!(
        host.does(&own("component.update"), asked.to_string()),
        (message.clone(), Action::Update(expected.clone()))
    );
    asked["annotations"] = json!({ "a": "b" });
    assert_eq!(
        host.does(&own("component.update"), asked.to_string()),
        (message, Action::Update(Update { annotations: Some(texts([("a", "b")])), ..expected }))
    );
    // It has that one.
    let handled = host.only_ask(&own("component.update"), update("web", "file:///web.wasm").to_string());
    let reply = json!({ "success": true, "message": "component web already updated to file:///web.wasm" });
    assert_eq!(handled, Handled { reply: Some(reply), ..Handled::default() });
    // What does not run as a component is not found.
    for id in ["x", "Web", "server"] {
        let asked = update(id, "file:///web2.wasm").to_string();
        host.no(&own("component.update"), asked, &format!("component {id} not found"), &[]);
    }
}

#[test]
fn a_provider_is_to_start_unless_it_runs() {
    let mut host = Host::new();
    let mut asked = start("x");
    let expected = StartProvider {
        provider_ref: "wasmcloud+builtin://http-server".to_owned(),
        provider_id: "x".to_owned(),
        ..StartProvider::default()
    };
    let message = "successfully started provider".to_owned();
    assert_eq!(
        host.does(&own("provider.start"), asked.to_string()),
        (message.clone(), Action::StartProvider(expected.clone()))
    );
    asked["config"] = json!(["b", "a"]);
    asked["annotations"] = json!({ "wasmcloud.dev/managed-by": "wadm" });
    let expected = StartProvider {
        config: ["b", "a"].map(str::to_owned).into(),
        annotations: Some(texts([("wasmcloud.dev/managed-by", "wadm")])),
        ..expected
    };
    assert_eq!(
        host.does(&own("provider.start"), asked.to_string()),
        (message, Action::StartProvider(expected))
    );
    let running = "provider with that ID is already running";
    host.no(&own("provider.start"), start("server").to_string(), running, &[]);
    let other = with(start("server"), "provider_ref", "ghcr.io/x/y:1".into());
    host.no(&own("provider.start"), other, running, &[]);
    host.does(&own("provider.start"), start("web").to_string());
}

#[test]
fn a_provider_that_runs_is_to_stop_by_either_name_of_its_id() {
    let mut host = Host::new();
    let message = "successfully stopped provider".to_owned();
    let expected = Action::StopProvider(StopProvider { provider_id: "server".to_owned() });
    for name in ["provider_id", "provider_ref"] {
        for asked in [json!({ name: "server", "host_id": HOST }), json!({ name: "server" })] {
            let done = host.does(&own("provider.stop"), asked.to_string());
            assert_eq!(done, (message.clone(), expected.clone()));
        }
        for id in ["x", "web", "lamp"] {
            let asked = json!({ name: id }).to_string();
            host.no(&own("provider.stop"), asked, "provider with that ID is not running", &[]);
        }
    }
}

#[test]
fn a_component_cannot_pass_for_an_object() {
    let mut host = Host::new();
    let annotations = json!({ "abide.dev/kind": "object" });
    let asked = with(scale("x", "file:///x", 1), "annotations", annotations.clone());
    host.no(&own("component.scale"), asked, "the host's own", &["component_scale_failed"]);
    let asked = with(update("x", "file:///x"), "annotations", annotations);
    host.no(&own("component.update"), asked, "the host's own", &[]);
}

#[test]
fn a_host_does_not_bid_for_what_it_would_refuse() {
    let mut host = Host::new();
    for id in bad_ids() {
        for kind in ["component", "provider"] {
            let asked = with(auction(kind, &json!({})), &format!("{kind}_id"), id.as_str().into());
            host.no(&format!("{kind}.auction"), asked, "an id has letters", &[]);
        }
    }
}
