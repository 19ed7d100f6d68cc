//! How the pool scales beyond the cores at hand: measured on two, simulated up to 64.
//!
//! A discrete-event simulation of the pool's protocol gets the cost of single operations, as measured on two cores. Its
//! times are first compared with real jobs. Then it tells how a token of BitNet b1.58 2B-4T scales.
//!
//! ```text
//! cargo run --release -p tercet-pool --example scaling              measure this machine, and compare
//! cargo run --release -p tercet-pool --example scaling -- predict   predict, with the costs of docs/performance/scaling.md
//! ```

mod check;
mod design;
mod machine;
mod measure;
mod predict;
mod protocol;
mod token;
mod world;

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => check::print(),
        Some("predict") => predict::print(),
        Some(other) => eprintln!("unknown argument {other:?}: give none, or `predict`"),
    }
}
