//! The compiled form: a tree in which every name is a slot and every operator knows the types of its operands.
//!
//! The checker builds it; nothing here checks. A comparison of a field of `self` with a constant, which is what most
//! guards are made of, is one node.

use std::cmp::Ordering;
use std::sync::Arc;

use super::lex::At;
use crate::field::Slot;
use crate::value::Value;

/// A compiled (sub)expression and the place it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) op: Op,
    pub(super) at: At,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Const(Value),
    Field {
        root: Root,
        slot: Slot,
        null: OnNull,
    },
    Now,
    CallerKind,
    CallerName,
    /// The variable of a loop; the outermost loop is level 0.
    Local {
        level: u16,
        null: OnNull,
    },
    /// A property of an object.
    Member {
        of: Box<Node>,
        index: u16,
        null: OnNull,
    },
    /// The value of a map (first) at a key (second).
    Lookup(Box<[Node; 2]>),
    /// The item of a list (first) at an index (second).
    Item(Box<[Node; 2]>),

    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Cond(Box<[Node; 3]>),
    /// Whether the operand is null (`is`), or is not.
    Null {
        of: Box<Node>,
        is: bool,
    },
    Compare(Cmp, Box<[Node; 2]>),
    /// Of two numbers, neither null.
    CompareNum(Cmp, Box<[Node; 2]>),
    /// Of two integers, two timestamps or two durations, neither null.
    CompareInt(Cmp, Box<[Node; 2]>),
    /// A number field of `self` against a constant.
    NumField {
        slot: Slot,
        cmp: Cmp,
        than: f64,
        field: At,
    },
    /// An integer field of `self` against a constant.
    IntField {
        slot: Slot,
        cmp: Cmp,
        than: i64,
        field: At,
    },
    /// A string field of `self` equal to a constant, or not.
    StrField {
        slot: Slot,
        equal: bool,
        text: Arc<str>,
        field: At,
    },
    /// Whether a list (second) has an item equal to the first.
    InList(Box<[Node; 2]>),
    /// Whether a map (second) has the key (first).
    InMap(Box<[Node; 2]>),

    IntArith(Arith, Box<[Node; 2]>),
    NumArith(Arith, Box<[Node; 2]>),
    /// Timestamps and durations: `Add` or `Sub`.
    TimeArith(Arith, Box<[Node; 2]>),
    IntNegate(Box<Node>),
    NumNegate(Box<Node>),
    /// Two strings, two bytes or two lists, one after the other.
    Join(Box<[Node; 2]>),

    Unary(Unary, Box<Node>),
    Binary(Binary, Box<[Node; 2]>),
    Matches(Box<(Node, regex::Regex)>),
    /// The greatest (or least) of two or more.
    Extreme {
        greatest: bool,
        of: Box<[Node]>,
    },

    List(Box<[Node]>),
    /// Keys and values.
    Map(Box<[[Node; 2]]>),
    /// The properties of an object, in the order of its type.
    Struct(Box<[Node]>),
    Loop(Box<Loop>),
}

/// Whose slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Memory,
    Old,
    Args,
}

/// What a null means where a place is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnNull {
    /// It is a value like any other.
    Value,
    /// The field has no value yet.
    Gap,
    /// It cannot be: the type excludes it, or a check before has.
    Fault,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Cmp {
    /// Whether two operands that compare so satisfy it. What is unordered (NaN) satisfies only `!=`.
    #[inline]
    pub(super) fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Eq => ordering == Some(Ordering::Equal),
            Self::Ne => ordering != Some(Ordering::Equal),
            Self::Lt => ordering == Some(Ordering::Less),
            Self::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Self::Gt => ordering == Some(Ordering::Greater),
            Self::Ge => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        }
    }

    /// The comparison that holds of (b, a) when this one holds of (a, b).
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }

    /// As written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// An operation of two operands of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl Arith {
    /// As written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }
}

/// A function of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Size,
    Lower,
    Upper,
    Abs,
    Floor,
    Ceil,
    Round,
    Least,
    Greatest,
    Sum { integers: bool },
    ToInt,
    ToNum,
    ToStr,
    ToBytes,
    ToTime,
    ToSpan,
    TimePart(TimePart),
    SpanPart(SpanPart),
}

/// A part of a timestamp, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimePart {
    FullYear,
    /// From 0.
    Month,
    /// From 1.
    Date,
    /// From 0.
    DayOfMonth,
    /// Sunday is 0.
    DayOfWeek,
    /// From 0.
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// A duration in whole units, or (milliseconds) what is left of its last second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanPart {
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// A function of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    StartsWith,
    EndsWith,
    Contains,
    TakeLast,
}

/// A comprehension.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    /// A list, or a map: then its keys.
    pub(super) range: Node,
    /// Of the variable: [`Op::Local`].
    pub(super) level: u16,
    /// The condition; for `map` without one, nothing.
    pub(super) test: Option<Node>,
    /// What `map` makes of an item; nothing for the others.
    pub(super) make: Option<Node>,
}

/// What a comprehension does with its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}
