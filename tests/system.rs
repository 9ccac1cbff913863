//! The system account beside the real `nats-server`: every service and every event, compared field by field.
//!
//! What is different in every run (times, numbers, names) is taken out first, and so is what one of the two servers does
//! not have ([`LEFT_OUT`]).

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "system/abuse.rs"]
mod abuse;
#[path = "system/events.rs"]
mod events;
#[path = "system/labels.rs"]
mod labels;
#[path = "system/services.rs"]
mod services;
#[path = "system/slow_consumer.rs"]
mod slow_consumer;
#[path = "system/stage.rs"]
mod stage;
mod support;
