//! A chat, from the messages of any API to what the model needs, and from the model's text to its parts.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::{ChatInput, Matcher};

use crate::error::{ApiError, Result};
use crate::grammar::Asked;
use crate::models::Model;
use crate::prompt;
use crate::tools::{self, Parser, Tools};

/// A chat that waits for its answer.
pub(crate) struct Chat {
    pub(crate) prompt: Vec<u32>,
    /// The grammar of the answer: that of the request, or that of its tools.
    pub(crate) grammar: Option<Matcher>,
    /// Takes the answer apart.
    pub(crate) parser: Parser,
}

impl Chat {
    /// Prepares the chat of `input`, in which the model may call `tools`. `asked` is the request's own grammar.
    ///
    /// # Errors
    /// Fails with status 400 if the template refuses the messages, or a grammar cannot be used.
    pub(crate) async fn new(
        model: &Arc<Model>,
        mut input: ChatInput,
        tools: Option<Tools>,
        asked: Option<Asked>,
    ) -> Result<Self> {
        tools::prepare(&mut input, tools.as_ref(), model.format);
        let (prompt, thinking) = prompt::with_thinking(model, input).await?;
        let asked = match (asked, &tools) {
            (Some(asked), Some(_)) => {
                let problem = "it cannot be combined with tools; leave one of both out";
                return Err(ApiError::field(asked.field, problem));
            }
            (Some(Asked { field, grammar }), None) => {
                Some(Asked { field, grammar: tools::after_thinking(grammar, thinking) })
            }
            (None, Some(tools)) => {
                Some(Asked { field: "tools", grammar: tools::calls(tools, model.format, thinking) })
            }
            (None, None) => None,
        };
        let grammar = model.matcher(asked).await?;
        Ok(Chat { prompt, grammar, parser: Parser::new(model.format, thinking, tools.is_some()) })
    }
}

/// The tokens of a prompt.
#[derive(Serialize, JsonSchema)]
pub(crate) struct InputTokens {
    pub(crate) input_tokens: usize,
}

/// Returns the number of tokens of a chat's prompt.
///
/// # Errors
/// Fails with status 400 if the template refuses the messages.
pub(crate) async fn count_tokens(
    model: &Arc<Model>,
    mut input: ChatInput,
    tools: Option<&Tools>,
) -> Result<usize> {
    tools::prepare(&mut input, tools, model.format);
    prompt::encode(model, move |model| {
        Ok(model.session.tokenizer().encode(&model.render(&input)?, false)?.len())
    })
    .await
}
