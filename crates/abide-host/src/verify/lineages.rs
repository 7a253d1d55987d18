//! One pass over the records of a log, each lineage followed as it goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::clock::Clock;
use abide_core::engine::Engine;
use abide_core::object::Object;
use abide_core::record::decode::{DecodeError, Header, decode_strict, header};
use abide_core::record::{Event, Genesis, HOST, Hash, HostGenesis, Progress, Record, Signature};
use abide_core::reset::HostClock;
use abide_core::schema::Schema;
use abide_core::state::Status;
use abide_core::time::Timestamp;
use abide_store::{Damage, Frame, LogReader, Position, ReadError};

use super::law::{Family, breach, genesis_breach};
use super::reset::{Reset, reset_breaches};
use crate::history::{Problem, differences};
use crate::transitions::Transitions;

/// Every lineage of a log, as far as its records were read.
pub(super) struct Lineages {
    host: Option<HostGenesis>,
    /// The hash of record 0.
    host_genesis: Hash,
    /// The host's own lineage.
    own: Chain,
    /// Whether records may be left out of it.
    host_gaps: bool,
    schemas: BTreeMap<Hash, Arc<Schema>>,
    /// By number, from 1.
    objects: Vec<Followed>,
    ids: BTreeMap<Arc<str>, u32>,
    family: Family,
    transitions: Transitions,
    clock: Clock,
    /// The reset of the clock in the commit at hand.
    reset: Option<Reset>,
    /// The last counter of each key that reset the clock.
    clock_counters: BTreeMap<[u8; 32], u64>,
    /// The records of the commit at hand that were read.
    commit_records: u64,
    records: u64,
    /// The frames that were read: where each starts, its first record, and the one after its last.
    frames: Vec<(Position, u64, u64)>,
    problems: Vec<Problem>,
    /// The first record that one after it names otherwise: it was altered, or that one.
    suspect: Option<u64>,
}

/// How far a lineage has come.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    length: u64,
    head: Hash,
    /// The last record's number in the log.
    leaf: u64,
    /// Whether a record of it could not be read, so that nothing is known of the next one's links.
    broken: bool,
}

/// Where a record does not follow the one before it.
struct Break {
    what: String,
    /// The one before it, where that may be the one that was altered.
    suspect: Option<u64>,
}

/// An object whose lineage is followed.
struct Followed {
    object: Object,
    chain: Chain,
    /// Whether its state is what the lineage says: not once a record of it is lost or altered.
    sound: bool,
}

/// A record that was read, and where.
#[derive(Clone, Copy)]
struct Read<'a> {
    leaf: u64,
    number: u32,
    bytes: &'a [u8],
    hash: Hash,
}

impl Lineages {
    /// Reads the frames of a log up to the record `limit`, also those that follow a damaged one. With `host_gaps`, records may
    /// be left out of the host's own lineage.
    pub(super) fn read(reader: &LogReader, limit: Option<u64>, host_gaps: bool) -> Result<Self, ReadError> {
        let mut lineages = Self {
            host: None,
            host_genesis: Hash::default(),
            own: Chain::default(),
            host_gaps,
            schemas: BTreeMap::new(),
            objects: Vec::new(),
            ids: BTreeMap::new(),
            family: Family::default(),
            transitions: Transitions::default(),
            clock: Clock::default(),
            reset: None,
            clock_counters: BTreeMap::new(),
            commit_records: 0,
            records: 0,
            frames: Vec::new(),
            problems: Vec::new(),
            suspect: None,
        };
        let mut from = Position::START;
        while let Some(next) = lineages.read_from(reader, from, limit)? {
            from = next;
        }
        Ok(lineages)
    }

