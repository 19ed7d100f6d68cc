//! Names of repositories on the hub.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// Prefix of a repository's name, where paths and short names are allowed too.
pub(super) const SCHEME: &str = "hf:";

/// A repository of the hub, or one file of it, at a revision: `owner/repo[/file.gguf][@revision]`.
///
/// # Examples
/// ```
/// use tercet_hub::Repository;
///
/// let repository: Repository = "hf:owner/repo/model-Q2_0.gguf@v1".parse()?;
/// assert_eq!(repository.id(), "owner/repo");
/// assert_eq!(repository.file(), Some("model-Q2_0.gguf"));
/// assert_eq!(repository.revision(), "v1");
/// assert!("hf:owner/../repo".parse::<Repository>().is_err());
/// # Ok::<(), tercet_hub::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    id: String,
    file: Option<String>,
    revision: Option<String>,
}

impl Repository {
    /// Returns `owner/repo`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the name without its owner.
    pub fn name(&self) -> &str {
        self.id.split('/').next_back().unwrap_or(&self.id)
    }

    /// Returns the one file that the name selects, if it selects one.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Returns the branch, tag or commit. Defaults to `main`.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.id)?;
        self.file.iter().try_for_each(|file| write!(f, "/{file}"))?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
    }
}

/// Reads a name with or without the prefix `hf:`.
impl FromStr for Repository {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.strip_prefix(SCHEME).unwrap_or(text);
        let (path, revision) = match name.split_once('@') {
            Some((path, revision)) => (path, Some(revision)),
            None => (name, None),
        };
        let mut parts = path.splitn(3, '/');
        let (owner, repo, file) = (parts.next(), parts.next(), parts.next());
        let whole = |part: Option<&str>| part.is_some_and(|part| !part.contains('/') && is_path(part));
        let valid = whole(owner)
            && whole(repo)
            && file.is_none_or(|file| is_path(file) && file.ends_with(".gguf"))
            && revision.is_none_or(is_path);
        if !valid {
            return Err(Error::bad_argument(
                text,
                "is not the name of a repository",
                "write hf:owner/repo, hf:owner/repo@revision or hf:owner/repo/file.gguf",
            ));
        }
        let id = format!("{}/{}", owner.unwrap_or_default(), repo.unwrap_or_default());
        Ok(Repository { id, file: file.map(str::to_owned), revision: revision.map(str::to_owned) })
    }
}

/// Returns true if `text` consists of plain names and never leads upwards, since it becomes part of
/// paths and addresses.
pub(super) fn is_path(text: &str) -> bool {
    const LONGEST: usize = 200;
    let plain = |name: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        !name.is_empty() && !name.starts_with('.') && name.chars().all(known)
    };
    text.len() <= LONGEST && text.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_put_together_again() {
        for (text, id, file, revision) in [
            ("hf:microsoft/bitnet-b1.58-2B-4T", "microsoft/bitnet-b1.58-2B-4T", None, "main"),
            ("hf:a/b@refs/pr/1", "a/b", None, "refs/pr/1"),
            ("hf:a/b/c-Q2_0.gguf", "a/b", Some("c-Q2_0.gguf"), "main"),
            ("hf:a/b/sub/c.gguf@v1", "a/b", Some("sub/c.gguf"), "v1"),
        ] {
            let repository: Repository = text.parse().unwrap();
            assert_eq!(
                (repository.id(), repository.file(), repository.revision()),
                (id, file, revision),
                "{text}"
            );
            assert_eq!(repository.to_string(), text);
            assert_eq!(text[3..].parse::<Repository>().unwrap(), repository);
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for text in [
            "hf:",
            "hf:a",
            "hf:a/",
            "hf:/b",
            "hf:../b",
            "hf:a/..",
            "hf:a/b/../c.gguf",
            "hf:a/b/c",
            "hf:a/b@",
            "hf:a/b@../x",
            "hf:a/b@/etc",
            "hf:a/b c",
            "hf:a/b?x",
            "hf:a/b%2e",
            "hf:a\\b/c",
            "hf:a/b@v@w",
        ] {
            assert!(text.parse::<Repository>().is_err(), "{text}");
        }
    }
}
