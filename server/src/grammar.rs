//! Fields of a request that hold its text to a grammar.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_engine::Grammar;

use crate::body::nullable;
use crate::error::{ApiError, Result};
use crate::shapes;

/// OpenAI's `response_format`, and the fields of llama.cpp's and vLLM's servers.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(default)]
pub(crate) struct GrammarFields {
    #[schemars(schema_with = "shapes::format")]
    response_format: Option<Value>,
    /// A JSON schema.
    #[schemars(schema_with = "shapes::schema")]
    json_schema: Option<Value>,
    #[schemars(schema_with = "shapes::schema")]
    guided_json: Option<Value>,
    /// A grammar in GBNF or Lark.
    grammar: Option<String>,
    guided_grammar: Option<String>,
    /// A regular expression that matches the whole text.
    regex: Option<String>,
    guided_regex: Option<String>,
    structured_outputs: Option<StructuredOutputs>,
}

/// vLLM's form.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(default)]
struct StructuredOutputs {
    #[schemars(schema_with = "shapes::schema")]
    json: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    json_object: bool,
    grammar: Option<String>,
    regex: Option<String>,
    choice: Option<Vec<String>>,
}

/// A grammar, and the field that asks for it.
pub(crate) struct Asked {
    pub(crate) field: &'static str,
    pub(crate) grammar: Grammar,
}

impl GrammarFields {
    /// Returns the grammar that the request asks for, if it does.
    ///
    /// # Errors
    /// Fails with status 400 if a field is not as expected, or two contradict each other.
    pub(crate) fn asked(&self) -> Result<Option<Asked>> {
        let outputs = self.structured_outputs.as_ref();
        let choice = outputs.and_then(|outputs| outputs.choice.as_ref());
        let text = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
        let within = |text: fn(&StructuredOutputs) -> &Option<String>| {
            outputs.and_then(|outputs| text(outputs).clone())
        };
        let schemas = [
            ("json_schema", self.json_schema.clone()),
            ("guided_json", self.guided_json.clone()),
            ("structured_outputs", outputs.and_then(|outputs| outputs.json.clone())),
        ];
        let mut asked = Vec::new();
        if let Some(format) = &self.response_format {
            asked.extend(of_format("response_format", format)?);
        }
        for (field, schema) in schemas {
            asked.extend(schema.map(|schema| schema_of(field, schema)).transpose()?);
        }
        let regexes = [
            ("regex", text(&self.regex)),
            ("guided_regex", text(&self.guided_regex)),
            ("structured_outputs", within(|outputs| &outputs.regex)),
            ("structured_outputs", choice.map(|texts| any_of(texts))),
        ];
        let regex =
            |(field, regex): (_, Option<String>)| Some(Asked { field, grammar: Grammar::Regex(regex?) });
        asked.extend(regexes.into_iter().filter_map(regex));
        let grammars = [
            ("grammar", text(&self.grammar)),
            ("guided_grammar", text(&self.guided_grammar)),
            ("structured_outputs", within(|outputs| &outputs.grammar)),
        ];
        let grammar =
            |(field, text): (_, Option<String>)| Some(Asked { field, grammar: Grammar::read(&text?) });
        asked.extend(grammars.into_iter().filter_map(grammar));
        if outputs.is_some_and(|outputs| outputs.json_object) {
            asked.push(Asked { field: "structured_outputs", grammar: Grammar::JsonObject });
        }
        match asked.as_slice() {
            [first, second, ..] => Err(ApiError::field(
                second.field,
                &format!("it contradicts {}; give one of both", first.field),
            )),
            _ => Ok(asked.pop()),
        }
    }
}

/// Returns the grammar of OpenAI's description of a format, which is in `field`.
///
/// # Errors
/// Fails with status 400 if it is not as expected.
pub(crate) fn of_format(field: &'static str, format: &Value) -> Result<Option<Asked>> {
    let wrong = |part: &str, problem: &str| Err(ApiError::field(format!("{field}{part}"), problem));
    let grammar = match format.get("type").and_then(Value::as_str) {
        Some("text") => return Ok(None),
        Some("json_object") => {
            let schema = format.get("schema").filter(|schema| !schema.is_null());
            schema.map_or(Grammar::JsonObject, |schema| Grammar::JsonSchema(schema.clone()))
        }
        Some("json_schema") => {
            let wrapped = format.get("json_schema").unwrap_or(format);
            let Some(schema) = wrapped.get("schema").filter(|schema| schema.is_object()) else {
                return wrong(".json_schema.schema", "give a JSON schema");
            };
            let strict = wrapped.get("strict") == Some(&Value::Bool(true));
            Grammar::JsonSchema(if strict { schema.clone() } else { lenient(schema.clone()) })
        }
        Some(kind) => {
            return wrong(".type", &format!("{kind:?} is not known; use text, json_object or json_schema"));
        }
        None => return wrong(".type", "it is missing; use text, json_object or json_schema"),
    };
    Ok(Some(Asked { field, grammar }))
}

/// Returns the schema of an object in which keywords that no grammar can express are ignored, as OpenAI's API does unless
/// `strict` is true.
pub(crate) fn lenient(mut schema: Value) -> Value {
    if schema.get("x-guidance").is_none() && schema.is_object() {
        schema["x-guidance"] = json!({ "lenient": true });
    }
    schema
}

/// Returns the grammar of a schema, which may be written as a string.
fn schema_of(field: &'static str, schema: Value) -> Result<Asked> {
    let schema = match schema {
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| ApiError::field(field, &format!("it is not JSON: {error}")))?,
        schema => schema,
    };
    Ok(Asked { field, grammar: Grammar::JsonSchema(schema) })
}

/// Returns a regular expression that matches one of the texts.
fn any_of(texts: &[String]) -> String {
    let escaped = |text: &String| text.chars().map(|c| format!("\\x{{{:x}}}", c as u32)).collect::<String>();
    texts.iter().map(escaped).collect::<Vec<_>>().join("|")
}
