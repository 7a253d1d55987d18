//! From the bytes of a component to its first answer: compiled, and from the cache.
//!
//! On a host that runs already, a component is put, linked and called by another one, all of which counts; the request that
//! has the other one call is told by itself, since it takes as long when nothing is cold. Beside it the engine alone compiles
//! the same bytes, or reads what it compiled before from a file, links, makes an instance and calls it.

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::asking::Asking;
use crate::neighbours::{Images, Neighbours, call, failed, instance, prepare};
use crate::race::median;

/// What first answers took.
#[derive(Serialize)]
pub(crate) struct Cold {
    rounds: u32,
    component_bytes: usize,
    compiled: Times,
    cached: Times,
    /// What of the host's time is the request that has the component called.
    request_ms: f64,
    /// What the cache leaves of a start on the host.
    cache_ratio: f64,
}

/// The medians over rounds.
#[derive(Serialize)]
struct Times {
    abide_ms: f64,
    engine_ms: f64,
    /// What the host took over what the engine alone did.
    ratio: f64,
}

/// Has all four take turns, round by round.
pub(crate) fn run(folder: &Path, guests: &Path, quick: bool) -> io::Result<Cold> {
    let rounds = if quick { 2 } else { 25 };
    let images = Images::read(guests)?;
    let hosts = [None, Some(folder.join("components"))].map(|cache| Host::start(folder, &images, cache));
    let [compiling, caching] = hosts;
    let (mut compiling, mut caching) = (compiling?, caching?);
    let engine = caching.neighbours.engine().clone();
    let alone = Alone::new(engine, folder, &images.greeter)?;
    let mut taken: [Vec<f64>; 4] = Default::default();
    let mut requests = Vec::new();
    for round in 0..=rounds {
        let mut times = [Duration::ZERO; 4];
        let [host, engine, host_cached, engine_cached] = &mut times;
        // Who begins changes.
        if round % 2 == 0 {
            *host = compiling.first_answer(&images)?;
            *engine = alone.compiled(&images.greeter)?;
            *host_cached = caching.first_answer(&images)?;
            *engine_cached = alone.cached()?;
        } else {
            *engine_cached = alone.cached()?;
            *host_cached = caching.first_answer(&images)?;
            *engine = alone.compiled(&images.greeter)?;
            *host = compiling.first_answer(&images)?;
        }
        // The first round fills the cache.
        if round > 0 {
            taken.iter_mut().zip(times).for_each(|(all, one)| all.push(one.as_secs_f64() * 1e3));
            requests.push(caching.warm_answer(&images)?.as_secs_f64() * 1e3);
        }
    }
    let [host, engine, host_cached, engine_cached] = taken;
    Ok(Cold {
        rounds,
        component_bytes: images.greeter.len(),
        cache_ratio: ratio(&host_cached, &host),
        compiled: Times::of(host, engine),
        cached: Times::of(host_cached, engine_cached),
        request_ms: median(&mut requests),
    })
}

/// Of pairs, the median.
fn ratio(own: &[f64], others: &[f64]) -> f64 {
    median(&mut own.iter().zip(others).map(|(own, other)| own / other).collect::<Vec<_>>())
}

impl Times {
    fn of(mut host: Vec<f64>, mut engine: Vec<f64>) -> Self {
        let ratio = ratio(&host, &engine);
        Self { abide_ms: median(&mut host), engine_ms: median(&mut engine), ratio }
    }
}

/// A host that runs, and a connection to the component that calls.
struct Host {
    neighbours: Neighbours,
    asking: Asking,
}

impl Host {
    fn start(folder: &Path, images: &Images, cache: Option<PathBuf>) -> io::Result<Self> {
        let neighbours = Neighbours::start(folder, images, cache)?;
        let asking = neighbours.asking()?;
        Ok(Self { neighbours, asking })
    }

    /// Of a component that does not run yet.
    fn first_answer(&mut self, images: &Images) -> io::Result<Duration> {
        let start = Instant::now();
        self.neighbours.put_greeter(images)?;
        call(&mut self.asking, "again", 1)?;
        let took = start.elapsed();
        self.neighbours.stop_greeter();
        Ok(took)
    }

    /// Of one that has answered before.
    fn warm_answer(&mut self, images: &Images) -> io::Result<Duration> {
        self.neighbours.put_greeter(images)?;
        call(&mut self.asking, "again", 1)?;
        let start = Instant::now();
        call(&mut self.asking, "again", 1)?;
        let took = start.elapsed();
        self.neighbours.stop_greeter();
        Ok(took)
    }
}

/// The engine alone, and a file with what it compiled.
struct Alone {
    engine: Engine,
    runtime: Runtime,
    file: PathBuf,
}

impl Alone {
    fn new(engine: Engine, folder: &Path, wasm: &[u8]) -> io::Result<Self> {
        let file = folder.join("greeter.cwasm");
        let compiled = Component::new(&engine, wasm).and_then(|compiled| compiled.serialize());
        fs::write(&file, compiled.map_err(failed)?)?;
        Ok(Self { engine, runtime: Builder::new_current_thread().build()?, file })
    }

    fn compiled(&self, wasm: &[u8]) -> io::Result<Duration> {
        let start = Instant::now();
        let compiled = Component::new(&self.engine, wasm).map_err(failed)?;
        self.call(&compiled)?;
        Ok(start.elapsed())
    }

    fn cached(&self) -> io::Result<Duration> {
        let start = Instant::now();
        let bytes = fs::read(&self.file)?;
        #[expect(
            unsafe_code,
            reason = "the engine runs what it is given, and what is compared does the same"
        )]
        // SAFETY: `new` wrote the file with what this engine had compiled, in a folder that only this run knows.
        let compiled = unsafe { Component::deserialize(&self.engine, bytes) };
        self.call(&compiled.map_err(failed)?)?;
        Ok(start.elapsed())
    }

    fn call(&self, compiled: &Component) -> io::Result<()> {
        let called = self.runtime.block_on(async {
            let (mut store, instance) = instance(&prepare(&self.engine, compiled)?).await?;
            instance.interop_greet_greeter().call_again(&mut store, 0).await
        });
        black_box(called).map(drop).map_err(failed)
    }
}

impl fmt::Display for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} rounds, taking turns: the first answer of interop/guests/examples/greeter, {} KiB",
            self.rounds,
            self.component_bytes >> 10
        )?;
        writeln!(f, "  {:<24}{:>12}{:>22}{:>10}", "", "abide ms", "the engine alone ms", "ratio")?;
        for (what, times) in [("compiled", &self.compiled), ("from the cache", &self.cached)] {
            writeln!(
                f,
                "  {what:<24}{:>12.2}{:>22.2}{:>10.2}",
                times.abide_ms, times.engine_ms, times.ratio
            )?;
        }
        writeln!(
            f,
            "  of abide's time {:.2} ms are the request that asks, which takes as long when nothing is cold",
            self.request_ms
        )?;
        write!(f, "  from the cache abide takes {:.2} of what it takes to compile", self.cache_ratio)
    }
}
