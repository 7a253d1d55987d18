//! A panel for objects: shows those that it is configured with, and asks mutations of them.

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit/abide-object", "../../../wit/wasi-config"],
        inline: "package abide:panel; world panel {
            import abide:object/client@0.1.0;
            import wasi:config/store@0.2.0-draft;
        }",
        world: "abide:panel/panel",
        generate_all,
    });
}

use bindings::abide::object::client::{self, Error};
use bindings::wasi::config::store;
use serde_json::{json, Value as Json};
use wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

/// Most bytes of a request's body.
const BODY_MAX: usize = 64 << 10;

struct Panel;

wasi::http::proxy::export!(Panel);

impl wasi::exports::http::incoming_handler::Guest for Panel {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default().trim_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let answer = match (request.method(), parts.as_slice()) {
            (Method::Get, [""]) => page(),
            (Method::Get, ["guards"]) => {
                Answer::json(200, &json!(guards().iter().map(|id| shown(id)).collect::<Vec<_>>()))
            }
            (Method::Get, ["guards", id]) => match client::read(id) {
                Ok(text) => Answer { status: 200, kind: "application/json", body: text },
                Err(error) => refused(&error),
            },
            (Method::Post, ["guards", id, mutation]) => match body(&request) {
                Some(arguments) => match client::ask(id, mutation, &arguments) {
                    Ok(seq) => Answer::json(200, &json!({ "recorded": seq })),
                    Err(error) => refused(&error),
                },
                None => Answer::json(400, &json!({ "error": "the body is too long or cannot be read" })),
            },
            (_, ["" | "guards", ..]) => Answer::json(405, &json!({ "error": "GET shows, POST asks" })),
            _ => Answer::json(
                404,
                &json!({ "error": "there is /, /guards, /guards/ID and /guards/ID/MUTATION" }),
            ),
        };
        answer.send(out);
    }
}

/// The objects that it shows.
fn guards() -> Vec<String> {
    let configured = store::get("guards").ok().flatten().unwrap_or_default();
    configured.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

fn shown(id: &str) -> Json {
    match client::read(id) {
        Ok(text) => serde_json::from_str(&text).unwrap_or(Json::Null),
        Err(error) => json!({ "id": id, "error": described(&error) }),
    }
}

fn described(error: &Error) -> Json {
    match error {
        Error::NotLinked => "this panel is not linked to it".into(),
        Error::NotFound(what) | Error::Unavailable(what) => what.as_str().into(),
        Error::Denied(denial) => serde_json::from_str(denial).unwrap_or_else(|_| denial.as_str().into()),
    }
}

fn refused(error: &Error) -> Answer {
    let status = match error {
        Error::NotLinked => 403,
        Error::NotFound(_) => 404,
        Error::Denied(_) => 409,
        Error::Unavailable(_) => 503,
    };
    Answer::json(status, &json!({ "error": described(error) }))
}

fn body(request: &IncomingRequest) -> Option<String> {
    let body = request.consume().ok()?;
    let mut all = Vec::new();
    {
        let stream = body.stream().ok()?;
        while let Ok(part) = stream.blocking_read(BODY_MAX as u64) {
            all.extend(part);
            if all.len() > BODY_MAX {
                return None;
            }
        }
    }
    drop(IncomingBody::finish(body));
    if all.is_empty() {
        Some("{}".to_owned())
    } else {
        String::from_utf8(all).ok()
    }
}

fn page() -> Answer {
    let row = |id: &String| {
        let guard = shown(id);
        let memory = &guard["memory"];
        let text = |value: &Json| escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        format!(
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(id),
            text(&guard["status"]),
            text(&memory["temperature"]),
            text(&memory["burner"]),
            text(&memory["fuel"])
        )
    };
    let rows: String = guards().iter().map(row).collect();
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5><title>Frost guards</title>\
         <style>body{{font:1rem system-ui;margin:2rem;color-scheme:light dark}}td,th{{padding:.3rem 1rem;text-align:left}}</style>\
         <h1>Frost guards</h1><table><tr><th>guard<th>status<th>°C<th>burner<th>fuel (L)</tr>{rows}</table></html>"
    );
    Answer { status: 200, kind: "text/html; charset=utf-8", body }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn json(status: u16, body: &Json) -> Self {
        Self { status, kind: "application/json", body: format!("{body}\n") }
    }

    fn send(self, out: ResponseOutparam) {
        let headers = Fields::new();
        // Neither name nor value is one that can be refused.
        let _ = headers.set("content-type", &[self.kind.as_bytes().to_vec()]);
        let response = OutgoingResponse::new(headers);
        let _ = response.set_status_code(self.status);
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(stream) = body.write() {
            for part in self.body.as_bytes().chunks(4096) {
                if stream.blocking_write_and_flush(part).is_err() {
                    return;
                }
            }
        }
        let _ = OutgoingBody::finish(body, None);
    }
}
