//! The model inside the program, so that the command writes text wherever it is started.

use tercet_formats::ModelFiles;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../models/fairy-tales/", $name)))),*]
    };
}

static FILES: &[(&str, &[u8])] = files![
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// The model's name.
const NAME: &str = "fairy-tales";

/// A small BitNet that was trained on fairy tales; `models/fairy-tales/README.md` is its card.
pub fn fairy_tales() -> ModelFiles {
    ModelFiles::embedded(NAME.to_owned(), FILES)
}
