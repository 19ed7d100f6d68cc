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
use super::message::Message;
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::chat::{Chat, count_tokens as count};
use crate::error::Result;
use crate::llama::Answer;
use crate::models::Model;
use crate::prompt;
use crate::reply::Reply;
use crate::stream::{Framing, Piece};
use crate::timings::timings;
use crate::tools::Tools;

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
    /// Add llama-server's account of the first choice: its prompt and its settings.
    #[serde(default, deserialize_with = "nullable")]
    verbose: bool,
    #[serde(flatten)]
    parameters: Parameters,
}

impl ChatRequest {
    /// Returns the chat, and the tools that the model may call. The model goes on with a last message of the assistant, unless
    /// the client decides otherwise.
    fn chat(&mut self) -> Result<(ChatInput, Option<Tools>)> {
        let tools = Tools::read(self.tools.take(), self.tool_choice.as_ref(), self.parallel_tool_calls)?;
        let variables = std::mem::take(&mut self.chat_template_kwargs);
        let mut input = prompt::chat(std::mem::take(&mut self.messages), variables)?;
        input.continue_final_message = self
            .continue_final_message
            .unwrap_or(input.continue_final_message && self.add_generation_prompt.is_none());
        input.add_generation_prompt = self.add_generation_prompt.unwrap_or(!input.continue_final_message);
        Ok((input, tools))
    }
}

/// Counts the tokens of the prompt.
pub(crate) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(mut body): Body<ChatRequest>,
) -> Result<Json<Value>> {
    let model = state.models.find(body.parameters.model.as_deref())?;
    let (input, tools) = body.chat()?;
    Ok(Json(json!({ "input_tokens": count(model, input, tools.as_ref()).await? })))
}

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(mut body): Body<ChatRequest>,
) -> Result<Response> {
    let model = Arc::clone(state.models.find(body.parameters.model.as_deref())?);
    let (input, tools) = body.chat()?;
    let ChatRequest { parameters, .. } = body;
    let Chat { prompt, grammar, parser } =
        Chat::new(&model, input, tools, parameters.grammar.asked()?).await?;
    let logprobs = body.logprobs.unwrap_or(false).then_some(body.top_logprobs.unwrap_or(0));
    let requests = parameters.requests(&model, prompt.len(), None, logprobs, grammar)?;
    let message = |choice| Message::new(parser.clone(), choice);
    let mut messages: Vec<Message> = (0..requests.len()).map(message).collect();
    let account = requests.first().filter(|_| body.verbose);
    let account = account.map(|request| Answer::new(0, &model, &prompt, request)).transpose()?;
    let jobs = requests.into_iter().map(|request| (prompt.clone(), request));
    let reply = Reply::start(&model, jobs, parameters.telemetry).await?;
    let head = Head::new("chatcmpl-", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage();
        let chunks = move |piece: Piece<'_>| chunks(&head, &model, &mut messages, piece, usage);
        return reply.stream(Framing::Events, chunks).await;
    }
    let generations = reply.finish().await?;
    let mut answer = whole(&head, &model, &mut messages, &generations);
    if let (Some(account), Some(first)) = (account, generations.first()) {
        answer["__verbose"] = account.whole(first);
    }
    Ok(Json(answer).into_response())
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
        Piece::Read { index } => vec![chunk(index, json!({}), Value::Null, None)],
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
