//! Which process serves an address, when that is on this machine and the kernel lets us see it.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

/// The process with a listening socket for `address`. Seeing other users' processes needs their permission, or root's.
pub fn process_listening_at(address: SocketAddr) -> Option<u32> {
    if !is_here(address.ip()) {
        return None;
    }
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, address.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| Some((entry.path(), entry.file_name().to_str()?.parse().ok()?)))
        .find(|(directory, _)| holds_one_of(directory, &inodes))
        .map(|(_, pid)| pid)
}

/// An address of another machine may have the port of a server that runs here too; that one must not be taken for it.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The inodes of the listening sockets with that port, from a table such as `/proc/net/tcp`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    const LISTENING: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, hexadecimal) = fields.get(1)?.rsplit_once(':')?;
            let is_it =
                *fields.get(3)? == LISTENING && u16::from_str_radix(hexadecimal, 16).ok()? == port;
            is_it.then(|| fields.get(9)?.parse().ok())?
        })
        .collect()
}

fn holds_one_of(process: &Path, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        fs::read_link(file.path()).is_ok_and(|target| {
            sockets
                .iter()
                .any(|socket| target.as_os_str() == socket.as_str())
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn our_own_listener_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = process_listening_at(listener.local_addr().unwrap());
        assert_eq!(found, Some(std::process::id()));
    }

    #[test]
    fn a_port_that_nobody_listens_at_has_no_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(process_listening_at(address), None);
    }

    #[test]
    fn the_port_of_another_machine_is_not_looked_up_here() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        // An address that is kept for documentation: no machine has it.
        let elsewhere = SocketAddr::new(
            "192.0.2.1".parse().unwrap(),
            listener.local_addr().unwrap().port(),
        );
        assert_eq!(process_listening_at(elsewhere), None);
    }
}
