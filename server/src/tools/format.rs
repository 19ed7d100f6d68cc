//! The forms in which families of models write calls.

/// The form of a call in a model's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Qwen's, and the general one: each call is an object between tags.
    Tagged,
    /// Falcon's: a list of calls between tags.
    List,
    /// Llama's: the whole answer is one object, with `parameters` instead of `arguments`.
    Bare,
}

/// How a model is told of tools, and how it calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(super) syntax: Syntax,
    /// The chat template writes tools, calls and results.
    pub(super) native: bool,
    /// The model may think before it answers, between `<think>` and `</think>`.
    pub(crate) thinks: bool,
}

pub(super) const OPEN: &str = "<tool_call>";
pub(super) const CLOSE: &str = "</tool_call>";

impl Format {
    /// Returns the form that the text of a chat template was written for.
    pub(crate) fn of(template: &str) -> Self {
        let has = |word: &str| template.contains(word);
        let thinks = has("<think>") || has("</think>");
        // Also for a form that is not known.
        let general = Format { syntax: Syntax::Tagged, native: false, thinks };
        if !has("tools") {
            return general;
        }
        let syntax = if has("<tool_call>[") || has("<tool_call>\\n[") {
            Syntax::List
        } else if has(OPEN) && !has("<function=") {
            Syntax::Tagged
        } else if has("ipython") && has("parameters") {
            Syntax::Bare
        } else {
            return general;
        };
        Format { syntax, native: true, thinks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_tells_the_form() {
        let form = |template: &str| {
            let Format { syntax, native, thinks } = Format::of(template);
            (syntax, native, thinks)
        };
        let qwen = "{% if tools %}<tool_call>\\n{{ tools }}</tool_call>{% endif %}<think>";
        assert_eq!(form(qwen), (Syntax::Tagged, true, true));
        assert_eq!(form("{{ tools }}<tool_call>[{{ calls }}]</tool_call>"), (Syntax::List, true, false));
        assert_eq!(form("{{ tools }}{{ 'ipython' }}\"parameters\""), (Syntax::Bare, true, false));
        assert_eq!(form("{{ messages }}"), (Syntax::Tagged, false, false));
        assert_eq!(form("{{ tools }}<tool_call><function={{ name }}>"), (Syntax::Tagged, false, false));
    }
}
