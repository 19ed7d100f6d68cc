//! Picks the micro-kernel for a problem: by rule, by measurement, or from records of earlier measurements.
//!
//! This crate knows no instructions and no threads. It compares tiles that
//! [`KernelSpec::validate`](tercet_codegen::KernelSpec::validate) allows, and the caller brings a [`Timer`].

mod candidates;
mod choice;
mod measure;
mod planner;
mod records;
mod rules;
mod sharing;
mod store;

pub use candidates::tiles;
pub use choice::Choice;
pub use measure::{Measured, Timer, measure};
pub use planner::{Origin, Plan, Planner, Problem};
pub use records::{CODEGEN_REVISION, Key, Record, Records, RecordsError, codegen_fingerprint};
pub use rules::packing_by_rule;
pub use sharing::Sharing;
pub use store::{Store, StoreError, read_all};
