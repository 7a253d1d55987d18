//! Message-driven components: each call runs in a fresh instance, and reaches what a link grants and nothing else.
//!
//! [`Components`] is what runs on a host: components, builtin providers, the links between them and named configuration. It has a runtime
//! of its own, and nobody waits for it but who calls. What lies behind a capability is brought by the host through [`Ports`].

mod bindings;
mod blobstore;
mod bus;
mod call;
mod components;
mod config;
mod engine;
mod gate;
mod http_client;
mod http_server;
mod keyvalue;
mod link;
mod linked;
mod local;
mod logging;
mod messaging;
mod objects;
mod remote;
mod running;
mod wrpc;

pub use crate::link::{Config, Link};
pub use crate::provider::{Builtin, Provider};
pub use components::{Components, Options, Ports, StartFailed};
pub use keyvalue::{Bucket, KeyValues, ValuesFailed};
pub use local::Local;
pub use messaging::{Delivery, Later, Message, Messaging, NotSent, Subscription, aside, wait_for};
pub use objects::{Asked, Granted, ObjectFailed, Objects};
pub use remote::{Handler, Invocation, IsWhole, Remote, Served};
pub use running::{Failed, Limits, Running, Spec};
