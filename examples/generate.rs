//! Streams a text: `cargo run --release --example generate [MODEL] [PROMPT]`.

use std::io::{Write, stdout};

use tercet::prelude::*;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let session = Session::open(args.next().unwrap_or_else(|| "fairy-tales".to_owned()))?;
    let prompt = args.next().unwrap_or_else(|| "Once upon a time".to_owned());
    print!("{prompt}");
    for text in session.stream(&prompt, session.request())? {
        print!("{}", text?);
        stdout().flush()?;
    }
    println!();
    Ok(())
}
