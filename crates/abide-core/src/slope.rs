//! The trust slope's bucket: what an object may spend on changing itself, in millionths, exact to the remainder.

use crate::schema::{Micro, Refill};
use crate::time::{Span, Timestamp};

/// A token bucket on the recorded clock. Over any window of length t it gives out at most `capacity + refill × t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Most that it holds, in millionths.
    pub capacity: Micro,
    /// How it refills; `None`: never.
    pub refill: Option<Refill>,
    /// What it held at `at`, in millionths.
    pub level: Micro,
    /// What had come in beyond `level`, in millionths × nanoseconds, below `refill.per`.
    pub remainder: u64,
    /// When `level` was reckoned.
    pub at: Timestamp,
}

/// What a parent takes out of its own bucket for a child, and gets back when the child ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allotment {
    /// Part of the capacity, in millionths.
    pub budget: Micro,
    /// Part of what is in the bucket, in millionths.
    pub level: Micro,
    /// Part of the refill's amount, in millionths.
    pub refill: Micro,
    /// The `per` of that refill.
    pub per: Span,
}

impl Allotment {
    /// Its refill as an amount every `per`, in millionths, rounded up.
    #[must_use]
    pub fn refill_per(&self, per: Span) -> Micro {
        let nanos = |span: Span| u128::from(span.0.unsigned_abs());
        if nanos(self.per) == 0 || self.per == per {
            return self.refill;
        }
        let amount = (u128::from(self.refill) * nanos(per)).div_ceil(nanos(self.per));
        Micro::try_from(amount).unwrap_or(Micro::MAX)
    }
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(capacity: Micro, refill: Option<Refill>, at: Timestamp) -> Self {
        Self { capacity, refill, level: capacity, remainder: 0, at }
    }

