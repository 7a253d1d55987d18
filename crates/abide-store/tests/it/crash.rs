//! Crash points: whatever was acknowledged is there after a crash, in order, and nothing is there in half.
//!
//! `ABIDE_CRASH_POINTS` sets how many seeds are run: `ABIDE_CRASH_POINTS=100000 cargo test -p abide-store crash`.

use std::sync::Arc;

use abide_store::merkle::leaf_hash;
use abide_store::{
    AppendError, Commit, DiskError, Entry, Faults, FaultyDisk, Log, LogReader, OpenError, Recovery,
};

use crate::support::{Plain, content, content_read, options};

const CRASH_POINTS: u64 = 2_000;

/// What the test knows of the log: all commits that were acknowledged, and the one that was on its way.
#[derive(Default)]
struct Model {
    created: bool,
    acknowledged: Vec<(u64, Vec<Plain>)>,
    on_its_way: Option<(u64, Vec<Plain>)>,
}

/// Numbers that the seed decides.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn what_was_acknowledged_survives_every_crash() {
    let seeds = std::env::var("ABIDE_CRASH_POINTS").map_or(CRASH_POINTS, |seeds| seeds.parse().unwrap());
    let mut seen = Seen::default();
    for seed in 0..seeds {
        run(seed, &mut seen);
    }

    let bitten = [seen.cut, seen.kept_unacknowledged, seen.from_snapshot, seen.crashed_recoveries];
    let failed = [seen.failed_flushes, seen.full];
    assert!(
        bitten.iter().chain(&failed).all(|times| *times > seeds / 50),
        "the faults did not bite: {seen:?}"
    );
}

