//! `tercet embed`: texts as vectors.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::args::{OutputArgs, SessionArgs};
use super::report::{self, Report};
use super::{progress, text};
use tercet_engine::{Cancel, Error, Session, cosine};

const EXAMPLES: &str = "\
Examples:
  tercet embed -m bitnet-embedding-0.6b \"The Eiffel Tower is 330 metres high.\"
  tercet embed -m bitnet-embedding-0.6b --query --compare \"tall towers\" \"The Eiffel Tower\" \"A goldfish\"
  tercet embed -m bitnet-embedding-0.6b --json -f lines.txt | jq '.texts[].embedding'";

const JSON: &str = "\
JSON: model, isa, threads, dimensions, texts: [{tokens, embedding}].
With --compare: cosine, a list with the similarity of the first text to each of the others.";

/// Turn texts into embeddings: vectors that show which texts are about the same
///
/// Prints one line for each text: the numbers of its vector. The model must be made for embeddings.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Embed {
    /// Texts; without any, each line of standard input is one
    texts: Vec<String>,
    /// Embed each line of FILE
    #[arg(short, long, value_name = "FILE", conflicts_with = "texts")]
    file: Option<PathBuf>,
    /// The texts are queries: put the model's words for queries before them
    ///
    /// Models tell questions from the texts that answer them. With --compare, the first text is the query.
    #[arg(long)]
    query: bool,
    /// Put the model's words for the purpose NAME before the texts, as --query does for `query`
    #[arg(long, value_name = "NAME", conflicts_with = "query", hide_short_help = true)]
    prompt_name: Option<String>,
    /// Show how similar the first text is to each of the others: the cosine, from -1 to 1
    #[arg(long)]
    compare: bool,
    /// Cut the vectors to N elements, if the model was trained for it
    #[arg(long, value_name = "N", hide_short_help = true)]
    dimensions: Option<usize>,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    model: &'a str,
    isa: &'a str,
    threads: usize,
    dimensions: usize,
    texts: Vec<Embedded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cosine: Option<Vec<f64>>,
}

#[derive(Serialize)]
struct Embedded {
    tokens: usize,
    embedding: Vec<f32>,
}

impl Embed {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let texts = self.texts()?;
        let session = self.session.open(None)?;
        let embedded = self.embed(&session, &texts)?;
        let cosine = self.compare.then(|| {
            let (first, others) = (&embedded[0].embedding, &embedded[1..]);
            others.iter().map(|other| cosine(first, &other.embedding)).collect::<Vec<_>>()
        });
        match (self.output.json, cosine) {
            (true, cosine) => report::print_json(&Summary {
                model: session.model().name(),
                isa: session.runtime().isa().name(),
                threads: session.runtime().threads(),
                dimensions: embedded[0].embedding.len(),
                texts: embedded,
                cosine,
            })?,
            (false, Some(cosine)) => comparison(&texts, &cosine).print()?,
            (false, None) => {
                for text in &embedded {
                    let numbers: Vec<String> = text.embedding.iter().map(f32::to_string).collect();
                    report::print(&(numbers.join(" ") + "\n"))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn texts(&self) -> Result<Vec<String>> {
        let bad = |problem: &str, remedy: &str| Err(Error::bad_argument("the texts", problem, remedy).into());
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let texts = match &self.file {
            Some(file) => lines(text::from_file(file)?),
            None if !self.texts.is_empty() => self.texts.clone(),
            None if io::stdin().is_terminal() => Vec::new(),
            None => lines(text::from_stdin("the texts")?),
        };
        match texts.len() {
            0 => bad("there are none", "give some, as in: tercet embed \"The sea\""),
            1 if self.compare => bad("there is only one", "give the texts that it is compared with"),
            _ => Ok(texts),
        }
    }

    fn embed(&self, session: &Session, texts: &[String]) -> Result<Vec<Embedded>> {
        let embedder = session.embedder()?;
        let prompt = match &self.prompt_name {
            Some(name) => embedder.prompt(name)?,
            None if self.query => embedder.prompt("query")?,
            None => embedder.default_prompt(),
        };
        let prompt_of = |index: usize| match index {
            1.. if self.compare => embedder.default_prompt(),
            _ => prompt,
        };
        let encode = |(i, text): (usize, &String)| embedder.encode(prompt_of(i), text);
        let tokens = texts.iter().enumerate().map(encode).collect::<Result<Vec<_>, _>>()?;
        let bar = progress::bar("embedding", texts.len());
        let show = |done: usize| bar.set_position(done as u64);
        let vectors = embedder.embed(&tokens, self.dimensions, &Cancel::new(), show)?;
        bar.finish_and_clear();
        let pairs = tokens.iter().zip(vectors);
        Ok(pairs.map(|(tokens, embedding)| Embedded { tokens: tokens.len(), embedding }).collect())
    }
}

/// Lists the texts after the first one, the most similar ones first.
fn comparison(texts: &[String], cosine: &[f64]) -> Report {
    let mut found: Vec<(&String, f64)> = texts[1..].iter().zip(cosine.iter().copied()).collect();
    found.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    let mut report = Report::new();
    report.heading(&texts[0]);
    found.iter().for_each(|(text, cosine)| report.line(format_args!("  {cosine:>7.4}  {text}")));
    report
}
