//! Has another component greet whom the path of a request names.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "calls", generate_all });
}

use bindings::interop::greet::greeter::{self, Mood, Visitor};
use wasmcloud_component::http::{self, ErrorCode, Request, Response};

struct Caller;

http::export!(Caller);

impl http::Server for Caller {
    fn handle(
        request: Request<http::IncomingBody>,
    ) -> http::Result<Response<impl http::OutgoingBody>, ErrorCode> {
        let path = request.uri().path().trim_start_matches('/');
        if let Some(depth) = path.strip_prefix("deep/") {
            return Ok(Response::new(format!("{}\n", greeter::again(depth.parse().unwrap()))));
        }
        if let Some(count) = path.strip_prefix("long/") {
            let visitor = Visitor { name: "x".repeat(count.parse().unwrap()), tags: Vec::new() };
            return Ok(Response::new(format!("{}\n", greeter::greet(&visitor, None).unwrap().len())));
        }
        let visitor = Visitor { name: path.to_owned(), tags: vec!["a".to_owned(), "b".to_owned()] };
        let mood = request.uri().query().map(|_| Mood::Shouting(3));
        Ok(Response::new(format!("{:?}\n", greeter::greet(&visitor, mood))))
    }
}
