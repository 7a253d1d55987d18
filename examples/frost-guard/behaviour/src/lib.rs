//! Plans the burner of a frost guard: not by the temperature of now, but by that of the hour to come.
//!
//! The rules of the schema keep it safe whatever is planned here: they put the burner out when readings go stale, when
//! the reserve is reached and when it is warm.

abide_sdk::behaviour!("../frost-guard.yaml");

use abide_sdk::log;

/// Hours that the trend is taken over.
const TREND_HOURS: usize = 3;
/// In more wind than this, in m/s, a burner warms the next valley.
const WIND_MAX: f64 = 5.5;
/// From this wind on, in m/s, warm air is so thin that the low level does not do.
const WIND_THIN: f64 = 4.5;
/// As far below the threshold, in K, the low level does not do.
const MUCH_TOO_COLD: f64 = 1.5;
/// Above the threshold by this, in K, the burner is not needed; the gap keeps it from going on and off.
const MARGIN: f64 = 0.5;
/// What stays in the tank, in litres: the rule `spent` guards it.
const RESERVE: f64 = 48.0;
/// What an hour takes at the low and at the high level, in litres.
const LOW_HOUR: f64 = 6.0;
const HIGH_HOUR: f64 = 12.0;

impl Actions for Behaviour {
    fn plan(_: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
        let level = level(&memory);
        if level == memory.burner {
            return Ok(Vec::new());
        }
        log::debug!("{:?} at {:.1}, {:.1} expected", level, memory.temperature, expected(&memory));
        Ok(vec![Step::set_burner(level)])
    }
}

fn level(memory: &Memory) -> Burner {
    let wind = memory.wind.unwrap_or(0.0);
    let spare = memory.fuel - RESERVE;
    let expected = expected(memory);
    let is_lit = memory.burner != Burner::Idle;
    let threshold = memory.light_below + if is_lit { MARGIN } else { 0.0 };
    if expected >= threshold || wind >= WIND_MAX || spare < LOW_HOUR {
        return Burner::Idle;
    }
    let is_hard = expected < memory.light_below - MUCH_TOO_COLD || wind > WIND_THIN;
    if is_hard && spare >= HIGH_HOUR { Burner::High } else { Burner::Low }
}

/// The temperature in an hour, if it goes on as it did; never more than it is now, since a burner lit in vain costs
/// less than blossom.
fn expected(memory: &Memory) -> f64 {
    let earlier = memory.recent.iter().rev().nth(TREND_HOURS);
    let trend = earlier.map_or(0.0, |earlier| (memory.temperature - earlier) / TREND_HOURS as f64);
    memory.temperature + trend.min(0.0)
}

#[cfg(test)]
mod tests {
    use abide_sdk::time::HOUR;

    use super::*;

    /// A night in blossom: four hours at the threshold, half the fuel.
    fn night() -> Memory {
        Memory {
            temperature: 1.6,
            observed_at: 12 * HOUR,
            wind: Some(1.0),
            recent: vec![1.6; 4],
            warmth: 2_500.0,
            light_below: 1.5,
            burner: Burner::Idle,
            fuel: 200.0,
        }
    }

    fn plan(memory: Memory) -> Vec<Step> {
        Behaviour::plan(Cycle::at(12 * HOUR), memory).unwrap()
    }

    #[test]
    fn it_lights_before_the_threshold_when_it_grows_colder() {
        assert_eq!(plan(night()), []);
        let falling = Memory { recent: vec![3.4, 2.8, 2.2, 1.6], ..night() };
        assert_eq!(plan(falling), [Step::set_burner(Burner::Low)]);
    }

    #[test]
    fn a_rise_is_not_trusted() {
        let rising = Memory { temperature: 1.2, recent: vec![-1.8, -0.8, 0.2, 1.2], ..night() };
        assert_eq!(plan(rising), [Step::set_burner(Burner::Low)]);
    }

    #[test]
    fn wind_decides() {
        let cold = |wind| plan(Memory { temperature: 0.5, recent: vec![0.5; 4], wind, ..night() });
        assert_eq!(cold(None), [Step::set_burner(Burner::Low)]);
        assert_eq!(cold(Some(5.0)), [Step::set_burner(Burner::High)]);
        assert_eq!(cold(Some(6.0)), []);
    }

    #[test]
    fn the_last_litres_burn_low_and_the_reserve_stays() {
        let bitter = |fuel| plan(Memory { temperature: -5.0, recent: vec![-5.0; 4], fuel, ..night() });
        assert_eq!(bitter(100.0), [Step::set_burner(Burner::High)]);
        assert_eq!(bitter(55.0), [Step::set_burner(Burner::Low)]);
        assert_eq!(bitter(50.0), []);
    }

    #[test]
    fn a_lit_burner_stays_so_within_the_margin() {
        let warmer = |temperature| {
            plan(Memory { temperature, recent: vec![temperature; 4], burner: Burner::Low, ..night() })
        };
        assert_eq!(warmer(1.9), []);
        assert_eq!(warmer(2.1), [Step::set_burner(Burner::Idle)]);
    }
}
