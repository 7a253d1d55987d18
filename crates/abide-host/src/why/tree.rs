//! A tree of text for a terminal.

/// A line, and the lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The line.
    pub text: String,
    /// What it is.
    pub mark: Mark,
    /// What stands below it.
    pub below: Vec<Branch>,
}

/// What a line of a tree is, for whoever colours it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A field and its value.
    Value,
    /// A record.
    Record,
    /// An expression and its value.
    Operand,
    /// The operand that kept a rule from firing.
    Culprit,
    /// A remark.
    Remark,
}

impl Branch {
    /// A line without any below it.
    pub(super) fn leaf(mark: Mark, text: impl Into<String>) -> Self {
        Self { text: text.into(), mark, below: Vec::new() }
    }

    /// The tree as text, each line as `style` gives it back, with box characters before it.
    pub fn render(&self, style: &dyn Fn(Mark, &str) -> String) -> String {
        let mut out = style(self.mark, &self.text);
        out.push('\n');
        self.render_below("", style, &mut out);
        out
    }

    fn render_below(&self, indent: &str, style: &dyn Fn(Mark, &str) -> String, out: &mut String) {
        let last = self.below.len().saturating_sub(1);
        for (index, branch) in self.below.iter().enumerate() {
            let (corner, line) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            out.push_str(indent);
            out.push_str(corner);
            out.push_str(&style(branch.mark, &branch.text));
            out.push('\n');
            branch.render_below(&format!("{indent}{line}"), style, out);
        }
    }
}

impl std::fmt::Display for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(&|_, text| text.to_owned()))
    }
}
