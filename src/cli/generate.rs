//! `tercet generate`: one prompt, one text.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::args::{
    ContextArgs, ContinuationArgs, Described, GrammarArgs, OutputArgs, SessionArgs, SpelledArgs, TextArgs,
    template_variables,
};
use super::interrupt::{self, AtRest};
use super::report;
use super::screen::{Look, Screen};
use super::text;
use tercet_engine::Error;
use tercet_engine::Logits;
use tercet_engine::Session;
use tercet_engine::{ChatInput, Message};
use tercet_engine::{Generation, Generator, Request, Stop};

const DEFAULT_TOKENS: usize = 128;

const EXAMPLES: &str = "\
Examples:
  tercet generate \"Once upon a time\"
  tercet generate --seed 7 -t 0.9 --top-p 0.95 \"The dragon\"
  tercet generate --greedy -n 20 --json \"The dragon\" | jq .text
  tercet generate --chat \"Tell me about the sea\" --stop \"User:\"
  tercet generate --regex \"(yes|no)\" \"Is the sea salty? \"
  tercet generate < prompt.txt
  tercet generate --prompt-ids 4093,331 --logits logits.safetensors -n 0";

const JSON: &str = "\
JSON: model, isa, threads, prompt_ids, ids, text, stop (eos, length, stop_string, stop_id, cancelled),
load_s, prefill_s, decode_s, prefill_tps, decode_tps, drafted and accepted (tokens of drafts),
peak_rss_bytes (null where unknown).";

/// Continue a text
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Generate {
    /// Text to continue; `-` or a pipe reads it from standard input
    ///
    /// The line break at the end of standard input is not part of the text.
    prompt: Option<String>,
    /// Token ids to continue instead of a text
    ///
    /// The ids are used as they are: no start token is added.
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with_all = ["prompt", "chat"])]
    prompt_ids: Option<Vec<u32>>,
    /// Wrap the prompt in the model's chat template, as a question
    #[arg(long)]
    chat: bool,
    /// Variables of the chat template, as a JSON object such as '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", requires = "chat", value_parser = template_variables)]
    chat_template_kwargs: Option<Map<String, Value>>,
    /// Write the logits of every prompt position to FILE
    ///
    /// The file has the format safetensors. Its tensor `logits` has the type f32 and the shape
    /// positions × vocabulary.
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    #[command(flatten)]
    continuation: ContinuationArgs,
    #[command(flatten)]
    grammar: GrammarArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    spelled: SpelledArgs,
    #[command(flatten)]
    text: TextArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A prompt's tokens, and the text that is shown for them.
struct Prompt {
    ids: Vec<u32>,
    echo: String,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    model: &'a str,
    isa: &'a str,
    threads: usize,
    prompt_ids: &'a [u32],
    ids: &'a [u32],
    text: &'a str,
    stop: &'a str,
    load_s: f64,
    prefill_s: f64,
    decode_s: f64,
    prefill_tps: f64,
    decode_tps: f64,
    drafted: usize,
    accepted: usize,
    peak_rss_bytes: Option<u64>,
}

