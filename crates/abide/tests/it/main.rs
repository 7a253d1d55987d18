//! The command line as its users meet it: the real binary, its output, its exit codes.
#![cfg(test)]

mod asking;
mod backtesting;
mod behaviours;
mod bundles;
mod clock;
mod comparing;
mod example;
mod files;
mod hosting;
mod live;
mod mistakes;
mod panel;
mod reading;
mod reporting;
mod resuming;
mod support;
mod tls;
mod upgrading;
