//! `POST /v1/completions`: continues texts as they are, without a chat template.

use std::sync::Arc;

use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tercet_engine::Generation;

use super::answer::{Answer, Head, finish_reason};
use super::echo::Echo;
use super::logprobs::CompletionLogprobs;
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::error::{ErrorAnswer, Result, refuse};
use crate::models::Model;
use crate::reply::Reply;
use crate::stream::{Chunk, Framing, Message, Piece, Sent};
use crate::telemetry::Report;
use crate::{prompt, shapes, texts};

/// Tokens that OpenAI's API generates unless asked for another number.
const DEFAULT_TOKENS: i64 = 16;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct CompletionRequest {
    #[schemars(schema_with = "shapes::prompt")]
    prompt: Value,
    /// Say the prompt before the completion, with the probabilities of its tokens if `logprobs` is there.
    #[serde(default, deserialize_with = "nullable")]
    echo: bool,
    /// Not supported: only the empty text is accepted.
    suffix: Option<String>,
    /// Alternatives of each token that are reported.
    #[schemars(range(max = 20))]
    logprobs: Option<usize>,
    #[serde(flatten)]
    parameters: Parameters,
}

/// A completion, or a chunk of one.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Completion(Answer<CompletionChoice>);

#[derive(Clone, Serialize, JsonSchema)]
struct CompletionChoice {
    index: usize,
    text: String,
    logprobs: Option<CompletionLogprobs>,
    /// Null until the text ends.
    finish_reason: Option<&'static str>,
}

impl Chunk for Completion {
    const FRAMING: Framing = Framing::Events;
}

type CompletionMessage = Message<Completion, ErrorAnswer>;

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<CompletionRequest>,
) -> Result<Sent<Completion, CompletionMessage>> {
    let CompletionRequest { prompt, echo, suffix, logprobs, parameters } = body;
    refuse(&[("suffix", suffix.is_some_and(|suffix| !suffix.is_empty()))])?;
    let model = Arc::clone(state.models.find(parameters.model.as_deref())?);
    let prompts = prompt::encode(&model, move |model| texts::prompts(model, &prompt)).await?;
    let grammar = model.matcher(parameters.grammar.asked()?).await?;
    let mut choices = Vec::new();
    for prompt in &prompts {
        let (tokens, grammar) = (Some(DEFAULT_TOKENS), grammar.clone());
        let requests = parameters.requests(&model, prompt.len(), tokens, logprobs, grammar)?;
        choices.extend(requests.into_iter().map(|request| (prompt.clone(), request)));
    }
    let n = parameters.choices();
    let echoes = if echo { Echo::of_all(&model, &prompts, logprobs).await? } else { Vec::new() };
    let reply = Reply::start(&model, choices, parameters.telemetry).await?;
    let head = Head::new("cmpl-", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage().then_some(n);
        let say = move |piece: Piece<'_>, report: &Report| match piece {
            Piece::Start { index } => {
                echoes.get(index / n).map(|echo| echoed(&head, index, echo)).into_iter().collect()
            }
            piece => chunks(&head, &model, piece, report, usage),
        };
        return reply.stream(say).await;
    }
    let generations = reply.finish().await?;
    let choice = |(index, generation): (usize, &Generation)| {
        let (text, logprobs) = match echoes.get(index / n) {
            Some(echo) => echo.before(&model, generation),
            None => (generation.text.clone(), CompletionLogprobs::of(&model, &generation.logprobs)),
        };
        CompletionChoice { index, text, logprobs, finish_reason: Some(finish_reason(generation.stop)) }
    };
    let choices = generations.iter().enumerate().map(choice).collect();
    Ok(Sent::Whole(Completion(head.answer(OBJECT, choices).with_usage(&generations, n))))
}

const OBJECT: &str = "text_completion";

/// Returns the chunk with the prompt of a choice.
fn echoed(head: &Head, index: usize, Echo { text, logprobs }: &Echo) -> CompletionMessage {
    let choice =
        CompletionChoice { index, text: text.clone(), logprobs: logprobs.clone(), finish_reason: None };
    Message::Chunk(Completion(head.answer(OBJECT, vec![choice])))
}

fn chunks(
    head: &Head,
    model: &Model,
    piece: Piece<'_>,
    report: &Report,
    usage: Option<usize>,
) -> Vec<CompletionMessage> {
    let said = |answer| Message::Chunk(Completion(answer));
    let chunk = |index, text: &str, logprobs, finish_reason, report: Report| {
        let choice = CompletionChoice { index, text: text.to_owned(), logprobs, finish_reason };
        vec![said(head.answer(OBJECT, vec![choice]).with_report(report))]
    };
    match piece {
        Piece::Read { index } => chunk(index, "", None, None, report.clone()),
        Piece::Step { index, step } => {
            let logprobs = CompletionLogprobs::of(model, &step.logprobs);
            chunk(index, &step.text, logprobs, None, report.clone())
        }
        Piece::End { index, generation } => {
            chunk(index, "", None, Some(finish_reason(generation.stop)), Report::of(generation))
        }
        Piece::All { generations } => {
            let told = |n| said(head.answer(OBJECT, Vec::new()).with_usage(generations, n));
            usage.map(told).into_iter().collect()
        }
        Piece::Start { .. } => Vec::new(),
        Piece::Failed { error } => vec![error.into()],
    }
}
