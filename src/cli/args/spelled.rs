//! Special tokens in texts of the user.

use clap::Args;

use tercet_engine::Spelled;

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct SpelledArgs {
    /// Take special tokens that the text spells out as mere text
    ///
    /// In a chat, only the model's own template then structures the prompt.
    #[arg(long, hide_short_help = true)]
    no_special: bool,
}

impl SpelledArgs {
    pub(in crate::cli) fn choice(self) -> Spelled {
        if self.no_special { Spelled::Text } else { Spelled::Token }
    }
}
