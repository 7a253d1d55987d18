//! `componentize`: a core module that a compiler made, as the component that a host loads.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use wit_component::ComponentEncoder;

use crate::context::Context;
use crate::error::{Answer, CommandError};
use crate::file::write_whole;

const EXAMPLES: &str = "\
Examples:
  abide componentize target/wasm32-unknown-unknown/release/tank.wasm -o tank.wasm";

/// Turn a core WebAssembly module into a component
///
/// For behaviours in Rust: cargo makes a core module, which carries its world in a section of its own. Componentizers of other
/// languages make components themselves.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Componentize {
    /// The module that the compiler made
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// Where the component goes; what is there is replaced
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: PathBuf,
}

/// How a component begins: the layer after the version tells it from a module.
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// How the name of the section begins in which wit-bindgen keeps the world.
const WORLD_SECTION: &[u8] = b"component-type:";

impl Componentize {
    pub(crate) fn run(self, context: &mut Context) -> Result<Answer, CommandError> {
        let module =
            fs::read(&self.module).map_err(|error| CommandError::file("read", &self.module, &error))?;
        let shown = self.module.display();
        if module.starts_with(&COMPONENT) {
            return Err(CommandError::refused(format!("`{shown}` is a component already"))
                .help("name it in the manifest as it is"));
        }
        if !module.starts_with(b"\0asm") {
            return Err(CommandError::refused(format!("`{shown}` is not a WebAssembly module"))
                .help("build it with `cargo build --release --target wasm32-unknown-unknown`"));
        }
        // Without a world every module is a component: one that exports nothing.
        if !module.windows(WORLD_SECTION.len()).any(|bytes| bytes == WORLD_SECTION) {
            return Err(CommandError::refused(format!("`{shown}` carries no world"))
                .help("its crate needs `crate-type = [\"cdylib\"]` and `abide_sdk::behaviour!(…)`"));
        }
        let component = ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|mut encoder| encoder.encode())
            .map_err(|error| {
                CommandError::refused(format!("`{shown}` does not make a component: {error:#}"))
                    .help("build it for wasm32-unknown-unknown, and with one version of abide-sdk")
            })?;
        write_whole(&self.output, &component)?;
        let out = &mut context.out;
        let file = self.output.display();
        if out.json() {
            out.json_pretty(&json!({ "file": file.to_string(), "bytes": component.len() }))?;
        } else {
            out.line(format_args!("wrote `{file}`: {} bytes", component.len()))?;
        }
        Ok(Answer::Yes)
    }
}
