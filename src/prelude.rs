//! The names that most programs need: `use tercet::prelude::*;`.

pub use std::ops::ControlFlow;

#[cfg(feature = "async")]
pub use crate::{AsyncSession, AsyncStream};
pub use crate::{
    Conversation, Error, Event, Generation, Message, Reply, Request, Result, RuntimeOptions, SamplingChoices,
    Scheduler, SchedulerOptions, Session, SessionOptions, Stop, Stream, TernaryLinear,
};
