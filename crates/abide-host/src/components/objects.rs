//! What components ask of the objects of their host: over the channel that the run listens to, and so through admission, in a tick.

use abide_wasm::component::{ObjectFailed, Objects};
use serde_json::{Value as Json, json};

use crate::local::Requests;

/// The objects of the run in this process.
#[derive(Debug)]
pub(super) struct Residents(pub(super) Requests);

impl Residents {
    fn ask(&self, component: &str, body: Json) -> Result<Json, ObjectFailed> {
        let answer = self.0.ask(component, body).map_err(ObjectFailed::Unavailable)?;
        match answer.get("error").and_then(Json::as_str) {
            Some(error) => Err(ObjectFailed::NotFound(error.to_owned())),
            None => Ok(answer),
        }
    }
}

impl Objects for Residents {
    fn read(&self, component: &str, object: &str) -> Result<String, ObjectFailed> {
        let answer = self.ask(component, json!({ "op": "read", "object": object }))?;
        Ok(answer.get("object").unwrap_or(&Json::Null).to_string())
    }

    fn ask(
        &self,
        component: &str,
        object: &str,
        mutation: &str,
        arguments: &str,
    ) -> Result<Option<u64>, ObjectFailed> {
        let wrong = |error| ObjectFailed::NotFound(format!("the arguments are no JSON: {error}"));
        let args: Json = serde_json::from_str(arguments).map_err(wrong)?;
        let body = json!({ "op": "mutate", "object": object, "mutation": mutation, "args": args });
        let answer = Residents::ask(self, component, body)?;
        match answer.get("verdict").and_then(Json::as_str) {
            Some("recorded") => Ok(answer.get("seq").and_then(Json::as_u64)),
            Some("ignored") => Ok(None),
            Some("denied") => {
                Err(ObjectFailed::Denied(answer.get("reason").unwrap_or(&Json::Null).to_string()))
            }
            _ => Err(ObjectFailed::Unavailable(answer.to_string())),
        }
    }
}
