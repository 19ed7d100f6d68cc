//! The commands of a chat at the terminal.

/// What the commands do, a line each.
pub(super) const HELP: &str = "\
  /drop [N]     forget the oldest N turns (1 by default), to make room in the context
  /reset        forget the conversation
  /help         show these commands
  /quit         leave, as do Ctrl-D and Ctrl-C twice
  Ctrl-C        stop the reply
A line that begins with a space is never a command. Several lines are one turn if they are pasted.";

/// A line that begins with a slash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Drop(usize),
    Reset,
    Help,
    Quit,
    /// No command, or one with an argument that it does not take.
    Unknown(&'a str),
}

impl<'a> Command<'a> {
    /// Returns the command of `line`, or none if it is text.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        if !line.starts_with('/') {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(match words[..] {
            ["/drop"] => Command::Drop(1),
            ["/drop", number] => number.parse().map_or(Command::Unknown(line), Command::Drop),
            ["/reset" | "/clear"] => Command::Reset,
            ["/help" | "/?"] => Command::Help,
            ["/quit" | "/exit" | "/bye"] => Command::Quit,
            _ => Command::Unknown(line),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_a_slash_are_commands() {
        for (line, command) in [
            ("/drop", Command::Drop(1)),
            ("/drop 3 ", Command::Drop(3)),
            ("/drop all", Command::Unknown("/drop all")),
            ("/reset", Command::Reset),
            ("/reset now", Command::Unknown("/reset now")),
            ("/help", Command::Help),
            ("/bye", Command::Quit),
            ("/etc/hosts, what is it?", Command::Unknown("/etc/hosts, what is it?")),
            ("/", Command::Unknown("/")),
        ] {
            assert_eq!(Command::parse(line), Some(command));
        }
        for text in ["Hello", " /etc/hosts", "", "1/2"] {
            assert_eq!(Command::parse(text), None);
        }
    }
}
