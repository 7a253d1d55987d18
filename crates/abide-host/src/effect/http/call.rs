//! What a call asks for: its one argument, taken apart.

use serde_json::{Map, Value};
use ureq::http::header::{HeaderName, HeaderValue};
use ureq::http::{HeaderMap, Method};

/// The methods that a call may have.
pub(crate) const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// What belongs to the connection or to the target, and so to no call and to no configuration.
const RESERVED: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A call, before its address is checked.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// What the body is, unless a header says it.
    pub(super) kind: Option<HeaderValue>,
}

impl Call {
    /// Reads the argument `{ method, url, headers, body }`.
    pub(super) fn read(args: &[Value]) -> Result<Self, String> {
        let [Value::Object(argument)] = args else {
            return Err("`request` takes one object: `{ method, url, headers, body }`".to_owned());
        };
        if let Some(name) =
            argument.keys().find(|name| !["method", "url", "headers", "body"].contains(&&***name))
        {
            return Err(format!("a request has no `{name}`; it has `method`, `url`, `headers` and `body`"));
        }
        let method = text(argument, "method")?;
        if !METHODS.contains(&method) {
            return Err(format!("there is no method `{method}`; write one of {}", METHODS.join(", ")));
        }
        let method = method.parse().map_err(|_| "the method cannot be sent".to_owned())?;
        let headers = read_headers(argument.get("headers"))?;
        let (body, kind) = read_body(argument.get("body"), &method)?;
        Ok(Self { method, url: text(argument, "url")?.to_owned(), headers, body, kind })
    }
}

/// Reads the name of a header that a call or a configuration may set.
///
/// # Errors
/// Why it may not, in lower case.
pub(crate) fn header_name(name: &str) -> Result<HeaderName, String> {
    let read: HeaderName = name.parse().map_err(|_| format!("`{name}` cannot name a header"))?;
    if RESERVED.contains(&read.as_str()) {
        return Err(format!("the header `{name}` is set by the target itself"));
    }
    Ok(read)
}

fn text<'a>(argument: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    argument.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` of a request must be a text"))
}

fn read_headers(headers: Option<&Value>) -> Result<HeaderMap, String> {
    let mut read = HeaderMap::new();
    match headers {
        None | Some(Value::Null) => {}
        Some(Value::Object(entries)) => {
            for (name, value) in entries {
                let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
                let value = value.ok_or_else(|| format!("the header `{name}` must be a text on one line"))?;
                read.insert(header_name(name)?, value);
            }
        }
        Some(_) => return Err("`headers` of a request must be an object of texts".to_owned()),
    }
    Ok(read)
}

fn read_body(body: Option<&Value>, method: &Method) -> Result<(Vec<u8>, Option<HeaderValue>), String> {
    let (bytes, kind) = match body {
        None | Some(Value::Null) => return Ok((Vec::new(), None)),
        Some(_) if !takes_body(method.as_str()) => {
            return Err(format!("a request by `{method}` has no body"));
        }
        Some(Value::String(text)) => (text.clone().into_bytes(), "text/plain; charset=utf-8"),
        Some(json) => (json.to_string().into_bytes(), "application/json"),
    };
    Ok((bytes, Some(HeaderValue::from_static(kind))))
}

/// Whether a request of that method carries a body.
pub(crate) fn takes_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}
