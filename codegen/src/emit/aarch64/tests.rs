//! Tests of emitted code: a second decoder reads it, and an emulator runs it.
//!
//! The results must equal the plain reference.

mod decoders;
mod elf;
mod emulator;
mod forms;
mod kernels;
mod objdump;
mod probes;
mod product;
