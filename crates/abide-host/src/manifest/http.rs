//! The properties of an `http` target.

use abide_core::document::{Diagnostics, Key, Node, NodeKind, Reader};
use url::Url;

use super::component::text;
use super::target::{TargetKind, placed_texts};
use crate::effect::http::{checked, header_name};
use crate::effect::{AllowedHost, BODY_BYTES_MAX, HeaderSource, HttpConfig, REDIRECTS_MAX};

const HOST_HELP: &str = "write a host, as in `api.example.com`, `10.0.0.7:8080` or `*.example.com`";

/// Reads them; everything that is wrong is reported.
pub(super) fn read(mut reader: Reader<'_>) -> Option<TargetKind> {
    let out = reader.diagnostics();
    let allowed_hosts = read_hosts(&mut reader);
    let base_url = read_base(&mut reader, allowed_hosts.as_deref());
    let headers = reader.map("headers").unwrap_or_default();
    let headers = headers.iter().filter_map(|(name, value)| read_header(name, value, out)).collect();
    let body_max = i64::try_from(BODY_BYTES_MAX).unwrap_or(i64::MAX);
    let response_bytes_max = bounded(&mut reader, "max_response_bytes", 1, body_max)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(BODY_BYTES_MAX);
    let redirects_max = bounded(&mut reader, "redirects", 0, i64::from(REDIRECTS_MAX))
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(0);
    let accept = read_accept(&mut reader);
    let answer_headers = placed_texts(&mut reader, "answer_headers").into_iter().filter_map(|name| {
        let read = header_name(&name.value);
        if let Err(why) = &read {
            out.error(name.span, why.clone(), "name a header of the answer, as in `etag`");
        }
        Some(read.ok()?.as_str().to_owned())
    });
    let answer_headers = answer_headers.collect();
    reader.finish();
    Some(TargetKind::Http(HttpConfig {
        allowed_hosts: allowed_hosts?,
        base_url: base_url?,
        headers,
        response_bytes_max,
        redirects_max,
        accept,
        answer_headers,
    }))
}

fn read_hosts(reader: &mut Reader<'_>) -> Option<Vec<AllowedHost>> {
    let out = reader.diagnostics();
    let node = reader.required("allowed_hosts")?;
    let mut hosts = Vec::new();
    let mut sound = true;
    for host in placed_texts(reader, "allowed_hosts") {
        match AllowedHost::parse(&host.value) {
            Ok(host) => hosts.push(host),
            Err(why) => {
                sound = false;
                out.error(host.span, format!("`{}` cannot be allowed: {why}", host.value), HOST_HELP);
            }
        }
    }
    if matches!(&node.kind, NodeKind::Seq(items) if items.is_empty()) {
        out.error(node.span.clone(), "`allowed_hosts` allows nothing", HOST_HELP);
    }
    (sound && !hosts.is_empty()).then_some(hosts)
}

/// The base; `None` where it is wrong.
#[expect(clippy::option_option, reason = "absent and wrong are not the same, and both are one step from `?`")]
fn read_base(reader: &mut Reader<'_>, allowed: Option<&[AllowedHost]>) -> Option<Option<Url>> {
    let out = reader.diagnostics();
    let Some(node) = reader.optional("base_url") else { return Some(None) };
    let written = text(node, "`base_url`", out)?;
    let help = "write it as in `https://api.example.com/v1/`, with a host of `allowed_hosts`";
    match checked(None, written, allowed?) {
        Ok(url) => Some(Some(url)),
        Err(why) => {
            out.error(node.span.clone(), format!("`base_url` cannot be called: {why}"), help);
            None
        }
    }
}

fn read_header(name: &Key, value: &Node, out: &Diagnostics) -> Option<(String, HeaderSource)> {
    if let Err(why) = header_name(&name.text) {
        out.error(name.span.clone(), why, "take it out, or name another header");
        return None;
    }
    let name = name.text.clone();
    if let NodeKind::Str(text) = &value.kind {
        return Some((name, HeaderSource::Text(text.clone())));
    }
    if !matches!(value.kind, NodeKind::Map(_)) {
        let message = format!("the header `{name}` is {}; it must be a text", value.describe());
        out.error(value.span.clone(), message, "put it in quotes; a secret is written `{ env: VARIABLE }`");
        return None;
    }
    let mut reader = Reader::new(value, "a header", out)?;
    let variable = reader.required_text("env");
    let prefix = reader.text("prefix").unwrap_or_default().to_owned();
    reader.finish();
    Some((name, HeaderSource::Environment { variable: variable?.to_owned(), prefix }))
}

fn read_accept(reader: &mut Reader<'_>) -> Vec<u16> {
    let out = reader.diagnostics();
    let read = |item: &Node| match item.kind {
        NodeKind::Int(status) if (300..=599).contains(&status) => u16::try_from(status).ok(),
        _ => {
            let message = format!("an item of `accept` is {}; it must be a status", item.describe());
            out.error(item.span.clone(), message, "write one from 300 to 599, as in `404`");
            None
        }
    };
    reader.list("accept").unwrap_or_default().iter().filter_map(read).collect()
}

fn bounded(reader: &mut Reader<'_>, key: &'static str, least: i64, greatest: i64) -> Option<i64> {
    let out = reader.diagnostics();
    let node = reader.optional(key)?;
    let value = reader.integer(key)?;
    if (least..=greatest).contains(&value) {
        return Some(value);
    }
    let message = format!("`{key}` is {value}; it must be from {least} to {greatest}");
    out.error(node.span.clone(), message, "write a number within these bounds");
    None
}
