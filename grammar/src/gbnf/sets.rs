//! The characters that begin and follow the parts of a grammar, by the usual fixed points (Aho et al., "Compilers", 4.4).

use super::class::Class;
use super::{Node, Rules};
use crate::error::{Error, Result};

/// Most parts that are looked at, again and again, until nothing changes.
const STEPS: usize = 2_000_000;

/// Facts about each rule.
pub(super) struct Sets {
    nullable: Vec<bool>,
    first: Vec<Class>,
    pub(super) follow: Vec<Class>,
    /// True for rules without recursion and without tokens: they describe a regular language.
    regular: Vec<bool>,
    prefix_free: Vec<bool>,
}

impl Sets {
    pub(super) fn of(rules: &Rules) -> Result<Self> {
        let n = rules.bodies.len();
        let mut sets = Sets {
            nullable: vec![false; n],
            first: vec![Class::default(); n],
            follow: vec![Class::default(); n],
            regular: vec![false; n],
            prefix_free: vec![false; n],
        };
        let size: usize = rules.bodies.iter().map(Node::size).sum();
        let mut steps = 0;
        let mut repeat = |turn: &mut dyn FnMut(&mut Sets, usize, &Node) -> bool, sets: &mut Sets| {
            let mut changes = true;
            while std::mem::take(&mut changes) {
                steps += size;
                if steps > STEPS {
                    return Err(Error::TooLarge("it takes too many steps; use fewer rules".to_owned()));
                }
                for (rule, body) in rules.bodies.iter().enumerate().rev() {
                    changes |= turn(sets, rule, body);
                }
            }
            Ok(())
        };
        repeat(
            &mut |sets, rule, body| {
                let nullable = sets.is_nullable(body);
                let first = sets.first(body);
                let regular = sets.is_regular(body);
                let changes = sets.nullable[rule] != nullable || sets.regular[rule] != regular;
                (sets.nullable[rule], sets.regular[rule]) = (nullable, regular);
                sets.first[rule].add(&first) || changes
            },
            &mut sets,
        )?;
        repeat(
            &mut |sets, rule, body| {
                let prefix_free = sets.is_prefix_free(body);
                std::mem::replace(&mut sets.prefix_free[rule], prefix_free) != prefix_free
            },
            &mut sets,
        )?;
        repeat(
            &mut |sets, rule, body| {
                let follow = sets.follow[rule].clone();
                sets.spread(body, &follow)
            },
            &mut sets,
        )?;
        Ok(sets)
    }

    pub(super) fn is_nullable(&self, node: &Node) -> bool {
        match node {
            Node::Text(_) | Node::Class(_) | Node::Token(_) => false,
            Node::Rule(rule) => self.nullable[*rule],
            Node::Sequence(parts) => parts.iter().all(|part| self.is_nullable(part)),
            Node::Choice(choices) => choices.iter().any(|choice| self.is_nullable(choice)),
            Node::Repeat(node, min, max) => *min == 0 || *max == Some(0) || self.is_nullable(node),
        }
    }

    pub(super) fn is_regular(&self, node: &Node) -> bool {
        match node {
            Node::Text(_) | Node::Class(_) => true,
            Node::Token(_) => false,
            Node::Rule(rule) => self.regular[*rule],
            Node::Sequence(parts) | Node::Choice(parts) => parts.iter().all(|part| self.is_regular(part)),
            Node::Repeat(node, ..) => self.is_regular(node),
        }
    }

    /// Returns true if no text of `node` is the beginning of another.
    pub(super) fn is_prefix_free(&self, node: &Node) -> bool {
        match node {
            Node::Text(_) | Node::Class(_) => true,
            Node::Token(_) => false,
            Node::Rule(rule) => self.prefix_free[*rule],
            Node::Sequence(parts) => !parts.is_empty() && parts.iter().all(|part| self.is_prefix_free(part)),
            Node::Choice(choices) => {
                let mut seen = Class::default();
                choices.iter().all(|choice| {
                    let first = self.first(choice);
                    let apart = seen.is_disjoint(&first);
                    seen.add(&first);
                    apart && self.is_prefix_free(choice)
                })
            }
            Node::Repeat(node, min, max) => *max == Some(*min) && *min > 0 && self.is_prefix_free(node),
        }
    }

    /// Returns the characters that a text of `node` may begin with.
    pub(super) fn first(&self, node: &Node) -> Class {
        match node {
            Node::Text(text) => Class::of(text.chars().next().map(|c| (c, c))),
            Node::Class(class) => class.clone(),
            // A token that is not named may begin with any character.
            Node::Token(token) if token.starts_with("<[^") => Class::any(),
            Node::Token(_) => Class::default(),
            Node::Rule(rule) => self.first[*rule].clone(),
            Node::Sequence(parts) => self.first_of(parts, &Class::default()),
            Node::Choice(choices) => choices.iter().fold(Class::default(), |mut all, choice| {
                all.add(&self.first(choice));
                all
            }),
            Node::Repeat(node, ..) => self.first(node),
        }
    }

    /// Returns the characters that may come next before `parts`, which `follow` comes after.
    pub(super) fn first_of(&self, parts: &[Node], follow: &Class) -> Class {
        let mut all = Class::default();
        for part in parts {
            all.add(&self.first(part));
            if !self.is_nullable(part) {
                return all;
            }
        }
        all.add(follow);
        all
    }

    /// Returns the characters that may follow one turn of a repetition of `node`.
    pub(super) fn after_turn(&self, node: &Node, follow: &Class) -> Class {
        let mut after = self.first(node);
        after.add(follow);
        after
    }

    /// Tells the rules in `node` what may follow them, and returns true if that is new.
    fn spread(&mut self, node: &Node, follow: &Class) -> bool {
        match node {
            Node::Text(_) | Node::Class(_) | Node::Token(_) => false,
            Node::Rule(rule) => self.follow[*rule].add(follow),
            Node::Sequence(parts) => {
                let mut changes = false;
                for (i, part) in parts.iter().enumerate() {
                    let after = self.first_of(&parts[i + 1..], follow);
                    changes |= self.spread(part, &after);
                }
                changes
            }
            Node::Choice(choices) => {
                let spread = |changes, choice| self.spread(choice, follow) || changes;
                choices.iter().fold(false, spread)
            }
            Node::Repeat(node, ..) => {
                let after = self.after_turn(node, follow);
                self.spread(node, &after)
            }
        }
    }
}

impl Node {
    fn size(&self) -> usize {
        match self {
            Node::Text(_) | Node::Class(_) | Node::Token(_) | Node::Rule(_) => 1,
            Node::Sequence(parts) | Node::Choice(parts) => 1 + parts.iter().map(Node::size).sum::<usize>(),
            Node::Repeat(node, ..) => 1 + node.size(),
        }
    }
}
