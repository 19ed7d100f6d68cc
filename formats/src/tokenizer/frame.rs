//! What a post-processor puts around a text.

use serde_json::Value;

/// The tokens that a tokenizer puts around a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Tokens before the text, most often BOS alone.
    pub before: Vec<u32>,
    /// Tokens after the text.
    pub after: Vec<u32>,
}

impl Frame {
    /// Reads the `post_processor` of a `tokenizer.json`. Returns none if it is not valid.
    pub(crate) fn of(post_processor: &Value) -> Option<Self> {
        let id = |value: &Value| u32::try_from(value.as_u64()?).ok();
        let token = |name: &str| id(post_processor.get(name)?.get(1)?);
        match post_processor.get("type").and_then(Value::as_str) {
            None if post_processor.is_null() => Some(Frame::default()),
            Some("ByteLevel") => Some(Frame::default()),
            Some("BertProcessing" | "RobertaProcessing") => {
                Some(Frame { before: vec![token("cls")?], after: vec![token("sep")?] })
            }
            Some("TemplateProcessing") => {
                let mut frame = Frame::default();
                let mut side = &mut frame.before;
                for piece in post_processor.get("single")?.as_array()? {
                    if piece.get("Sequence").is_some() {
                        side = &mut frame.after;
                        continue;
                    }
                    let name = piece.get("SpecialToken")?.get("id")?.as_str()?;
                    let ids = post_processor.get("special_tokens")?.get(name)?.get("ids")?.as_array()?;
                    side.extend(ids.iter().map(id).collect::<Option<Vec<u32>>>()?);
                }
                Some(frame)
            }
            Some("Sequence") => {
                let inner = post_processor.get("processors")?.as_array()?.iter().map(Frame::of);
                inner.collect::<Option<Vec<Frame>>>()?.into_iter().reduce(|inner, outer| Frame {
                    before: [outer.before, inner.before].concat(),
                    after: [inner.after, outer.after].concat(),
                })
            }
            _ => None,
        }
    }
}
