//! The tokens of an expression, read before it is parsed: they bound how deep the parser may have to go, say plainly
//! what cannot be read, and give each subexpression its place.
//!
//! The parser gives only the place of a node's operator; [`Tokens::close`] widens a range of operands to whole
//! parentheses. What the tokens mean is left to [`super::parse`].

use super::{DEPTH_MAX, ExprError, NESTING_MAX, SOURCE_MAX};

/// A range of bytes of a source, which is at most [`SOURCE_MAX`] long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) start: u16,
    pub(super) end: u16,
}

impl At {
    /// The range; what lies beyond the bound of a source is held at it.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let held = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Self { start: held(start), end: held(end) }
    }

    /// The text in this range.
    pub(super) fn slice(self, source: &str) -> &str {
        source.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// As a public span.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// The least range that holds both.
    pub(super) fn with(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// What a token is, as far as bounds and places need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A name, a keyword, a number or a string.
    Atom,
    /// `(`, `[` or `{`, and the index of what closes it.
    Open(usize),
    /// `)`, `]` or `}`, and the index of what opened it.
    Close(usize),
    /// `,`
    Comma,
    /// `&&` or `||`: chains of these are balanced by the parser, so that a long one is not deep.
    Logic,
    /// `?`
    Question,
    /// `:`
    Colon,
    /// Any other operator, and `.`
    Operator,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    at: At,
    kind: Kind,
}

/// The tokens of a source, in order, brackets matched, nesting bounded.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads the tokens.
    ///
    /// # Errors
    /// The source is too long or nests too deep, or has something that is no token: the first of these.
    pub(super) fn read(source: &str) -> Result<Self, ExprError> {
        if source.len() > SOURCE_MAX {
            return Err(ExprError {
                message: format!("the expression has {} bytes; at most {SOURCE_MAX} are read", source.len()),
                help: Some("split it, or keep what it computes in a field of its own".into()),
                span: 0..source.len(),
            });
        }
        let mut tokens = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut rest = Scanner { source, at: 0 };
        while let Some((start, end, text)) = rest.next()? {
            let index = tokens.len();
            let kind = match text {
                "(" | "[" | "{" => {
                    open.push(index);
                    if open.len() > NESTING_MAX {
                        return Err(too_deep(start..end));
                    }
                    Kind::Open(index)
                }
                ")" | "]" | "}" => Kind::Close(close(source, &mut tokens, &mut open, start..end, text)?),
                "," => Kind::Comma,
                "&&" | "||" => Kind::Logic,
                "?" => Kind::Question,
                ":" => Kind::Colon,
                _ if is_atom(text) => Kind::Atom,
                _ => Kind::Operator,
            };
            tokens.push(Token { at: At::new(start, end), kind });
        }
        if let Some(token) = open.last().and_then(|index| tokens.get(*index)) {
            return Err(ExprError {
                message: format!("`{}` is never closed", token.at.slice(source)),
                help: Some("close it".into()),
                span: token.at.range(),
            });
        }
        let tokens = Self(tokens);
        tokens.check_depth()?;
        Ok(tokens)
    }

    /// Where names, numbers and strings stand that nothing is selected by: not behind a `.`.
    pub(super) fn roots(&self, source: &str) -> impl Iterator<Item = At> {
        let is_selected = move |n: usize| {
            let before = n.checked_sub(1).and_then(|before| self.0.get(before));
            before.is_some_and(|before| before.at.slice(source).ends_with('.'))
        };
        let atoms = self.0.iter().enumerate().filter(|(_, token)| token.kind == Kind::Atom);
        atoms.filter(move |(n, _)| !is_selected(*n)).map(|(_, token)| token.at)
    }

    /// The token that starts at that byte.
    fn index_at(&self, start: u16) -> Option<usize> {
        self.0.binary_search_by_key(&start, |token| token.at.start).ok()
    }

    /// The place of the token `steps` after (or, where negative, before) the one that starts at that byte.
    pub(super) fn beside(&self, start: u16, steps: isize) -> Option<At> {
        let index = self.index_at(start)?.checked_add_signed(steps)?;
        self.0.get(index).map(|token| token.at)
    }

    /// From the bracket that starts at that byte to what closes it.
    pub(super) fn bracketed(&self, start: u16) -> Option<At> {
        let token = self.0.get(self.index_at(start)?)?;
        let Kind::Open(mate) = token.kind else { return None };
        Some(token.at.with(self.0.get(mate)?.at))
    }

    /// The least range that holds this one and in which every bracket is matched.
    pub(super) fn close(&self, mut at: At) -> At {
        let first = self.0.partition_point(|token| token.at.start < at.start);
        for token in self.0.iter().skip(first) {
            if token.at.start >= at.end {
                break;
            }
            if let Kind::Open(mate) | Kind::Close(mate) = token.kind
                && let Some(mate) = self.0.get(mate)
            {
                at = at.with(mate.at);
            }
        }
        at
    }

    /// Refuses what the parser would make a tree of more than [`DEPTH_MAX`] levels of. A chain of operators nests as
    /// deep as it is long.
    fn check_depth(&self) -> Result<(), ExprError> {
        let mut levels = vec![Level::default()];
        for token in &self.0 {
            match token.kind {
                Kind::Open(_) => {
                    if let Some(level) = levels.last_mut() {
                        level.chain += 1;
                    }
                    levels.push(Level::default());
                }
                Kind::Close(_) => {
                    let inner = levels.pop().map_or(0, |level| level.depth());
                    if let Some(level) = levels.last_mut() {
                        level.within = level.within.max(inner);
                    }
                }
                kind => {
                    if let Some(level) = levels.last_mut() {
                        level.step(kind);
                    }
                }
            }
            if levels.iter().map(Level::depth).sum::<usize>() > DEPTH_MAX {
                return Err(too_deep(token.at.range()));
            }
        }
        Ok(())
    }
}

