//! The NATS client protocol: bytes to operations and back. Sans-IO, and it does not know who is calling.
//!
//! | file | what |
//! |---|---|
//! | [`op`] | the operations, as they borrow the receive buffer |
//! | [`parser`] | bytes → operations |
//! | [`message`] | a message on its way from a publisher to its subscribers |
//! | [`connect`] | the JSON of `CONNECT` |
//! | [`info`] | the JSON of `INFO` |
//! | [`reply`] | what else the server says: `PONG`, `+OK`, `-ERR`, the 503 of no-responders |

pub mod connect;
pub mod info;
pub mod message;
pub mod op;
pub mod parser;
pub mod reply;
