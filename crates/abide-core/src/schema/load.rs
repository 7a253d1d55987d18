//! From a document to a schema: every key, every reference between them, every expression.
//!
//! Everything that is wrong is reported at once, each at its place. An error that only follows from another (an
//! expression over a field that did not load) is left out.

mod amount;
mod behaviour;
mod effect;
mod expression;
mod migration;
mod mutation;
mod rejoin;
mod rule;
mod slope;
mod template;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use self::template::escaped;

use self::expression::Compiler;
use self::mutation::Signatures;
use super::{FORMAT, INVARIANTS_MAX, Invariant, LABELS_MAX, Missed, MutateStep, Schema};
use crate::document::{Diagnostic, Diagnostics, Key, Node, NodeKind, Reader, nearest, read};
use crate::expr::{Expected, Scope};
use crate::field::{Loader, StructType};

/// Most characters of `intent`, of a description or of a message.
const WORDS_MAX: usize = 4_096;

impl Schema {
    /// Reads, checks and compiles a schema from YAML or JSON, and gives what deserves a look with it.
    ///
    /// # Errors
    /// Everything that is wrong, by place, with what to do about it; at most
    /// [`crate::document::DIAGNOSTICS_MAX`] and a last one that counts the rest.
    pub fn load(text: &str) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let out = Diagnostics::default();
        let Some(mut node) = read(text, &out) else { return Err(out.into_sorted()) };
        rejoin::rejoin(&mut node, text, &out);
        let schema = load_node(&node, text, &out);
        match schema {
            Some(schema) if !out.has_errors() => Ok((schema, out.into_sorted())),
            _ => Err(out.into_sorted()),
        }
    }
}

/// The schema of a document whose text is `text` (empty where there is none and no place is asked for). It is given
/// only if nothing is wrong, or what is wrong is in `out`.
pub(super) fn load_node(node: &Node, text: &str, out: &Diagnostics) -> Option<Schema> {
    let mut reader = Reader::new(node, "the schema", out)?;
    format(&mut reader)?;
    let name = reader.required("name").zip(reader.text("name")).map(|(node, name)| {
        check_label(node, name, "a schema", out);
        name
    });
    let version = version(&mut reader);
    let intent = words(&mut reader, "intent");
    let context = context(&mut reader);

    let fields = reader.map("fields").unwrap_or_default();
    let mut loader = Loader::new(fields, out);
    let memory = Arc::new(loader.memory());
    let broken = broken_names(fields, &memory);
    let count = std::cell::Cell::new(0);
    let compiler = Compiler { text, out, memory: Arc::clone(&memory), broken, count: &count };

    let invariants = invariants(&mut reader, &compiler);
    let mutations = reader.map("mutations").unwrap_or_default();
    let signatures = Signatures::read(mutations, &mut loader, out);
    let trust_slope = slope::trust_slope(&mut reader, &memory, &compiler.broken);
    let has_budget = trust_slope.budget.is_some();
    let loaded: Vec<_> = mutations
        .iter()
        .map(|(key, node)| mutation::mutation(key, node, &signatures, &compiler, has_budget))
        .collect();
    let rules = rule::rules(&mut reader, &signatures, &compiler, &trust_slope);
    let safe_state = safe_state(&mut reader, &signatures, &compiler);
    let missed = missed(&mut reader);
    let behaviour = behaviour::limits(&mut reader);
    let migration = migration::migration(&mut reader, &compiler);
    reader.finish();

    let mut mutations = loaded.into_iter().collect::<Option<Vec<_>>>()?;
    mutations.sort_by(|a, b| crate::value::key_order(&a.name, &b.name));
    let mut schema = Schema {
        name: name?.into(),
        version: version?.into(),
        intent,
        context,
        digest: [0; 32],
        canonical: Vec::new(),
        memory,
        invariants: invariants?,
        mutations,
        rules: rules?,
        safe_state: safe_state?,
        trust_slope,
        missed,
        behaviour,
        migration: migration?,
    };
    whole::check(&schema, node, out);
    if !out.has_errors() {
        schema.seal();
    }
    Some(schema)
}

/// `schema: abide/v1`. What else is in a document of another format is not looked at.
fn format(reader: &mut Reader<'_>) -> Option<()> {
    let out = reader.diagnostics();
    let Some(node) = reader.optional("schema") else {
        let help = format!("begin it with `schema: {FORMAT}`");
        out.error(reader.place(), "this is no schema: the key `schema` is missing", help);
        return None;
    };
    if let NodeKind::Str(format) = &node.kind
        && format == FORMAT
    {
        return Some(());
    }
    let shown = match &node.kind {
        NodeKind::Str(format) => format!("`{format}`"),
        _ => node.describe().to_owned(),
    };
    out.error(
        node.span.clone(),
        format!("the format of the schema is {shown}"),
        format!("write `schema: {FORMAT}`"),
    );
    None
}

fn version<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    let node = reader.required("version")?;
    let help = "write three numbers, as in 1.0.0";
    let out = reader.diagnostics();
    match &node.kind {
        NodeKind::Str(version) if semver::Version::parse(version).is_ok() => return Some(version),
        NodeKind::Str(version) => {
            out.error(node.span.clone(), format!("the version `{version}` is no semantic version"), help);
        }
        _ => out.error(
            node.span.clone(),
            format!("the version is {}; it must be a text", node.describe()),
            help,
        ),
    }
    None
}