/// How deep the tree between two brackets is.
#[derive(Default)]
struct Level {
    /// Ternaries begun: each nests in the one before.
    ternaries: usize,
    /// Operators since the last thing that ends a chain.
    chain: usize,
    /// The longest chain so far.
    longest: usize,
    /// The depth of the deepest bracket so far.
    within: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.ternaries + self.longest.max(self.chain) + self.within
    }

    fn step(&mut self, kind: Kind) {
        match kind {
            Kind::Operator => self.chain += 1,
            Kind::Comma | Kind::Logic | Kind::Question | Kind::Colon => {
                self.longest = self.longest.max(self.chain);
                self.chain = 0;
                if kind == Kind::Question {
                    self.ternaries += 1;
                }
            }
            Kind::Atom | Kind::Open(_) | Kind::Close(_) => {}
        }
    }
}

/// Matches a closing bracket with the one it closes, whose index it returns.
fn close(
    source: &str,
    tokens: &mut [Token],
    open: &mut Vec<usize>,
    span: std::ops::Range<usize>,
    text: &str,
) -> Result<usize, ExprError> {
    let unmatched = |help: String| ExprError {
        message: format!("`{text}` closes nothing"),
        help: Some(help),
        span: span.clone(),
    };
    let here = tokens.len();
    let Some(mate) = open.pop() else { return Err(unmatched("remove it, or open it before".into())) };
    let Some(token) = tokens.get_mut(mate) else { return Err(unmatched("remove it".into())) };
    let opened = token.at.slice(source);
    let closer = match opened {
        "(" => ")",
        "[" => "]",
        _ => "}",
    };
    if closer != text {
        return Err(unmatched(format!("close `{opened}` with `{closer}` first")));
    }
    token.kind = Kind::Open(here);
    Ok(mate)
}

fn too_deep(span: std::ops::Range<usize>) -> ExprError {
    ExprError {
        message: format!(
            "the expression nests too deep: at most {NESTING_MAX} brackets and {DEPTH_MAX} operations in one another"
        ),
        help: Some(
            "split it; a list and `sum`, `min`, `max` or `in` stand for a long chain of one operator".into(),
        ),
        span,
    }
}

fn is_atom(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '"' | '\'' | '`'))
        || text.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Cuts a source into tokens.
