//! A conversation at the terminal: messages and commands, until the user leaves.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use tercet_engine::{Error, Generation, Stop};

use super::Chat;
use super::command::{self, Command};
use super::editor::Editor;
use super::settings::{Settings, Shown};
use super::turn::Dialogue;
use super::{clipboard, lines, saved};
use crate::cli::args;
use crate::cli::failure;
use crate::cli::report::{self, count, note};
use crate::cli::text;

/// The state of a session at the terminal.
pub(super) struct Terminal<'a> {
    chat: &'a Chat,
    dialogue: Dialogue,
    settings: Settings,
    /// Texts of files that go before the next message.
    attached: Vec<String>,
}

impl<'a> Terminal<'a> {
    pub(super) fn new(chat: &'a Chat, dialogue: Dialogue, settings: Settings) -> Self {
        Terminal { chat, dialogue, settings, attached: Vec::new() }
    }

    /// Takes messages and commands. One that fails causes a note, and changes nothing.
    pub(super) fn run(&mut self) -> Result<()> {
        self.greet();
        let mut editor = Editor::new(args::runtime_options(&[])?.cache_dir)?;
        while let Some(typed) = editor.next()? {
            let outcome = match Command::parse(&typed) {
                None if typed.trim().is_empty() => continue,
                None => self.say(&lines::message(typed.trim())),
                Some(Command::Quit) => break,
                Some(command) => self.obey(&command),
            };
            match outcome.map_err(|error| failure::lift(error).downcast::<Error>()) {
                Ok(()) => {}
                Err(Ok(error)) => note(format_args!("error: {error}")),
                Err(Err(other)) => return Err(other),
            }
        }
        Ok(())
    }

    fn greet(&self) {
        let session = &self.dialogue.session;
        note(format_args!(
            "[{} | {}, {} | context {} tokens | {}]\n/help shows the commands, /quit or Ctrl-D leaves, Ctrl-C stops a reply",
            session.model().name(),
            session.runtime().isa(),
            count(session.runtime().threads(), "thread"),
            session.context(),
            Shown(&self.dialogue.request),
        ));
    }

    fn obey(&mut self, command: &Command<'_>) -> Result<()> {
        match *command {
            Command::Regenerate => self.regenerate()?,
            Command::Continue => self.go_on()?,
            Command::Undo => match self.dialogue.conversation.undo() {
                Some(_) => note(format_args!("forgot the last turn, {}", self.turns_left())),
                None => note("there is no turn to forget"),
            },
            Command::Drop(turns) => {
                let dropped = self.dialogue.conversation.drop_oldest(turns);
                note(format_args!("forgot {}, {}", count(dropped, "turn"), self.turns_left()));
            }
            Command::Reset => self.dialogue.conversation.reset(),
            Command::ShowSystem => match self.dialogue.conversation.system() {
                Some(text) => note(text),
                None => note("there is no system message"),
            },
            Command::System(text) => {
                let text = Some(lines::message(text)).filter(|text| !text.is_empty());
                self.dialogue.conversation.set_system(text);
            }
            Command::File(path) => self.attach(&saved::path(path))?,
            Command::ShowSettings => note(Shown(&self.dialogue.request)),
            Command::Set(name, value) => self.set(name, value)?,
            Command::ShowModel => self.greet(),
            Command::Model(model) => self.switch(&saved::path(model))?,
            Command::Tokens => self.show_tokens(),
            Command::Copy => self.copy()?,
            Command::Save(path) => {
                let (path, messages) = (saved::path(path), self.dialogue.conversation.messages());
                saved::save(&path, self.dialogue.session.model().name(), messages)?;
                note(format_args!("saved {} in {}", count(messages.len(), "message"), path.display()));
            }
            Command::Load(path) => {
                self.dialogue.conversation.restore(saved::load(&saved::path(path))?)?;
                note(format_args!("loaded, {}", self.turns_left()));
            }
            Command::Help => note(command::help()),
            Command::Misused(usage) => note(format_args!("use it as {usage}: /help shows all commands")),
            Command::Unknown(name) => note(format_args!(
                "there is no command {name}: /help shows all; begin the line with a space to say it"
            )),
            Command::Quit => {}
        }
        Ok(())
    }

    fn turns_left(&self) -> String {
        format!("{} left", count(self.dialogue.conversation.turns(), "turn"))
    }

    /// Says `text` after the attached files, and shows the reply.
    fn say(&mut self, text: &str) -> Result<()> {
        let files = self.attached.iter().map(|file| file.trim_end().to_owned() + "\n\n");
        let text = files.collect::<String>() + text;
        let outcome = self.with_room(&text, 0, |dialogue| dialogue.take(&text));
        if outcome.is_ok() {
            self.attached.clear();
        }
        self.heed(&text, outcome)
    }

