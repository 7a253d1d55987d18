//! Keeps values: `/KEY?BUCKET`, and of `/` all keys of a bucket in their pages.

use wasmcloud_component::http::{self, ErrorCode, Method, Request, Response};
use wasmcloud_component::wasi::io::streams::StreamError;
use wasmcloud_component::wasi::keyvalue::batch;
use wasmcloud_component::wasi::keyvalue::store::{self, Bucket, Error};

struct Keeper;

http::export!(Keeper);

impl http::Server for Keeper {
    fn handle(
        request: Request<http::IncomingBody>,
    ) -> http::Result<Response<impl http::OutgoingBody>, ErrorCode> {
        let answer = answer(request);
        let is_error = answer.is_err();
        let mut response = Response::new(answer.unwrap_or_else(|error| format!("{error:?}\n")));
        if is_error {
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        }
        Ok(response)
    }
}

fn answer(request: Request<http::IncomingBody>) -> Result<String, Error> {
    let (head, body) = request.into_parts();
    let key = head.uri.path().trim_start_matches('/').to_owned();
    let bucket = store::open(head.uri.query().unwrap_or_default())?;
    match head.method {
        Method::GET if key.is_empty() => pages(&bucket),
        Method::GET => {
            let value = bucket.get(&key)?;
            Ok(value
                .map_or_else(|| "nothing".to_owned(), |value| String::from_utf8_lossy(&value).into_owned()))
        }
        Method::PUT => {
            let mut value = Vec::new();
            loop {
                match body.blocking_read(64 << 10) {
                    Ok(part) => value.extend(part),
                    Err(StreamError::Closed) => break,
                    Err(error) => return Err(Error::Other(error.to_string())),
                }
            }
            bucket.set(&key, &value)?;
            Ok(String::new())
        }
        Method::DELETE => {
            bucket.delete(&key)?;
            Ok(String::new())
        }
        // As many as the key says, and one that is none.
        _ => {
            let count = key.parse::<usize>().map_err(|error| Error::Other(error.to_string()))?;
            let all: Vec<_> =
                (0..count).rev().map(|n| (format!("many.{n:05}"), n.to_string().into_bytes())).collect();
            batch::set_many(&bucket, &all)?;
            let mut keys: Vec<_> = all.iter().map(|(key, _)| key.clone()).collect();
            keys.push("none".to_owned());
            let found = batch::get_many(&bucket, &keys)?;
            let whole = found.last().is_some_and(Option::is_none)
                && all.iter().zip(&found).all(|(set, found)| Some(set) == found.as_ref());
            batch::delete_many(&bucket, &keys[..count / 2])?;
            Ok(format!("{whole}"))
        }
    }
}

/// How many keys each page has, and whether all are in order.
fn pages(bucket: &Bucket) -> Result<String, Error> {
    let (mut pages, mut all, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let page = bucket.list_keys(cursor)?;
        pages.push(page.keys.len());
        all.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(format!("{pages:?} {}", all.is_sorted()));
        }
    }
}
