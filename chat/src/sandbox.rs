//! Where templates run: on a thread with a stack of its own, with bounded fuel. A template is outside data, which may
//! neither stop nor kill the program.

use std::collections::BTreeMap;
use std::thread;

use minijinja::machinery::{CodeGenerator, ast, eval, make_string_output, parse};
use minijinja::{AutoEscape, Error, ErrorKind, Value};
use tercet_formats::guarded;

use super::printing::MAX_TEXT;
use super::{environment, source, syntax, value};

/// Bytes of the stack on which a template is parsed and rendered. `source` bounds the depth of its syntax, `value` that
/// of its values, and minijinja that of its macros.
const STACK: usize = 128 << 20;
/// Work that any template may do: one for an instruction, or for 64 bytes of text.
const FUEL: u64 = 2_000_000;
/// Work for each byte of the messages and other input.
const FUEL_PER_BYTE: u64 = 16;

/// Checks that a template is valid.
///
/// # Errors
/// Fails if it cannot be parsed.
pub(super) fn check(template: &str) -> Result<(), Error> {
    isolated(|| syntax::rebuild(&parsed(&source::prepare(template)?)?).map(drop))
}

/// Renders a template with `variables`, which is an object.
///
/// # Errors
/// Fails if the template does, refuses the variables, or takes too much time, text or depth.
pub(super) fn render(template: &str, variables: &serde_json::Value) -> Result<String, Error> {
    isolated(|| {
        let prepared = source::prepare(template)?;
        let tree = syntax::rebuild(&parsed(&prepared)?)?;
        let mut environment = environment::new();
        environment.set_fuel(Some(FUEL.saturating_add(FUEL_PER_BYTE.saturating_mul(size(variables)))));
        let mut generator = CodeGenerator::new("chat template", &prepared);
        generator.compile_stmt(&tree);
        let (instructions, blocks): (_, BTreeMap<_, _>) = generator.finish();
        let mut text = String::new();
        let mut output = make_string_output(&mut text);
        let root: Value = value::from_json(variables)?;
        eval(&environment, &instructions, root, &blocks, &mut output, AutoEscape::None).map(drop)?;
        if text.len() > MAX_TEXT {
            return Err(Error::from(ErrorKind::OutOfFuel));
        }
        Ok(text)
    })
}

fn parsed(prepared: &str) -> Result<ast::Stmt<'_>, Error> {
    parse(prepared, "chat template", environment::syntax_config())
}

/// Returns roughly how many bytes the values take.
fn size(json: &serde_json::Value) -> u64 {
    use serde_json::Value as Json;
    8 + match json {
        Json::String(text) => text.len() as u64,
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(fields) => fields.iter().map(|(name, value)| name.len() as u64 + size(value)).sum(),
        _ => 0,
    }
}

/// Runs `work` on a thread with a known stack. A panic there is an error here.
fn isolated<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let failed = |problem: &str| Error::new(ErrorKind::InvalidOperation, problem.to_owned());
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("chat template".to_owned()).stack_size(STACK);
        let worker = builder.spawn_scoped(scope, || guarded(work));
        let worker = worker.map_err(|error| failed(&format!("no thread for the template: {error}")))?;
        let outcome = worker.join().unwrap_or_else(|_| Err("a panic".to_owned()));
        outcome.unwrap_or_else(|panic| Err(failed(&format!("the template engine failed: {panic}"))))
    })
}
