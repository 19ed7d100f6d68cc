//! Predictions for machines that are not at hand.

use crate::design::Design;
use crate::machine::{Costs, Machine, Memory};
use crate::protocol::{EVERYWHERE, Placement, first_node, simulate};
use crate::token::{Alone, LAYER, LAYERS, token};

const THREADS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// A token's own work, on one thread.
const ALONE: Alone = Alone { before: [3e3, 3e3, 3e3, 6e3], between: 200e3, head: 8e3 };

/// Linux on the processor itself, without a virtual machine: wake-ups are shorter there.
const BARE: Costs = Costs { unpark: 1_500.0, wake: 5_000.0, ..Costs::MEASURED };

/// The rate of one core's reads.
const ONE: f64 = 10.5;

/// Prints the time of a token for each design, memory and number of threads.
pub(crate) fn print() {
    let (before, now) = (Design::BEFORE, Design::CURRENT);
    let tree = Design { tree: now.tree, ..before };
    let designs = [
        ("before", before),
        ("spinning for 150 µs", Design { patience: 150e3, ..before }),
        ("wake-ups in a tree", tree),
        ("tree, one line", Design { publish: now.publish, ..tree }),
        ("tree, help at powers of two", Design { help: now.help, ..tree }),
        ("tree, counters of groups", Design { report: now.report, ..tree }),
        ("now", now),
    ];
    for (machine, costs) in [("in a virtual machine", Costs::MEASURED), ("on the processor itself", BARE)] {
        for (memory, node) in [("no limit", f64::INFINITY), ("300 GB/s", 300.0)] {
            println!("\n{machine}, memory: {memory}\n");
            header(&THREADS);
            for (name, design) in designs {
                let memory = Memory { nodes: 1, one: ONE, node, link: node };
                row(name, &THREADS, |threads| {
                    simulate(
                        &Machine::new(threads, costs, memory),
                        design,
                        &token(threads, ALONE),
                        3,
                        first_node,
                    )
                });
            }
        }
    }
    println!("\nThe later half of the cores at half the speed\n");
    header(&[8, 16, 32]);
    for (name, slow) in [("equal", 1.0), ("half slow", 0.5)] {
        for (limit, node) in [("no limit", f64::INFINITY), ("80 GB/s", 80.0)] {
            let memory = Memory { nodes: 1, one: ONE, node, link: node };
            row(&format!("{name}, {limit}"), &[8, 16, 32], |threads| {
                let machine = Machine { slow, ..Machine::new(threads, BARE, memory) };
                simulate(&machine, now, &token(threads, ALONE), 3, first_node)
            });
        }
    }
    println!("\nTwo nodes of 150 GB/s each\n");
    header(&[8, 16, 32, 64]);
    let placements: [(&str, Placement); 3] = [
        ("each layer on one node", by_layer),
        ("huge pages in turn", by_huge_page),
        ("small pages in turn", everywhere),
    ];
    for (name, placement) in placements {
        for link in [75.0, 150.0] {
            let memory = Memory { nodes: 2, one: ONE, node: 150.0, link };
            row(&format!("{name}, link {link:.0} GB/s"), &[8, 16, 32, 64], |threads| {
                simulate(&Machine::new(threads, BARE, memory), now, &token(threads, ALONE), 3, placement)
            });
        }
    }
}

/// The first half of the layers is on the first node. Of the head, the first half of each plane is.
fn by_layer(address: f64, nodes: usize) -> (usize, f64) {
    const PLANES: [f64; 2] = [501.0 * 1280.0 * 256.0, 501.0 * 640.0 * 256.0];
    let layers = LAYER * LAYERS as f64;
    let (mut start, mut node, mut len) = (0.0, 0, layers / nodes as f64);
    let parts = PLANES.iter().flat_map(|plane| (0..nodes).map(move |node| (node, plane / nodes as f64)));
    let parts = (0..nodes).map(|node| (node, layers / nodes as f64)).chain(parts);
    for part in parts {
        (node, len) = part;
        if address < start + len {
            break;
        }
        start += len;
    }
    (node, (start + len - address).max(1.0))
}

fn by_huge_page(address: f64, nodes: usize) -> (usize, f64) {
    const PAGE: f64 = (2 << 20) as f64;
    let page = (address / PAGE).floor();
    (page as usize % nodes, (page + 1.0) * PAGE - address)
}

fn everywhere(_: f64, _: usize) -> (usize, f64) {
    (EVERYWHERE, f64::INFINITY)
}

fn header(threads: &[usize]) {
    let cells: Vec<_> = threads.iter().map(usize::to_string).collect();
    println!("| threads | {} |\n|---|{}", cells.join(" | "), "---:|".repeat(cells.len()));
}

fn row(name: &str, threads: &[usize], time: impl Fn(usize) -> f64) {
    let cells: Vec<_> = threads.iter().map(|&threads| format!("{:.2}", time(threads) / 1e6)).collect();
    println!("| {name} | {} |", cells.join(" | "));
}
