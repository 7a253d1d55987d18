//! Identifiers of WIT for names of a schema.

use std::collections::BTreeMap;

/// Most characters of an identifier before what keeps it apart from others: values of `enum` may be long texts.
const NAME_MAX: usize = 64;

/// The identifier for a name, before it is kept apart from others: its words in lower case with hyphens between them.
///
/// A word ends where a character is no ASCII letter or digit, and where a capital follows a small letter. A word that
/// begins with a digit is joined to the one before it; the first gets an `n`. Where nothing is left, it is `value`.
#[must_use]
pub fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    let mut before = None;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            let is_new = before.is_none_or(|b: char| b.is_ascii_lowercase() && c.is_ascii_uppercase());
            match (kebab.is_empty(), c.is_ascii_digit()) {
                (true, true) => kebab.push('n'),
                (false, false) if is_new => kebab.push('-'),
                _ => {}
            }
            kebab.push(c.to_ascii_lowercase());
        }
        before = Some(c).filter(char::is_ascii_alphanumeric);
        if kebab.len() > NAME_MAX {
            kebab.truncate(NAME_MAX);
            break;
        }
    }
    while kebab.ends_with('-') {
        kebab.pop();
    }
    if kebab.is_empty() { "value".to_owned() } else { kebab }
}

/// Names that are each other's neighbours: each is given once.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// What is taken, and how many were made of it.
    taken: BTreeMap<String, u32>,
}

impl Scope {
    /// One in which these are taken.
    pub(super) fn without(taken: &[&str]) -> Self {
        Self { taken: taken.iter().map(|name| ((*name).to_owned(), 1)).collect() }
    }

    /// Identifiers for all names of a scope, in their order. The first name of several with one identifier has it as it
    /// is, and no other name's identifier is taken from it by them.
    pub(super) fn name_all<'n>(
        names: impl Iterator<Item = &'n str> + Clone,
        reserved: &[&str],
    ) -> Vec<String> {
        let mut scope = Self::without(reserved);
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        for (n, name) in names.clone().enumerate() {
            first.entry(kebab(name)).or_insert(n);
        }
        let bases: Vec<String> = names.map(kebab).collect();
        let is_kept =
            |n: usize, base: &String| first.get(base) == Some(&n) && !reserved.contains(&base.as_str());
        for (n, base) in bases.iter().enumerate() {
            if is_kept(n, base) {
                scope.taken.insert(base.clone(), 1);
            }
        }
        let named = bases.iter().enumerate();
        named
            .map(|(n, base)| if is_kept(n, base) { base.clone() } else { scope.give(base.clone()) })
            .collect()
    }

    /// That name if it is free, else the first that is of `-b`, `-c`, … `-z`, `-aa`, … after it.
    pub(super) fn give(&mut self, base: String) -> String {
        let mut number = match self.taken.get(&base) {
            None => {
                self.taken.insert(base.clone(), 1);
                return base;
            }
            Some(made) => *made,
        };
        loop {
            number += 1;
            let name = format!("{base}-{}", letters(number));
            if !self.taken.contains_key(&name) {
                self.taken.insert(name.clone(), 1);
                self.taken.insert(base, number);
                return name;
            }
        }
    }
}

/// `a` for 1, `b` for 2, … `z`, `aa`, `ab`, …
fn letters(mut number: u32) -> String {
    let mut letters = Vec::new();
    while number > 0 {
        number -= 1;
        letters.push(char::from_u32(u32::from(b'a') + number % 26).unwrap_or('a'));
        number /= 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_identifier() {
        for (name, expected) in [
            ("fuel", "fuel"),
            ("observed_at", "observed-at"),
            ("lowHigh", "low-high"),
            ("LOW", "low"),
            ("Two Words", "two-words"),
            ("__a__b__", "a-b"),
            ("stage_2", "stage2"),
            ("pm2_5", "pm25"),
            ("1st", "n1st"),
            ("-2", "n2"),
            ("a2Bc", "a2bc"),
            ("naïve", "na-ve"),
            ("", "value"),
            ("日本", "value"),
            ("%", "value"),
        ] {
            assert_eq!(kebab(name), expected, "{name}");
        }
        assert_eq!(kebab(&"ab_".repeat(1_000)).len(), 64);
    }

    #[test]
    fn names_are_kept_apart() {
        let all = |names: &[&str]| Scope::name_all(names.iter().copied(), &["self"]);
        assert_eq!(all(&["a", "A", "a_b", "_a", "self"]), ["a", "a-c", "a-b", "a-d", "self-b"]);
        let many: Vec<String> = (0..2_000).map(|n| "?".repeat(n)).collect();
        let mut given = Scope::name_all(many.iter().map(String::as_str), &[]);
        assert_eq!(
            (given[0].as_str(), given[1].as_str(), given[26].as_str()),
            ("value", "value-b", "value-aa")
        );
        given.sort();
        given.dedup();
        assert_eq!(given.len(), 2_000);
    }
}
