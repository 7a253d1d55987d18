//! Lines for the host's log, with the id of the object before them. They are no part of the lineage.
//!
//! ```
//! use abide_sdk::log;
//!
//! log::info!("{} litres left", 42);
//! ```
//!
//! Natively they go to standard error.

#[doc(inline)]
pub use crate::bindings::abide::object::log::Level;
#[doc(inline)]
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};

/// Writes a line. The macros of this module are shorter: `log::warn!("…")`.
///
/// The host cuts a long line, and drops lines beyond its bound of an act.
#[cfg_attr(not(target_arch = "wasm32"), expect(clippy::print_stderr, reason = "where a test shows it"))]
pub fn write(level: Level, message: core::fmt::Arguments<'_>) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::abide::object::log::log(level, &message.to_string());
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}

/// For following every step.
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Trace, ::core::format_args!($($message)+)) };
}

/// For finding a fault.
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($message)+)) };
}

/// Worth knowing.
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, ::core::format_args!($($message)+)) };
}

/// Worth a look.
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::core::format_args!($($message)+)) };
}

/// Something failed.
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($message)+)) };
}
