//! The log on standard error: lines for people, or JSON for programs.

use std::fmt::{self, Debug, Write as _};
use std::io;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::ZonedDateTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self as lines, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Log")]
pub(super) struct LogArgs {
    /// Form of the log on standard error: a line for each request at its end
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    log: Form,
    /// Log prompts and texts, too; by default the log never has them
    #[arg(long)]
    pub(super) log_prompts: bool,
    /// Log requests for /health, /ready and /metrics, too
    #[arg(long)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// An object a line
    Json,
    /// No log
    Off,
}

impl LogArgs {
    /// Starts the log of this process.
    pub(super) fn start(self) {
        let level = if self.verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
        // Other crates have nothing to say that users need.
        let ours = Targets::new().with_target("tercet", level);
        // Nobody may read the log any more: that harms no request.
        let log = lines::layer().with_writer(io::stderr).with_ansi(false).log_internal_errors(false);
        // A process has one log; a second start changes nothing.
        let _ = match self.log {
            Form::Off => Ok(()),
            Form::Text => tracing_subscriber::registry().with(log.event_format(Line)).with(ours).try_init(),
            Form::Json => {
                let json = log.json().flatten_event(true).with_current_span(false).with_span_list(false);
                tracing_subscriber::registry().with(json).with(ours).try_init()
            }
        };
    }
}

/// Writes an event as a line for people.
struct Line;

impl<S: Subscriber + for<'a> LookupSpan<'a>, F: for<'a> FormatFields<'a> + 'static> FormatEvent<S, F>
    for Line
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, F>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = ZonedDateTime::now().strftime("%H:%M:%S").to_string();
        if event.metadata().target() != "tercet::request" {
            line = format!("{line}  {}", event.metadata().level().as_str().to_lowercase());
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{line}")
    }
}

/// Appends the fields of a request, in their order.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn put(&mut self, text: fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = self.0.write_fmt(text);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.put(format_args!("  {value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "route" | "outcome" => self.put(format_args!(" {value}")),
            // Line breaks and control characters are escaped.
            "prompt" | "text" => self.put(format_args!("  {} {value:?}", field.name())),
            _ => self.put(format_args!("  {value}")),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "status" => self.put(format_args!("  {value}")),
            "prompt_tokens" => self.put(format_args!("  prompt {value}")),
            "cached_tokens" => self.put(format_args!(" ({value} cached)")),
            "generated_tokens" => self.put(format_args!("  text {value}")),
            name => self.put(format_args!("  {name} {value}")),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            "first_token_seconds" => self.put(format_args!("  first {}", shown(value))),
            "tokens_per_second" => self.put(format_args!("  {value:.1} tokens/s")),
            _ => self.put(format_args!("  total {}", shown(value))),
        }
    }
}

fn shown(seconds: f64) -> String {
    format!("{:.1?}", Duration::from_secs_f64(seconds.max(0.0)))
}
