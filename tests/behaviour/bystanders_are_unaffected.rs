//! Whatever a client sends or leaves unsent, the broker answers as nats-server does (an error, a close), keeps its
//! memory and its descriptors, and serves the others meanwhile as if nothing had been.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::cast::{Bystanders, Chance, PATIENCE, is_served, join};
use crate::support::{Launch, RawClient, Server, wait_until};

on_1_2_and_4_shards!(
    garbage,
    binary_floods,
    half_open_connections,
    sizes_that_lie,
    numbers_that_overflow,
    connections_reset_in_mid_message,
    reset_while_being_sent_to,
);

/// Runs `abuse` beside two bystanders, and looks at the broker afterwards.
fn beside_bystanders(shards: u32, abuse: impl FnOnce(SocketAddr)) {
    let mut server = Launch::trunkline(shards).start().expect("a server");
    let bystanders = Bystanders::start(server.address());
    bystanders.expect_progress();
    let files = server.open_files();
    abuse(server.address());
    bystanders.finish();
    assert!(
        server.is_running(),
        "the broker lives; log:\n{}",
        server.log()
    );
    let is_clean = || server.open_files() <= files;
    assert!(
        wait_until(PATIENCE, is_clean),
        "descriptors leak: {} before, {} now",
        files,
        server.open_files()
    );
    assert_no_panic(&server);
    join(server.address())
        .sync()
        .expect("new clients are served");
}

fn assert_no_panic(server: &Server) {
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Reads until the broker closes the connection.
fn read_to_close(mut client: RawClient) {
    client.patience(PATIENCE);
    loop {
        match client.line() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                panic!("the broker leaves the connection open: {error}")
            }
            Err(_) => return,
        }
    }
}

fn garbage(shards: u32) {
    beside_bystanders(shards, |address| {
        let mut chance = Chance::new(7);
        for round in 0..400 {
            let mut client = RawClient::connect(address).expect("connected");
            let length = 1 + chance.below(600);
            let mut bytes = chance.bytes(length);
            if round % 2 == 0 {
                // Words of the protocol in a wrong place get further than pure chance.
                let words: [&[u8]; 8] = [
                    b"PUB a 3\r\n",
                    b"SUB > 1\r\n",
                    b"CONNECT {",
                    b"HPUB a 5 2\r\n",
                    b"PING\r\n",
                    b"UNSUB 1 99999\r\n",
                    b"+OK\r\n",
                    b"MSG a 1 1\r\n",
                ];
                let at = chance.below(bytes.len());
                bytes.truncate(at);
                bytes.splice(0..0, words[chance.below(words.len())].iter().copied());
            }
            // No verb begins like this: if nothing before was wrong, this is; and no payload lasts for ever.
            bytes.extend_from_slice(b"\r\n\0\0\r\n");
            bytes.resize(bytes.len() + 5_000, 0xff);
            drop(client.send(&bytes));
            drop(client.finish_sending());
            read_to_close(client);
        }
    });
}

fn binary_floods(shards: u32) {
    beside_bystanders(shards, |address| {
        thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || {
                    let mut chance = Chance::new(seed);
                    let block = chance.bytes(1 << 20);
                    for _ in 0..10 {
                        let mut client = RawClient::connect(address).expect("connected");
                        let mut sent = 0;
                        while client.send(&block).is_ok() {
                            sent += 1;
                            assert!(sent < 64, "a flood of bytes without meaning is not stopped");
                        }
                    }
                });
            }
        });
    });
}

