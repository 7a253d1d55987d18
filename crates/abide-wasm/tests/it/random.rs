//! What is random in a test, out of a seed.

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below that bound, which is no 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.next().to_le_bytes()).flatten().take(count).collect()
    }
}

/// Tells the seed where a test fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("that was seed {0}: `ABIDE_SEED={0}` runs it alone", self.0);
        }
    }
}

/// Runs a test for each of so many seeds, or for the one in `ABIDE_SEED`; whether it was all of them.
pub(crate) fn each_seed(count: u64, mut test: impl FnMut(&mut Random)) -> bool {
    let alone = std::env::var("ABIDE_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    for seed in alone.map_or(0..count, |seed| seed..seed + 1) {
        let told = Told(seed);
        test(&mut Random(seed));
        drop(told);
    }
    alone.is_none()
}
