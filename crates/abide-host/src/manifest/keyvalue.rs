//! The properties of a `keyvalue` target.

use std::collections::BTreeSet;

use abide_core::document::{NodeKind, Reader};

use super::target::{TargetKind, placed_texts};
use crate::effect::{BUCKETS_MAX, KeyValueConfig};

const HELP: &str = "name the buckets that may be used, as in `buckets: [counts]`";

/// Reads them; everything that is wrong is reported.
pub(super) fn read(mut reader: Reader<'_>) -> Option<TargetKind> {
    let out = reader.diagnostics();
    let node = reader.required("buckets");
    let mut buckets = BTreeSet::new();
    for bucket in placed_texts(&mut reader, "buckets") {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if bucket.value.is_empty() || bucket.value.len() > 64 || !bucket.value.bytes().all(plain) {
            let message = format!("`{}` cannot name a bucket", super::component::shortened(&bucket.value));
            out.error(bucket.span, message, "use letters, digits, `.`, `_` and `-`, at most 64");
        } else {
            buckets.insert(bucket.value);
        }
    }
    reader.finish();
    let node = node?;
    match &node.kind {
        NodeKind::Seq(items) if items.is_empty() => {
            out.error(node.span.clone(), "`buckets` names none", HELP);
        }
        NodeKind::Seq(items) if items.len() > BUCKETS_MAX => {
            let message = format!("there are {} buckets; a target has at most {BUCKETS_MAX}", items.len());
            out.error(node.span.clone(), message, "use keys to tell values apart");
        }
        _ => {}
    }
    Some(TargetKind::KeyValue(KeyValueConfig { buckets: buckets.into_iter().collect() }))
}
