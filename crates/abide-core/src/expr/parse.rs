//! The syntax tree of an expression, every node with its place. The `cel` crate parses; this turns what it gives into
//! the part of CEL that Abide knows, and what it complains of into words.

use cel::common::ast::operators as op;
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};
use cel::parser::ParseError;

use super::ExprError;
use super::lex::{At, Tokens};
use super::node::{Arith, Cmp};

/// A syntax tree and its place.
#[derive(Clone, Debug)]
pub(super) struct Ast {
    pub(super) at: At,
    pub(super) kind: AstKind,
}

/// A syntax tree without its place.
#[derive(Clone, Debug)]
pub(super) enum AstKind {
    Null,
    Bool(bool),
    Int(i64),
    Num(f64),
    Str(String),
    Bytes(Vec<u8>),
    Name(String),
    Select {
        of: Box<Ast>,
        name: String,
    },
    Index(Box<[Ast; 2]>),
    Call {
        name: String,
        target: Option<Box<Ast>>,
        args: Vec<Ast>,
    },
    List(Vec<Ast>),
    Map(Vec<[Ast; 2]>),
    Not(Box<Ast>),
    Negate(Box<Ast>),
    Arith(Arith, Box<[Ast; 2]>),
    Compare(Cmp, Box<[Ast; 2]>),
    In(Box<[Ast; 2]>),
    /// Two or more operands: a chain of `&&` is one node.
    And(Vec<Ast>),
    /// Two or more operands: a chain of `||` is one node.
    Or(Vec<Ast>),
    Cond(Box<[Ast; 3]>),
}

/// Parses a source.
///
/// # Errors
/// It is too long, too deep or not CEL, or uses a part of CEL that this profile leaves out.
pub(super) fn parse(source: &str) -> Result<Ast, Vec<ExprError>> {
    let tokens = Tokens::read(source).map_err(|error| vec![error])?;
    // Without the standard macros `all`, `has` and the like come as the calls they are written as.
    let parser = cel::Env::default().parser().enable_ident_escape_syntax(true).enable_optional_syntax(true);
    let (tree, places) =
        parser.parse_with_source_info(source).map_err(|failed| vec![complaint(source, &failed.errors)])?;
    let mut reader = Reader { tokens, places, errors: Vec::new() };
    let ast = reader.read(tree);
    if reader.errors.is_empty() { Ok(ast) } else { Err(reader.errors) }
}

struct Reader {
    tokens: Tokens,
    places: SourceInfo,
    errors: Vec<ExprError>,
}

impl Reader {
    fn read(&mut self, tree: IdedExpr) -> Ast {
        let token = self.token(tree.id);
        match tree.expr {
            Expr::Literal(literal) => self.literal(literal, token),
            Expr::Ident(name) => {
                let kind = AstKind::Name(name.strip_prefix('.').map(str::to_owned).unwrap_or(name));
                Ast { at: token, kind }
            }
            Expr::Select(select) => {
                let of = self.read(*select.operand);
                let end = self.tokens.beside(token.start, 1).unwrap_or(token);
                let at = self.tokens.close(of.at.with(end));
                Ast { at, kind: AstKind::Select { of: Box::new(of), name: select.field } }
            }
            Expr::List(list) => {
                let at = self.tokens.bracketed(token.start).unwrap_or(token);
                if !list.optional_indices.is_empty() {
                    return self.left_out(at, "optional items (`?`) are", "leave the `?` out");
                }
                let items = list.elements.into_iter().map(|item| self.read(item)).collect();
                Ast { at, kind: AstKind::List(items) }
            }
            Expr::Map(map) => {
                let at = self.tokens.bracketed(token.start).unwrap_or(token);
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in map.entries {
                    match entry.expr {
                        EntryExpr::MapEntry(entry) if !entry.optional => {
                            entries.push([self.read(entry.key), self.read(entry.value)]);
                        }
                        _ => return self.left_out(at, "optional entries (`?`) are", "leave the `?` out"),
                    }
                }
                Ast { at, kind: AstKind::Map(entries) }
            }
            Expr::Call(call) => self.call(token, call),
            Expr::Struct(message) => self.left_out(
                token,
                &format!("messages (`{}{{…}}`) are", message.type_name),
                "write an object as a map: {\"name\": value}",
            ),
            Expr::Comprehension(_) | Expr::Unspecified => {
                self.left_out(token, "this is", "write it otherwise")
            }
        }
    }

