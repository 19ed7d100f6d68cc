//! One turn of a conversation.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use tercet_engine::{Conversation, Generation, Request, Session, Stop};

use super::shift::Shift;
use crate::cli::interrupt::{self, AtRest};
use crate::cli::report;
use crate::cli::screen::{Look, Screen};

/// A turn that was taken, as `--json` shows it.
#[derive(Serialize)]
pub(super) struct Turn {
    user: String,
    reply: String,
    ids: Vec<u32>,
    /// Tokens that the model had to read. Tokens in the KV cache do not count.
    prompt_tokens: usize,
    stop: &'static str,
    prefill_s: f64,
    decode_s: f64,
    /// Tokens of drafts.
    drafted: usize,
    /// Those that were accepted.
    accepted: usize,
}

impl Turn {
    pub(super) fn new(user: &str, generation: Generation) -> Self {
        Turn {
            user: user.to_owned(),
            stop: generation.stop.name(),
            prompt_tokens: generation.prompt_tokens,
            prefill_s: generation.prefill.as_secs_f64(),
            decode_s: generation.decode.as_secs_f64(),
            drafted: generation.drafted,
            accepted: generation.accepted,
            reply: generation.text,
            ids: generation.ids,
        }
    }
}

/// A conversation, and how it is shown.
pub(super) struct Dialogue {
    pub(super) session: Arc<Session>,
    pub(super) conversation: Conversation<Arc<Session>>,
    pub(super) request: Request,
    pub(super) look: Look,
    pub(super) shift: Shift,
}

impl Dialogue {
    /// Says `text` and shows the reply. Ctrl-C ends the reply only.
    ///
    /// # Errors
    /// Those of [`Conversation::reply`], and of standard output.
    pub(super) fn take(&mut self, text: &str) -> Result<Generation> {
        let shift = self.shift;
        self.show(|conversation, request, screen| {
            let reply = conversation.reply(text, request, |piece| screen.show(piece))?;
            shift.finish(conversation, request, screen, reply)
        })
    }

    /// Goes on with the last reply.
    ///
    /// # Errors
    /// Those of [`Conversation::continue_reply`], and of standard output.
    pub(super) fn go_on(&mut self) -> Result<Generation> {
        let shift = self.shift;
        self.show(|conversation, request, screen| {
            let reply = conversation.continue_reply(request, |piece| screen.show(piece))?;
            shift.finish(conversation, request, screen, reply)
        })
    }

    /// Shows the text of `speak` as it grows.
    fn show(
        &mut self,
        speak: impl FnOnce(
            &mut Conversation<Arc<Session>>,
            &Request,
            &mut Screen,
        ) -> tercet_engine::Result<Generation>,
    ) -> Result<Generation> {
        let mut screen = Screen::new(self.look, "");
        let generation = interrupt::during(AtRest::EndIfRepeated, |cancel| {
            let request = Request { cancel, ..self.request.clone() };
            speak(&mut self.conversation, &request, &mut screen)
        })?;
        screen.end()?;
        Ok(generation)
    }

    /// Returns how to go on after the message `text`, if the context was too small for the reply.
    ///
    /// # Errors
    /// Those of the template and the tokenizer.
    pub(super) fn fullness(&self, text: &str, generation: &Generation) -> Result<Option<String>> {
        let context = self.session.context();
        if generation.stop != Stop::Length || self.conversation.tokens() <= context {
            return Ok(None);
        }
        Ok(Some(format!("the context of {context} tokens is full: {}", self.ways_out(text)?)))
    }

    /// Returns how to make room in the context for the message `text` and a reply.
    pub(super) fn ways_out(&self, text: &str) -> Result<String> {
        let (context, most) = (self.session.context(), self.session.model().config().max_positions);
        let turns = self.conversation.turns();
        let with_room = self.conversation.turns_in_the_way(text, context / 4)?;
        let in_the_way = match with_room {
            None => self.conversation.turns_in_the_way(text, 1)?,
            some => some,
        };
        let mut ways = match in_the_way {
            None => "this message is too long by itself".to_owned(),
            Some(0) => "say less".to_owned(),
            Some(dropped) => format!(
                "/drop {dropped} forgets {} of {}, /reset forgets all",
                if dropped == 1 { "the oldest".to_owned() } else { format!("the {dropped} oldest") },
                report::count(turns, "turn")
            ),
        };
        if context < most {
            ways += &format!("; tercet chat --context N holds up to {most} tokens");
        }
        Ok(ways)
    }
}
