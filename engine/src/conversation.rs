//! A conversation: messages in, and only the new tokens go through the model.

mod editing;
mod reply;

use std::ops::{ControlFlow, Deref};

use serde_json::{Map, Value};
use tercet_chat::{ChatInput, ChatTemplate, Message};

use crate::error::{Error, Result};
use crate::generate::{Continuation, Generation, Request, Sequence, Stop};
use crate::session::Session;
use crate::tokenizer::Spelled;

pub use reply::Reply;

/// Tokens that a reply has at most, unless [`Conversation::request`] says otherwise: in a small context a quarter of it, so
/// that there is room for another turn.
const REPLY_TOKENS: usize = 512;

/// Messages, and the sequence that holds their tokens.
///
/// It borrows its session, or shares it in an `Arc`.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use tercet_engine::Session;
///
/// let session = Session::open("fairy-tales")?;
/// let mut chat = session.conversation(None)?;
/// println!("{}", chat.say("Tell me about the sea")?);
/// for text in chat.stream("And the moon?")? {
///     print!("{}", text?);
/// }
/// assert_eq!(chat.messages().len(), 4);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Conversation<S> {
    session: S,
    template: ChatTemplate,
    sequence: Sequence,
    system: Option<Message>,
    messages: Vec<Message>,
    /// True if the sequence ends within the last message, which is a reply that was cut.
    cut: bool,
    request: Request,
    spelled: Spelled,
    chat_template_kwargs: Map<String, Value>,
}

impl<S: Deref<Target = Session>> Conversation<S> {
    /// Starts a conversation in a context of the session's size, with an optional message of the system.
    ///
    /// # Errors
    /// Fails if the model has no valid chat template, or does not allow the context.
    pub fn new(session: S, system: Option<String>) -> Result<Self> {
        let system = system.map(|text| Message::new("system", text));
        Ok(Conversation {
            template: session.template()?,
            sequence: Sequence::new(session.model(), session.context())?,
            messages: system.iter().cloned().collect(),
            system,
            cut: false,
            request: Request { max_tokens: REPLY_TOKENS.min(session.context() / 4), ..session.request() },
            spelled: Spelled::default(),
            chat_template_kwargs: Map::new(),
            session,
        })
    }

    /// Chooses how [`say`](Conversation::say) and [`stream`](Conversation::stream) generate replies. Without it, replies are
    /// as the model's authors suggest, and have up to 512 tokens, or a quarter of the context.
    pub fn request(self, request: Request) -> Self {
        Conversation { request, ..self }
    }

    /// Chooses what becomes of special tokens that messages spell out.
    pub fn spelled(self, spelled: Spelled) -> Self {
        Conversation { spelled, ..self }
    }

    /// Gives the chat template further variables, such as `enable_thinking`.
    pub fn chat_template_kwargs(self, variables: Map<String, Value>) -> Self {
        Conversation { chat_template_kwargs: variables, ..self }
    }

    /// Returns how many of the oldest turns leave no place for the message `text` and a reply of `room` tokens. Returns none
    /// if the context cannot hold them without any turn either.
    ///
    /// # Errors
    /// Those of the template and the tokenizer.
    pub fn turns_in_the_way(&self, text: &str, room: usize) -> Result<Option<usize>> {
        let (first, message) = (self.system.iter().len(), Message::new("user", text));
        for turns in 0..=self.turns() {
            let (system, kept) = (&self.messages[..first], &self.messages[first + 2 * turns..]);
            let messages = [system, kept, std::slice::from_ref(&message)].concat();
            let prompt = self.encode(&messages)?;
            if prompt.len().saturating_add(room) <= self.session.context() {
                return Ok(Some(turns));
            }
        }
        Ok(None)
    }

    /// Returns the messages so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the number of tokens in the sequence.
    pub fn tokens(&self) -> usize {
        self.sequence.history().len()
    }

    /// Says `text` and returns the reply. Both become part of the conversation.
    ///
    /// Each turn has a seed of its own, so that a question that is asked again gets another answer.
    ///
    /// # Errors
    /// Those of [`Conversation::reply`].
    pub fn say(&mut self, text: &str) -> Result<String> {
        let mut reply = self.stream(text)?;
        reply.by_ref().try_for_each(|piece| piece.map(drop))?;
        Ok(reply.finish().text)
    }

