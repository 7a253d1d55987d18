//! Moments and spans as text: what is read is shown as what is read again.

use abide_core::time::{Span, Timestamp};

use super::{Reached, Target, no_seeds};

pub(super) const TARGET: Target = Target { name: "time", run, seeds: no_seeds };

fn run(bytes: &[u8]) -> Reached {
    let text = String::from_utf8_lossy(bytes);
    let (time, span) = (text.parse::<Timestamp>(), text.parse::<Span>());
    if let Ok(time) = time {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
    if let Ok(span) = span {
        assert_eq!(span.to_string().parse(), Ok(span));
    }
    Reached::of(&(time.map(drop).map_err(|e| e.to_string()), span.map(drop).map_err(|e| e.to_string())))
}
