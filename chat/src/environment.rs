//! The Jinja environment of chat templates: Python's behaviour and the functions that transformers adds.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment};

use super::printing::to_text;
use super::{filters, globals, markup, predicates, syntax};

/// Returns an environment without templates.
pub(super) fn new<'source>() -> Environment<'source> {
    let mut environment = Environment::empty();
    filters::add_to(&mut environment);
    predicates::add_to(&mut environment);
    globals::add_to(&mut environment);
    syntax::add_to(&mut environment);
    environment.set_debug(false);
    environment.set_formatter(|out, state, value| {
        let text = to_text(state, value)?;
        let text = match state.auto_escape() {
            AutoEscape::None => text,
            _ if value.is_safe() => text,
            _ => markup::escape(&text),
        };
        out.write_str(&text).map_err(minijinja::Error::from)
    });
    environment
}

/// Returns how templates are written: a block's line end and the spaces before it are not part of the text.
pub(super) fn syntax_config() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}
