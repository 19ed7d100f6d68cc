//! The table of kernel families.

use serde_json::{Value, json};
use tercet_autotune::{Planner, Problem, tiles};
use tercet_codegen::packing::PANEL_ROWS;
use tercet_codegen::{FAMILIES, Family, KernelSpec, Packing, Tile, Unpack};
use tercet_cpu::Cpu;

use super::PREFILL_TOKENS;
use crate::cli::report::Report;

/// One kernel family with one packing and one unpacking strategy.
struct Entry {
    family: &'static Family,
    packing: Packing,
    unpack: Unpack,
    /// Rows of a tile, and the most tokens that a tile with these rows can have.
    tiles: Vec<(usize, usize)>,
    decode: KernelSpec,
    prefill: KernelSpec,
}

impl Entry {
    fn new(family: &'static Family, packing: Packing, unpack: Unpack) -> Self {
        let planner = Planner::new(family.isa, packing);
        let plan = |m| planner.plan(&Problem { n: 2560, k: 2560, m, threads: 1 }).spec;
        let (decode, prefill) = (plan(1), plan(PREFILL_TOKENS));
        let mut any = prefill;
        any.schedule.unpack = unpack;
        let most_tokens = |nr| {
            let of_rows = tiles(any, Tile::MAX_MR).filter(|spec| spec.tile.nr == nr);
            Some((nr, of_rows.map(|spec| spec.tile.mr).max()?))
        };
        let tiles = (1..=family.interleave).filter_map(|panels| most_tokens(panels * PANEL_ROWS)).collect();
        Entry { family, packing, unpack, tiles, decode, prefill }
    }

    fn runs_here(&self) -> bool {
        self.family.isa.runs_on(Cpu::host())
    }
}

/// Lists all entries, best family first.
fn entries() -> impl Iterator<Item = Entry> {
    let packings = FAMILIES.iter().rev().flat_map(|family| Packing::ALL.map(|packing| (family, packing)));
    packings.flat_map(|(family, packing)| {
        family.strategies(packing).map(move |unpack| Entry::new(family, packing, unpack))
    })
}

pub(super) fn report() -> Report {
    let mut report = Report::new();
    for entry in entries() {
        let Entry { family, packing, unpack, tiles, decode, prefill } = &entry;
        let here = if entry.runs_here() { "runs here" } else { "not on this CPU" };
        report.heading(format_args!("{} {} {unpack} ({here})", family.isa, packing));
        let tiles: Vec<String> = tiles.iter().map(|(rows, tokens)| format!("m1..{tokens} n{rows}")).collect();
        report.row("tiles", tiles.join(", "));
        let planned = [("decode", decode), ("prefill", prefill)];
        for (name, spec) in planned.into_iter().filter(|(_, spec)| spec.schedule.unpack == *unpack) {
            report.row(format_args!("default {name}"), spec);
        }
    }
    report
}

pub(super) fn json() -> Value {
    let entry = |entry: Entry| {
        let tile =
            |&(rows, most_tokens): &(usize, usize)| json!({ "rows": rows, "most_tokens": most_tokens });
        json!({
            "isa": entry.family.isa.name(),
            "packing": entry.packing.name(),
            "unpack": entry.unpack.name(),
            "registers": entry.family.registers,
            "runs_here": entry.runs_here(),
            "tiles": entry.tiles.iter().map(tile).collect::<Vec<_>>(),
            "decode": entry.decode.to_string(),
            "prefill": entry.prefill.to_string(),
        })
    };
    json!({ "kernels": entries().map(entry).collect::<Vec<_>>() })
}
