//! `--context-shift`: a full context forgets the oldest turns.

use std::sync::Arc;

use tercet_engine::{Conversation, Generation, Request, Result, Session, Stop};

use crate::cli::screen::Screen;

/// What happens to a full context.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    /// The reply ends, and the user decides.
    Off,
    /// The oldest turns are forgotten, and the reply goes on.
    On {
        /// Tokens that the context holds.
        context: usize,
    },
}

impl Shift {
    /// Forgets the oldest turns, but not the last `kept`, that leave no room for the message `text` and a reply.
    pub(super) fn make_room(
        self,
        conversation: &mut Conversation<Arc<Session>>,
        request: &Request,
        text: &str,
        kept: usize,
    ) -> Result<()> {
        let Shift::On { context } = self else { return Ok(()) };
        let room = request.max_tokens.min(context / 4);
        let all = conversation.turns();
        let in_the_way = conversation.turns_in_the_way(text, room)?.unwrap_or(all);
        conversation.drop_oldest(in_the_way.min(all.saturating_sub(kept)));
        Ok(())
    }

    /// Goes on with a reply that has filled the context, as long as there are turns to forget.
    pub(super) fn finish(
        self,
        conversation: &mut Conversation<Arc<Session>>,
        request: &Request,
        screen: &mut Screen,
        mut reply: Generation,
    ) -> Result<Generation> {
        let Shift::On { context } = self else { return Ok(reply) };
        while reply.stop == Stop::Length
            && conversation.tokens() > context
            && reply.ids.len() < request.max_tokens
        {
            let turns = conversation.turns();
            self.make_room(conversation, request, "", 1)?;
            if conversation.turns() == turns || conversation.turns_in_the_way("", 1)? != Some(0) {
                break;
            }
            let request = Request { max_tokens: request.max_tokens - reply.ids.len(), ..request.clone() };
            let more = conversation.continue_reply(&request, |piece| screen.show(piece))?;
            reply = joined(reply, more);
        }
        Ok(reply)
    }
}

/// Returns a reply and its continuation as one. Its times are those of both.
fn joined(first: Generation, second: Generation) -> Generation {
    Generation {
        ids: [first.ids, second.ids].concat(),
        drafted: first.drafted + second.drafted,
        accepted: first.accepted + second.accepted,
        logprobs: [first.logprobs, second.logprobs].concat(),
        text: first.text + &second.text,
        prompt_tokens: first.prompt_tokens + second.prompt_tokens,
        prefill: first.prefill + second.prefill,
        decode: first.decode + second.decode,
        ..second
    }
}
