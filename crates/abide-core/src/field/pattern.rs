//! Patterns of strings: regular expressions in linear time, with ASCII classes.

use super::Pattern;

/// Most bytes of the source of a pattern.
const SOURCE_BYTES_MAX: usize = 1024;
/// Most bytes of a compiled pattern: what `a{1000}` needs, and far less than it takes to be slow.
const COMPILED_BYTES_MAX: usize = 1 << 17;

/// Compiles a pattern. `\d`, `\w`, `\s`, `\b` and their opposites are ASCII, as in ECMA-262, and Unicode properties are
/// refused, so that a pattern means the same whatever version of Unicode a host was built with. Anchors are as written;
/// there are no look-around and no back-references, which is what makes it linear.
///
/// # Errors
/// What is wrong with it, in words.
pub fn compile_pattern(source: &str) -> Result<Pattern, String> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(format!("it has {} bytes; at most {SOURCE_BYTES_MAX} are read", source.len()));
    }
    let ascii = with_ascii_classes(source)?;
    let regex = regex::RegexBuilder::new(&ascii)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(32)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it repeats too much to be compiled".to_owned(),
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        })?;
    Ok(Pattern { source: source.into(), regex })
}

/// The source with every Perl class written out.
fn with_ascii_classes(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            if c == '(' && folds_case(rest.as_str()) {
                return Err(
                    "`(?i)` folds letters beyond ASCII and is not read; write both, as in `[Aa]`".to_owned()
                );
            }
            continue;
        }
        match rest.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str("[\\t\\n\\v\\f\\r ]"),
            Some('S') => out.push_str("[^\\t\\n\\v\\f\\r ]"),
            Some('b') => out.push_str("(?-u:\\b)"),
            Some('B') => return Err("`\\B` is not read; write what stands on both sides".to_owned()),
            Some('p' | 'P') => {
                return Err("Unicode properties (`\\p`) are not read; list the characters".to_owned());
            }
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    Ok(out)
}

/// Whether what follows a `(` sets the flag that ignores case.
fn folds_case(rest: &str) -> bool {
    let Some(flags) = rest.strip_prefix('?') else { return false };
    let set = flags.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let ends_flags = flags.as_bytes().get(set.len()).is_some_and(|end| matches!(end, b')' | b':' | b'-'));
    set.contains('i') && ends_flags
}
