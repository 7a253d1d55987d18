//! Names that mean something in Rust, in a prelude, or to a compiler.

abide_sdk::behaviour!("tests/it/awkward.yaml");

impl Actions for Behaviour {
    fn gen_b(_: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        if memory.vec == VecB::A {
            steps.push(Step::gen_(memory.gen_b + 1));
        }
        Ok(steps)
    }

    fn log_b(_: Cycle, _: Memory) -> Result<Vec<Step>, String> {
        Ok(Vec::from([Step::Terminate]))
    }
}

#[test]
fn they_are_told_apart() {
    let memory = Memory {
        gen_b: 1,
        vec: VecB::A,
        box_: BoxB { gen_b: Some(3) },
        behaviour: BehaviourB::Good,
        actions: ActionsB::None,
        default: DefaultB::X,
    };
    assert_eq!(Behaviour::gen_b(Cycle::at(0), memory), Ok(vec![Step::gen_(2)]));
    assert_eq!(Behaviour::log_b(Cycle::at(0), memory), Ok(vec![Step::Terminate]));
}