struct Scanner<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Scanner<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// The next token: where it starts and ends, and its text.
    fn next(&mut self) -> Result<Option<(usize, usize, &'s str)>, ExprError> {
        loop {
            let rest = self.rest();
            let skipped = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else {
                rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']).len()
            };
            if skipped == 0 {
                break;
            }
            self.at += skipped;
        }
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let start = self.at;
        let length = self.length(rest)?;
        self.at += length;
        Ok(Some((start, self.at, rest.get(..length).unwrap_or_default())))
    }

    /// The length of the token that the text starts with.
    fn length(&self, rest: &str) -> Result<usize, ExprError> {
        if let Some(length) = self.quoted(rest)? {
            return Ok(length);
        }
        if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Ok(run(rest, |c| c.is_ascii_alphanumeric() || c == '_'));
        }
        let fraction =
            rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if fraction || rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(number(rest));
        }
        for operator in ["==", "!=", "<=", ">=", "&&", "||"] {
            if rest.starts_with(operator) {
                return Ok(operator.len());
            }
        }
        if rest.starts_with(|c: char| "+-*/%!<>?:.,()[]{}".contains(c)) {
            return Ok(1);
        }
        Err(self.stray(rest))
    }

    /// The length of the string, bytes or backquoted name that the text starts with, if it does.
    fn quoted(&self, rest: &str) -> Result<Option<usize>, ExprError> {
        let prefix = run(rest, |c| matches!(c, 'r' | 'R' | 'b' | 'B')).min(2);
        let (head, body) = rest.split_at(prefix);
        let Some(mark) =
            body.chars().next().filter(|c| matches!(c, '"' | '\'') || (prefix == 0 && *c == '`'))
        else {
            return Ok(None);
        };
        let raw = head.contains(['r', 'R']) || mark == '`';
        let triple = mark != '`' && body.chars().take_while(|c| *c == mark).count() >= 3;
        let quote = mark.to_string().repeat(if triple { 3 } else { 1 });
        let mut chars = body.char_indices().skip(quote.len());
        while let Some((index, c)) = chars.next() {
            if c == '\\' && !raw {
                chars.next();
            } else if !triple && matches!(c, '\n' | '\r') {
                break;
            } else if body.get(index..).is_some_and(|rest| rest.starts_with(quote.as_str())) {
                return Ok(Some(prefix + index + quote.len()));
            }
        }
        Err(ExprError {
            message: format!("the text that starts with `{quote}` never ends"),
            help: Some(format!("end it with `{quote}`")),
            span: self.at..self.source.len(),
        })
    }

    fn stray(&self, rest: &str) -> ExprError {
        let stray = rest.chars().next().unwrap_or_default();
        let help = match stray {
            '=' => "write `==` to compare; an expression assigns nothing",
            '&' => "write `&&` for and",
            '|' => "write `||` for or",
            '^' => "there is no power and no bitwise operator",
            ';' => "an expression is one value; it has no statements",
            '“' | '”' | '‘' | '’' => "use straight quotes: \" or '",
            '$' => "`${…}` is for the data of `args`; here the expression stands alone",
            _ => "remove it; a text is quoted",
        };
        ExprError {
            message: format!("`{}` means nothing here", stray.escape_debug()),
            help: Some(help.into()),
            span: self.at..self.at + stray.len_utf8(),
        }
    }
}

/// The length of the number that the text starts with.
fn number(rest: &str) -> usize {
    if rest.starts_with("0x") {
        return 2 + run(rest.get(2..).unwrap_or_default(), |c| c.is_ascii_alphanumeric());
    }
    let mut length = run(rest, |c| c.is_ascii_digit());
    let tail = |length: usize| rest.get(length..).unwrap_or_default();
    if tail(length).strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        length += 1 + run(tail(length + 1), |c| c.is_ascii_digit());
    }
    if tail(length).starts_with(['e', 'E']) {
        let sign = usize::from(tail(length + 1).starts_with(['+', '-']));
        let digits = run(tail(length + 1 + sign), |c| c.is_ascii_digit());
        if digits > 0 {
            length += 1 + sign + digits;
        }
    }
    length + run(tail(length), |c| c.is_ascii_alphanumeric())
}

/// How many bytes at the start of the text are of that kind.
fn run(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}
