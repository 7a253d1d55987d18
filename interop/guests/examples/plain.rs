//! Answers each request with a text, and imports nothing else: what a benchmark serves.

use wasmcloud_component::http::{self, ErrorCode, Request, Response};

struct Plain;

http::export!(Plain);

impl http::Server for Plain {
    fn handle(_: Request<http::IncomingBody>) -> http::Result<Response<impl http::OutgoingBody>, ErrorCode> {
        Ok(Response::new("hello\n".to_owned()))
    }
}
