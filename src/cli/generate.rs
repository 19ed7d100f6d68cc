//! `tercet generate`: one prompt, one text.

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::options::Options;
use super::sampling::{Continuation, Described};
use super::screen::Screen;
use super::{interrupt, report};
use crate::formats;
use tercet_engine::Error;
use tercet_engine::Logits;
use tercet_engine::Session;
use tercet_engine::{ChatTemplate, Message};
use tercet_engine::{Generation, Generator, Request, Stop};

const DEFAULT_TOKENS: usize = 128;

const EXAMPLES: &str = "\
Examples:
  tercet generate \"Once upon a time\"
  tercet generate --seed 7 -t 0.9 --top-p 0.95 \"The dragon\"
  tercet generate --greedy -n 20 --json \"The dragon\" | jq .text
  tercet generate --chat \"Tell me about the sea\" --stop \"User:\"
  tercet generate < prompt.txt
  tercet generate --prompt-ids 4093,331 --logits logits.safetensors -n 0

JSON: model, isa, threads, prompt_ids, ids, text, stop (eos, length, stop_string, cancelled),
load_s, prefill_s, decode_s, prefill_tps, decode_tps, peak_rss_bytes (null where unknown).";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Generate {
    /// Text to continue; `-`, or none and a pipe, reads it from standard input, without its last line's end
    prompt: Option<String>,
    /// Token ids to continue, instead of a text; no start token is added
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with_all = ["prompt", "chat"])]
    prompt_ids: Option<Vec<u32>>,
    /// Treat the prompt as a question: wrap it in the model's chat template
    #[arg(long)]
    chat: bool,
    /// Also write the logits of every prompt position, as safetensors: `logits`, f32, positions × vocabulary
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    #[command(flatten)]
    continuation: Continuation,
}

/// A prompt and what of it is shown.
struct Prompt {
    ids: Vec<u32>,
    echo: String,
}

/// What `--json` prints.
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
    peak_rss_bytes: Option<u64>,
}

impl Generate {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let text = self.prompt_text()?;
        let session = options.load()?;
        let request = self.continuation.request(session.defaults(), DEFAULT_TOKENS);
        request.sampler.validate()?;
        let prompt = self.encode(text, &session)?;
        if let Some(path) = &self.logits {
            write_logits(path, &session, &prompt.ids)?;
        }
        let generation = generate(&session, &prompt, &request, !options.json)?;
        if options.json {
            report::print_json(&summary(&session, &prompt, &generation))?;
        } else {
            report::note(summary_line(&session, &generation, &request));
        }
        let interrupted = generation.stop == Stop::Cancelled;
        Ok(if interrupted { ExitCode::from(interrupt::STATUS) } else { ExitCode::SUCCESS })
    }

    /// The text to continue; empty if there are ids instead.
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
                let mut bytes = Vec::new();
                io::stdin().read_to_end(&mut bytes)?;
                let Ok(text) = String::from_utf8(bytes) else {
                    return bad("standard input is not UTF-8", "convert it");
                };
                let line = text.strip_suffix('\n').unwrap_or(&text);
                line.strip_suffix('\r').unwrap_or(line).to_owned()
            }
            Some(text) => text.to_owned(),
        };
        if text.is_empty() {
            return bad("it is empty", "give some text, or the start token's id with --prompt-ids");
        }
        Ok(text)
    }

    fn encode(&self, text: String, session: &Session) -> Result<Prompt> {
        if let Some(ids) = &self.prompt_ids {
            return Ok(Prompt { ids: ids.clone(), echo: session.tokenizer().decode(ids, true)? });
        }
        if self.chat {
            let template = ChatTemplate::load(session.files())?;
            let text = template.render(&[Message::new("user", text)], true)?;
            return Ok(Prompt { ids: session.tokenizer().encode(&text, false)?, echo: String::new() });
        }
        Ok(Prompt { ids: session.tokenizer().encode(&text, true)?, echo: text })
    }
}

fn generate(session: &Session, prompt: &Prompt, request: &Request, visible: bool) -> Result<Generation> {
    let mut generator = Generator::new(session.model(), session.tokenizer(), session.context())?;
    interrupt::install();
    let mut screen = Screen::new(visible, &prompt.echo);
    let generation =
        interrupt::during(|| generator.generate(&prompt.ids, request, |piece| screen.show(piece)))?;
    screen.end()?;
    Ok(generation)
}

fn write_logits(path: &Path, session: &Session, ids: &[u32]) -> Result<()> {
    let mut state = session.model().new_state(session.context())?;
    let logits = session.model().forward(&mut state, ids, Logits::All)?;
    let shape = [ids.len(), session.model().config().vocab_size];
    Ok(formats::write_f32(path, "logits", &shape, logits)?)
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
        peak_rss_bytes: report::peak_rss_bytes(),
    }
}

fn summary_line(session: &Session, generation: &Generation, request: &Request) -> String {
    format!(
        "[{} | {}, {} | prefill {} at {:.0}/s | decode {} at {:.0}/s | {}]",
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
