//! Finds thoughts and calls in a model's text, as it grows.

use serde_json::Deserializer;

use super::format::{CLOSE, Format, OPEN, Syntax};
use super::grammar::Thinking;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Thoughts before the answer.
    Reasoning(String),
    /// Text.
    Content(String),
    /// A call begins. Calls are numbered from 0.
    Call { index: usize, name: String },
    /// The arguments of a call go on. Together they are JSON.
    Arguments { index: usize, text: String },
}

/// Takes a text apart. The parts do not depend on the pieces in which the text arrives.
#[derive(Clone, Debug)]
pub(crate) struct Parser {
    /// The form of calls, if there may be some.
    calls: Option<Syntax>,
    state: State,
    /// Text that does not tell yet what it is.
    held: String,
    index: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Thoughts may begin.
    Start,
    Reasoning,
    /// White space before thoughts, or before the text.
    Margin {
        thoughts: bool,
    },
    Content,
    /// Between the calls.
    Calls,
    /// In the name of a call.
    Name,
    Arguments {
        depth: usize,
        string: bool,
        escaped: bool,
    },
}

const THINK: [&str; 2] = ["<think>", "</think>"];

impl Parser {
    /// Returns a parser for an answer after a prompt, with or without tools.
    pub(crate) fn new(format: Format, thinking: Thinking, has_tools: bool) -> Self {
        let state = match thinking {
            Thinking::Over => State::Content,
            Thinking::Possible => State::Start,
            Thinking::Open => State::Margin { thoughts: true },
        };
        Parser { calls: has_tools.then_some(format.syntax), state, held: String::new(), index: 0 }
    }

    /// Takes the next piece of text, and returns the parts that are certain.
    pub(crate) fn push(&mut self, piece: &str) -> Vec<Part> {
        self.held.push_str(piece);
        self.parts(false)
    }

    /// Returns the rest at the end of the text.
    pub(crate) fn finish(&mut self) -> Vec<Part> {
        self.parts(true)
    }

    fn parts(&mut self, last: bool) -> Vec<Part> {
        let mut parts = Vec::new();
        while self.step(last, &mut parts) {}
        parts
    }

    /// Goes on by one state. Returns false if the state needs more text.
    fn step(&mut self, last: bool, parts: &mut Vec<Part>) -> bool {
        match self.state {
            State::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(THINK[0]) {
                    self.held = rest.to_owned();
                    self.go(State::Margin { thoughts: true })
                } else if THINK[0].starts_with(text) && !last {
                    false
                } else {
                    self.go(State::Content)
                }
            }
            State::Reasoning => {
                let found = self.take_until(THINK[1], last);
                push_text(parts, found.0, Part::Reasoning);
                found.1 && self.go(State::Margin { thoughts: false })
            }
            State::Margin { thoughts } => {
                self.held = self.held.trim_start().to_owned();
                let next = if thoughts { State::Reasoning } else { State::Content };
                !self.held.is_empty() && self.go(next)
            }
            State::Content => match self.calls {
                Some(Syntax::Bare) if self.index == 0 && self.held.trim_start().starts_with('{') => {
                    self.go(State::Calls)
                }
                Some(Syntax::Bare) if self.index == 0 && self.held.trim().is_empty() => false,
                Some(Syntax::Tagged | Syntax::List) => {
                    let (text, found) = self.take_until(OPEN, last);
                    // White space between calls is no text.
                    if self.index == 0 || !text.trim().is_empty() {
                        push_text(parts, text, Part::Content);
                    }
                    found && self.go(State::Calls)
                }
                _ => {
                    // A bare call is the whole answer or no part of it.
                    self.calls = self.calls.filter(|_| self.held.is_empty());
                    push_text(parts, std::mem::take(&mut self.held), Part::Content);
                    false
                }
            },
            State::Calls => {
                let between = |c: char| c.is_whitespace() || "[],;}".contains(c);
                self.held = self.held.trim_start_matches(between).to_owned();
                if self.held.starts_with('{') {
                    return self.go(State::Name);
                }
                match self.held.strip_prefix(CLOSE).map(str::to_owned) {
                    Some(rest) => {
                        self.held = rest;
                        self.go(State::Content)
                    }
                    None => false,
                }
            }
            State::Name => match name(&self.held) {
                Some((name, rest)) => {
                    self.held = rest.to_owned();
                    parts.push(Part::Call { index: self.index, name });
                    self.go(State::Arguments { depth: 0, string: false, escaped: false })
                }
                None => false,
            },
            State::Arguments { depth, string, escaped } => {
                let (end, state) = arguments(&self.held, (depth, string, escaped));
                let text: String = self.held.drain(..end).collect();
                if !text.is_empty() {
                    parts.push(Part::Arguments { index: self.index, text });
                }
                self.state = state;
                let ended = state == State::Calls;
                self.index += usize::from(ended);
                ended
            }
        }
    }

    fn go(&mut self, state: State) -> bool {
        self.state = state;
        true
    }

    /// Takes the held text up to `tag`, without the white space before it, and the tag itself. Returns the text, and true if
    /// the tag was found. Text that may belong to the tag stays.
    fn take_until(&mut self, tag: &str, last: bool) -> (String, bool) {
        if let Some(at) = self.held.find(tag) {
            let text = self.held[..at].trim_end().to_owned();
            self.held.drain(..at + tag.len());
            return (text, true);
        }
        let may_begin = |at: &usize| tag.starts_with(&self.held[*at..]);
        let first = self.held.len().saturating_sub(tag.len());
        let starts = self.held.char_indices().map(|(at, _)| at).filter(|&at| at >= first);
        let safe = starts.into_iter().find(may_begin).unwrap_or(self.held.len());
        let safe = if last { self.held.len() } else { self.held[..safe].trim_end().len() };
        (self.held.drain(..safe).collect(), false)
    }
}

