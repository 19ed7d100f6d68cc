//! Schemas of fields whose values are read by hand, because their faults are told with the field's name.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A chat: messages with a role and, unless they have calls, a text or parts of type `text`.
pub(crate) fn messages(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": { "type": "string", "description": "Such as system, user, assistant or tool" },
            "content": content(),
            "tool_calls": { "type": ["array", "null"], "items": { "type": "object" } },
            "reasoning_content": { "type": ["string", "null"] },
        },
    }})
}

/// A text, or parts of one, which become paragraphs.
fn content() -> Value {
    let part = json!({
        "type": "object",
        "required": ["text"],
        "properties": {
            "type": { "enum": ["text", "input_text", "output_text"] },
            "text": { "type": "string" },
        },
    });
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": part }, { "type": "null" }] })
}

/// Functions that the model may call.
pub(crate) fn tools(_: &mut SchemaGenerator) -> Schema {
    let function = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": { "type": "string", "minLength": 1 },
            "description": { "type": ["string", "null"] },
            "parameters": { "type": ["object", "null"], "description": "A JSON schema" },
        },
    });
    json_schema!({ "type": ["array", "null"], "items": {
        "type": "object",
        "required": ["function"],
        "properties": { "type": { "const": "function" }, "function": function },
    }})
}

/// Whether and which function must be called.
pub(crate) fn tool_choice(_: &mut SchemaGenerator) -> Schema {
    let named = json!({
        "type": "object",
        "required": ["function"],
        "properties": { "function": {
            "type": "object",
            "required": ["name"],
            "properties": { "name": { "type": "string" } },
        }},
    });
    json_schema!({ "anyOf": [{ "enum": ["none", "auto", "required", null] }, named] })
}

/// One prompt or a list of prompts, of which each is a text, tokens, or tokens and texts in turns.
pub(crate) fn prompt(_: &mut SchemaGenerator) -> Schema {
    let token = json!({ "type": "integer", "minimum": 0 });
    let mixed =
        json!({ "type": "array", "minItems": 1, "items": { "anyOf": [token, { "type": "string" }] } });
    let object = json!({
        "type": "object",
        "required": ["prompt_string"],
        "properties": { "prompt_string": { "type": "string" } },
    });
    let one = json!([{ "type": "string" }, mixed, object]);
    let several = json!({ "type": "array", "minItems": 1, "items": { "anyOf": one } });
    json_schema!({ "anyOf": [{ "type": "string" }, mixed, object, several] })
}

/// Biases of logits by token or by text. False excludes a token.
pub(crate) fn logit_bias(_: &mut SchemaGenerator) -> Schema {
    let bias = json!({ "anyOf": [{ "type": "number" }, { "const": false }] });
    let token = json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }] });
    let pair = json!({ "type": "array", "prefixItems": [token, bias], "minItems": 2, "maxItems": 2 });
    json_schema!({ "anyOf": [
        { "type": "object", "additionalProperties": bias },
        { "type": "array", "items": pair },
        { "type": "null" },
    ]})
}

/// Describes the other names of fields that say how tokens are chosen.
pub(crate) fn name_aliases(schema: &mut Schema) {
    let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
    for (name, alias) in [("stop", "stop_sequences"), ("repetition_penalty", "repeat_penalty")] {
        if let Some(field) = fields.get(name).cloned() {
            fields.insert(alias.to_owned(), field);
        }
    }
}

/// The form of the text: free, JSON, or JSON that is valid by a schema.
pub(crate) fn format(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "required": ["type"],
        "properties": {
            "type": { "enum": ["text", "json_object", "json_schema"] },
            "json_schema": {
                "type": ["object", "null"],
                "properties": {
                    "name": { "type": ["string", "null"] },
                    "schema": { "type": ["object", "null"] },
                    "strict": { "type": ["boolean", "null"] },
                },
            },
        },
    })
}

/// A JSON schema, or the text of one.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["object", "boolean", "string", "null"] })
}

/// Ollama's format: `json` or a JSON schema.
pub(crate) fn json_or_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "enum": ["", "json", null] }, { "type": "object" }] })
}
