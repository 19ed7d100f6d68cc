//! `tercet generate`: one prompt, one text or several.

mod prompt;
mod samples;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};

use super::args::{
    ContextArgs, ContinuationArgs, GrammarArgs, OutputArgs, SessionArgs, SpelledArgs, TextArgs,
    template_variables,
};
use super::energy::Metered;
use super::interrupt::{self, AtRest};
use super::left_out::LeftOut;
use super::screen::{Look, Screen};
use super::{busy, report, toy};
use prompt::Prompt;
use summary::Summary;
use tercet_engine::Logits;
use tercet_engine::Session;
use tercet_engine::{Generation, Generator, Request, Stop};

const DEFAULT_TOKENS: usize = 128;
/// Time in which the power at rest is measured, on machines that tell it.
const REST: Duration = Duration::from_millis(300);

const EXAMPLES: &str = "\
Examples:
  tercet generate \"Once upon a time\"
  tercet generate --seed 7 -t 0.9 --top-p 0.95 --n 3 \"The dragon\"
  tercet generate --greedy -n 20 --json \"The dragon\" | jq .text
  tercet generate --chat --system \"Be brief.\" \"Tell me about the sea\" --stop \"User:\"
  tercet generate --regex \"(yes|no)\" \"Is the sea salty? \"
  tercet generate -q --no-echo -f prompt.txt > text.txt
  tercet generate --logprobs=3 -n 5 \"Once upon a\"
  tercet generate --prompt-ids 4093,331 --logits logits.safetensors -n 0";

const JSON: &str = "\
JSON: model, isa, threads, prompt_ids, ids, text, stop (eos, length, stop_string, stop_id, cancelled),
load_s, prefill_s, decode_s, prefill_tps, decode_tps, drafted and accepted (tokens of drafts),
peak_rss_bytes (null where unknown),
energy: {joules, joules_per_token, idle_watts} of all tokens read and written, beyond the power at
rest (null where the machine does not tell it, or not to this user),
head_rows (computed exactly for a token) and head_rows_pct, gates_not_positive_pct (null if no gate
becomes zero) and zeros_into_down_pct, of all tokens read and written.
With --logprobs: logprobs: [{id, logprob, best: [{id, logprob}]}].
With --n: samples: [{seed, ids, text, stop}], with logprobs too; the fields above are those of the first.";

