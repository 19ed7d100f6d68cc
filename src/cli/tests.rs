//! Rules that hold for the options of every command.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Command, CommandFactory, Parser};

use tercet_engine::options::OPTIONS;

use super::Cli;

/// Every command that can be run, by its full name such as `bench kernels`.
fn commands() -> BTreeMap<String, Command> {
    fn collect(command: &Command, path: &str, all: &mut BTreeMap<String, Command>) {
        for inner in command.get_subcommands() {
            let path = format!("{path} {}", inner.get_name()).trim().to_owned();
            collect(inner, &path, all);
            all.insert(path, inner.clone());
        }
    }
    let mut all = BTreeMap::new();
    collect(&Cli::command(), "", &mut all);
    all
}

/// The long names of a command's options.
fn options(command: &Command) -> BTreeSet<&str> {
    command.get_arguments().filter_map(Arg::get_long).collect()
}

fn parses(line: &str) -> bool {
    Cli::try_parse_from(line.split(' ')).is_ok()
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

/// The options of the shared groups that each command heeds. A command that gains or loses one must
/// say so here.
#[test]
fn every_command_takes_only_the_options_that_it_heeds() {
    const SHARED: [&str; 12] = [
        "model",
        "context",
        "isa",
        "threads",
        "packing",
        "mode",
        "activations",
        "head",
        "cache-type",
        "no-tune",
        "no-cache",
        "cache-size",
    ];
    let without = |refused: &[&str]| -> BTreeSet<&str> {
        SHARED.into_iter().filter(|name| !refused.contains(name)).collect()
    };
    let heeded = BTreeMap::from([
        ("generate", without(&[])),
        ("chat", without(&[])),
        ("serve", without(&[])),
        ("info", without(&[])),
        // Windows determine the context.
        ("perplexity", without(&["context"])),
        // The longest text determines the context.
        ("embed", without(&["context"])),
        // It runs both modes.
        ("compare-modes", without(&["context", "mode"])),
        // The longest test determines the context. Nothing is tuned.
        ("bench", without(&["context", "no-tune"])),
        ("bench kernels", BTreeSet::from(["isa", "packing"])),
        ("dump", BTreeSet::from(["isa", "packing"])),
        ("tune", BTreeSet::from(["model", "isa", "threads", "packing"])),
        // It checks every packing.
        ("verify", BTreeSet::from(["model", "isa", "threads"])),
        ("convert", BTreeSet::from(["model"])),
        // Its options are those of chat and generate.
        ("run", BTreeSet::new()),
        ("models", BTreeSet::new()),
        ("pull", BTreeSet::new()),
        ("list", BTreeSet::new()),
        ("show", BTreeSet::new()),
        ("rm", BTreeSet::new()),
        ("completions", BTreeSet::new()),
        ("man", BTreeSet::new()),
        ("cache", BTreeSet::new()),
        ("cache clear", BTreeSet::new()),
    ]);
    let commands = commands();
    assert_eq!(commands.keys().collect::<Vec<_>>(), heeded.keys().collect::<Vec<_>>());
    for (name, command) in &commands {
        let found: BTreeSet<&str> = options(command).intersection(&SHARED.into()).copied().collect();
        assert_eq!(found, heeded[name.as_str()], "{name}");
        // A server's answers are JSON in any case. Scripts and pages are no results.
        let without = ["serve", "run", "completions", "man"];
        assert!(options(command).contains("json") || without.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn sampling_belongs_to_commands_that_write_text() {
    let sampling = [
        "temperature",
        "top-k",
        "top-p",
        "min-p",
        "repetition-penalty",
        "repetition-window",
        "seed",
        "stop",
        "stop-id",
    ];
    for (name, command) in &commands() {
        let writes = ["generate", "chat"].contains(&name.as_str());
        let found = sampling.iter().filter(|option| options(command).contains(*option)).count();
        assert_eq!(found, if writes { sampling.len() } else { 0 }, "{name}");
    }
}

#[test]
fn other_options_are_refused_and_not_ignored() {
    for line in [
        "tercet models --head int8",
        "tercet models --isa avx2",
        "tercet models -m bitnet-2b",
        "tercet cache --head int8",
        "tercet cache --isa avx2",
        "tercet cache -m bitnet-2b",
        "tercet cache clear --no-cache",
        "tercet convert -o out --threads 2",
        "tercet dump -m bitnet-2b",
        "tercet dump --list --isa avx2",
        "tercet dump --kernel avx2/2bit/x1/m1n16u1/planes/p0/f32 --isa avx2",
        "tercet info --cpuid -m bitnet-2b",
        "tercet info --cpuid --threads 1",
        "tercet tune --forget -m bitnet-2b",
        "tercet tune --export file --isa avx2",
        "tercet tune --shape 16x16 -m bitnet-2b",
        "tercet verify --packing 2bit",
        "tercet bench --no-tune",
        "tercet bench kernels --threads 2",
        "tercet compare-modes --mode exact text",
        "tercet perplexity --context 64 text",
        "tercet --model bitnet-2b generate Hi",
        "tercet --json info",
    ] {
        assert!(!parses(line), "{line}");
    }
    for line in [
        "tercet models --json",
        "tercet cache --json",
        "tercet cache clear --json",
        "tercet info --cpuid --json",
        "tercet dump --list --json",
        "tercet tune --forget --json",
        "tercet bench kernels --tokens 1,8 --json",
    ] {
        assert!(parses(line), "{line}");
    }
}

/// Splits a command line into words, where quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split(['"', '\'']).enumerate();
    let words = parts.flat_map(|(i, part)| match i % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[test]
fn the_tables_for_those_who_come_from_elsewhere_name_commands_that_parse() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/coming-from.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lines: Vec<&str> = page.split('`').filter(|span| span.starts_with("tercet ")).collect();
    assert!(lines.len() > 20, "only {} commands found", lines.len());
    for line in lines {
        assert!(Cli::try_parse_from(words(line)).is_ok(), "{line}");
    }
    // Rows without a command name options of `generate`, or commands of a chat.
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let here = row.rsplit('|').nth(1).unwrap_or_default();
        for span in here.split('`').skip(1).step_by(2) {
            if span.starts_with('-') {
                assert!(
                    Cli::try_parse_from(words(&format!("tercet generate {span} Hi"))).is_ok()
                        || span == "--context-shift",
                    "{span}"
                );
            } else if span.starts_with('/') {
                assert!(super::chat::is_command(span), "{span}");
            }
        }
    }
}

/// Returns the commands in the blocks of a page, without comments, pipes and files.
fn commands_in_blocks(page: &str) -> impl Iterator<Item = String> {
    let blocks = page.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(str::lines).filter(|line| line.starts_with("tercet "));
    lines.map(|line| {
        let end = [" #", "  ", " | ", " < ", " > "].iter().filter_map(|mark| line.find(mark)).min();
        line[..end.unwrap_or(line.len())].to_owned()
    })
}

#[test]
fn every_command_in_the_documentation_parses() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("docs")];
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { &mut folders } else { &mut pages }.push(entry);
        }
    }
    let mut found = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        for line in commands_in_blocks(&std::fs::read_to_string(page).unwrap()) {
            let parsed = Cli::try_parse_from(words(&line));
            assert!(parsed.is_ok(), "{}: {line}: {}", page.display(), parsed.unwrap_err());
            found += 1;
        }
    }
    assert!(found > 50, "only {found} commands found");
}

