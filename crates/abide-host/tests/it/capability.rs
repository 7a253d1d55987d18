//! Targets that reach out, keep something or compute: HTTP, key-value and components, alone and in a run.

mod called;
mod http;
mod keyvalue;
mod messages;
mod offers;
mod run;
mod server;

use std::sync::Arc;

use abide_core::time::{Span, Timestamp};
use abide_host::effect::Request;
use serde_json::Value;

/// A call of an object; its key is made of the record's number.
fn request(interface: &str, function: &str, seq: u64, args: Vec<Value>) -> Request {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seq.to_be_bytes());
    Request {
        key,
        seq,
        object: "ewr".into(),
        target: "t".into(),
        interface: interface.into(),
        function: function.into(),
        args: Arc::from(args),
        tick: 7,
        time: Timestamp(0),
        valid_until: Timestamp(Span::from_secs(1800).0),
        timeout: Span::from_secs(20),
        retries: 2,
        simulated: false,
    }
}
