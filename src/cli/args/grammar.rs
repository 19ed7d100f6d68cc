//! The grammar of a text.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use tercet_engine::{Error, Grammar, Matcher, Tokenizer};

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Grammar")]
#[group(multiple = false)]
pub(in crate::cli) struct GrammarArgs {
    /// Generate JSON that is valid by a JSON schema, from a file or as it is
    #[arg(long, value_name = "FILE|JSON")]
    json_schema: Option<String>,
    /// Generate a JSON object
    #[arg(long)]
    json_object: bool,
    /// Generate a text that the whole of this regular expression matches
    #[arg(long, value_name = "REGEX")]
    regex: Option<String>,
    /// Generate a text by the grammar in FILE, in GBNF or Lark
    ///
    /// GBNF is llama.cpp's notation, with rules such as `root ::= "yes" | "no"`. Lark is llguidance's variant, with rules
    /// such as `start: "yes" | "no"`.
    #[arg(long, value_name = "FILE")]
    grammar: Option<PathBuf>,
}

impl GrammarArgs {
    /// Returns the matcher of the grammar that was asked for, if one was.
    pub(in crate::cli) fn matcher(&self, tokenizer: &Tokenizer) -> Result<Option<Matcher>> {
        let Some(grammar) = self.grammar()? else { return Ok(None) };
        Ok(Some(tokenizer.matcher(&grammar)?))
    }

    fn grammar(&self) -> Result<Option<Grammar>> {
        if let Some(schema) = &self.json_schema {
            let is_json = schema.trim_start().starts_with('{');
            let text = if is_json { schema.clone() } else { read(Path::new(schema))? };
            let schema = serde_json::from_str(&text).map_err(|error| {
                Error::bad_argument("--json-schema", error.to_string(), "give a JSON schema or its file")
            })?;
            return Ok(Some(Grammar::JsonSchema(schema)));
        }
        if self.json_object {
            return Ok(Some(Grammar::JsonObject));
        }
        if let Some(regex) = &self.regex {
            return Ok(Some(Grammar::Regex(regex.clone())));
        }
        self.grammar.as_ref().map(|path| Ok(Grammar::read(&read(path)?))).transpose()
    }
}

fn read(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?)
}
