//! What it was measured on.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Instant;

use serde::Serialize;

use crate::race::median;

/// The machine, as far as it decides what is measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
    file_system: String,
    /// The median of one write of 4 KiB at the end of a file and its flush.
    flush_ms: f64,
}

/// Looks at the machine, and at the disk that holds a folder.
pub(crate) fn look(folder: &Path) -> io::Result<Machine> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(Machine {
        processor: model.map_or("unknown processor", |(_, name)| name).to_owned(),
        processors: thread::available_parallelism()?.get(),
        kernel: kernel.trim().to_owned(),
        file_system: file_system(&folder.canonicalize()?),
        flush_ms: flush_ms(folder)?,
    })
}

fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let holding = mounts.filter(|(place, _)| folder.starts_with(place)).max_by_key(|(place, _)| place.len());
    holding.map_or("unknown file system", |(_, kind)| kind).to_owned()
}

fn flush_ms(folder: &Path) -> io::Result<f64> {
    let mut file = File::create_new(folder.join("flush"))?;
    let mut times = Vec::new();
    for _ in 0..32 {
        let start = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut times))
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, processors, kernel, file_system, flush_ms } = self;
        write!(f, "{processors} × {processor}, Linux {kernel}, {file_system}, {flush_ms:.2} ms a flush")
    }
}
