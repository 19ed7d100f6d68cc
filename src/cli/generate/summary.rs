//! The report of a run: a line, some lines, or JSON.

use anyhow::Result;
use serde_json::{Map, Value, json};
use tercet_engine::{Generation, Logprob, Request, Session, TokenLogprobs};

use super::prompt::Prompt;
use super::samples;
use crate::cli::args::Described;
use crate::cli::energy::Used;
use crate::cli::left_out::LeftOut;
use crate::cli::report::{self, Report, count, note, rate, size};
use crate::cli::screen::{Look, Screen};

/// A run with its texts, of which there is at least one.
pub(super) struct Summary<'a> {
    pub(super) session: &'a Session,
    pub(super) prompt: &'a Prompt,
    pub(super) request: &'a Request,
    pub(super) generations: &'a [Generation],
    /// None if the machine does not tell.
    pub(super) energy: Option<Used>,
    /// Counted for `--json` only.
    pub(super) left_out: LeftOut,
}

impl Summary<'_> {
    /// Returns the output of `--json`.
    pub(super) fn json(&self) -> Value {
        let Summary { session, prompt, request, generations, energy, left_out } = self;
        let first = &generations[0];
        let mut object = text_fields(first);
        let more = json!({
            "model": session.model().name(),
            "isa": session.runtime().isa().name(),
            "threads": session.runtime().threads(),
            "prompt_ids": prompt.ids,
            "load_s": session.model().load_time().as_secs_f64(),
            "prefill_s": first.prefill.as_secs_f64(),
            "decode_s": first.decode.as_secs_f64(),
            "prefill_tps": rate(first.prefill_tps()),
            "decode_tps": rate(first.decode_tps()),
            "drafted": first.drafted,
            "accepted": first.accepted,
            "peak_rss_bytes": report::peak_rss_bytes(),
            "energy": energy,
        });
        for more in [more, json!(left_out)] {
            object.extend(more.as_object().cloned().unwrap_or_default());
        }
        if generations.len() > 1 {
            let sample = |(i, generation): (u64, &Generation)| {
                let mut fields = text_fields(generation);
                fields.insert("seed".to_owned(), samples::request(request, i).sampler.seed.into());
                Value::Object(fields)
            };
            object.insert("samples".to_owned(), (0..).zip(*generations).map(sample).collect());
        }
        Value::Object(object)
    }

    /// Prints every text after its number and seed.
    pub(super) fn show_samples(&self, look: Look, echo: &str) -> Result<()> {
        for (i, generation) in (0..).zip(self.generations) {
            let seed = samples::request(self.request, i).sampler.seed;
            note(format_args!("[text {} of {}, seed {seed}]", i + 1, self.generations.len()));
            let mut screen = Screen::new(look, echo);
            let _ = screen.show(&generation.text);
            screen.end()?;
        }
        Ok(())
    }

    /// Returns the table of probabilities.
    pub(super) fn logprobs(&self) -> Result<Report> {
        let mut report = Report::new();
        for generation in self.generations {
            report.heading("Tokens (ln p, p, the most probable tokens at this place)");
            for TokenLogprobs { chosen, best } in &generation.logprobs {
                let best = best.iter().map(|best| Ok(format!("{:?} {:.3}", self.token(best)?, best.logprob)));
                let best = best.collect::<Result<Vec<_>>>()?.join(", ");
                let percent = 100.0 * chosen.logprob.exp();
                let name = format!("{:?}", self.token(chosen)?);
                report.row(name, format_args!("{:8.3} {percent:6.1} %  {best}", chosen.logprob));
            }
        }
        Ok(report)
    }

    fn token(&self, logprob: &Logprob) -> Result<String> {
        Ok(self.session.tokenizer().decode(&[logprob.token], false)?)
    }

    /// Returns the usual line.
    pub(super) fn line(&self) -> String {
        let (session, first) = (self.session, &self.generations[0]);
        let drafts = match first.drafted {
            0 => String::new(),
            drafted => format!(", {} of {drafted} drafted", first.accepted),
        };
        format!(
            "[{} | {}, {} | prefill {} at {:.0}/s | decode {} at {:.0}/s{drafts} | {}]",
            session.model().name(),
            session.runtime().isa(),
            count(session.runtime().threads(), "thread"),
            count(first.prompt_tokens, "token"),
            rate(first.prefill_tps()),
            count(first.ids.len(), "token"),
            rate(first.decode_tps()),
            Described(&self.request.sampler),
        )
    }

    /// Returns the lines of `--verbose`.
    pub(super) fn lines(&self) -> String {
        let Summary { session, generations, .. } = self;
        let mut lines = self.line();
        let seconds = session.model().load_time().as_secs_f64();
        lines += &format!("\nload {seconds:.2} s, context {} tokens", session.context());
        for Generation { ids, prefill, decode, stop, stop_string, .. } in *generations {
            let string = stop_string.as_ref().map(|string| format!(" {string:?}")).unwrap_or_default();
            lines += &format!(
                "\nprefill {:.2} s, decode {:.2} s, {}, stopped by {}{string}",
                prefill.as_secs_f64(),
                decode.as_secs_f64(),
                count(ids.len(), "token"),
                stop.name(),
            );
        }
        if let Some(peak) = report::peak_rss_bytes() {
            lines += &format!("\nmemory {}", size(peak as usize));
        }
        lines
    }
}

/// Returns the fields of one text.
fn text_fields(generation: &Generation) -> Map<String, Value> {
    let mut fields = Map::from_iter([
        ("ids".to_owned(), json!(generation.ids)),
        ("text".to_owned(), json!(generation.text)),
        ("stop".to_owned(), json!(generation.stop.name())),
    ]);
    if !generation.logprobs.is_empty() {
        fields.insert("logprobs".to_owned(), generation.logprobs.iter().map(logprobs).collect());
    }
    fields
}

fn logprobs(TokenLogprobs { chosen, best }: &TokenLogprobs) -> Value {
    let logprob = |Logprob { token, logprob }: &Logprob| json!({ "id": token, "logprob": logprob });
    let mut value = logprob(chosen);
    value["best"] = best.iter().map(logprob).collect();
    value
}
