//! What goes wrong around a host: its broker, its lattice, whoever asks it, and the components on it.

mod broker;
mod endless;
mod floods;
mod fuzz;
mod links;
mod support;
