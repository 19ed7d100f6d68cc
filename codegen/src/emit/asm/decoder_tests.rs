//! A second decoder reads what the assembler writes: GNU objdump, which knows none of our code.

mod forms;
mod kernels;
mod objdump;
mod sheet;
