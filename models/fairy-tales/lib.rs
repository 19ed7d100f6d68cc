//! The fairy-tales model, a small BitNet that was trained on stories for children, as part of a program.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!($name))),*]
    };
}

/// The model's name.
pub const NAME: &str = "fairy-tales";

/// The names and contents of its files, in the layout of a Hugging Face repository.
pub static FILES: &[(&str, &[u8])] = files![
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];
