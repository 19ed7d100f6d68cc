//! From messages or texts to the tokens of a prompt.

use std::sync::Arc;

use serde_json::{Map, Value};
use tercet_engine::ChatInput;

use crate::error::{ApiError, Result};
use crate::models::Model;
use crate::tools::Thinking;

/// What stands between the parts of a message: they are paragraphs of one text.
const BETWEEN_PARTS: &str = "\n\n";

/// Returns messages that every template understands: each with a role and a text.
///
/// # Errors
/// Fails with status 400 if a message has no role, or its content is not text.
pub(crate) fn plain_messages(messages: Vec<Value>) -> Result<Vec<Value>> {
    messages.into_iter().map(plain).collect()
}

fn plain(mut message: Value) -> Result<Value> {
    let wrong = |problem: &str| ApiError::field("messages", problem);
    match message.get("role").and_then(Value::as_str) {
        // OpenAI's name for messages of the system.
        Some("developer") => message["role"] = "system".into(),
        Some(_) => {}
        None => return Err(wrong("one has no role; give each a \"role\" and a \"content\"")),
    }
    let content = match message.get("content") {
        Some(Value::Array(parts)) => text_of(parts)?,
        Some(Value::String(_)) => return Ok(message),
        None | Some(Value::Null) if message.get("tool_calls").is_some() => String::new(),
        _ => return Err(wrong("one has no text; give each a \"content\"")),
    };
    message["content"] = content.into();
    Ok(message)
}

/// Returns the chat in which the model speaks next: it goes on with a last message of the assistant, or else answers.
/// `variables` are those of the template.
///
/// # Errors
/// Fails with status 400 if a message has no role or is not text, or two messages at the end are the assistant's.
pub(crate) fn chat(messages: Vec<Value>, variables: Map<String, Value>) -> Result<ChatInput> {
    let messages = plain_messages(messages)?;
    let is_answer = |message: &&Value| message["role"] == "assistant";
    let continued = match messages.iter().rev().take_while(is_answer).count() {
        0 => false,
        1 => messages.last().is_some_and(|message| message["content"] != ""),
        _ => return Err(ApiError::field("messages", "the last two are the assistant's; join them")),
    };
    Ok(ChatInput {
        messages,
        add_generation_prompt: !continued,
        continue_final_message: continued,
        chat_template_kwargs: variables,
        ..ChatInput::default()
    })
}

/// Returns the text of a message's parts.
///
/// # Errors
/// Fails with status 400 if one of them is not text.
pub(crate) fn text_of(parts: &[Value]) -> Result<String> {
    let texts: Result<Vec<&str>> = parts.iter().map(text_of_part).collect();
    Ok(texts?.join(BETWEEN_PARTS))
}

fn text_of_part(part: &Value) -> Result<&str> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    let problem = match kind {
        "text" | "input_text" | "output_text" => match part.get("text").and_then(Value::as_str) {
            Some(text) => return Ok(text),
            None => format!("a part of type {kind:?} has no \"text\""),
        },
        "image" | "image_url" | "input_image" => {
            format!("image input is not supported (a part of type {kind:?}); send text")
        }
        _ => format!("a part of type {kind:?} is not supported; send text"),
    };
    Err(ApiError::field("messages", &problem))
}

/// Returns the tokens of a chat by the model's template, and where the model's thoughts are after them.
///
/// # Errors
/// Fails with status 400 if the model has no template, the template refuses the messages, or the context cannot hold them.
pub(crate) async fn with_thinking(model: &Arc<Model>, input: ChatInput) -> Result<(Vec<u32>, Thinking)> {
    encode(model, move |model| {
        let text = model.render(&input)?;
        let thinking = Thinking::after(&text, model.format.thinks && !input.continue_final_message);
        Ok((tokens(model, &text, false)?, thinking))
    })
    .await
}

/// Returns the tokens of `text` for the model's context; `framed` as in
/// [`Tokenizer::encode`](tercet_engine::Tokenizer::encode). A text that is much too long is not read.
///
/// # Errors
/// Fails with status 400 if the context cannot hold so many bytes.
pub(crate) fn tokens(model: &Model, text: &str, framed: bool) -> Result<Vec<u32>> {
    let tokenizer = model.session.tokenizer();
    let fewest = tokenizer.fewest_tokens(text.len());
    match fewest >= model.context {
        true => Err(ApiError::too_long(text.len(), fewest + 1, model.context)),
        false => Ok(tokenizer.encode(text, framed)?),
    }
}

/// Returns what `work` makes of the model, on a thread for work that takes time.
///
/// # Errors
/// Fails if `work` does.
pub(crate) async fn encode<T: Send + 'static>(
    model: &Arc<Model>,
    work: impl FnOnce(&Model) -> Result<T> + Send + 'static,
) -> Result<T> {
    let model = Arc::clone(model);
    let task = tokio::task::spawn_blocking(move || work(&model)).await;
    task.map_err(|_| ApiError::internal("the prompt cannot be encoded: this is a fault of the server"))?
}
