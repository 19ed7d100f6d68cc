//! Chat templates: turn a conversation into the prompt format of a model's training.
//!
//! A template is Jinja as transformers sets it up. minijinja parses and runs it. The modules here give its values and
//! operators Python's meaning, and keep it within bounds.

#![forbid(unsafe_code)]

mod arguments;
mod clock;
mod comparison;
mod environment;
mod error;
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
mod syntax;
#[cfg(test)]
mod tests;
mod unicode;
mod value;
mod wrap;

use serde_json::{Map, Value};
use tercet_formats::{ModelFiles, TemplateSource};

pub use error::{Error, Place, Result};
pub use input::{ChatInput, Message};

/// A model's Jinja templates, which turn a conversation into a prompt. They render as in transformers.
///
/// ```
/// use tercet_chat::{ChatInput, ChatTemplate, Message};
/// use tercet_formats::TemplateSource;
///
/// let text = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:";
/// let template = ChatTemplate::compile(TemplateSource::alone(text, "chat_template.jinja"))?;
/// let prompt = template.render(&ChatInput::question(&[Message::new("user", "Hello!")]))?;
/// assert_eq!(prompt, "user: Hello!\nassistant:");
/// # Ok::<(), tercet_chat::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    source: TemplateSource,
}

impl ChatTemplate {
    /// Reads a model's templates and checks them.
    ///
    /// # Errors
    /// Fails like [`TemplateSource::load`] and [`ChatTemplate::compile`].
    pub fn load(files: &ModelFiles) -> Result<Self> {
        Self::compile(TemplateSource::load(files)?)
    }

    /// Checks templates.
    ///
    /// # Errors
    /// [`Error::Failed`] if one is not valid Jinja, or too large.
    pub fn compile(source: TemplateSource) -> Result<Self> {
        for text in source.texts.values() {
            sandbox::check(text).map_err(|error| Error::of_template(&source.label, &error))?;
        }
        Ok(ChatTemplate { source })
    }

    /// Returns the prompt for `input`.
    ///
    /// The prompt spells out its special tokens, BOS included, so encode it without adding a BOS.
    ///
    /// # Errors
    /// - [`Error::Failed`] if the template fails,
    /// - [`Error::Refused`] if it refuses these messages,
    /// - [`Error::TooMuch`] if it takes too much time or text,
    /// - [`Error::BadArgument`] if the input is not a conversation,
    /// - those of [`ChatTemplate::text`].
    pub fn render(&self, input: &ChatInput) -> Result<String> {
        let template = self.text(input)?;
        let tokens = self.source.special_tokens.iter();
        let mut variables: Map<String, Value> =
            tokens.map(|(name, token)| (name.clone(), Value::from(token.as_str()))).collect();
        let continued = input.variables(template, &mut variables)?;
        let text = sandbox::render(template, &Value::Object(variables))
            .map_err(|error| Error::of_template(&self.source.label, &error))?;
        match continued {
            Some(continued) => continued.cut(text),
            None => Ok(text),
        }
    }

    /// Returns the text of the template for `input`.
    ///
    /// # Errors
    /// Those of [`TemplateSource::pick`].
    pub fn text(&self, input: &ChatInput) -> Result<&str> {
        Ok(self.source.pick(input.tools.is_some())?)
    }
}
