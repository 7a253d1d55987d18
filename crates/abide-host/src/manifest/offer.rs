//! What the builtin targets offer, and whether links and effects keep to it.
//!
//! `jsonl` and `exec` take any call. `http`, `keyvalue` and `messaging` have functions with parameters: what is known of an effect's
//! arguments before anything runs is checked against them here, so that it is no failure later.

use std::ops::Range;

use abide_core::document::Diagnostics;
use abide_core::expr::{Program, ValueKind};
use abide_core::policy::Grant;
use abide_core::schema::{Effect, Schema, Template, TextPart};

use super::component::{Builtin, RawLink};
use super::target::{TargetConfig, TargetKind};
use crate::effect::http::{METHODS, checked, header_name, takes_body};
use crate::effect::messages::{CONSUMER, MESSAGE_KEYS, check_subject};
use crate::effect::{HttpConfig, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::source::{At, suggestion};

struct Interface {
    name: &'static str,
    functions: &'static [Function],
}

struct Function {
    name: &'static str,
    params: &'static [(&'static str, Param)],
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Param {
    Key,
    Bucket,
    Integer,
    Json,
    HttpRequest,
    Message,
    Subject,
}

const HTTP: &[Interface] = &[Interface {
    name: "abide:http/client",
    functions: &[Function { name: "request", params: &[("request", Param::HttpRequest)] }],
}];

const KEY_VALUE: &[Interface] = &[
    Interface {
        name: "wasi:keyvalue/store",
        functions: &[
            Function { name: "get", params: &[("bucket", Param::Bucket), ("key", Param::Key)] },
            Function {
                name: "set",
                params: &[("bucket", Param::Bucket), ("key", Param::Key), ("value", Param::Json)],
            },
            Function { name: "delete", params: &[("bucket", Param::Bucket), ("key", Param::Key)] },
        ],
    },
    Interface {
        name: "wasi:keyvalue/atomics",
        functions: &[Function {
            name: "increment",
            params: &[("bucket", Param::Bucket), ("key", Param::Key), ("delta", Param::Integer)],
        }],
    },
];

const MESSAGING: &[Interface] = &[Interface {
    name: CONSUMER,
    functions: &[
        Function { name: "publish", params: &[("message", Param::Message)] },
        Function { name: "request", params: &[("subject", Param::Subject), ("body", Param::Json)] },
    ],
}];

/// What a link leads to.
pub(super) struct Callee<'a> {
    pub(super) builtin: Builtin,
    /// `None` where its configuration is wrong, which is reported.
    pub(super) config: Option<&'a TargetConfig>,
}

