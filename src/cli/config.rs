//! The configuration file: a user's own defaults for the model, the system message and the sampling.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use etcetera::BaseStrategy;
use serde::Deserialize;
use tercet_engine::{Error, Result, SamplerOptions, knobs};
use tercet_formats::GenerationDefaults;
use toml::de::DeTable;

use super::args::SamplingArgs;

/// The contents of the file. Flags and environment variables win over it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    /// The model of commands without `-m`.
    model: Option<PathBuf>,
    /// The message that a model reads before a conversation.
    system: Option<String>,
    /// The preset of commands without `--preset`.
    preset: Option<String>,
    sampling: SamplingArgs,
    /// Short names of models.
    aliases: BTreeMap<String, PathBuf>,
    presets: BTreeMap<String, SamplingArgs>,
}

/// Returns the user's configuration, which is read once.
///
/// # Errors
/// Fails if the file cannot be read, or says what cannot be. The error names the line and the field.
pub(super) fn current() -> Result<&'static Config> {
    static CURRENT: OnceLock<Config> = OnceLock::new();
    if let Some(config) = CURRENT.get() {
        return Ok(config);
    }
    let config = read()?;
    Ok(CURRENT.get_or_init(|| config))
}

/// Returns the model that a command runs: `model`, or that of the environment or of the file. None is the embedded one.
///
/// # Errors
/// Those of [`current`].
pub(super) fn model(model: Option<&Path>) -> Result<Option<PathBuf>> {
    let named = match (model, knobs::model()) {
        (Some(model), _) => Some(model.to_owned()),
        (None, None) => current()?.model.clone(),
        (None, of_environment) => of_environment,
    };
    named.map(|named| aliased(&named)).transpose()
}

/// Returns the model that the name `model` stands for. Files and folders come before aliases.
///
/// # Errors
/// Those of [`current`].
pub(super) fn aliased(model: &Path) -> Result<PathBuf> {
    let alias = current()?.aliases.iter().find(|(alias, _)| Path::new(alias) == model);
    Ok(match alias {
        Some((_, named)) if !model.exists() => named.clone(),
        _ => model.to_owned(),
    })
}

/// Returns the system message of a conversation: `text`, or that of the file.
///
/// # Errors
/// Those of [`current`].
pub(super) fn system(text: Option<&str>) -> Result<Option<String>> {
    match text {
        Some(text) => Ok(Some(text.to_owned())),
        None => Ok(current()?.system.clone()),
    }
}

impl Config {
    /// Returns the sampling of the preset `name`, or else of the default preset, over that of the table `sampling`.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such preset.
    pub(super) fn sampling(&self, name: Option<&str>) -> Result<SamplingArgs> {
        let Some(name) = name.or(self.preset.as_deref()) else { return Ok(self.sampling.clone()) };
        let preset = self.presets.get(name).ok_or_else(|| self.no_preset("preset", name))?;
        Ok(preset.or(&self.sampling))
    }

    fn no_preset(&self, argument: &str, name: &str) -> Error {
        let known: Vec<&str> = self.presets.keys().map(String::as_str).collect();
        let remedy = match (known.is_empty(), place()) {
            (false, _) => format!("use {}", known.join(", ")),
            (true, Some(file)) => format!("write a table [presets.{name}] in {}", file.display()),
            (true, None) => "name a file with presets in TERCET_CONFIG".to_owned(),
        };
        Error::bad_argument(argument, format!("there is no preset {name:?}"), remedy)
    }
}

/// Returns the file that is read, if the system tells where.
fn place() -> Option<PathBuf> {
    let of_user = || Some(etcetera::choose_base_strategy().ok()?.config_dir().join("tercet/config.toml"));
    knobs::config().or_else(of_user)
}

fn read() -> Result<Config> {
    let Some(file) = place() else { return Ok(Config::default()) };
    match fs::read_to_string(&file) {
        Ok(text) => parse(&file, &text),
        Err(error) if error.kind() == ErrorKind::NotFound && knobs::config().is_none() => {
            Ok(Config::default())
        }
        Err(error) => Err(Error::io("read", &file, error)),
    }
}

