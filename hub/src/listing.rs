//! The files of a repository, and the choice of those that make up the model.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::cache::is_commit;
use super::checksum::Checksum;
use super::repository::{Repository, is_path};
use crate::error::{Error, Result};
use tercet_formats::{GgufFile, MODEL, SHARD_INDEX};

/// Files to download besides the weights, if the repository has them.
const DESCRIPTIONS: [&str; 11] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "modules.json",
    "config_sentence_transformers.json",
];

/// The end of the name of the file that says how a model of embeddings pools texts.
const POOLING: &str = "_Pooling/config.json";

/// The folder of further chat templates.
const TEMPLATES: &str = "additional_chat_templates/";

/// A repository at one commit.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    files: Vec<RemoteFile>,
}

/// A file as the hub describes it.
#[derive(Clone, Debug)]
pub(super) struct RemoteFile {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) checksum: Checksum,
}

/// The hub's answer to `/api/models/ID/revision/REVISION?blobs=true`, with the hub's field names.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    /// Reads the hub's answer. Files are skipped unless their names are safe paths.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(json).map_err(|e| format!("its list of files: {e}"))?;
        if !is_commit(&answer.sha) {
            return Err("its list of files names no commit".to_owned());
        }
        let files = answer.siblings.into_iter().filter(|file| is_path(&file.rfilename));
        Ok(Listing { commit: answer.sha, files: files.filter_map(RemoteFile::new).collect() })
    }

    /// Returns the files of the model besides its weights, and the first file of the weights. The
    /// latter is the file that `repository` names, the only file, or the index of all files. Other
    /// parts of a GGUF model count as the former, so that the named file is the last one.
    pub(super) fn parts(&self, repository: &Repository) -> Result<(Vec<&RemoteFile>, &RemoteFile)> {
        if let Some(name) = repository.file() {
            let missing = || {
                let problem = format!("there is no file {name} at revision {}", repository.revision());
                Error::bad_argument(repository.to_string(), problem, self.ggufs(repository))
            };
            let model = |file: &str| GgufFile::part_of(file).map(|(name, _, count)| (name.to_owned(), count));
            let is_other = |file: &&RemoteFile| {
                file.name != name && model(name).is_some_and(|parts| model(&file.name) == Some(parts))
            };
            let others = self.files.iter().filter(is_other).collect();
            return Ok((others, self.file(name).ok_or_else(missing)?));
        }
        let weights = self.file(MODEL).or_else(|| self.file(SHARD_INDEX)).ok_or_else(|| {
            let problem = format!("holds neither {MODEL} nor {SHARD_INDEX}");
            Error::bad_argument(repository.to_string(), problem, self.ggufs(repository))
        })?;
        let is_template = |name: &str| name.starts_with(TEMPLATES) && name.ends_with(".jinja");
        let is_description = |file: &&RemoteFile| is_template(&file.name) || file.name.ends_with(POOLING);
        let descriptions = DESCRIPTIONS.iter().filter_map(|name| self.file(name));
        Ok((descriptions.chain(self.files.iter().filter(is_description)).collect(), weights))
    }

    /// Returns the files that the shard index `json` names.
    pub(super) fn shards(&self, json: &[u8]) -> Result<Vec<&RemoteFile>, String> {
        let index: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let map = index["weight_map"].as_object().ok_or("it has no weight_map")?;
        let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
        let find = |name: &str| self.file(name).ok_or_else(|| format!("the repository has no {name}"));
        names.into_iter().map(find).collect()
    }

    fn file(&self, name: &str) -> Option<&RemoteFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Returns the remedy: GGUF files of the repository to ask for instead.
    fn ggufs(&self, repository: &Repository) -> String {
        const MOST: usize = 4;
        let names = self.files.iter().map(|file| &file.name).filter(|name| name.ends_with(".gguf"));
        let ggufs: Vec<String> =
            names.take(MOST).map(|name| format!("hf:{}/{name}", repository.id())).collect();
        if ggufs.is_empty() {
            "use a repository of safetensors or GGUF files".to_owned()
        } else {
            format!("use {}", ggufs.join(" or "))
        }
    }
}

impl RemoteFile {
    fn new(file: Sibling) -> Option<Self> {
        let (size, checksum) = match file.lfs {
            Some(lfs) => (lfs.size, Checksum::sha256(&lfs.sha256)?),
            None => (file.size?, Checksum::git(&file.blob_id?)?),
        };
        Some(RemoteFile { name: file.rfilename, size, checksum })
    }
}
