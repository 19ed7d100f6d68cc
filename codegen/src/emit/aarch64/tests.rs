//! Emitted kernels, executed by an emulator and judged against the plain reference.

mod elf;
mod emulator;
mod kernels;
mod product;
