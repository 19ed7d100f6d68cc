//! Markdown tables, which read well in a terminal and in a document.

/// Formats a Markdown table. The first column is aligned to the left, the others to the right.
pub(super) fn table<const N: usize>(names: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(names.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(2)
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!(" {cell:<width$} |"),
            _ => format!(" {cell:>width$} |"),
        });
        format!("|{}\n", cells.collect::<String>())
    };
    let rule = widths.iter().enumerate().map(|(column, width)| {
        let dashes = "-".repeat(width + 1);
        if column == 0 { format!("-{dashes}|") } else { format!("{dashes}:|") }
    });
    let rule = format!("|{}\n", rule.collect::<String>());
    line(&rows[0]) + &rule + &rows[1..].iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_small_table() {
        let rows = [["pp7", "1234.5"], ["tg128", "9"]].map(|row| row.map(str::to_owned));
        let expected = "\
| test  | tokens/s |
|-------|---------:|
| pp7   |   1234.5 |
| tg128 |        9 |
";
        assert_eq!(table(["test", "tokens/s"], rows), expected);
    }
}
