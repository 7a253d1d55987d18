//! Effects: calls to the outside that a mutation orders.

use std::sync::Arc;

use super::expression::Compiler;
use super::mutation::{Signature, Signatures};
use super::template::template;
use crate::document::{Diagnostics, Key, Node, Reader};
use crate::expr::Scope;
use crate::schema::{CallerKind, Effect, MutationIx, RETRIES_DEFAULT, RETRIES_MAX, TIMEOUT_DEFAULT};
use crate::time::Span;

/// Most arguments of an effect.
const ARGS_MAX: usize = 64;

pub(super) fn effect(
    key: &Key,
    node: &Node,
    signature: &Signature,
    signatures: &Signatures,
    compiler: &Compiler<'_>,
) -> Option<Effect> {
    let out = compiler.out;
    let mut reader = Reader::new(node, "an effect", out)?.at(key.span.clone());
    let interface = named(&mut reader, "interface", is_interface, "write it as in `example:orchard/burner`");
    let function = named(&mut reader, "function", is_kebab, "write it as in `set-level`");
    let scope = Scope {
        memory: Some(Arc::clone(&compiler.memory)),
        args: Some(Arc::clone(&signature.args)),
        now: true,
        ..Scope::default()
    };
    let nodes = reader.list("args").unwrap_or_default();
    super::too_many(nodes, ARGS_MAX, "arguments", out);
    let args: Vec<_> =
        nodes.iter().take(ARGS_MAX).map(|node| template(node, None, &scope, compiler)).collect();
    let valid_for = reader.required_duration("valid_for");
    let timeout = reader.duration("timeout").unwrap_or(TIMEOUT_DEFAULT);
    positive(&mut reader, "valid_for", valid_for);
    positive(&mut reader, "timeout", Some(timeout));
    let retries = retries(&mut reader);
    let result = outcome(&mut reader, "result", signatures, out);
    let error = outcome(&mut reader, "error", signatures, out);
    reader.finish();
    Some(Effect {
        interface: interface?.into(),
        function: function?.into(),
        args: args.into_iter().collect::<Option<_>>()?,
        valid_for: valid_for?,
        timeout,
        retries: retries?,
        result,
        error,
    })
}

fn named<'a>(
    reader: &mut Reader<'a>,
    key: &'static str,
    is: fn(&str) -> bool,
    help: &str,
) -> Option<&'a str> {
    let node = reader.required(key)?;
    let name = reader.text(key)?;
    if is(name) {
        return Some(name);
    }
    reader.diagnostics().error(
        node.span.clone(),
        format!("`{name}` is no name of an {key}").replace("an function", "a function"),
        help,
    );
    None
}

fn retries(reader: &mut Reader<'_>) -> Option<u32> {
    let Some(node) = reader.optional("retries") else { return Some(RETRIES_DEFAULT) };
    let retries = reader.integer("retries")?;
    let within = u32::try_from(retries).ok().filter(|n| *n <= RETRIES_MAX);
    if within.is_none() {
        let message = format!("`retries` is {retries}; it must be from 0 to {RETRIES_MAX}");
        reader.diagnostics().error(node.span.clone(), message, "it counts the attempts after the first");
    }
    within
}

/// The mutation that an outcome comes back to: open to observations.
fn outcome(
    reader: &mut Reader<'_>,
    key: &'static str,
    signatures: &Signatures,
    out: &Diagnostics,
) -> Option<MutationIx> {
    let node = reader.optional(key)?;
    let name = reader.text(key)?;
    let signature = signatures.find(name, node, out)?;
    if !CallerKind::Observation.is_in(signature.from) {
        let message =
            format!("mutation `{name}` is not open to observations, and the {key} of an effect is one");
        out.error(node.span.clone(), message, format!("add `observation` to the `from` of `{name}`"));
    }
    Some(signature.ix)
}

/// Refuses a span of no length.
pub(super) fn positive(reader: &mut Reader<'_>, key: &'static str, span: Option<Span>) {
    if span.is_some_and(|span| span <= Span::ZERO)
        && let Some(node) = reader.optional(key)
    {
        reader.diagnostics().error(
            node.span.clone(),
            format!("`{key}` must be longer than nothing"),
            "write it as in 30m",
        );
    }
}

/// `namespace:package/interface`, with a version or without.
pub(super) fn is_interface(name: &str) -> bool {
    let (name, version) = name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)));
    let parts = name.split_once(':').and_then(|(namespace, rest)| Some((namespace, rest.split_once('/')?)));
    version.is_none_or(|version| semver::Version::parse(version).is_ok())
        && parts.is_some_and(|(namespace, (package, interface))| {
            [namespace, package, interface].into_iter().all(is_kebab)
        })
}

/// Words of letters and digits that begin with a letter, with hyphens between them.
fn is_kebab(name: &str) -> bool {
    name.len() <= 64
        && name.split('-').all(|word| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}
