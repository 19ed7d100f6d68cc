//! Messages that spell out special tokens, which are not meant as such.

use serde_json::Value;
use tercet_chat::{ChatInput, ChatTemplate};

use super::{Spelled, Tokenizer};
use crate::error::{Error, Result};

/// Characters of a private use, which stand around a spelled-out token in a rendered prompt.
const START: char = '\u{F0000}';
const END: char = '\u{F0001}';

impl Tokenizer {
    /// Returns the tokens of the prompt that `template` makes of `input`. With [`Spelled::Text`], special tokens that the
    /// input spells out are text; those of the template stay tokens.
    ///
    /// # Errors
    /// Those of [`ChatTemplate::render`] and [`Tokenizer::encode`].
    pub fn encode_chat(
        &self,
        template: &ChatTemplate,
        input: &ChatInput,
        spelled: Spelled,
    ) -> Result<Vec<u32>> {
        if spelled == Spelled::Token {
            return self.encode(&template.render(input)?, false);
        }
        let tokens = ControlTokens::of(self, template.text(input)?);
        tokens.encode(self, &template.render(&tokens.mark(input))?)
    }
}

/// The tokens by which a template structures a prompt, longest first. Messages may spell them out as mere text.
struct ControlTokens(Vec<String>);

/// A piece of a rendered prompt.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// The template's own text, and text of messages without control tokens.
    Prompt(&'a str),
    /// A control token that a message spells out.
    Spelled(&'a str),
}

impl ControlTokens {
    /// Returns the control tokens of a model: special tokens, and added tokens in its `template`.
    fn of(tokenizer: &Tokenizer, template: &str) -> Self {
        let is_control =
            |token: &str, special: bool| special || template.contains(token) && !token.trim().is_empty();
        let added = tokenizer.added_tokens().filter(|(token, special)| is_control(token, *special));
        let mut tokens: Vec<String> = added.map(|(token, _)| token.to_owned()).collect();
        tokens.sort_by_key(|token| std::cmp::Reverse(token.len()));
        ControlTokens(tokens)
    }

    /// Returns `input` with marks around the control tokens that its texts spell out.
    fn mark(&self, input: &ChatInput) -> ChatInput {
        let all = |values: &[Value]| values.iter().map(|value| self.mark_value(value)).collect();
        let fields = input.chat_template_kwargs.iter();
        ChatInput {
            messages: all(&input.messages),
            tools: input.tools.as_deref().map(all),
            documents: input.documents.as_deref().map(all),
            chat_template_kwargs: fields
                .map(|(name, value)| (name.clone(), self.mark_value(value)))
                .collect(),
            ..*input
        }
    }

    fn mark_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mark_text(text)),
            Value::Array(values) => values.iter().map(|value| self.mark_value(value)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.mark_value(value))).collect()
            }
            other => other.clone(),
        }
    }

    fn mark_text(&self, text: &str) -> String {
        let text = text.replace([START, END], "");
        let (mut marked, mut rest) = (String::with_capacity(text.len()), text.as_str());
        while let Some(c) = rest.chars().next() {
            let length = match self.at(rest) {
                Some(token) => {
                    marked.push(START);
                    marked.push_str(token);
                    marked.push(END);
                    token.len()
                }
                None => {
                    marked.push(c);
                    c.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        marked
    }

    /// Returns the tokens of a prompt that was rendered from marked messages. The marked tokens are text in it.
    ///
    /// The pieces are encoded one by one, as transformers does with `sanitize_control_tokens`.
    fn encode(&self, tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>> {
        let newline = tokenizer.encode("\n", false)?;
        let mut ids = Vec::new();
        for (number, piece) in self.pieces(prompt).into_iter().enumerate() {
            match piece {
                Piece::Prompt(text) if number == 0 => ids.extend(tokenizer.encode(text, false)?),
                Piece::Prompt(text) => {
                    ids.extend(after_newline(&newline, text, |text| tokenizer.encode(text, false))?)
                }
                Piece::Spelled(token) => {
                    let spelled =
                        after_newline(&newline, token, |text| tokenizer.encode_without_added(text))?;
                    if tokenizer.id_of(token).is_some_and(|id| spelled.contains(&id)) {
                        let problem = format!("the vocabulary has {token:?} only as a special token");
                        return Err(Error::bad_argument("the message", problem, "leave the token out"));
                    }
                    ids.extend(spelled);
                }
            }
        }
        Ok(ids)
    }

    /// Cuts a prompt at its marks. A template may have cut a text within its marks; such marks only separate pieces.
    fn pieces<'a>(&self, prompt: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut rest = prompt;
        while let Some(at) = rest.find([START, END]) {
            pieces.push(Piece::Prompt(&rest[..at]));
            let marked = rest[at..].strip_prefix(START);
            let token = marked.and_then(|marked| Some((self.at(marked)?.len(), marked)));
            rest = match token.and_then(|(length, marked)| marked.split_at_checked(length)) {
                Some((token, after)) if after.starts_with(END) => {
                    pieces.push(Piece::Spelled(token));
                    &after[END.len_utf8()..]
                }
                _ => &rest[at + START.len_utf8()..],
            };
        }
        pieces.push(Piece::Prompt(rest));
        pieces
    }

    /// Returns the longest control token at the start of `text`.
    fn at(&self, text: &str) -> Option<&String> {
        self.0.iter().find(|token| text.starts_with(token.as_str()))
    }
}

/// Returns the tokens of a piece from the middle of a text. After a line break, no tokenizer puts a space before it.
fn after_newline(
    newline: &[u32],
    piece: &str,
    encode: impl Fn(&str) -> Result<Vec<u32>>,
) -> Result<Vec<u32>> {
    if piece.is_empty() {
        return Ok(Vec::new());
    }
    match encode(&format!("\n{piece}"))?.strip_prefix(newline) {
        Some(ids) => Ok(ids.to_vec()),
        None => encode(piece),
    }
}
