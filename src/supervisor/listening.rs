//! The sockets on which the server listens for clients. *Start-up.*

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::Options;
use crate::config::go_text::go_error;
use crate::runtime::listener;
use crate::runtime::thread::Doorway;
use crate::runtime::unix_listener::{self, Place, SocketFile};

/// Where the server can be reached; of ports the scheme and the address.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    pub clients: Option<(&'a str, SocketAddr)>,
    pub monitor: Option<(&'a str, SocketAddr)>,
    pub unix_socket: Option<&'a Path>,
}

/// What was opened.
pub(super) struct Listening {
    pub(super) doorway: Doorway,
    pub(super) address: Option<SocketAddr>,
    /// It goes when this goes.
    pub(super) socket_file: Option<SocketFile>,
}

impl Listening {
    /// Opens what the options name.
    ///
    /// # Errors
    /// nats-server's text for the log.
    pub(super) fn open(options: &Options) -> Result<Listening, String> {
        let mut network = None;
        let mut address = None;
        if options.listens_on_tcp {
            let (socket, got) = listener::open(&options.host, options.port).map_err(|error| {
                let wanted = host_port(&options.host, options.port);
                let why = format!("listen tcp {wanted}: bind: {}", go_error(&error));
                format!("Error listening on port: {wanted}, {why:?}")
            })?;
            (network, address) = (Some(socket), Some(got));
        }
        let mut local = None;
        let mut socket_file = None;
        if let Some(path) = &options.unix_socket {
            let place = Place {
                path,
                mode: options.unix_socket_mode,
                group: options.unix_socket_group.as_deref(),
            };
            let (socket, file) = unix_listener::open(place).map_err(|error| {
                let path = path.display();
                let why = format!("listen unix {path}: bind: {}", go_error(&error));
                format!("Error listening on Unix socket: {path}, {why:?}")
            })?;
            (local, socket_file) = (Some(socket), Some(file));
        }
        let doorway = Doorway {
            network,
            local,
            connections_max: options.max_connections,
        };
        Ok(Listening {
            doorway,
            address,
            socket_file,
        })
    }
}

/// What the log calls the Unix socket.
pub(super) struct ShownSocket<'a>(pub(super) &'a Path);

impl fmt::Display for ShownSocket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.0.display())
    }
}

pub(super) fn shown_host(host: &str) -> String {
    if host.is_empty() {
        "0.0.0.0".to_owned()
    } else {
        host.to_owned()
    }
}

pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
