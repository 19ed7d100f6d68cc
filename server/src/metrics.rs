//! Counts and times of requests, in Prometheus' text format: `GET /metrics`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State as Extract;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

use crate::State;
use crate::error::{ApiError, Result};

type Seconds = Counter<f64, AtomicU64>;

/// The metrics of a server. Each choice of a request counts as a request.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) first_token: Histogram,
    pub(crate) between_tokens: Histogram,
    pub(crate) queue: Histogram,
    pub(crate) whole: Histogram,
    pub(crate) prompt_length: Histogram,
    pub(crate) text_length: Histogram,
    /// Prompt tokens that were read, and the time that it took.
    pub(crate) prompt_tokens: Counter,
    pub(crate) prompt_time: Seconds,
    pub(crate) cached_tokens: Counter,
    /// Tokens that were generated, and the time that it took.
    pub(crate) generated_tokens: Counter,
    pub(crate) generation_time: Seconds,
    requests: Family<[(&'static str, &'static str); 1], Counter>,
    waiting: Gauge,
    running: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 18));
        let tokens = || Histogram::new(exponential_buckets(1.0, 2.0, 17));
        let mut metrics = Metrics {
            registry: Registry::default(),
            first_token: seconds(),
            between_tokens: seconds(),
            queue: seconds(),
            whole: seconds(),
            prompt_length: tokens(),
            text_length: tokens(),
            prompt_tokens: Counter::default(),
            prompt_time: Seconds::default(),
            cached_tokens: Counter::default(),
            generated_tokens: Counter::default(),
            generation_time: Seconds::default(),
            requests: Family::default(),
            waiting: Gauge::default(),
            running: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    /// Gives the metrics their names. Tools for llama-server find some of them by its names, too.
    fn register(&mut self) {
        let registry = &mut self.registry;
        let mut add = |name: &str, help: &str, metric: &dyn Register| metric.register(registry, name, help);
        let read = "Prompt tokens that were read";
        let cached = "Prompt tokens that were not read again";
        add("tercet_time_to_first_token_seconds", "Time from arrival to the first token", &self.first_token);
        add("tercet_time_between_tokens_seconds", "Time between tokens of a text", &self.between_tokens);
        add("tercet_queue_time_seconds", "Time from arrival until the prompt is read", &self.queue);
        add("tercet_request_time_seconds", "Time from arrival to the last token", &self.whole);
        add("tercet_request_prompt_tokens", "Tokens of a prompt", &self.prompt_length);
        add("tercet_request_generated_tokens", "Tokens of a text", &self.text_length);
        add("tercet_requests", "Requests that have ended, by outcome", &self.requests);
        add("tercet_requests_waiting", "Requests that wait", &self.waiting);
        add("tercet_requests_running", "Requests that run", &self.running);
        add("tercet_prompt_tokens", read, &self.prompt_tokens);
        add("tercet_cached_tokens", cached, &self.cached_tokens);
        add("tercet_generated_tokens", "Generated tokens", &self.generated_tokens);
        add("llamacpp:prompt_tokens", read, &self.prompt_tokens);
        add("llamacpp:prompt_tokens_cached", cached, &self.cached_tokens);
        add("llamacpp:prompt_seconds", "Time of reading prompts", &self.prompt_time);
        add("llamacpp:tokens_predicted", "Generated tokens", &self.generated_tokens);
        add("llamacpp:tokens_predicted_seconds", "Time of generating", &self.generation_time);
        add("llamacpp:requests_processing", "Requests that run", &self.running);
        add("llamacpp:requests_deferred", "Requests that wait", &self.waiting);
    }

    /// Counts a request that has ended.
    pub(crate) fn ended(&self, outcome: &'static str) {
        self.requests.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Follows a model from one number of waiting and running requests to another.
    pub(crate) fn follow(&self, load: &mut (usize, usize), now: (usize, usize)) {
        self.waiting.inc_by(now.0 as i64 - load.0 as i64);
        self.running.inc_by(now.1 as i64 - load.1 as i64);
        *load = now;
    }
}

/// A metric of any type.
trait Register {
    /// Adds the metric to `registry`.
    fn register(&self, registry: &mut Registry, name: &str, help: &str);
}

impl<M: Metric + Clone> Register for M {
    fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.clone());
    }
}

pub(crate) async fn show(Extract(state): Extract<Arc<State>>) -> Result<Response> {
    let mut text = String::new();
    prometheus_text::encode(&mut text, &state.metrics.registry)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text).into_response())
}
