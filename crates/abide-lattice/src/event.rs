//! Events of a lattice: CloudEvents 1.0 in structured JSON.

use serde_json::{Value as Json, json};

/// Something that happened on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name, the last part of its type and of its subject: `host_started`.
    pub name: &'static str,
    /// What it says.
    pub data: Json,
}

impl Event {
    pub(crate) fn new(name: &'static str, data: Json) -> Self {
        Self { name, data }
    }

    /// Where it is told: `wasmbus.evt.LATTICE.NAME`.
    #[must_use]
    pub fn subject(&self, lattice: &str) -> String {
        format!("wasmbus.evt.{lattice}.{}", self.name)
    }

    /// The event with its envelope: whose it is, its id, a UUID, and its time in RFC 3339.
    #[must_use]
    pub fn envelope(&self, source: &str, id: &str, time: &str) -> Json {
        json!({
            "specversion": "1.0",
            "id": id,
            "type": format!("com.wasmcloud.lattice.{}", self.name),
            "source": source,
            "datacontenttype": "application/json",
            "time": time,
            "data": self.data,
        })
    }
}