    /// Goes on with the last reply.
    fn go_on(&mut self) -> Result<()> {
        let outcome = self.with_room("", 1, Dialogue::go_on);
        let last = self.dialogue.conversation.messages().iter().rev().find(|message| message.role == "user");
        self.heed(&last.map(|message| message.content.clone()).unwrap_or_default(), outcome)
    }

    /// Replaces the last reply by that of the next seed.
    fn regenerate(&mut self) -> Result<()> {
        let before = self.dialogue.conversation.messages().to_vec();
        let Some(text) = self.dialogue.conversation.undo() else {
            note("there is no reply yet");
            return Ok(());
        };
        if self.dialogue.request.sampler.temperature == 0.0 {
            note("greedy replies are always the same: /set temperature 0.7 lets chance in");
        }
        self.settings.reseed();
        self.apply_settings();
        let outcome = self.dialogue.take(&text);
        if outcome.as_ref().map_or(true, |generation| generation.ids.is_empty()) {
            self.dialogue.conversation.restore(before)?;
        }
        self.heed(&text, outcome)
    }

    /// Makes room for the message `text` before `speak`, and says afterwards how many turns were forgotten for it.
    fn with_room(
        &mut self,
        text: &str,
        kept: usize,
        speak: impl FnOnce(&mut Dialogue) -> Result<Generation>,
    ) -> Result<Generation> {
        let Dialogue { conversation, request, shift, .. } = &mut self.dialogue;
        let before = conversation.turns();
        shift.make_room(conversation, request, text, kept)?;
        let outcome = speak(&mut self.dialogue);
        let said = usize::from(kept == 0 && outcome.as_ref().is_ok_and(|reply| !reply.ids.is_empty()));
        let forgotten = (before + said).saturating_sub(self.dialogue.conversation.turns());
        if forgotten > 0 {
            note(format_args!("forgot the oldest {}, {}", count(forgotten, "turn"), self.turns_left()));
        }
        outcome
    }

    /// Tells how to go on after a reply to `text` that was cut or does not fit.
    fn heed(&self, text: &str, outcome: Result<Generation>) -> Result<()> {
        match outcome.map_err(|error| error.downcast::<Error>()) {
            Ok(generation) => match self.dialogue.fullness(text, &generation)? {
                Some(fullness) => note(fullness),
                None if generation.stop == Stop::Length => {
                    let tokens = count(generation.ids.len(), "token");
                    note(format_args!("the reply is cut after {tokens}: /continue goes on"));
                }
                None => {}
            },
            Err(Ok(Error::ContextExceeded { tokens, context })) => {
                let ways = self.dialogue.ways_out(text)?;
                note(format_args!(
                    "the conversation would take {tokens} tokens but the context holds {context}: {ways}"
                ));
            }
            Err(Ok(error)) => return Err(error.into()),
            Err(Err(other)) => return Err(other),
        }
        Ok(())
    }

    fn attach(&mut self, path: &Path) -> Result<()> {
        let text = text::from_file(path)?;
        let size = report::size(text.len());
        note(format_args!("{} ({size}) goes before the next message", path.display()));
        self.attached.push(text);
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let before = self.settings.clone();
        if let Err(problem) = self.settings.set(name, value) {
            note(format_args!("error: {problem}"));
            return Ok(());
        }
        let request = self.settings.request(&self.dialogue.session);
        if let Err(error) = request.sampler.validate() {
            self.settings = before;
            return Err(error.into());
        }
        self.apply_settings();
        note(Shown(&self.dialogue.request));
        Ok(())
    }

    fn apply_settings(&mut self) {
        self.dialogue.request = self.settings.request(&self.dialogue.session);
    }

    /// Goes on with `model`, which reads the conversation at the next message.
    fn switch(&mut self, model: &Path) -> Result<()> {
        let session = self.chat.open(Some(model))?;
        let mut conversation = self.chat.conversation(session.clone())?;
        conversation.restore(self.dialogue.conversation.messages().to_vec())?;
        self.dialogue.shift = self.chat.shift(&session);
        (self.dialogue.session, self.dialogue.conversation) = (session, conversation);
        self.apply_settings();
        self.greet();
        Ok(())
    }

    fn show_tokens(&self) {
        let Dialogue { session, conversation, .. } = &self.dialogue;
        let turns = count(conversation.turns(), "turn");
        note(format_args!("{} of {} tokens, {turns}", conversation.tokens(), session.context()));
    }

    fn copy(&self) -> Result<()> {
        let last =
            self.dialogue.conversation.messages().iter().rev().find(|message| message.role == "assistant");
        match last.map(|reply| clipboard::sequence(&reply.content)) {
            None => note("there is no reply yet"),
            Some(None) => {
                note("the reply is too long for the terminal's clipboard: /save writes it to a file")
            }
            Some(Some(sequence)) => {
                let mut stdout = io::stdout();
                stdout
                    .write_all(sequence.as_bytes())
                    .and_then(|()| stdout.flush())
                    .map_err(report::failed_output)?;
                note("the last reply is in the clipboard, if this terminal allows it");
            }
        }
        Ok(())
    }
}
