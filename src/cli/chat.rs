//! `tercet chat`: turns of a conversation, typed or piped in.

mod command;
mod input;
mod turn;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use tercet_engine::{Error, Request, Session};

use super::args::{
    ContextArgs, ContinuationArgs, Described, OutputArgs, SessionArgs, SpelledArgs, TextArgs,
    template_variables,
};
use super::interrupt::{self, AtRest};
use super::report;
use super::screen::Look;
use command::{Command, HELP};
use input::{Pipe, Terminal};
use turn::{Dialogue, Turn};

const EXAMPLES: &str = "\
Examples:
  tercet chat -m DIR --system \"You answer in one sentence.\"
  printf 'Hello!\\nWho are you?\\n' | tercet chat -m DIR --json";

const JSON: &str = "\
JSON (for turns from a pipe, one per line): model, isa, threads, turns: [{user, reply, ids,
prompt_tokens, stop, prefill_s, decode_s}], peak_rss_bytes.
prompt_tokens counts the tokens that the model had to read in this turn. If a turn fails, the turns
before it are printed, and the status is not 0.";

/// Hold a conversation
///
/// The turns come from the terminal or from a pipe, one per line. The KV cache holds the conversation, so
/// that every turn costs only its own tokens. Every line of a pipe is text, also one that begins with a slash.
#[derive(Args, Debug)]
#[command(
    after_help = format!("At the terminal:\n{HELP}\n\n{EXAMPLES}"),
    after_long_help = format!("At the terminal:\n{HELP}\n\n{EXAMPLES}\n\n{JSON}")
)]
pub(super) struct Chat {
    /// System message, which the model reads before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Variables of the chat template, as a JSON object such as '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", value_parser = template_variables)]
    chat_template_kwargs: Option<Map<String, Value>>,
    #[command(flatten)]
    continuation: ContinuationArgs,
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

/// The output of `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    model: &'a str,
    isa: &'a str,
    threads: usize,
    turns: Vec<Turn>,
    peak_rss_bytes: Option<u64>,
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
        let mut dialogue = Dialogue {
            session: &session,
            conversation: session
                .conversation(self.system.clone())?
                .spelled(self.spelled.choice())
                .chat_template_kwargs(self.chat_template_kwargs.clone().unwrap_or_default()),
            request,
            look: if self.output.json { Look::Hidden } else { self.text.look() },
        };
        interrupt::at_rest(AtRest::EndIfRepeated);
        if interactive {
            report::note(greeting(&session, &dialogue.request));
            at_terminal(&mut dialogue)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut turns = Vec::new();
        let outcome = from_pipe(&mut dialogue, &mut turns);
        if self.output.json {
            report::print_json(&Summary {
                model: session.model().name(),
                isa: session.runtime().isa().name(),
                threads: session.runtime().threads(),
                turns,
                peak_rss_bytes: report::peak_rss_bytes(),
            })?;
        }
        outcome.map(|()| ExitCode::SUCCESS)
    }
}

fn greeting(session: &Session, request: &Request) -> String {
    format!(
        "[{} | {}, {} | context {} tokens | {}]\n/help shows the commands, /quit or Ctrl-D leaves, Ctrl-C stops a reply",
        session.model().name(),
        session.runtime().isa(),
        report::count(session.runtime().threads(), "thread"),
        session.context(),
        Described(&request.sampler),
    )
}

/// Takes turns and commands until the user leaves. A turn that fails causes a note and is not part of the conversation.
fn at_terminal(dialogue: &mut Dialogue<'_>) -> Result<()> {
    let mut input = Terminal::new()?;
    while let Some(line) = input.next()? {
        match Command::parse(&line) {
            None if line.trim().is_empty() => {}
            None => match dialogue.take(line.trim()).map_err(|error| error.downcast::<Error>()) {
                Ok(_) => {}
                Err(Ok(Error::ContextExceeded { tokens, context })) => report::note(format_args!(
                    "the conversation would take {tokens} tokens but the context holds {context}: {}",
                    dialogue.ways_out(line.trim())?
                )),
                Err(Ok(error)) => report::note(format_args!("error: {error}")),
                Err(Err(other)) => return Err(other),
            },
            Some(Command::Drop(turns)) => {
                let dropped = dialogue.conversation.drop_oldest(turns);
                let (dropped, left) = (report::count(dropped, "turn"), dialogue.conversation.turns());
                report::note(format_args!("forgot {dropped}, {left} left"));
            }
            Some(Command::Reset) => dialogue.conversation.reset(),
            Some(Command::Help) => report::note(HELP),
            Some(Command::Quit) => break,
            Some(Command::Unknown(line)) => report::note(format_args!(
                "{line:?} is no command: /help shows them; begin the line with a space to say it"
            )),
        }
    }
    Ok(())
}

/// Takes every line as a turn, into `turns`.
///
/// # Errors
/// Fails at the first line that is not text, and the first turn that fails. What does not fit the context fails too.
fn from_pipe(dialogue: &mut Dialogue<'_>, turns: &mut Vec<Turn>) -> Result<()> {
    let mut input = Pipe::new();
    while let Some((number, line)) = input.next()? {
        if line.trim().is_empty() {
            continue;
        }
        let turn = dialogue.take(&line).map_err(|error| match error.downcast::<Error>() {
            Ok(Error::ContextExceeded { tokens, context }) => {
                let most = dialogue.session.model().config().max_positions;
                let problem =
                    format!("the conversation takes {tokens} tokens but the context holds {context}");
                let remedy = format!("use --context, up to {most}, or say less");
                Error::bad_argument(format!("line {number} of standard input"), problem, remedy).into()
            }
            Ok(error) => error.into(),
            Err(error) => error,
        });
        turns.push(turn?);
    }
    Ok(())
}