impl Callee<'_> {
    /// Its interfaces; `None` where it takes any call.
    fn interfaces(&self) -> Option<&'static [Interface]> {
        match self.builtin {
            Builtin::Http => Some(HTTP),
            Builtin::KeyValue => Some(KEY_VALUE),
            Builtin::Messaging => Some(MESSAGING),
            Builtin::Csv | Builtin::JsonLines | Builtin::Exec => None,
        }
    }

    /// Whether it offers what a link grants of it.
    pub(super) fn check_link(
        &self,
        link: &RawLink,
        interface: &At<String>,
        grant: &Grant,
        out: &Diagnostics,
    ) -> bool {
        let Some(interfaces) = self.interfaces() else { return true };
        let Some(offered) = interfaces.iter().find(|offered| *offered.name == *grant.interface) else {
            let message = format!("`{}` does not offer `{}`", link.target.value, grant.interface);
            let names = interfaces.iter().map(|offered| offered.name);
            out.error(
                interface.span.clone(),
                message,
                suggestion(&grant.interface, names, "interfaces of it"),
            );
            return false;
        };
        let known = |name: &str| offered.functions.iter().any(|function| function.name == name);
        // A function may belong to another interface of the same link.
        let elsewhere = |name: &str| {
            interfaces.iter().flat_map(|i| i.functions).any(|function| function.name == name)
                && link.interfaces.len() > 1
        };
        for function in link.functions.iter().filter(|f| !known(&f.value) && !elsewhere(&f.value)) {
            let message = format!("`{}` has no function `{}`", offered.name, function.value);
            let names = offered.functions.iter().map(|function| function.name);
            out.error(function.span.clone(), message, suggestion(&function.value, names, "functions of it"));
        }
        true
    }

    /// Reports what is wrong with the effects of a schema that go over a grant. `place` is that of the grant: the schema may
    /// be used with other targets too.
    pub(super) fn check_effects(
        &self,
        schema: &Schema,
        grant: &Grant,
        place: &Range<usize>,
        out: &Diagnostics,
    ) {
        let interfaces = self.interfaces().unwrap_or_default();
        let Some(offered) = interfaces.iter().find(|offered| *offered.name == *grant.interface) else {
            return;
        };
        for mutation in &schema.mutations {
            let Some(effect) = &mutation.effect else { continue };
            let granted = grant.functions.is_empty() || grant.functions.contains(&effect.function);
            if effect.interface != grant.interface || !granted {
                continue;
            }
            let mut fault = |message: String, help: String| {
                let message = format!("the effect of `{}` of `{}`: {message}", mutation.name, schema.name);
                out.error(place.clone(), message, help);
            };
            let Some(function) = offered.functions.iter().find(|f| *f.name == *effect.function) else {
                let names = offered.functions.iter().map(|function| function.name);
                let help = suggestion(&effect.function, names, "functions of it");
                fault(format!("`{}` has no function `{}`", offered.name, effect.function), help);
                continue;
            };
            self.check_call(function, effect, &mut fault);
        }
    }

    fn check_call(&self, function: &Function, effect: &Effect, fault: &mut dyn FnMut(String, String)) {
        if effect.args.len() != function.params.len() {
            let names: Vec<_> = function.params.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "`{}` takes {} argument{}, and there are {}",
                function.name,
                names.len(),
                if names.len() == 1 { "" } else { "s" },
                effect.args.len()
            );
            fault(message, format!("write `args: [{}]`", names.join(", ")));
            return;
        }
        for ((name, param), arg) in function.params.iter().zip(&effect.args) {
            match param {
                Param::HttpRequest => self.check_request(arg, fault),
                Param::Message => check_message(arg, fault),
                Param::Subject => {
                    text(name, arg, fault);
                    check_constant_subject(constant_text(arg), fault);
                }
                Param::Key => {
                    text(name, arg, fault);
                    if let Some(key) = constant_text(arg).filter(|k| k.is_empty() || k.len() > KEY_BYTES_MAX)
                    {
                        let message = format!("a key of {} bytes", key.len());
                        fault(message, format!("a key has 1 to {KEY_BYTES_MAX} bytes"));
                    }
                }
                Param::Bucket => self.check_bucket(arg, fault),
                Param::Integer => {
                    let fits = match arg {
                        Template::Json(json) => json.as_i64().is_some(),
                        Template::Expression(program) => {
                            program.kind() == Some(ValueKind::Int) && !program.is_nullable()
                        }
                        _ => false,
                    };
                    if !fits {
                        fault(
                            format!("`{name}` must be an integer"),
                            "write a number, or `${…}` around an expression that is an integer".to_owned(),
                        );
                    }
                }
                Param::Json => {
                    if let Template::Json(json) = arg
                        && json.to_string().len() > VALUE_BYTES_MAX
                    {
                        let message = format!("`{name}` is longer than {VALUE_BYTES_MAX} bytes");
                        fault(message, "keep less in one value".to_owned());
                    }
                }
            }
        }
    }

    fn check_bucket(&self, arg: &Template, fault: &mut dyn FnMut(String, String)) {
        text("bucket", arg, fault);
        let Some(TargetConfig { kind: TargetKind::KeyValue(config), .. }) = self.config else { return };
        if let Some(bucket) = constant_text(arg).filter(|bucket| !config.buckets.contains(bucket)) {
            let names = config.buckets.iter().map(String::as_str);
            fault(
                format!("the target has no bucket `{bucket}`"),
                suggestion(&bucket, names, "buckets of the target"),
            );
        }
    }

    fn check_request(&self, arg: &Template, fault: &mut dyn FnMut(String, String)) {
        let Some(members) = members(arg) else {
            let help = "write `{ method: POST, url: …, headers: { … }, body: … }`";
            fault("the argument of `request` must be a mapping".to_owned(), help.to_owned());
            return;
        };
        let names = ["method", "url", "headers", "body"];
        for (name, _) in members.iter().filter(|(name, _)| !names.contains(name)) {
            fault(format!("a request has no `{name}`"), suggestion(name, names, "keys of a request"));
        }
        let get = |wanted: &str| members.iter().find(|(name, _)| *name == wanted).map(|(_, member)| member);
        for name in ["method", "url"] {
            match get(name) {
                Some(member) => member.text(name, fault),
                None => fault(format!("the request has no `{name}`"), format!("add `{name}:`")),
            }
        }
        let method = get("method").and_then(Member::constant);
        if let Some(method) = method.as_deref().filter(|method| !METHODS.contains(method)) {
            fault(format!("there is no method `{method}`"), suggestion(method, METHODS, "methods"));
        }
        if let (Some(method), Some(body)) = (&method, get("body"))
            && METHODS.contains(&method.as_str())
            && !takes_body(method)
            && !body.is_null()
        {
            fault(format!("a request by `{method}` has no `body`"), "take it out, or use `POST`".to_owned());
        }
        if let Some(TargetConfig { kind: TargetKind::Http(config), .. }) = self.config {
            if let Some(url) = get("url").and_then(Member::leading) {
                check_url(&url, config, fault);
            }
            check_headers(get("headers"), Some(config), fault);
        } else {
            check_headers(get("headers"), None, fault);
        }
    }
}