#[test]
fn a_letter_means_the_same_in_every_command() {
    let meanings = BTreeMap::from([
        ('f', "file"),
        ('h', "help"),
        ('V', "version"),
        ('m', "model"),
        ('n', "tokens to generate"),
        ('o', "output"),
        ('p', "prompt"),
        ('q', "quiet"),
        ('r', "repeat"),
        ('t', "temperature"),
        ('v', "verbose"),
        ('y', "yes"),
    ]);
    for (name, command) in &commands() {
        for argument in command.get_arguments() {
            let (Some(letter), Some(long)) = (argument.get_short(), argument.get_long()) else { continue };
            let meaning = match (name.as_str(), long) {
                ("generate" | "chat", "tokens") | ("bench", "gen") => "tokens to generate",
                (_, long) => long,
            };
            assert_eq!(meanings.get(&letter), Some(&meaning), "-{letter} of {name}");
        }
        let has_model = options(command).contains("model");
        assert_eq!(command.get_arguments().any(|a| a.get_short() == Some('m')), has_model, "{name}");
    }
}

#[test]
fn every_option_is_explained_in_one_short_line() {
    const LONGEST: usize = 90;
    for (name, command) in &commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && about.len() <= LONGEST, "{name}: {about:?}");
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let id = argument.get_id();
            assert!(!help.is_empty() && !help.ends_with('.'), "{name} {id}: {help:?}");
            assert!(help.len() <= LONGEST, "{name} {id} takes {} bytes: {help:?}", help.len());
        }
    }
}

/// Short help shows what people need on most days. The whole is in `--help`.
#[test]
fn short_help_fits_on_a_screen() {
    /// Lines of a large window.
    const SCREEN: usize = 60;
    for (name, mut command) in commands() {
        let lines = command.render_help().to_string().lines().count();
        assert!(lines <= SCREEN, "tercet {name} -h takes {lines} lines");
    }
}

/// The command's flags and their values are those of the library's table of options.
#[test]
fn flags_follow_the_table_of_options() {
    let commands = commands();
    let generate = &commands["generate"];
    for option in OPTIONS {
        let long = option.name.replace('_', "-");
        let found = generate.get_arguments().find(|argument| argument.get_long() == Some(long.as_str()));
        let argument = found.unwrap_or_else(|| panic!("generate has no {}", option.flag()));
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|value| argument.get_action().takes_values() && !value.is_hide_set())
            .map(|value| value.get_name().to_owned())
            .collect();
        assert_eq!(values, (option.values)(), "{}", option.flag());
        if let Some(variable) = option.variable {
            let help = argument.get_long_help().unwrap_or_default().to_string();
            assert!(help.contains(variable), "the help of {} names no {variable}", option.flag());
        }
    }
}
