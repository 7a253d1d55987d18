//! A set of memory slots.

use crate::field::Slot;

/// A set of memory slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotSet(Vec<u64>);
impl SlotSet {
    /// Adds a slot.
    pub fn insert(&mut self, slot: Slot) {
        let word = usize::from(slot.0 / 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (slot.0 % 64);
        }
    }

    /// Whether the slot is in the set.
    #[must_use]
    pub fn contains(&self, slot: Slot) -> bool {
        self.0.get(usize::from(slot.0 / 64)).is_some_and(|bits| bits >> (slot.0 % 64) & 1 == 1)
    }

    /// Whether no slot is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// Whether a slot is in both sets.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// The slots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.0.len().saturating_mul(64))
            .filter_map(|n| u16::try_from(n).ok().map(Slot))
            .filter(|s| self.contains(*s))
    }
}
