//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tercet_engine::{ChatInput, Generation};

use super::answer::Head;
use super::logprobs;
use super::message::{Form, Message};
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::error::{ApiError, Result};
use crate::grammar::Asked;
use crate::models::Model;
use crate::prompt;
use crate::reply::Reply;
use crate::stream::{Framing, Piece};
use crate::timings::timings;
use crate::tools::{self, Thinking, Tools};

#[derive(Deserialize)]
pub(crate) struct ChatRequest {
    messages: Vec<Value>,
    continue_final_message: Option<bool>,
    add_generation_prompt: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    chat_template_kwargs: Map<String, Value>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    #[serde(flatten)]
    parameters: Parameters,
}

impl ChatRequest {
    /// Returns the chat, and the tools that the model may call. The model goes on with a last message of the assistant, unless
    /// the client decides otherwise.
    fn chat(&mut self, model: &Model) -> Result<(ChatInput, Option<Tools>)> {
        let tools = Tools::read(self.tools.take(), self.tool_choice.as_ref(), self.parallel_tool_calls)?;
        let variables = std::mem::take(&mut self.chat_template_kwargs);
        let mut input = prompt::chat(std::mem::take(&mut self.messages), variables)?;
        input.continue_final_message = self
            .continue_final_message
            .unwrap_or(input.continue_final_message && self.add_generation_prompt.is_none());
        input.add_generation_prompt = self.add_generation_prompt.unwrap_or(!input.continue_final_message);
        tools::prepare(&mut input, tools.as_ref(), model.format);
        Ok((input, tools))
    }
}

/// Counts the tokens of the prompt.
pub(crate) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(mut body): Body<ChatRequest>,
) -> Result<Json<Value>> {
    let model = state.models.find(body.parameters.model.as_deref())?;
    let (input, _) = body.chat(model)?;
    Ok(Json(json!({ "input_tokens": prompt::of_chat(model, input).await?.len() })))
}

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(mut body): Body<ChatRequest>,
) -> Result<Response> {
    let model = Arc::clone(state.models.find(body.parameters.model.as_deref())?);
    let (input, tools) = body.chat(&model)?;
    let ChatRequest { parameters, .. } = body;
    let (prompt, thinking) = prompt::with_thinking(&model, input).await?;
    let grammar = model.matcher(asked(&parameters, tools.as_ref(), &model, thinking)?).await?;
    let logprobs = body.logprobs.unwrap_or(false).then_some(body.top_logprobs.unwrap_or(0));
    let requests = parameters.requests(&model, prompt.len(), None, logprobs, grammar)?;
    let form = Form { format: model.format, thinking, has_tools: tools.is_some() };
    let mut messages: Vec<Message> = (0..requests.len()).map(|choice| Message::new(form, choice)).collect();
    let jobs = requests.into_iter().map(|request| (prompt.clone(), request));
    let reply = Reply::start(&model, jobs).await?;
    let head = Head::new("chatcmpl-", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage();
        let chunks = move |piece: Piece<'_>| chunks(&head, &model, &mut messages, piece, usage);
        return reply.stream(Framing::Events, chunks).await;
    }
    Ok(Json(whole(&head, &model, &mut messages, &reply.finish().await?)).into_response())
}

/// Returns the grammar of the answer: that of the request, or that of its tools.
fn asked(
    parameters: &Parameters,
    tools: Option<&Tools>,
    model: &Model,
    thinking: Thinking,
) -> Result<Option<Asked>> {
    match (parameters.grammar.asked()?, tools) {
        (Some(asked), Some(_)) => {
            Err(ApiError::field(asked.field, "it cannot be combined with tools; leave one of both out"))
        }
        (Some(Asked { field, grammar }), None) => {
            Ok(Some(Asked { field, grammar: tools::after_thinking(grammar, thinking) }))
        }
        (None, tools) => {
            Ok(tools
                .map(|tools| Asked { field: "tools", grammar: tools::calls(tools, model.format, thinking) }))
        }
    }
}

fn whole(head: &Head, model: &Model, messages: &mut [Message], generations: &[Generation]) -> Value {
    let choice = |(index, (generation, message)): (usize, (&Generation, &mut Message))| {
        let whole = message.whole(head, &generation.text);
        json!({
            "index": index,
            "message": whole,
            "finish_reason": message.finish_reason(generation.stop),
            "logprobs": logprobs::of_chat(model, &generation.logprobs),
        })
    };
    let choices = generations.iter().zip(messages).enumerate().map(choice).collect();
    head.answer("chat.completion", choices, Some((generations, generations.len())))
}

fn chunks(head: &Head, model: &Model, messages: &mut [Message], piece: Piece<'_>, usage: bool) -> Vec<Value> {
    const OBJECT: &str = "chat.completion.chunk";
    let chunk = |index: usize, delta: Value, logprobs: Value, finish_reason: Option<&str>| {
        let choice =
            json!({ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason });
        head.answer(OBJECT, vec![choice], None)
    };
    match piece {
        Piece::Start { index } => {
            vec![chunk(index, json!({ "role": "assistant", "content": null }), Value::Null, None)]
        }
        Piece::Step { index, step } => {
            let mut logprobs = logprobs::of_chat(model, &step.logprobs);
            let mut deltas = messages[index].push(head, &step.text);
            // Probabilities do not wait for the text.
            if deltas.is_empty() && !logprobs.is_null() {
                deltas.push(json!({ "content": "" }));
            }
            deltas.into_iter().map(|delta| chunk(index, delta, logprobs.take(), None)).collect()
        }
        Piece::End { index, generation } => {
            let message = &mut messages[index];
            let rest = message.finish(head).into_iter();
            let mut chunks: Vec<Value> = rest.map(|delta| chunk(index, delta, Value::Null, None)).collect();
            let reason = message.finish_reason(generation.stop);
            let mut last = chunk(index, json!({}), Value::Null, Some(reason));
            last["timings"] = timings(generation);
            chunks.push(last);
            chunks
        }
        Piece::All { generations } if usage => {
            vec![head.answer(OBJECT, Vec::new(), Some((generations, generations.len())))]
        }
        Piece::All { .. } => Vec::new(),
        Piece::Failed { error } => vec![error.body()],
    }
}
