//! Starts the pump before the tank is full: the more often it has started, the later.

abide_sdk::behaviour!("../NAME.yaml");

use abide_sdk::log;

impl Actions for Behaviour {
    fn plan(_: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
        let enough = (1.2 + 0.1 * memory.starts as f64).min(1.8);
        if memory.pump == Pump::On || memory.level <= enough {
            return Ok(vec![]);
        }
        log::info!("{} m is enough after {} starts", memory.level, memory.starts);
        Ok(vec![Step::set_pump(Pump::On)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(level: f64, starts: i64) -> Vec<Step> {
        let memory = Memory { level, observed_at: 0, pump: Pump::Off, starts };
        Behaviour::plan(Cycle::at(0), memory).unwrap()
    }

    #[test]
    fn the_more_starts_the_later() {
        assert_eq!(plan(1.4, 0), [Step::set_pump(Pump::On)]);
        assert_eq!(plan(1.4, 5), []);
    }
}
