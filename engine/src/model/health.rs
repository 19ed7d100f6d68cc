//! Signs that a model's tensors are not what its authors meant, though its files are sound.
//!
//! Each check ends at the first element of a sound tensor, so that a model loads as fast as without.
//! The checks look at the weights that run, wherever they came from.

use super::linear::Linear;
use super::weights::{Table, Weights};
use tercet_formats::Config;
use tercet_formats::config::{EMBEDDING, HEAD};

/// Fewer matrices may have the same scale by chance.
const FEW: usize = 14;

/// Returns warnings about `weights`, a line each.
pub(super) fn warnings(weights: &Weights, config: &Config) -> Vec<String> {
    let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
    let mut found = Vec::new();
    let zero = weights.linears().filter(|(_, linear)| is_zero(linear)).map(|(name, _)| name);
    found.extend(list(zero.collect()).map(|names| format!("all weights are zero in {names}")));

    let layers = weights.layers.iter().enumerate();
    let norms = layers.flat_map(|(i, layer)| layer.norms().map(move |(part, norm)| (part.module(i), norm)));
    let norms = norms.chain([("model.norm".to_owned(), &weights.norm)]);
    let zero = norms.filter(|(_, norm)| norm.gain.iter().all(|gain| *gain == 0.0)).map(|(name, _)| name);
    found.extend(list(zero.collect()).map(|names| format!("all gains are zero in {names}")));

    let scales: Vec<f32> = weights.linears().filter_map(|(_, linear)| linear.scale()).collect();
    if scales.len() >= FEW && scales.iter().all(|scale| *scale == scales[0]) {
        found.push(format!("all {} ternary matrices have the same scale, {}", scales.len(), scales[0]));
    }
    let tables = [(EMBEDDING, Some(&weights.embedding)), (HEAD, weights.head.as_ref())];
    for (name, table) in tables {
        if vocabulary > 1 && table.is_some_and(|table| has_one_row(table, vocabulary, hidden)) {
            found.push(format!("all rows are the same in {name}"));
        }
    }
    if vocabulary == 1 {
        found.push("the vocabulary has one token".to_owned());
    }
    found
        .iter()
        .map(|sign| format!("{sign}: the model's files may not be what their authors meant"))
        .collect()
}

fn is_zero(linear: &Linear) -> bool {
    let mut row = vec![0.0; linear.k()];
    (0..linear.n()).all(|i| {
        linear.read_row(i, &mut row);
        row.iter().all(|weight| *weight == 0.0)
    })
}

fn has_one_row(table: &Table, rows: usize, width: usize) -> bool {
    let read = |i: usize, row: &mut [f32]| match table {
        Table::Floats(floats) => floats.floats.get().read(i * width, row),
        Table::Ternary(linear) => linear.read_row(i, row),
    };
    let [mut first, mut row] = [vec![0.0; width], vec![0.0; width]];
    read(0, &mut first);
    (1..rows).all(|i| {
        read(i, &mut row);
        row == first
    })
}

/// Returns the first names and the number of the others. Returns none without any name.
fn list(names: Vec<String>) -> Option<String> {
    const SHOWN: usize = 3;
    match names.len() {
        0 => None,
        1..=SHOWN => Some(names.join(", ")),
        all => Some(format!("{} and {} more", names[..SHOWN].join(", "), all - SHOWN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_names_is_cut() {
        let names = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(list(names(0)), None);
        assert_eq!(list(names(3)).unwrap(), "0, 1, 2");
        assert_eq!(list(names(5)).unwrap(), "0, 1, 2 and 2 more");
    }
}
