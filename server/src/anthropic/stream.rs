//! The events of a message that is sent as it grows.

use serde_json::{Value, json};

use super::answer::{Head, stop_reason, usage};
use super::error::word;
use crate::stream::Piece;

/// Returns the events for what happens. There is one block of content, the text.
pub(super) fn events(head: &Head, piece: Piece<'_>) -> Vec<Value> {
    match piece {
        Piece::Start { .. } => vec![
            json!({ "type": "message_start", "message": head.empty() }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        ],
        Piece::Step { step, .. } => {
            let delta = json!({ "type": "text_delta", "text": step.text });
            vec![json!({ "type": "content_block_delta", "index": 0, "delta": delta })]
        }
        Piece::End { generation, .. } => {
            let delta = json!({
                "stop_reason": stop_reason(generation.stop),
                "stop_sequence": generation.stop_string,
            });
            vec![
                json!({ "type": "content_block_stop", "index": 0 }),
                json!({ "type": "message_delta", "delta": delta, "usage": usage(generation) }),
                json!({ "type": "message_stop" }),
            ]
        }
        Piece::All { .. } => Vec::new(),
        Piece::Failed { error } => vec![word(error)],
    }
}
