//! Models by name or repository, from the Hugging Face hub or its cache on this machine.
//!
//! The cache is the one of Hugging Face's own libraries, so files that they downloaded are used.
//! The crate hf-hub does not fit: since version 1.0 it neither resumes nor verifies downloads.

mod cache;
mod catalog;
mod checksum;
mod client;
mod download;
mod environment;
mod error;
mod library;
mod listing;
mod repository;
mod space;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cache::RepositoryCache;
use client::{Client, Failure, Token};
use download::{Refusal, download};
use listing::{Listing, RemoteFile};

use tercet_formats::{CONFIG, MODEL, ModelFiles, SHARD_INDEX, read_regular, without_password};

pub use catalog::{MODELS, NamedModel};
pub use error::{Error, Result};
pub use library::LocalModel;
pub use repository::Repository;

/// The hub's address, access and cache. [`HubOptions::from_environment`] reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubOptions {
    /// Address. Defaults to <https://huggingface.co>.
    pub endpoint: Option<String>,
    /// Access token.
    pub token: Option<String>,
    /// File that holds the token, if none is given. It is read only to ask the hub.
    pub token_file: Option<PathBuf>,
    /// Longest time without progress. Defaults to 30 seconds.
    pub patience: Option<Duration>,
    /// Directory for downloaded files.
    pub cache_dir: PathBuf,
    /// True to avoid the network.
    pub offline: bool,
}

