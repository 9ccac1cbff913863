//! What every test of a running broker needs: a server process to talk to and a raw client to talk
//! with.
//!
//! - [`Launch`] starts Trunkline or the real `nats-server` on a free loopback port, [`Server`] ends
//!   it again. A server never outlives its test, also when the test panics.
//! - [`RawClient`] moves bytes and lines and knows nothing of the protocol: a test that spoke
//!   through a client library would test what the library lets through.
//!
//! - [`http`] asks for monitoring pages.
//! - [`Certificates`] are an authority with certificates for a test's own server and clients.
//!
//! Only the standard library, `serde_json` and, for TLS, rustls and rcgen are used, so that a failure here is easy to blame.
//! Nothing here asserts what a broker should do: that belongs to the tests.

// Each test binary compiles this folder anew and uses the part of it that it needs.
#![allow(dead_code, unused_imports)]

mod client;
pub(crate) mod http;
mod server;
mod tls;

pub(crate) use client::{Message, RawClient};
pub(crate) use server::{Folder, Launch, Server, wait_until};
pub(crate) use tls::Certificates;
