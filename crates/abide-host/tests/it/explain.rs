//! What is told of a host by its log alone: views, replays, explanations, verification.

mod backtest;
mod bundle;
mod flood;
mod history;
mod law;
mod report;
mod reset;
mod scenario;
mod verify;
mod view;
mod why;
