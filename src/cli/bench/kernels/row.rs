//! The results of kernels, and their tables.

use serde::Serialize;

use super::reference;
use crate::cli::bench::markdown;

/// The result of one kernel; `--json` prints these fields.
#[derive(Debug, Serialize)]
pub(in crate::cli::bench) struct Row {
    pub(in crate::cli::bench) spec: String,
    pub(in crate::cli::bench) n: usize,
    pub(in crate::cli::bench) k: usize,
    pub(in crate::cli::bench) m: usize,
    pub(in crate::cli::bench) threads: usize,
    pub(in crate::cli::bench) median_ns: f64,
    pub(in crate::cli::bench) gb_s: f64,
    pub(in crate::cli::bench) gmac_s: f64,
    pub(in crate::cli::bench) roofline_pct: f64,
    pub(in crate::cli::bench) picked: bool,
    /// Packing of the weights. Only kernels of the same packing can replace each other.
    #[serde(skip)]
    pub(in crate::cli::bench) packing: &'static str,
}

impl Row {
    /// Returns the multiply-adds per byte of weights read.
    pub(in crate::cli::bench) fn intensity(&self) -> f64 {
        self.gmac_s / self.gb_s
    }

    pub(in crate::cli::bench) fn is_reference(&self) -> bool {
        self.spec.starts_with(reference::PREFIX)
    }

    /// Returns the instruction set in the kernel's name.
    pub(in crate::cli::bench) fn isa(&self) -> &str {
        let spec = self.spec.strip_prefix(reference::PREFIX).unwrap_or(&self.spec);
        spec.split_once('/').map_or(spec, |(isa, _)| isa)
    }
}

/// Returns the fastest kernel that could replace `pick`, which may be `pick` itself.
pub(super) fn best_rival<'a>(pick: &'a Row, rows: &'a [Row]) -> &'a Row {
    let rivals = rows
        .iter()
        .filter(|row| (row.n, row.k, row.m, row.packing) == (pick.n, pick.k, pick.m, pick.packing));
    rivals.min_by(|a, b| a.median_ns.total_cmp(&b.median_ns)).unwrap_or(pick)
}

/// Formats a table for every problem: the picks and the `top` fastest kernels, fastest first.
pub(super) fn tables(rows: &[Row], top: usize) -> String {
    let problems = rows.chunk_by(|a, b| (a.n, a.k, a.m) == (b.n, b.k, b.m));
    problems.map(|rows| table(rows, top)).collect::<Vec<_>>().join("\n")
}

fn table(rows: &[Row], top: usize) -> String {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by(|a, b| a.median_ns.total_cmp(&b.median_ns));
    let mut rank = 0..;
    sorted.retain(|row| rank.next().is_some_and(|rank| rank < top) || row.picked);
    let left_out = rows.len() - sorted.len();
    let Row { n, k, m, .. } = rows[0];
    let title = format!("{n} x {k}, m {m}");
    let cells = sorted.iter().map(|row| {
        let pick = if row.picked { " *" } else { "" };
        [
            format!("{}{pick}", row.spec),
            format!("{:.1}", row.median_ns / 1e3),
            format!("{:.2}", row.gb_s),
            format!("{:.1}", row.gmac_s),
            format!("{:.1} %", row.roofline_pct),
        ]
    });
    let table = markdown::table([&title, "µs", "GB/s", "G mult.-adds/s", "of roofline"], cells);
    match left_out {
        0 => table,
        _ => format!(
            "{table}{} left out: --all shows them\n",
            crate::cli::report::count(left_out, "slower kernel")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(spec: &str, packing: &'static str, median_ns: f64, picked: bool) -> Row {
        let (gb_s, gmac_s, roofline_pct) = (0.0, 0.0, 0.0);
        Row {
            spec: spec.to_owned(),
            n: 16,
            k: 16,
            m: 1,
            threads: 1,
            median_ns,
            gb_s,
            gmac_s,
            roofline_pct,
            picked,
            packing,
        }
    }

    #[test]
    fn tables_have_the_fastest_kernels_and_the_picks() {
        let rows: Vec<Row> =
            (0..14).map(|i| row(&format!("kernel{i}"), "2bit", 100.0 + f64::from(i), i == 12)).collect();
        let shown = tables(&rows, 10);
        assert!(
            shown.contains("kernel9 ") && shown.contains("kernel12 *") && !shown.contains("kernel11"),
            "{shown}"
        );
        assert!(shown.contains("3 slower kernels left out"), "{shown}");
        assert!(tables(&rows, usize::MAX).contains("kernel13"));
    }

    #[test]
    fn a_pick_is_compared_with_its_own_packing() {
        let rows =
            [row("a", "2bit", 100.0, true), row("b", "2bit", 96.0, false), row("c", "1.6bit", 50.0, false)];
        assert_eq!(best_rival(&rows[0], &rows).spec, "b");
        assert_eq!(best_rival(&rows[2], &rows).spec, "c");
    }
}
