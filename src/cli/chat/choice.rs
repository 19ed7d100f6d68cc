//! The choice of a model at the terminal, if none is named.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rustyline::error::ReadlineError;
use tercet_hub::{Hub, LocalModel, MODELS, NamedModel};

use crate::cli::report::note;
use crate::cli::toy::megabytes;
use crate::cli::{config, models, toy};
use tercet_engine::Size;

const TOY: &str = "fairy-tales";

/// Returns the one model on this machine, or the user's choice; none if the user leaves.
pub(super) fn choose() -> Result<Option<PathBuf>> {
    let here = models::hub()?.local_models().unwrap_or_default();
    if let [LocalModel { name, .. }] = &here[..] {
        note(format_args!("{name} is the model on this machine; -m names another"));
        return Ok(Some(PathBuf::from(name)));
    }
    let choices = choices(&here);
    note("Which model?");
    for (number, (name, about)) in (1..).zip(&choices) {
        note(format_args!("  {number:>2}  {name:<20} {about}"));
    }
    let mut editor = rustyline::DefaultEditor::new()?;
    loop {
        let answer = match editor.readline(&format!("number or name (Enter takes {}) > ", choices[0].0)) {
            Ok(answer) => answer,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(name) = picked(&choices, answer.trim()) else {
            note(format_args!("there is no number {}", answer.trim()));
            continue;
        };
        if name == TOY {
            toy::remark("chat");
        } else if let Err(error) = Hub::repository(&config::aliased(Path::new(&name))?) {
            note(error);
            continue;
        }
        return Ok(Some(PathBuf::from(name)));
    }
}

/// Returns the names of all models with what they take: those on this machine, the toy, and those to download.
fn choices(here: &[LocalModel]) -> Vec<(String, String)> {
    let local =
        here.iter().map(|model| (model.name.clone(), format!("on this machine, {}", Size(model.size))));
    let toy = (TOY.to_owned(), "inside this program, a toy".to_owned());
    let absent = MODELS.iter().filter(|named| here.iter().all(|model| model.name != named.name));
    let absent = absent.map(|NamedModel { name, license, download_mb, memory_mb, .. }| {
        let (download, memory) = (megabytes(*download_mb), megabytes(*memory_mb));
        ((*name).to_owned(), format!("{download} to download, {memory} of memory, licence {license}"))
    });
    local.chain([toy]).chain(absent).collect()
}

/// Returns the model that `answer` picks: by its number, by any name, or the first one. None if there is no such number.
fn picked(choices: &[(String, String)], answer: &str) -> Option<String> {
    match answer.parse::<usize>() {
        Ok(number) => choices.get(number.checked_sub(1)?).map(|(name, _)| name.clone()),
        Err(_) if answer.is_empty() => Some(choices[0].0.clone()),
        Err(_) => Some(answer.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_numbers_or_names() {
        let choices = choices(&[]);
        assert_eq!(choices.len(), 1 + MODELS.len());
        for (answer, name) in [
            ("", Some(TOY)),
            ("1", Some(TOY)),
            ("2", Some("bitnet-2b")),
            ("owner/repo", Some("owner/repo")),
            ("0", None),
            ("99", None),
        ] {
            assert_eq!(picked(&choices, answer).as_deref(), name, "{answer:?}");
        }
    }
}
