//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tercet_engine::{ChatInput, Generation};

use super::answer::{Answer, Head};
use super::logprobs::ChatLogprobs;
use super::message::{Delta, Message, Whole};
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::chat::{Chat, InputTokens, count_tokens as count};
use crate::error::{ErrorAnswer, Result};
use crate::llama;
use crate::models::Model;
use crate::prompt;
use crate::reply::Reply;
use crate::shapes;
use crate::stream::{Chunk, Framing, Message as Sendable, Piece, Sent};
use crate::telemetry::Report;
use crate::tools::Tools;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ChatRequest {
    #[schemars(schema_with = "shapes::messages")]
    messages: Vec<Value>,
    /// Go on with the last message, as by default if it is the assistant's.
    continue_final_message: Option<bool>,
    /// Begin an answer, as by default unless the last message goes on.
    add_generation_prompt: Option<bool>,
    /// Variables of the chat template, such as `enable_thinking`.
    #[serde(default, deserialize_with = "nullable")]
    chat_template_kwargs: Map<String, Value>,
    /// Report the probability of each token.
    logprobs: Option<bool>,
    /// Alternatives of each token that are reported.
    #[schemars(range(max = 20))]
    top_logprobs: Option<usize>,
    #[serde(default)]
    #[schemars(schema_with = "shapes::tools")]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    #[schemars(schema_with = "shapes::tool_choice")]
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
) -> Result<Json<InputTokens>> {
    let model = state.models.find(body.parameters.model.as_deref())?;
    let (input, tools) = body.chat()?;
    Ok(Json(InputTokens { input_tokens: count(model, input, tools.as_ref()).await? }))
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ChatCompletion {
    #[serde(flatten)]
    answer: Answer<ChatChoice>,
    /// llama-server's account of the first choice.
    #[serde(rename = "__verbose", skip_serializing_if = "Option::is_none")]
    verbose: Option<llama::Reported>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct ChatChoice {
    index: usize,
    message: Whole,
    finish_reason: &'static str,
    logprobs: Option<ChatLogprobs>,
}

#[derive(Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ChatChunk(Answer<ChunkChoice>);

#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "ChatChunkChoice")]
struct ChunkChoice {
    index: usize,
    delta: Delta,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<&'static str>,
}

impl Chunk for ChatChunk {
    const FRAMING: Framing = Framing::Events;
}

type ChatMessage = Sendable<ChatChunk, ErrorAnswer>;

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(mut body): Body<ChatRequest>,
) -> Result<Sent<ChatCompletion, ChatMessage>> {
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
    let account = account.map(|request| llama::Answer::new(0, &model, &prompt, request)).transpose()?;
    let jobs = requests.into_iter().map(|request| (prompt.clone(), request));
    let reply = Reply::start(&model, jobs, parameters.telemetry).await?;
    let head = Head::new("chatcmpl-", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage();
        let say = move |piece: Piece<'_>, report: &Report| {
            chunks(&head, &model, &mut messages, piece, report, usage)
        };
        return reply.stream(say).await;
    }
    let generations = reply.finish().await?;
    let verbose = account.zip(generations.first()).map(|(account, first)| account.whole(first));
    let answer = whole(&head, &model, &mut messages, &generations);
    Ok(Sent::Whole(ChatCompletion { answer, verbose }))
}

fn whole(
    head: &Head,
    model: &Model,
    messages: &mut [Message],
    generations: &[Generation],
) -> Answer<ChatChoice> {
    let choice = |(index, (generation, message)): (usize, (&Generation, &mut Message))| {
        let whole = message.whole(head, &generation.text);
        ChatChoice {
            index,
            message: whole,
            finish_reason: message.finish_reason(generation.stop),
            logprobs: ChatLogprobs::of(model, &generation.logprobs),
        }
    };
    let choices = generations.iter().zip(messages).enumerate().map(choice).collect();
    head.answer("chat.completion", choices).with_usage(generations, generations.len())
}

fn chunks(
    head: &Head,
    model: &Model,
    messages: &mut [Message],
    piece: Piece<'_>,
    report: &Report,
    usage: bool,
) -> Vec<ChatMessage> {
    const OBJECT: &str = "chat.completion.chunk";
    let said = |answer| Sendable::Chunk(ChatChunk(answer));
    let chunk = |index, delta, logprobs, finish_reason, report: Report| {
        let choice = ChunkChoice { index, delta, logprobs, finish_reason };
        said(head.answer(OBJECT, vec![choice]).with_report(report))
    };
    match piece {
        Piece::Start { index } => vec![chunk(index, Delta::role(), None, None, report.clone())],
        Piece::Read { index } => vec![chunk(index, Delta::default(), None, None, report.clone())],
        Piece::Step { index, step } => {
            let mut logprobs = ChatLogprobs::of(model, &step.logprobs);
            let mut deltas = messages[index].push(head, &step.text);
            // Probabilities do not wait for the text.
            if deltas.is_empty() && logprobs.is_some() {
                deltas.push(Delta::content(String::new()));
            }
            let chunk = |delta| chunk(index, delta, logprobs.take(), None, report.clone());
            deltas.into_iter().map(chunk).collect()
        }
        Piece::End { index, generation } => {
            let message = &mut messages[index];
            let rest = message.finish(head).into_iter();
            let mut chunks: Vec<_> =
                rest.map(|delta| chunk(index, delta, None, None, report.clone())).collect();
            let reason = message.finish_reason(generation.stop);
            chunks.push(chunk(index, Delta::default(), None, Some(reason), Report::of(generation)));
            chunks
        }
        Piece::All { generations } if usage => {
            vec![said(head.answer(OBJECT, Vec::new()).with_usage(generations, generations.len()))]
        }
        Piece::All { .. } => Vec::new(),
        Piece::Failed { error } => vec![error.into()],
    }
}
