//! A call from a component to another one of the same host, against a direct call of the same function under the engine alone.
//!
//! Of a linked call everything is counted: out of the caller, the link, the gate, the callee's store and fresh instance, and
//! the values there and back. Of a direct call all that a program that embeds wasmtime does: the store with its bounds, a
//! fresh instance from the same pool, and typed values. The second reference is one instance that is kept: what isolation costs both.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::Component;
use wasmtime::{Store, StoreLimits};

use crate::asking::Asking;
use crate::neighbours::{
    Greets, GreetsPre, Images, Mood, Neighbours, Visitor, call, failed, instance, prepare,
};
use crate::race::median;

/// What calls took.
#[derive(Serialize)]
pub(crate) struct Linked {
    rounds: u32,
    calls: u32,
    functions: Vec<Times>,
}

/// Of one function, the medians over rounds.
#[derive(Serialize)]
struct Times {
    function: &'static str,
    linked_us: f64,
    direct_us: f64,
    kept_us: f64,
    /// What a linked call took over what a direct one did.
    ratio: f64,
    /// The same over a call of an instance that is kept.
    ratio_kept: f64,
}

/// What is called.
#[derive(Clone, Copy)]
enum Function {
    /// A number there and back.
    Again,
    /// A record with texts there, and a text back.
    Greet,
}

/// Who calls.
#[derive(Clone, Copy)]
enum Way {
    Linked,
    Direct,
    Kept,
}

/// What takes turns.
struct Callers {
    asking: Asking,
    runtime: Runtime,
    pre: GreetsPre<StoreLimits>,
    kept: (Store<StoreLimits>, Greets),
    visitor: Visitor,
}

/// Has them take turns, round by round.
pub(crate) fn run(folder: &Path, guests: &Path, quick: bool) -> io::Result<Linked> {
    let (rounds, calls) = if quick { (3, 100) } else { (15, 5_000) };
    let images = Images::read(guests)?;
    let neighbours = Neighbours::start(folder, &images, None)?;
    neighbours.put_greeter(&images)?;
    let mut callers = Callers::new(&neighbours, &images)?;
    let functions = [Function::Again, Function::Greet].map(|function| callers.race(function, rounds, calls));
    Ok(Linked { rounds, calls, functions: functions.into_iter().collect::<io::Result<_>>()? })
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Greet => "greet",
        }
    }

    /// Calls it under the engine alone.
    async fn call(
        self,
        store: &mut Store<StoreLimits>,
        greets: &Greets,
        visitor: &Visitor,
    ) -> wasmtime::Result<()> {
        let greeter = greets.interop_greet_greeter();
        let is_right = match self {
            Self::Again => black_box(greeter.call_again(store, 0).await?) == 0,
            Self::Greet => {
                black_box(greeter.call_greet(store, visitor, Some(Mood::Shouting(3))).await?).is_ok()
            }
        };
        if is_right { Ok(()) } else { Err(wasmtime::Error::msg("`greeter` answers otherwise")) }
    }
}

impl Callers {
    fn new(neighbours: &Neighbours, images: &Images) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().build()?;
        let engine = neighbours.engine();
        let pre = Component::new(engine, &images.greeter).and_then(|compiled| prepare(engine, &compiled));
        let pre = pre.map_err(failed)?;
        let kept = runtime.block_on(instance(&pre)).map_err(failed)?;
        let visitor = Visitor { name: "bench".to_owned(), tags: vec!["a".to_owned(), "b".to_owned()] };
        Ok(Self { asking: neighbours.asking()?, runtime, pre, kept, visitor })
    }

    fn race(&mut self, function: Function, rounds: u32, calls: u32) -> io::Result<Times> {
        let mut taken: [Vec<f64>; 3] = Default::default();
        for round in 0..=rounds {
            let mut turns: Vec<_> =
                [Way::Linked, Way::Direct, Way::Kept].into_iter().zip(&mut taken).collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for (way, taken) in turns {
                let took = self.round(way, function, calls)?;
                // The first round warms the pool up.
                if round > 0 {
                    taken.push(took.as_secs_f64() * 1e6 / f64::from(calls));
                }
            }
        }
        let [mut linked, mut direct, mut kept] = taken;
        let over = |others: &[f64]| {
            median(&mut linked.iter().zip(others).map(|(own, other)| own / other).collect::<Vec<_>>())
        };
        let (ratio, ratio_kept) = (over(&direct), over(&kept));
        Ok(Times {
            function: function.name(),
            linked_us: median(&mut linked),
            direct_us: median(&mut direct),
            kept_us: median(&mut kept),
            ratio,
            ratio_kept,
        })
    }

    fn round(&mut self, way: Way, function: Function, calls: u32) -> io::Result<Duration> {
        let Self { asking, runtime, pre, kept: (store, kept), visitor } = self;
        let start = Instant::now();
        match way {
            // One request makes all calls, so that what it takes itself is of no weight.
            Way::Linked => call(asking, function.name(), calls)?,
            Way::Direct => {
                let called = runtime.block_on(async {
                    for _ in 0..calls {
                        let (mut store, instance) = instance(pre).await?;
                        function.call(&mut store, &instance, visitor).await?;
                    }
                    Ok(())
                });
                called.map_err(failed)?;
            }
            Way::Kept => {
                let called = runtime.block_on(async {
                    for _ in 0..calls {
                        function.call(store, kept, visitor).await?;
                    }
                    Ok(())
                });
                called.map_err(failed)?;
            }
        }
        Ok(start.elapsed())
    }
}

impl fmt::Display for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} rounds of {} calls of interop/guests/examples/greeter, taking turns",
            self.rounds, self.calls
        )?;
        writeln!(
            f,
            "  {:<10}{:>12}{:>12}{:>10}{:>12}{:>10}",
            "", "linked us", "direct us", "ratio", "kept us", "ratio"
        )?;
        for row in &self.functions {
            writeln!(
                f,
                "  {:<10}{:>12.2}{:>12.2}{:>10.2}{:>12.2}{:>10.1}",
                row.function, row.linked_us, row.direct_us, row.ratio, row.kept_us, row.ratio_kept
            )?;
        }
        write!(
            f,
            "  direct is a fresh instance under the engine alone, and kept one that stays; ratio is linked over each"
        )
    }
}
