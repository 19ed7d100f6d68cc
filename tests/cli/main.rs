//! The `tercet` command, as a user and as a script meet it.
#![cfg(feature = "cli")]

mod bad_input;
mod bench;
mod cache;
mod chat;
mod generate;
mod harness;
mod hub;
mod hub_server;
mod kernels;
mod models;
mod reports;
mod tune;
