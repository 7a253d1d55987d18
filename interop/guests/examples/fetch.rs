//! Fetches what the query of a request names.

use wasmcloud_component::http::{self, ErrorCode, Request, Response};
use wasmcloud_component::wasi::http::outgoing_handler;
use wasmcloud_component::wasi::http::types::{Fields, OutgoingRequest, Scheme};

struct Fetch;

http::export!(Fetch);

impl http::Server for Fetch {
    fn handle(
        request: Request<http::IncomingBody>,
    ) -> http::Result<Response<impl http::OutgoingBody>, ErrorCode> {
        let authority = request.uri().query().unwrap_or_default().to_owned();
        match fetch(&authority) {
            Ok(text) => Ok(Response::new(text)),
            Err(error) => {
                let mut response = Response::new(format!("{error:?}\n"));
                *response.status_mut() = http::StatusCode::BAD_GATEWAY;
                Ok(response)
            }
        }
    }
}

fn fetch(authority: &str) -> Result<String, ErrorCode> {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some("/fetched")).unwrap();
    let answer = outgoing_handler::handle(request, None)?;
    answer.subscribe().block();
    let answer = answer.get().unwrap().unwrap()?;
    let body = answer.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut all = Vec::new();
    while let Ok(part) = stream.blocking_read(64 << 10) {
        all.extend(part);
    }
    Ok(format!("{}: {}", answer.status(), String::from_utf8_lossy(&all)))
}
