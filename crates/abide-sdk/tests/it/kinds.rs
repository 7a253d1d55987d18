//! Every kind of type, and names that Rust does not bear.

abide_sdk::behaviour!("tests/it/kinds.yaml");

impl Actions for Behaviour {
    fn move_(_: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
        let Memory { type_, whole, at, span, bytes, tags, place, words, nothing, .. } = memory;
        let place = place.unwrap_or(Place { x: 0.0, name: None });
        Ok(vec![Step::put(PutArgs { at, bytes, place, span, tags, type_, whole, words, nothing })])
    }

    fn sleep_for(_: Cycle, memory: Memory) -> Result<Vec<Step>, String> {
        Ok(vec![Step::sleep_for_(memory.type_), Step::type_(memory.words.first().map_or("", |word| word))])
    }
}

fn memory() -> Memory {
    Memory {
        on: true,
        type_: Type::LowHigh,
        whole: -1,
        at: 5,
        span: 7,
        bytes: vec![1, 2],
        tags: vec![("a".to_owned(), Some(1)), ("b".to_owned(), None)],
        place: Some(Place { x: 1.5, name: Some("here".to_owned()) }),
        words: vec!["one".to_owned()],
        nothing: Nothing::Nothing,
    }
}

#[test]
fn every_kind_of_value_goes_in_and_out() {
    let steps = Behaviour::move_(Cycle::at(0), memory()).unwrap();
    let [Step::Mutate(Mutation::Put(args))] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(args.place, Place { x: 1.5, name: Some("here".to_owned()) });
    assert_eq!(args.tags, [("a".to_owned(), Some(1)), ("b".to_owned(), None)]);
}

#[test]
fn names_that_are_taken_have_an_underscore() {
    let steps = Behaviour::sleep_for(Cycle::at(0), memory()).unwrap();
    let expected = [
        Step::Mutate(Mutation::SleepFor(SleepForArgs { type_: Type::LowHigh })),
        Step::Mutate(Mutation::Type(TypeArgs { word: "one".to_owned() })),
    ];
    assert_eq!(steps, expected);
}
