//! What makes a model one of embeddings, as sentence-transformers' files or GGUF's metadata state it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::{CONFIG, ModelFiles};
use crate::json::{self, Object};

const MODULES: &str = "modules.json";
const SETTINGS: &str = "config_sentence_transformers.json";
const REPAIR: &str = "download the file again or correct it";

/// How a model turns a text into a vector: the last hidden state of the text's last token, after the last norm.
///
/// # Examples
/// ```
/// use tercet_formats::{Config, EmbeddingConfig, ModelFiles};
///
/// let open = |name: &str| {
///     ModelFiles::open(format!("{}/../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR")).as_ref())
/// };
/// let files = open("embedding-tiny")?;
/// let embedding = EmbeddingConfig::load(&files, &Config::load(&files)?)?.unwrap();
/// assert_eq!(embedding.prompts["query"], "query: ");
///
/// let files = open("bitnet-tiny")?;
/// assert_eq!(EmbeddingConfig::load(&files, &Config::load(&files)?)?, None);
/// # Ok::<(), tercet_formats::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingConfig {
    /// True if vectors are scaled to length 1.
    pub normalized: bool,
    /// What stands before a text, by the name of the text's purpose, such as `query`.
    pub prompts: BTreeMap<String, String>,
    /// The name of the prompt that texts get by default.
    pub default_prompt: Option<String>,
    /// The sizes that vectors may be cut to. The last one is the whole size.
    pub dimensions: Vec<usize>,
}

impl EmbeddingConfig {
    /// Reads how the model with the architecture `config` makes embeddings. Returns `None` if it was not made for them.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names another pooling than the last token, or a module after it.
    /// [`Error::Malformed`] names the field of a damaged file.
    pub fn load(files: &ModelFiles, config: &Config) -> Result<Option<Self>> {
        let label = files.label(CONFIG);
        let root = json::parse(&files.get(CONFIG)?, &label)?;
        let root = Object::new(&label, &root);
        let stated = match files.gguf() {
            Some(gguf) => gguf.pools_last_token()?.then_some(true),
            None => match modules(files)? {
                None => lacks_head(&root).then_some(true),
                stated => stated,
            },
        };
        let Some(normalized) = stated else { return Ok(None) };
        let mut embedding = EmbeddingConfig {
            normalized,
            prompts: BTreeMap::new(),
            default_prompt: None,
            dimensions: dimensions(&root, config.hidden_size)?,
        };
        match files.try_get(SETTINGS)? {
            Some(bytes) => embedding.read_prompts(&bytes, &files.label(SETTINGS))?,
            // BitNet-embedding was trained with it, and its GGUF files do not say so.
            None if config.linear_norm_eps.is_some() => {
                embedding.prompts.insert("query".to_owned(), "query: ".to_owned());
            }
            None => {}
        }
        Ok(Some(embedding))
    }

    fn read_prompts(&mut self, bytes: &[u8], label: &str) -> Result<()> {
        let map = json::parse(bytes, label)?;
        let root = Object::new(label, &map);
        if let Some(prompts) = root.object("prompts", "prompts.")? {
            for (name, _) in prompts.fields() {
                self.prompts.extend(prompts.text(name)?.map(|text| (name.clone(), text.to_owned())));
            }
        }
        self.default_prompt = root.text("default_prompt_name")?.map(str::to_owned);
        match &self.default_prompt {
            Some(name) if !self.prompts.contains_key(name) => {
                Err(root.malformed("default_prompt_name", &format!("{name} is not among the prompts")))
            }
            _ => Ok(()),
        }
    }
}

/// Returns true if the model has no output head: its class is the base class of a family, such as `Qwen3Model`.
fn lacks_head(root: &Object<'_>) -> bool {
    let classes = root.get("architectures").and_then(Value::as_array);
    classes
        .is_some_and(|classes| classes.iter().filter_map(Value::as_str).any(|name| name.ends_with("Model")))
}

/// Reads the modules that a text goes through. Returns true if the last one scales vectors to length 1, or `None` if no
/// file lists modules.
fn modules(files: &ModelFiles) -> Result<Option<bool>> {
    let Some(bytes) = files.try_get(MODULES)? else { return Ok(None) };
    let label = files.label(MODULES);
    let malformed = |problem: &str| Error::malformed(&label, "the modules", problem, REPAIR);
    let modules: Vec<Map<String, Value>> =
        serde_json::from_slice(&bytes).map_err(|error| malformed(&error.to_string()))?;
    let (mut pools, mut normalizes) = (false, false);
    for module in &modules {
        let module = Object::new(&label, module);
        let class = module.require("type", module.text("type")?)?;
        match class.rsplit('.').next() {
            Some("Transformer") => {}
            Some("Pooling") => {
                let folder = module.require("path", module.text("path")?)?;
                check_pooling(files, folder)?;
                pools = true;
            }
            Some("Normalize") => normalizes = true,
            _ => return Err(module.unsupported("type", class, "Transformer, Pooling or Normalize")),
        }
    }
    if pools { Ok(Some(normalizes)) } else { Err(malformed("none of them is of type Pooling")) }
}

