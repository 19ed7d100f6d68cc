//! Chat templates: turn a conversation into the prompt format of a model's training.

mod environment;
#[cfg(test)]
mod tests;

use minijinja::{Environment, Value, context};
use tercet_formats::{ModelFiles, TemplateSource};

use crate::error::{Error, Result};

const TEMPLATE: &str = "chat";

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The speaker: `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// Returns a turn of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into() }
    }
}

/// A model's Jinja template, which turns a conversation into a prompt. It renders as in transformers.
///
/// ```
/// use tercet_engine::{ChatTemplate, Message};
/// use tercet_formats::TemplateSource;
///
/// let template = ChatTemplate::compile(TemplateSource {
///     text: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:".to_owned(),
///     label: "chat_template.jinja".to_owned(),
///     special_tokens: Vec::new(),
/// })?;
/// let prompt = template.render(&[Message::new("user", "Hello!")], true)?;
/// assert_eq!(prompt, "user: Hello!\nassistant:");
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    label: String,
}

impl ChatTemplate {
    /// Reads and compiles a model's template.
    ///
    /// # Errors
    /// Fails like [`TemplateSource::load`] and [`ChatTemplate::compile`].
    pub fn load(files: &ModelFiles) -> Result<Self> {
        Self::compile(TemplateSource::load(files)?)
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// [`tercet_formats::Error::Malformed`] if it is not valid Jinja.
    pub fn compile(source: TemplateSource) -> Result<Self> {
        let TemplateSource { text, label, special_tokens } = source;
        let mut environment = environment::new();
        for (name, token) in special_tokens {
            environment.add_global(name, token);
        }
        environment.add_template_owned(TEMPLATE, text).map_err(|e| failed(&label, &e))?;
        Ok(ChatTemplate { environment, label })
    }

    /// Returns the prompt for `messages`. With `add_generation_prompt` it ends where the assistant's
    /// answer starts.
    ///
    /// The prompt spells out its special tokens, BOS included, so encode it without adding a BOS.
    ///
    /// # Errors
    /// Fails if the template does, or if it refuses these messages.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let turn = |message: &Message| context! { role => &message.role, content => &message.content };
        let arguments = context! {
            messages => messages.iter().map(turn).collect::<Vec<Value>>(),
            add_generation_prompt,
            tools => (),
            documents => (),
        };
        let template = self.environment.get_template(TEMPLATE).map_err(|e| failed(&self.label, &e))?;
        template.render(arguments).map_err(|e| failed(&self.label, &e))
    }
}

fn failed(label: &str, error: &minijinja::Error) -> Error {
    let line =
        error.line().map_or_else(|| "chat template".to_owned(), |line| format!("chat template line {line}"));
    let problem = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::malformed(label, line, problem, "check the messages, or correct the template")
}
