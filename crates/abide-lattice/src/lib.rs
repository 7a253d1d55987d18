//! A host of a wasmCloud v1 lattice, which wasmCloud's own clients drive.
//!
//! [`Control`] decides: it takes a request off the lattice and says what is answered, told as events and written to the lattice's
//! buckets. It has no clock, no network and no async. [`Lattice`] carries: it connects to NATS, and goes on without it.
//!
//! ```
//! use abide_lattice::{Control, Identity, Inventory, Subject};
//!
//! let identity = Identity { id: "NABC".into(), friendly_name: "orchard".into(), lattice: "default".into(), ..Identity::default() };
//! let mut control = Control::new(identity);
//! let subject = Subject::read("wasmbus.ctl", "default", "wasmbus.ctl.v1.default.host.ping").unwrap();
//! let handled = control.handle(&subject, b"", &Inventory::default());
//! assert_eq!(handled.reply.unwrap()["response"]["friendly_name"], "orchard");
//! ```

mod connection;
mod control;
mod event;
mod invocation;
mod message;
mod messages;
mod objects;
mod queue;
mod subject;
mod values;

pub use connection::{Connection, Guests, Lattice, Options, StartError, State};
pub use control::{Action, Bucket, Control, Entry, Handled, Identity, Inventory, Learned, Performed, Write};
pub use event::Event;
pub use invocation::{Answer, Function, Invocation, Invocations, IsWhole, Served};
pub use message::{
    Claimed, Component, KIND, Link, OBJECT, Provider, RegistryCredential, Scale, StartProvider, StopProvider,
    Update,
};
pub use messages::{Held, Messages, NotSent, Outgoing, Received};
pub use objects::{Keeper, Objects, Unasked};
pub use subject::Subject;
pub use values::{Place, Values, ValuesError};
