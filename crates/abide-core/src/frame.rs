//! A frame: the records that one tick made, in commit order, ready for the log.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::clock::Clock;
use crate::guest::LogLine;
use crate::object::Object;
use crate::record::{Counted, Event, Hash, Record};

/// What one tick made. It is reused from tick to tick, so that its buffers are allocated once.
#[derive(Debug)]
pub struct Frame {
    /// The tick.
    pub clock: Clock,
    /// The records' bytes, one after another.
    pub bytes: Vec<u8>,
    /// The records, in commit order.
    pub entries: Vec<Entry>,
    /// The effects to send once the frame is durable: the object's number, and the number of the record that orders it.
    pub effects: Vec<(u32, u64)>,
    /// What acts wrote to their logs, with the number of the object. It is of no consequence, and in no record.
    pub log: Vec<(u32, LogLine)>,
    /// How many mutations rules and behaviours made.
    pub acts: usize,
    /// How many denials there were, recorded in full or counted.
    pub denials: usize,
    /// The identity of the host, for the genesis of children.
    pub host: std::sync::Arc<str>,
    /// Objects whose denials were counted rather than recorded.
    pub(crate) counted: Vec<u32>,
    /// Whether each guard of the object at hand holds.
    pub(crate) truths: Vec<bool>,
    /// See [`Frame::count_as_recorded`].
    recorded_counts: BTreeMap<usize, Vec<Counted>>,
}

/// A record in a [`Frame`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of the object in whose lineage it is; 0 is the host.
    pub object: u32,
    /// Where its bytes are in [`Frame::bytes`].
    pub range: Range<usize>,
    /// Its hash.
    pub hash: Hash,
}

/// See [`Frame::mark`].
#[derive(Debug)]
pub(crate) struct Mark {
    object: Object,
    bytes: usize,
    entries: usize,
    effects: usize,
    acts: usize,
    denials: usize,
    counted: usize,
}

impl Frame {
    /// An empty frame of a host.
    #[must_use]
    pub fn new(host: std::sync::Arc<str>) -> Self {
        Self {
            clock: Clock::default(),
            bytes: Vec::new(),
            entries: Vec::new(),
            effects: Vec::new(),
            log: Vec::new(),
            acts: 0,
            denials: 0,
            host,
            counted: Vec::new(),
            truths: Vec::new(),
            recorded_counts: BTreeMap::new(),
        }
    }

    /// Empties it for the next tick.
    pub fn clear(&mut self, clock: Clock) {
        self.clock = clock;
        self.bytes.clear();
        self.entries.clear();
        self.effects.clear();
        self.log.clear();
        (self.acts, self.denials) = (0, 0);
        self.counted.clear();
        self.recorded_counts.clear();
    }

    /// For a cycle that is run again: the entry of that index is a record of counted denials, and these are its counts.
    ///
    /// What was denied to outside callers and only counted left no other trace, so the counts are taken as they were
    /// recorded. What the cycle itself counts must be among them; if it is not, its own counts are recorded instead.
    pub fn count_as_recorded(&mut self, index: usize, counts: Vec<Counted>) {
        self.recorded_counts.insert(index, counts);
    }

    /// The counts that were recorded as the next entry.
    pub(crate) fn recorded_counts(&self) -> Option<&[Counted]> {
        self.recorded_counts.get(&self.entries.len()).map(Vec::as_slice)
    }

    /// What the next entry records of denials that are counted: in a cycle that is run again, as it was recorded.
    pub(crate) fn counted_for_next(&self, counted: Vec<Counted>) -> Vec<Counted> {
        let covers = |one: &Counted, all: &[Counted]| {
            all.iter().any(|recorded| {
                recorded.key == one.key
                    && recorded.count >= one.count
                    && recorded.last == one.last
                    && recorded.own.ends_with(&one.own)
                    && one.chosen.iter().all(|chosen| recorded.chosen.contains(chosen))
            })
        };
        match self.recorded_counts() {
            Some(recorded) if counted.iter().all(|one| covers(one, recorded)) => recorded.to_vec(),
            _ => counted,
        }
    }

    /// Whether the tick made no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of a record.
    #[must_use]
    pub fn record(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.range.clone()).unwrap_or_default()
    }

    pub(crate) fn push(&mut self, object: u32, write: impl FnOnce(&mut Vec<u8>)) -> Hash {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let range = start..self.bytes.len();
        let hash = Hash::of_record(self.bytes.get(range.clone()).unwrap_or_default());
        self.entries.push(Entry { object, range, hash });
        hash
    }

    /// Where the frame and the object at hand stand, to come back to if the steps of an act are dropped.
    pub(crate) fn mark(&self, object: &Object) -> Mark {
        Mark {
            object: object.clone(),
            bytes: self.bytes.len(),
            entries: self.entries.len(),
            effects: self.effects.len(),
            acts: self.acts,
            denials: self.denials,
            counted: self.counted.len(),
        }
    }

    /// Drops what was recorded since the mark, and gives the object as it stood then.
    pub(crate) fn rewind(&mut self, mark: Mark) -> Object {
        self.bytes.truncate(mark.bytes);
        self.entries.truncate(mark.entries);
        self.effects.truncate(mark.effects);
        (self.acts, self.denials) = (mark.acts, mark.denials);
        self.counted.truncate(mark.counted);
        mark.object
    }

    /// Takes note of what the shell has to do for a record.
    pub(crate) fn note(&mut self, object: u32, record: Record) {
        match record.event {
            Event::Mutation(mutated) => {
                self.acts += usize::from(mutated.rule.is_some());
                if mutated.effect.is_some() {
                    self.effects.push((object, record.seq));
                }
            }
            Event::Denial(_) => self.denials += 1,
            _ => {}
        }
    }
}
