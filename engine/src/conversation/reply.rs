//! A reply as an iterator.

use std::ops::Deref;

use tercet_chat::Message;

use super::{Conversation, is_cut};
use crate::error::Result;
use crate::generate::{Continuation, Generation, Request, Step, Stop};
use crate::session::Session;

/// The pieces of a reply, as they become certain. Dropping it ends the reply, and the conversation keeps what came.
#[derive(Debug)]
pub struct Reply<'c, S: Deref<Target = Session>> {
    conversation: &'c mut Conversation<S>,
    /// None once it is part of the conversation, or has failed.
    continuation: Option<Continuation>,
}

impl<'c, S: Deref<Target = Session>> Reply<'c, S> {
    /// Says `text`. The turn is part of the conversation once the reply has ended.
    pub(super) fn new(conversation: &'c mut Conversation<S>, text: &str, request: Request) -> Result<Self> {
        let said = [conversation.messages(), &[Message::new("user", text)]].concat();
        let ids = conversation.encode(&said)?;
        conversation.cut = false;
        let continuation = Some(conversation.read_on(&ids, request)?);
        conversation.messages = said;
        Ok(Reply { conversation, continuation })
    }

    /// Reads a part of the prompt or generates a token; returns none once the reply has ended.
    ///
    /// # Errors
    /// Fails if the model yields no numbers or the tokenizer cannot decode. The turn is then not part of the conversation.
    pub fn step(&mut self) -> Result<Option<Step>> {
        let Some(continuation) = &mut self.continuation else { return Ok(None) };
        let Conversation { session, sequence, messages, .. } = &mut *self.conversation;
        let outcome = continuation.step(session.model(), sequence);
        if outcome.is_err() {
            messages.pop();
            self.continuation = None;
        }
        outcome
    }

    /// Ends the reply where it is.
    pub(super) fn cancel(&mut self) {
        self.continuation.iter_mut().for_each(Continuation::cancel);
    }

    /// Ends the reply and returns what was generated. It is empty after an error.
    pub fn finish(mut self) -> Generation {
        self.settle().unwrap_or_else(Generation::unstarted)
    }

    /// Makes the reply a part of the conversation. A turn that ends before the reply begins is forgotten.
    fn settle(&mut self) -> Option<Generation> {
        let generation = self.continuation.take()?.finish();
        let Conversation { messages, cut, .. } = &mut *self.conversation;
        match generation.stop == Stop::Cancelled && generation.ids.is_empty() {
            true => drop(messages.pop()),
            false => {
                messages.push(Message::new("assistant", &generation.text));
                *cut = is_cut(&generation);
            }
        }
        Some(generation)
    }
}

impl<S: Deref<Target = Session>> Iterator for Reply<'_, S> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        loop {
            match self.step().transpose()? {
                Ok(step) if step.text.is_empty() => {}
                outcome => return Some(outcome.map(|step| step.text)),
            }
        }
    }
}

impl<S: Deref<Target = Session>> Drop for Reply<'_, S> {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::super::tests::{request, say, session};
    use super::*;

    #[test]
    fn the_pieces_of_a_reply_are_the_reply() {
        let session = session();
        let [mut streamed, mut said, mut whole] = [(); 3].map(|()| session.conversation(None).unwrap());
        let expected = say(&mut whole, "Tell me about the sea", &request(&session, 20)).text;
        streamed = streamed.request(request(&session, 20));
        said = said.request(request(&session, 20));
        let pieces: Vec<String> =
            streamed.stream("Tell me about the sea").unwrap().map(Result::unwrap).collect();
        assert!(pieces.len() > 3 && pieces.concat() == expected, "{pieces:?}");
        assert_eq!(said.say("Tell me about the sea").unwrap(), expected);
        assert_eq!((streamed.messages(), said.messages()), (whole.messages(), whole.messages()));
    }

    #[test]
    fn a_reply_that_is_left_early_stays_as_far_as_it_came() {
        let session = session();
        let mut chat = session.conversation(None).unwrap().request(request(&session, 30));
        drop(chat.stream("Hello").unwrap());
        assert!(chat.messages().is_empty());
        let first = chat.stream("Hello").unwrap().next().unwrap().unwrap();
        assert!(chat.messages().len() == 2 && chat.messages()[1].content.starts_with(&first));
        assert!(chat.cut, "it can go on");
        chat.say("Who are you?").unwrap();
        assert_eq!(chat.turns(), 2);
    }
}
