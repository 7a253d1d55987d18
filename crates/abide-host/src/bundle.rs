//! Bundles: whole lineages with what proves them, taken out of a log for whoever has no access to it.
//!
//! The form is the core's ([`Bundle`]) and stands in `docs/formats/bundle.md`; whether one holds is for
//! [`crate::verify::verify_bundle`] to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abide_core::bundle::{Bundle, Earlier, Place, Proved};
use abide_core::engine::Engine;
use abide_core::guest::Behaviour;
use abide_core::object::Object;
use abide_core::record::decode::{decode, header};
use abide_core::record::{Event, Hash, Record};
use abide_core::schema::{Schema, Step};
use abide_store::merkle::Tree;
use abide_store::{BlobError, LogVerifier, Position, ReadError, SignerError};

use crate::behaviour::digest;
use crate::host::HostError;
use crate::view::{Lineage, View};

/// The kinds of the host's own records that a bundle holds: `host`, `schema`, `clock`.
pub(crate) const HOST_KINDS: [u8; 3] = [0, 1, 21];

/// What a bundle is to hold beside the lineages.
#[derive(Clone, Copy, Debug)]
pub struct ExportOptions<'a> {
    /// Earlier checkpoints, as signed notes: that the log only grew since them is proved.
    pub since: &'a [String],
    /// Whether the components are carried. Their configurations are.
    pub components: bool,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Nothing is in the log that was asked for.
    #[error("there is no object to export")]
    Empty,
    /// A component or a configuration is lost.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A checkpoint is none of this log.
    #[error("{0}")]
    Since(String),
}

impl From<ReadError> for ExportError {
    fn from(error: ReadError) -> Self {
        Self::Host(error.into())
    }
}

impl From<SignerError> for ExportError {
    fn from(error: SignerError) -> Self {
        Self::Since(error.to_string())
    }
}

/// A bundle of objects, and of all that are of their families: the slope is bounded over a whole family.
///
/// # Errors
/// When there is nothing to export, the log or a component cannot be read, or a checkpoint is not of this log.
pub fn export<'a>(
    view: &View,
    objects: impl IntoIterator<Item = &'a Object>,
    options: ExportOptions<'_>,
) -> Result<Bundle, ExportError> {
    let numbers = families(view, objects);
    let checkpoint = view.checkpoint()?.filter(|_| !numbers.is_empty()).ok_or(ExportError::Empty)?;
    let schemas = schemas(view, &numbers)?;
    let is_needed = |bytes: &[u8]| {
        let told = match decode(bytes, None).map(|record| record.event) {
            Ok(Event::Schema(told)) => told,
            _ => return true,
        };
        schemas.as_ref().is_none_or(|digests| digests.contains(&digest(&told.canonical)))
    };
    let mut bundle = Bundle { checkpoint: checkpoint.note, ..Bundle::default() };
    let mut leaves = Vec::new();
    let mut lasts: BTreeMap<u32, u64> = BTreeMap::new();
    let mut host = Vec::new();
    'log: for frame in view.reader().frames(Position::START) {
        let frame = frame?;
        for record in frame.records() {
            if record.leaf >= view.shown() {
                break 'log;
            }
            leaves.push(record.hash());
            if record.object == 0 {
                let kind = header(record.bytes).map(|header| header.kind);
                if kind.is_ok_and(|kind| HOST_KINDS.contains(&kind)) && is_needed(record.bytes) {
                    host.push((record.leaf, record.bytes.to_vec()));
                }
            } else if numbers.contains(&record.object) {
                lasts.insert(record.object, record.leaf);
                bundle.records.push(record.bytes.to_vec());
            }
        }
    }
    let tree = Tree::new(leaves);
    let size = tree.size();
    let place = |leaf| Place { leaf, proof: hashes(tree.inclusion(leaf, size)) };
    bundle.host = host.into_iter().map(|(leaf, bytes)| Proved { bytes, place: place(leaf) }).collect();
    // Numbers are in the order of the first records.
    bundle.lasts = lasts.into_values().map(place).collect();
    bundle.blobs = blobs(view, &numbers, options.components)?;
    let verifier = LogVerifier::new(&view.engine().host().origin, &view.engine().host().log_key)?;
    for note in options.since {
        let old = agrees(&verifier, note, |old| tree.root(old)).map_err(ExportError::Since)?;
        let proof = if old == size { Vec::new() } else { hashes(tree.consistency(old, size)) };
        bundle.earlier.push(Earlier { note: note.clone(), proof });
    }
    Ok(bundle)
}