fn push_text(parts: &mut Vec<Part>, text: String, part: fn(String) -> Part) {
    if !text.is_empty() {
        parts.push(part(text));
    }
}

/// Returns the name of the call that `text` begins, and the text from its arguments on. None if there is too little text.
fn name(text: &str) -> Option<(String, &str)> {
    let (_, rest) = key(text.strip_prefix('{')?)?;
    let (name, rest) = string(rest)?;
    let (_, rest) = key(rest.trim_start().strip_prefix(',')?)?;
    rest.starts_with('{').then_some((name, rest))
}

/// Returns a key of an object, and the text from its value on.
fn key(text: &str) -> Option<(String, &str)> {
    let (key, rest) = string(text.trim_start())?;
    Some((key, rest.trim_start().strip_prefix(':')?.trim_start()))
}

/// Returns the JSON string that `text` begins with, and the rest.
fn string(text: &str) -> Option<(String, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

/// Returns the end of the arguments in `text`, or of the text, and the state there.
fn arguments(text: &str, (mut depth, mut string, mut escaped): (usize, bool, bool)) -> (usize, State) {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            b'{' | b'[' if !string => depth += 1,
            b'}' | b']' if !string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (at + 1, State::Calls);
                }
            }
            _ => {}
        }
    }
    (text.len(), State::Arguments { depth, string, escaped })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGGED: Format = Format { syntax: Syntax::Tagged, native: true, thinks: true };

    /// Returns the parts of `text` in pieces of `size` characters, with neighbours of a kind joined.
    fn parts(format: Format, thinking: Thinking, text: &str, size: usize) -> Vec<Part> {
        let mut parser = Parser::new(format, thinking, true);
        let chars: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = chars.chunks(size).map(|piece| piece.iter().collect()).collect();
        let mut all: Vec<Part> = Vec::new();
        let mut parts: Vec<Part> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
        parts.extend(parser.finish());
        for part in parts {
            match (all.last_mut(), &part) {
                (Some(Part::Content(text)), Part::Content(more))
                | (Some(Part::Reasoning(text)), Part::Reasoning(more))
                | (Some(Part::Arguments { text, .. }), Part::Arguments { text: more, .. }) => {
                    text.push_str(more)
                }
                _ => all.push(part),
            }
        }
        all
    }

    fn check(format: Format, thinking: Thinking, text: &str, expected: &[Part]) {
        for size in 1..=text.chars().count().max(1) {
            assert_eq!(parts(format, thinking, text, size), expected, "{text:?} in pieces of {size}");
        }
    }

    fn call(index: usize, name: &str, arguments: &str) -> [Part; 2] {
        [Part::Call { index, name: name.to_owned() }, Part::Arguments { index, text: arguments.to_owned() }]
    }

    #[test]
    fn the_parts_do_not_depend_on_the_pieces() {
        let [content, reasoning] =
            [Part::Content, Part::Reasoning].map(|part| move |text: &str| part(text.to_owned()));
        let possible = |text: &str, expected: &[Part]| check(TAGGED, Thinking::Possible, text, expected);
        possible("just <text> é", &[content("just <text> é")]);
        possible("  <thin air", &[content("  <thin air")]);
        possible("<think>\nhm < x\n</think>\n\nyes", &[reasoning("hm < x"), content("yes")]);
        let arguments = r#"{"a": "}\"é", "b": [{}]}"#;
        let one = format!(
            "Let me see.\n<tool_call>\n{{\"name\": \"f\", \"arguments\": {arguments}}}\n</tool_call>"
        );
        possible(&one, &[&[content("Let me see.")], &call(0, "f", arguments)[..]].concat());
        let two = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {\"x\": 1}}\n</tool_call>";
        possible(two, &[call(0, "f", "{}"), call(1, "g", "{\"x\": 1}")].concat());
        check(TAGGED, Thinking::Open, "so</think>no", &[reasoning("so"), content("no")]);
        check(TAGGED, Thinking::Over, "<think>", &[content("<think>")]);
        let cut = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"1";
        possible(cut, &call(0, "f", "{\"x\": \"1"));
    }

    #[test]
    fn lists_and_bare_calls_are_calls() {
        let list = Format { syntax: Syntax::List, ..TAGGED };
        let text = "<tool_call>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]</tool_call>";
        check(list, Thinking::Over, text, &[call(0, "f", "{}"), call(1, "g", "{}")].concat());
        let bare = Format { syntax: Syntax::Bare, ..TAGGED };
        check(
            bare,
            Thinking::Over,
            "{\"name\": \"f\", \"parameters\": {\"x\": 1}}",
            &call(0, "f", "{\"x\": 1}"),
        );
        check(bare, Thinking::Over, "no {call}", &[Part::Content("no {call}".to_owned())]);
    }
}
