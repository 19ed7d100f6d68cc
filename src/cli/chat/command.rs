//! The commands of a chat at the terminal.

use std::fmt::Write;

/// Every command with its argument, and what it does.
const COMMANDS: [(&str, &str); 16] = [
    ("/regen", "another reply to the last message"),
    ("/continue", "go on with a reply that was cut"),
    ("/undo", "forget the last turn"),
    ("/drop [N]", "forget the oldest N turns (1 by default), to make room in the context"),
    ("/reset", "forget the conversation"),
    ("/system [TEXT]", "set the system message, or show it; \"\" removes it"),
    ("/file PATH", "put the text of a file before the next message"),
    ("/set [NAME VALUE]", "change the sampling, as in /set temperature 0.7, or show it"),
    ("/model [MODEL]", "go on with another model, or show this one"),
    ("/tokens", "show how full the context is"),
    ("/copy", "copy the last reply to the clipboard of the terminal"),
    ("/save FILE", "write the conversation to a file, as JSON"),
    ("/load FILE", "go on with the conversation of a file"),
    ("/help", "show these commands"),
    ("/quit", "leave, as do Ctrl-D and Ctrl-C twice"),
    ("Ctrl-C", "stop the reply"),
];

const HINTS: &str = "\
A line that begins with a space is never a command. A message has several lines if they are pasted, end in a
backslash, or stand between two \"\"\".";

/// A line that begins with a slash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Regenerate,
    Continue,
    Undo,
    Drop(usize),
    Reset,
    ShowSystem,
    System(&'a str),
    File(&'a str),
    ShowSettings,
    Set(&'a str, &'a str),
    ShowModel,
    Model(&'a str),
    Tokens,
    Copy,
    Save(&'a str),
    Load(&'a str),
    Help,
    Quit,
    /// A command with an argument that it does not take, as [`help`] shows it.
    Misused(&'static str),
    Unknown(&'a str),
}

impl<'a> Command<'a> {
    /// Returns the command of `line`, or none if it is text.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        if !line.starts_with('/') {
            return None;
        }
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(match (name, argument.trim()) {
            ("/regen" | "/retry", "") => Command::Regenerate,
            ("/continue", "") => Command::Continue,
            ("/undo", "") => Command::Undo,
            ("/drop", "") => Command::Drop(1),
            ("/drop", number) if number.parse::<usize>().is_ok() => {
                Command::Drop(number.parse().unwrap_or_default())
            }
            ("/reset" | "/clear", "") => Command::Reset,
            ("/system", "") => Command::ShowSystem,
            ("/system", "\"\"") => Command::System(""),
            ("/system", text) => Command::System(text),
            ("/file", path) if !path.is_empty() => Command::File(path),
            ("/set", "") => Command::ShowSettings,
            ("/set", setting) => {
                let (name, value) = setting.split_once(char::is_whitespace).unwrap_or((setting, ""));
                Command::Set(name, value.trim())
            }
            ("/model", "") => Command::ShowModel,
            ("/model", model) => Command::Model(model),
            ("/tokens", "") => Command::Tokens,
            ("/copy", "") => Command::Copy,
            ("/save", path) if !path.is_empty() => Command::Save(path),
            ("/load", path) if !path.is_empty() => Command::Load(path),
            ("/help" | "/?", "") => Command::Help,
            ("/quit" | "/exit" | "/bye", "") => Command::Quit,
            _ => names_and_usages()
                .find(|(known, _)| *known == name)
                .map_or(Command::Unknown(name), |(_, usage)| Command::Misused(usage)),
        })
    }
}

/// Returns what the commands do, a line each.
pub(super) fn help() -> String {
    let mut text = String::new();
    for (usage, effect) in COMMANDS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {usage:<18} {effect}");
    }
    text + HINTS
}

/// Returns the names that begin with `start`.
pub(super) fn completions(start: &str) -> Vec<String> {
    let names = names_and_usages().map(|(name, _)| name);
    names.filter(|name| name.starts_with('/') && name.starts_with(start)).map(str::to_owned).collect()
}

fn names_and_usages() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMMANDS.iter().map(|(usage, _)| (usage.split(' ').next().unwrap_or(usage), *usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_a_slash_are_commands() {
        for (line, command) in [
            ("/drop", Command::Drop(1)),
            ("/drop 3 ", Command::Drop(3)),
            ("/drop all", Command::Misused("/drop [N]")),
            ("/reset", Command::Reset),
            ("/reset now", Command::Misused("/reset")),
            ("/system", Command::ShowSystem),
            ("/system  Be brief.\nVery.", Command::System("Be brief.\nVery.")),
            ("/system \"\"", Command::System("")),
            ("/set", Command::ShowSettings),
            ("/set temperature  0.7", Command::Set("temperature", "0.7")),
            ("/set greedy", Command::Set("greedy", "")),
            ("/file my notes.txt", Command::File("my notes.txt")),
            ("/file", Command::Misused("/file PATH")),
            ("/save", Command::Misused("/save FILE")),
            ("/model bitnet-2b", Command::Model("bitnet-2b")),
            ("/help", Command::Help),
            ("/bye", Command::Quit),
            ("/etc/hosts, what is it?", Command::Unknown("/etc/hosts,")),
            ("/", Command::Unknown("/")),
        ] {
            assert_eq!(Command::parse(line), Some(command));
        }
        for text in ["Hello", " /etc/hosts", "", "1/2", "Ctrl-C"] {
            assert_eq!(Command::parse(text), None);
        }
    }

    #[test]
    fn every_command_of_the_help_is_known() {
        for name in completions("/") {
            assert!(!matches!(Command::parse(&name), None | Some(Command::Unknown(_))), "{name}");
        }
        assert_eq!(completions("/s"), ["/system", "/set", "/save"]);
    }
}
