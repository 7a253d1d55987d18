//! What wit-bindgen calls in Rust what WIT calls otherwise.

use proc_macro2::{Ident, Span};

/// A function, a field: `set_burner` for `set-burner`, `type_` for `type`.
pub(crate) fn snake(name: &str) -> Ident {
    let snake = name.replace('-', "_");
    Ident::new(&format!("{snake}{}", if is_keyword(&snake) { "_" } else { "" }), Span::call_site())
}

/// Whether Rust keeps a word for itself.
pub(crate) fn is_keyword(word: &str) -> bool {
    // Of the edition of 2024, which syn does not count.
    word == "gen" || syn::parse_str::<Ident>(word).is_err()
}

/// A type or a case: `SetBurner` for `set-burner`.
pub(crate) fn camel(name: &str) -> Ident {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
    });
    Ident::new(&words.collect::<String>(), Span::call_site())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_wit_bindgen() {
        assert_eq!(snake("set-burner"), "set_burner");
        assert_eq!(snake("type"), "type_");
        assert_eq!(snake("try"), "try_");
        assert_eq!(snake("gen"), "gen_");
        assert_eq!(snake("list"), "list");
        assert_eq!(camel("set-burner-args"), "SetBurnerArgs");
        assert_eq!(camel("pm25-b"), "Pm25B");
    }
}
