//! Streams a text from the library: `cargo run --release --example generate [MODEL_DIRECTORY] [PROMPT]`.

use std::io::{Write, stdout};
use std::ops::ControlFlow;
use std::path::Path;

use tercet::formats::{GenerationDefaults, ModelFiles};
use tercet::{Generator, Model, Request, Runtime, RuntimeOptions, Tokenizer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().unwrap_or_else(|| "models/fairy-tales".to_owned());
    let prompt = args.next().unwrap_or_else(|| "Once upon a time".to_owned());

    let files = ModelFiles::open(Path::new(&directory))?;
    let model = Model::load(&files, &Runtime::new(&RuntimeOptions::default()))?;
    let config = model.config();
    let defaults = GenerationDefaults::load(&files, config)?;
    let tokenizer = Tokenizer::load(&files, config.vocab_size, defaults.bos_token_id)?;

    let ids = tokenizer.encode(&prompt, true)?;
    let request = Request { max_tokens: 128, eos: defaults.eos_token_ids, ..Request::default() };
    let mut generator = Generator::new(&model, &tokenizer, ids.len() + request.max_tokens)?;
    print!("{prompt}");
    generator.generate(&ids, &request, |text| {
        print!("{text}");
        if stdout().flush().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    println!();
    Ok(())
}