impl Generate {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let text = self.prompt_text()?;
        let session = self.session.open(self.context.context)?;
        let mut request = self.continuation.request(session.defaults(), DEFAULT_TOKENS);
        request.sampler.validate()?;
        request.grammar = self.grammar.matcher(session.tokenizer())?;
        let prompt = self.encode(text, &session)?;
        if let Some(path) = &self.logits {
            write_logits(path, &session, &prompt.ids)?;
        }
        let look = if self.output.json { Look::Hidden } else { self.text.look() };
        let generation = generate(&session, &prompt, &request, look)?;
        if self.output.json {
            report::print_json(&summary(&session, &prompt, &generation))?;
        } else {
            report::note(summary_line(&session, &generation, &request));
        }
        let interrupted = generation.stop == Stop::Cancelled;
        Ok(if interrupted { ExitCode::from(interrupt::STATUS) } else { ExitCode::SUCCESS })
    }

    /// Returns the text to continue, or an empty text if ids are given instead.
    fn prompt_text(&self) -> Result<String> {
        let bad =
            |problem: &str, remedy: &str| Err(Error::bad_argument("the prompt", problem, remedy).into());
        if self.prompt_ids.is_some() {
            return Ok(String::new());
        }
        let text = match self.prompt.as_deref() {
            None if io::stdin().is_terminal() => {
                return bad("there is none", "give one, as in: tercet generate \"Once upon a time\"");
            }
            None | Some("-") => {
                let text = text::from_stdin("the prompt")?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                line.strip_suffix('\r').unwrap_or(line).to_owned()
            }
            Some(text) => text.to_owned(),
        };
        if text.is_empty() {
            return bad("it is empty", "give some text, or the id of the start token with --prompt-ids");
        }
        Ok(text)
    }

    fn encode(&self, text: String, session: &Session) -> Result<Prompt> {
        if let Some(ids) = &self.prompt_ids {
            return Ok(Prompt { ids: ids.clone(), echo: session.tokenizer().decode(ids, true)? });
        }
        if self.chat {
            let template = session.template()?;
            let input = ChatInput {
                chat_template_kwargs: self.chat_template_kwargs.clone().unwrap_or_default(),
                ..ChatInput::question(&[Message::new("user", text)])
            };
            let ids = session.tokenizer().encode_chat(&template, &input, self.spelled.choice())?;
            return Ok(Prompt { ids, echo: String::new() });
        }
        let ids = session.tokenizer().encode_spelled(&text, true, self.spelled.choice())?;
        Ok(Prompt { ids, echo: text })
    }
}

fn generate(session: &Session, prompt: &Prompt, request: &Request, look: Look) -> Result<Generation> {
    let mut generator = Generator::new(session.model(), session.tokenizer(), session.context())?;
    let mut screen = Screen::new(look, &prompt.echo);
    let generation = interrupt::during(AtRest::End, |cancel| {
        let request = Request { cancel, ..request.clone() };
        generator.generate(&prompt.ids, &request, |piece| screen.show(piece))
    })?;
    screen.end()?;
    Ok(generation)
}

fn write_logits(path: &Path, session: &Session, ids: &[u32]) -> Result<()> {
    let mut state = session.model().new_state(session.context())?;
    let logits = session.model().forward(&mut state, ids, Logits::All)?;
    let shape = [ids.len(), session.model().config().vocab_size];
    Ok(tercet_formats::write_f32(path, "logits", &shape, logits)?)
}

fn summary<'a>(session: &'a Session, prompt: &'a Prompt, generation: &'a Generation) -> Summary<'a> {
    Summary {
        model: session.model().name(),
        isa: session.runtime().isa().name(),
        threads: session.runtime().threads(),
        prompt_ids: &prompt.ids,
        ids: &generation.ids,
        text: &generation.text,
        stop: generation.stop.name(),
        load_s: session.model().load_time().as_secs_f64(),
        prefill_s: generation.prefill.as_secs_f64(),
        decode_s: generation.decode.as_secs_f64(),
        prefill_tps: report::rate(generation.prefill_tps()),
        decode_tps: report::rate(generation.decode_tps()),
        drafted: generation.drafted,
        accepted: generation.accepted,
        peak_rss_bytes: report::peak_rss_bytes(),
    }
}

fn summary_line(session: &Session, generation: &Generation, request: &Request) -> String {
    let drafts = match generation.drafted {
        0 => String::new(),
        drafted => format!(", {} of {drafted} drafted", generation.accepted),
    };
    format!(
        "[{} | {}, {} | prefill {} at {:.0}/s | decode {} at {:.0}/s{drafts} | {}]",
        session.model().name(),
        session.runtime().isa(),
        report::count(session.runtime().threads(), "thread"),
        report::count(generation.prompt_tokens, "token"),
        report::rate(generation.prefill_tps()),
        report::count(generation.ids.len(), "token"),
        report::rate(generation.decode_tps()),
        Described(&request.sampler),
    )
}
