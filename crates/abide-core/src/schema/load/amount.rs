//! Costs and budgets: decimal numbers as millionths.

use crate::document::{Diagnostics, Node, NodeKind};
use crate::schema::{AMOUNT_MAX, Micro};

const MICRO: u64 = 1_000_000;

/// The amount of a node that is a number, rounded up to a millionth: at least 0, at most [`AMOUNT_MAX`].
pub(super) fn amount_of(node: &Node, what: &str, out: &Diagnostics) -> Option<Micro> {
    let text = match &node.kind {
        NodeKind::Int(n) => n.to_string(),
        // The shortest decimal that reads back to the float: what was written, up to 15 digits.
        NodeKind::Float(n) => format!("{n}"),
        _ => {
            let message = format!("{what} is {}; it must be a number", node.describe());
            out.error(node.span.clone(), message, "write a number, such as 10 or 0.5");
            return None;
        }
    };
    if text.starts_with('-') && !text.trim_start_matches(['-', '0', '.']).is_empty() {
        out.error(node.span.clone(), format!("{what} is {text}; it must not be negative"), "write 0 or more");
        return None;
    }
    let micro = micro_of(text.trim_start_matches('-')).filter(|micro| *micro <= AMOUNT_MAX * MICRO);
    if micro.is_none() {
        out.error(
            node.span.clone(),
            format!("{what} is {text}; at most {AMOUNT_MAX} is allowed"),
            "write less",
        );
    }
    micro
}

/// `12.3456781` as 12,345,679 millionths.
fn micro_of(decimal: &str) -> Option<Micro> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let kept = fraction.get(..fraction.len().min(6))?;
    let rest = fraction.get(kept.len()..)?;
    let up = u64::from(rest.bytes().any(|digit| digit != b'0'));
    let parts: u64 = format!("{kept:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(MICRO)?.checked_add(parts)?.checked_add(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up_to_millionths() {
        let cases = [
            ("0", 0),
            ("1.1", 1_100_000),
            ("0.1", 100_000),
            ("0.0000001", 1),
            ("12.3456781", 12_345_679),
            ("2.5", 2_500_000),
        ];
        for (text, micro) in cases {
            assert_eq!(micro_of(text), Some(micro), "{text}");
        }
        assert_eq!(micro_of("99999999999999999999"), None);
    }
}
