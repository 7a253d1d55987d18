//! Greets, and calls itself as often as it is told to; whom it does not like it never answers.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "greets", generate_all });
}

use bindings::exports::interop::greet::greeter;
use bindings::interop::greet::greeter as other;

struct Greeter;

impl greeter::Guest for Greeter {
    fn greet(visitor: greeter::Visitor, mood: Option<greeter::Mood>) -> Result<String, String> {
        if visitor.name.is_empty() {
            return Err("nobody is there".to_owned());
        }
        while visitor.name == "forever" {
            std::hint::black_box(());
        }
        let text = format!("hello {} [{}]", visitor.name, visitor.tags.join(","));
        Ok(match mood {
            None | Some(greeter::Mood::Plain) => text,
            Some(greeter::Mood::Shouting(n)) => format!("{}{}", text.to_uppercase(), "!".repeat(n as usize)),
        })
    }

    fn again(depth: u32) -> u32 {
        if depth == 0 {
            0
        } else {
            other::again(depth - 1) + 1
        }
    }
}

bindings::export!(Greeter with_types_in bindings);
