//! Tests of the simulator, and by it of the host.
#![cfg(test)]

use abide_sim::{Fault, Plan, Reference, crash_point, sweep};

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("the setting is a number"))
}

/// `ABIDE_CRASH_POINTS` and `ABIDE_CRASH_SEED` ask for more, or for others.
#[test]
fn nothing_acknowledged_is_lost() {
    let points = setting("ABIDE_CRASH_POINTS", 2_000);
    let seed = setting("ABIDE_CRASH_SEED", 0);
    match sweep(seed, points, &|_| {}) {
        Ok(tally) if points >= 1_000 => {
            for kind in ["crash", "failing flush", "full disk", "flipped bit"] {
                assert!(tally.faults[kind] >= points / 20, "each fault has its share: {tally}");
            }
            // A simulator that never hurts anything would find nothing either.
            assert!(tally.recovered >= points / 2, "{tally}");
            assert!(tally.unacknowledged_survived > 0, "{tally}");
            assert!(tally.damage_found > points / 40, "{tally}");
        }
        Ok(_) => {}
        Err((seed, failure)) => {
            panic!("seed {seed}: {failure}; ABIDE_CRASH_POINTS=1 ABIDE_CRASH_SEED={seed} runs it alone")
        }
    }
}

#[test]
fn a_seed_decides_the_run() {
    let reference = Reference::new(3).unwrap();
    let again = Reference::new(3).unwrap();
    for seed in Plan::seeds_of(3).take(5) {
        assert_eq!(Plan::history_seed(seed), 3);
        assert_eq!(crash_point(seed, &reference), crash_point(seed, &again));
    }
    let plans: Vec<Fault> = Plan::seeds_of(3).map(|seed| Plan::new(seed, &reference).fault).collect();
    assert!(plans.iter().any(|fault| *fault != plans[0]));
}