fn parse(file: &Path, text: &str) -> Result<Config> {
    let config: Config = toml::from_str(text).map_err(|error| {
        let place = described(file, text, error.span());
        Error::bad_argument(place, error.message(), "correct this line")
    })?;
    let presets = config.presets.iter().map(|(name, preset)| (vec!["presets", name.as_str()], preset));
    for (table, sampling) in [(vec!["sampling"], &config.sampling)].into_iter().chain(presets) {
        check(sampling).map_err(|error| match error {
            Error::BadArgument { argument, problem, remedy } => {
                let field = [&table[..], &[argument.as_str()]].concat();
                Error::bad_argument(described(file, text, span(text, &field)), problem, remedy)
            }
            error => error,
        })?;
    }
    if let Some(name) = config.preset.as_deref().filter(|name| !config.presets.contains_key(*name)) {
        return Err(config.no_preset(&described(file, text, span(text, &["preset"])), name));
    }
    Ok(config)
}

/// Checks the ranges of sampling as they apply when chance comes in.
fn check(sampling: &SamplingArgs) -> Result<()> {
    let chance = GenerationDefaults { do_sample: Some(true), ..GenerationDefaults::default() };
    let options: SamplerOptions = sampling.choices(0).over(&chance);
    options.validate()
}

/// Returns where the value of `field` is in `text`.
fn span(text: &str, field: &[&str]) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let (first, rest) = field.split_first()?;
    let mut value = document.get_ref().get(*first)?;
    for name in rest {
        value = value.get_ref().get(*name)?;
    }
    Some(value.span())
}

/// Names a file, the line of `span` and the field on it.
fn described(file: &Path, text: &str, span: Option<Range<usize>>) -> String {
    let file = file.display();
    let Some(before) = span.and_then(|span| text.get(..span.start)) else { return file.to_string() };
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or_default();
    match line.split_once('=') {
        Some((field, _)) => format!("{file}, line {}, {}", number + 1, field.trim()),
        None => format!("{file}, line {}", number + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation.
    fn example() -> &'static str {
        let page = include_str!("../../docs/get-started.md");
        page.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0
    }

    #[test]
    fn the_example_says_what_it_says() {
        let config = parse(Path::new("config.toml"), example()).unwrap();
        assert_eq!((config.model.as_deref(), config.aliases.len()), (Some(Path::new("bitnet-2b")), 2));
        let of = |preset| config.sampling(preset).unwrap().choices(3);
        assert_eq!((of(None).temperature, of(None).top_k, of(None).seed), (Some(0.7), Some(40), 3));
        let precise = of(Some("precise"));
        assert_eq!(
            (precise.temperature, precise.top_k),
            (Some(0.2), Some(40)),
            "the rest is that of [sampling]"
        );
        assert!(of(Some("fixed")).greedy);
        assert!(parse(Path::new("config.toml"), "").unwrap().model.is_none());
    }

    #[test]
    fn faults_name_the_file_the_line_and_the_field() {
        for (text, place, word) in [
            ("model = \"a\"\nwarmth = 1", "c.toml, line 2, warmth: ", "unknown field"),
            ("[sampling]\n\ntemperature = \"hot\"", "c.toml, line 3, temperature: ", "expected f32"),
            (
                "[sampling]\ntemperature = -1.0",
                "c.toml, line 2, temperature: ",
                "out of range; use 0 or more",
            ),
            ("[presets.wild]\ntop_k = 4\ntop_p = 7.0", "c.toml, line 3, top_p: ", "out of range"),
            ("[sampling]\nseed = \"soon\"", "c.toml, line 2, seed: ", "use a number from 0"),
            ("preset = \"wild\"\n[presets.tame]", "c.toml, line 1, preset: ", "no preset \"wild\"; use tame"),
            ("model = ", "c.toml, line 1, model: ", ""),
            ("[sampling", "c.toml, line 1", ""),
        ] {
            let error = parse(Path::new("c.toml"), text).unwrap_err().to_string();
            assert!(error.starts_with(place) && error.contains(word), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_flag_for_chance_takes_nothing_of_a_greedy_file() {
        let greedy = parse(Path::new("c"), "[sampling]\ngreedy = true").unwrap().sampling;
        let warm = parse(Path::new("c"), "[sampling]\ntemperature = 0.5").unwrap().sampling;
        assert!(!warm.or(&greedy).choices(0).greedy && greedy.or(&warm).choices(0).greedy);
    }
}
