//! Writes Lark.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::class::Class;
use super::sets::Sets;
use super::{Node, Rules};

/// Returns the grammar in Lark. A rule `r7` is made of lexemes; a terminal `R7` is one.
pub(super) fn write(rules: &Rules, sets: &Sets) -> String {
    let mut writer = Writer { sets, terminals: BTreeSet::new(), runs: Vec::new() };
    let root = Node::Rule(rules.root);
    let mut text = String::new();
    if sets.is_regular(&root) {
        let optional = if sets.is_nullable(&root) { "?" } else { "" };
        let _ = writeln!(text, "start: {}{optional}", writer.terminal(&root));
    } else {
        let _ = writeln!(text, "start: r{}", rules.root);
        for (rule, body) in rules.bodies.iter().enumerate() {
            let _ = writeln!(text, "r{rule}: {}", writer.lexemes(body, &sets.follow[rule]));
        }
    }
    let mut written = BTreeSet::new();
    while let Some(&rule) = writer.terminals.difference(&written).next() {
        written.insert(rule);
        let body = writer.terminal(&rules.bodies[rule]);
        let _ = writeln!(text, "R{rule}: {body}");
    }
    for (i, run) in writer.runs.iter().enumerate() {
        let _ = writeln!(text, "RUN{i}: {run}");
    }
    text
}

struct Writer<'s> {
    sets: &'s Sets,
    /// Rules that are needed as terminals.
    terminals: BTreeSet<usize>,
    /// Repetitions that are lexemes.
    runs: Vec<String>,
}

impl Writer<'_> {
    /// Returns `node` as an expression of lexemes, before the characters `follow`.
    fn lexemes(&mut self, node: &Node, follow: &Class) -> String {
        match node {
            Node::Rule(rule) => format!("r{rule}"),
            Node::Token(token) => token.clone(),
            Node::Text(_) | Node::Class(_) => self.terminal(node),
            Node::Sequence(parts) => {
                let (mut written, mut after) = (Vec::new(), follow.clone());
                for part in parts.iter().rev() {
                    written.push(self.lexemes(part, &after));
                    after = self.sets.first_before(part, &after);
                }
                written.reverse();
                sequence(written)
            }
            Node::Choice(choices) => {
                group(choices.iter().map(|choice| self.lexemes(choice, follow)).collect())
            }
            Node::Repeat(_, _, Some(0)) => sequence(Vec::new()),
            Node::Repeat(node, min, max) if self.is_run(node, *max, follow) => {
                let run = format!("{}{}", self.terminal(node), quantifier((*min).max(1), *max));
                let at = self.runs.iter().position(|known| *known == run).unwrap_or_else(|| {
                    self.runs.push(run);
                    self.runs.len() - 1
                });
                format!("RUN{at}{}", if *min == 0 { "?" } else { "" })
            }
            Node::Repeat(node, min, max) => {
                let after = self.sets.after_turn(node, follow);
                format!("({}){}", self.lexemes(node, &after), quantifier(*min, *max))
            }
        }
    }

    /// Returns true if the longest run of `node` is the only one that `follow` can come after.
    fn is_run(&self, node: &Node, max: Option<u32>, follow: &Class) -> bool {
        max != Some(1)
            && self.sets.is_regular(node)
            && self.sets.is_prefix_free(node)
            && self.sets.first(node).is_disjoint(follow)
    }

    /// Returns `node` as a part of one lexeme.
    fn terminal(&mut self, node: &Node) -> String {
        match node {
            Node::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Node::Class(class) => format!("/{}/", class.regex().unwrap_or_default()),
            Node::Rule(rule) => {
                self.terminals.insert(*rule);
                format!("R{rule}")
            }
            Node::Token(token) => token.clone(),
            Node::Sequence(parts) => sequence(parts.iter().map(|part| self.terminal(part)).collect()),
            Node::Choice(choices) => group(choices.iter().map(|choice| self.terminal(choice)).collect()),
            Node::Repeat(_, _, Some(0)) => sequence(Vec::new()),
            Node::Repeat(node, min, max) => format!("({}){}", self.terminal(node), quantifier(*min, *max)),
        }
    }
}

fn sequence(parts: Vec<String>) -> String {
    match parts.as_slice() {
        [] => "\"\"".to_owned(),
        parts => format!("({})", parts.join(" ")),
    }
}

fn group(choices: Vec<String>) -> String {
    format!("({})", choices.join(" | "))
}

fn quantifier(min: u32, max: Option<u32>) -> String {
    match (min, max) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (min, None) => format!("{{{min},}}"),
        (min, Some(max)) => format!("{{{min},{max}}}"),
    }
}
