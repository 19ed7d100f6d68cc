//! The characters that begin and follow the parts of a grammar, by the usual fixed points (Aho et al., "Compilers", 4.4).

use super::class::Class;
use super::{Node, Rules};
use crate::error::{Error, Result};

/// Most parts of a grammar: some facts take the square of them.
const PARTS: usize = 20_000;
/// Most parts that are looked at, again and again, until nothing changes.
const STEPS: usize = 500_000;

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
        let size = rules.size();
        if size > PARTS {
            return Err(Error::TooLarge(format!("it has {size} parts and the limit is {PARTS}; shorten it")));
        }
        let n = rules.bodies.len();
        let mut sets = Sets {
            nullable: vec![false; n],
            first: vec![Class::default(); n],
            follow: vec![Class::default(); n],
            regular: vec![false; n],
            prefix_free: vec![false; n],
        };
        sets.settle(rules, Sets::learn_beginning)?;
        sets.settle(rules, Sets::learn_prefixes)?;
        sets.settle(rules, Sets::learn_follow)?;
        Ok(sets)
    }

    /// Lets `learn` look at every rule until it learns nothing new.
    fn settle(&mut self, rules: &Rules, learn: fn(&mut Sets, usize, &Node) -> bool) -> Result<()> {
        for _ in 0..=STEPS / rules.size().max(1) {
            let mut learns = false;
            for (rule, body) in rules.bodies.iter().enumerate().rev() {
                learns |= learn(self, rule, body);
            }
            if !learns {
                return Ok(());
            }
        }
        Err(Error::TooLarge("it takes too many steps; use fewer rules".to_owned()))
    }

    fn learn_beginning(&mut self, rule: usize, body: &Node) -> bool {
        let (nullable, regular) = (self.is_nullable(body), self.is_regular(body));
        let learns = self.nullable[rule] != nullable || self.regular[rule] != regular;
        (self.nullable[rule], self.regular[rule]) = (nullable, regular);
        let first = self.first(body);
        self.first[rule].add(&first) || learns
    }

    fn learn_prefixes(&mut self, rule: usize, body: &Node) -> bool {
        let prefix_free = self.is_prefix_free(body);
        std::mem::replace(&mut self.prefix_free[rule], prefix_free) != prefix_free
    }

    fn learn_follow(&mut self, rule: usize, body: &Node) -> bool {
        let follow = self.follow[rule].clone();
        self.spread(body, &follow)
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
            Node::Sequence(parts) => {
                parts.iter().rev().fold(Class::default(), |after, part| self.first_before(part, &after))
            }
            Node::Choice(choices) => choices.iter().fold(Class::default(), |mut all, choice| {
                all.add(&self.first(choice));
                all
            }),
            Node::Repeat(node, ..) => self.first(node),
        }
    }

    /// Returns the characters that may come next before `part`, which the characters `after` may follow.
    pub(super) fn first_before(&self, part: &Node, after: &Class) -> Class {
        let mut first = self.first(part);
        if self.is_nullable(part) {
            first.add(after);
        }
        first
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
                let (mut changes, mut after) = (false, follow.clone());
                for part in parts.iter().rev() {
                    changes |= self.spread(part, &after);
                    after = self.first_before(part, &after);
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

impl Rules {
    fn size(&self) -> usize {
        self.bodies.iter().map(Node::size).sum()
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
