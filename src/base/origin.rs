//! Where a connection comes from: an address of the network, or a process of this machine.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Where a connection comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Network(SocketAddr),
    /// Through a Unix socket. Nobody can listen in between, and the kernel says who it is.
    Local(Arc<Peer>),
}

/// A process at the other end of a Unix socket, as the kernel knew it when it connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    pub pid: u32,
    pub user: u32,
    pub group: u32,
    /// The groups it is in besides.
    pub groups: Vec<u32>,
}

impl Origin {
    /// The address, for whoever needs one: a process of this machine is at the loopback address, on no port.
    pub fn address(&self) -> SocketAddr {
        match self {
            Origin::Network(address) => *address,
            Origin::Local(_) => (Ipv4Addr::LOCALHOST, 0).into(),
        }
    }

    /// Where it is, without a port: nobody takes a process for an address.
    pub fn host(&self) -> String {
        match self {
            Origin::Network(address) => address.ip().to_canonical().to_string(),
            Origin::Local(_) => self.to_string(),
        }
    }

    /// The process, if it is one of this machine.
    pub fn peer(&self) -> Option<&Peer> {
        match self {
            Origin::Network(_) => None,
            Origin::Local(peer) => Some(peer),
        }
    }
}

impl Peer {
    pub fn is_in_group(&self, group: u32) -> bool {
        self.group == group || self.groups.contains(&group)
    }
}

impl From<SocketAddr> for Origin {
    fn from(address: SocketAddr) -> Origin {
        Origin::Network(address)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Network(address) => {
                let ip = address.ip().to_canonical();
                write!(f, "{}", SocketAddr::new(ip, address.port()))
            }
            Origin::Local(peer) => write!(f, "unix:pid={},uid={}", peer.pid, peer.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_shown_as_an_address() {
        let process = Origin::Local(Arc::new(Peer {
            pid: 42,
            user: 7,
            ..Peer::default()
        }));
        assert_eq!(process.host(), "unix:pid=42,uid=7");
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:5".parse().expect("an address");
        let network = Origin::from(mapped);
        assert_eq!(
            (network.host().as_str(), network.to_string().as_str()),
            ("10.0.0.1", "10.0.0.1:5")
        );
    }
}
