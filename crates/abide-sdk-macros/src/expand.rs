//! What the macros stand for.

use abide_core::schema::{Schema, Step};
use abide_core::wit::{Action, DEPENDENCIES, Dependency, OBJECT_VERSION, World, kebab};
use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::name::{is_keyword, snake};
use crate::read::Read;
use crate::steps;

/// The world of `abide-sdk` itself: all that a schema does not change. A component has the imports that its code
/// calls, so what is not used costs nothing.
const SDK_WORLD: &str = "package abide:sdk;\n\nworld sdk {\n  import abide:object/types@0.1.0;\n  \
                         import abide:object/log@0.1.0;\n  import wasi:config/store@0.2.0-draft;\n}\n";

/// Of [`crate::behaviour`].
pub(crate) fn behaviour(read: &Read) -> TokenStream {
    let Read { path, schema } = read;
    let world = World::of(schema);
    let path = path.display().to_string();
    let (package, wit) = package(&kebab(&schema.name), world.to_wit());
    let wit = with_dependencies(&wit);
    let types = format!("abide:object/types@{OBJECT_VERSION}");
    let log = format!("abide:object/log@{OBJECT_VERSION}");
    let builders = steps::builders(&world);
    let signatures = world.actions.iter().map(|action| {
        let (name, docs) = (snake(&action.export), docs(schema, action));
        quote! {
            #[doc = #docs]
            fn #name(cycle: Cycle, memory: Memory) -> ::core::result::Result<::std::vec::Vec<Step>, ::std::string::String>;
        }
    });
    let exports = world.actions.iter().map(|action| {
        let name = snake(&action.export);
        quote! {
            fn #name(cycle: Cycle, memory: Memory) -> ::core::result::Result<::std::vec::Vec<Step>, ::std::string::String> {
                ::abide_sdk::__private::begin();
                <super::Behaviour as super::Actions>::#name(cycle, memory)
            }
        }
    });
    let trait_docs = format!("What the rules of `{}` call: a function for each action.", schema.name);
    quote! {
        #[allow(dead_code, missing_docs, unreachable_pub, unsafe_code, unused_imports, unused_qualifications,
            clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
        #[doc(hidden)]
        mod __abide {
            // So that cargo builds again when the schema has changed.
            const _: &[u8] = ::core::include_bytes!(#path);

            ::abide_sdk::__private::wit_bindgen::generate!({
                inline: #wit,
                // A folder `wit` beside it is not for us.
                path: [],
                world: "behaviour",
                with: {
                    #types: ::abide_sdk::__private::types,
                    #log: ::abide_sdk::__private::log,
                    "wasi:config/store@0.2.0-draft": ::abide_sdk::__private::store,
                },
                additional_derives: [PartialEq],
                runtime_path: "::abide_sdk::__private::wit_bindgen::rt",
            });

            pub use self::schema::#package::types;

            #builders

            #[cfg(target_arch = "wasm32")]
            struct Exports;

            #[cfg(target_arch = "wasm32")]
            impl Guest for Exports {
                #(#exports)*
            }

            #[cfg(target_arch = "wasm32")]
            export!(Exports with_types_in self);
        }

        #[allow(unused_imports, reason = "a behaviour need not name every type")]
        pub use __abide::types::*;
        #[allow(unused_imports, reason = "a behaviour need not name every type")]
        pub use ::abide_sdk::{Cycle, Spawn, Wake};

        #[doc = #trait_docs]
        pub trait Actions {
            #(#signatures)*
        }

        /// What [`Actions`] is implemented for.
        #[derive(Clone, Copy, Debug)]
        pub struct Behaviour;
    }
}

/// Of [`crate::object`].
pub(crate) fn object() -> TokenStream {
    let wit = with_dependencies(SDK_WORLD);
    quote! {
        ::wit_bindgen::generate!({
            inline: #wit,
            path: [],
            world: "abide:sdk/sdk",
            generate_all,
            generate_unused_types: true,
            additional_derives: [PartialEq],
            runtime_path: "::wit_bindgen::rt",
            type_section_suffix: "abide-sdk",
        });
    }
}

/// The rules that call an action, in their own words.
fn docs(schema: &Schema, action: &Action) -> String {
    let rules =
        schema.rules.iter().filter(|rule| matches!(&rule.then, Step::Act(act) if *act == action.name));
    let lines = rules.map(|rule| {
        let words = rule.description.as_deref().map_or_else(String::new, |words| format!(" {words}"));
        format!("Called by the rule `{}`.{words}", rule.name)
    });
    let lines: Vec<String> = lines.collect();
    format!(
        "{}\n\nIt returns at most 64 steps; with an error none is taken, and the object gets a denial with its words.",
        lines.join("\n\n")
    )
}

/// The module that wit-bindgen makes of a package, and the text of the package.
///
/// It names the module of a package `type` with that keyword, which is no Rust. So such a package gets another name: it names an
/// interface of types alone, and types are compared by what they are.
fn package(name: &str, wit: String) -> (Ident, String) {
    if !is_keyword(&name.replace('-', "_")) {
        return (snake(name), wit);
    }
    let other = format!("{name}-schema");
    let given = [format!("package schema:{name}@"), format!("package schema:%{name}@")];
    let wit = given.iter().fold(wit, |wit, head| wit.replacen(head, &format!("package schema:{other}@"), 1));
    (snake(&other), wit)
}

/// A package with those that it refers to, in one text.
fn with_dependencies(package: &str) -> String {
    DEPENDENCIES.iter().fold(package.to_owned(), |text, dependency| format!("{text}\n{}", nested(dependency)))
}

/// A package behind another in one text has its contents in braces.
fn nested(dependency: &Dependency) -> String {
    let head = format!("package {};", dependency.package);
    let open = format!("package {} {{", dependency.package);
    format!("{}}}\n", dependency.text.replacen(&head, &open, 1))
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn only_a_package_that_is_a_keyword_gets_another_name() {
        let named = |name: &str, wit: &str| {
            let (module, text) = package(name, wit.to_owned());
            (module.to_string(), text)
        };
        let kept = "package schema:frost-guard@1.0.0;";
        assert_eq!(named("frost-guard", kept), ("frost_guard".to_owned(), kept.to_owned()));
        let other = ("type_schema".to_owned(), "package schema:type-schema@1.0.0;".to_owned());
        assert_eq!(named("type", "package schema:%type@1.0.0;"), other);
    }
}