    fn literal(&mut self, literal: LiteralValue, token: At) -> Ast {
        // The sign of a number is folded into the literal, and its place is that of the digits alone.
        let signed = |reader: &Self, negative: bool| match reader.tokens.beside(token.start, -1) {
            Some(sign) if negative => sign.with(token),
            _ => token,
        };
        let (at, kind) = match literal {
            LiteralValue::Null => (token, AstKind::Null),
            LiteralValue::Boolean(value) => (token, AstKind::Bool(*value.inner())),
            LiteralValue::Int(value) => (signed(self, *value.inner() < 0), AstKind::Int(*value.inner())),
            LiteralValue::Double(value) => {
                (signed(self, value.inner().is_sign_negative()), AstKind::Num(*value.inner()))
            }
            LiteralValue::String(value) => (token, AstKind::Str(value.inner().to_owned())),
            LiteralValue::Bytes(value) => (token, AstKind::Bytes(value.inner().to_vec())),
            LiteralValue::UInt(_) => {
                return self.left_out(token, "unsigned integers are", "leave the `u` out");
            }
        };
        Ast { at, kind }
    }

    fn call(&mut self, token: At, call: cel::common::ast::CallExpr) -> Ast {
        let name = call.func_name;
        if name == op::OPT_SELECT || name == op::OPT_INDEX {
            return self.left_out(token, "optional selection (`?`) is", "test with `has(…)` or `in` first");
        }
        let logic = name == op::LOGICAL_AND || name == op::LOGICAL_OR;
        let target = call.target.map(|target| Box::new(self.read(*target)));
        let mut args: Vec<Ast> = Vec::with_capacity(call.args.len());
        for arg in call.args {
            let arg = self.read(arg);
            match arg.kind {
                AstKind::And(inner) if logic && name == op::LOGICAL_AND => args.extend(inner),
                AstKind::Or(inner) if logic && name == op::LOGICAL_OR => args.extend(inner),
                kind => args.push(Ast { at: arg.at, kind }),
            }
        }
        if let Some(kind) = operation(&name, &mut args) {
            let span = kind.operands().fold(token, |at, operand| at.with(operand.at));
            return Ast { at: self.tokens.close(span), kind };
        }
        // The parser places a call at its opening parenthesis.
        let end = self.tokens.bracketed(token.start).unwrap_or(token);
        let start = match &target {
            Some(target) => target.at,
            None => self.tokens.beside(token.start, -1).unwrap_or(token),
        };
        let at = self.tokens.close(start.with(end));
        let name = name.strip_prefix('.').map(str::to_owned).unwrap_or(name);
        Ast { at, kind: AstKind::Call { name, target, args } }
    }

    /// The place of the token a node is known by.
    fn token(&self, id: u64) -> At {
        let Some((start, last)) = self.places.offset_for(id) else { return At::default() };
        let held = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        At::new(held(start), held(last).saturating_add(1))
    }

    fn left_out(&mut self, at: At, what: &str, help: &str) -> Ast {
        self.errors.push(ExprError {
            message: format!("{what} not in this profile of CEL"),
            help: Some(help.to_owned()),
            span: at.range(),
        });
        Ast { at, kind: AstKind::Null }
    }
}

impl AstKind {
    /// The operands of an operation.
    fn operands(&self) -> impl Iterator<Item = &Ast> {
        match self {
            Self::Not(of) | Self::Negate(of) => std::slice::from_ref(&**of).iter(),
            Self::Arith(_, of) | Self::Compare(_, of) | Self::In(of) | Self::Index(of) => of.iter(),
            Self::Cond(of) => of.iter(),
            Self::And(of) | Self::Or(of) => of.iter(),
            _ => [].iter(),
        }
    }
}

