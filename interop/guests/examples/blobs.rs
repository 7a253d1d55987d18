//! Keeps files in containers: `/CONTAINER/NAME`, both percent-encoded.

use std::io::Write as _;

use wasmcloud_component::http::{self, ErrorCode, Method, Request, Response};
use wasmcloud_component::wasi::blobstore::blobstore::{self, ObjectId};
use wasmcloud_component::wasi::blobstore::container::Container;
use wasmcloud_component::wasi::blobstore::types::{IncomingValue, OutgoingValue};
use wasmcloud_component::wasi::http::types;
use wasmcloud_component::wasi::io::streams::{InputStream, OutputStream, StreamError};

struct Blobs;

http::export!(Blobs);

/// What is answered.
enum Body {
    Text(String),
    Stream(InputStream),
}

impl http::OutgoingBody for Body {
    fn write(self, body: types::OutgoingBody, stream: OutputStream) -> std::io::Result<()> {
        match self {
            Self::Text(text) => text.write(body, stream),
            Self::Stream(from) => from.write(body, stream),
        }
    }
}

impl http::Server for Blobs {
    fn handle(
        request: Request<http::IncomingBody>,
    ) -> http::Result<Response<impl http::OutgoingBody>, ErrorCode> {
        let answer = answer(request);
        let is_error = answer.is_err();
        let mut response = Response::new(answer.unwrap_or_else(|why| Body::Text(format!("{why}\n"))));
        if is_error {
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        }
        Ok(response)
    }
}

fn answer(request: Request<http::IncomingBody>) -> Result<Body, String> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches('/').to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let Some((container, object)) = path.split_once('/') else {
        return of_container(&head.method, &decoded(&path), &query);
    };
    let (container, object) = (decoded(container), decoded(object));
    match head.method {
        Method::PUT => {
            put(&open(&container)?, &object, &query, body)?;
            Ok(Body::Text(String::new()))
        }
        Method::GET if query == "info" => {
            let info = open(&container)?.object_info(&object)?;
            Ok(Body::Text(format!("{} {} {} {}\n", info.container, info.name, info.size, info.created_at)))
        }
        Method::GET => {
            let (start, end) = query.split_once(',').unwrap_or(("0", ""));
            let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
            let value = open(&container)?.get_data(&object, number(start), number(end))?;
            if query == "sync" {
                let all = IncomingValue::incoming_value_consume_sync(value)?;
                return Ok(Body::Text(format!("{} bytes\n", all.len())));
            }
            Ok(Body::Stream(IncomingValue::incoming_value_consume_async(value)?))
        }
        Method::DELETE => {
            open(&container)?.delete_object(&object)?;
            Ok(Body::Text(String::new()))
        }
        _ => {
            let (verb, to) = query.split_once('=').ok_or("what?")?;
            let (other, new) = to.split_once('/').ok_or("whereto?")?;
            let to = ObjectId { container: decoded(other), object: decoded(new) };
            let from = ObjectId { container, object };
            if verb == "copy" {
                blobstore::copy_object(&from, &to)
            } else {
                blobstore::move_object(&from, &to)
            }?;
            Ok(Body::Text(String::new()))
        }
    }
}

fn open(container: &String) -> Result<Container, String> {
    blobstore::get_container(container)
}

fn of_container(method: &Method, name: &String, query: &str) -> Result<Body, String> {
    match *method {
        Method::PUT => {
            let made = blobstore::create_container(name)?;
            Ok(Body::Text(format!("{} {}\n", made.name()?, made.info()?.created_at > 0)))
        }
        Method::DELETE if query == "clear" => {
            open(name)?.clear()?;
            Ok(Body::Text(String::new()))
        }
        Method::DELETE => {
            blobstore::delete_container(name)?;
            Ok(Body::Text(String::new()))
        }
        _ if query == "many" => many(&open(name)?),
        _ => {
            let listing = open(name)?.list_objects()?;
            let mut all = Vec::new();
            loop {
                let (names, is_end) = listing.read_stream_object_names(3)?;
                all.extend(names);
                if is_end {
                    break;
                }
            }
            all.sort();
            Ok(Body::Text(all.iter().map(|name| format!("{name}\n")).collect()))
        }
    }
}

/// Begins as many values as it is let.
fn many(container: &Container) -> Result<Body, String> {
    let mut begun = Vec::new();
    let mut listings = Vec::new();
    loop {
        match container.list_objects() {
            Ok(listing) if listings.len() < 8 => listings.push(listing),
            Ok(_) => {}
            Err(why) => return Ok(Body::Text(format!("{} {}: {why}\n", begun.len(), listings.len()))),
        }
        let value = OutgoingValue::new_outgoing_value();
        match value.outgoing_value_write_body() {
            Ok(stream) => begun.push((stream, value)),
            Err(()) => continue,
        }
    }
}

fn put(container: &Container, object: &String, query: &str, body: http::IncomingBody) -> Result<(), String> {
    let value = OutgoingValue::new_outgoing_value();
    // Both orders are usual.
    let is_early = query == "early";
    if !is_early {
        container.write_data(object, &value)?;
    }
    let mut stream = value.outgoing_value_write_body().map_err(|()| "there is no stream")?;
    if value.outgoing_value_write_body().is_ok() {
        return Err("a second stream".to_owned());
    }
    if query == "endless" {
        let part = vec![0; 1 << 20];
        while stream.write_all(&part).is_ok() {}
    } else {
        loop {
            match body.blocking_read(64 << 10) {
                Ok(part) => stream.write_all(&part).map_err(|error| error.to_string())?,
                Err(StreamError::Closed) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
    }
    match query {
        "trap" => panic!("asked to"),
        "spin" => loop {
            std::hint::black_box(());
        },
        "unfinished" => return Ok(()),
        "left" => {
            // The stream is its child.
            std::mem::forget(stream);
            return OutgoingValue::finish(value);
        }
        _ => {}
    }
    drop(stream);
    if is_early {
        container.write_data(object, &value)?;
    }
    OutgoingValue::finish(value)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut half = || rest.next().and_then(|half| char::from(half).to_digit(16)).unwrap_or(0) as u8;
            let (high, low) = (half(), half());
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
