//! Bundles: what decodes is encoded to the same bytes.

use abide_core::bundle::Bundle;

use super::{Reached, Target};
use crate::sample::sample;

pub(super) const TARGET: Target = Target { name: "bundle", run, seeds };

pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![sample().bundle.encode(), Bundle::default().encode()]
}

fn run(bytes: &[u8]) -> Reached {
    let decoded = Bundle::decode(bytes);
    if let Ok(bundle) = &decoded {
        assert!(bundle.encode() == bytes, "a bundle is encoded to other bytes");
    }
    Reached::of(&decoded.map(drop).map_err(|error| error.what))
}
