//! `tercet chat`: turns of a conversation, typed or piped in.

mod choice;
mod clipboard;
mod command;
mod editor;
mod lines;
mod pipe;
mod saved;
mod settings;
mod shift;
mod terminal;
mod turn;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use tercet_engine::{Conversation, Error, Session};

use super::args::{
    ContextArgs, ContinuationArgs, OutputArgs, SessionArgs, SpelledArgs, TextArgs, random_seed,
    template_variables,
};
use super::config;
use super::interrupt::{self, AtRest};
use super::report;
use super::screen::Look;
use super::toy;
use pipe::Pipe;
use settings::Settings;
use shift::Shift;
use terminal::Terminal;
use turn::{Dialogue, Turn};

const EXAMPLES: &str = "\
Examples:
  tercet chat -m DIR --system \"You answer in one sentence.\"
  printf 'Hello!\\nWho are you?\\n' | tercet chat -m DIR --json";

const JSON: &str = "\
JSON (for turns from a pipe, one per line): model, isa, threads, turns: [{user, reply, ids,
prompt_tokens, stop, prefill_s, decode_s, drafted, accepted}], peak_rss_bytes.
prompt_tokens counts the tokens that the model had to read in this turn; drafted and accepted
count those of drafts. If a turn fails, the turns before it are printed, and the status is not 0.";

/// Hold a conversation
///
/// The turns come from the terminal or from a pipe, one per line. The KV cache holds the conversation, so
/// that every turn costs only its own tokens. Every line of a pipe is text, also one that begins with a slash.
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("At the terminal:\n{}\n\n{EXAMPLES}\n\n{JSON}", command::help())
)]
pub(super) struct Chat {
    /// System message, which the model reads before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Variables of the chat template, as a JSON object such as '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", value_parser = template_variables, hide_short_help = true)]
    chat_template_kwargs: Option<Map<String, Value>>,
    /// Forget the oldest turns at the terminal when the context is full
    #[arg(long)]
    context_shift: bool,
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
        let mut model = None;
        if interactive && toy::is_chosen(self.session.load.model.model.as_deref())? {
            model = choice::choose()?;
            if model.is_none() {
                return Ok(ExitCode::SUCCESS);
            }
        }
        let session = self.open(model.as_deref())?;
        let seed = if interactive { random_seed() } else { 0 };
        let settings = Settings::new(self.continuation.clone(), self.continuation.choices(seed)?);
        let mut dialogue = Dialogue {
            request: settings.request(&session),
            conversation: self.conversation(session.clone())?,
            shift: if interactive { self.shift(&session) } else { Shift::Off },
            session,
            look: if self.output.json { Look::Hidden } else { self.text.look() },
        };
        dialogue.request.sampler.validate()?;
        interrupt::at_rest(AtRest::EndIfRepeated);
        if interactive {
            Terminal::new(self, dialogue, settings).run()?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut turns = Vec::new();
        let outcome = from_pipe(&mut dialogue, &mut turns);
        if self.output.json {
            report::print_json(&Summary {
                model: dialogue.session.model().name(),
                isa: dialogue.session.runtime().isa().name(),
                threads: dialogue.session.runtime().threads(),
                turns,
                peak_rss_bytes: report::peak_rss_bytes(),
            })?;
        }
        outcome.map(|()| ExitCode::SUCCESS)
    }

    /// Opens `model`, or else the one that the flags name.
    fn open(&self, model: Option<&Path>) -> Result<Arc<Session>> {
        let model = model.or(self.session.load.model.model.as_deref());
        let draft_model = self.continuation.draft_model();
        Ok(Arc::new(self.session.open_model(model, self.context.context, draft_model)?))
    }

    /// Returns what the flags want of a full context.
    fn shift(&self, session: &Session) -> Shift {
        match self.context_shift {
            true => Shift::On { context: session.context() },
            false => Shift::Off,
        }
    }

    /// Starts a conversation as the flags say.
    fn conversation(&self, session: Arc<Session>) -> Result<Conversation<Arc<Session>>> {
        Ok(Conversation::new(session, config::system(self.system.as_deref())?)?
            .spelled(self.spelled.choice())
            .chat_template_kwargs(self.chat_template_kwargs.clone().unwrap_or_default()))
    }
}

/// Returns true if `line` is a command at the terminal.
#[cfg(test)]
pub(super) fn is_command(line: &str) -> bool {
    use command::Command;
    !matches!(Command::parse(line), None | Some(Command::Unknown(_) | Command::Misused(_)))
}

/// Takes every line as a turn, into `turns`.
///
/// # Errors
/// Fails at the first line that is not text, and the first turn that fails. What does not fit the context fails too.
fn from_pipe(dialogue: &mut Dialogue, turns: &mut Vec<Turn>) -> Result<()> {
    let mut input = Pipe::new();
    while let Some((number, line)) = input.next()? {
        if line.trim().is_empty() {
            continue;
        }
        let generation = dialogue.take(&line).map_err(|error| match error.downcast::<Error>() {
            Ok(Error::ContextExceeded { tokens, context }) => {
                let most = dialogue.session.model().config().max_positions;
                let problem =
                    format!("the conversation takes {tokens} tokens but the context holds {context}");
                let remedy = format!("use --context, up to {most}, or say less");
                Error::bad_argument(format!("line {number} of standard input"), problem, remedy).into()
            }
            Ok(error) => error.into(),
            Err(error) => error,
        })?;
        dialogue.fullness(&line, &generation)?.into_iter().for_each(report::note);
        turns.push(Turn::new(&line, generation));
    }
    Ok(())
}
