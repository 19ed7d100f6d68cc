//! GNU objdump, a decoder that shares no code with us, reads back the assembler's code.

mod forms;
mod kernels;
mod objdump;
mod sheet;