    /// The bucket as it stands at `now`. A time before `at` changes nothing.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        let elapsed = u128::try_from(now.since(self.at).0).unwrap_or(0);
        self.at = self.at.max(now);
        if self.level >= self.capacity {
            self.remainder = 0;
            return self;
        }
        let Some((amount, per)) = self.flow() else { return self };
        let come_in = elapsed * amount + u128::from(self.remainder);
        let room = self.capacity - self.level;
        match u64::try_from(come_in / per) {
            Ok(gained) if gained < room => {
                self.level += gained;
                self.remainder = u64::try_from(come_in % per).unwrap_or(0);
            }
            _ => {
                self.level = self.capacity;
                self.remainder = 0;
            }
        }
        self
    }

    /// The bucket after `cost` is taken out of it at `now`, or `None` when it does not hold that much.
    #[must_use]
    pub fn charge(self, cost: Micro, now: Timestamp) -> Option<Self> {
        let current = self.at(now);
        Some(Self { level: current.level.checked_sub(cost)?, ..current })
    }

    /// When the bucket will hold `cost`, if it ever does.
    #[must_use]
    pub fn affords_at(self, cost: Micro) -> Option<Timestamp> {
        if cost <= self.level {
            return Some(self.at);
        }
        if cost > self.capacity {
            return None;
        }
        let (amount, per) = self.flow()?;
        let missing = u128::from(cost - self.level) * per - u128::from(self.remainder);
        let wait = i64::try_from(missing.div_ceil(amount)).ok()?;
        self.at.checked_add(Span(wait))
    }

    /// Takes a part out of it for a child: the child's part, or `None` when there is not that much to divide.
    #[must_use]
    pub fn divide(self, budget: Micro, refill: Micro, now: Timestamp) -> Option<(Self, Allotment)> {
        let mut rest = self.at(now);
        let per = rest.refill.map_or(Span::from_secs(1), |r| r.per);
        rest.capacity = rest.capacity.checked_sub(budget)?;
        match &mut rest.refill {
            Some(own) => own.amount = own.amount.checked_sub(refill)?,
            None if refill == 0 => {}
            None => return None,
        }
        let level = budget.min(rest.level);
        rest.level = (rest.level - level).min(rest.capacity);
        Some((rest, Allotment { budget, level, refill, per }))
    }

    /// Puts back what a child leaves.
    #[must_use]
    pub fn rejoin(self, part: &Allotment, now: Timestamp) -> Self {
        let mut whole = self.at(now);
        whole.capacity = whole.capacity.saturating_add(part.budget);
        whole.level = whole.level.saturating_add(part.level).min(whole.capacity);
        if let Some(own) = &mut whole.refill {
            own.amount = own.amount.saturating_add(part.refill);
        }
        whole
    }

    fn flow(&self) -> Option<(u128, u128)> {
        let refill = self.refill?;
        let per = u128::try_from(refill.per.0).ok().filter(|per| *per > 0)?;
        (refill.amount > 0).then_some((u128::from(refill.amount), per))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(capacity: Micro, amount: Micro, per: i64) -> Bucket {
        Bucket::full(capacity, Some(Refill { amount, per: Span(per) }), Timestamp(0))
    }

    #[test]
    fn the_remainder_is_kept() {
        let mut b = bucket(10, 1, 3).charge(10, Timestamp(0)).unwrap();
        for t in 1..=9 {
            b = b.at(Timestamp(t));
        }
        assert_eq!(b.level, 3, "nine thirds make three, however often it is looked at");
    }

    #[test]
    fn it_affords_a_cost_at_the_first_moment_that_it_can() {
        let b = bucket(10, 7, 1_000).charge(10, Timestamp(0)).unwrap();
        let when = b.affords_at(4).unwrap();
        assert!(b.charge(4, when).is_some());
        assert!(b.charge(4, Timestamp(when.0 - 1)).is_none());
        assert_eq!(b.affords_at(11), None);
    }

    #[test]
    fn a_jump_does_not_overfill() {
        let b = bucket(u64::MAX, u64::MAX, 1).charge(u64::MAX, Timestamp(0)).unwrap();
        assert_eq!(b.at(Timestamp(i64::MAX)).level, u64::MAX);
        assert_eq!(bucket(5, 1, 1).at(Timestamp(i64::MAX)).level, 5);
        assert_eq!(bucket(5, 1, 1).at(Timestamp(-5)).level, 5);
    }

    proptest! {
        /// Whatever is asked and whenever, the cost admitted over any window is at most budget + refill × t; also when a
        /// part of the bucket goes to a child and comes back.
        #[test]
        fn the_law_of_the_slope(
            capacity in 0u64..1_000, amount in 0u64..1_000, per in 1i64..1_000,
            asks in prop::collection::vec((0i64..500, 0u64..300, prop::bool::ANY, prop::num::u8::ANY), 1..60),
        ) {
            let mut own = bucket(capacity, amount, per);
            let mut child: Option<(Bucket, Allotment)> = None;
            let mut now = 0;
            let mut admitted: Vec<(i64, u64)> = Vec::new();
            for (wait, cost, to_child, family) in asks {
                now += wait;
                let at = Timestamp(now);
                match (family % 7, child) {
                    (0, None) => if let Some((rest, part)) = own.divide(capacity / 2, amount / 2, at) {
                        own = rest;
                        let flow = Some(Refill { amount: part.refill, per: part.per });
                        child = Some((Bucket { level: part.level, ..Bucket::full(part.budget, flow, at) }, part));
                    },
                    (1, Some((bucket, part))) => {
                        own = own.rejoin(&Allotment { level: bucket.at(at).level, ..part }, at);
                        child = None;
                    }
                    _ => {}
                }
                let spender = match &mut child { Some((bucket, _)) if to_child => bucket, _ => &mut own };
                if let Some(after) = spender.charge(cost, at) {
                    *spender = after;
                    admitted.push((now, cost));
                }
            }
            for (i, (from, _)) in admitted.iter().enumerate() {
                let mut sum = 0u128;
                for (to, cost) in &admitted[i..] {
                    sum += u128::from(*cost);
                    let window = u128::try_from(to - from).unwrap();
                    let per = u128::try_from(per).unwrap();
                    prop_assert!(sum * per <= u128::from(capacity) * per + u128::from(amount) * window);
                }
            }
        }
    }
}
