//! A service manager hears when the broker is ready, reloads, leaves and stops, and as long as every shard turns it hears that too. This
//! plays systemd's part: a datagram socket that the environment names.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cast::{PATIENCE, join};
use crate::support::{Launch, RawClient};

on_1_2_and_4_shards!(
    from_ready_to_stopping,
    reloads_are_told_taken_or_not,
    all_is_well_under_load_and_in_lame_duck_mode,
    nobody_who_listens_harms_nobody,
);

struct ServiceManager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl ServiceManager {
    fn listen() -> ServiceManager {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // The name of a socket has room for 107 bytes, which the folders of tests may need for themselves.
        let name = format!("trunkline-notify-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_file(&path));
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a time to wait");
        ServiceManager { socket, path }
    }

    /// A broker that knows of this service manager, which allows so many microseconds between two signs of life.
    fn launch(&self, shards: u32, watchdog_usec: u64) -> Launch {
        let path = self.path.display();
        Launch::trunkline(shards).prelude(&format!(
            "export NOTIFY_SOCKET='{path}' WATCHDOG_USEC={watchdog_usec} WATCHDOG_PID=$$"
        ))
    }

    /// What comes next.
    fn hear(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).expect("something is told");
        String::from_utf8(bytes[..length].to_vec()).expect("text")
    }

    /// What comes next that is no sign of life.
    #[track_caller]
    fn hear_news(&self) -> String {
        loop {
            let told = self.hear();
            if told.trim_end() != WELL {
                return told;
            }
        }
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

const WELL: &str = "WATCHDOG=1";
/// Signs of life are not wanted.
const NONE: u64 = 0;

fn from_ready_to_stopping(shards: u32) {
    let manager = ServiceManager::listen();
    let mut server = manager.launch(shards, NONE).start().expect("a server");
    let told = manager.hear();
    assert_eq!(told.lines().next(), Some("READY=1"), "{told}");
    drop(server.connect());
    let status = server.stop("TERM", PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0));
    let told = manager.hear();
    assert_eq!(told.lines().next(), Some("STOPPING=1"), "{told}");
    assert!(
        !server.log().contains("service manager"),
        "{}",
        server.log()
    );
}

fn reloads_are_told_taken_or_not(shards: u32) {
    let manager = ServiceManager::listen();
    let server = manager
        .launch(shards, NONE)
        .config_line("max_payload: 1000");
    let server = server.start().expect("a server");
    assert!(manager.hear().starts_with("READY=1\n"));
    for (config, taken) in [
        ("max_payload: 2000", true),
        ("max_payload: -", false),
        ("max_payload: 3000", true),
    ] {
        assert_eq!(server.reload(config), Ok(taken), "{}", server.log());
        let told = manager.hear();
        let usec = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let usec = usec.and_then(|usec| usec.trim_end().parse::<u64>().ok());
        assert!(usec.is_some_and(|usec| usec > 0), "{told}");
        let told = manager.hear();
        assert!(told.starts_with("READY=1\n"), "{told}");
        assert_eq!(told.contains("refused"), !taken, "{told}");
    }
}

fn all_is_well_under_load_and_in_lame_duck_mode(shards: u32) {
    let manager = ServiceManager::listen();
    let server = manager.launch(shards, 200_000).flags([
        "--lame_duck_duration",
        "30s",
        "--lame_duck_grace_period",
        "20s",
    ]);
    let mut server = server.start().expect("a server");
    assert!(manager.hear_news().starts_with("READY=1\n"));
    let mut clients: Vec<RawClient> = (0..8).map(|_| join(server.address())).collect();
    for _ in 0..10 {
        for client in &mut clients {
            client
                .send(&b"PUB flood 2\r\nhi\r\n".repeat(1000))
                .expect("sent");
        }
        assert_eq!(manager.hear().trim_end(), WELL);
    }
    server.signal("USR2").expect("signalled");
    let told = manager.hear_news();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "STOPPING=1", "{told}");
    // The time of lame duck mode, and half a minute.
    assert_eq!(lines[2], "EXTEND_TIMEOUT_USEC=60000000", "{told}");
    for _ in 0..3 {
        assert_eq!(manager.hear().trim_end(), WELL);
    }
    let status = server.stop("INT", PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert!(manager.hear_news().starts_with("STOPPING=1\n"));
}

fn nobody_who_listens_harms_nobody(shards: u32) {
    for (socket, lines) in [("/nonexistent/socket", 2), ("", 0)] {
        let environment = format!("export NOTIFY_SOCKET='{socket}' WATCHDOG_USEC=60000000");
        let server = Launch::trunkline(shards).prelude(&environment).start();
        let mut server = server.expect("a server");
        drop(join(server.address()));
        let status = server.stop("TERM", PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(0));
        let log = server.log();
        let told = log.matches("The service manager could not be told: No such file");
        // Ready and stopping.
        assert_eq!(told.count(), lines, "{log}");
    }
}
