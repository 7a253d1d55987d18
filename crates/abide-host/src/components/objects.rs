//! What components ask of objects: of the host's own over the channel that the run listens to, and so through admission, in a tick; of
//! those of other hosts over the lattice, where the same happens.

use std::sync::Arc;
use std::time::Duration;

use abide_wasm::component::{Asked, Granted, Later, ObjectFailed, Objects, Subscription, wait_for};
use serde_json::{Value as Json, json};

use crate::local::Requests;

/// How long it may take to say whether there is an object.
const LOOK: Duration = Duration::from_secs(2);

/// The objects of other hosts.
pub trait Neighbours: Send + Sync + 'static {
    /// Asks an object, on whichever host it is. What is asked and answered is JSON.
    fn ask<'a>(
        &'a self,
        object: &'a str,
        asked: Vec<u8>,
        limit: Duration,
    ) -> Later<'a, Result<Vec<u8>, ObjectFailed>>;
    /// Has what others ask of this host's objects answered.
    fn serve(&self, keeper: Keeper) -> Later<'_, Result<Subscription, String>>;
}

/// The objects of the run in this process, and those of other hosts.
pub(super) struct Residents {
    pub(super) requests: Requests,
    pub(super) neighbours: Option<Arc<dyn Neighbours>>,
}

impl Residents {
    /// Asks here, or where the object is.
    fn exchange(&self, asked: Asked<'_>, mut body: Json) -> Result<Json, ObjectFailed> {
        let Asked { component, object, limit } = asked;
        let has = self.requests.ask(component, json!({ "op": "has", "object": object }), limit.min(LOOK));
        let is_here = has.as_ref().ok().and_then(|has| has.get("has")?.as_bool());
        let answer = match &self.neighbours {
            Some(neighbours) if is_here == Some(false) => {
                if let Some(body) = body.as_object_mut() {
                    body.insert("component".to_owned(), component.into());
                }
                let answer = wait_for(neighbours.ask(object, body.to_string().into_bytes(), limit))?;
                serde_json::from_slice(&answer).map_err(|error| {
                    ObjectFailed::Unavailable(format!(
                        "the host that has it answers what is no JSON: {error}"
                    ))
                })?
            }
            _ => {
                if let Some(body) = body.as_object_mut() {
                    body.insert("object".to_owned(), object.into());
                }
                self.requests.ask(component, body, limit).map_err(ObjectFailed::Unavailable)?
            }
        };
        if answer.get("refused").is_some() {
            return Err(ObjectFailed::NotLinked);
        }
        match (answer.get("error").and_then(Json::as_str), answer.get("unavailable").and_then(Json::as_str)) {
            (Some(error), _) => Err(ObjectFailed::NotFound(error.to_owned())),
            (_, Some(why)) => Err(ObjectFailed::Unavailable(why.to_owned())),
            (None, None) => Ok(answer),
        }
    }
}

impl Objects for Residents {
    fn read(&self, asked: Asked<'_>) -> Result<String, ObjectFailed> {
        let answer = self.exchange(asked, json!({ "op": "read" }))?;
        Ok(answer.get("object").unwrap_or(&Json::Null).to_string())
    }

    fn ask(&self, asked: Asked<'_>, mutation: &str, arguments: &str) -> Result<Option<u64>, ObjectFailed> {
        let wrong = |error| ObjectFailed::NotFound(format!("the arguments are no JSON: {error}"));
        let args: Json = serde_json::from_str(arguments).map_err(wrong)?;
        let answer = self.exchange(asked, json!({ "op": "mutate", "mutation": mutation, "args": args }))?;
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

/// Answers for the objects of this host what components of others ask. That a link lets them is looked at here too.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub(super) requests: Requests,
    pub(super) granted: Granted,
    /// How long an answer may take.
    pub(super) limit: Duration,
}

impl Keeper {
    /// Whether the host has an object. It may wait.
    #[must_use]
    pub fn has(&self, object: &str) -> bool {
        let has = self.requests.ask("", json!({ "op": "has", "object": object }), LOOK);
        has.is_ok_and(|has| has.get("has").and_then(Json::as_bool) == Some(true))
    }

    /// Answers what is asked of an object. It may wait.
    #[must_use]
    pub fn answer(&self, object: &str, asked: &[u8]) -> Vec<u8> {
        self.answered(object, asked).to_string().into_bytes()
    }

    fn answered(&self, object: &str, asked: &[u8]) -> Json {
        let mut body = match serde_json::from_slice(asked) {
            Ok(Json::Object(body)) => body,
            Ok(_) => return json!({ "error": "what is asked is no JSON object" }),
            Err(error) => return json!({ "error": format!("what is asked is no JSON: {error}") }),
        };
        let Some(Json::String(component)) = body.remove("component") else {
            return json!({ "error": "what is asked does not say by which `component`" });
        };
        // Several things at once would each name an object of their own, and the link is for this one.
        if !matches!(body.get("op").and_then(Json::as_str), Some("read" | "mutate")) {
            return json!({ "error": "what is asked is neither `read` nor `mutate`" });
        }
        if !self.granted.is_granted(&component, object) {
            return json!({ "refused": "there is no link" });
        }
        body.insert("object".to_owned(), object.into());
        let answered = self.requests.ask(&component, Json::Object(body), self.limit);
        answered.unwrap_or_else(|why| json!({ "unavailable": why }))
    }
}
