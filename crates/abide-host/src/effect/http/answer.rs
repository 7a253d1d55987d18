//! What came back, as a result or as a failure.

use std::io::Read;

use serde_json::{Value, json};
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderMap, Response};
use ureq::{Body, Error};
use url::Url;

use super::HttpConfig;
use super::address::origin;
use crate::effect::CallError;

/// Most bytes of the body that a failure shows.
const SHOWN_BYTES_MAX: u64 = 256;

/// The result `{ status, headers, body }`, or the failure that the status stands for.
pub(super) fn read(answer: Response<Body>, url: &Url, config: &HttpConfig) -> Result<Value, CallError> {
    let status = answer.status();
    if !status.is_success() && !config.accept.contains(&status.as_u16()) {
        let message = format!("`{}` answered {status}{}", origin(url), said(answer));
        let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        return Err(CallError { message, permanent: !passes });
    }
    let (parts, mut body) = answer.into_parts();
    let limit = config.response_bytes_max;
    let bytes = body
        .with_config()
        .limit(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_vec()
        .map_err(|error| match error {
            Error::BodyExceedsLimit(_) => too_long(url, limit),
            error => failure(&error, url),
        })?;
    if bytes.len() > limit {
        return Err(too_long(url, limit));
    }
    let mut result = json!({ "status": status.as_u16(), "body": value(&parts.headers, bytes, url)? });
    if !config.answer_headers.is_empty()
        && let Some(members) = result.as_object_mut()
    {
        members.insert("headers".to_owned(), listed(&parts.headers, &config.answer_headers));
    }
    Ok(result)
}

/// A call that had no answer: it may pass, unless the call itself cannot be made.
pub(super) fn failure(error: &Error, url: &Url) -> CallError {
    let place = origin(url);
    match error {
        Error::Timeout(_) => CallError::passing(format!("`{place}` did not answer within the timeout")),
        Error::HostNotFound => CallError::passing(format!("the host of `{place}` is not known")),
        Error::Io(error) => CallError::passing(format!("`{place}` cannot be reached: {error}")),
        Error::Protocol(error) => {
            CallError::passing(format!("`{place}` answered with what is not HTTP: {error}"))
        }
        Error::Http(_) | Error::BadUri(_) => {
            CallError::permanent(format!("the request to `{place}` cannot be made: {error}"))
        }
        Error::LargeResponseHeader(..) => {
            CallError::permanent(format!("the header of the answer of `{place}` is too long"))
        }
        error => CallError::passing(format!("the call to `{place}` failed: {error}")),
    }
}

/// The endpoint has acted, and would say as much again.
fn too_long(url: &Url, limit: usize) -> CallError {
    let message = format!("the answer of `{}` is longer than {limit} bytes; ask for less of it", origin(url));
    CallError::permanent(message)
}

/// The body: JSON where its type says so, text otherwise, null where there is none.
fn value(headers: &HeaderMap, bytes: Vec<u8>, url: &Url) -> Result<Value, CallError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let wrong = |what: &str| CallError::permanent(format!("the answer of `{}` is {what}", origin(url)));
    if is_json(headers) {
        return serde_json::from_slice(&bytes).map_err(|_| wrong("said to be JSON, and is not"));
    }
    String::from_utf8(bytes).map(Value::String).map_err(|_| wrong("neither JSON nor text in UTF-8"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.contains('/') && essence.ends_with("+json"))
}

/// The headers that the manifest asks for; what is not text is left out.
fn listed(headers: &HeaderMap, names: &[String]) -> Value {
    let found = names.iter().filter_map(|name| {
        let text = headers.get(name.as_str())?.to_str().ok()?;
        Some((name.clone(), Value::from(text)))
    });
    Value::Object(found.collect())
}

/// The first of what a failure has for its body.
fn said(answer: Response<Body>) -> String {
    let mut shown = Vec::new();
    // What was read before a failure is all that can be shown.
    let _ = answer.into_body().into_reader().take(SHOWN_BYTES_MAX).read_to_end(&mut shown);
    match String::from_utf8_lossy(&shown).trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
