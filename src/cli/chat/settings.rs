//! The settings of `/set`.

use std::fmt::{self, Display};
use std::str::FromStr;

use tercet_engine::{Request, SamplingChoices, Session};

use crate::cli::args::{self, ContinuationArgs, Described};
use crate::cli::config;

const NAMES: &str = "temperature, top-k, top-p, min-p, repetition-penalty, repetition-window, presence-penalty, \
                     frequency-penalty, seed, tokens, and greedy without a value, and preset with its name";

/// How replies are generated: by the command's flags, and by what `/set` has changed since.
#[derive(Clone)]
pub(super) struct Settings {
    flags: ContinuationArgs,
    choices: SamplingChoices,
    /// Most tokens of a reply.
    tokens: Option<usize>,
}

impl Settings {
    /// Starts with the command's flags, and with the sampling that follows from them.
    pub(super) fn new(flags: ContinuationArgs, choices: SamplingChoices) -> Self {
        Settings { flags, choices, tokens: None }
    }

    /// Returns the request for a reply.
    pub(super) fn request(&self, session: &Session) -> Request {
        let request = self.flags.request(&self.choices, session, usize::MAX);
        Request { max_tokens: self.tokens.unwrap_or(request.max_tokens), ..request }
    }

    /// Sets `name` to `value`.
    ///
    /// # Errors
    /// Says what is wrong with the name, or with the value on its own.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let choices = &mut self.choices;
        match name.replace('_', "-").as_str() {
            "greedy" if value.is_empty() => {
                let SamplingChoices { temperature, top_k, top_p, min_p, .. } = choices;
                (*temperature, *top_k, *top_p, *min_p) = (None, None, None, None);
                choices.greedy = true;
                return Ok(());
            }
            "temperature" => choices.temperature = Some(number(value)?),
            "top-k" => choices.top_k = Some(number(value)?),
            "top-p" => choices.top_p = Some(number(value)?),
            "min-p" => choices.min_p = Some(number(value)?),
            "repetition-penalty" => choices.repetition_penalty = Some(number(value)?),
            "repetition-window" => choices.repetition_window = Some(number(value)?),
            "presence-penalty" => choices.presence_penalty = number(value)?,
            "frequency-penalty" => choices.frequency_penalty = number(value)?,
            "seed" => choices.seed = args::seed(value)?,
            "tokens" => self.tokens = Some(number(value)?),
            "preset" => {
                let preset = config::current().and_then(|config| config.sampling(Some(value)));
                *choices = preset.map_err(|error| error.to_string())?.choices(choices.seed);
                return Ok(());
            }
            _ => return Err(format!("/set knows no {name:?}: it takes {NAMES}")),
        }
        let samples = ["temperature", "top-k", "top-p", "min-p"].contains(&name.replace('_', "-").as_str());
        self.choices.greedy &= !samples;
        Ok(())
    }

    /// Takes the next seed.
    pub(super) fn reseed(&mut self) {
        self.choices.seed = self.choices.seed.wrapping_add(1);
    }
}

fn number<T: FromStr<Err: Display>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{value:?} is not understood: {error}"))
}

/// Formats a request for people: `temperature 0.7, seed 12, at most 100 tokens`.
pub(super) struct Shown<'a>(pub(super) &'a Request);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Described(&self.0.sampler))?;
        match self.0.max_tokens {
            usize::MAX => Ok(()),
            tokens => write!(f, ", at most {}", crate::cli::report::count(tokens, "token")),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::SamplingArgs;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: ContinuationArgs,
    }

    fn session() -> Session {
        Session::open("fairy-tales").unwrap()
    }

    fn settings(flags: &[&str]) -> Settings {
        let line = [&["chat"], flags].concat();
        let Line { flags } = Line::try_parse_from(line).unwrap();
        let choices = flags.choices_over(&SamplingArgs::default(), 7);
        Settings::new(flags, choices)
    }

    #[test]
    fn settings_are_the_flags_and_what_was_set_since() {
        let session = session();
        let mut settings = settings(&["--greedy", "-n", "5"]);
        assert_eq!(Shown(&settings.request(&session)).to_string(), "greedy, at most 5 tokens");
        settings.set("temperature", "0.5").unwrap();
        settings.set("tokens", "9").unwrap();
        let request = settings.request(&session);
        assert_eq!((request.max_tokens, request.sampler.temperature, request.sampler.seed), (9, 0.5, 7));
        settings.reseed();
        assert_eq!(settings.request(&session).sampler.seed, 8);
        settings.set("greedy", "").unwrap();
        assert_eq!(settings.request(&session).sampler.temperature, 0.0);
    }

    #[test]
    fn the_settings_that_are_named_exist() {
        let names = NAMES.split(", and").next().unwrap().split(", ");
        for name in names {
            let mut settings = settings(&[]);
            settings.set(name, "1").unwrap();
            assert!(settings.set(name, "much").is_err(), "{name}");
        }
        assert!(settings(&[]).set("warmth", "1").unwrap_err().contains("warmth"));
    }

    #[test]
    fn a_seed_that_was_given_wins_over_the_session_s() {
        let session = session();
        let seed = |flags: &[&str]| settings(flags).request(&session).sampler.seed;
        assert_eq!((seed(&[]), seed(&["--seed", "3"])), (7, 3));
    }
}
