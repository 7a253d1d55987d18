//! Answers each message with what it said, and asks another subject where it says so.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/wasmcloud-messaging",
        inline: "package interop:echo; world echo {
            import wasmcloud:messaging/consumer@0.2.0;
            export wasmcloud:messaging/handler@0.2.0;
        }",
        world: "interop:echo/echo",
        generate_all,
    });
}

use bindings::exports::wasmcloud::messaging::handler::{BrokerMessage, Guest};
use bindings::wasmcloud::messaging::consumer;

struct Echo;

impl Guest for Echo {
    fn handle_message(message: BrokerMessage) -> Result<(), String> {
        let Some(reply) = message.reply_to else { return Err("nobody waits for an answer".to_owned()) };
        let mut body = message.body;
        // `ask SUBJECT` has another one answer.
        if let Some(subject) = body.strip_prefix(b"ask ") {
            let subject = String::from_utf8_lossy(subject).into_owned();
            body = match consumer::request(&subject, b"asked", 1_000) {
                Ok(answer) => answer.body,
                Err(why) => why.into_bytes(),
            };
        }
        if body == b"spin" {
            loop {
                std::hint::black_box(());
            }
        }
        consumer::publish(&BrokerMessage { subject: reply, body, reply_to: None })
    }
}

bindings::export!(Echo with_types_in bindings);
