//! Whether a bundle holds, for someone who has nothing but it and a key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abide_core::bundle::Bundle;
use abide_core::guest::Guest;
use abide_core::record::decode::{decode_strict, header};
use abide_core::record::{Event, HOST, Hash, HostGenesis};
use abide_store::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use abide_store::{Commit, Entry, Log, LogOptions, LogReader, LogSigner, LogVerifier, MemoryDisk};
use serde_json::{Value as Json, json};

use super::{Against, Lineages, whole};
use crate::behaviour::{Behaviours, digest};
use crate::bundle::{HOST_KINDS, agrees, behaviours};
use crate::history::{Problem, replay};
use crate::host::HostError;
use crate::keys;
use crate::view::View;

/// What verifying a bundle came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifiedBundle {
    /// The identity of the host that it says it is of.
    pub host: Option<Arc<str>>,
    /// The key of its log, as C2SP writes it.
    pub log_key: Option<String>,
    /// Whether that is a key that was given.
    pub is_confirmed: bool,
    /// The head of the log that it was taken from: the size of the tree and its root, as signed.
    pub head: Option<(u64, Hash)>,
    /// The sizes of the earlier heads that the log is shown to have grown out of.
    pub earlier: Vec<u64>,
    /// The objects whose lineages it holds.
    pub objects: Vec<Arc<str>>,
    /// Their records.
    pub records: u64,
    /// How many of them came out of running rules and behaviours again, where that was asked for.
    pub executed: Option<u64>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl VerifiedBundle {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.problems.is_empty()
    }

    /// What `verify FILE --json` prints.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "verified": self.is_verified(),
            "host": self.host.as_deref(),
            "log_key": self.log_key,
            "key_confirmed": self.is_confirmed,
            "head": self.head.map(|(size, root)| json!({ "size": size, "root": root.to_string() })),
            "since": self.earlier,
            "objects": self.objects.iter().map(|id| &**id).collect::<Vec<_>>(),
            "records": self.records,
            "executed": self.executed,
            "problems": self.problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Verifies a bundle: that its records are the host's, whole lineages, and keep the law of their schemas.
