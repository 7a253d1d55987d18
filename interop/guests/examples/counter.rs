//! Counts requests by path in a key-value store.

use wasmcloud_component::http::{self, ErrorCode, Request, Response};
use wasmcloud_component::wasi::keyvalue::{atomics, store};

struct Counter;

http::export!(Counter);

impl http::Server for Counter {
    fn handle(
        request: Request<http::IncomingBody>,
    ) -> http::Result<Response<impl http::OutgoingBody>, ErrorCode> {
        let counted =
            store::open("default").and_then(|bucket| atomics::increment(&bucket, request.uri().path(), 1));
        match counted {
            Ok(count) => Ok(Response::new(format!("{count}\n"))),
            Err(error) => {
                let mut response = Response::new(format!("{error:?}\n"));
                *response.status_mut() = http::StatusCode::BAD_GATEWAY;
                Ok(response)
            }
        }
    }
}
