//! Chat templates: turn a conversation into the prompt format of a model's training.
//!
//! A template is Jinja as transformers sets it up. minijinja parses and runs it; the modules here give its values and
//! operators Python's meaning, and keep it within bounds.

mod arguments;
mod clock;
mod comparison;
mod environment;
mod filters;
mod format;
mod globals;
mod input;
mod json;
mod markup;
mod methods;
mod operators;
mod predicates;
mod pretty;
mod printing;
mod sandbox;
mod slices;
mod source;
mod spelled;
mod syntax;
#[cfg(test)]
mod tests;
mod unicode;
mod value;
mod wrap;

use minijinja::ErrorKind;
use serde_json::{Map, Value};
use tercet_formats::{ModelFiles, TemplateSource};

use crate::error::{Error, Result};
use crate::tokenizer::{Spelled, Tokenizer};
use spelled::ControlTokens;

pub use input::{ChatInput, Message};

/// A model's Jinja template, which turns a conversation into a prompt. It renders as in transformers.
///
/// ```
/// use tercet_engine::{ChatInput, ChatTemplate, Message};
/// use tercet_formats::TemplateSource;
///
/// let template = ChatTemplate::compile(TemplateSource {
///     text: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:".to_owned(),
///     tool_use: None,
///     label: "chat_template.jinja".to_owned(),
///     special_tokens: Vec::new(),
/// })?;
/// let prompt = template.render(&ChatInput::question(&[Message::new("user", "Hello!")]))?;
/// assert_eq!(prompt, "user: Hello!\nassistant:");
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    source: TemplateSource,
}

impl ChatTemplate {
    /// Reads a model's template and checks it.
    ///
    /// # Errors
    /// Fails like [`TemplateSource::load`] and [`ChatTemplate::compile`].
    pub fn load(files: &ModelFiles) -> Result<Self> {
        Self::compile(TemplateSource::load(files)?)
    }

    /// Checks a template.
    ///
    /// # Errors
    /// [`tercet_formats::Error::Malformed`] if it is not valid Jinja, or too large.
    pub fn compile(source: TemplateSource) -> Result<Self> {
        for text in std::iter::once(&source.text).chain(&source.tool_use) {
            sandbox::check(text).map_err(|error| failed(&source.label, &error))?;
        }
        Ok(ChatTemplate { source })
    }

    /// Returns the prompt for `input`.
    ///
    /// The prompt spells out its special tokens, BOS included, so encode it without adding a BOS.
    ///
    /// # Errors
    /// [`tercet_formats::Error::Malformed`] if the template fails, refuses these messages, or takes too much time,
    /// text or depth; [`Error::BadArgument`] if the input is not a conversation.
    pub fn render(&self, input: &ChatInput) -> Result<String> {
        let template = self.template(input);
        let tokens = self.source.special_tokens.iter();
        let mut variables: Map<String, Value> =
            tokens.map(|(name, token)| (name.clone(), Value::from(token.as_str()))).collect();
        let continued = input.variables(template, &mut variables)?;
        let text = sandbox::render(template, &Value::Object(variables))
            .map_err(|error| failed(&self.source.label, &error))?;
        match continued {
            Some(continued) => continued.cut(text),
            None => Ok(text),
        }
    }

    /// Returns the tokens of the prompt that [`ChatTemplate::render`] makes of `input`. With [`Spelled::Text`], special
    /// tokens that the input spells out are text; those of the template stay tokens.
    ///
    /// # Errors
    /// Those of [`ChatTemplate::render`] and [`Tokenizer::encode`].
    pub fn encode(&self, tokenizer: &Tokenizer, input: &ChatInput, spelled: Spelled) -> Result<Vec<u32>> {
        if spelled == Spelled::Token {
            return tokenizer.encode(&self.render(input)?, false);
        }
        let tokens = ControlTokens::of(tokenizer, self.template(input));
        tokens.encode(tokenizer, &self.render(&tokens.mark(input))?)
    }

    /// Returns the template's text: the one without tools, if there are two.
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// Returns the text of the template for `input`.
    fn template(&self, input: &ChatInput) -> &str {
        match (&input.tools, &self.source.tool_use) {
            (Some(_), Some(tool_use)) => tool_use,
            _ => &self.source.text,
        }
    }
}

fn failed(label: &str, error: &minijinja::Error) -> Error {
    let line =
        error.line().map_or_else(|| "chat template".to_owned(), |line| format!("chat template line {line}"));
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    // A message of the template's own may have several lines.
    let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    let (problem, remedy) = match error.kind() {
        ErrorKind::OutOfFuel => (
            "it takes too much time or makes too much text".to_owned(),
            "shorten the conversation, or correct the template",
        ),
        globals::REFUSAL => {
            (format!("the template refuses these messages: {detail}"), "correct the messages")
        }
        _ => (detail, "check the messages, or correct the template"),
    };
    Error::malformed(label, line, problem, remedy)
}
