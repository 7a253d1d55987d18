//! A host of a lattice, without one.

use std::collections::BTreeMap;

use abide_lattice::{Action, Bucket, Component, Control, Handled, Identity, Inventory, Provider, Subject};
use serde_json::{Value as Json, json};

pub(crate) const PREFIX: &str = "wasmbus.ctl";
pub(crate) const HOST: &str = "NHOST";

/// A request to the host that is meant.
pub(crate) fn own(what: &str) -> String {
    format!("{what}.{HOST}")
}

pub(crate) struct Host {
    pub(crate) control: Control,
    pub(crate) inventory: Inventory,
    /// Revisions that the buckets have given out.
    revision: u64,
}

impl Host {
    pub(crate) fn new() -> Self {
        let identity = Identity {
            id: HOST.to_owned(),
            friendly_name: "orchard".to_owned(),
            lattice: "default".to_owned(),
            version: "0.1.0".to_owned(),
            labels: texts([("hostcore.os", "linux"), ("zone", "north")]),
            ..Identity::default()
        };
        let inventory =
            Inventory { components: vec![lamp("lamp"), web()], providers: vec![server()], uptime: 93_784 };
        Self { control: Control::new(identity), inventory, revision: 0 }
    }

    /// Asks without doing what is to be written.
    pub(crate) fn only_ask(&mut self, what: &str, payload: impl AsRef<[u8]>) -> Handled {
        let subject = Subject::read(PREFIX, "default", &format!("{PREFIX}.v1.default.{what}")).unwrap();
        self.control.handle(&subject, payload.as_ref(), &self.inventory)
    }

    /// Asks, and takes up what is written, as every host of the lattice does.
    pub(crate) fn ask(&mut self, what: &str, payload: impl AsRef<[u8]>) -> Handled {
        let handled = self.only_ask(what, payload);
        if let Some(write) = &handled.write {
            self.revision += 1;
            let value = write.value.as_ref().map(|value| value.to_string().into_bytes());
            self.control.learn(write.bucket, &write.key, value.as_deref(), self.revision);
        }
        handled
    }

    /// What another host has written.
    pub(crate) fn learn(&mut self, bucket: Bucket, key: &str, value: &Json) {
        self.revision += 1;
        self.control.learn(bucket, key, Some(value.to_string().as_bytes()), self.revision);
    }

    /// What is answered where the answer is yes, with its message.
    #[track_caller]
    pub(crate) fn yes(&mut self, what: &str, payload: impl AsRef<[u8]>) -> (String, Json) {
        let reply = self.ask(what, payload).reply.unwrap();
        assert_eq!(reply["success"], true, "{reply}");
        (reply["message"].as_str().unwrap().to_owned(), reply["response"].clone())
    }

    /// Expects a refusal that says so, and that nothing comes of it but the events named.
    #[track_caller]
    pub(crate) fn no(&mut self, what: &str, payload: impl AsRef<[u8]>, message: &str, events: &[&str]) {
        let handled = self.only_ask(what, payload);
        let reply = handled.reply.unwrap();
        assert_eq!(reply["success"], false, "{reply}");
        assert!(reply["message"].as_str().unwrap().contains(message), "{reply}");
        assert_eq!(
            (handled.write, handled.action, handled.stop, reply.get("response")),
            (None, None, false, None)
        );
        assert_eq!(handled.events.iter().map(|event| event.name).collect::<Vec<_>>(), events);
    }

    /// What is to be done, with the message, where the answer is yes; and that nothing else comes of it.
    #[track_caller]
    pub(crate) fn does(&mut self, what: &str, payload: impl AsRef<[u8]>) -> (String, Action) {
        let handled = self.only_ask(what, payload);
        let reply = handled.reply.unwrap();
        let message = reply["message"].as_str().unwrap().to_owned();
        assert_eq!(reply, json!({ "success": true, "message": message }));
        assert_eq!((handled.write, handled.stop, handled.events.len()), (None, false, 0));
        (message, handled.action.unwrap())
    }

    /// Expects that nothing at all comes of it.
    #[track_caller]
    pub(crate) fn silent(&mut self, what: &str, payload: impl AsRef<[u8]>) {
        assert_eq!(self.only_ask(what, payload), Handled::default(), "{what}");
    }
}

/// An object as it stands in an inventory.
pub(crate) fn lamp(id: &str) -> Component {
    Component {
        id: id.to_owned(),
        image_ref: "abide+object://lamp:1.2.0".to_owned(),
        name: Some("lamp".to_owned()),
        annotations: Some(texts([("abide.dev/kind", "object")])),
        revision: 0,
        max_instances: 1,
        limits: None,
        claims: None,
    }
}

/// A component as it stands in an inventory.
pub(crate) fn web() -> Component {
    Component {
        id: "web".to_owned(),
        image_ref: "file:///web.wasm".to_owned(),
        name: None,
        annotations: Some(texts([("wasmcloud.dev/managed-by", "wadm")])),
        revision: 0,
        max_instances: 10,
        claims: None,
        limits: Some(texts([("max_memory_limit", "1048576")])),
    }
}

/// A provider as it stands in an inventory.
pub(crate) fn server() -> Provider {
    Provider {
        id: "server".to_owned(),
        image_ref: Some("wasmcloud+builtin://http-server".to_owned()),
        name: Some("http-server".to_owned()),
        annotations: Some(texts([("wasmcloud.dev/managed-by", "wadm")])),
        revision: 0,
    }
}

pub(crate) fn texts<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, String> {
    all.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// Bytes that are no JSON, or not the JSON that any request wants.
pub(crate) const MALFORMED: &[&[u8]] = &[
    b"{",
    b"[]",
    br#"["NHOST"]"#,
    b"[1]",
    b"7",
    b"\"text\"",
    b"true",
    b"\xff\xfe",
    br#"{"a":"#,
    b"{}{}",
    b"[[[[[[[[",
];
