//! The syntax of GBNF.

use std::collections::HashMap;

use super::class::Class;
use super::{Node, Rules};
use crate::error::{Error, Result};

/// Deepest nesting of parentheses.
const DEPTH: usize = 100;
/// Most times that a part is repeated by number, as in llama.cpp.
const REPETITIONS: u32 = 2000;

/// Reads a grammar, which must define every rule that it names, and `root`.
pub(super) fn parse(text: &str) -> Result<Rules> {
    let mut parser = Parser { text, at: 0, depth: 0, names: HashMap::new(), mentions: Vec::new() };
    let mut bodies = HashMap::new();
    parser.skip(true);
    while parser.at < text.len() {
        let (rule, body) = parser.rule()?;
        bodies.insert(rule, body);
        parser.skip(true);
    }
    let Some(&root) = parser.names.get("root") else {
        return Err(Error::Invalid(
            "there is no rule `root`; define it, as in root ::= \"yes\" | \"no\"".to_owned(),
        ));
    };
    let undefined = |(rule, at): (usize, usize)| {
        let name = parser.names.iter().find(|(_, known)| **known == rule).map_or("", |(name, _)| name);
        parser.fault(at, &format!("the rule `{name}` is not defined"))
    };
    let mentions = parser.mentions.iter().copied().enumerate();
    let body = |(rule, at)| bodies.remove(&rule).ok_or_else(|| undefined((rule, at)));
    Ok(Rules { bodies: mentions.map(body).collect::<Result<_>>()?, root })
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    names: HashMap<&'t str, usize>,
    /// The place of each rule's first mention.
    mentions: Vec<usize>,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the next character, if there is one.
    fn next(&mut self) -> Option<char> {
        self.peek().inspect(|c| self.at += c.len_utf8())
    }

    /// Takes `token` if it comes next.
    fn takes(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        match self.takes(token) {
            true => Ok(()),
            false => Err(self.fault(self.at, &format!("`{token}` is expected here"))),
        }
    }

    fn fault(&self, at: usize, problem: &str) -> Error {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::Invalid(format!("line {line}, column {column}: {problem}"))
    }

    /// Skips white space and comments, with line breaks or without.
    fn skip(&mut self, breaks: bool) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => self.at += 1,
                '\r' | '\n' if breaks => self.at += 1,
                '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ => break,
            }
        }
    }

    fn name(&mut self) -> Result<usize> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        if name.is_empty() {
            return Err(self.fault(self.at, "the name of a rule is expected here"));
        }
        let next = self.names.len();
        let rule = *self.names.entry(name).or_insert(next);
        if rule == next {
            self.mentions.push(self.at);
        }
        self.at += name.len();
        Ok(rule)
    }

    fn rule(&mut self) -> Result<(usize, Node)> {
        let rule = self.name()?;
        self.skip(false);
        self.expect("::=")?;
        self.skip(true);
        let body = self.choice()?;
        match self.peek() {
            None | Some('\r' | '\n') => Ok((rule, body)),
            Some(_) => Err(self.fault(self.at, "the end of the rule or a part of it is expected here")),
        }
    }

    fn choice(&mut self) -> Result<Node> {
        let mut choices = vec![self.sequence()?];
        while self.takes("|") {
            self.skip(true);
            choices.push(self.sequence()?);
        }
        Ok(if choices.len() == 1 { choices.remove(0) } else { Node::Choice(choices) })
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut parts = Vec::new();
        while let Some(part) = self.part()? {
            self.skip(self.depth > 0);
            let part = self.repeated(part)?;
            parts.push(part);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Sequence(parts) })
    }

    /// Reads a literal, a class, a name, a token or a group.
    fn part(&mut self) -> Result<Option<Node>> {
        Ok(Some(match self.peek() {
            Some('"') => self.literal()?,
            Some('[') => self.class()?,
            Some('.') => {
                self.at += 1;
                Node::Class(Class::any())
            }
            Some('<' | '!') => self.token()?,
            Some('(') => {
                if self.depth >= DEPTH {
                    return Err(self.fault(self.at, &format!("parentheses nest deeper than {DEPTH}")));
                }
                self.at += 1;
                self.depth += 1;
                self.skip(true);
                let group = self.choice()?;
                self.depth -= 1;
                self.expect(")")?;
                group
            }
            Some(c) if c.is_ascii_alphanumeric() || c == '-' || c == '_' => Node::Rule(self.name()?),
            _ => return Ok(None),
        }))
    }

    /// Reads the repetitions after a part.
    fn repeated(&mut self, mut part: Node) -> Result<Node> {
        loop {
            let (min, max) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => self.bounds()?,
                _ => return Ok(part),
            };
            self.at += 1;
            self.skip(self.depth > 0);
            part = Node::Repeat(Box::new(part), min, max);
        }
    }

    /// Reads `{m}`, `{m,}` or `{m,n}`, up to the closing brace.
    fn bounds(&mut self) -> Result<(u32, Option<u32>)> {
        let start = self.at;
        self.at += 1;
        self.skip(false);
        let min = self.number()?;
        self.skip(false);
        let max = if self.takes(",") {
            self.skip(false);
            if self.peek() == Some('}') { None } else { Some(self.number()?) }
        } else {
            Some(min)
        };
        self.skip(false);
        if self.peek() != Some('}') {
            return Err(self.fault(self.at, "`}` is expected here"));
        }
        match max {
            Some(max) if max < min => Err(self.fault(start, "the least number is larger than the most")),
            _ if min.max(max.unwrap_or(0)) > REPETITIONS => {
                Err(self.fault(start, &format!("a part is repeated at most {REPETITIONS} times by number")))
            }
            _ => Ok((min, max)),
        }
    }

    fn number(&mut self) -> Result<u32> {
        let rest = self.rest();
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        let number = digits.parse().map_err(|_| self.fault(self.at, "a number is expected here"));
        self.at += digits.len();
        number
    }

    fn literal(&mut self) -> Result<Node> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while !self.takes("\"") {
            text.push(self.char(start, "the string has no end")?);
        }
        Ok(if text.is_empty() { Node::Sequence(Vec::new()) } else { Node::Text(text) })
    }

    fn class(&mut self) -> Result<Node> {
        let start = self.at;
        self.at += 1;
        let negated = self.takes("^");
        let mut ranges = Vec::new();
        while !self.takes("]") {
            let first = self.char(start, "the class has no end")?;
            let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            let last = if is_range {
                self.at += 1;
                self.char(start, "the class has no end")?
            } else {
                first
            };
            if last < first {
                return Err(
                    self.fault(start, &format!("the range from {first:?} to {last:?} is upside down"))
                );
            }
            ranges.push((first, last));
        }
        let class = Class::of(ranges);
        let class = if negated { class.negated() } else { class };
        match class.is_empty() {
            true => Err(self.fault(start, "the class has no character")),
            false => Ok(Node::Class(class)),
        }
    }

    /// Reads a character, which may be escaped. What began at `start` needs one.
    fn char(&mut self, start: usize, missing: &str) -> Result<char> {
        let at = self.at;
        match self.next() {
            None => Err(self.fault(start, missing)),
            Some('\\') => {
                let Some(escape) = self.next() else { return Err(self.fault(start, missing)) };
                match escape {
                    'x' => self.code(at, 2),
                    'u' => self.code(at, 4),
                    'U' => self.code(at, 8),
                    't' => Ok('\t'),
                    'r' => Ok('\r'),
                    'n' => Ok('\n'),
                    '\\' | '"' | '[' | ']' | '-' | '^' | '/' => Ok(escape),
                    _ => Err(self.fault(at, &format!("there is no escape `\\{escape}`"))),
                }
            }
            Some(c) => Ok(c),
        }
    }

    fn code(&mut self, at: usize, digits: usize) -> Result<char> {
        let code = self.rest().get(..digits).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = code.and_then(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?));
        self.at += if code.is_some() { digits } else { 0 };
        code.ok_or_else(|| {
            self.fault(at, &format!("{digits} hexadecimal digits of a character are expected here"))
        })
    }

    /// Reads `<name>`, `<[number]>` or its negation with `!`.
    fn token(&mut self) -> Result<Node> {
        let start = self.at;
        let negated = self.takes("!");
        self.expect("<")?;
        let end = self.rest().find(['>', '\n']).filter(|&end| self.rest()[end..].starts_with('>'));
        let end = end.ok_or_else(|| self.fault(start, "the token has no `>`"))?;
        let name = &self.rest()[..end];
        self.at += end + 1;
        let number = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        match (number, negated) {
            (Some(number), _) if number.parse::<u32>().is_err() => {
                Err(self.fault(start, "the number of a token is expected between the brackets"))
            }
            (Some(number), true) => Ok(Node::Token(format!("<[^{number}]>"))),
            (Some(number), false) => Ok(Node::Token(format!("<[{number}]>"))),
            (None, true) => Err(self.fault(start, "a token is negated by its number, as in !<[1000]>")),
            (None, false) => Ok(Node::Token(format!("<{name}>"))),
        }
    }
}
