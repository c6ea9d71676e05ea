//! Centauri: proximal consensus for fleets whose replicas never quite agree.
//!
//! This crate is the `centauri` command and the way in for programs. What a program needs to decide rounds is in
//! [`engine`]; model, readings and decision files are in [`files`].
#![forbid(unsafe_code)]

pub mod backends;
pub mod cli;
pub mod clock;
pub mod connections;
pub mod demo;
pub mod http;
pub mod impairment;
pub mod journal;
pub mod node;
pub mod nodes;
pub mod serve;

pub use centauri_engine as engine;
pub use centauri_files as files;
