//! The comparison as a Markdown table.

use std::collections::BTreeMap;

/// A row: an engine's name, its output head, and its median rates.
pub(super) struct Row {
    pub(super) title: String,
    pub(super) head: String,
    pub(super) rates: BTreeMap<Column, f64>,
}

/// A test with a number of threads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    pub(super) test: String,
    pub(super) threads: usize,
}

/// Formats rates, each followed by its ratio to the first row's.
pub(super) fn markdown(columns: &[Column], rows: &[Row]) -> String {
    let names = columns.iter().map(|Column { test, threads }| {
        format!(" {test}, {threads} thread{} |", if *threads == 1 { "" } else { "s" })
    });
    let mut table = format!(
        "| engine | head |{}\n|---|---|{}\n",
        names.collect::<String>(),
        "---:|".repeat(columns.len())
    );
    for row in rows {
        let base = |column| rows[0].rates.get(column);
        let cells = columns.iter().map(|column| match (row.rates.get(column), base(column)) {
            (Some(rate), Some(base)) => format!(" {} ({:.2}×) |", short(*rate), rate / base),
            (Some(rate), None) => format!(" {} |", short(*rate)),
            (None, _) => " – |".to_owned(),
        });
        table += &format!("| {} | {} |{}\n", row.title, row.head, cells.collect::<String>());
    }
    table
}

/// Returns the middle rate, or the mean of the middle two.
pub(super) fn median(rates: &[f64]) -> Option<f64> {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[last / 2] + sorted[last.div_ceil(2)]) / 2.0)
}

fn short(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_first_row() {
        let column = |test: &str, threads| Column { test: test.to_owned(), threads };
        let columns = [column("pp128", 1), column("tg128", 2)];
        let row = |title: &str, rates: &[f64]| Row {
            title: title.to_owned(),
            head: "bf16".to_owned(),
            rates: columns.iter().cloned().zip(rates.iter().copied()).collect(),
        };
        let expected = "\
| engine | head | pp128, 1 thread | tg128, 2 threads |
|---|---|---:|---:|
| us | bf16 | 200 (1.00×) | 50.0 (1.00×) |
| them | bf16 | 40.0 (0.20×) | – |
";
        assert_eq!(markdown(&columns, &[row("us", &[200.0, 50.0]), row("them", &[40.0])]), expected);
    }

    #[test]
    fn medians_by_hand() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }
}
