//! Counts and times of requests, in Prometheus' text format: `GET /metrics`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use serde_json::{Map, Value, json};
use tercet_engine::{Generation, SchedulerStatus};

use crate::State;
use crate::error::{ApiError, Result};
use crate::models::unix_time;
use crate::openapi::{Answer, Schemas};

type Seconds = Counter<f64, AtomicU64>;
type Label<V> = [(&'static str, V); 1];
type OfModel<M> = Family<Label<String>, M>;
type Histograms = Family<Label<String>, Histogram, fn() -> Histogram>;

/// The metrics of a server. Each choice of a request counts as a request.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Seconds since 1970 when the counts began.
    start: u64,
    first_token: Histograms,
    between_tokens: Histograms,
    queue: Histograms,
    whole: Histograms,
    prompt_length: Histograms,
    text_length: Histograms,
    requests: Family<(Label<String>, Label<&'static str>), Counter>,
    waiting: OfModel<Gauge>,
    running: OfModel<Gauge>,
    kv_bytes: OfModel<Gauge>,
    kv_bytes_limit: OfModel<Gauge>,
    prompt_tokens: OfModel<Counter>,
    cached_tokens: OfModel<Counter>,
    generated_tokens: OfModel<Counter>,
    all_models: Totals,
}

/// What llama-server tells, for all models together.
#[derive(Debug, Default)]
struct Totals {
    /// Prompt tokens that were read, and the time that it took.
    prompt_tokens: Counter,
    prompt_time: Seconds,
    cached_tokens: Counter,
    /// Tokens that were generated, and the time that it took.
    generated_tokens: Counter,
    generation_time: Seconds,
    waiting: Gauge,
    running: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds =
            || Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 18)));
        let tokens =
            || Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 17)));
        let mut metrics = Metrics {
            registry: Registry::default(),
            start: unix_time(),
            first_token: seconds(),
            between_tokens: seconds(),
            queue: seconds(),
            whole: seconds(),
            prompt_length: tokens(),
            text_length: tokens(),
            requests: Family::default(),
            waiting: Family::default(),
            running: Family::default(),
            kv_bytes: Family::default(),
            kv_bytes_limit: Family::default(),
            prompt_tokens: Family::default(),
            cached_tokens: Family::default(),
            generated_tokens: Family::default(),
            all_models: Totals::default(),
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
        add("tercet_kv_bytes", "Bytes of keys and values, kept ones included", &self.kv_bytes);
        add("tercet_kv_bytes_limit", "Bytes that keys and values may take", &self.kv_bytes_limit);
        add("tercet_prompt_tokens", read, &self.prompt_tokens);
        add("tercet_cached_tokens", cached, &self.cached_tokens);
        add("tercet_generated_tokens", "Generated tokens", &self.generated_tokens);
        let all = &self.all_models;
        add("llamacpp:prompt_tokens", read, &all.prompt_tokens);
        add("llamacpp:prompt_tokens_cached", cached, &all.cached_tokens);
        add("llamacpp:prompt_seconds", "Time of reading prompts", &all.prompt_time);
        add("llamacpp:tokens_predicted", "Generated tokens", &all.generated_tokens);
        add("llamacpp:tokens_predicted_seconds", "Time of generating", &all.generation_time);
        add("llamacpp:requests_processing", "Requests that run", &all.running);
        add("llamacpp:requests_deferred", "Requests that wait", &all.waiting);
    }

    /// Returns the metrics of the model called `name`.
    pub(crate) fn of(self: &Arc<Self>, name: &str) -> ModelMetrics {
        ModelMetrics { metrics: Arc::clone(self), model: [("model", name.to_owned())] }
    }
}

/// The metrics of one model.
#[derive(Clone, Debug)]
pub(crate) struct ModelMetrics {
    metrics: Arc<Metrics>,
    model: Label<String>,
}

impl ModelMetrics {
    /// Notes the time from arrival to the first token.
    pub(crate) fn first_token(&self, time: Duration) {
        self.metrics.first_token.get_or_create(&self.model).observe(time.as_secs_f64());
    }

    pub(crate) fn between_tokens(&self, time: Duration) {
        self.metrics.between_tokens.get_or_create(&self.model).observe(time.as_secs_f64());
    }

    /// Notes the time from arrival until the prompt is read.
    pub(crate) fn queue(&self, time: Duration) {
        self.metrics.queue.get_or_create(&self.model).observe(time.as_secs_f64());
    }

    /// Notes a whole text that took this time from its arrival.
    pub(crate) fn finish(&self, generation: &Generation, time: Duration) {
        let Generation { prompt_tokens, cached_tokens, prefill, decode, .. } = generation;
        let (read, cached, generated) =
            (*prompt_tokens as u64, *cached_tokens as u64, generation.ids.len() as u64);
        let (metrics, model) = (&*self.metrics, &self.model);
        metrics.whole.get_or_create(model).observe(time.as_secs_f64());
        metrics.prompt_length.get_or_create(model).observe((read + cached) as f64);
        metrics.text_length.get_or_create(model).observe(generated as f64);
        metrics.prompt_tokens.get_or_create(model).inc_by(read);
        metrics.cached_tokens.get_or_create(model).inc_by(cached);
        metrics.generated_tokens.get_or_create(model).inc_by(generated);
        let all = &metrics.all_models;
        all.prompt_tokens.inc_by(read);
        all.prompt_time.inc_by(prefill.as_secs_f64());
        all.cached_tokens.inc_by(cached);
        all.generated_tokens.inc_by(generated);
        all.generation_time.inc_by(decode.as_secs_f64());
    }

    /// Counts a request that has ended.
    pub(crate) fn end(&self, outcome: &'static str) {
        self.metrics.requests.get_or_create(&(self.model.clone(), [("outcome", outcome)])).inc();
    }

    /// Tells the state of the model's scheduler. `load` is what was told before: waiting and running requests.
    pub(crate) fn follow(&self, load: &mut (usize, usize), status: &SchedulerStatus) {
        let now = (status.waiting, status.running.len());
        let (metrics, model) = (&*self.metrics, &self.model);
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        metrics.waiting.get_or_create(model).set(now.0 as i64);
        metrics.running.get_or_create(model).set(now.1 as i64);
        metrics.kv_bytes.get_or_create(model).set(bytes(status.kv_bytes));
        metrics.kv_bytes_limit.get_or_create(model).set(bytes(status.kv_bytes_limit));
        metrics.all_models.waiting.inc_by(now.0 as i64 - load.0 as i64);
        metrics.all_models.running.inc_by(now.1 as i64 - load.1 as i64);
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

/// When the counts began, by which a reader tells a restart from a fault. The name is llama-server's.
const START: HeaderName = HeaderName::from_static("process-start-time-unix");

/// The metrics in Prometheus' text format.
pub(crate) struct Exposition {
    start: u64,
    text: String,
}

impl IntoResponse for Exposition {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static(prometheus_text::CONTENT_TYPE);
        ([(CONTENT_TYPE, kind), (START, self.start.into())], self.text).into_response()
    }
}

impl Answer for Exposition {
    fn content(_: &mut Schemas) -> Map<String, Value> {
        let text = json!({ "schema": { "type": "string" } });
        Map::from_iter([(prometheus_text::CONTENT_TYPE.to_owned(), text)])
    }
}

pub(crate) async fn show(Extract(state): Extract<Arc<State>>) -> Result<Exposition> {
    let Metrics { registry, start, .. } = &*state.metrics;
    let mut text = String::new();
    prometheus_text::encode(&mut text, registry).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(Exposition { start: *start, text })
}