/// News of a download.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The hub with this address is asked for the files of a repository.
    Asking(&'a str),
    /// Another process downloads the same file.
    Waiting(&'a str),
    /// More bytes of a file have arrived.
    Bytes {
        /// The file.
        file: &'a str,
        /// Bytes of the file that have arrived.
        done: u64,
        /// All bytes of the file.
        size: u64,
    },
}

/// The hub and its cache.
///
/// # Examples
/// ```
/// use tercet_hub::{Hub, HubOptions};
///
/// let hub = Hub::new(HubOptions { cache_dir: std::env::temp_dir(), offline: true, ..HubOptions::default() })?;
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
/// let files = hub.open(folder.as_ref(), &mut |_| ())?;
/// assert_eq!(files.name(), "bitnet-tiny");
///
/// let error = hub.open("hf:owner/not-downloaded".as_ref(), &mut |_| ()).unwrap_err();
/// assert!(error.is_bad_input());
/// # Ok::<(), tercet_hub::Error>(())
/// ```
#[derive(Debug)]
pub struct Hub {
    client: Client,
    cache_dir: PathBuf,
    offline: bool,
}

impl Hub {
    /// Returns the hub with these options. Nothing is requested yet.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if the endpoint is not an http address.
    pub fn new(options: HubOptions) -> Result<Self> {
        let HubOptions { endpoint, token, token_file, patience, cache_dir, offline } = options;
        let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned());
        let client = Client::new(&endpoint, Token::new(token, token_file), patience).ok_or_else(|| {
            Error::bad_argument(
                "HF_ENDPOINT",
                format!("{:?} is not an http address", without_password(&endpoint)),
                "set one, or none",
            )
        })?;
        Ok(Hub { client, cache_dir, offline })
    }

    /// Opens `model`: a path, a short name of [`MODELS`], or a repository written as `owner/repo` or `hf:owner/repo`.
    ///
    /// Files that are not on this machine are downloaded. `progress` gets news of downloads.
    ///
    /// # Errors
    /// The errors of [`ModelFiles::open`] and [`Hub::fetch`], and [`Error::UnknownModel`].
    pub fn open(&self, model: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelFiles> {
        let Some(repository) = Self::repository(model)? else { return Ok(ModelFiles::open(model)?) };
        let path = self.fetch(&repository, progress)?;
        Ok(ModelFiles::open(&path)?.named(repository.name()))
    }

    /// Returns the repository that `model` stands for, or none if it is a path.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] if it is neither, and the errors of a [`Repository`]'s name.
    pub fn repository(model: &Path) -> Result<Option<Repository>> {
        let Some(text) = model.to_str().filter(|_| !model.exists()) else { return Ok(None) };
        if text.starts_with(repository::SCHEME) {
            return text.parse().map(Some);
        }
        if let Some(named) = NamedModel::find(text) {
            return named.repository().map(Some);
        }
        // A misspelt path within a folder that exists is no repository.
        let owner = model.components().next().map(|owner| Path::new(owner.as_os_str()).exists());
        match text.parse::<Repository>() {
            Ok(repository) if owner == Some(false) && !repository.id().ends_with(".gguf") => {
                Ok(Some(repository))
            }
            _ => Err(Error::unknown_model(text, NamedModel::suggestion(text))),
        }
    }

    /// Returns the path of the files of `repository` on this machine, if all of them are there.
    pub fn find(&self, repository: &Repository) -> Option<PathBuf> {
        let cache = RepositoryCache::new(&self.cache_dir, repository);
        let snapshot = cache.snapshot(&cache.commit(repository.revision())?);
        match repository.file() {
            Some(file) => Some(snapshot.join(file)).filter(|path| path.is_file()),
            None => Some(snapshot).filter(|snapshot| is_model(snapshot)),
        }
    }

    /// Downloads the missing files of the model in `repository`. Returns the directory of the
    /// files, or the path of the one file that `repository` names.
    ///
    /// # Errors
    /// - [`Error::BadArgument`] if the hub refuses, or has no such repository, revision or file.
    /// - [`Error::Download`] if the network fails, or delivers wrong data.
    /// - [`Error::File`] if the cache cannot be written.
    pub fn fetch(&self, repository: &Repository, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
        let found = self.find(repository);
        if let Some(path) = found.as_ref().filter(|path| path.is_file() || has_all_descriptions(path)) {
            return Ok(path.clone());
        }
        if self.offline {
            let remedy = "unset HF_HUB_OFFLINE to download it";
            return found.ok_or_else(|| {
                Error::bad_argument(repository.to_string(), "is not on this machine as a whole", remedy)
            });
        }
        progress(Progress::Asking(self.client.endpoint()));
        match (self.list(repository), found) {
            (Ok(listing), _) => self.fetch_listed(repository, &listing, progress),
            // The model runs with the files that are here.
            (Err(Failure::Network(_) | Failure::Hopeless(_) | Failure::Status(500.., _)), Some(path)) => {
                Ok(path)
            }
            (Err(failure), _) => Err(self.explain(repository, failure)),
        }
    }

    fn list(&self, repository: &Repository) -> Result<Listing, Failure> {
        /// Bound on the size of the list.
        const MOST_BYTES: usize = 16 << 20;
        let revision = repository.revision().replace('/', "%2F");
        let path = format!("/api/models/{}/revision/{revision}?blobs=true", repository.id());
        let response = self.client.get(&path, 0)?;
        let mut json = Vec::new();
        self.client.read(&mut response.into_body().into_reader(), |bytes| {
            json.extend_from_slice(bytes);
            match json.len() <= MOST_BYTES {
                true => Ok(true),
                false => Err(Failure::Network("its list of files is too long".to_owned())),
            }
        })?;
        Listing::parse(&json).map_err(Failure::Network)
    }

    /// Downloads the files of `listing`, weights last. So a snapshot that has weights is complete.
    fn fetch_listed(
        &self,
        repository: &Repository,
        listing: &Listing,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf> {
        let cache = RepositoryCache::new(&self.cache_dir, repository);
        let (descriptions, weights) = listing.parts(repository)?;
        self.require_space(repository, &cache, descriptions.iter().copied().chain([weights]))?;
        let mut get = |file| self.fetch_file(repository, &cache, &listing.commit, file, progress);
        descriptions.into_iter().try_for_each(|file| get(file).map(drop))?;
        let path = get(weights)?;
        if weights.name == SHARD_INDEX {
            let index = read_regular(&path, LARGEST_INDEX).map_err(|e| Error::io("read", &path, e))?;
            let shards = listing.shards(&index).map_err(|problem| {
                let file = format!("{repository}/{SHARD_INDEX}");
                Error::malformed(
                    file,
                    "weight_map",
                    problem,
                    "the repository is incomplete: use another revision",
                )
            })?;
            self.require_space(repository, &cache, shards.iter().copied())?;
            shards.into_iter().try_for_each(|shard| get(shard).map(drop))?;
        }
        cache.note(repository.revision(), &listing.commit)?;
        Ok(if repository.file().is_some() { path } else { cache.snapshot(&listing.commit) })
    }

    /// Requires room on the disk for those of `files` that are not here yet.
    fn require_space<'a>(
        &self,
        repository: &Repository,
        cache: &RepositoryCache,
        files: impl Iterator<Item = &'a RemoteFile>,
    ) -> Result<()> {
        let missing = |file: &RemoteFile| {
            let (blob, incomplete) = cache.blob(file.checksum.digits());
            let here = |path: &Path| fs::symlink_metadata(path).map_or(0, |metadata| metadata.len());
            file.size.saturating_sub(here(&blob).max(here(&incomplete)))
        };
        let needed = files.map(missing).fold(0u64, u64::saturating_add);
        match space::free(&self.cache_dir) {
            Some(free) if needed > free => {
                let problem = format!(
                    "no space is left: it takes {} MB more, and {} has {} MB",
                    needed / 1_000_000,
                    self.cache_dir.display(),
                    free / 1_000_000
                );
                let remedy = "make room, or set HF_HOME to another place, and run the command again";
                Err(Error::download(repository.to_string(), problem, remedy))
            }
            _ => Ok(()),
        }
    }

    fn fetch_file(
        &self,
        repository: &Repository,
        cache: &RepositoryCache,
        commit: &str,
        file: &RemoteFile,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf> {
        let path = cache.snapshot(commit).join(&file.name);
        if path.is_file() {
            return Ok(path);
        }
        let RemoteFile { name, size, checksum } = file;
        let (blob, incomplete) = cache.blob(checksum.digits());
        let patience = 2 * self.client.patience();
        let _lock = cache.lock(checksum.digits(), patience, || progress(Progress::Waiting(name)))?;
        if !blob.is_file() {
            cache::make_parent(&blob)?;
            let address = format!("/{}/resolve/{commit}/{name}", repository.id());
            let mut tell = |done| progress(Progress::Bytes { file: name, done, size: *size });
            download(&self.client, &address, file, (&blob, &incomplete), &mut tell).map_err(|refusal| {
                let label = format!("{repository}: {name}");
                match refusal {
                    Refusal::Hub(failure @ Failure::Status(..)) => self.explain(repository, failure),
                    Refusal::Hub(Failure::Network(problem)) => Error::download(
                        label,
                        format!("the download from {} broke off: {problem}", self.client.endpoint()),
                        "run the command again: it goes on where it stopped",
                    ),
                    Refusal::Hub(Failure::Hopeless(problem)) => Error::download(
                        label,
                        format!("the download from {} failed: {problem}", self.client.endpoint()),
                        "run the command again later: it goes on where it stopped",
                    ),
                    Refusal::Checksum => Error::download(
                        label,
                        "what arrived does not have the checksum that the hub tells",
                        "run the command again; if it persists, the hub or a proxy in between is at fault",
                    ),
                    Refusal::Disk(e) if is_full(&e) => Error::download(
                        label,
                        format!(
                            "no space is left for its {} MB in {}",
                            size / 1_000_000,
                            self.cache_dir.display()
                        ),
                        "make room, or set HF_HOME to another place, and run the command again",
                    ),
                    Refusal::Disk(e) => Error::io("write", &incomplete, e),
                }
            })?;
        }
        if !path.is_file() {
            cache.link(commit, name, checksum.digits())?;
        }
        Ok(path)
    }

    /// Turns a failure into an error that tells the user the way to mend it.
    fn explain(&self, repository: &Repository, failure: Failure) -> Error {
        let endpoint = self.client.endpoint();
        let what = repository.to_string();
        let (status, code) = match failure {
            Failure::Status(status, code) => (status, code),
            Failure::Hopeless(problem) => {
                let problem = format!("asking {endpoint} failed: {problem}");
                return Error::download(
                    what,
                    problem,
                    "try again later, or use a directory with the model's files",
                );
            }
            Failure::Network(problem) => {
                let problem = format!("{endpoint} cannot be reached: {problem}");
                let remedy = "check the network; a directory that holds the model's files needs none";
                return Error::download(what, problem, remedy);
            }
        };
        match (status, code.as_str()) {
            (404, "RevisionNotFound") => {
                let problem = format!("{endpoint} has no revision {} of it", repository.revision());
                Error::bad_argument(what, problem, "check the spelling after the @")
            }
            (404, _) => {
                let problem = format!("there is no such repository, revision or file on {endpoint}");
                Error::bad_argument(
                    what,
                    problem,
                    "check the spelling; `tercet models` lists models with names",
                )
            }
            (401 | 403, _) => {
                let problem = match (self.client.has_token(), code.as_str()) {
                    (true, _) => format!("{endpoint} refuses access with this token ({status})"),
                    (false, "GatedRepo") => format!("{endpoint} grants access on request only ({status})"),
                    (false, _) => format!("{endpoint} has no such repository that is public ({status})"),
                };
                let id = repository.id();
                let remedy = format!(
                    "check the spelling; if {endpoint}/{id} asks for it, accept its terms there, and set HF_TOKEN to a \
                     token of {endpoint}/settings/tokens"
                );
                Error::bad_argument(what, problem, remedy)
            }
            _ => Error::download(what, format!("{endpoint} answers with status {status}"), "try again later"),
        }
    }
}

/// Bytes of the largest index of shards that is read.
const LARGEST_INDEX: u64 = 64 << 20;

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns true if a snapshot has all files that running its model takes.
fn is_model(snapshot: &Path) -> bool {
    let has = |name: &str| snapshot.join(name).is_file();
    has(CONFIG)
        && (has("tokenizer.json") || has("tokenizer.model"))
        && (has(MODEL)
            || read_regular(&snapshot.join(SHARD_INDEX), LARGEST_INDEX)
                .is_ok_and(|index| has_shards(snapshot, &index)))
}

fn has_shards(snapshot: &Path, index: &[u8]) -> bool {
    let index: serde_json::Value = serde_json::from_slice(index).unwrap_or_default();
    let shards = index["weight_map"].as_object().into_iter().flat_map(|map| map.values());
    let mut shards = shards.filter_map(|name| name.as_str()).peekable();
    shards.peek().is_some() && shards.all(|name| repository::is_path(name) && snapshot.join(name).is_file())
}

/// Returns true if a snapshot surely has the optional files too. Other programs download these only
/// when needed.
fn has_all_descriptions(snapshot: &Path) -> bool {
    ["generation_config.json", "tokenizer_config.json"].iter().all(|name| snapshot.join(name).is_file())
}
