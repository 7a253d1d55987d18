//! Names as the names of files: any text that is not too long has one, no two have the same, and none leads out of its folder.

/// Most bytes of a file's name.
const FILE_MAX: usize = 255;
/// What stands for no name at all, which no file can have.
const EMPTY: &str = "%";

/// The name of the file for a name: letters, digits, `_`, `-` and `.` as they are, except a `.` at the beginning, and `%` with two
/// hexadecimal digits for every other byte.
///
/// # Errors
/// When it is too long.
pub(super) fn encode(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Ok(EMPTY.to_owned());
    }
    let too_long = || {
        let shown = name.get(..name.floor_char_boundary(40)).unwrap_or_default();
        format!(
            "the name `{}…` is too long: a name has at most {FILE_MAX} bytes, of which each that is no letter, digit, `_`, `-` or `.` counts \
             for three",
            shown.escape_debug()
        )
    };
    let mut file = String::new();
    for (place, byte) in name.bytes().enumerate() {
        if is_plain(byte) && (byte != b'.' || place > 0) {
            file.push(char::from(byte));
        } else {
            file.push('%');
            file.extend([byte >> 4, byte & 15].map(digit));
        }
        if file.len() > FILE_MAX {
            return Err(too_long());
        }
    }
    Ok(file)
}

/// The name that a file is for; none where it is for no name.
pub(super) fn decode(file: &str) -> Option<String> {
    if file == EMPTY {
        return Some(String::new());
    }
    let mut name = Vec::new();
    let mut bytes = file.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            name.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            name.push(byte);
        }
    }
    // Others may put files there: only one spelling is a name's own.
    String::from_utf8(name).ok().filter(|name| encode(name).is_ok_and(|own| own == file))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or_default().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_names_of_files() {
        for (name, file) in [
            ("apple.txt", "apple.txt"),
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("../../x", "%2E.%2F..%2Fx"),
            ("a/b", "a%2Fb"),
            ("/etc", "%2Fetc"),
            ("%", "%25"),
            ("a b\0\n", "a%20b%00%0A"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(encode(name).as_deref(), Ok(file));
            assert_eq!(decode(file).as_deref(), Some(name));
        }
        assert_eq!(encode(&"a".repeat(255)), Ok("a".repeat(255)));
        assert_eq!(encode(&" ".repeat(85)).unwrap().len(), 255);
        for long in ["a".repeat(256), " ".repeat(86), "a".repeat(10 << 20)] {
            let why = encode(&long).unwrap_err();
            assert!(why.contains("too long") && why.len() < 400, "{why}");
        }
    }

    #[test]
    fn a_file_that_no_name_is_spelled_as_has_none() {
        for file in ["a b", ".new", "%2e", "%41", "%2", "%zz", "%+1", "", "%FF", "a%", "%%"] {
            assert_eq!(decode(file), None, "{file}");
        }
    }

    fn names() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[./%a-cA-C25EeFf\\\\\0 ]{0,12}"]
    }

    proptest! {
        #[test]
        fn a_name_comes_back_and_stays_in_its_folder(name in names()) {
            if let Ok(file) = encode(&name) {
                prop_assert_eq!(decode(&file), Some(name));
                prop_assert!(file.len() <= FILE_MAX && !file.starts_with('.'));
                let parts: Vec<_> = Path::new(&file).components().collect();
                prop_assert_eq!(parts, vec![Component::Normal(file.as_ref())]);
            }
        }

        #[test]
        fn two_names_have_two_files(one in names(), other in names()) {
            if let (Ok(first), Ok(second)) = (encode(&one), encode(&other)) {
                prop_assert_eq!(one == other, first == second);
            }
        }

        #[test]
        fn what_is_read_as_a_name_is_its_file(file in "[.%a-cA-C0-9/ ]{0,12}") {
            if let Some(name) = decode(&file) {
                prop_assert_eq!(encode(&name), Ok(file));
            }
        }
    }
}
