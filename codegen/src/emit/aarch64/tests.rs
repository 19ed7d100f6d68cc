//! Emitted kernels, read by a second decoder, and executed by an emulator and judged against the plain reference.

mod decoders;
mod elf;
mod emulator;
mod forms;
mod kernels;
mod objdump;
mod probes;
mod product;
