//! Has another component greet whom the path of a request names, or calls it as often as the path says.

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
        // As many calls as it says, for a benchmark.
        if let Some(count) = path.strip_prefix("again/") {
            let count: u32 = count.parse().unwrap();
            return Ok(Response::new(format!(
                "{}\n",
                (0..count).map(|_| greeter::again(0) + 1).sum::<u32>()
            )));
        }
        if let Some(count) = path.strip_prefix("greet/") {
            let visitor = Visitor { name: "bench".to_owned(), tags: vec!["a".to_owned(), "b".to_owned()] };
            let count: u32 = count.parse().unwrap();
            let greeted = (0..count).filter(|_| greeter::greet(&visitor, Some(Mood::Shouting(3))).is_ok());
            return Ok(Response::new(format!("{}\n", greeted.count())));
        }
        let visitor = Visitor { name: path.to_owned(), tags: vec!["a".to_owned(), "b".to_owned()] };
        let mood = request.uri().query().map(|_| Mood::Shouting(3));
        Ok(Response::new(format!("{:?}\n", greeter::greet(&visitor, mood))))
    }
}