/// Requires that the module in `folder` pools a text to its last token.
fn check_pooling(files: &ModelFiles, folder: &str) -> Result<()> {
    const FILE: &str = "config.json";
    const MODE: &str = "pooling_mode";
    let label = files.label(&format!("{folder}/{FILE}"));
    let found = files.in_folder(folder, FILE)?.into_iter().find(|(name, _)| name == FILE);
    let Some((_, bytes)) = found else {
        return Err(Error::missing(label, "download all files of the model's repository"));
    };
    let map = json::parse(&bytes, &label)?;
    let root = Object::new(&label, &map);
    // Older versions of sentence-transformers have a flag for each mode.
    let mut modes: Vec<&str> = root.get(MODE).map_or_else(Vec::new, |mode| match mode {
        Value::Array(modes) => modes.iter().filter_map(Value::as_str).collect(),
        mode => mode.as_str().into_iter().collect(),
    });
    for (name, value) in root.fields() {
        modes.extend(name.strip_prefix("pooling_mode_").filter(|_| *value == true));
    }
    match &modes[..] {
        ["lasttoken"] => Ok(()),
        [] => Err(root.malformed(MODE, "is missing")),
        modes => Err(root.unsupported(MODE, modes.join(" and "), "lasttoken")),
    }
}

/// Returns the sizes that vectors may be cut to. A model states them if it was trained for it (Kusupati et al. 2022).
fn dimensions(root: &Object<'_>, whole: usize) -> Result<Vec<usize>> {
    const FIELD: &str = "matryoshka_dimensions";
    let mut sizes = match root.get(FIELD) {
        Some(value) => {
            let size = |size: &Value| size.as_u64().and_then(|size| usize::try_from(size).ok());
            let sizes: Option<Vec<usize>> =
                value.as_array().and_then(|sizes| sizes.iter().map(size).collect());
            sizes.ok_or_else(|| root.malformed(FIELD, "is not a list of whole numbers"))?
        }
        None if root.flag("is_matryoshka")? == Some(true) => (1..whole).collect(),
        None => Vec::new(),
    };
    sizes.retain(|size| (1..whole).contains(size));
    sizes.sort_unstable();
    sizes.dedup();
    sizes.push(whole);
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POOLED: &str = r#"[{"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]"#;

    /// Loads the embedding of a model with these files, besides its weights.
    fn load(fields: Value, files: &[(&'static str, &str)]) -> Result<Option<EmbeddingConfig>> {
        let mut config = json!({
            "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 10, "hidden_size": 8,
            "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
            "max_position_embeddings": 16,
        });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let text = |text: &str| -> &'static [u8] { text.as_bytes().to_vec().leak() };
        let mut all = vec![(CONFIG, text(&config.to_string()))];
        all.extend(files.iter().map(|(name, contents)| (*name, text(contents))));
        let files = ModelFiles::embedded("m".into(), all.leak());
        EmbeddingConfig::load(&files, &Config::load(&files)?)
    }

    #[test]
    fn a_model_says_how_it_pools() {
        assert_eq!(load(json!({}), &[]).unwrap(), None);
        let base = load(json!({ "architectures": ["Qwen3Model"] }), &[]).unwrap().unwrap();
        assert!(base.normalized && base.prompts.is_empty() && base.dimensions == [8]);
        let pooled = |config: &str, modules: &str| {
            load(json!({}), &[(MODULES, modules), ("1_Pooling/config.json", config)])
        };
        for config in [
            r#"{"pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": false}"#,
            r#"{"pooling_mode": "lasttoken"}"#,
            r#"{"pooling_mode": ["lasttoken"]}"#,
        ] {
            assert!(!pooled(config, POOLED).unwrap().unwrap().normalized);
        }
        let normalized = POOLED.replace("}]", r#"}, {"type": "a.Normalize"}]"#);
        assert!(pooled(r#"{"pooling_mode": "lasttoken"}"#, &normalized).unwrap().unwrap().normalized);
        let projected = POOLED.replace("}]", r#"}, {"type": "a.Dense"}]"#);
        for (config, modules, part) in [
            (r#"{"pooling_mode_mean_tokens": true}"#, POOLED, "pooling_mode is mean_tokens"),
            ("{}", POOLED, "pooling_mode: is missing"),
            ("{}", &POOLED.replace("1_P", "P"), "no such file"),
            ("{}", &POOLED.replace("1_P", "../1_P"), "plain file name"),
            (r#"{"pooling_mode": "lasttoken"}"#, &projected, "a.Dense"),
            ("{}", "[]", "none of them is of type Pooling"),
            ("{}", "{}", "the modules"),
        ] {
            let message = pooled(config, modules).unwrap_err().to_string();
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn prompts_and_sizes_are_read() {
        let with = |settings: &str| load(json!({ "architectures": ["Qwen3Model"] }), &[(SETTINGS, settings)]);
        let read =
            with(r#"{"prompts": {"query": "q: ", "document": ""}, "default_prompt_name": "document"}"#);
        let read = read.unwrap().unwrap();
        assert_eq!((read.prompts.len(), read.default_prompt.as_deref()), (2, Some("document")));
        assert!(
            with(r#"{"default_prompt_name": "x"}"#).unwrap_err().to_string().contains("default_prompt_name")
        );
        assert!(with(r#"{"prompts": {"query": 1}}"#).unwrap_err().to_string().contains("prompts.query"));
        let sizes = |field: &str, value: Value| {
            let read = load(json!({ "architectures": ["Qwen3Model"], field: value }), &[]);
            read.unwrap().unwrap().dimensions
        };
        assert_eq!(sizes("matryoshka_dimensions", json!([4, 2, 100, 8])), [2, 4, 8]);
        assert_eq!(sizes("is_matryoshka", json!(true)), [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
