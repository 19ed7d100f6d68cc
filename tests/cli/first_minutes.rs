//! A new user's first minutes with `tercet chat`, at a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Scratch, TINY};
use crate::terminal::Terminal;

const WIDE: usize = 200;
/// The prompt, as the line editor draws it after a line.
const PROMPT: &str = "\n\r> ";

/// Starts a chat with replies of eight tokens, which are the same every time.
fn chat(flags: &[&str], cache: &Scratch) -> Terminal {
    let mut terminal =
        Terminal::open(&[&["chat", "-m", "fairy-tales", "--greedy", "-n", "8"], flags].concat(), cache, WIDE);
    terminal.shows("/help shows the commands");
    terminal.shows("> ");
    terminal
}

/// Types `line` and returns what the terminal shows until the next prompt.
#[track_caller]
fn answer(terminal: &mut Terminal, line: &str) -> String {
    terminal.types(line);
    let last = line.rsplit('\n').next().unwrap();
    terminal.shows(last);
    let shown = terminal.shows(PROMPT);
    // The line editor may draw the line again.
    shown.rsplit(&format!("{last}\r\n")).next().unwrap().trim().to_owned()
}

#[test]
fn commands_are_obeyed_and_unknown_ones_are_named() {
    let cache = Scratch::new();
    let mut terminal = chat(&[], &cache);
    let help = answer(&mut terminal, "/help");
    for name in ["/regen", "/undo", "/set", "/tokens", "/file", "/copy", "/model", "/save", "/load", "/quit"]
    {
        assert!(help.contains(name), "no {name} in {help}");
    }
    assert!(answer(&mut terminal, "/dance").contains("no command /dance"));
    assert!(answer(&mut terminal, "/drop all").contains("/drop [N]"));
    assert!(answer(&mut terminal, "/regen").contains("no reply yet"));
    assert!(answer(&mut terminal, "/undo").contains("no turn"));

    let reply = answer(&mut terminal, "Tell me about the sea");
    assert!(reply.contains("cut after 8 tokens: /continue goes on"), "{reply}");
    assert!(answer(&mut terminal, "/tokens").contains("of 512 tokens, 1 turn"));
    assert!(!answer(&mut terminal, "/continue").is_empty());
    assert!(answer(&mut terminal, "/regen").contains("greedy replies are always the same"));
    assert!(answer(&mut terminal, "/copy").contains("clipboard"));
    assert!(answer(&mut terminal, "/undo").contains("0 turns left"));

    assert!(answer(&mut terminal, "/set temperature 0.7").contains("temperature 0.7"));
    assert!(answer(&mut terminal, "/set seed 5").contains("seed 5"));
    assert!(answer(&mut terminal, "/set temperature hot").contains("\"hot\" is not understood"));
    assert!(answer(&mut terminal, "/set top_p 7").contains("out of range"));
    assert!(answer(&mut terminal, "/set").contains("temperature 0.7"));
    assert!(answer(&mut terminal, "/system Be brief.").is_empty());
    assert_eq!(answer(&mut terminal, "/system"), "Be brief.");
    assert!(answer(&mut terminal, "/model").contains("fairy-tales"));
    assert!(answer(&mut terminal, "/model no-such-model").contains("error: "));
    assert!(answer(&mut terminal, &format!("/model {TINY}")).contains("bitnet-tiny"));
    terminal.types("/quit");
    terminal.ends_well();
}

#[test]
fn a_conversation_is_saved_and_goes_on_another_day() {
    let cache = Scratch::new();
    let (file, notes) = (cache.file("talk.json"), cache.file("notes.txt"));
    fs::write(&notes, "The dragon sleeps.\n").unwrap();
    let mut terminal = chat(&["--system", "Be brief."], &cache);
    assert!(answer(&mut terminal, &format!("/file {notes}")).contains("19 B"));
    answer(&mut terminal, "Is it awake?");
    assert!(answer(&mut terminal, &format!("/save {file}")).contains("3 messages"));
    terminal.types("/quit");
    terminal.ends_well();

    let saved: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(saved["model"], "fairy-tales");
    assert_eq!(saved["messages"][0], serde_json::json!({"role": "system", "content": "Be brief."}));
    assert_eq!(saved["messages"][1]["content"], "The dragon sleeps.\n\nIs it awake?");

    let mut terminal = chat(&[], &cache);
    assert!(answer(&mut terminal, "/load /no/such/file").contains("/no/such/file"));
    assert!(answer(&mut terminal, &format!("/load {file}")).contains("1 turn left"));
    assert_eq!(answer(&mut terminal, "/system"), "Be brief.");
    assert!(!answer(&mut terminal, "Why?").contains("error"));

    let history = cache.path().join("chat-history");
    assert_eq!(fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = fs::read_to_string(&history).unwrap();
    assert!(lines.contains("Is it awake?") && lines.contains("Why?"), "{lines}");
}

#[test]
fn a_message_may_have_several_lines() {
    let cache = Scratch::new();
    let file = cache.file("talk.json");
    let mut terminal = chat(&[], &cache);
    answer(&mut terminal, "first\\\nsecond");
    answer(&mut terminal, "\"\"\"\n/third\nfourth\"\"\"");
    answer(&mut terminal, " /fifth");
    answer(&mut terminal, &format!("/save {file}"));
    let saved: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let said: Vec<_> = saved["messages"].as_array().unwrap().iter().step_by(2).collect();
    let said: Vec<_> = said.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["first\nsecond", "/third\nfourth", "/fifth"]);
}