/// Continue a text
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Generate {
    /// Text to continue; `-` or a pipe reads it from standard input
    ///
    /// The line break at the end of standard input is not part of the text.
    prompt: Option<String>,
    /// Continue the text of FILE
    ///
    /// The line break at its end is not part of the text.
    #[arg(short, long, value_name = "FILE", conflicts_with = "prompt")]
    file: Option<PathBuf>,
    /// Token ids to continue instead of a text
    ///
    /// The ids are used as they are: no start token is added.
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with_all = ["prompt", "file", "chat"], hide_short_help = true)]
    prompt_ids: Option<Vec<u32>>,
    /// Wrap the prompt in the model's chat template, as a question
    #[arg(long)]
    chat: bool,
    /// System message, which the model reads before the question
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// Variables of the chat template, as a JSON object such as '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", requires = "chat", value_parser = template_variables, hide_short_help = true)]
    chat_template_kwargs: Option<Map<String, Value>>,
    /// Write the logits of every prompt position to FILE
    ///
    /// The file has the format safetensors. Its tensor `logits` has the type f32 and the shape
    /// positions × vocabulary.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    logits: Option<PathBuf>,
    /// Write N texts, with the seeds that follow --seed
    ///
    /// They grow together, in less time than one after the other. Each is the text of its seed alone.
    #[arg(long = "n", value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = samples::number)]
    samples: u64,
    /// Show the probability of every token, and of the K most probable ones at its place
    #[arg(long, value_name = "K", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    logprobs: Option<usize>,
    /// Do not show the prompt before the text
    #[arg(long, help_heading = "Output")]
    no_echo: bool,
    /// Print the text and errors only
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Say more about the run
    #[arg(long, short, help_heading = "Output", conflicts_with = "quiet")]
    verbose: bool,
    #[command(flatten)]
    continuation: ContinuationArgs,
    #[command(flatten)]
    grammar: GrammarArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    spelled: SpelledArgs,
    #[command(flatten)]
    text: TextArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Generate {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let text = self.prompt_text()?;
        if !self.quiet && toy::is_chosen(self.session.load.model.model.as_deref())? {
            toy::remark("generate");
        }
        let session = self.session.open_drafting(self.context.context, self.continuation.draft_model())?;
        let choices = self.continuation.choices(0)?;
        let mut request = self.continuation.request(&choices, &session, DEFAULT_TOKENS);
        request.sampler.validate()?;
        request.grammar = self.grammar.matcher(session.tokenizer())?;
        request.logprobs = self.logprobs;
        let prompt = self.encode(text, &session)?;
        if let Some(path) = &self.logits {
            write_logits(path, &session, &prompt.ids)?;
        }
        let look = if self.output.json { Look::Hidden } else { self.text.look() };
        let metered = self.output.json.then(|| Metered::start(REST)).and_then(Result::ok);
        let begun = metered.as_ref().map(Metered::begin);
        let watch = busy::Watch::start();
        let echo = if self.no_echo { "" } else { prompt.echo.as_str() };
        let generate = || match self.samples {
            1 => Ok(vec![generate(&session, &prompt, echo, &request, look)?]),
            number => samples::generate(&session, &prompt.ids, &request, number),
        };
        let (generations, left_out) = match self.output.json {
            false => (generate()?, LeftOut::default()),
            true => {
                let (generations, work) = session.model().counting(generate);
                (generations?, LeftOut::of(&work, session.model()))
            }
        };
        let energy = metered.zip(begun).and_then(|(metered, begun)| {
            let written: usize = generations.iter().map(|generation| generation.ids.len()).sum();
            Some(metered.used(metered.since(&begun)?, prompt.ids.len() + written))
        });
        let summary = Summary {
            session: &session,
            prompt: &prompt,
            request: &request,
            generations: &generations,
            energy,
            left_out,
        };
        if self.output.json {
            report::print_json(&summary.json())?;
        } else {
            if self.samples > 1 {
                summary.show_samples(look, echo)?;
            }
            if self.logprobs.is_some() {
                summary.logprobs()?.print()?;
            }
            match (self.quiet, self.verbose) {
                (true, _) => {}
                (_, false) => report::note(summary.line()),
                (_, true) => report::note(summary.lines()),
            }
            watch.remark().iter().filter(|_| !self.quiet).for_each(report::note);
        }
        let interrupted = generations.iter().any(|generation| generation.stop == Stop::Cancelled);
        Ok(if interrupted { ExitCode::from(interrupt::STATUS) } else { ExitCode::SUCCESS })
    }
}

/// Continues the prompt, and shows the text as it grows.
fn generate(
    session: &Session,
    prompt: &Prompt,
    echo: &str,
    request: &Request,
    look: Look,
) -> Result<Generation> {
    let mut generator = Generator::new(session.model(), session.tokenizer(), session.context())?;
    let mut screen = Screen::new(look, echo);
    let generation = interrupt::during(AtRest::End, |cancel| {
        let request = Request { cancel, ..request.clone() };
        generator.generate(&prompt.ids, &request, |piece| screen.show(piece))
    })?;
    screen.end()?;
    Ok(generation)
}

fn write_logits(path: &Path, session: &Session, ids: &[u32]) -> Result<()> {
    let mut state = session.model().new_state(session.context())?;
    let logits = session.model().forward(&mut state, ids, Logits::All)?;
    let shape = [ids.len(), session.model().config().vocab_size];
    Ok(tercet_formats::write_f32(path, "logits", &shape, logits)?)
}
