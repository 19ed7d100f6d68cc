//! The pairs of tokens that merge, best first.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::vocabulary::{Kind, Vocabulary};
use crate::error::{Error, Result};

/// Returns the merges of a byte-level vocabulary, whose tokens are the keys of `ids`.
pub(super) fn listed<'a>(vocabulary: &Vocabulary<'a>, ids: &Map<String, Value>) -> Result<Vec<[&'a str; 2]>> {
    const KEY: &str = "tokenizer.ggml.merges";
    let metadata = vocabulary.metadata();
    let texts = metadata.texts(KEY)?.ok_or_else(|| {
        metadata.malformed(KEY, "is missing, and without merges every text is cut into bytes")
    })?;
    let count = texts.len();
    let known = |[left, right]: &[&str; 2]| {
        ids.contains_key(*left) && ids.contains_key(*right) && ids.contains_key(&[*left, *right].concat())
    };
    let pairs: Vec<_> = texts.into_iter().filter_map(pair).filter(known).collect();
    if pairs.len() < count {
        vocabulary.warn(&format!(
            "{} of {count} entries of {KEY} name no tokens; they are skipped",
            count - pairs.len()
        ));
    }
    // Of equal pairs the first one counts.
    let mut seen = HashSet::new();
    Ok(pairs.into_iter().filter(|pair| seen.insert(*pair)).collect())
}

/// Splits a merge at its first space that is not its first character.
fn pair(merge: &str) -> Option<[&str; 2]> {
    let first = merge.chars().next()?.len_utf8();
    let at = first + merge[first..].find(' ')?;
    Some([&merge[..at], &merge[at + 1..]])
}

/// Returns every pair of pieces that forms a piece, best score first, like transformers. Among equal
/// scores, pairs with a longer first part come first, then pairs with a longer second part.
pub(super) fn by_score<'a>(vocabulary: &'a Vocabulary<'_>) -> Result<Vec<[&'a str; 2]>> {
    let scores = scores(vocabulary)?;
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let mut pieces = Vec::new();
    for (id, (token, kind)) in vocabulary.tokens.iter().zip(&vocabulary.kinds).enumerate() {
        let merges = matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Unused);
        // Of pieces with the same text, the first one counts.
        if merges && !ids.contains_key(&**token) {
            ids.insert(token, id);
            pieces.push((&**token, scores[id]));
        }
    }
    check_cost(vocabulary, &pieces)?;
    let mut merges = Vec::new();
    for (piece, score) in pieces {
        let first = merges.len();
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if let (Some(a), Some(b)) = (ids.get(left), ids.get(right)) {
                merges.push((score, [left, right], (*a, *b)));
            }
        }
        merges[first..].sort_by_key(|(_, _, ids)| *ids);
    }
    let characters = |part: &str| part.chars().count();
    merges.sort_by(|(score, [left, right], _), (other_score, [other_left, other_right], _)| {
        let by_score = other_score.total_cmp(score);
        by_score
            .then_with(|| characters(other_left).cmp(&characters(left)))
            .then_with(|| characters(other_right).cmp(&characters(right)))
    });
    Ok(merges.into_iter().map(|(_, pair, _)| pair).collect())
}

fn scores(vocabulary: &Vocabulary<'_>) -> Result<Vec<f64>> {
    const KEY: &str = "tokenizer.ggml.scores";
    let (metadata, count) = (vocabulary.metadata(), vocabulary.tokens.len());
    let Some(scores) = metadata.numbers(KEY)? else {
        vocabulary.warn(&format!("{KEY} is missing; texts may be cut into other tokens than in training"));
        return Ok(vec![0.0; count]);
    };
    match scores.len() < count {
        true => Err(metadata.malformed(KEY, format!("{} scores of {count} tokens", scores.len()))),
        false => Ok(scores),
    }
}

/// Bounds the work and the memory that long pieces take: a piece is looked up at each of its
/// characters. In real vocabularies this is about 10 times the length of all pieces.
fn check_cost(vocabulary: &Vocabulary<'_>, pieces: &[(&str, f64)]) -> Result<()> {
    const FACTOR: usize = 32;
    const SPARE: usize = 1 << 20;
    let size: usize = pieces.iter().map(|(piece, _)| piece.len()).sum();
    let cost: usize = pieces.iter().map(|(piece, _)| piece.len() * piece.chars().count()).sum();
    if cost <= size * FACTOR + SPARE {
        return Ok(());
    }
    let longest = pieces.iter().map(|(piece, _)| piece.len()).max().unwrap_or(0);
    let found = format!("a vocabulary with many pieces of up to {longest} bytes");
    Err(Error::unsupported(
        vocabulary.label(),
        "tokenizer.ggml.tokens",
        found,
        "SentencePiece's pieces, of up to 16 characters",
    ))
}
