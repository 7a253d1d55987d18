//! Images of WebAssembly components from OCI registries, for a host that is often offline.
//!
//! [`Registries::fetch`] gives the bytes of an image by its reference. What was fetched once is kept in a cache, and a
//! reference that the cache holds is served from there without a word to its registry: a component that ran yesterday starts
//! today, whether or not there is a network. [`Registries::refresh`] asks again. `latest` names no version, so it is refused
//! unless the host allows it, and is then asked of the registry before the cache.
//!
//! Everything that comes from a registry or from the cache is checked against its SHA-256 before it is given out. What the
//! bytes mean is left to who runs them.
//!
//! ```no_run
//! use abide_oci::{Options, Registries};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registries = Registries::new(Options::new("/var/lib/abide/images"))?;
//! let wasm = registries.fetch("ghcr.io/orchard/frost-guard:1.0.0")?;
//! # Ok(())
//! # }
//! ```

mod cache;
mod credential;
mod digest;
mod error;
mod failure;
mod manifest;
mod options;
mod reference;
mod registries;
mod session;

pub use credential::Credential;
pub use error::{FetchError, OpenError, Unfit};
pub use options::{IMAGE_MAX_BYTES, Options, Timeouts};
pub use registries::{Refreshed, Registries};