fn check_message(arg: &Template, fault: &mut dyn FnMut(String, String)) {
    let Some(members) = members(arg) else {
        let help = "write `{ subject: …, body: … }`";
        fault("the argument of `publish` must be a mapping".to_owned(), help.to_owned());
        return;
    };
    for (name, _) in members.iter().filter(|(name, _)| !MESSAGE_KEYS.contains(name)) {
        fault(format!("a message has no `{name}`"), suggestion(name, MESSAGE_KEYS, "keys of a message"));
    }
    let get = |wanted: &str| members.iter().find(|(name, _)| *name == wanted).map(|(_, member)| member);
    if get("subject").is_none() {
        fault("the message has no `subject`".to_owned(), "add `subject:`".to_owned());
    }
    for (name, member) in [("subject", get("subject")), ("reply_to", get("reply_to"))] {
        let Some(member) = member.filter(|member| name == "subject" || !member.is_null()) else { continue };
        member.text(name, fault);
        check_constant_subject(member.constant(), fault);
    }
}

fn check_constant_subject(subject: Option<String>, fault: &mut dyn FnMut(String, String)) {
    if let Some(Err(why)) = subject.map(|subject| check_subject(&subject)) {
        fault(why, "write it as in `orchard.alarms`".to_owned());
    }
}

fn check_url(url: &str, config: &HttpConfig, fault: &mut dyn FnMut(String, String)) {
    if let Err(why) = checked(config.base_url.as_ref(), url, &config.allowed_hosts) {
        let hosts: Vec<_> = config.allowed_hosts.iter().map(|host| format!("`{host}`")).collect();
        fault(why, format!("the target allows {}", hosts.join(", ")));
    }
}

fn check_headers(
    headers: Option<&Member<'_>>,
    config: Option<&HttpConfig>,
    fault: &mut dyn FnMut(String, String),
) {
    let Some(headers) = headers.filter(|headers| !headers.is_null()) else { return };
    let Some(entries) = headers.members() else {
        let help = "write them as in `{ X-Site: orchard }`";
        fault("`headers` of a request must be a mapping".to_owned(), help.to_owned());
        return;
    };
    for (name, value) in entries {
        value.text(name, fault);
        let read = header_name(name);
        let own = |config: &HttpConfig| config.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
        match read {
            Err(why) => fault(why, "take it out".to_owned()),
            Ok(_) if config.is_some_and(own) => {
                let message = format!("the header `{name}` is set by the target");
                fault(message, "take it out of the effect, or out of the target's `headers`".to_owned());
            }
            Ok(_) => {}
        }
    }
}

/// A part of an argument: a template, or a piece of constant data.
enum Member<'a> {
    Template(&'a Template),
    Json(&'a serde_json::Value),
}

impl<'a> Member<'a> {
    fn members(&self) -> Option<Vec<(&'a str, Self)>> {
        match self {
            Self::Template(template) => members(template),
            Self::Json(json) => json_members(json),
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::Template(Template::Json(json)) => json.is_null(),
            Self::Template(_) => false,
            Self::Json(json) => json.is_null(),
        }
    }

    fn constant(&self) -> Option<String> {
        match self {
            Self::Template(template) => constant_text(template),
            Self::Json(json) => json.as_str().map(str::to_owned),
        }
    }

    /// The text, if it is constant; else one that has the same host, if what comes before its first expression says it.
    fn leading(&self) -> Option<String> {
        if let Self::Template(Template::Text(parts)) = self {
            let Some(TextPart::Literal(first)) = parts.first() else { return None };
            let (_, rest) = first.split_once("://")?;
            return rest.contains(['/', '?', '#']).then(|| first.to_string());
        }
        self.constant()
    }

    fn text(&self, name: &str, fault: &mut dyn FnMut(String, String)) {
        match self {
            Self::Template(template) => text(name, template, fault),
            Self::Json(json) if json.is_string() => {}
            Self::Json(_) => not_text(name, fault),
        }
    }
}

fn members(template: &Template) -> Option<Vec<(&str, Member<'_>)>> {
    match template {
        Template::Object(entries) => {
            Some(entries.iter().map(|(name, entry)| (&**name, Member::Template(entry))).collect())
        }
        Template::Json(json) => json_members(json),
        _ => None,
    }
}

fn json_members(json: &serde_json::Value) -> Option<Vec<(&str, Member<'_>)>> {
    Some(json.as_object()?.iter().map(|(name, entry)| (name.as_str(), Member::Json(entry))).collect())
}

fn constant_text(template: &Template) -> Option<String> {
    match template {
        Template::Json(json) => json.as_str().map(str::to_owned),
        _ => None,
    }
}

/// Reports an argument that is not always a text.
fn text(name: &str, template: &Template, fault: &mut dyn FnMut(String, String)) {
    let is_text = match template {
        Template::Json(json) => json.is_string(),
        Template::Text(_) => true,
        Template::Expression(program) => becomes_text(program),
        Template::Value(_) | Template::List(_) | Template::Object(_) => false,
    };
    if !is_text {
        not_text(name, fault);
    }
}

fn not_text(name: &str, fault: &mut dyn FnMut(String, String)) {
    let help = "put it in quotes, or write text around the expression, as in `\"n-${self.count}\"`";
    fault(format!("`{name}` must be a text"), help.to_owned());
}

fn becomes_text(program: &Program) -> bool {
    let kinds = [ValueKind::Str, ValueKind::Bytes, ValueKind::Time, ValueKind::Span];
    !program.is_nullable() && program.kind().is_some_and(|kind| kinds.contains(&kind))
}
