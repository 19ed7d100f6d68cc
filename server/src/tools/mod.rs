//! Calls of functions: the tools of a request, and the calls that a model writes.
//!
//! A model writes calls in the form of its family, which its chat template tells. A grammar holds it to the form and to the
//! schemas of the arguments. A template without tools gets a general form: an instruction in the system's message.

mod format;
mod grammar;
mod parser;
mod prompt;

use serde_json::{Value, json};

use crate::error::{ApiError, Result};

pub(crate) use format::Format;
pub(crate) use grammar::{Thinking, after_thinking, calls};
pub(crate) use parser::{Parser, Part};
pub(crate) use prompt::prepare;

/// The functions that a model may call in one answer.
#[derive(Debug)]
pub(crate) struct Tools {
    list: Vec<Tool>,
    /// The answer must be a call.
    required: bool,
    /// There may be more than one call.
    parallel: bool,
}

#[derive(Debug)]
struct Tool {
    name: String,
    parameters: Value,
    /// The tool as the client describes it.
    whole: Value,
}

impl Tools {
    /// Reads the fields of a request. None if there are no tools, or no tool may be called.
    ///
    /// # Errors
    /// Fails with status 400 if a field is not as expected.
    pub(crate) fn read(
        tools: Option<Vec<Value>>,
        choice: Option<&Value>,
        parallel: Option<bool>,
    ) -> Result<Option<Self>> {
        let tools = tools.unwrap_or_default();
        let list = tools.into_iter().enumerate().map(|(i, tool)| Tool::read(i, tool));
        let mut list = list.collect::<Result<Vec<_>>>()?;
        let wrong = |problem: &str| Err(ApiError::field("tool_choice", problem));
        let (mut required, mut parallel) = (false, parallel.unwrap_or(true));
        match choice {
            None => {}
            Some(Value::String(word)) => match word.as_str() {
                "none" => return Ok(None),
                "auto" => {}
                "required" => required = true,
                _ => return wrong("use none, auto, required or a function's name in an object"),
            },
            Some(choice) => {
                let name = choice.pointer("/function/name").and_then(Value::as_str);
                let Some(name) = name else {
                    return wrong("give {\"type\": \"function\", \"function\": {\"name\": …}}");
                };
                list.retain(|tool| tool.name == name);
                if list.is_empty() {
                    return wrong(&format!("there is no tool {name:?}"));
                }
                (required, parallel) = (true, false);
            }
        }
        match (list.is_empty(), required) {
            (true, true) => wrong("there are no tools to call"),
            (true, false) => Ok(None),
            (false, _) => Ok(Some(Tools { list, required, parallel })),
        }
    }
}

impl Tool {
    fn read(index: usize, whole: Value) -> Result<Self> {
        let wrong = |field: &str, problem: &str| ApiError::field(format!("tools[{index}].{field}"), problem);
        if whole.get("type").is_some_and(|kind| kind != "function") {
            return Err(wrong("type", "only functions are supported"));
        }
        let function = whole.get("function").ok_or_else(|| wrong("function", "it is missing"))?;
        let name = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| wrong("function.name", "give the function a name"))?.to_owned();
        let parameters = match function.get("parameters") {
            None | Some(Value::Null) => json!({ "type": "object", "properties": {} }),
            Some(schema @ Value::Object(_)) => schema.clone(),
            Some(_) => return Err(wrong("function.parameters", "give a JSON schema")),
        };
        Ok(Tool { name, parameters, whole })
    }
}
