//! HTTP monitoring, seen from outside: pages beside those of the real `nats-server`, pages of many connections, and what
//! clients of the pages may do without anybody else noticing.

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "monitor/accounts.rs"]
mod accounts;
#[path = "behaviour/cast.rs"]
#[allow(dead_code, reason = "not everybody appears here")]
mod cast;
#[path = "monitor/dashboard.rs"]
mod dashboard;
#[path = "monitor/http2.rs"]
mod http2;
#[path = "monitor/http2_client.rs"]
mod http2_client;
#[path = "monitor/http2_floods.rs"]
mod http2_floods;
#[path = "monitor/lists.rs"]
mod lists;
#[path = "monitor/metrics.rs"]
mod metrics;
#[path = "monitor/parity.rs"]
mod parity;
#[path = "monitor/reload.rs"]
mod reload;
#[path = "monitor/rude_clients.rs"]
mod rude_clients;
#[path = "monitor/start.rs"]
mod start;
mod support;
