//! The NATS client protocol: bytes to operations and back. Sans-IO, and it does not know who is calling.
//!
//! | file | what |
//! |---|---|
//! | [`op`] | the operations, as they borrow the receive buffer |
//! | [`parser`] | bytes → operations |
//! | [`message`] | a message on its way from a publisher to its subscribers |
//! | [`connect`] | the JSON of `CONNECT` |
//! | [`info`] | the JSON of `INFO` |
//! | [`client_info`] | the JSON about a client, for services and events |
//! | [`event`] | the JSON of what the system account is told |
//! | [`headers`] | header blocks |
//! | [`encoding`] | how bodies are compressed |
//! | [`trace_request`], [`trace_event`] | message tracing: what headers ask for, and the JSON of the answer |
//! | [`reply`] | what else the server says: `PONG`, `+OK`, `-ERR`, the 503 of no-responders |

pub mod client_info;
pub mod connect;
pub mod encoding;
pub mod event;
pub mod headers;
pub mod info;
pub mod message;
pub mod op;
pub mod parser;
pub mod reply;
pub mod trace_event;
pub mod trace_request;
