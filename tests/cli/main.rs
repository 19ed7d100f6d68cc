//! Tests of the `tercet` command, as users and scripts call it.
#![cfg(feature = "cli")]

mod bad_input;
mod bench;
mod cache;
#[cfg(target_os = "linux")]
mod chaos;
mod chat;
mod config;
mod convert;
#[cfg(unix)]
mod first_minutes;
mod generate;
mod harness;
mod hub;
mod hub_server;
#[cfg(unix)]
mod in_use;
#[cfg(unix)]
mod interrupt;
mod kernels;
mod library;
mod models;
#[cfg(target_os = "linux")]
#[path = "../common/mutations.rs"]
mod mutations;
mod reports;
mod scarce;
#[cfg(unix)]
mod serving;
mod snapshots;
#[cfg(target_os = "linux")]
mod streams;
#[cfg(unix)]
mod terminal;
mod tune;
