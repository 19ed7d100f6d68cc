//! Changes to the messages of a conversation. The next reply reads what is new to its sequence.

use std::ops::Deref;

use tercet_chat::Message;

use super::Conversation;
use crate::error::{Error, Result};
use crate::session::Session;

impl<S: Deref<Target = Session>> Conversation<S> {
    /// Forgets everything but the system's message.
    pub fn reset(&mut self) {
        self.messages = self.system.iter().cloned().collect();
        self.cut = false;
        self.sequence.rewind_to(&[]);
    }

    /// Returns the number of turns: messages of the user with their replies.
    pub fn turns(&self) -> usize {
        (self.messages.len() - self.system.iter().len()) / 2
    }

    /// Forgets the oldest turns, `turns` of them or all, and returns how many it has forgotten.
    pub fn drop_oldest(&mut self, turns: usize) -> usize {
        let (first, turns) = (self.system.iter().len(), turns.min(self.turns()));
        self.messages.drain(first..first + 2 * turns);
        self.cut &= turns == 0;
        turns
    }

    /// Forgets the newest turn, and returns the user's message of it.
    pub fn undo(&mut self) -> Option<String> {
        let first = self.messages.len().checked_sub(2).filter(|&first| first >= self.system.iter().len())?;
        self.cut = false;
        self.messages.drain(first..).next().map(|message| message.content)
    }

    /// Returns the system's message.
    pub fn system(&self) -> Option<&str> {
        self.system.as_ref().map(|message| message.content.as_str())
    }

    /// Puts another message of the system, or none, before the conversation.
    pub fn set_system(&mut self, text: Option<String>) {
        self.messages.drain(..self.system.iter().len());
        self.system = text.map(|text| Message::new("system", text));
        self.messages.splice(..0, self.system.iter().cloned());
        self.cut = false;
    }

    /// Replaces all messages by `messages`: one of the system or none, then turns of the user and the assistant.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if the speakers do not take turns. The conversation is then as before.
    pub fn restore(&mut self, messages: Vec<Message>) -> Result<()> {
        let system = messages.first().filter(|message| message.role == "system").cloned();
        let turns = &messages[system.iter().len()..];
        let roles = ["user", "assistant"].iter().cycle();
        let wrong = turns.iter().zip(roles).find(|(message, role)| message.role != **role);
        let problem = match wrong {
            Some((message, role)) => format!("{:?} speaks where {role:?} should", message.role),
            None if turns.len() % 2 == 1 => "the last message has no reply".to_owned(),
            None => {
                (self.messages, self.system, self.cut) = (messages, system, false);
                return Ok(());
            }
        };
        let remedy = "give turns of \"user\" and \"assistant\", after at most one \"system\"";
        Err(Error::bad_argument("messages", problem, remedy))
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::super::tests::{request, say, session};
    use super::*;

    #[test]
    fn a_turn_that_is_undone_leaves_no_trace() {
        let session = session();
        let request = request(&session, 8);
        let [mut changed, mut plain] = [(); 2].map(|()| session.conversation(None).unwrap());
        assert_eq!(changed.undo(), None);
        for conversation in [&mut changed, &mut plain] {
            say(conversation, "Hello", &request);
        }
        say(&mut changed, "A dragon!", &request);
        assert_eq!(changed.undo().as_deref(), Some("A dragon!"));
        assert_eq!(changed.messages(), plain.messages());
        let [a, b] = [&mut changed, &mut plain].map(|c| say(c, "Who are you?", &request).ids);
        assert_eq!(a, b);
    }

    #[test]
    fn another_system_message_is_as_if_it_had_always_been_there() {
        let session = session();
        let request = request(&session, 8);
        let mut changed = session.conversation(Some("Be long.".to_owned())).unwrap();
        changed.set_system(Some("Be brief.".to_owned()));
        let mut plain = session.conversation(Some("Be brief.".to_owned())).unwrap();
        let [a, b] = [&mut changed, &mut plain].map(|c| say(c, "Hello", &request).ids);
        assert_eq!((a, changed.messages(), changed.system()), (b, plain.messages(), Some("Be brief.")));
        changed.set_system(None);
        assert_eq!((changed.messages(), changed.turns()), (&plain.messages()[1..], 1));
    }

    #[test]
    fn only_whole_turns_are_restored() {
        let session = session();
        let mut conversation = session.conversation(None).unwrap();
        let messages =
            |roles: &[&str]| roles.iter().map(|role| Message::new(*role, "text")).collect::<Vec<_>>();
        for good in [&[][..], &["system"], &["user", "assistant"], &["system", "user", "assistant"]] {
            conversation.restore(messages(good)).unwrap();
            assert_eq!(conversation.messages(), messages(good));
        }
        for bad in [&["user"][..], &["assistant", "user"], &["user", "assistant", "system", "user"]] {
            assert!(conversation.restore(messages(bad)).is_err(), "{bad:?}");
            assert_eq!(conversation.turns(), 1);
        }
    }
}