#[test]
fn a_seed_gives_the_same_run() {
    for seed in 0..50 {
        let (mut first, mut second) = (Seen::default(), Seen::default());
        assert_eq!(run(seed, &mut first), run(seed, &mut second), "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// What the runs came upon, to know that they came upon it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    cut: u64,
    kept_unacknowledged: u64,
    from_snapshot: u64,
    crashed_recoveries: u64,
    failed_flushes: u64,
    full: u64,
}

fn run(seed: u64, seen: &mut Seen) -> Vec<(u64, Vec<Plain>)> {
    let mut choices = Choices(seed);
    let mut disk = FaultyDisk::new(seed, faults(&mut choices));
    let mut model = Model::default();
    for _ in 0..4 {
        let ended = live(&disk, &mut model, &mut choices);
        let flush = |error: &DiskError| error.operation == "flush";
        let failed = matches!(&ended, Err(AppendError::Disk(error)) if flush(error) && !disk.crashed());
        seen.failed_flushes += u64::from(failed);
        seen.full += u64::from(matches!(ended, Err(AppendError::Full(_))));
        if disk.crashed() || choices.below(2) == 0 {
            disk = disk.survivor(Faults::default());
        }
        disk.set_faults(Faults::default());
        // The power may go again while the log recovers.
        for _ in 0..choices.below(3) {
            disk.set_faults(Faults {
                crash_at: Some(disk.operations() + choices.below(8)),
                ..Faults::default()
            });
            let recovered = Log::open(Arc::new(disk.clone()), options());
            seen.crashed_recoveries += u64::from(disk.crashed());
            drop(recovered);
            disk = disk.survivor(Faults::default());
        }
        check(&disk, &mut model, seen, seed);
        let operations = disk.operations();
        let faults = faults(&mut choices);
        disk.set_faults(Faults { crash_at: faults.crash_at.map(|at| at + operations), ..faults });
    }
    // Every root and signature once for each seed: opening has checked the frames after the snapshot each time.
    if let Ok((log, _)) = Log::open(Arc::new(disk.survivor(Faults::default())), options()) {
        let verified = log.verify().unwrap();
        assert!(verified.is_sound() && verified.root.is_some(), "seed {seed}: {verified:?}");
    }
    model.acknowledged
}

fn faults(choices: &mut Choices) -> Faults {
    match choices.below(4) {
        0 => Faults { failing_sync_at: Some(choices.below(30)), ..Faults::default() },
        1 => Faults { bytes_max: Some(choices.below(60_000)), ..Faults::default() },
        _ => Faults { crash_at: Some(choices.below(60)), ..Faults::default() },
    }
}

/// Opens or creates the log, and commits until something goes wrong or it was enough.
fn live(disk: &FaultyDisk, model: &mut Model, choices: &mut Choices) -> Result<(), AppendError> {
    let opened = if model.created {
        Log::open(Arc::new(disk.clone()), options()).map(|(log, _)| log)
    } else {
        Log::create(Arc::new(disk.clone()), options())
    };
    let Ok(mut log) = opened else { return Ok(()) };
    model.created = true;
    for _ in 0..choices.below(20) {
        commit(&mut log, model, choices)?;
        if choices.below(4) == 0 && log.write_snapshot(&state(&model.acknowledged)).is_err() && disk.crashed()
        {
            break;
        }
    }
    Ok(())
}

/// Commits once, or twice with the second one staged while the first is on its way.
fn commit(log: &mut Log, model: &mut Model, choices: &mut Choices) -> Result<(), AppendError> {
    let first = stage(log, model, choices, 0)?;
    model.on_its_way = Some(first.clone());
    let job = log.begin_flush()?;
    let second = if choices.below(2) == 0 { Some(stage(log, model, choices, 1)?) } else { None };
    log.finish_flush(job.run())?;
    model.acknowledged.push(first);
    model.on_its_way = None;
    if let Some(second) = second {
        model.on_its_way = Some(second.clone());
        log.flush()?;
        model.acknowledged.push(second);
        model.on_its_way = None;
    }
    Ok(())
}

fn stage(
    log: &mut Log,
    model: &Model,
    choices: &mut Choices,
    ahead: u64,
) -> Result<(u64, Vec<Plain>), AppendError> {
    let tick = model.acknowledged.len() as u64 + ahead;
    let mut record = |i: u64| {
        let len = [3, 90, 700, 1500][usize::try_from(choices.below(4)).unwrap()];
        let object = u32::try_from(choices.below(5)).unwrap();
        (object, format!("{tick}/{i} ").repeat(len / 4).into_bytes())
    };
    let records: Vec<Plain> = (0..tick % 4).map(&mut record).collect();
    let entries =
        records.iter().map(|(object, bytes)| Entry { object: *object, bytes, hash: leaf_hash(bytes) });
    log.stage(Commit { tick, time: 0, entries })?;
    Ok((tick, records))
}

/// A state that stands for these commits and no others.
fn state(commits: &[(u64, Vec<Plain>)]) -> Vec<u8> {
    leaf_hash(format!("{commits:?}").as_bytes()).to_vec()
}

fn check(disk: &FaultyDisk, model: &mut Model, seen: &mut Seen, seed: u64) {
    let (log, recovery) = match Log::open(Arc::new(disk.clone()), options()) {
        Ok(opened) => opened,
        Err(OpenError::Missing { .. }) if !model.created => return,
        Err(error) => panic!("seed {seed}: {error}"),
    };
    model.created = true;
    let found = content(&log);
    let unacknowledged = found.len().saturating_sub(model.acknowledged.len());
    if unacknowledged > 0 {
        model.acknowledged.extend(model.on_its_way.take());
        seen.kept_unacknowledged += 1;
    }
    assert_eq!(found, model.acknowledged, "seed {seed}");
    check_snapshot(&recovery, &found, seed);
    seen.cut += u64::from(recovery.cut_bytes > 0);
    seen.from_snapshot += u64::from(recovery.snapshot.is_some());
    let reader = LogReader::open(Arc::new(disk.clone())).unwrap();
    assert_eq!(content_read(&reader), found, "seed {seed}");
    assert_eq!(reader.checkpoint(), log.checkpoint(), "seed {seed}");
    model.on_its_way = None;
}

fn check_snapshot(recovery: &Recovery, found: &[(u64, Vec<Plain>)], seed: u64) {
    let Some(snapshot) = &recovery.snapshot else { return };
    let after = usize::try_from(recovery.frames).unwrap();
    let before = &found[..found.len() - after];
    assert_eq!(snapshot.state, state(before), "seed {seed}");
}
