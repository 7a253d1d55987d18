//! WASI 0.2 in virtual form: time stands still at the cycle's, what is random follows from the object's head, output goes to
//! the log, and there is no file, no socket, no environment and nothing to wait for.
//!
//! It is made from what a component imports, so that every 0.2.x is served. Files, sockets and HTTP are refused when the component
//! is loaded; what else is imported and not offered, because it would wait, traps by its name when it is called: the libraries
//! of most languages import more of clocks and streams than they use.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, ResourceAny, ResourceDynamic, ResourceType, Val};

use crate::act::Hosted;
use crate::imports::{Refused, burn, charge, give, ok};
use crate::journal::Stream;

/// The resources of WASI 0.2. Each is a type of its own, whichever interface it comes through.
const RESOURCES: [&str; 6] =
    ["pollable", "error", "input-stream", "output-stream", "terminal-input", "terminal-output"];

/// The fuel of a handle: the host remembers it until the act has ended.
const HANDLE_FUEL: u64 = 5_000;
/// Most random bytes at once.
const RANDOM_MAX: u64 = 65_536;
/// The representation of the stream of standard output; that of errors is any other.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

type Context<'a, 'c> = &'a mut StoreContextMut<'c, Hosted>;
/// `None` where the function gives nothing.
type Handler = fn(Context<'_, '_>, &[Val]) -> wasmtime::Result<Option<Val>>;

/// The number of a resource.
pub(crate) fn resource(name: &str) -> Option<u32> {
    RESOURCES.iter().position(|known| *known == name).and_then(|n| u32::try_from(n).ok())
}

/// Defines a resource.
pub(crate) fn define_resource(into: &mut LinkerInstance<'_, Hosted>, name: &str) -> wasmtime::Result<()> {
    match resource(name) {
        Some(number) => into.resource(name, ResourceType::host_dynamic(number), |_, _| Ok(())),
        None => Ok(()),
    }
}

/// Defines a function of an interface that is called `name` with its version.
pub(crate) fn define(
    into: &mut LinkerInstance<'_, Hosted>,
    name: &str,
    interface: &str,
    function: &str,
) -> wasmtime::Result<()> {
    let place = format!("{name}#{function}");
    let Some(handler) = handler(interface, function) else {
        return into.func_new(function, move |_, _, _, _| Err(Refused::NotOffered(place.clone()).into()));
    };
    into.func_new(function, move |mut cx, _, args, results| {
        charge(&mut cx, args)?;
        let args = args.iter().map(|arg| plain(&mut cx, arg)).collect::<wasmtime::Result<Vec<_>>>()?;
        match handler(&mut cx, &args) {
            Ok(Some(value)) => give(&mut cx, results, value),
            Ok(None) => Ok(()),
            Err(error) if error.downcast_ref::<Mistaken>().is_some() => {
                Err(Refused::Arguments(place.clone()).into())
            }
            Err(error) => Err(error),
        }
    })
}

/// The arguments are not those of the function.
#[derive(Debug, thiserror::Error)]
#[error("the arguments are not those of the function")]
struct Mistaken;

/// A borrowed handle must be given back before the call ends, which taking its representation does; so arguments have
/// representations where they had handles.
fn plain(cx: Context<'_, '_>, arg: &Val) -> wasmtime::Result<Val> {
    Ok(match arg {
        Val::Resource(handle) => Val::U32(representation(cx, *handle)?),
        Val::List(items) if matches!(items.first(), Some(Val::Resource(_))) => {
            Val::List(items.iter().map(|item| plain(cx, item)).collect::<wasmtime::Result<_>>()?)
        }
        other => other.clone(),
    })
}

fn representation(cx: Context<'_, '_>, handle: ResourceAny) -> wasmtime::Result<u32> {
    Ok(handle.try_into_resource_dynamic(&mut *cx)?.rep())
}

fn handle(cx: Context<'_, '_>, name: &str, representation: u32) -> wasmtime::Result<Option<Val>> {
    burn(cx, HANDLE_FUEL)?;
    let number = resource(name).ok_or(Mistaken)?;
    let handle = ResourceDynamic::new_own(representation, number).try_into_resource_any(&mut *cx)?;
    Ok(Some(Val::Resource(handle)))
}

