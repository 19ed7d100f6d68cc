//! The grammars of answers with calls.

use serde_json::{Value, json};
use tercet_engine::Grammar;

use super::format::{CLOSE, Format, OPEN, Syntax};
use super::{Tool, Tools};
use crate::grammar::lenient;

/// Most calls of one answer.
const MOST_CALLS: usize = 16;

/// Where the model's thoughts are when its answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinking {
    /// It has none, or they are over.
    Over,
    /// It may begin with some.
    Possible,
    /// The prompt has opened them.
    Open,
}

impl Thinking {
    /// Returns the state after `prompt`, for a model that thinks or not.
    pub(crate) fn after(prompt: &str, thinks: bool) -> Self {
        let prompt = prompt.trim_end();
        if !thinks || prompt.ends_with("</think>") {
            Thinking::Over
        } else if prompt.ends_with("<think>") {
            Thinking::Open
        } else {
            Thinking::Possible
        }
    }

    /// Returns the rule `think` of the thoughts, and its use before an answer.
    fn rule(self) -> (&'static str, &'static str) {
        match self {
            Thinking::Over => ("", ""),
            Thinking::Possible => ("think[lazy]: /<think>(.|\\n)*<\\/think>/\n", "(think BREAK)? "),
            Thinking::Open => ("think[lazy]: /(.|\\n)*<\\/think>/\n", "think BREAK "),
        }
    }
}

/// The line breaks between thoughts and answer.
const BREAK: &str = "BREAK: /\\n{0,2}/\n";

/// Returns a grammar of JSON that allows thoughts before it. Other grammars are the client's own affair.
pub(crate) fn after_thinking(grammar: Grammar, thinking: Thinking) -> Grammar {
    let schema = match (&grammar, thinking) {
        (_, Thinking::Over) => return grammar,
        (Grammar::JsonSchema(schema), _) => schema.clone(),
        (Grammar::JsonObject, _) => json!({ "type": "object" }),
        _ => return grammar,
    };
    let (rule, before) = thinking.rule();
    let answer = json_part(&schema);
    Grammar::Lark(format!("start: {before}answer\n{rule}{BREAK}answer: {answer}\n"))
}

/// Returns JSON by a schema as a part of Lark. The compiler tells what is wrong with a schema.
fn json_part(schema: &Value) -> String {
    Grammar::json_part(schema).unwrap_or_else(|_| format!("%json {schema}"))
}

/// Returns the grammar of an answer that may or must call `tools`.
pub(crate) fn calls(tools: &Tools, format: Format, thinking: Thinking) -> Grammar {
    let (rule, before) = thinking.rule();
    let more = |call: &str| match tools.parallel {
        true => format!(" ({call}){{0,{}}}", MOST_CALLS - 1),
        false => String::new(),
    };
    let (first, rest) = match format.syntax {
        Syntax::Tagged => ("call", format!("call: \"\\n\" object \"\\n{CLOSE}\"\n")),
        Syntax::List => ("list", format!("list: \"[\" object{} \"]{CLOSE}\"\n", more("\", \" object"))),
        Syntax::Bare => ("object", String::new()),
    };
    let more = match format.syntax {
        Syntax::Tagged => more(&format!("\"\\n{OPEN}\" call")),
        Syntax::List | Syntax::Bare => String::new(),
    };
    let start = match (format.syntax, tools.required) {
        (Syntax::Bare, true) => format!("{before}object"),
        (Syntax::Bare, false) => format!("{before}(/[^{{](.|\\n)*/ | object)"),
        (_, true) => format!("{before}\"{OPEN}\" {first}{more}"),
        // Thoughts are text like any other.
        (_, false) => format!("TEXT | opening {first}{more}\n{OPENING}"),
    };
    let thoughts = if start.contains("think") { format!("{rule}{BREAK}") } else { String::new() };
    let arguments = if format.syntax == Syntax::Bare { "parameters" } else { "arguments" };
    let objects: Vec<Value> = tools.list.iter().map(|tool| tool.schema(arguments)).collect();
    let object = json_part(&lenient(json!({ "anyOf": objects })));
    Grammar::Lark(format!("start: {start}\n{rest}{thoughts}object: {object}\n"))
}

/// Any text, and text up to the first tag.
const OPENING: &str = "TEXT: /(.|\\n)*/\nopening[lazy]: TEXT \"<tool_call>\"";

impl Tool {
    /// Returns the schema of a call.
    fn schema(&self, arguments: &str) -> Value {
        json!({
            "type": "object",
            "properties": { "name": { "const": self.name }, arguments: self.parameters },
            "required": ["name", arguments],
            "additionalProperties": false,
        })
    }
}
