//! The functions that make steps.

use abide_core::wit::{MutationCase, RecordField, Type, World};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::name::{camel, snake};

/// Functions of `Step` that are there whatever the schema.
const TAKEN: [&str; 2] = ["sleep_for", "sleep_until"];

/// Everything that a `Step`, `types::Step` in the scope, is made with.
pub(crate) fn builders(world: &World) -> TokenStream {
    let mutations = world.mutations.iter().map(mutation);
    let conversions = world.mutations.iter().filter_map(conversion);
    let from_mutation = (!world.mutations.is_empty()).then(|| {
        quote! {
            impl ::core::convert::From<types::Mutation> for types::Step {
                fn from(mutation: types::Mutation) -> Self {
                    Self::Mutate(mutation)
                }
            }
        }
    });
    quote! {
        impl types::Step {
            #(#mutations)*

            /// Run no rules for so long from now on: nanoseconds above 0, as `2 * HOUR` of `abide_sdk::time`.
            #[must_use]
            pub fn sleep_for(span: ::abide_sdk::Duration) -> Self {
                Self::Sleep(::abide_sdk::Wake::After(span))
            }

            /// Run no rules until then.
            #[must_use]
            pub fn sleep_until(time: ::abide_sdk::Timestamp) -> Self {
                Self::Sleep(::abide_sdk::Wake::Time(time))
            }
        }
        #from_mutation
        #(#conversions)*
    }
}

fn mutation(case: &MutationCase) -> TokenStream {
    let variant = camel(&case.name);
    let function = function(case);
    let docs = format!("Change the memory by the mutation `{}`.", case.name);
    let (parameter, payload) = match case.args.as_deref() {
        None => (quote!(), quote!()),
        Some(record) => {
            let args = camel(&record.name);
            match record.fields.as_slice() {
                [only] => {
                    let field = snake(&only.name);
                    let (ty, value) = parameter(only, &field);
                    (quote!(#field: #ty), quote!((types::#args { #field: #value })))
                }
                _ => (quote!(args: types::#args), quote!((args))),
            }
        }
    };
    quote! {
        #[doc = #docs]
        #[must_use]
        pub fn #function(#parameter) -> Self {
            Self::Mutate(types::Mutation::#variant #payload)
        }
    }
}

fn function(case: &MutationCase) -> Ident {
    let name = snake(&case.name);
    if TAKEN.iter().any(|taken| name == taken) { format_ident!("{name}_") } else { name }
}

/// A single argument: a text may be given as `&str`.
fn parameter(field: &RecordField, name: &Ident) -> (TokenStream, TokenStream) {
    if matches!(field.ty, Type::String) {
        let ty = quote!(impl ::core::convert::Into<::std::string::String>);
        return (ty, quote!(::core::convert::Into::into(#name)));
    }
    (rust_type(&field.ty), quote!(#name))
}

/// Arguments are a step by themselves: the mutation follows from their type.
fn conversion(case: &MutationCase) -> Option<TokenStream> {
    let args = camel(&case.args.as_deref()?.name);
    let variant = camel(&case.name);
    Some(quote! {
        impl ::core::convert::From<types::#args> for types::Step {
            fn from(args: types::#args) -> Self {
                Self::Mutate(types::Mutation::#variant(args))
            }
        }
    })
}

/// The type that wit-bindgen has for one of WIT.
fn rust_type(ty: &Type) -> TokenStream {
    match ty {
        Type::Bool => quote!(bool),
        Type::S64 => quote!(i64),
        Type::F64 => quote!(f64),
        Type::String => quote!(::std::string::String),
        Type::Timestamp => quote!(::abide_sdk::Timestamp),
        Type::Duration => quote!(::abide_sdk::Duration),
        Type::Bytes => quote!(::std::vec::Vec<u8>),
        Type::Enum(of) => named(&of.name),
        Type::Record(of) => named(&of.name),
        Type::Nothing(name) => named(name),
        Type::List(item) => {
            let item = rust_type(item);
            quote!(::std::vec::Vec<#item>)
        }
        Type::Map(value) => {
            let value = rust_type(value);
            quote!(::std::vec::Vec<(::std::string::String, #value)>)
        }
        Type::Option(some) => {
            let some = rust_type(some);
            quote!(::core::option::Option<#some>)
        }
    }
}

fn named(name: &str) -> TokenStream {
    let name = camel(name);
    quote!(types::#name)
}
