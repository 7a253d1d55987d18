//! The verifier of bundles: it never panics, and what verifies by the host's key holds the host's own lineages.

use abide_core::bundle::Bundle;
use abide_host::verify::{Against, TrustedKey, verify_bundle};

use super::{Reached, Target};
use crate::random::Random;
use crate::sample::sample;

pub(super) const TARGET: Target = Target { name: "verify", run, seeds };

/// Beside the bundle itself, numbers: each stands for a change of one part of it, so that the change gets past the decoder.
fn seeds() -> Vec<Vec<u8>> {
    let numbers = (0_u64..64).map(|n| n.to_le_bytes().to_vec());
    super::bundle::seeds().into_iter().chain(numbers).collect()
}

fn run(bytes: &[u8]) -> Reached {
    let sound = &sample().bundle;
    let bundle = match <[u8; 8]>::try_from(bytes) {
        Ok(number) => changed(sound, u64::from_le_bytes(number)),
        Err(_) => match Bundle::decode(bytes) {
            Ok(bundle) => bundle,
            Err(error) => return Reached::of(&error.what),
        },
    };
    let key = Some(TrustedKey::Log(sample().verifier.verifier_key()));
    let found = verify_bundle(&bundle, &Against { key, since: Vec::new(), execute: None });
    let Ok(found) = found else { return Reached::of(&"not laid out") };
    if found.is_verified() {
        // The host's own records may be others of the same host, and any blob that agrees; the lineages are whole.
        let known = bundle.records.iter().all(|record| sample().records.contains(record));
        assert!(known, "a record verifies that the host never wrote");
        let known = bundle.host.iter().all(|proved| sample().records.contains(&proved.bytes));
        assert!(known, "a record verifies that the host never wrote");
        assert_eq!(bundle.records.len(), sound.records.len(), "a lineage verifies that is not whole");
        assert!(found.is_confirmed && found.head.is_some());
    } else {
        assert_ne!(&bundle, sound, "{:?}", found.problems);
    }
    let problems: Vec<_> = found.problems.iter().map(|problem| &problem.what).take(3).collect();
    Reached::of(&problems)
}

/// The sound bundle with one part changed.
fn changed(sound: &Bundle, number: u64) -> Bundle {
    let (mut bundle, mut random) = (sound.clone(), Random(number));
    let part = random.below(10);
    let bit = 1 << random.below(8);
    let flip = |bytes: &mut [u8], at: usize| bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
    let (n, m) = (random.below(bundle.records.len()), random.below(bundle.records.len()));
    match part {
        0 | 1 => {
            let at = random.below(bundle.records.get(n).map_or(0, Vec::len));
            bundle.records.get_mut(n).into_iter().for_each(|record| flip(record, at));
        }
        2 => drop(bundle.records.remove(n)),
        3 => bundle.records.swap(n, m),
        4 => bundle.records.truncate(n),
        5 => {
            let n = random.below(bundle.host.len());
            let at = random.below(bundle.host.get(n).map_or(0, |proved| proved.bytes.len()));
            bundle.host.get_mut(n).into_iter().for_each(|proved| flip(&mut proved.bytes, at));
        }
        6 => {
            let n = random.below(bundle.lasts.len());
            let leaf = random.next();
            bundle.lasts.get_mut(n).into_iter().for_each(|place| place.leaf = leaf >> (leaf & 63));
        }
        7 => {
            let n = random.below(bundle.lasts.len());
            bundle.lasts.get_mut(n).into_iter().for_each(|place| place.proof.truncate(place.proof.len() / 2));
        }
        8 => {
            let again = bundle.records.get(n).cloned();
            bundle.records.extend(again);
        }
        _ => {
            let n = random.below(bundle.host.len());
            drop(bundle.host.remove(n));
        }
    }
    bundle
}
