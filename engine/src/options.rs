//! The options of the library, each declared once.
//!
//! A row of [`OPTIONS`] names a field of [`RuntimeOptions`](crate::RuntimeOptions), of
//! [`SessionOptions`](crate::SessionOptions) or of [`SamplingChoices`](crate::SamplingChoices). Its name is the keyword in
//! Python and, with dashes, the command's flag; tests hold both to the table. Environment variables are read by it.

use tercet_codegen::{Isa, Packing};

use crate::runtime::{ActivationType, CacheType, HeadMode, Mode};

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionInfo {
    /// The field's name, such as `cache_type`.
    pub name: &'static str,
    /// The environment variable that sets the default, if there is one.
    pub variable: Option<&'static str>,
    /// The names that the option takes; none where it takes a number or a path.
    pub values: fn() -> Vec<&'static str>,
    /// A help text of a few words.
    pub help: &'static str,
}

impl OptionInfo {
    /// Returns the command's flag, such as `--cache-type`.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// Returns the option called `name`.
    pub fn find(name: &str) -> Option<&'static OptionInfo> {
        OPTIONS.iter().find(|option| option.name == name)
    }
}

/// A name that an option does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown name")]
pub struct UnknownName;

const fn option(
    name: &'static str,
    variable: Option<&'static str>,
    values: fn() -> Vec<&'static str>,
    help: &'static str,
) -> OptionInfo {
    OptionInfo { name, variable, values, help }
}

const fn free() -> fn() -> Vec<&'static str> {
    Vec::new
}

/// Every option.
pub const OPTIONS: &[OptionInfo] = &[
    // The machine: no option changes a result.
    option("isa", Some("TERCET_ISA"), || Isa::ALL.map(Isa::name).to_vec(), "best instruction set to use"),
    option("threads", Some("TERCET_THREADS"), free(), "number of threads"),
    option(
        "packing",
        Some("TERCET_PACKING"),
        || Packing::TERNARY.map(Packing::name).to_vec(),
        "packing of the weights",
    ),
    // Precision.
    option("mode", None, || Mode::NAMES.to_vec(), "arithmetic of the ternary layers"),
    option(
        "activations",
        None,
        || ActivationType::ALL.map(ActivationType::name).to_vec(),
        "activations in the exact mode",
    ),
    option(
        "head",
        Some("TERCET_HEAD"),
        || HeadMode::ALL.map(HeadMode::name).to_vec(),
        "computation of the output head",
    ),
    option(
        "cache_type",
        Some("TERCET_CACHE_TYPE"),
        || CacheType::ALL.map(CacheType::name).to_vec(),
        "type of keys and values",
    ),
    // Sampling.
    option("temperature", None, free(), "divisor of the logits; 0 takes the best token"),
    option("top_k", None, free(), "number of candidates; 0 for all"),
    option("top_p", None, free(), "probability that the candidates hold together"),
    option("min_p", None, free(), "least probability of a candidate relative to the best"),
    option("repetition_penalty", None, free(), "divisor of the logits of tokens seen before"),
    option("repetition_window", None, free(), "latest tokens that the penalty looks at; 0 for all"),
    option("presence_penalty", None, free(), "taken from the logits of generated tokens"),
    option("frequency_penalty", None, free(), "taken for each time that a token was generated"),
    option("logit_bias", None, free(), "added to the logits of tokens"),
    option("seed", None, free(), "seed of the random choices"),
    option("stop", None, free(), "strings that end the text, special tokens included"),
    option("stop_id", None, free(), "tokens that end the text, besides the model's end tokens"),
    option("json_schema", None, free(), "JSON schema that the text is valid by"),
    option("json_object", None, free(), "the text is a JSON object"),
    option("regex", None, free(), "regular expression that matches the whole text"),
    option("grammar", None, free(), "grammar of the text, in GBNF or Lark"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_parse_as_what_they_name() {
        let values = |name: &str| (OptionInfo::find(name).unwrap().values)();
        assert!(values("head").iter().all(|name| name.parse::<HeadMode>().is_ok()));
        assert!(values("mode").iter().all(|name| name.parse::<Mode>().is_ok()));
        assert!(values("isa").iter().all(|name| name.parse::<Isa>().is_ok()));
        assert_eq!("nearly".parse::<HeadMode>(), Err(UnknownName));
    }
}
