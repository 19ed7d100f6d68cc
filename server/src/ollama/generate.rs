//! `POST /api/generate`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State as Extract;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use tercet_engine::{ChatInput, Message, Request};

use super::answer::{Answer, Parts};
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::chat::Chat;
use crate::error::{Result, refuse};
use crate::prompt;

#[derive(Deserialize)]
pub(super) struct GenerateRequest {
    #[serde(default, deserialize_with = "nullable")]
    prompt: String,
    #[serde(default, deserialize_with = "nullable")]
    system: String,
    /// Go on with the prompt as it is, without the chat template.
    #[serde(default, deserialize_with = "nullable")]
    raw: bool,
    #[serde(default, deserialize_with = "nullable")]
    suffix: String,
    #[serde(default, deserialize_with = "nullable")]
    template: String,
    #[serde(default, deserialize_with = "nullable")]
    context: Vec<u32>,
    #[serde(default, deserialize_with = "nullable")]
    images: Vec<Value>,
    #[serde(flatten)]
    parameters: Parameters,
}

impl GenerateRequest {
    fn check(&self) -> Result<()> {
        refuse(&[
            ("suffix", !self.suffix.is_empty()),
            ("template", !self.template.is_empty()),
            ("context", !self.context.is_empty()),
            ("images", !self.images.is_empty()),
        ])
    }
}

pub(super) async fn generate(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<GenerateRequest>,
) -> Result<Response> {
    let start = Instant::now();
    body.check()?;
    let GenerateRequest { prompt, system, raw, parameters, .. } = body;
    let model = parameters.find(&state)?;
    let put = |answer: &mut Value, parts: &Parts| {
        answer["response"] = parts.content.as_str().into();
        if !parts.thoughts.is_empty() {
            answer["thinking"] = parts.thoughts.as_str().into();
        }
    };
    let answer = Answer::new(&model, &parameters.model, start, put);
    if prompt.is_empty() {
        return Ok(answer.loaded());
    }
    let asked = parameters.grammar()?;
    // A model without a template only continues texts.
    let (prompt, grammar, answer) = if raw || !model.has_template() {
        let prompt =
            prompt::encode(&model, move |model| Ok(model.session.encode(&(system + &prompt))?)).await?;
        (prompt, model.matcher(asked).await?, answer)
    } else {
        let system = (!system.is_empty()).then(|| Message::new("system", system));
        let messages: Vec<Message> = system.into_iter().chain([Message::new("user", prompt)]).collect();
        let chat_template_kwargs = parameters.template_variables();
        let input = ChatInput { chat_template_kwargs, ..ChatInput::question(&messages) };
        let Chat { prompt, grammar, parser } = Chat::new(&model, input, None, asked).await?;
        (prompt, grammar, answer.of_chat(parser))
    };
    let request = Request { grammar, ..parameters.request(&model, prompt.len())? };
    answer.respond(prompt, request, parameters.stream()).await
}
