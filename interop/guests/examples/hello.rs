//! Answers each request with a text and what it was configured with.

use wasmcloud_component::http::{self, ErrorCode, Request, Response};
use wasmcloud_component::wasi::config::store;
use wasmcloud_component::wasi::logging::logging::{log, Level};

struct Hello;

http::export!(Hello);

impl http::Server for Hello {
    fn handle(
        request: Request<http::IncomingBody>,
    ) -> http::Result<Response<impl http::OutgoingBody>, ErrorCode> {
        match request.uri().path() {
            "/spin" => {
                log(Level::Info, "", "spinning");
                loop {
                    std::hint::black_box(());
                }
            }
            "/trap" => panic!("asked to"),
            "/memory" => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(vec![1; 1 << 20]);
                    std::hint::black_box(&all);
                }
            }
            _ => {}
        }
        let name = store::get("name").ok().flatten().unwrap_or_else(|| "world".to_owned());
        Ok(Response::new(format!("hello {name} from {}\n", module_path!())))
    }
}
