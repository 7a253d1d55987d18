//! A behaviour of a few lines, and its tests.

use abide_sdk::log;
use abide_sdk::time::HOUR;

abide_sdk::behaviour!("tests/it/guard.yaml");

impl Actions for Behaviour {
    fn plan(cycle: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
        let reserve = abide_sdk::config::get("reserve")?;
        let reserve: f64 =
            reserve.map_or(Ok(0.0), |text| text.parse()).map_err(|error| format!("reserve: {error}"))?;
        log::debug!("{} at {}: {} L", cycle.object, cycle.now, memory.fuel);
        if memory.fuel <= reserve {
            return Ok(vec![Step::set_burner(Burner::Idle), Step::note("empty"), Step::sleep_for(2 * HOUR)]);
        }
        let level = if memory.temperature < -1.0 { Burner::High } else { Burner::Low };
        Ok(if level == memory.burner { Vec::new() } else { vec![Step::set_burner(level)] })
    }
}

fn memory() -> Memory {
    Memory { temperature: -2.0, burner: Burner::Idle, fuel: 100.0, recent: vec![-1.0, -2.0], wind: None }
}

#[test]
fn an_action_is_a_function_like_any_other() {
    let plan = |memory| Behaviour::plan(Cycle::at(0), memory);
    assert_eq!(plan(memory()), Ok(vec![Step::set_burner(Burner::High)]));
    assert_eq!(plan(Memory { burner: Burner::High, ..memory() }), Ok(vec![]));
    assert_eq!(plan(Memory { temperature: 0.0, ..memory() }), Ok(vec![Step::set_burner(Burner::Low)]));
}

#[test]
fn configuration_is_given_by_a_test() {
    let plan = || Behaviour::plan(Cycle::at(0), memory());
    let spent = vec![Step::set_burner(Burner::Idle), Step::note("empty"), Step::sleep_for(2 * HOUR)];
    assert_eq!(abide_sdk::config::with(&[("reserve", "100")], plan), Ok(spent));
    assert_eq!(
        abide_sdk::config::with(&[("reserve", "much")], plan),
        Err("reserve: invalid float literal".to_owned())
    );
}

#[test]
fn a_step_is_made_in_several_ways() {
    let level = Burner::Low;
    let step = Step::Mutate(Mutation::SetBurner(SetBurnerArgs { level }));
    assert_eq!(Step::set_burner(level), step);
    assert_eq!(Step::from(SetBurnerArgs { level }), step);
    assert_eq!(Step::from(Mutation::SetBurner(SetBurnerArgs { level })), step);
    assert_eq!(Step::rest(), Step::Mutate(Mutation::Rest));
    // With more arguments than one, no two can be taken for each other.
    let window = WindowArgs { to: 2, from: 1 };
    assert_eq!(Step::window(window), Step::Mutate(Mutation::Window(WindowArgs { to: 2, from: 1 })));
    assert_eq!(Step::sleep_until(HOUR), Step::Sleep(Wake::Time(HOUR)));
}