///
/// # Errors
/// When its records cannot be laid out in memory. What is wrong with it is in the answer.
pub fn verify_bundle(bundle: &Bundle, options: &Against) -> Result<VerifiedBundle, HostError> {
    let mut found = VerifiedBundle { records: bundle.records.len() as u64, ..VerifiedBundle::default() };
    let host = match host_of(bundle) {
        Ok(host) => host,
        Err(problem) => {
            found.problems.push(problem);
            return Ok(found);
        }
    };
    found.host = Some(Arc::clone(&host.identity));
    check_host(bundle, &host, options, &mut found);
    let Some(layout) = Layout::of(bundle, &mut found.problems) else { return Ok(found) };
    found.objects.clone_from(&layout.ids);
    if let Some((size, root)) = found.head {
        check_places(bundle, &layout, size, &root.0, &mut found.problems);
    }
    let reader = match layout.log(bundle) {
        Err(HostError::Append(error)) => {
            found.problems.push(whole(format!("its records fit into no log: {error}")));
            return Ok(found);
        }
        laid_out => laid_out?,
    };
    let lineages = Lineages::read(&reader, None, true).map_err(HostError::from)?;
    let unplaced = |problem: Problem| Problem { leaf: None, ..problem };
    found.problems.extend(lineages.into_problems().into_iter().map(unplaced));
    if !found.problems.is_empty() {
        return Ok(found);
    }
    let view = match View::of_bundle(reader) {
        Ok(Some(view)) => view,
        Ok(None) | Err(HostError::Fold { .. }) => {
            found.problems.push(whole("its records do not fold".to_owned()));
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    check_blobs(bundle, &view, options.execute.is_some(), &mut found.problems)?;
    if let Some(compiler) = options.execute.as_ref().filter(|_| found.problems.is_empty()) {
        let guest = Behaviours::new(view.reader().blobs(), Arc::clone(compiler));
        found.executed = Some(execute(&view, &guest, &mut found.problems)?);
    }
    Ok(found)
}

/// Runs every lineage again: how many records came out.
pub(super) fn execute(view: &View, guest: &dyn Guest, problems: &mut Vec<Problem>) -> Result<u64, HostError> {
    let mut executed = 0;
    for object in view.engine().objects() {
        match replay(view, object, None, Some(guest)) {
            Ok(replayed) => {
                executed += replayed.executed.unwrap_or_default();
                problems.extend(replayed.problems);
            }
            Err(error) => problems.push(whole(error.to_string())),
        }
    }
    Ok(executed)
}

/// Who record 0 says that the host is.
fn host_of(bundle: &Bundle) -> Result<HostGenesis, Problem> {
    let of_record_0 = |what: String| Problem { object: Some(HOST.into()), seq: Some(0), ..whole(what) };
    let first = bundle.host.first().filter(|first| first.place.leaf == 0);
    let first = first
        .ok_or_else(|| of_record_0("it is missing, and with it what certifies the log key".to_owned()))?;
    let record = decode_strict(&first.bytes, None).map_err(|error| of_record_0(error.to_string()))?;
    let Event::Host(host) = record.event else {
        return Err(of_record_0("it is not the first record of a host".to_owned()));
    };
    if !keys::is_certified(&host) {
        let what = format!("the certificate of the log key is not the signature of `{}`", host.identity);
        return Err(of_record_0(what));
    }
    Ok(*host)
}

/// The checkpoint, the host's own records, and the earlier checkpoints.
fn check_host(bundle: &Bundle, host: &HostGenesis, options: &Against, found: &mut VerifiedBundle) {
    let verifier = match LogVerifier::new(&host.origin, &host.log_key) {
        Ok(verifier) => verifier,
        Err(error) => return found.problems.push(whole(error.to_string())),
    };
    let log_key = verifier.verifier_key();
    match options.is_of(host, &log_key) {
        Ok(is_confirmed) => found.is_confirmed = is_confirmed,
        Err(what) => found.problems.push(whole(what)),
    }
    found.log_key = Some(log_key);
    let Some((size, root)) = verifier.verify_note(&bundle.checkpoint) else {
        return found.problems.push(whole("the checkpoint is not a note that its log key signed".to_owned()));
    };
    found.head = Some((size, Hash(root)));
    let mut before = None;
    for proved in &bundle.host {
        let leaf = proved.place.leaf;
        let seq = header(&proved.bytes).ok().map(|header| header.seq);
        let wrong = if before.is_some_and(|before| before >= leaf) {
            Some("the host's records are not in the order of the log".to_owned())
        } else if header(&proved.bytes).is_ok_and(|h| *h.object != *HOST || !HOST_KINDS.contains(&h.kind)) {
            Some("it does not stand among the host's records".to_owned())
        } else {
            not_included(&proved.bytes, leaf, size, &root, &proved.place.proof)
        };
        before = Some(leaf);
        found.problems.extend(wrong.map(|what| Problem { object: Some(HOST.into()), seq, ..whole(what) }));
    }
    let mut roots = BTreeMap::from([(size, root)]);
    for earlier in &bundle.earlier {
        match verifier.verify_note(&earlier.note) {
            None => found.problems.push(whole("an earlier checkpoint is not of this log".to_owned())),
            Some((old, old_root)) => {
                let proof: Vec<_> = earlier.proof.iter().map(|hash| hash.0).collect();
                if old > 0
                    && let Err(error) = verify_consistency(&old_root, old, &root, size, &proof)
                {
                    let what = format!("it does not go on from its checkpoint of {old} records: {error}");
                    found.problems.push(whole(what));
                } else if old == 0 && !proof.is_empty() {
                    found.problems.push(whole("an empty log needs no proof".to_owned()));
                } else {
                    roots.insert(old, old_root);
                    found.earlier.push(old);
                }
            }
        }
    }
    for note in &options.since {
        let known = |old: u64| roots.get(&old).copied();
        let wrong = match verifier.verify_note(note) {
            Some((old, _)) if old <= size && known(old).is_none() => Some(format!(
                "it does not prove that it goes on from the checkpoint of {old} records: have it exported with `--since`"
            )),
            _ => agrees(&verifier, note, known).err(),
        };
        found.problems.extend(wrong.map(whole));
    }
}

fn not_included(bytes: &[u8], leaf: u64, size: u64, root: &[u8; 32], proof: &[Hash]) -> Option<String> {
    let proof: Vec<_> = proof.iter().map(|hash| hash.0).collect();
    let wrong = verify_inclusion(root, size, leaf, &leaf_hash(bytes), &proof).err()?;
    Some(format!("it is not record {leaf} of the log that the checkpoint is of: {wrong}"))
}

/// The records of a bundle as commits, in the order of the log.
struct Layout {
    /// The objects, in the order of their first records.
    ids: Vec<Arc<str>>,
    /// For each, the index of its last record.
    lasts: Vec<usize>,
    /// A commit for each tick: its number and time, and records with the number of their lineage.
    commits: Vec<Tick>,
}

#[derive(Default)]
struct Tick {
    tick: u64,
    time: i64,
    records: Vec<(u32, Stored)>,
}

/// Where a record stands in the bundle.
#[derive(Clone, Copy)]
enum Stored {
    Host(usize),
    Object(usize),
}

impl Layout {
    /// `None` where the records are in no order that a log can have, which is reported.
    fn of(bundle: &Bundle, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut layout = Self { ids: Vec::new(), lasts: Vec::new(), commits: Vec::new() };
        let mut numbers: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        let mut host = bundle.host.iter().enumerate().peekable();
        let unreadable = |n: usize, what: String| whole(format!("record {n} of the bundle: {what}"));
        for (n, bytes) in bundle.records.iter().enumerate() {
            let header = match header(bytes) {
                Ok(header) => header,
                Err(error) => {
                    problems.push(unreadable(n, error.to_string()));
                    return None;
                }
            };
            // The host's own records come first in their commits.
            while let Some((n, own)) = host.next_if(|(_, own)| tick_of(&own.bytes) <= Some(header.tick)) {
                layout.push(&own.bytes, 0, Stored::Host(n));
            }
            let number = match (numbers.get(&header.object), header.prev) {
                (Some(number), _) => *number,
                (None, None) => {
                    let number = u32::try_from(layout.ids.len() + 1).ok()?;
                    numbers.insert(Arc::clone(&header.object), number);
                    layout.ids.push(Arc::clone(&header.object));
                    layout.lasts.push(n);
                    number
                }
                (None, Some(_)) => {
                    let what = "its lineage does not begin with its genesis".to_owned();
                    let (object, seq) = (Some(header.object), Some(header.seq));
                    problems.push(Problem { object, seq, tick: Some(header.tick), ..whole(what) });
                    return None;
                }
            };
            if let Some(last) = usize::try_from(number - 1).ok().and_then(|index| layout.lasts.get_mut(index))
            {
                *last = n;
            }
            layout.push(bytes, number, Stored::Object(n));
        }
        for (n, own) in host {
            layout.push(&own.bytes, 0, Stored::Host(n));
        }
        if layout.ids.is_empty() {
            problems.push(whole("it holds no lineage".to_owned()));
            return None;
        }
        Some(layout)
    }

    fn push(&mut self, bytes: &[u8], number: u32, stored: Stored) {
        let at = header(bytes).map(|header| (header.tick, header.time.0)).unwrap_or_default();
        match self.commits.last_mut() {
            Some(last) if last.tick == at.0 => last.records.push((number, stored)),
            _ => self.commits.push(Tick { tick: at.0, time: at.1, records: vec![(number, stored)] }),
        }
    }

    /// A log in memory that holds them. Who signs it says nothing: what the records prove, their places prove.
    fn log(&self, bundle: &Bundle) -> Result<LogReader, HostError> {
        let signer = LogSigner::new("bundle", &[0; 32])?;
        let disk = Arc::new(MemoryDisk::new());
        let mut log = Log::create(disk.clone(), LogOptions::new(signer))?;
        for commit in &self.commits {
            let bytes = |stored: Stored| match stored {
                Stored::Host(n) => bundle.host.get(n).map_or(&[][..], |own| &own.bytes),
                Stored::Object(n) => bundle.records.get(n).map_or(&[][..], Vec::as_slice),
            };
            let entries = commit.records.iter().map(|(object, stored)| {
                let bytes = bytes(*stored);
                Entry { object: *object, bytes, hash: leaf_hash(bytes) }
            });
            log.append(Commit { tick: commit.tick, time: commit.time, entries })?;
        }
        for blob in &bundle.blobs {
            log.blobs().put(blob)?;
        }
        drop(log);
        Ok(LogReader::open(disk)?)
    }
}

fn tick_of(bytes: &[u8]) -> Option<u64> {
    header(bytes).ok().map(|header| header.tick)
}

/// That each lineage's last record is in the log.
fn check_places(bundle: &Bundle, layout: &Layout, size: u64, root: &[u8; 32], problems: &mut Vec<Problem>) {
    if bundle.lasts.len() != layout.ids.len() {
        let what = format!("{} lineages have {} places in the log", layout.ids.len(), bundle.lasts.len());
        problems.push(whole(what));
    }
    for ((id, last), place) in layout.ids.iter().zip(&layout.lasts).zip(&bundle.lasts) {
        let Some(bytes) = bundle.records.get(*last) else { continue };
        let seq = header(bytes).ok().map(|header| header.seq);
        if let Some(what) = not_included(bytes, place.leaf, size, root, &place.proof) {
            problems.push(Problem { object: Some(Arc::clone(id)), seq, ..whole(what) });
        }
    }
}

/// That what is carried is what the lineages name, and that what is needed is carried.
fn check_blobs(
    bundle: &Bundle,
    view: &View,
    execute: bool,
    problems: &mut Vec<Problem>,
) -> Result<(), HostError> {
    let mut named = BTreeSet::new();
    let carried: Vec<_> = bundle.blobs.iter().map(|blob| digest(blob)).collect();
    for object in view.engine().objects() {
        for behaviour in behaviours(view, object)? {
            let lacks = |digest: &Hash| !carried.contains(digest);
            let object = || Some(Arc::clone(&object.id));
            if lacks(&behaviour.config) {
                let what =
                    format!("the configuration {} that it names is not in the bundle", behaviour.config);
                problems.push(Problem { object: object(), ..whole(what) });
            }
            if execute && lacks(&behaviour.component) {
                let what = format!(
                    "the component {} that it names is not in the bundle, so its acts cannot be run again",
                    behaviour.component
                );
                problems.push(Problem { object: object(), ..whole(what) });
            }
            named.extend([behaviour.config, behaviour.component]);
        }
    }
    if !carried.is_sorted_by(|a, b| a < b) {
        problems.push(whole(
            "the components and configurations are not in the order of their digests".to_owned(),
        ));
    }
    for digest in carried.iter().filter(|digest| !named.contains(digest)) {
        let what = format!("it carries {digest}, which no lineage names as a component or a configuration");
        problems.push(whole(what));
    }
    Ok(())
}
