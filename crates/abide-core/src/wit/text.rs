//! A world as text.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{EnumType, OBJECT_VERSION, RecordType, Type, World, words};

/// Words that WIT reads as its own where they stand bare.
const KEYWORDS: [&str; 43] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
    "with",
    "world",
];

impl World {
    /// The package as text, in one file: the interface `types` and the world `behaviour`. It refers to
    /// [`super::DEPENDENCIES`].
    #[must_use]
    pub fn to_wit(&self) -> String {
        let mut out = Text::default();
        out.docs(&self.docs);
        out.line(&format!("package {};", self.package));
        out.line("");
        self.interface(&mut out);
        out.line("");
        self.world(&mut out);
        out.text
    }

    fn interface(&self, out: &mut Text) {
        out.docs("The memory of the object, and what an act may ask for.");
        out.open("interface types");
        out.line(&format!(
            "use abide:object/types@{OBJECT_VERSION}.{{cycle, duration, spawn, timestamp, wake}};"
        ));
        out.line("");
        self.types.iter().for_each(|ty| named(ty, out));
        named(&self.memory, out);
        for record in self.mutations.iter().filter_map(|case| case.args.as_deref()) {
            of_record(record, out);
        }
        if !self.mutations.is_empty() {
            out.docs("The mutations that are open to behaviours. Each passes admission, as any other does.");
            out.open("variant mutation");
            for case in &self.mutations {
                out.docs(&case.docs);
                let payload = case.args.as_ref().map(|args| format!("({})", escaped(&args.name)));
                out.line(&format!("{}{},", escaped(&case.name), payload.unwrap_or_default()));
            }
            out.close();
            out.line("");
        }
        out.docs("What an act does. The last three come only at the end.");
        out.open("variant step");
        if !self.mutations.is_empty() {
            out.docs("Change the memory; the next step sees it changed.");
            out.line("mutate(mutation),");
        }
        for (docs, case) in [
            ("Make a child.", "spawn(spawn),"),
            ("Run no rules until then.", "sleep(wake),"),
            ("Not yet: the same rule again, later.", "retry,"),
            ("The end of the object.", "terminate,"),
        ] {
            out.docs(docs);
            out.line(case);
        }
        out.close();
        out.close();
    }

    fn world(&self, out: &mut Text) {
        out.docs(
            "What a behaviour of these objects exports and imports. Beside this it may import clocks, random numbers and
\
             standard output of WASI, which are virtual, and nothing that waits or reaches out.",
        );
        out.open("world behaviour");
        out.line("use types.{cycle, memory, step};");
        out.line("");
        out.line(&format!("import abide:object/log@{OBJECT_VERSION};"));
        out.line("import wasi:config/store@0.2.0-draft;");
        for action in &self.actions {
            out.line("");
            out.docs(&action.docs);
            out.docs("At most 64 steps; all of them are admitted, or none. An error is recorded as a denial, with its text.");
            let signature = "func(cycle: cycle, memory: memory) -> result<list<step>, string>";
            out.line(&format!("export {}: {signature};", escaped(&action.export)));
        }
        out.close();
    }
}

/// How a type is called where it is used.
pub(super) fn reference(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::String => "string".to_owned(),
        Type::Timestamp => "timestamp".to_owned(),
        Type::Duration => "duration".to_owned(),
        Type::Bytes => "list<u8>".to_owned(),
        Type::Enum(of) => escaped(&of.name).into_owned(),
        Type::Record(of) => escaped(&of.name).into_owned(),
        Type::Nothing(name) => escaped(name).into_owned(),
        Type::List(item) => format!("list<{}>", reference(item)),
        Type::Map(value) => format!("list<tuple<string, {}>>", reference(value)),
        Type::Option(some) => format!("option<{}>", reference(some)),
    }
}

/// An identifier as the text writes it.
pub(super) fn escaped(name: &str) -> Cow<'_, str> {
    if KEYWORDS.contains(&name) { format!("%{name}").into() } else { name.into() }
}

/// The definition of a type that has a name, and a line after it.
fn named(ty: &Type, out: &mut Text) {
    match ty {
        Type::Enum(of) => of_enum(of, out),
        Type::Record(of) => of_record(of, out),
        Type::Nothing(name) => {
            out.docs("There is nothing in it.");
            out.open(&format!("enum {}", escaped(name)));
            out.line("nothing,");
            out.close();
            out.line("");
        }
        // No other has a definition of its own.
        _ => {}
    }
}

fn of_enum(of: &EnumType, out: &mut Text) {
    out.docs(&of.docs);
    out.open(&format!("enum {}", escaped(&of.name)));
    for case in &of.cases {
        if *case.name != *case.value {
            out.docs(&words::shown(&Json::from(&*case.value)));
        }
        out.line(&format!("{},", escaped(&case.name)));
    }
    out.close();
    out.line("");
}

fn of_record(of: &RecordType, out: &mut Text) {
    out.docs(&of.docs);
    out.open(&format!("record {}", escaped(&of.name)));
    for field in &of.fields {
        out.docs(&field.docs);
        out.line(&format!("{}: {},", escaped(&field.name), reference(&field.ty)));
    }
    out.close();
    out.line("");
}

/// Lines, indented by the braces around them.
#[derive(Debug, Default)]
struct Text {
    text: String,
    depth: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        if !line.is_empty() {
            self.text.push_str(&"  ".repeat(self.depth));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    fn open(&mut self, head: &str) {
        self.line(&format!("{head} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.line("}");
    }

    /// A comment. What WIT bears in no text is shown as U+FFFD.
    fn docs(&mut self, docs: &str) {
        let docs = docs.replace("\r\n", "\n").replace('\r', "\n");
        for line in docs.lines() {
            let line: String = line.chars().map(|c| if is_borne(c) { c } else { '\u{fffd}' }).collect();
            self.line(format!("/// {line}").trim_end());
        }
    }
}

/// Control codes, and characters that turn or deceive a reader, are no part of WIT.
fn is_borne(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_deprecated = matches!(
        c,
        '\u{149}' | '\u{673}' | '\u{f77}' | '\u{f79}' | '\u{17a3}' | '\u{17a4}' | '\u{17b4}' | '\u{17b5}'
    );
    !(turns || is_deprecated || (c.is_control() && c != '\t'))
}