    /// Says `text`: an iterator over the pieces of the reply as they become certain. The seeds are those of
    /// [`Conversation::say`].
    ///
    /// # Errors
    /// Fails if the template refuses the messages, the request is invalid, or the context is too small.
    pub fn stream(&mut self, text: &str) -> Result<Reply<'_, S>> {
        let mut request = self.request.clone();
        request.sampler.seed = request.sampler.seed.wrapping_add(self.turns() as u64);
        Reply::new(self, text, request)
    }

    /// Adds `text` as the user's message and generates the reply by `request`. `on_text` receives the reply's text as it
    /// becomes certain, and ends it by breaking. A turn that is cancelled before the reply begins is not part of the
    /// conversation.
    ///
    /// # Errors
    /// Those of the template, the tokenizer and [`Continuation`]; the turn is then not part of the conversation.
    pub fn reply(
        &mut self,
        text: &str,
        request: &Request,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let mut reply = Reply::new(self, text, request.clone())?;
        while let Some(step) = reply.step()? {
            if !step.text.is_empty() && on_text(&step.text).is_break() {
                reply.cancel();
            }
        }
        Ok(reply.finish())
    }

    /// Goes on with the last reply, which a limit or the caller has cut. The whole is the reply that a higher limit would
    /// have given, if chance has no part in it. `on_text` is that of [`Conversation::reply`].
    ///
    /// # Errors
    /// Fails if there is no reply. The others are those of [`Conversation::reply`].
    pub fn continue_reply(
        &mut self,
        request: &Request,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let Some(last) = self.messages.last().filter(|last| last.role == "assistant") else {
            let problem = "there is no reply that could go on";
            return Err(Error::bad_argument("the conversation", problem, "say something first"));
        };
        let ids = match self.cut {
            true => self.sequence.history().to_vec(),
            // The template may not allow an empty last message.
            false if last.content.is_empty() => self.encode(&self.messages[..self.messages.len() - 1])?,
            false => {
                let question = ChatInput::question(&self.messages);
                let input =
                    ChatInput { add_generation_prompt: false, continue_final_message: true, ..question };
                self.encode_input(input)?
            }
        };
        let continuation = self.read_on(&ids, request.clone())?;
        let generation = continuation.run(self.session.model(), &mut self.sequence, on_text)?;
        if let Some(last) = self.messages.last_mut() {
            last.content += &generation.text;
        }
        self.cut = is_cut(&generation);
        Ok(generation)
    }

    /// Continues `ids`, of which the sequence may hold a part.
    fn read_on(&mut self, ids: &[u32], request: Request) -> Result<Continuation> {
        // The last token must go through the model even if the cache holds it: the next token is chosen by its logits.
        self.sequence.rewind_to(&ids[..ids.len().saturating_sub(1)]);
        let fresh = &ids[self.tokens()..];
        let (model, tokenizer) = (self.session.model(), self.session.tokenizer());
        Continuation::new(model, tokenizer, &mut self.sequence, fresh, request)
    }

    /// Returns the tokens of the prompt for `messages`. They are encoded as one text, because some tokenizers treat the
    /// beginning of a text differently.
    fn encode(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.encode_input(ChatInput::question(messages))
    }

    fn encode_input(&self, input: ChatInput) -> Result<Vec<u32>> {
        let input = ChatInput { chat_template_kwargs: self.chat_template_kwargs.clone(), ..input };
        self.session.tokenizer().encode_chat(&self.template, &input, self.spelled)
    }
}

