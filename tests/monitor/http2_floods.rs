//! What HTTP/2 lets a client send without asking for anything: floods of frames end their own connection or are taken, the
//! server grows by no more than it may, and neither pages nor messages wait for them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::cast::{Bystanders, PATIENCE};
use crate::support::http::get_secured;
use crate::support::{Certificates, Launch, Server};

const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_OF_STREAM: u8 = 1;
const END_OF_HEADERS: u8 = 4;

/// What is sent next, of the frames of a flood.
type Next<'a> = &'a dyn Fn(u32) -> Vec<u8>;

/// What a flood may cost while it lasts.
const GROWTH_MAX_KIB: u64 = 32 << 10;
const BYTES_MAX: usize = 8 << 20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `GET https://m<path>`, as HPACK writes it without its table.
fn head(path: &str) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x87];
    for (name, value) in [(4, path), (1, "m")] {
        bytes.push(name);
        bytes.push(u8::try_from(value.len()).expect("a short one"));
        bytes.extend(value.as_bytes());
    }
    bytes
}

/// Sends until the server ends the connection, or it was enough.
fn flood(server: &Server, config: &Arc<ClientConfig>, next: Next<'_>) -> io::Result<()> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(server.monitor())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    stream.write_all(&frame(SETTINGS, 0, 0, b""))?;
    // It speaks HTTP/2: its settings come first.
    let mut begin = [0; 4];
    stream.read_exact(&mut begin)?;
    assert_eq!(begin[3], SETTINGS);
    let mut sent = 0;
    for number in 0.. {
        let bytes = next(number);
        sent += bytes.len();
        if sent > BYTES_MAX || stream.write_all(&bytes).is_err() {
            break;
        }
    }
    Ok(())
}

#[test]
fn floods_of_frames_disturb_nobody() {
    let certificates = Certificates::create();
    let config = certificates.client();
    let server = Launch::trunkline(2)
        .flags(["-ms", "-1"])
        .config_line(&certificates.block(""))
        .config_line("allow_non_tls: true")
        .start()
        .expect("a server");
    let bystanders = Bystanders::start(server.address());
    let page = || get_secured(server.monitor(), "/healthz", &config).expect("a reply");
    assert_eq!(page().status, 200);
    let before = server.resident_kib();
    let request = |number: u32| {
        let flags = END_OF_STREAM | END_OF_HEADERS;
        frame(HEADERS, flags, 2 * number + 1, &head("/connz?subs=1"))
    };
    let reset = |number: u32| frame(RESET, 0, 2 * number + 1, &8_u32.to_be_bytes());
    let begun = |number: u32, then: Vec<u8>| match number {
        0 => frame(HEADERS, END_OF_STREAM, 1, &head("/varz")),
        _ => then,
    };
    let field = b"\x00\x01x\x05yyyyy".repeat(1500);
    let floods: [(&str, Next<'_>); 6] = [
        ("requests taken back", &|number| {
            [request(number), reset(number)].concat()
        }),
        ("pings", &|_| frame(PING, 0, 0, b"12345678").repeat(100)),
        ("settings", &|_| {
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]).repeat(100)
        }),
        ("priorities", &|_| {
            frame(PRIORITY, 0, 1001, &[0, 0, 0, 0, 16]).repeat(100)
        }),
        ("a head without end", &|number| {
            begun(number, frame(CONTINUATION, 0, 1, &field))
        }),
        ("a head of nothing", &|number| {
            begun(number, frame(CONTINUATION, 0, 1, b"").repeat(100))
        }),
    ];
    for (what, next) in floods {
        flood(&server, &config, next).expect(what);
        assert_eq!(page().status, 200, "after {what}");
        let grown = server.resident_kib().saturating_sub(before);
        assert!(grown < GROWTH_MAX_KIB, "{what}: {grown} KiB");
        bystanders.expect_progress();
    }
    bystanders.finish();
}