/// The operation that the parser's name of it and its operands make, if it is one.
fn operation(name: &str, args: &mut Vec<Ast>) -> Option<AstKind> {
    let arith = |of: Arith, args: &mut Vec<Ast>| Some(AstKind::Arith(of, pair(args)?));
    let compare = |of: Cmp, args: &mut Vec<Ast>| Some(AstKind::Compare(of, pair(args)?));
    match name {
        op::LOGICAL_AND => Some(AstKind::And(std::mem::take(args))),
        op::LOGICAL_OR => Some(AstKind::Or(std::mem::take(args))),
        op::LOGICAL_NOT => Some(AstKind::Not(Box::new(args.pop()?))),
        op::NEGATE => Some(AstKind::Negate(Box::new(args.pop()?))),
        op::ADD => arith(Arith::Add, args),
        op::SUBSTRACT => arith(Arith::Sub, args),
        op::MULTIPLY => arith(Arith::Mul, args),
        op::DIVIDE => arith(Arith::Div, args),
        op::MODULO => arith(Arith::Rem, args),
        op::EQUALS => compare(Cmp::Eq, args),
        op::NOT_EQUALS => compare(Cmp::Ne, args),
        op::LESS => compare(Cmp::Lt, args),
        op::LESS_EQUALS => compare(Cmp::Le, args),
        op::GREATER => compare(Cmp::Gt, args),
        op::GREATER_EQUALS => compare(Cmp::Ge, args),
        op::IN => Some(AstKind::In(pair(args)?)),
        op::INDEX => Some(AstKind::Index(pair(args)?)),
        op::CONDITIONAL => Some(AstKind::Cond(Box::new(std::mem::take(args).try_into().ok()?))),
        _ => None,
    }
}

fn pair(args: &mut Vec<Ast>) -> Option<Box<[Ast; 2]>> {
    std::mem::take(args).try_into().ok().map(Box::new)
}

/// What the parser complains of, in our words. One slip makes it stumble on; what the grammar says first is what helps.
fn complaint(source: &str, errors: &[ParseError]) -> ExprError {
    const GRAMMAR: &str = "Syntax error: ";
    let first = errors.iter().find(|error| error.msg.starts_with(GRAMMAR)).or(errors.first());
    let (said, pos) = first.map_or(("", (1, 1)), |error| (error.msg.trim_start_matches(GRAMMAR), error.pos));
    let start = offset(source, pos);
    let quoted = said.split('\'').nth(1).unwrap_or_default();
    let rest = source.get(start..).unwrap_or_default();
    let token = if rest.starts_with(quoted) { quoted } else { "" };
    let span = start..start + token.len().max(rest.chars().next().map_or(0, char::len_utf8));
    let (message, help) = if source.trim().is_empty() {
        ("the expression is empty".to_owned(), "write one, as in `self.level > 3`")
    } else if quoted == "<EOF>" || said.contains("<EOF>' expecting") {
        ("the expression ends too early".to_owned(), "complete it: an operand is missing")
    } else if let Some(word) = said.strip_prefix("reserved identifier: ") {
        (format!("`{word}` is a reserved word of CEL"), "use another name")
    } else if said.starts_with("invalid int literal") {
        ("the integer does not fit 64 bits".to_owned(), "write a smaller one, or a number as in `1e19`")
    } else if said.starts_with("invalid double literal") {
        ("the number is too large".to_owned(), "the largest is about 1.8e308")
    } else if said.starts_with("invalid string") || said.starts_with("invalid bytes") {
        ("the text has an escape that CEL does not know".to_owned(), "write a backslash as `\\\\`")
    } else if said.starts_with("token recognition error") {
        ("this cannot be read".to_owned(), "a backslash in a text is written `\\\\`")
    } else if !token.is_empty() {
        (format!("`{token}` is not expected here"), unexpected(token))
    } else {
        ("this is not CEL".to_owned(), "see docs/expressions.md for what an expression may be")
    };
    ExprError { message, help: Some(help.to_owned()), span }
}

/// What may have been meant by a token that is out of place.
fn unexpected(token: &str) -> &'static str {
    match token {
        "and" => "write `&&`",
        "or" => "write `||`",
        "not" => "write `!`",
        "is" => "write `==`",
        "then" | "if" | "else" => "write `condition ? value : other`",
        _ => "an operator or an operand is missing before it",
    }
}

/// The byte of a line and a column, both from 1, the column in characters.
fn offset(source: &str, (line, column): (isize, isize)) -> usize {
    let mut start = 0;
    let mut lines = source.split_inclusive('\n');
    for _ in 1..line {
        start += lines.next().map_or(0, str::len);
    }
    let text = source.get(start..).unwrap_or_default();
    let skip = usize::try_from(column - 1).unwrap_or(0);
    let byte = text.char_indices().nth(skip).map_or(text.len(), |(byte, _)| byte);
    start + byte
}