#[test]
fn a_full_context_is_no_dead_end() {
    let cache = Scratch::new();
    let long = "a dragon and a king ".repeat(8);
    let mut terminal = chat(&["--context", "96"], &cache);
    let mut shown = String::new();
    for _ in 0..3 {
        shown += &answer(&mut terminal, long.trim());
    }
    assert!(shown.contains("/drop"), "{shown}");
    assert!(answer(&mut terminal, "/drop 9").contains("0 turns left"));

    let mut terminal = chat(&["--context", "96", "--context-shift"], &cache);
    let mut shown = String::new();
    for _ in 0..3 {
        shown += &answer(&mut terminal, long.trim());
    }
    assert!(shown.contains("forgot the oldest 1 turn") && !shown.contains("/drop"), "{shown}");

    // A reply that is longer than the context goes on while there are turns to forget.
    let mut terminal = chat(&["--context", "96", "--context-shift", "--ignore-eos"], &cache);
    for _ in 0..3 {
        answer(&mut terminal, "Hello");
    }
    answer(&mut terminal, "/set tokens 70");
    let shown = answer(&mut terminal, "Tell me about the sea");
    assert!(shown.contains("cut after 70 tokens") && shown.contains("left"), "{shown}");
}

#[test]
fn control_c_stops_the_reply_and_then_the_chat() {
    let cache = Scratch::new();
    // Slow kernels, so that the reply does not end before Ctrl-C comes.
    let flags = "chat -m fairy-tales --greedy -n 400 --ignore-eos --isa portable --threads 1";
    let flags: Vec<_> = flags.split(' ').collect();
    let mut terminal = Terminal::open(&flags, &cache, WIDE);
    terminal.shows("> ");
    terminal.types("Tell me a story");
    terminal.shows("Tell me a story\r\n");
    // The reply has begun.
    terminal.shows(" ");
    terminal.control('c');
    terminal.shows(PROMPT);
    assert!(answer(&mut terminal, "/tokens").contains("1 turn"));
    terminal.control('c');
    terminal.shows("Ctrl-C once more");
    terminal.shows("> ");
    terminal.control('c');
    terminal.ends_well();
}

#[test]
fn words_stay_whole_at_the_edge_of_the_window() {
    let cache = Scratch::new();
    let flags = ["chat", "-m", "fairy-tales", "--greedy", "-n", "80", "--ignore-eos"];
    let mut terminal = Terminal::open(&flags, &cache, 30);
    terminal.shows("> ");
    let reply = answer(&mut terminal, "Hello");
    let lines: Vec<&str> = reply.lines().take_while(|line| !line.contains("cut after")).collect();
    assert!(lines.len() > 5 && lines.iter().all(|line| line.chars().count() <= 30), "{reply}");
    let mut wide = Terminal::open(&flags, &cache, WIDE);
    wide.shows("> ");
    let whole = answer(&mut wide, "Hello");
    let words = |text: &str| {
        text.split("the reply is cut")
            .next()
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&reply), words(&whole));
}

#[test]
fn sessions_have_seeds_of_their_own_unless_one_is_given() {
    let cache = Scratch::new();
    let seed = |flags: &[&str]| {
        let mut terminal =
            Terminal::open(&[&["chat", "-m", "fairy-tales", "-t", "0.7"], flags].concat(), &cache, WIDE);
        terminal.shows("seed ");
        terminal.shows("]").parse::<u64>().unwrap()
    };
    assert_eq!(seed(&["--seed", "3"]), 3);
    assert!((0..3).any(|_| seed(&[]) != seed(&["--seed", "random"])));
}

#[test]
fn without_a_model_the_terminal_offers_some_and_calls_the_toy_a_toy() {
    let cache = Scratch::new();
    let mut terminal = Terminal::open(&["chat", "--greedy", "-n", "4"], &cache, WIDE);
    let choices = terminal.shows("(Enter takes fairy-tales) > ");
    assert!(choices.contains("fairy-tales") && choices.contains("a toy"), "{choices}");
    assert!(choices.contains("bitnet-2b") && choices.contains("1.19 GB to download"), "{choices}");
    terminal.types("99");
    terminal.shows("there is no number 99");
    terminal.types("tell me a story");
    terminal.shows("tell me a story");
    terminal.shows("`tercet models`");
    terminal.types("1");
    terminal.shows("tercet chat -m bitnet-2b (1.19 GB to download, 1.83 GB of memory, licence MIT)");
    terminal.shows("[fairy-tales |");

    let mut terminal = Terminal::open(&["generate", "-n", "4", "Once upon a time"], &cache, WIDE);
    terminal.shows("fairy-tales is a toy inside this program");
    terminal.ends_well();
}