    /// Reads frames from `from` on; where one is damaged, gives the place of the next sound one.
    fn read_from(
        &mut self,
        reader: &LogReader,
        from: Position,
        limit: Option<u64>,
    ) -> Result<Option<Position>, ReadError> {
        let mut end = from;
        for frame in reader.frames(from) {
            match frame {
                Ok(frame)
                    if limit.is_some_and(|limit| frame.records().next().is_some_and(|r| r.leaf >= limit)) =>
                {
                    return Ok(None);
                }
                Ok(frame) => {
                    end = frame.end();
                    self.frame(&frame);
                }
                Err(ReadError::Damaged(_)) => {
                    let next = reader.sound_after(end)?;
                    self.commit_records = 0;
                    for record in reader.records_of_damaged(end, next.unwrap_or(reader.end())) {
                        let (number, bytes, hash) = (record.object, &*record.bytes, Hash(record.hash()));
                        self.record(Read { leaf: record.leaf, number, bytes, hash }, None);
                    }
                    self.end_reset(None);
                    return Ok(next);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn frame(&mut self, frame: &Frame) {
        let clock = Clock { tick: frame.tick(), time: Timestamp(frame.time()) };
        let first = frame.records().next().map_or(0, |record| record.leaf);
        let before = self.clock;
        self.commit_records = 0;
        self.frames.push((
            frame.position(),
            first,
            frame.records().last().map_or(first, |record| record.leaf + 1),
        ));
        for record in frame.records() {
            let hash = Hash(record.hash());
            self.record(
                Read { leaf: record.leaf, number: record.object, bytes: record.bytes, hash },
                Some(clock),
            );
        }
        let was_reset = self.end_reset(Some(first));
        self.clock = clock;
        // Time goes back by a reset alone, and that is a tick of its own.
        let goes_on = clock >= before && (clock.time >= before.time || was_reset && clock.tick > before.tick);
        if !goes_on {
            let what = format!(
                "its tick {} at {} is before tick {} at {}",
                clock.tick, clock.time, before.tick, before.time
            );
            self.problems.push(Problem {
                object: None,
                seq: None,
                leaf: Some(first),
                tick: Some(clock.tick),
                what,
            });
        }
        for child in self.family.untold() {
            let object = |id: &str| self.ids.get(id).and_then(|number| self.number(*number));
            let parent = object(&child).and_then(|child| object(child.object.parent.as_ref()?));
            let Some(parent) =
                parent.filter(|parent| parent.sound && parent.object.state.status != Status::Terminated)
            else {
                continue;
            };
            let what = format!("it does not tell of the end of its child `{child}` in this tick");
            let object = Some(Arc::clone(&parent.object.id));
            self.problems.push(Problem {
                object,
                seq: None,
                leaf: Some(first),
                tick: Some(clock.tick),
                what,
            });
        }
        for (parent, record) in self.family.end_tick() {
            let what = format!("its record {record} makes a child that does not begin in this tick");
            self.problems.push(Problem {
                object: Some(parent),
                seq: None,
                leaf: Some(first),
                tick: Some(clock.tick),
                what,
            });
        }
    }

    fn record(&mut self, read: Read<'_>, clock: Option<Clock>) {
        self.records += 1;
        self.commit_records += 1;
        let header = match header(read.bytes) {
            Ok(header) => header,
            Err(error) => return self.unreadable(read, &error),
        };
        if clock.is_some_and(|clock| clock.tick != header.tick || clock.time != header.time) {
            self.problem(read, &header, "its tick or time is not that of its commit".to_owned());
        }
        if self.reset.as_ref().is_some_and(|_| !Reset::may_hold(header.kind)) {
            self.problem(read, &header, "a reset of the clock is a commit of its own".to_owned());
        }
        let number = if &*header.object == HOST { Some(0) } else { self.ids.get(&header.object).copied() };
        match number {
            Some(0) => self.host_record(read, &header),
            Some(number) if header.prev.is_some() => self.object_record(read, &header, number),
            None if header.prev.is_none() => self.genesis(read, &header),
            Some(_) => self.problem(read, &header, "its object has begun already".to_owned()),
            None => self.problem(read, &header, "its object has no genesis in this log".to_owned()),
        }
    }

    /// A record that is none. Whose it is, the log itself says.
    fn unreadable(&mut self, read: Read<'_>, error: &DecodeError) {
        let (id, chain) = match self.followed(read.number) {
            Some(followed) => {
                followed.sound = false;
                (Some(Arc::clone(&followed.object.id)), &mut followed.chain)
            }
            None => ((read.number == 0).then(|| HOST.into()), &mut self.own),
        };
        let seq = id.is_some().then_some(chain.length);
        chain.lose(read);
        let (leaf, what) = (Some(read.leaf), error.to_string());
        self.problems.push(Problem { object: id, seq, leaf, tick: None, what });
    }

    fn host_record(&mut self, read: Read<'_>, header: &Header) {
        let is_gap = self.host_gaps && header.seq > self.own.length;
        let broken = self.own.follow(header, read).filter(|_| !is_gap);
        if let Some(Break { what, suspect }) = broken {
            self.suspects(suspect);
            self.problem(read, header, what);
        }
        let record = match decode_strict(read.bytes, None) {
            Ok(record) => record,
            Err(error) => return self.problem(read, header, error.to_string()),
        };
        match record.event {
            Event::Host(host) if read.leaf == 0 => {
                self.host = Some(*host);
                self.host_genesis = read.hash;
            }
            Event::Schema(known) => match Schema::from_canonical(&known.canonical) {
                Ok(schema) => {
                    self.schemas.insert(Hash(schema.digest), Arc::new(schema));
                }
                Err(error) => self.problem(read, header, format!("its schema cannot be read: {error}")),
            },
            Event::Progress(progress) => self.progress(*progress),
            Event::Clock { since, signature } => self.reset(read, header, since, signature.as_deref()),
            _ => self.problem(read, header, "a host's lineage holds no such record".to_owned()),
        }
    }

    /// A reset of the clock: the objects that it concerns have it in their lineages, in the same commit.
    fn reset(&mut self, read: Read<'_>, header: &Header, since: Timestamp, signature: Option<&Signature>) {
        if self.commit_records != 1 {
            self.problem(read, header, "a reset of the clock comes first in its commit".to_owned());
        }
        let host = HostClock {
            genesis: self.host_genesis,
            replayed: self.host.as_ref().is_some_and(|host| host.replayed),
            time: since,
            counters: &self.clock_counters,
        };
        let sound = || self.objects.iter().filter(|followed| followed.sound).map(|followed| &followed.object);
        // Of an object whose lineage is not whole, or not here, nobody can say who its operators were.
        let all = !self.host_gaps && self.objects.iter().all(|followed| followed.sound);
        let wrong = reset_breaches(&host, sound(), all, self.clock, header, signature);
        let awaited = sound().filter(|object| object.state.minds_the_clock(&object.schema, since));
        self.reset = Some(Reset::new(since, awaited.map(|object| object.number)));
        for what in wrong {
            self.problem(read, header, what);
        }
        if let Some(signature) = signature {
            self.clock_counters.insert(signature.key, signature.counter);
        }
        self.clock = Clock { tick: header.tick, time: header.time };
    }

    /// A commit ends: whether it was a reset of the clock. Those whose lineages do not tell of it are told.
    fn end_reset(&mut self, leaf: Option<u64>) -> bool {
        let Some(reset) = self.reset.take() else { return false };
        for number in reset.into_awaited() {
            let Some(followed) = self.number(number).filter(|followed| followed.sound) else { continue };
            let object = Some(Arc::clone(&followed.object.id));
            let what = "its lineage does not tell of the reset of the clock in this tick".to_owned();
            let tick = Some(self.clock.tick);
            self.problems.push(Problem { object, seq: None, leaf, tick, what });
        }
        true
    }

    fn progress(&mut self, progress: Progress) {
        for (number, counted) in progress.pending {
            if let Some(followed) = self.followed(number) {
                let schema = Arc::clone(&followed.object.schema);
                followed.object.state.resume_pending(&schema, counted);
            }
        }
    }

    fn genesis(&mut self, read: Read<'_>, header: &Header) {
        let Some(schema) = header.schema.and_then(|digest| self.schemas.get(&digest)).map(Arc::clone) else {
            return self.problem(read, header, "its schema is not in the log".to_owned());
        };
        let record = match decode_strict(read.bytes, Some(&schema)) {
            Ok(record) => record,
            Err(error) => return self.problem(read, header, error.to_string()),
        };
        let Event::Genesis(genesis) = &record.event else {
            return self.problem(read, header, "a lineage begins with its genesis".to_owned());
        };
        if usize::try_from(read.number).ok() != Some(self.objects.len() + 1) {
            self.problem(read, header, format!("its object has number {} in the log", read.number));
        }
        self.check_genesis(read, header, &record, genesis, &schema);
        let number = u32::try_from(self.objects.len() + 1).unwrap_or(u32::MAX);
        let object =
            Object::bound(Arc::clone(&record.object), number, schema, genesis, read.hash, record.time);
        self.ids.insert(Arc::clone(&record.object), number);
        self.objects.push(Followed {
            object,
            chain: Chain { length: 1, head: read.hash, leaf: read.leaf, broken: false },
            sound: true,
        });
    }

    fn check_genesis(
        &mut self,
        read: Read<'_>,
        header: &Header,
        record: &Record,
        genesis: &Genesis,
        schema: &Schema,
    ) {
        if self.host.as_ref().is_some_and(|host| host.identity != genesis.host) {
            self.problem(read, header, format!("it names `{}` as its host", genesis.host));
        }
        if let Some(what) = genesis_breach(record, genesis, schema) {
            self.problem(read, header, what);
        }
        if let Some(what) = self.family.child_breach(record, genesis) {
            self.problem(read, header, what);
        }
    }

    fn object_record(&mut self, read: Read<'_>, header: &Header, number: u32) {
        if number != read.number {
            self.problem(
                read,
                header,
                format!("its object has number {number}, and the log says {}", read.number),
            );
        }
        let Some(index) = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)) else {
            return;
        };
        let Some(followed) = self.objects.get_mut(index) else { return };
        let break_in_chain = followed.chain.follow(header, read);
        followed.sound &= break_in_chain.is_none();
        let after = match header.puts_in_force() {
            None => Some(Arc::clone(&followed.object.schema)),
            Some(digest) => self.schemas.get(&digest).map(Arc::clone),
        };
        let decoded = match after {
            Some(after) => decode_strict(read.bytes, Some(&after))
                .map(|record| (record, after))
                .map_err(|e| e.to_string()),
            None => Err("its schema is not in the log".to_owned()),
        };
        let suspect = break_in_chain.as_ref().and_then(|broken| broken.suspect);
        let mut wrong: Vec<String> = break_in_chain.into_iter().map(|broken| broken.what).collect();
        match decoded {
            Ok((record, after)) if followed.sound => {
                wrong.extend(breach(&followed.object, &record, &after, &self.schemas, &mut self.transitions));
                if let Event::Clock { since, .. } = &record.event {
                    wrong.extend(Reset::breach(self.reset.as_mut(), *since, number));
                }
                if let Event::Spawn(spawned) = &record.event {
                    self.family.spawn(&followed.object, read.hash, spawned);
                }
                followed.object.fold(&record, read.hash, &after);
                match &record.event {
                    Event::Terminate(_) => self.family.end(&followed.object),
                    Event::ChildEnded { child, part } => {
                        let index = self
                            .ids
                            .get(child)
                            .and_then(|number| usize::try_from(*number).ok()?.checked_sub(1));
                        let child =
                            index.and_then(|index| self.objects.get(index)).map(|child| &child.object);
                        wrong.extend(self.family.end_breach(child, part, record.time));
                    }
                    _ => {}
                }
            }
            // Its state is not known any more, but what it may say is.
            Ok((_, after)) => followed.object.schema = after,
            Err(error) => {
                followed.sound = false;
                wrong.push(error);
            }
        }
        self.suspects(suspect);
        for what in wrong {
            self.problem(read, header, what);
        }
    }

    fn suspects(&mut self, leaf: Option<u64>) {
        self.suspect = self.suspect.into_iter().chain(leaf).min();
    }

    /// Holds the states that the lineages come to against those of an engine, which a snapshot may have begun.
    pub(super) fn hold_against(&mut self, engine: &Engine) {
        for followed in self.objects.iter().filter(|followed| followed.sound) {
            let Some(live) = engine.by_number(followed.object.number) else { continue };
            self.problems.extend(differences(&followed.object, live).into_iter().map(|what| Problem {
                object: Some(Arc::clone(&live.id)),
                seq: live.length.checked_sub(1),
                leaf: None,
                tick: None,
                what: format!("the fold of the lineage is not how the object stands: {what}"),
            }));
        }
    }

    /// The first record of the frame that stands at a damaged place, or stood there.
    pub(super) fn leaf_of(&self, damage: &Damage) -> Option<u64> {
        let name = damage.path.rsplit(['/', ':']).next()?.strip_suffix(".seg")?;
        let position = Position(name.parse::<u64>().ok()?.checked_add(damage.offset)?);
        let after = self.frames.partition_point(|(start, ..)| *start <= position);
        match after.checked_sub(1).and_then(|index| self.frames.get(index)) {
            Some((start, first, _)) if *start == position => Some(*first),
            before => Some(before.map_or(0, |(_, _, end)| *end)),
        }
    }

    /// Record 0.
    pub(super) fn host(&self) -> Option<&HostGenesis> {
        self.host.as_ref()
    }

    /// How many records were read.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// How many objects they are of.
    pub(super) fn objects(&self) -> u64 {
        u64::try_from(self.objects.len()).unwrap_or(u64::MAX)
    }

    /// The first record that one after it names otherwise.
    pub(super) fn suspect(&self) -> Option<u64> {
        self.suspect
    }

    /// What is wrong with them.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn number(&self, number: u32) -> Option<&Followed> {
        self.objects.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    fn followed(&mut self, number: u32) -> Option<&mut Followed> {
        self.objects.get_mut(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    fn problem(&mut self, read: Read<'_>, header: &Header, what: String) {
        let (object, seq) = (Some(Arc::clone(&header.object)), Some(header.seq));
        self.problems.push(Problem { object, seq, leaf: Some(read.leaf), tick: Some(header.tick), what });
    }
}

impl Chain {
    /// Goes on to a record: in what it does not follow the one before it. Either way it is the one to follow now.
    fn follow(&mut self, header: &Header, read: Read<'_>) -> Option<Break> {
        let next = Self { length: header.seq + 1, head: read.hash, leaf: read.leaf, broken: false };
        let before = std::mem::replace(self, next);
        let prev = (before.length > 0).then_some(before.head);
        if header.seq > before.length {
            let what =
                format!("the records from {} to {} before it are missing", before.length, header.seq - 1);
            return Some(Break { what, suspect: None });
        }
        if header.seq < before.length {
            let what = format!("record {} stands before it", before.length - 1);
            return Some(Break { what, suspect: None });
        }
        (!before.broken && header.prev != prev).then(|| {
            let what = format!(
                "it names another record before it than record {}: that one was altered, or this one",
                before.length.saturating_sub(1)
            );
            Break { what, suspect: Some(before.leaf) }
        })
    }

    /// A record could not be read, but has its place.
    fn lose(&mut self, read: Read<'_>) {
        *self = Self { length: self.length + 1, head: read.hash, leaf: read.leaf, broken: true };
    }
}