/// Returns true if a text ended before the model ended it.
fn is_cut(generation: &Generation) -> bool {
    matches!(generation.stop, Stop::Length | Stop::Cancelled)
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use tercet_codegen::Isa;

    use super::*;
    use crate::generate::Generator;
    use crate::runtime::{Runtime, RuntimeOptions};

    fn options() -> RuntimeOptions {
        RuntimeOptions { isa_cap: Some(Isa::Portable), threads: Some(1), ..RuntimeOptions::default() }
    }

    pub(super) fn session() -> Session {
        session_of(512)
    }

    fn session_of(context: usize) -> Session {
        Session::new(crate::fairy_tales(), Runtime::new(&options()), Some(context), &mut |_| {}).unwrap()
    }

    pub(super) fn request(session: &Session, tokens: usize) -> Request {
        let eos = session.defaults().eos_token_ids.clone();
        Request { max_tokens: tokens, eos, ..Request::default() }
    }

    pub(super) fn say(
        conversation: &mut Conversation<&Session>,
        text: &str,
        request: &Request,
    ) -> Generation {
        conversation.reply(text, request, |_| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn only_the_new_turn_is_read() {
        let session = session();
        let mut conversation = session.conversation(None).unwrap();
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
        let mut cached = session.conversation(None).unwrap();
        say(&mut cached, "Hello", &request);
        let second = say(&mut cached, "Who are you?", &request);

        let history = cached.sequence.history();
        let prompt = &history[..history.len() - second.ids.len()];
        let mut generator = Generator::new(session.model(), session.tokenizer(), session.context()).unwrap();
        let anew = generator.generate(prompt, &request, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(anew.ids, second.ids);
        assert_eq!(anew.prompt_tokens, prompt.len());
    }

    #[test]
    fn a_reply_in_two_parts_is_the_whole_reply() {
        let session = session();
        let [mut parts, mut whole] = [(); 2].map(|()| session.conversation(None).unwrap());
        let expected = say(&mut whole, "Tell me about the sea", &request(&session, 30)).text;
        let first = say(&mut parts, "Tell me about the sea", &request(&session, 11)).text;
        let go_on = |conversation: &mut Conversation<&Session>, tokens| {
            conversation.continue_reply(&request(&session, tokens), |_| ControlFlow::Continue(())).unwrap()
        };
        let second = go_on(&mut parts, 19);
        assert_eq!(first + &second.text, expected);
        assert_eq!(second.prompt_tokens, 1, "only the last token was not read yet");
        assert_eq!(parts.messages(), whole.messages());

        // A conversation that was restored goes on too.
        let messages = parts.messages().to_vec();
        let mut restored = session.conversation(None).unwrap();
        assert!(restored.continue_reply(&request(&session, 1), |_| ControlFlow::Continue(())).is_err());
        restored.restore(messages).unwrap();
        assert_eq!(go_on(&mut restored, 12).ids, go_on(&mut parts, 12).ids);
    }

    #[test]
    fn a_turn_that_is_cancelled_before_its_reply_is_forgotten() {
        let session = session();
        let request = request(&session, 10);
        let [mut interrupted, mut undisturbed] = [(); 2].map(|()| session.conversation(None).unwrap());
        for conversation in [&mut interrupted, &mut undisturbed] {
            say(conversation, "Hello", &request);
        }
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let during_prompt = move || looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 3;
        let cancelled = Request { cancel: crate::Cancel::when(during_prompt), ..request.clone() };
        let cut = say(&mut interrupted, "Tell me about the sea", &cancelled);
        assert_eq!((cut.stop, cut.ids.len()), (Stop::Cancelled, 0));
        assert_eq!(interrupted.messages(), undisturbed.messages());
        let [a, b] = [&mut interrupted, &mut undisturbed].map(|c| say(c, "Who are you?", &request).ids);
        assert_eq!(a, b);
    }

    #[test]
    fn dropped_turns_make_room_and_leave_a_fresh_conversation() {
        let session = session_of(96);
        let request = request(&session, 6);
        let system = Some("Be brief.".to_owned());
        let mut long = session.conversation(system.clone()).unwrap();
        for word in ["dragon ", "king ", "sea "] {
            say(&mut long, &word.repeat(13), &request);
        }
        let next = "story ".repeat(40);
        assert!(matches!(
            long.reply(&next, &request, |_| ControlFlow::Continue(())),
            Err(crate::Error::ContextExceeded { .. })
        ));
        let turns = long.turns_in_the_way(&next, 6).unwrap().unwrap();
        assert!((1..=2).contains(&turns), "{turns} turns");
        assert_eq!((long.turns_in_the_way(&next, 500).unwrap(), long.turns()), (None, 3));
        let kept = long.messages()[1 + 2 * turns..].to_vec();
        assert_eq!(long.drop_oldest(turns), turns);
        assert_eq!(long.messages(), [vec![Message::new("system", "Be brief.")], kept].concat());
        let reply = say(&mut long, &next, &request);

        let mut fresh = session.conversation(system).unwrap();
        fresh.messages = long.messages[..long.messages.len() - 2].to_vec();
        assert_eq!(say(&mut fresh, &next, &request).ids, reply.ids);
        assert_eq!(long.drop_oldest(9), 3 - turns + 1);
    }

    #[test]
    fn a_turn_that_does_not_fit_is_forgotten() {
        let session = session();
        let mut conversation = session.conversation(None).unwrap();
        let request = request(&session, 3);
        say(&mut conversation, "Hello", &request);
        let messages = conversation.messages().to_vec();
        let refused = conversation.reply(&"word ".repeat(2000), &request, |_| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(crate::Error::ContextExceeded { .. })));
        assert_eq!(conversation.messages(), messages);
        say(&mut conversation, "Still there?", &request);
        conversation.reset();
        assert_eq!((conversation.tokens(), conversation.messages().len()), (0, 0));
    }

    /// Returns a session with SentencePiece's rule that a text begins with a space, which the text does not show.
    fn spaced() -> Session {
        let mut vocab: serde_json::Map<_, _> =
            (0..256).map(|byte| (format!("<0x{byte:02X}>"), byte.into())).collect();
        for piece in ["<s>", "▁", "u", "a", "y", "▁u", "▁a", "▁y"] {
            vocab.insert(piece.into(), vocab.len().into());
        }
        let replace = |from: &str, to: &str| serde_json::json!({"type": "Replace", "pattern": {"String": from}, "content": to});
        let tokenizer = serde_json::json!({
            "version": "1.0", "added_tokens": [{"id": 256, "content": "<s>", "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true}],
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")]},
            "decoder": {"type": "Sequence", "decoders": [replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "vocab": vocab, "byte_fallback": true, "fuse_unk": true,
                "merges": [["▁", "u"], ["▁", "a"], ["▁", "y"]]},
        });
        let template = "{{ '<s>' }}{% for m in messages %}{% if m.role == 'user' %} u {{ m.content }} a{% else %}\
            {{ m.content }}{% endif %}{% endfor %}";
        let files: Vec<(&str, &[u8])> = vec![
            ("config.json", include_bytes!("../../tests/fixtures/bitnet-tiny/config.json")),
            ("model.safetensors", include_bytes!("../../tests/fixtures/bitnet-tiny/model.safetensors")),
            ("tokenizer.json", tokenizer.to_string().into_bytes().leak()),
            ("chat_template.jinja", template.as_bytes()),
        ];
        let files = tercet_formats::ModelFiles::embedded("spaced".into(), files.leak());
        Session::new(files, Runtime::new(&options()), None, &mut |_| {}).unwrap()
    }

    #[test]
    fn a_conversation_has_the_tokens_of_its_whole_text() {
        let session = spaced();
        for spelled in [Spelled::Token, Spelled::Text] {
            let mut conversation = session.conversation(None).unwrap().spelled(spelled);
            for turn in ["y", "y <s> y", " y", "y"] {
                let reply = say(&mut conversation, turn, &Request { max_tokens: 5, ..session.request() });
                let (prompt, new) =
                    conversation.sequence.history().split_at(conversation.tokens() - reply.ids.len());
                let said = &conversation.messages()[..conversation.messages().len() - 1];
                let whole = session.template().unwrap().render(&ChatInput::question(said)).unwrap();
                let tokenizer = session.tokenizer();
                if spelled == Spelled::Token {
                    assert_eq!(prompt, tokenizer.encode(&whole, false).unwrap());
                } else {
                    assert_eq!(prompt.iter().filter(|id| **id == 256).count(), 1);
                    // The text after the start token begins with a space of its own.
                    assert_eq!(tokenizer.decode(prompt, false).unwrap(), whole.replacen("<s>", "<s> ", 1));
                }
                let [whole, start] =
                    [&[prompt, new].concat(), prompt].map(|ids| tokenizer.decode(ids, true).unwrap());
                assert_eq!(start + &reply.text, whole);
            }
        }
    }
}