/// Half a CONNECT, half a PUB, half a payload, or nothing at all: they may stay, and cost nobody anything.
fn half_open_connections(shards: u32) {
    beside_bystanders(shards, |address| {
        let beginnings: [&[u8]; 6] = [
            b"",
            b"C",
            b"CONNECT {\"verbose\":fal",
            b"PUB half",
            b"PUB half 1000000\r\n",
            b"PUB half 1000000\r\nand then nothing",
        ];
        let clients: Vec<_> = (0..300)
            .map(|index| {
                let mut client = RawClient::connect(address).expect("connected");
                client
                    .send(beginnings[index % beginnings.len()])
                    .expect("sent");
                client
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        // Some say goodbye in half, too.
        for client in clients.iter().step_by(2) {
            client.finish_sending().expect("half closed");
        }
        for client in clients.into_iter().step_by(2) {
            read_to_close(client);
        }
    });
}

/// A payload shorter than said takes in what follows; one longer than said is an unknown operation. A large size that
/// is only said must not be allocated.
fn sizes_that_lie(shards: u32) {
    let server = Launch::trunkline(shards)
        .flags(["--max_payload", "64MB"])
        .start()
        .expect("a server");
    let bystanders = Bystanders::start(server.address());
    let before_kib = server.resident_kib();
    let mut said: Vec<_> = (0..200).map(|_| join(server.address())).collect();
    for client in &mut said {
        client.send(b"PUB lie 67108864\r\nlittle").expect("sent");
    }
    bystanders.expect_progress();
    let grown_kib = server.resident_kib().saturating_sub(before_kib);
    // 200 times 64 MiB were said; a first piece of room for each is fine.
    assert!(
        grown_kib < 200 * 300,
        "{grown_kib} KiB for payloads that were only said"
    );
    drop(said);
    for lie in [
        "PUB lie 2\r\nlonger than two\r\n",
        "PUB lie 5\r\n12\r\nPING\r\n",
        "HPUB lie 9 4\r\nabcd\r\n",
    ] {
        let mut client = join(server.address());
        client.send(lie.as_bytes()).expect("sent");
        read_to_close(client);
    }
    bystanders.finish();
    assert_no_panic(&server);
}

fn numbers_that_overflow(shards: u32) {
    beside_bystanders(shards, |address| {
        let numbers = [
            "2147483647",
            "2147483648",
            "4294967295",
            "4294967296",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "-9223372036854775808",
            "00000000000000000000000000000000000001",
            "1e9",
            "0x10",
            "+1",
            "99999999999999999999999999999999999999999999999999999999999999999999999999999999",
        ];
        for number in numbers {
            for line in [
                format!("PUB overflow {number}\r\n"),
                format!("PUB overflow reply {number}\r\n"),
                format!("HPUB overflow {number} {number}\r\n"),
                format!("HPUB overflow 1 {number}\r\n"),
                format!("HPUB overflow reply {number} 1\r\n"),
                format!("SUB overflow 1\r\nUNSUB 1 {number}\r\n"),
                format!("SUB overflow {number}\r\nUNSUB {number} {number}\r\n"),
                format!("CONNECT {{\"verbose\":false,\"protocol\":{number}}}\r\n"),
            ] {
                let mut client = RawClient::connect(address).expect("connected");
                client
                    .send(b"CONNECT {\"verbose\":false,\"headers\":true}\r\n")
                    .expect("sent");
                client.send(line.as_bytes()).expect("sent");
                // Whatever the number meant, this is the end: a wrong verb, or a payload cut short.
                drop(client.send(b"\r\n\0"));
                drop(client.finish_sending());
                read_to_close(client);
            }
        }
    });
}

/// The process goes away in the middle of a message, without a farewell: nothing of it may be delivered.
fn connections_reset_in_mid_message(shards: u32) {
    beside_bystanders(shards, |address| {
        let mut listener = join(address);
        crate::cast::subscribe(&mut listener, "torn 1");
        let mut chance = Chance::new(3);
        for _ in 0..1_000 {
            let mut client = RawClient::connect(address).expect("connected");
            let mut bytes =
                b"CONNECT {\"verbose\":false}\r\nSUB torn 2\r\nPUB torn 20000\r\n".to_vec();
            let length = bytes.len() + 20_001;
            bytes.resize(length, b'x');
            let cut = chance.below(length);
            client.send(&bytes[..cut]).expect("sent");
            reset(client);
        }
        is_served(&mut listener).expect("no torn message arrives");
    });
}

/// A subscriber that is reset while messages are on the way to it.
fn reset_while_being_sent_to(shards: u32) {
    beside_bystanders(shards, |address| {
        let mut publisher = join(address);
        let mut publish = Vec::new();
        for _ in 0..30 {
            crate::cast::write_publish(&mut publish, "torn", &[b'x'; 10_000]);
        }
        for _ in 0..200 {
            let mut subscribers: Vec<_> = (0..3).map(|_| join(address)).collect();
            for subscriber in &mut subscribers {
                subscriber
                    .send(b"SUB torn 1\r\nSUB torn crew 2\r\nPING\r\n")
                    .expect("sent");
                subscriber.expect_line("PONG");
            }
            publisher
                .send(&publish)
                .expect("the publisher is not closed");
            for subscriber in subscribers {
                reset(subscriber);
            }
        }
        is_served(&mut publisher).expect("the publisher is served");
    });
}

/// Closes with a reset, as when the peer's process or machine is gone.
fn reset(client: RawClient) {
    rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO))
        .expect("a socket option");
    drop(client);
}
