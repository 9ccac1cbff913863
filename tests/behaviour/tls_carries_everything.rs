//! Over TLS everything is as it is without: small messages and large ones, in order, from any shard to any shard, however the
//! bytes are cut on their way; and plain connections beside it where they are allowed.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::cast::{Chance, PATIENCE, QUIET, is_served, subscribe, write_publish};
use crate::support::{Certificates, Launch, RawClient, Server};

on_1_2_and_4_shards!(
    messages_of_all_sizes,
    bytes_cut_anywhere,
    many_small_messages_in_order,
    plain_connections_beside,
    keys_change_in_the_middle
);

/// A client that has shaken hands and said who it is.
pub(super) fn join(server: &Server, config: &Arc<ClientConfig>) -> RawClient {
    let mut client = RawClient::connect(server.address()).expect("the broker accepts connections");
    client.patience(PATIENCE);
    let greeting = client.line().expect("the broker greets");
    assert!(greeting.starts_with(b"INFO {"), "greeting is {greeting:?}");
    client.secure(config, "localhost").expect("a handshake");
    say_hello(&mut client);
    client
}

pub(super) fn say_hello(client: &mut RawClient) {
    let connect = format!("CONNECT {QUIET}\r\n");
    client.send(connect.as_bytes()).expect("CONNECT is sent");
    is_served(client).expect("the broker answers CONNECT and PING");
}

fn start(shards: u32, certificates: &Certificates, more: &str) -> Server {
    Launch::trunkline(shards)
        .config_line(&certificates.block(more))
        .start()
        .expect("a server")
}

fn messages_of_all_sizes(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates, "");
    let new = certificates.client_of(&[&TLS13], None);
    let old = certificates.client_of(&[&TLS12], None);
    let mut readers: Vec<_> = (0..shards)
        .flat_map(|_| [join(&server, &new), join(&server, &old)])
        .collect();
    for reader in &mut readers {
        subscribe(reader, "sizes 1");
    }
    let chance = &mut Chance::new(u64::from(shards));
    for config in [&new, &old] {
        let mut writer = join(&server, config);
        for size in [
            0, 1, 128, 4096, 16_340, 16_384, 16_385, 65_536, 200_000, 1_048_576,
        ] {
            let payload = chance.bytes(size);
            let mut bytes = Vec::new();
            write_publish(&mut bytes, "sizes", &payload);
            writer.send(&bytes).expect("sent");
            for reader in &mut readers {
                let message = reader.message().expect("a message");
                assert!(message.body == payload, "{size} bytes arrive as they were");
            }
        }
    }
}

fn bytes_cut_anywhere(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates, "");
    let chance = &mut Chance::new(3);
    for version in [&TLS12, &TLS13] {
        let config = certificates.client_of(&[version], None);
        let mut reader = join(&server, &config);
        let mut writer = join(&server, &config);
        subscribe(&mut reader, "cut 1");
        let payload = chance.bytes(700);
        let mut bytes = Vec::new();
        write_publish(&mut bytes, "cut", &payload);
        // Every byte of a record, from its header to its tag, is once the last of a read.
        let sealed = writer.seal(&bytes);
        for piece in sealed.chunks(1) {
            std::io::Write::write_all(&mut writer.stream(), piece).expect("sent");
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        assert!(reader.message().expect("a message").body == payload);
        // Several records at once, and then in pieces of any length.
        let sealed: Vec<u8> = (0..20).flat_map(|_| writer.seal(&bytes)).collect();
        let mut left = &sealed[..];
        while !left.is_empty() {
            let (now, later) = left.split_at((1 + chance.below(3000)).min(left.len()));
            std::io::Write::write_all(&mut writer.stream(), now).expect("sent");
            left = later;
        }
        for _ in 0..20 {
            assert!(reader.message().expect("a message").body == payload);
        }
    }
}

fn many_small_messages_in_order(shards: u32) {
    const MESSAGES: usize = 20_000;
    let certificates = Certificates::create();
    let server = start(shards, &certificates, "");
    let config = certificates.client();
    let mut readers: Vec<_> = (0..shards + 1).map(|_| join(&server, &config)).collect();
    for reader in &mut readers {
        subscribe(reader, "numbers 1");
    }
    let mut writer = join(&server, &config);
    let mut bytes = Vec::new();
    for number in 0..MESSAGES {
        write_publish(&mut bytes, "numbers", number.to_string().as_bytes());
    }
    let sender = std::thread::spawn(move || {
        writer.send(&bytes).expect("sent");
        writer
    });
    for reader in &mut readers {
        for number in 0..MESSAGES {
            let message = reader.message().expect("a message");
            assert_eq!(message.body, number.to_string().as_bytes());
        }
    }
    is_served(&mut sender.join().expect("the sender")).expect("the sender is served");
}

fn plain_connections_beside(shards: u32) {
    let certificates = Certificates::create();
    let server = Launch::trunkline(shards)
        .config_line(&certificates.block(""))
        .config_line("allow_non_tls: true")
        .start()
        .expect("a server");
    let mut with: Vec<_> = (0..shards)
        .map(|_| join(&server, &certificates.client()))
        .collect();
    let mut without: Vec<_> = (0..shards)
        .map(|_| crate::cast::join(server.address()))
        .collect();
    for client in with.iter_mut().chain(&mut without) {
        subscribe(client, "both 1");
    }
    for place in 0..with.len() {
        for writers in [&mut with, &mut without] {
            writers[place].send(b"PUB both 2\r\nhi\r\n").expect("sent");
        }
        for client in with.iter_mut().chain(&mut without) {
            for _ in 0..2 {
                assert_eq!(client.message().expect("a message").body, b"hi");
            }
        }
    }
    let mut plain = server.connect();
    let info = String::from_utf8(plain.line().expect("INFO")).expect("text");
    assert!(info.contains("\"tls_available\":true"), "{info}");
    assert!(!info.contains("tls_required"), "{info}");
}

fn keys_change_in_the_middle(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates, "");
    let config = certificates.client_of(&[&TLS13], None);
    let (mut reader, mut writer) = (join(&server, &config), join(&server, &config));
    subscribe(&mut reader, "keys 1");
    for round in 0..20u8 {
        writer.tls().refresh_traffic_keys().expect("new keys");
        reader.tls().refresh_traffic_keys().expect("new keys");
        reader.send(b"PING\r\n").expect("sent");
        reader.expect_line("PONG");
        writer
            .send(&[b"PUB keys 1\r\n", &[b'a' + round][..], b"\r\n"].concat())
            .expect("sent");
        assert_eq!(reader.message().expect("a message").body, [b'a' + round]);
    }
}
