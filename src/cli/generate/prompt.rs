//! The prompt: from arguments, a file or standard input to tokens.

use std::io::{self, IsTerminal};

use anyhow::Result;
use tercet_engine::{ChatInput, Error, Message, Session};

use super::Generate;
use crate::cli::{config, text};

/// A prompt's tokens, and the text that is shown for them.
pub(super) struct Prompt {
    pub(super) ids: Vec<u32>,
    pub(super) echo: String,
}

impl Generate {
    /// Returns the text to continue, or an empty text if ids are given instead.
    pub(super) fn prompt_text(&self) -> Result<String> {
        let bad =
            |problem: &str, remedy: &str| Err(Error::bad_argument("the prompt", problem, remedy).into());
        if self.prompt_ids.is_some() {
            return Ok(String::new());
        }
        let text = match (self.prompt.as_deref(), &self.file) {
            (None, Some(file)) => without_line_break(text::from_file(file)?),
            (None, None) if io::stdin().is_terminal() => {
                return bad("there is none", "give one, as in: tercet generate \"Once upon a time\"");
            }
            (None | Some("-"), _) => without_line_break(text::from_stdin("the prompt")?),
            (Some(text), _) => text.to_owned(),
        };
        if text.is_empty() {
            return bad("it is empty", "give some text, or the id of the start token with --prompt-ids");
        }
        Ok(text)
    }

    pub(super) fn encode(&self, text: String, session: &Session) -> Result<Prompt> {
        if let Some(ids) = &self.prompt_ids {
            return Ok(Prompt { ids: ids.clone(), echo: session.tokenizer().decode(ids, true)? });
        }
        if self.chat {
            let template = session.template()?;
            let system = config::system(self.system.as_deref())?.map(|text| Message::new("system", text));
            let messages: Vec<Message> = system.into_iter().chain([Message::new("user", text)]).collect();
            let input = ChatInput {
                chat_template_kwargs: self.chat_template_kwargs.clone().unwrap_or_default(),
                ..ChatInput::question(&messages)
            };
            let ids = session.tokenizer().encode_chat(&template, &input, self.spelled.choice())?;
            return Ok(Prompt { ids, echo: String::new() });
        }
        let ids = session.tokenizer().encode_spelled(&text, true, self.spelled.choice())?;
        Ok(Prompt { ids, echo: text })
    }
}

fn without_line_break(text: String) -> String {
    let line = text.strip_suffix('\n').unwrap_or(&text);
    line.strip_suffix('\r').unwrap_or(line).to_owned()
}
