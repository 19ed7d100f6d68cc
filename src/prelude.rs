//! The names that most programs need: `use tercet::prelude::*;`.

pub use std::ops::ControlFlow;

pub use crate::{
    Conversation, Error, Event, Generation, Message, Request, Result, RuntimeOptions, SamplingChoices,
    Scheduler, SchedulerOptions, Session, SessionOptions, Stop, Stream,
};
