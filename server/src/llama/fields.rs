//! The fields of an answer that a client asked for.

use serde_json::{Map, Value};

/// Returns the fields of `answer` at these paths, such as `generation_settings/seed`.
pub(super) fn select(answer: &Value, paths: &[String]) -> Map<String, Value> {
    let field = |path: &String| Some((path.clone(), answer.pointer(&format!("/{path}"))?.clone()));
    paths.iter().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_keep_the_names_of_their_paths() {
        let answer = json!({ "content": "x", "settings": { "seed": 1, "top_k": 2 } });
        let paths = ["settings/seed", "content", "absent"].map(str::to_owned);
        let selected = Value::from(select(&answer, &paths));
        assert_eq!(selected, json!({ "settings/seed": 1, "content": "x" }));
    }
}
