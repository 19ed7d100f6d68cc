//! `tercet chat`: turns of a conversation, typed or piped in.

mod input;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::args::{ContextArgs, ContinuationArgs, Described, OutputArgs, SessionArgs};
use super::interrupt::{self, AtRest};
use super::report;
use super::screen::Screen;
use input::Input;
use tercet_engine::Conversation;
use tercet_engine::Error;
use tercet_engine::Session;
use tercet_engine::{Request, Stop};

const EXAMPLES: &str = "\
In the chat:
  /reset        forget the conversation
  /help         show these commands
  /quit         leave, as does Ctrl-D
  Ctrl-C        stop the reply

Examples:
  tercet chat -m DIR --system \"You answer in one sentence.\"
  printf 'Hello!\\nWho are you?\\n' | tercet chat -m DIR --json";

const JSON: &str = "\
JSON (for turns from a pipe, one per line): model, isa, threads, turns: [{user, reply, ids,
prompt_tokens, stop, prefill_s, decode_s}], peak_rss_bytes.
prompt_tokens counts the tokens that the model had to read in this turn. A turn with the stop
context_exceeded did not fit and is not part of the conversation.";

const COMMANDS: &str = "/reset forgets the conversation, /quit or Ctrl-D leaves, Ctrl-C stops a reply";

/// Hold a conversation
///
/// The turns come from the terminal or from a pipe, one per line. The KV cache holds the conversation, so
/// that every turn costs only its own tokens.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Chat {
    /// System message, which the model reads before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    continuation: ContinuationArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    model: &'a str,
    isa: &'a str,
    threads: usize,
    turns: Vec<Turn>,
    peak_rss_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Turn {
    user: String,
    reply: String,
    ids: Vec<u32>,
    /// Tokens that the model had to read. Tokens in the KV cache do not count.
    prompt_tokens: usize,
    stop: &'static str,
    prefill_s: f64,
    decode_s: f64,
}

impl Chat {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let interactive = io::stdin().is_terminal();
        if interactive && self.output.json {
            let problem = "a chat at the terminal cannot print JSON";
            return Err(Error::bad_argument("--json", problem, "pipe the turns in, one per line").into());
        }
        let session = self.session.open(self.context.context)?;
        let request = self.continuation.request(session.defaults(), usize::MAX);
        request.sampler.validate()?;
        let mut conversation = session.conversation(self.system.clone())?;
        let mut input = Input::new(interactive)?;
        if interactive {
            report::note(greeting(&session, &request));
        }
        let at_rest = if interactive { AtRest::Ignore } else { AtRest::EndIfRepeated };
        interrupt::at_rest(at_rest);

        let mut turns = Vec::new();
        while let Some(line) = input.next()? {
            match line.trim() {
                "" => {}
                "/quit" | "/exit" => break,
                "/reset" => conversation.reset(),
                command if command.starts_with('/') => report::note(COMMANDS),
                text => {
                    let visible = !self.output.json;
                    turns.push(take_turn(&mut conversation, &session, &request, at_rest, text, visible)?)
                }
            }
        }
        if self.output.json {
            report::print_json(&Summary {
                model: session.model().name(),
                isa: session.runtime().isa().name(),
                threads: session.runtime().threads(),
                turns,
                peak_rss_bytes: report::peak_rss_bytes(),
            })?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn greeting(session: &Session, request: &Request) -> String {
    format!(
        "[{} | {}, {} | context {} tokens | {}]\n{COMMANDS}",
        session.model().name(),
        session.runtime().isa(),
        report::count(session.runtime().threads(), "thread"),
        session.context(),
        Described(&request.sampler),
    )
}

/// Takes one turn. A turn that does not fit the context causes a note and no failure.
fn take_turn(
    conversation: &mut Conversation<&Session>,
    session: &Session,
    request: &Request,
    at_rest: AtRest,
    text: &str,
    visible: bool,
) -> Result<Turn> {
    let mut screen = Screen::new(visible, "");
    let reply = interrupt::during(at_rest, |cancel| {
        let request = Request { cancel, ..request.clone() };
        conversation.reply(text, &request, |piece| screen.show(piece))
    });
    let generation = match reply {
        Err(Error::ContextExceeded { tokens, context }) => {
            drop(screen);
            report::note(format_args!(
                "the conversation would take {tokens} tokens but the context holds {context}: \
                 say less, or /reset to start anew"
            ));
            return Ok(Turn::not_taken(text));
        }
        reply => reply?,
    };
    screen.end()?;
    if generation.stop == Stop::Length && conversation.tokens() > session.context() {
        report::note(format_args!(
            "the context of {} tokens is full: /reset to start anew",
            session.context()
        ));
    }
    Ok(Turn {
        user: text.to_owned(),
        reply: generation.text,
        ids: generation.ids,
        prompt_tokens: generation.prompt_tokens,
        stop: generation.stop.name(),
        prefill_s: generation.prefill.as_secs_f64(),
        decode_s: generation.decode.as_secs_f64(),
    })
}

impl Turn {
    fn not_taken(text: &str) -> Self {
        Turn {
            user: text.to_owned(),
            reply: String::new(),
            ids: Vec::new(),
            prompt_tokens: 0,
            stop: "context_exceeded",
            prefill_s: 0.0,
            decode_s: 0.0,
        }
    }
}
