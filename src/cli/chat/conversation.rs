//! A conversation whose past is not computed again.

use std::ops::ControlFlow;

use crate::cli::options::Session;
use tercet_engine::Result;
use tercet_engine::Tokenizer;
use tercet_engine::{ChatTemplate, Message};
use tercet_engine::{Generation, Generator, Request, Stop};

/// Messages, and the sequence that holds their tokens.
pub(super) struct Conversation<'m> {
    generator: Generator<'m>,
    tokenizer: &'m Tokenizer,
    template: ChatTemplate,
    system: Option<Message>,
    messages: Vec<Message>,
    /// What the tokens of the sequence say, if that is known to the letter.
    spoken: Option<Spoken>,
}

struct Spoken {
    /// The last prompt and its reply.
    text: String,
    /// Tokens of the sequence that say it; an end token may follow, which the template spells out itself.
    tokens: usize,
}

impl<'m> Conversation<'m> {
    pub(super) fn new(session: &'m Session, template: ChatTemplate, system: Option<String>) -> Result<Self> {
        let system = system.map(|text| Message::new("system", text));
        Ok(Conversation {
            generator: Generator::new(&session.model, &session.tokenizer, session.context)?,
            tokenizer: &session.tokenizer,
            template,
            messages: system.iter().cloned().collect(),
            system,
            spoken: None,
        })
    }

    /// Forgets everything but the system's message.
    pub(super) fn reset(&mut self) {
        self.messages = self.system.iter().cloned().collect();
        self.generator.rewind_to(&[]);
        self.spoken = None;
    }

    /// Tokens in the sequence.
    pub(super) fn tokens(&self) -> usize {
        self.generator.history().len()
    }

    /// Says `text` and hears the model's reply, handed on as [`Generator::generate`] does.
    ///
    /// # Errors
    /// Those of the template, the tokenizer and the generator; the turn is then not part of the conversation.
    pub(super) fn reply(
        &mut self,
        text: &str,
        request: &Request,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        self.messages.push(Message::new("user", text));
        let outcome = self.speak(request, on_text);
        match &outcome {
            Ok(generation) => self.messages.push(Message::new("assistant", &generation.text)),
            Err(_) => {
                self.messages.pop();
                self.spoken = None;
            }
        }
        outcome
    }

    fn speak(
        &mut self,
        request: &Request,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let prompt = self.template.render(&self.messages, true)?;
        let ids = self.encode(&prompt)?;
        // The last token must be fed even if the cache holds it: its logits are the next token's.
        self.generator.rewind_to(&ids[..ids.len().saturating_sub(1)]);
        let fresh = &ids[self.tokens()..];
        let generation = self.generator.generate(fresh, request, on_text)?;

        let ended_by_token = usize::from(generation.stop == Stop::Eos);
        let cut = matches!(generation.stop, Stop::StopString | Stop::Cancelled);
        let tokens = self.tokens() - ended_by_token;
        self.spoken = (!cut).then(|| Spoken { text: prompt + &generation.text, tokens });
        Ok(generation)
    }

    /// The tokens of `prompt`, which are those of the sequence as far as it says the same.
    fn encode(&self, prompt: &str) -> Result<Vec<u32>> {
        if let Some(Spoken { text, tokens }) = &self.spoken
            && let Some(fresh) = prompt.strip_prefix(text.as_str())
        {
            let said = &self.generator.history()[..*tokens];
            return Ok([said, &self.tokenizer.encode(fresh, false)?].concat());
        }
        self.tokenizer.encode(prompt, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::Options;

    fn session() -> Session {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            options: Options,
        }
        let flags: Flags = clap::Parser::parse_from(["tercet", "--isa", "portable", "--threads", "1"]);
        flags.options.load().unwrap()
    }

    fn conversation(session: &Session) -> Conversation<'_> {
        Conversation::new(session, ChatTemplate::load(&session.files).unwrap(), None).unwrap()
    }

    fn request(session: &Session, tokens: usize) -> Request {
        Request { max_tokens: tokens, eos: session.defaults.eos_token_ids.clone(), ..Request::default() }
    }

    fn say(conversation: &mut Conversation<'_>, text: &str, request: &Request) -> Generation {
        conversation.reply(text, request, |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn only_the_new_turn_is_read() {
        let session = session();
        let mut conversation = conversation(&session);
        let request = request(&session, 12);
        let first =
            say(&mut conversation, "Tell me a long story about a king, a queen and a dragon", &request);
        let before = conversation.tokens();
        let second = say(&mut conversation, "And then?", &request);
        assert!(second.prompt_tokens < first.prompt_tokens, "{} tokens were read", second.prompt_tokens);
        assert!(conversation.tokens() > before);
    }

    #[test]
    fn the_cache_changes_no_word() {
        let session = session();
        let request = request(&session, 10);
        let mut cached = conversation(&session);
        say(&mut cached, "Hello", &request);
        let second = say(&mut cached, "Who are you?", &request);

        let history = cached.generator.history();
        let prompt = &history[..history.len() - second.ids.len()];
        let mut generator = Generator::new(&session.model, &session.tokenizer, session.context).unwrap();
        let anew = generator.generate(prompt, &request, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(anew.ids, second.ids);
        assert_eq!(anew.prompt_tokens, prompt.len());
    }

    #[test]
    fn a_turn_that_does_not_fit_is_forgotten() {
        let session = session();
        let mut conversation = conversation(&session);
        let request = request(&session, 3);
        say(&mut conversation, "Hello", &request);
        let messages = conversation.messages.clone();
        let refused = conversation.reply(&"word ".repeat(2000), &request, |_| ControlFlow::Continue(()));
        assert!(refused.is_err());
        assert_eq!(conversation.messages, messages);
        say(&mut conversation, "Still there?", &request);
        conversation.reset();
        assert_eq!((conversation.tokens(), conversation.messages.len()), (0, 0));
    }
}
