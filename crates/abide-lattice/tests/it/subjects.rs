//! Subjects are read as they are listened on.

use abide_lattice::Subject;

use crate::support::{HOST, PREFIX};

#[test]
fn a_subject_of_another_lattice_or_prefix_is_none() {
    let read = |subject: &str| Subject::read(PREFIX, "default", subject);
    assert_eq!(read("wasmbus.ctl.v1.default.host.ping"), Some(Subject::Ping));
    let others = [
        "wasmbus.ctl.v1.default2.host.ping",
        "wasmbus.ctl.v1.other.host.ping",
        "wasmbus.ctl.v2.default.host.ping",
        "wasmbus.evt.default.host_started",
        "wasmbus.ctl.v1.default",
        "wasmbus.ctl",
        "",
    ];
    for subject in others {
        assert_eq!(read(subject), None, "{subject}");
    }
    let farm = Subject::read("a.b", "farm", "a.b.v1.farm.config.get.x");
    assert_eq!(farm, Some(Subject::Config("x".to_owned())));
}

/// What NATS would deliver, by its rules of matching.
fn delivers(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(one), Some(other)) if one == "*" || one == other => {}
            _ => return false,
        }
    }
}

#[test]
fn every_request_is_listened_to_once_and_by_one_host_where_it_is_for_all() {
    let listened = Subject::subscriptions(PREFIX, "default", HOST);
    let own =
        ["host.get", "host.stop", "component.scale", "component.update", "provider.start", "provider.stop"];
    let own = own.into_iter().chain(["label.put", "label.del"]).map(|what| (format!("{what}.{HOST}"), None));
    let each = ["host.ping", "component.auction", "provider.auction", "registry.put"]
        .map(|what| (what.to_owned(), None));
    let shared = [
        ("link.put", "link"),
        ("link.del", "link"),
        ("link.get", "link"),
        ("claims.get", "claims"),
        ("config.put.web", "config"),
        ("config.del.web", "config"),
        ("config.get.web", "config"),
    ]
    .map(|(what, group)| (what.to_owned(), Some(format!("wasmbus.ctl.v1.default.{group}"))));
    for (what, group) in own.chain(each).chain(shared) {
        let subject = format!("wasmbus.ctl.v1.default.{what}");
        assert_ne!(Subject::read(PREFIX, "default", &subject), Some(Subject::Unsupported), "{what}");
        let by: Vec<_> = listened.iter().filter(|(pattern, _)| delivers(pattern, &subject)).collect();
        assert_eq!(by.iter().map(|(_, group)| group).collect::<Vec<_>>(), [&group], "{what}");
    }
    for what in ["host.get.NOTHER", "label.put.NOTHER", "component.scale.NOTHER"] {
        let subject = format!("wasmbus.ctl.v1.default.{what}");
        assert!(!listened.iter().any(|(pattern, _)| delivers(pattern, &subject)), "{what}");
    }
}