#[rustfmt::skip]
fn handler(interface: &str, function: &str) -> Option<Handler> {
    Some(match (interface, function) {
        ("random/random", "get-random-bytes") | ("random/insecure", "get-insecure-random-bytes") => random_bytes,
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => |cx, _| Ok(Some(random(cx))),
        ("random/insecure-seed", "insecure-seed" | "get-insecure-seed") => {
            |cx, _| { let (a, b) = (random(cx), random(cx)); Ok(Some(Val::Tuple(vec![a, b]))) }
        }
        ("clocks/monotonic-clock", "now") => |cx, _| Ok(Some(Val::U64(cx.data().now.max(0).unsigned_abs()))),
        ("clocks/monotonic-clock", "resolution") => |_, _| Ok(Some(Val::U64(1))),
        ("clocks/wall-clock", "now") => |cx, _| Ok(Some(wall(cx.data().now))),
        ("clocks/wall-clock", "resolution") => |_, _| Ok(Some(wall(1))),
        ("cli/stdin", "get-stdin") => |cx, _| handle(cx, "input-stream", 0),
        ("cli/stdout", "get-stdout") => |cx, _| handle(cx, "output-stream", STDOUT),
        ("cli/stderr", "get-stderr") => |cx, _| handle(cx, "output-stream", STDERR),
        ("cli/environment", "get-environment" | "get-arguments") => |_, _| Ok(Some(Val::List(Vec::new()))),
        ("cli/environment", "initial-cwd")
        | ("cli/terminal-stdin" | "cli/terminal-stdout" | "cli/terminal-stderr", _) => |_, _| Ok(Some(Val::Option(None))),
        ("io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read"
            | "[method]input-stream.skip" | "[method]input-stream.blocking-skip") => {
            |_, _| Ok(Some(Val::Result(Err(Some(Box::new(Val::Variant("closed".to_owned(), None)))))))
        }
        ("io/streams", "[method]output-stream.check-write") => |_, _| Ok(Some(ok(Val::U64(4_096)))),
        ("io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => write,
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            |_, _| Ok(Some(Val::Result(Ok(None))))
        }
        ("io/streams", "[method]input-stream.subscribe" | "[method]output-stream.subscribe") => {
            |cx, _| handle(cx, "pollable", 0)
        }
        // A stream is always ready, and nothing else can be subscribed to.
        ("io/poll", "[method]pollable.block") => |_, _| Ok(None),
        ("io/poll", "[method]pollable.ready") => |_, _| Ok(Some(Val::Bool(true))),
        ("io/poll", "poll") => |_, args| match args {
            [Val::List(pollables)] => Ok(Some(Val::List((0..).zip(pollables).map(|(n, _)| Val::U32(n)).collect()))),
            _ => Err(Mistaken.into()),
        },
        _ => return None,
    })
}

/// The time as WASI has it, which knows none before 1970.
fn wall(nanoseconds: i64) -> Val {
    let nanoseconds = nanoseconds.max(0).unsigned_abs();
    let part = u32::try_from(nanoseconds % 1_000_000_000).unwrap_or_default();
    Val::Record(vec![
        ("seconds".to_owned(), Val::U64(nanoseconds / 1_000_000_000)),
        ("nanoseconds".to_owned(), Val::U32(part)),
    ])
}

fn random(cx: Context<'_, '_>) -> Val {
    Val::U64(cx.data_mut().random.next())
}

fn random_bytes(cx: Context<'_, '_>, args: &[Val]) -> wasmtime::Result<Option<Val>> {
    let [Val::U64(count)] = args else { return Err(Mistaken.into()) };
    if *count > RANDOM_MAX {
        return Err(Refused::Random(*count).into());
    }
    let count = usize::try_from(*count)?;
    let random = &mut cx.data_mut().random;
    let bytes = std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(count);
    Ok(Some(Val::List(bytes.map(Val::U8).collect())))
}

fn write(cx: Context<'_, '_>, args: &[Val]) -> wasmtime::Result<Option<Val>> {
    let [Val::U32(stream), Val::List(bytes)] = args else { return Err(Mistaken.into()) };
    let stream = if *stream == STDOUT { Stream::Out } else { Stream::Err };
    let byte = |val: &Val| if let Val::U8(byte) = val { Some(*byte) } else { None };
    let bytes: Vec<u8> = bytes.iter().filter_map(byte).collect();
    cx.data_mut().journal.write(stream, &bytes);
    Ok(Some(Val::Result(Ok(None))))
}

/// Numbers that look random and follow from a seed alone: SplitMix64. They keep no secret.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn of(seed: &[u8; 32]) -> Self {
        let words = seed.chunks_exact(8).filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
        Self(words.fold(0, |state: u64, word| state.rotate_left(1) ^ word))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
