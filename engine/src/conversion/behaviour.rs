//! Everything beside its weights that decides a model's text.

use std::collections::BTreeSet;

use tercet_chat::{ChatInput, ChatTemplate, Message};
use tercet_formats::{Config, GenerationDefaults, ModelFiles, TemplateSource, one_line};

use super::texts::texts;
use crate::error::Result;
use crate::sampler::SamplingChoices;
use crate::tokenizer::Tokenizer;

/// Texts that two tokenizers are compared with.
const TEXTS: usize = 1000;

/// How a model reads, ends and samples.
pub(super) struct Behaviour {
    tokenizer: Option<Tokenizer>,
    /// A conversation in the chat template. The inner one is none if the template refuses it.
    conversation: Option<Option<String>>,
    defaults: GenerationDefaults,
}

impl Behaviour {
    pub(super) fn load(files: &ModelFiles) -> Result<Self> {
        let config = Config::load(files)?;
        let defaults = GenerationDefaults::load(files, &config)?;
        let tokenizer = match files.try_get("tokenizer.json")? {
            Some(_) => Some(Tokenizer::load(files, config.vocab_size)?),
            None => None,
        };
        let conversation = TemplateSource::find(files)?.map(|template| {
            let messages = [("user", "Hello!"), ("assistant", "Hi."), ("user", "Bye.")];
            let messages = messages.map(|(role, text)| Message::new(role, text));
            ChatTemplate::compile(template)
                .and_then(|template| template.render(&ChatInput::question(&messages)))
                .ok()
        });
        Ok(Behaviour { tokenizer, conversation, defaults })
    }

    /// Returns what is otherwise in `other`, a line each.
    pub(super) fn differences(&self, other: &Self) -> Result<Vec<String>> {
        let mut differences = self.differences_of_tokens(other)?;
        if self.conversation != other.conversation {
            differences.push("the chat template gives another text".to_owned());
        }
        let ends =
            |behaviour: &Self| behaviour.defaults.eos_token_ids.iter().copied().collect::<BTreeSet<_>>();
        let (ours, theirs) = (ends(self), ends(other));
        for (change, ids) in [("no longer end", &ours - &theirs), ("also end", &theirs - &ours)] {
            if !ids.is_empty() {
                let ids: Vec<String> = ids.into_iter().map(|id| self.spell(id)).collect();
                differences.push(format!("these tokens {change} a text: {}", ids.join(", ")));
            }
        }
        let sampling = |behaviour: &Self| SamplingChoices::default().over(&behaviour.defaults);
        let (ours, theirs) = (sampling(self), sampling(other));
        if ours != theirs {
            differences.push(format!("the suggested sampling is {theirs:?} instead of {ours:?}"));
        }
        Ok(differences)
    }

    fn differences_of_tokens(&self, other: &Self) -> Result<Vec<String>> {
        let (ours, theirs) = match (&self.tokenizer, &other.tokenizer) {
            (Some(ours), Some(theirs)) => (ours, theirs),
            (None, None) => return Ok(Vec::new()),
            (Some(_), None) => return Ok(vec!["the tokenizer is missing".to_owned()]),
            (None, Some(_)) => return Ok(vec!["there is a tokenizer, which the source lacks".to_owned()]),
        };
        let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
        for text in texts(ours, TEXTS)? {
            let ids = ours.encode(&text, true)?;
            if theirs.decode(&ids, false)? != ours.decode(&ids, false)? {
                decoded.push(text.clone());
            }
            if theirs.encode(&text, true)? != ids {
                encoded.push(text);
            }
        }
        let line = |texts: Vec<String>, change: &str| {
            let shortest = texts.iter().min_by_key(|text| text.len())?;
            let shortest = one_line(format!("{shortest:?}"));
            Some(format!("{} of {TEXTS} texts {change}, such as {shortest}", texts.len()))
        };
        let lines = [line(encoded, "have other tokens"), line(decoded, "are decoded differently")];
        Ok(lines.into_iter().flatten().collect())
    }

    fn spell(&self, id: u32) -> String {
        let token = self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.token_str(id));
        one_line(token.map_or_else(|| id.to_string(), |token| format!("{token} ({id})")))
    }
}
