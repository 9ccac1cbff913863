//! Byte stages between a socket and its session: PROXY protocol, TLS. They know bytes, not meaning. Sans-IO.
//!
//! A connection without stages, which is every connection of a server with neither TLS nor PROXY protocol, never comes
//! here. The others go through an [`opening::Opening`] first, which says step by step what is to be done, and end as a
//! plain connection or with a [`tls::stream::Stream`] that opens what comes and seals what goes.
//!
//! | file | what |
//! |---|---|
//! | [`opening`] | what happens on a connection before its session begins, and in which order |
//! | [`proxy`] | the header that a load balancer puts in front of a connection |
//! | [`tls`] | certificates, handshakes, records |

pub mod opening;
pub mod proxy;
pub mod tls;
