//! The table of models with short names.

use super::repository::Repository;
use crate::error::Result;

/// A published model that Tercet runs.
#[derive(Clone, Copy, Debug)]
pub struct NamedModel {
    /// Name for the user.
    pub name: &'static str,
    /// `owner/repo` or `owner/repo/file.gguf`, as [`Repository`] reads it.
    pub repository: &'static str,
    /// The commit whose weights are known to be good, or `None` to take the newest one.
    pub revision: Option<&'static str>,
    /// Licence of the weights.
    pub license: &'static str,
    /// Size of the download in MB.
    pub download_mb: u32,
    /// Memory in MB with a context of 4096 tokens, or the model's whole context if it is shorter.
    /// The sum of weights in 2 bits, embedding, head with its quantized copy if the model writes text, keys and values.
    pub memory_mb: u32,
}

const FALCON: &str = "Falcon-LLM";

const fn model(
    name: &'static str,
    repository: &'static str,
    license: &'static str,
    download_mb: u32,
    memory_mb: u32,
) -> NamedModel {
    NamedModel { name, repository, revision: None, license, download_mb, memory_mb }
}

impl NamedModel {
    /// Returns the same model at one commit of its repository.
    const fn at(self, commit: &'static str) -> Self {
        NamedModel { revision: Some(commit), ..self }
    }
}

/// Every model with a name, by family and size.
pub const MODELS: [NamedModel; 15] = [
    // Others have measured this commit's weights: 30 % are -1 and 31 % are +1. Zero weights are
    // reported of files in the same repository: https://github.com/microsoft/BitNet/issues/608.
    model("bitnet-2b", "microsoft/bitnet-b1.58-2B-4T", "MIT", 1190, 1830)
        .at("04c3b9ad9361b824064a1f25ea60a8be9599b127"),
    model("bitnet-0.7b", "1bitLLM/bitnet_b1_58-large", "MIT", 2920, 720),
    model("bitnet-3b", "1bitLLM/bitnet_b1_58-3B", "MIT", 13_300, 2000),
    model(
        "bitnet-embedding-0.6b",
        "microsoft/bitnet-embedding-0.6b/bitnet-embeddings-0.6b-bf16-i2_s.gguf",
        "MIT",
        430,
        890,
    )
    .at("459a4718ed183ebbf5d7c89e4908f66322790e9b"),
    // Its GGUF file lacks a part of the model.
    model("bitnet-embedding-270m", "microsoft/bitnet-embedding-270m", "MIT", 570, 440),
    model("falcon-e-1b", "tiiuae/Falcon-E-1B-Instruct", FALCON, 670, 900),
    model("falcon-e-3b", "tiiuae/Falcon-E-3B-Instruct", FALCON, 1000, 1300),
    model("falcon3-1b-1.58", "tiiuae/Falcon3-1B-Instruct-1.58bit", FALCON, 1360, 1930),
    model("falcon3-3b-1.58", "tiiuae/Falcon3-3B-Instruct-1.58bit", FALCON, 2220, 2990),
    model("falcon3-7b-1.58", "tiiuae/Falcon3-7B-Instruct-1.58bit", FALCON, 3280, 4150),
    model("falcon3-10b-1.58", "tiiuae/Falcon3-10B-Instruct-1.58bit", FALCON, 3990, 5070),
    model("llama3-8b-1.58", "HF1BitLLM/Llama3-8B-1.58-100B-tokens", "Llama 3", 3850, 4910),
    model(
        "bonsai-1.7b",
        "prism-ml/Ternary-Bonsai-1.7B-gguf/Ternary-Bonsai-1.7B-Q2_0.gguf",
        "Apache-2.0",
        460,
        960,
    ),
    model(
        "bonsai-4b",
        "prism-ml/Ternary-Bonsai-4B-gguf/Ternary-Bonsai-4B-Q2_0.gguf",
        "Apache-2.0",
        1070,
        1740,
    ),
    model(
        "bonsai-8b",
        "prism-ml/Ternary-Bonsai-8B-gguf/Ternary-Bonsai-8B-Q2_0.gguf",
        "Apache-2.0",
        2180,
        2910,
    ),
];

impl NamedModel {
    /// Returns the model called `name`, in any case of letters.
    pub fn find(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name.eq_ignore_ascii_case(name))
    }

    /// Returns what to give in place of `name`, which is unknown.
    pub(super) fn suggestion(name: &str) -> String {
        /// The least similarity of a slip of the keyboard, from 0 to 1.
        const SIMILAR: f64 = 0.85;
        let name = name.to_ascii_lowercase();
        let similarity = |model: &NamedModel| match name.len() >= 3 && model.name.starts_with(&name) {
            true => 1.0,
            false => strsim::jaro_winkler(&name, model.name),
        };
        // Of equals, the first of the table.
        let best = MODELS.iter().rev().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
        match best.filter(|best| similarity(best) >= SIMILAR) {
            Some(best) => format!("did you mean {}? `tercet models` lists all names", best.name),
            None => "give the directory that holds the model's config.json, a name that `tercet models` lists, or \
                     owner/repo"
                .to_owned(),
        }
    }

    /// Returns the repository that publishes the model, at the model's revision.
    ///
    /// # Errors
    /// Never fails for the models of the table: a test checks them.
    pub fn repository(&self) -> Result<Repository> {
        match self.revision {
            None => self.repository.parse(),
            Some(revision) => format!("{}@{revision}", self.repository).parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_get_a_suggestion() {
        for (name, meant) in [
            ("bitnet", "bitnet-2b"),
            ("bitnet-2", "bitnet-2b"),
            ("BitNet2b", "bitnet-2b"),
            ("bonsai", "bonsai-1.7b"),
            ("falcon-e", "falcon-e-1b"),
            ("falcom-e-3b", "falcon-e-3b"),
        ] {
            let suggestion = NamedModel::suggestion(name);
            assert!(suggestion.starts_with(&format!("did you mean {meant}?")), "{name}: {suggestion}");
        }
        for name in ["gpt-4", "no-such-model", "", "b"] {
            assert!(NamedModel::suggestion(name).starts_with("give "), "{name}");
        }
    }

    #[test]
    fn names_are_unique_and_lead_to_repositories() {
        for (i, model) in MODELS.iter().enumerate() {
            let repository = model.repository().unwrap();
            assert!(repository.to_string().starts_with(&format!("hf:{}", model.repository)));
            assert_eq!(repository.revision(), model.revision.unwrap_or("main"));
            assert!(model.revision.is_none_or(crate::cache::is_commit), "{}", model.name);
            assert!(MODELS[..i].iter().all(|other| other.name != model.name));
            assert!(NamedModel::find(&model.name.to_uppercase()).is_some());
            assert!(!model.name.contains(['/', ':', '@']));
        }
    }
}
