//! Two that answer, asked in turn: how often each answers, and how they compare.

use std::io;
use std::time::Duration;

use serde::Serialize;

use crate::race::median;

/// How one answers.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Rate {
    pub(crate) requests_per_second: f64,
    /// What 99 of 100 answers took at most.
    pub(crate) p99_ms: f64,
}

/// How two compare: the medians over rounds.
#[derive(Serialize)]
pub(crate) struct Compared {
    pub(crate) subject: Rate,
    pub(crate) other: Rate,
    /// The rate of the subject over that of the other.
    pub(crate) ratio: f64,
}

impl Rate {
    /// Of the times that the answers of one round took.
    pub(crate) fn of(mut times: Vec<Duration>, round: Duration) -> Self {
        times.sort_unstable();
        let p99 = times.get(times.len() * 99 / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        Self { requests_per_second: f64::from(count) / round.as_secs_f64(), p99_ms: p99 }
    }

    fn median(rates: &[Self]) -> Self {
        let of = |one: fn(&Self) -> f64| median(&mut rates.iter().map(one).collect::<Vec<_>>());
        Self { requests_per_second: of(|rate| rate.requests_per_second), p99_ms: of(|rate| rate.p99_ms) }
    }
}

/// Has both take turns for so many rounds, the subject first. Who begins changes, and a round before them is not counted.
///
/// # Errors
/// The first that either meets.
pub(crate) fn compare<T>(
    sides: [T; 2],
    rounds: u32,
    mut round: impl FnMut(&T) -> io::Result<Rate>,
) -> io::Result<Compared> {
    let [subject, other] = sides;
    let (mut subjects, mut others) = (Vec::new(), Vec::new());
    for number in 0..=rounds {
        let (own, its) = if number % 2 == 0 {
            let own = round(&subject)?;
            (own, round(&other)?)
        } else {
            let its = round(&other)?;
            (round(&subject)?, its)
        };
        if number > 0 {
            subjects.push(own);
            others.push(its);
        }
    }
    let ratio = |(own, its): (&Rate, &Rate)| own.requests_per_second / its.requests_per_second;
    Ok(Compared {
        subject: Rate::median(&subjects),
        other: Rate::median(&others),
        ratio: median(&mut subjects.iter().zip(&others).map(ratio).collect::<Vec<_>>()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_take_turns_and_the_ratio_is_of_pairs() {
        let mut turns = String::new();
        // In its last round the machine is ten times slower.
        let (mut a, mut b) = (vec![1.0, 80.0, 8.0, 9.0], vec![1.0, 20.0, 2.0, 3.0]);
        let compared = compare(["a", "b"], 3, |side| {
            turns.push_str(side);
            let rates = if *side == "a" { &mut a } else { &mut b };
            Ok(Rate { requests_per_second: rates.remove(0), p99_ms: 1.0 })
        });
        let Compared { subject, other, ratio } = compared.unwrap();
        assert_eq!(turns, "abbaabba");
        let told = [subject.requests_per_second, other.requests_per_second, ratio];
        assert_eq!(told.map(|one| one.to_string()), ["9", "3", "4"]);
    }

    #[test]
    fn a_rate_is_of_all_answers_and_the_slowest_do_not_count() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let rate = Rate::of(times, Duration::from_secs(2));
        let told = [rate.requests_per_second, rate.p99_ms].map(|one| one.to_string());
        assert_eq!(told, ["100", "199"]);
    }
}
