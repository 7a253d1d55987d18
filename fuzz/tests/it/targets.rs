use std::path::Path;
use std::time::Duration;

use abide_fuzz::{TARGETS, corpus, find, fuzz, sample};

/// How long each target is fuzzed in a run of the tests.
const TIME: Duration = Duration::from_secs(1);
const SEED: u64 = 1;

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_target_is_tried() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    record fold bundle verify log snapshot note canonical schema expression manifest scenario csv jsonl cursor act http exec keyvalue local time
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    match fuzz(find(name).unwrap(), SEED, TIME, &folder) {
        Ok(tally) => assert!(tally.inputs > 1, "{tally:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for folder in std::fs::read_dir(root).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(find(&name).is_some(), "`fuzz/corpus/{name}` is of no target");
        assert!(!corpus(&name).unwrap().is_empty());
    }
}

#[test]
fn the_sample_has_much_of_everything() {
    let kinds: std::collections::BTreeSet<_> = sample::sample()
        .records
        .iter()
        .map(|record| abide_core::record::decode::header(record).unwrap().kind)
        .collect();
    assert!(kinds.len() >= 10, "{kinds:?}");
    assert!(sample::sample().files.keys().filter(|path| path.starts_with("log/")).count() >= 2);
}
