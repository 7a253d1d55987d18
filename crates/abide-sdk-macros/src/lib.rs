//! The macro of `abide-sdk`, which re-exports it: use that crate.
//!
//! [`behaviour!`](macro@behaviour) reads a schema with the same code that a host reads it with, and so finds the same errors. `read`
//! does that, `expand` writes what the macro stands for, `steps` the builders in it, and `name` says what generated code
//! calls things. The types themselves are left to wit-bindgen.
#![forbid(unsafe_code)]

mod expand;
mod name;
mod read;
mod steps;

use proc_macro::TokenStream;
use syn::{LitStr, parse_macro_input};

/// Types, steps and exports of a behaviour, from its schema.
///
/// The argument is the path of the schema, relative to the folder of the crate's `Cargo.toml`. The macro stands once in a
/// crate, at the top of a module, and what it defines is there:
///
/// - `Memory`: what the object keeps, a struct with a field for each of the schema's; and a struct or an enum for
///   whatever in it has a name of its own
/// - `Mutation`: an enum of the mutations that are open to behaviours, each with a struct of its arguments
/// - `Step`: what an act does, with a function for each mutation: `Step::set_burner(Burner::Low)`. With more than one argument it takes
///   the struct of the arguments, so that no two are mistaken for each other. `Step::sleep_for` and `Step::sleep_until`
///   make the object sleep
/// - `Actions`: a trait with a function for each action that a rule names, which you implement
/// - `Behaviour`: the type that you implement it for
///
/// ```text
/// abide_sdk::behaviour!("frost-guard.yaml");
///
/// impl Actions for Behaviour {
///     fn plan(_: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
///         Ok(if memory.temperature < 0.5 { vec![Step::set_burner(Burner::Low)] } else { vec![] })
///     }
/// }
/// ```
///
/// Names are those of [docs/behaviours.md](https://docs.rs/abide-sdk), in the manner of Rust: `observed_at`, `SetBurnerArgs`, with a `_` behind what
/// is a keyword. What is wrong with the schema is an error of the build, with the line, the column and the remedy that `abide check`
/// gives. A crate with a behaviour may `deny(unsafe_code)` but not `forbid` it: the bindings have some.
#[proc_macro]
pub fn behaviour(input: TokenStream) -> TokenStream {
    let path = parse_macro_input!(input as LitStr);
    match read::schema(&path) {
        Ok(read) => expand::behaviour(&read).into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// The bindings of what every schema has, for `abide-sdk` alone.
#[doc(hidden)]
#[proc_macro]
pub fn object(_: TokenStream) -> TokenStream {
    expand::object().into()
}