fn hashes(proof: Option<Vec<[u8; 32]>>) -> Vec<Hash> {
    proof.unwrap_or_default().into_iter().map(Hash).collect()
}

/// Whether a log, given its roots by size, is what grew out of a checkpoint: that one's size.
///
/// # Errors
/// In what it is not, in words.
pub(crate) fn agrees(
    verifier: &LogVerifier,
    note: &str,
    root: impl FnOnce(u64) -> Option<[u8; 32]>,
) -> Result<u64, String> {
    let Some((size, stated)) = verifier.verify_note(note) else {
        return Err(format!(
            "the checkpoint is not of this log, or not signed by its key: `{}` is expected",
            verifier.origin()
        ));
    };
    match root(size) {
        None => Err(format!(
            "the checkpoint is of {size} records, and the log has fewer: its end was cut off, or an older state was put back"
        )),
        Some(root) if root != stated => Err(format!(
            "the first {size} records are not those that the checkpoint is of: the log was changed, or grew apart from it"
        )),
        Some(_) => Ok(size),
    }
}

/// The numbers of objects, and of all their ancestors and descendants.
fn families<'a>(view: &View, objects: impl IntoIterator<Item = &'a Object>) -> BTreeSet<u32> {
    let engine = view.engine();
    let mut numbers: BTreeSet<u32> = objects.into_iter().map(|object| top(engine, object)).collect();
    // A parent's number is below its children's.
    for object in engine.objects() {
        let parent = object.parent.as_ref().and_then(|id| engine.object(id));
        if parent.is_some_and(|parent| numbers.contains(&parent.number)) {
            numbers.insert(object.number);
        }
    }
    numbers
}

/// The digests of the schemas that objects have or had, or may spawn by their rules; `None` for all, where behaviours spawn.
fn schemas(view: &View, numbers: &BTreeSet<u32>) -> Result<Option<BTreeSet<Hash>>, HostError> {
    let known = view.engine().schemas();
    let mut needed: BTreeSet<Hash> = BTreeSet::new();
    let mut open: Vec<Arc<Schema>> = Vec::new();
    for object in view.engine().objects().iter().filter(|object| numbers.contains(&object.number)) {
        open.push(Arc::clone(&object.schema));
        // Without an upgrade it had no other.
        if object.force > 0 {
            for link in view.records(Lineage::of(object))? {
                open.extend(link?.schema.filter(|had| open.last() != Some(had)));
            }
        }
    }
    while let Some(schema) = open.pop() {
        if !schema.actions().is_empty() {
            return Ok(None);
        }
        if needed.insert(Hash(schema.digest)) {
            let spawns = |name: &str| {
                schema
                    .rules
                    .iter()
                    .any(|rule| matches!(&rule.then, Step::Spawn(spawn) if *spawn.schema == *name))
            };
            open.extend(known.values().filter(|known| spawns(&known.name)).cloned());
        }
    }
    Ok(Some(needed))
}

/// The number of an object's first ancestor.
fn top(engine: &Engine, object: &Object) -> u32 {
    let mut number = object.number;
    let mut parent = object.parent.clone();
    while let Some(above) = parent.as_ref().and_then(|id| engine.object(id)) {
        number = above.number;
        parent.clone_from(&above.parent);
    }
    number
}

/// What the lineages name by digest, in the order of the digests.
fn blobs(view: &View, numbers: &BTreeSet<u32>, components: bool) -> Result<Vec<Vec<u8>>, ExportError> {
    let mut digests = BTreeSet::new();
    for object in view.engine().objects().iter().filter(|object| numbers.contains(&object.number)) {
        for behaviour in behaviours(view, object)? {
            digests.insert(behaviour.config);
            if components {
                digests.insert(behaviour.component);
            }
        }
    }
    let stored = view.reader().blobs();
    Ok(digests.iter().map(|digest| stored.get(&digest.0)).collect::<Result<_, _>>()?)
}

/// Every behaviour that an object's lineage names.
pub(crate) fn behaviours(view: &View, object: &Object) -> Result<BTreeSet<Behaviour>, HostError> {
    let mut found = BTreeSet::new();
    for link in view.records(Lineage::of(object))? {
        found.extend(behaviour_of(&link?.record));
    }
    Ok(found)
}

fn behaviour_of(record: &Record) -> Option<Behaviour> {
    match &record.event {
        Event::Genesis(genesis) => genesis.behaviour,
        Event::Spawn(spawned) => spawned.behaviour,
        Event::Upgrade(upgrade) => upgrade.behaviour,
        _ => None,
    }
}
