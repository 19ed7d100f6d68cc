//! `POST /api/generate`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tercet_engine::{ChatInput, Message, Request};

use super::answer::{Draft, Parts, Reaction};
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::chat::Chat;
use crate::error::{Result, refuse};
use crate::{prompt, texts};

#[derive(Deserialize, JsonSchema)]
pub(super) struct GenerateRequest {
    #[serde(default, deserialize_with = "nullable")]
    prompt: String,
    #[serde(default, deserialize_with = "nullable")]
    system: String,
    /// Go on with the prompt as it is, without the chat template.
    #[serde(default, deserialize_with = "nullable")]
    raw: bool,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(skip)]
    suffix: String,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(skip)]
    template: String,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(skip)]
    context: Vec<u32>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(skip)]
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

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct TextContent {
    response: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
}

impl From<Parts> for TextContent {
    fn from(Parts { thoughts, content, .. }: Parts) -> Self {
        TextContent { response: content, thinking: thoughts }
    }
}

pub(super) async fn generate(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<GenerateRequest>,
) -> Result<Reaction<TextContent>> {
    let start = Instant::now();
    body.check()?;
    let GenerateRequest { prompt, system, raw, parameters, .. } = body;
    let model = parameters.find(&state)?;
    let draft = Draft::new(&model, &parameters.model, start);
    if prompt.is_empty() {
        return Ok(draft.loaded());
    }
    let asked = parameters.grammar()?;
    // A model without a template only continues texts.
    let (prompt, grammar, draft) = if raw || !model.has_template() {
        let prompt = prompt::encode(&model, move |model| texts::framed(model, &(system + &prompt))).await?;
        (prompt, model.matcher(asked).await?, draft)
    } else {
        let system = (!system.is_empty()).then(|| Message::new("system", system));
        let messages: Vec<Message> = system.into_iter().chain([Message::new("user", prompt)]).collect();
        let chat_template_kwargs = parameters.template_variables();
        let input = ChatInput { chat_template_kwargs, ..ChatInput::question(&messages) };
        let Chat { prompt, grammar, parser } = Chat::new(&model, input, None, asked).await?;
        (prompt, grammar, draft.of_chat(parser))
    };
    let request = Request { grammar, ..parameters.request(&model, prompt.len())? };
    draft.respond(prompt, request, parameters.stream()).await
}
