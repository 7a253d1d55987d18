//! Contestants that take turns, and how they compare.
//!
//! A machine's speed drifts with its other work, its temperature and its disk. Within a round every contestant does
//! the same work, and the ratio is taken within the round; what is reported is the median of those ratios. Every other
//! round runs in reverse, so that nobody always follows the same neighbour.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::Serialize;

/// Something that runs ticks.
pub(crate) trait Contestant {
    /// What a table calls it.
    fn name(&self) -> &str;

    /// Runs that many ticks, each flushed once, the last one durable when it returns.
    ///
    /// # Errors
    /// Whatever keeps it from doing so; the race ends.
    fn round(&mut self, ticks: u32) -> io::Result<Round>;
}

/// What a round took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// From its first tick to the flush of its last. Making up the input is left out.
    pub(crate) elapsed: Duration,
    /// Flushes of the disk that it asked for.
    pub(crate) flushes: u64,
}

/// A contestant, and what the subject owes it.
pub(crate) struct Entry {
    pub(crate) contestant: Box<dyn Contestant>,
    /// The least ratio that is good enough: the rate of the subject over the rate of this one.
    pub(crate) at_least: Option<f64>,
}

/// How long a race is.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Ticks of a round that is not counted.
    pub(crate) warm_up_ticks: u32,
    /// Rounds that are, at least 1.
    pub(crate) rounds: u32,
    /// Ticks of each, at least 1.
    pub(crate) ticks: u32,
}

/// How they compare, the subject first.
#[derive(Debug, Serialize)]
pub(crate) struct Standings {
    rounds: u32,
    ticks: u32,
    contestants: Vec<Standing>,
}

#[derive(Debug, Serialize)]
struct Standing {
    name: String,
    median_ms_per_tick: f64,
    min_ms_per_tick: f64,
    flushes_per_tick: f64,
    /// The rate of the subject over the rate of this one: the median over rounds.
    ratio: f64,
    ratio_at_least: Option<f64>,
}

/// Runs a race. The first entry is the subject.
///
/// # Errors
/// The first that a contestant meets.
pub(crate) fn race(mut entries: Vec<Entry>, plan: Plan) -> io::Result<Standings> {
    for entry in &mut entries {
        entry.contestant.round(plan.warm_up_ticks)?;
    }
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); entries.len()];
    for round in 0..plan.rounds {
        let mut turns: Vec<_> = entries.iter_mut().zip(&mut rounds).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (entry, rounds) in turns {
            rounds.push(entry.contestant.round(plan.ticks)?);
        }
    }
    let subject = rounds.first().cloned().unwrap_or_default();
    let contestants =
        entries.iter().zip(&rounds).map(|(entry, rounds)| standing(entry, rounds, &subject, plan));
    Ok(Standings { rounds: plan.rounds, ticks: plan.ticks, contestants: contestants.collect() })
}

fn standing(entry: &Entry, rounds: &[Round], subject: &[Round], plan: Plan) -> Standing {
    let ticks = f64::from(plan.ticks);
    let mut times: Vec<f64> = rounds.iter().map(|round| round.elapsed.as_secs_f64() * 1e3 / ticks).collect();
    let ratio = |(own, subject): (&Round, &Round)| own.elapsed.as_secs_f64() / subject.elapsed.as_secs_f64();
    let mut ratios: Vec<f64> = rounds.iter().zip(subject).map(ratio).collect();
    let flushes: u32 = rounds.iter().map(|round| u32::try_from(round.flushes).unwrap_or(u32::MAX)).sum();
    Standing {
        name: entry.contestant.name().to_owned(),
        median_ms_per_tick: median(&mut times),
        min_ms_per_tick: times.first().copied().unwrap_or(f64::NAN),
        flushes_per_tick: f64::from(flushes) / (ticks * f64::from(plan.rounds)),
        ratio: median(&mut ratios),
        ratio_at_least: entry.at_least,
    }
}

/// The median, the lower of two; sorts. Not a number where there is none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} rounds of {} ticks, taking turns", self.rounds, self.ticks)?;
        writeln!(f, "  {:<28}{:>12}{:>12}{:>10}{:>10}", "", "ms/tick", "least", "flushes", "ratio")?;
        for row in &self.contestants {
            write!(
                f,
                "  {:<28}{:>12.3}{:>12.3}{:>10.2}{:>10.2}",
                row.name, row.median_ms_per_tick, row.min_ms_per_tick, row.flushes_per_tick, row.ratio
            )?;
            if let Some(bound) = row.ratio_at_least {
                write!(f, "  {}", verdict(row.ratio >= bound, &format!("at least {bound}")))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "  flushes are per tick; ratio is the rate of the first over the rate of each")
    }
}

/// A bound, and whether it was kept.
pub(crate) fn verdict(kept: bool, bound: &str) -> String {
    format!("{bound}: {}", if kept { "yes" } else { "NO" })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    struct Scripted {
        name: &'static str,
        millis: Vec<u64>,
        turns: Rc<RefCell<String>>,
    }

    impl Contestant for Scripted {
        fn name(&self) -> &str {
            self.name
        }

        fn round(&mut self, ticks: u32) -> io::Result<Round> {
            self.turns.borrow_mut().push_str(self.name);
            Ok(Round { elapsed: Duration::from_millis(self.millis.remove(0)), flushes: ticks.into() })
        }
    }

    #[test]
    fn ratios_are_of_pairs_and_the_order_alternates() {
        let turns = Rc::new(RefCell::new(String::new()));
        let entry = |name, millis: &[u64], at_least| Entry {
            contestant: Box::new(Scripted { name, millis: millis.to_vec(), turns: Rc::clone(&turns) }),
            at_least,
        };
        // The machine is ten times slower in the last round: a ratio of medians would be as wrong as one of means.
        let entries = vec![entry("a", &[9, 10, 10, 100], None), entry("b", &[9, 40, 20, 300], Some(3.5))];
        let standings = race(entries, Plan { warm_up_ticks: 1, rounds: 3, ticks: 2 }).unwrap();
        assert_eq!(*turns.borrow(), "ababbaab");
        let text = standings.to_string();
        let rows: Vec<&str> = text.lines().collect();
        let words = |row: usize| rows[row].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(2), "a 5.000 5.000 1.00 1.00");
        assert_eq!(words(3), "b 20.000 10.000 1.00 3.00 at least 3.5: NO");
    }

    #[test]
    fn the_median_of_few() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]).to_string(), "2");
        assert_eq!(median(&mut [4.0, 1.0]).to_string(), "1");
        assert!(median(&mut []).is_nan());
    }
}