/// A text for people, if it is there.
fn words(reader: &mut Reader<'_>, key: &'static str) -> Option<Arc<str>> {
    let node = reader.optional(key)?;
    let words = reader.text(key)?;
    if words.chars().nth(WORDS_MAX).is_some() {
        let message = format!("`{key}` has more than {WORDS_MAX} characters");
        reader.diagnostics().error(node.span.clone(), message, "shorten it");
    }
    Some(words.into())
}

fn context(reader: &mut Reader<'_>) -> BTreeMap<Arc<str>, Arc<str>> {
    let out = reader.diagnostics();
    let entries = reader.map("context").unwrap_or_default();
    if let Some((key, _)) = entries.get(LABELS_MAX) {
        let message = format!("there are {} labels; at most {LABELS_MAX} are allowed", entries.len());
        out.error(key.span.clone(), message, "leave some out");
    }
    let label = |(key, node): &(Key, Node)| match &node.kind {
        NodeKind::Str(text) => Some((Arc::from(key.text.as_str()), Arc::from(text.as_str()))),
        _ => {
            let message = format!("the label `{}` is {}; it must be a text", key.text, node.describe());
            out.error(node.span.clone(), message, "put it in quotes");
            None
        }
    };
    entries.iter().filter_map(label).collect()
}

fn missed(reader: &mut Reader<'_>) -> Missed {
    let Some(node) = reader.optional("missed") else { return Missed::default() };
    match reader.text("missed") {
        Some("skip") => Missed::Skip,
        Some("coalesce") | None => Missed::Coalesce,
        Some(other) => {
            let message = format!("`missed` is `{other}`; it must be `coalesce` or `skip`");
            reader.diagnostics().error(
                node.span.clone(),
                message,
                "`coalesce` runs one cycle for all that was missed",
            );
            Missed::Coalesce
        }
    }
}

/// `None` where one of them did not load.
fn invariants(reader: &mut Reader<'_>, compiler: &Compiler<'_>) -> Option<Vec<Invariant>> {
    let out = reader.diagnostics();
    let nodes = reader.list("invariants").unwrap_or_default();
    too_many(nodes, INVARIANTS_MAX, "invariants", out);
    let loaded: Vec<_> = nodes.iter().take(INVARIANTS_MAX).map(|node| invariant(node, compiler)).collect();
    loaded.into_iter().collect()
}

fn invariant(node: &Node, compiler: &Compiler<'_>) -> Option<Invariant> {
    let mut reader = Reader::new(node, "an invariant", compiler.out)?;
    let expression = reader.required("expression");
    let message = words(&mut reader, "message");
    reader.finish();
    let scope = Scope { memory: Some(Arc::clone(&compiler.memory)), old_self: true, ..Scope::default() };
    let expression = compiler.compile(expression?, &scope, &Expected::Bool)?;
    let transition = expression.reads_old();
    Some(Invariant { expression, message, transition })
}

/// `None` where it did not load, `Some(None)` where there is none.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
fn safe_state(
    reader: &mut Reader<'_>,
    signatures: &Signatures,
    compiler: &Compiler<'_>,
) -> Option<Option<MutateStep>> {
    let Some((key, node)) = reader.entry("safe_state") else { return Some(None) };
    let mut step = Reader::new(node, "the safe state", compiler.out)?.at(key.span.clone());
    let scope = Scope { memory: Some(Arc::clone(&compiler.memory)), ..Scope::default() };
    let loaded = rule::mutate(&mut step, signatures, compiler, &scope);
    step.finish();
    loaded.map(Some)
}

/// The fields that are named and did not load: an expression that mentions one is not to blame.
fn broken_names(entries: &[(Key, Node)], loaded: &StructType) -> Vec<String> {
    entries.iter().map(|(key, _)| key.text.clone()).filter(|name| loaded.slot(name).is_none()).collect()
}

/// Names of schemas, rules and mutations: `[a-z][a-z0-9_-]*`, at most 64 bytes; hyphens only where `dashes` are allowed.
fn is_name(name: &str, dashes: bool) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 64
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || (dashes && b == b'-'))
}

fn check_label(node: &Node, name: &str, what: &str, out: &Diagnostics) {
    if !is_name(name, true) {
        let message = format!("`{name}` is no name of {what}");
        out.error(
            node.span.clone(),
            message,
            "begin with a-z and go on with a-z, 0-9, _ and -, 64 characters at most",
        );
    }
}

fn too_many(nodes: &[Node], most: usize, what: &str, out: &Diagnostics) {
    if let Some(node) = nodes.get(most) {
        let message = format!("there are {} {what}; at most {most} are allowed", nodes.len());
        out.error(node.span.clone(), message, "split the schema");
    }
}

/// What to say of a name that is none of `known`.
fn instead_of<'n>(name: &str, known: impl Iterator<Item = &'n str>, otherwise: &str) -> String {
    nearest(name, known).map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`?"))
}
