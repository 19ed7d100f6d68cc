//! Checks that every link between the repository's Markdown files leads somewhere.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::ROOT;

/// Folders that hold no text of ours.
const SKIPPED: [&str; 5] = [".git", "target", "node_modules", "fixtures", "models"];

/// Checks every relative link, and every anchor within the repository.
///
/// # Errors
/// Fails with a list of the links that lead nowhere.
pub(crate) fn check() -> Result<()> {
    let root = fs::canonicalize(ROOT).context("the repository's folder")?;
    let mut texts = HashMap::new();
    read(&root, &mut texts)?;
    let mut broken = Vec::new();
    for (path, text) in &texts {
        for link in links(text) {
            if !leads_somewhere(path, link, &texts) {
                broken.push(format!("{}: {link}", path.strip_prefix(&root).unwrap_or(path).display()));
            }
        }
    }
    broken.sort();
    ensure!(broken.is_empty(), "links lead nowhere:\n{}", broken.join("\n"));
    Ok(())
}

/// Reads every Markdown file below `folder`.
fn read(folder: &Path, texts: &mut HashMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_skipped = SKIPPED.iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_skipped {
            read(&path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            texts.insert(path, text);
        }
    }
    Ok(())
}

/// Lines outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Targets of the links `[text](target)` and `[text]: target`, outside code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| {
        // The parts with even numbers are outside backticks.
        let parts = line.split('`').step_by(2).collect::<Vec<_>>();
        let defined = line.strip_prefix('[').and_then(|rest| Some(rest.split_once("]: ")?.1.trim()));
        let inline = parts.into_iter().flat_map(|part| part.split("](").skip(1));
        let inline = inline.filter_map(|rest| Some(rest.split_once(')')?.0));
        defined.into_iter().chain(inline).collect::<Vec<_>>()
    })
}

fn leads_somewhere(from: &Path, link: &str, texts: &HashMap<PathBuf, String>) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let path = match file {
        "" => from.to_owned(),
        _ => from.parent().unwrap_or(from).join(file),
    };
    let Ok(path) = fs::canonicalize(path) else { return false };
    match (anchor, texts.get(&path)) {
        (Some(anchor), Some(text)) => {
            let included = includes(&path, text).filter_map(|path| texts.get(&path));
            std::iter::once(text).chain(included).any(|text| anchors(text).any(|found| found == anchor))
        }
        _ => true,
    }
}

/// Files that mdBook includes in the text at `path`.
fn includes<'a>(path: &'a Path, text: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    let names = prose(text).filter_map(|line| line.strip_prefix("{{#include ")?.strip_suffix("}}"));
    names.filter_map(|name| fs::canonicalize(path.parent()?.join(name.trim())).ok())
}

/// Anchors of the headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let text =
            "See [a](a.md#x) and `[b](b.md)`.\n```\n[c](c.md)\n```\n[d]: d.md\n- [`e`](e.md), [f](f.md)\n";
        assert_eq!(links(text).collect::<Vec<_>>(), ["a.md#x", "d.md", "e.md", "f.md"]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# The `tercet` command: a tour\n```\n# code\n```\n## Why not f16?\n";
        assert_eq!(anchors(text).collect::<Vec<_>>(), ["the-tercet-command-a-tour", "why-not-f16"]);
    }

    #[test]
    fn a_link_leads_to_a_file_or_heading_that_exists() {
        let root = fs::canonicalize(ROOT).unwrap();
        let readme = root.join("README.md");
        let page = root.join("ARCHITECTURE.md");
        let texts = HashMap::from([
            (readme.clone(), "# Here\n{{#include ARCHITECTURE.md}}\n".to_owned()),
            (page, "## Included\n".to_owned()),
        ]);
        let leads = |link| leads_somewhere(&readme, link, &texts);
        assert!(
            leads("Cargo.toml") && leads("#here") && leads("#included") && leads("https://example.com/x")
        );
        assert!(!leads("no-such-file.md") && !leads("#there"));
    }
}
