//! Routes together with their description in OpenAPI, which comes from the types that handlers take and give.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequest, Path, State as Extract};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{self, MethodRouter};
use axum::{Json, Router};
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::State;
use crate::body::{Body, Query};
use crate::error::{ApiError, Result};

/// The routes of one API, whose errors are worded as `E`.
pub(crate) struct Api<E> {
    name: &'static str,
    router: Router<Arc<State>>,
    operations: Vec<Operation>,
    errors: PhantomData<fn(E)>,
}

/// One route with one method.
#[derive(Clone)]
pub(crate) struct Operation {
    api: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    needs_key: bool,
    describe: fn(&mut Schemas) -> Map<String, Value>,
}

/// An API's shape of errors.
pub(crate) trait Fault: Serialize + JsonSchema + for<'a> From<&'a ApiError> + 'static {}

impl<E: Serialize + JsonSchema + for<'a> From<&'a ApiError> + 'static> Fault for E {}

/// A part of a request that a handler takes.
pub(crate) trait Input {
    /// Returns the fields of an operation that describe it.
    fn describe(schemas: &mut Schemas) -> Map<String, Value>;
}

/// The answer of a handler that succeeds.
pub(crate) trait Answer: IntoResponse {
    /// Returns the schema of each content type. There are none if the handler never succeeds.
    fn content(schemas: &mut Schemas) -> Map<String, Value>;
}

impl<E: Fault> Api<E> {
    pub(crate) fn new(name: &'static str) -> Self {
        Api { name, router: Router::new(), operations: Vec::new(), errors: PhantomData }
    }

    pub(crate) fn get<A: Answer, F, R>(self, path: &'static str, summary: &'static str, handler: F) -> Self
    where
        F: Fn(Extract<Arc<State>>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<A>> + Send + 'static,
    {
        self.add::<(), A>("get", path, summary, routing::get(handler))
    }

    /// Adds a handler that takes more of the request.
    pub(crate) fn get_with<I, M, A: Answer, F, R>(
        self,
        path: &'static str,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        I: Input + FromRequest<Arc<State>, M> + Send + 'static,
        M: 'static,
        F: Fn(Extract<Arc<State>>, I) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<A>> + Send + 'static,
    {
        self.add::<I, A>("get", path, summary, routing::get(handler))
    }

    pub(crate) fn post<B, A: Answer, F, R>(
        self,
        path: &'static str,
        summary: &'static str,
        handler: F,
    ) -> Self
    where
        B: serde::de::DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Extract<Arc<State>>, Body<B>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<A>> + Send + 'static,
    {
        self.add::<Body<B>, A>("post", path, summary, routing::post(handler))
    }

    fn add<I: Input, A: Answer>(
        mut self,
        method: &'static str,
        path: &'static str,
        summary: &'static str,
        route: MethodRouter<Arc<State>>,
    ) -> Self {
        self.router = self.router.route(path, route);
        let describe = describe::<I, A, E>;
        self.operations.push(Operation { api: self.name, method, path, summary, needs_key: true, describe });
        self
    }

    /// Adds a route that is no part of the description.
    pub(crate) fn hidden(mut self, path: &str, route: MethodRouter<Arc<State>>) -> Self {
        self.router = self.router.route(path, route);
        self
    }

    /// Marks the routes as open to everybody.
    pub(crate) fn open(mut self) -> Self {
        self.operations.iter_mut().for_each(|operation| operation.needs_key = false);
        self
    }

    pub(crate) fn into_parts(self) -> (Router<Arc<State>>, Vec<Operation>) {
        (self.router, self.operations)
    }
}

fn describe<I: Input, A: Answer, E: Fault>(schemas: &mut Schemas) -> Map<String, Value> {
    let mut operation = I::describe(schemas);
    let mut responses = Map::new();
    let content = A::content(schemas);
    if !content.is_empty() {
        responses.insert("200".to_owned(), json!({ "description": "The answer", "content": content }));
    }
    let error = json!({ "application/json": { "schema": schemas.of_answer::<E>() } });
    responses.insert("default".to_owned(), json!({ "description": "An error", "content": error }));
    operation.insert("responses".to_owned(), responses.into());
    operation
}

/// Returns the document of all routes.
pub(crate) fn document(operations: &[Operation]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for Operation { api, method, path, summary, needs_key, describe } in operations {
        let mut operation = describe(&mut schemas);
        let id = format!("{method}{}", path.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
        operation.extend([
            ("operationId".to_owned(), json!(id)),
            ("tags".to_owned(), json!([api])),
            ("summary".to_owned(), json!(summary)),
        ]);
        if !needs_key {
            operation.insert("security".to_owned(), json!([]));
        }
        // The rest of a path is one parameter, too.
        paths.entry(path.replace("{*", "{")).or_insert(json!({}))[*method] = operation.into();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tercet serve",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Ternary language models, by the APIs of OpenAI, Anthropic, Ollama and llama-server. Fields of \
                            requests that are not described are ignored.",
        },
        "servers": [{ "url": "/" }],
        // The first of these stands for a server without keys.
        "security": [{}, { "bearer": [] }, { "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "key": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
            },
            "schemas": schemas.definitions(),
        },
    })
}

/// The schemas of types that requests and answers have in common with others.
pub(crate) struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let requests = settings.clone().for_deserialize().with_transform(allow_null);
        Schemas { requests: requests.into_generator(), answers: settings.for_serialize().into_generator() }
    }

    pub(crate) fn of_request<T: JsonSchema>(&mut self) -> Schema {
        self.requests.subschema_for::<T>()
    }

    pub(crate) fn of_answer<T: JsonSchema>(&mut self) -> Schema {
        self.answers.subschema_for::<T>()
    }

    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        for (name, schema) in self.answers.take_definitions(true) {
            let former = all.insert(name.clone(), schema);
            debug_assert!(former.is_none(), "{name} stands for a request and an answer");
        }
        all
    }
}

