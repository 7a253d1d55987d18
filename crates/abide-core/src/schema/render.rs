//! What a schema looks like to others: JSON Schema, a tool list for language models, YAML.

mod json_schema;
mod yaml;

use serde_json::{Map, Value as Json, json};

use super::{CallerKind, Mutation, Schema};

impl Schema {
    /// The schema as JSON Schema (2020-12) of an object's memory. `$defs` holds `mutation`, the enumeration of the
    /// mutations, and `args.NAME`, the arguments of each. What JSON Schema has no word for stands under `x-unit` and
    /// `x-format`.
    #[must_use]
    pub fn json_schema(&self) -> Json {
        let mut defs = Map::new();
        let names: Vec<Json> = self.mutations.iter().map(|m| (&*m.name).into()).collect();
        if !names.is_empty() {
            defs.insert("mutation".to_owned(), json!({ "enum": names }));
        }
        for mutation in &self.mutations {
            defs.insert(format!("args.{}", mutation.name), self.arguments(mutation));
        }
        let mut root = Map::new();
        root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        root.insert("title".to_owned(), format!("{} {}", self.name, self.version).into());
        if let Some(intent) = &self.intent {
            root.insert("description".to_owned(), (&**intent).into());
        }
        root.append(&mut json_schema::of_fields(&self.memory));
        if !defs.is_empty() {
            root.insert("$defs".to_owned(), Json::Object(defs));
        }
        Json::Object(root)
    }

    fn arguments(&self, mutation: &Mutation) -> Json {
        let mut arguments = json_schema::of_fields(&mutation.args);
        if let Some(description) = &mutation.description {
            arguments.insert("description".to_owned(), (&**description).into());
        }
        Json::Object(arguments)
    }

    /// The mutations as tools for a language model: an array of `name`, `description` and `input_schema`, one for each
    /// mutation that an operator, a component or an observation may ask for.
    #[must_use]
    pub fn tools(&self) -> Json {
        const OUTSIDE: [CallerKind; 3] =
            [CallerKind::Operator, CallerKind::Component, CallerKind::Observation];
        let open = self.mutations.iter().filter(|m| OUTSIDE.into_iter().any(|kind| kind.is_in(m.from)));
        let tool = |mutation: &Mutation| {
            json!({
                "name": &*mutation.name,
                "description": self.tool_description(mutation),
                "input_schema": Json::Object(json_schema::of_fields(&mutation.args)),
            })
        };
        Json::Array(open.map(tool).collect())
    }

    /// What a mutation is, what it changes, and when it is allowed: all that a model needs to choose it.
    fn tool_description(&self, mutation: &Mutation) -> String {
        let mut said = match (&mutation.description, &self.intent) {
            (Some(description), _) => format!("{description}\n"),
            (None, Some(intent)) => format!("A change to `{}`: {intent}\n", self.name),
            (None, None) => format!("A change to `{}`.\n", self.name),
        };
        let written: Vec<String> = mutation
            .writes
            .iter()
            .filter_map(|slot| self.memory.get(slot).map(|field| format!("`{}`", field.name)))
            .collect();
        if !written.is_empty() {
            said += &format!("Sets {}.\n", written.join(", "));
        }
        if let Some(requires) = &mutation.requires {
            said += &format!("Requires `{}`.\n", requires.source());
        }
        if let Some(effect) = &mutation.effect {
            said += &format!("Calls `{}` of `{}`.\n", effect.function, effect.interface);
        }
        said.trim_end().to_owned()
    }

    /// The schema as YAML that loads to the same schema, with the same digest. References are written out.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml::emit(&self.document())
    }
}
