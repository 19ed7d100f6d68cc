//! Picks the micro-kernel for a problem: by rule, by measurement, or by what was measured earlier.
//!
//! Knows no instruction and no thread: it reasons with the sizes of tiles that
//! [`KernelSpec::validate`](tercet_codegen::KernelSpec::validate) allows, and is handed a [`Timer`].

mod candidates;
mod choice;
mod core;
mod measure;
mod planner;
mod records;
mod sharing;
mod store;

pub use candidates::tiles;
pub use choice::Choice;
pub use core::packing_by_rule;
pub use measure::{Measured, Timer, measure};
pub use planner::{Origin, Plan, Planner, Problem};
pub use records::{CODEGEN_REVISION, Key, Record, Records, RecordsError, codegen_fingerprint};
pub use sharing::Sharing;
pub use store::{Store, StoreError, read_all};