/// Allows null for fields that may be absent: the APIs take both for the same.
fn allow_null(schema: &mut Schema) {
    transform_subschemas(&mut allow_null, schema);
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|it| it == name));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        or_null(property);
    }
}

fn or_null(schema: &mut Value) {
    let nothing = json!({ "type": "null" });
    let Value::Object(fields) = &mut *schema else { return };
    let is_any = fields.keys().all(|word| ["description", "default"].contains(&word.as_str()));
    let alternatives = fields.get("anyOf").and_then(Value::as_array);
    if is_any || alternatives.is_some_and(|all| all.contains(&nothing)) {
        return;
    }
    let is_listed = fields.contains_key("enum") || fields.contains_key("const");
    match fields.get_mut("type") {
        Some(Value::Array(types)) if !is_listed && types.iter().any(|kind| kind == "null") => {}
        Some(Value::Array(types)) if !is_listed => types.push("null".into()),
        Some(kind) if !is_listed => *kind = json!([kind, "null"]),
        _ => *schema = json!({ "anyOf": [schema, nothing] }),
    }
}

fn object(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

impl Input for () {
    fn describe(_: &mut Schemas) -> Map<String, Value> {
        Map::new()
    }
}

/// Headers may tell what is already known.
impl Input for HeaderMap {
    fn describe(_: &mut Schemas) -> Map<String, Value> {
        Map::new()
    }
}

impl<B: JsonSchema> Input for Body<B> {
    fn describe(schemas: &mut Schemas) -> Map<String, Value> {
        let content = json!({ "application/json": { "schema": schemas.of_request::<B>() } });
        object("requestBody", json!({ "required": true, "content": content }))
    }
}

impl<Q: JsonSchema> Input for Query<Q> {
    fn describe(schemas: &mut Schemas) -> Map<String, Value> {
        let schema = Q::json_schema(&mut schemas.requests);
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let parameter = |(name, schema)| json!({ "name": name, "in": "query", "schema": schema });
        object("parameters", fields.map(parameter).collect())
    }
}

impl Input for Path<String> {
    fn describe(_: &mut Schemas) -> Map<String, Value> {
        let schema = json!({ "type": "string", "minLength": 1 });
        object("parameters", json!([{ "name": "name", "in": "path", "required": true, "schema": schema }]))
    }
}

impl<T: Serialize + JsonSchema> Answer for Json<T> {
    fn content(schemas: &mut Schemas) -> Map<String, Value> {
        object("application/json", json!({ "schema": schemas.of_answer::<T>() }))
    }
}

impl Answer for Infallible {
    fn content(_: &mut Schemas) -> Map<String, Value> {
        Map::new()
    }
}
