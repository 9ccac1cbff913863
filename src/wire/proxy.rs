//! The PROXY protocol's header, version 1 (a line of text) and 2 (binary): who the client behind a load balancer is.
//!
//! Pure: bytes in, a header or the reason why it is none out. What is accepted, and the texts of errors, are
//! nats-server's (`client_proxyproto.go`). The header is believed whoever sends it: an operator who turns it on makes sure
//! that only the load balancer can connect.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes that a header may have at most: version 2 counts what follows its first 16 bytes in 16 bits.
pub const HEADER_BYTES_MAX: usize = V2_FIXED + u16::MAX as usize;

const V1_PREFIX: &[u8] = b"PROXY ";
/// With the line end.
const V1_LINE_MAX: usize = 107;
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;
/// As many bytes decide which version it is; both texts differ from the first one on.
const DETECTED_BY: usize = 6;

const V2_LOCAL: u8 = 0;
const V2_PROXY: u8 = 1;
const V2_STREAM: u8 = 1;
const V2_UNSPECIFIED: u8 = 0x00;
const V2_INET: u8 = 0x10;
const V2_INET6: u8 = 0x20;
const V2_INET_BYTES: usize = 12;
const V2_INET6_BYTES: usize = 36;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Not to be told yet. With `is_recognized` it is the beginning of a header.
    Partial { is_recognized: bool },
    /// No header: the client speaks already.
    Absent,
    /// A header of `len` bytes. `source` is missing when the proxy speaks for itself, as health checks do.
    Present {
        source: Option<SocketAddr>,
        len: usize,
    },
}

/// Why a header is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyError {
    Invalid(String),
    Unsupported(String),
    Other(String),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyError::Invalid(what) => write!(f, "invalid PROXY protocol header: {what}"),
            ProxyError::Unsupported(what) => {
                write!(f, "unsupported PROXY protocol feature: {what}")
            }
            ProxyError::Other(what) => f.write_str(what),
        }
    }
}

/// Reads the header at the beginning of `bytes`.
///
/// # Errors
/// When it began like a header and is none, or one of a kind that is not for TCP.
pub fn parse(bytes: &[u8]) -> Result<Header, ProxyError> {
    let begins = |text: &[u8]| {
        let shown = bytes.len().min(DETECTED_BY);
        bytes[..shown] == text[..shown]
    };
    let (is_text, is_binary) = (begins(V1_PREFIX), begins(V2_SIGNATURE));
    if !is_text && !is_binary {
        return Ok(Header::Absent);
    }
    if bytes.len() < DETECTED_BY {
        return Ok(Header::Partial {
            is_recognized: false,
        });
    }
    if is_text {
        parse_text(bytes)
    } else {
        parse_binary(bytes)
    }
}

/// What nats-server was reading when a header that began with `bytes` went no further.
pub fn unfinished(bytes: &[u8]) -> &'static str {
    match bytes.len() {
        0..DETECTED_BY => "failed to read protocol version",
        _ if bytes.starts_with(V1_PREFIX) => "failed to read v1 line",
        DETECTED_BY..12 => "failed to read v2 signature",
        12..V2_FIXED => "failed to read v2 header",
        _ => "failed to read v2 address data",
    }
}

const MORE: Result<Header, ProxyError> = Ok(Header::Partial {
    is_recognized: true,
});

fn parse_text(bytes: &[u8]) -> Result<Header, ProxyError> {
    let line = &bytes[..bytes.len().min(V1_LINE_MAX)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        if bytes.len() < V1_LINE_MAX {
            return MORE;
        }
        return invalid("v1 line too long");
    };
    let source = parse_fields(&line[V1_PREFIX.len()..end])?;
    Ok(Header::Present {
        source,
        len: end + 2,
    })
}

fn parse_fields(line: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let text = String::from_utf8_lossy(line);
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.first() == Some(&"UNKNOWN") {
        return Ok(None);
    }
    let &[protocol, source, destination, source_port, destination_port] = fields.as_slice() else {
        return invalid("invalid v1 format");
    };
    let (Ok(source_ip), Ok(_)) = (source.parse::<IpAddr>(), destination.parse::<IpAddr>()) else {
        return invalid("invalid address");
    };
    let port = parse_port(source_port, "source")?;
    parse_port(destination_port, "dest")?;
    let is_v6 = [source, destination].map(|address| address.contains(':'));
    match protocol {
        "TCP4" if is_v6 != [false; 2] => invalid("TCP4 with IPv6 address"),
        "TCP6" if is_v6 != [true; 2] => invalid("TCP6 with IPv4 address"),
        "TCP4" | "TCP6" => Ok(Some(SocketAddr::new(source_ip, port))),
        other => invalid(&format!("invalid protocol {other}")),
    }
}

fn parse_port(text: &str, which: &str) -> Result<u16, ProxyError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| {
        let why = if is_number {
            "value out of range"
        } else {
            "invalid syntax"
        };
        ProxyError::Other(format!(
            "invalid {which} port: strconv.ParseUint: parsing {text:?}: {why}"
        ))
    })
}

fn parse_binary(bytes: &[u8]) -> Result<Header, ProxyError> {
    let signed = bytes.len().min(V2_SIGNATURE.len());
    if bytes[..signed] != V2_SIGNATURE[..signed] {
        // nats-server reads the signature whole before it looks at it; the verdict is the same.
        return invalid("invalid signature");
    }
    let Some(&[command, kind, high, low]) = bytes
        .get(V2_SIGNATURE.len()..V2_FIXED)
        .and_then(|fixed| fixed.first_chunk())
    else {
        return MORE;
    };
    let address_bytes = usize::from(u16::from_be_bytes([high, low]));
    if command & 0xf0 != 0x20 {
        return invalid(&format!("invalid version 0x{:02x}", command & 0xf0));
    }
    let family = match (command & 0x0f, kind & 0xf0, kind & 0x0f) {
        (V2_LOCAL, ..) => Family::None,
        (V2_PROXY, V2_UNSPECIFIED, V2_STREAM) => Family::None,
        (V2_PROXY, V2_INET, V2_STREAM) => Family::Inet,
        (V2_PROXY, V2_INET6, V2_STREAM) => Family::Inet6,
        (V2_PROXY, family, V2_STREAM) => {
            return unsupported(&format!("unsupported address family 0x{family:02x}"));
        }
        (V2_PROXY, ..) => return unsupported("only STREAM protocol supported"),
        (command, ..) => {
            return Err(ProxyError::Other(format!(
                "unknown PROXY protocol command: 0x{command:02x}"
            )));
        }
    };
    if address_bytes < family.bytes_min() {
        return Err(ProxyError::Other(format!(
            "{family} address data too short: {address_bytes} bytes"
        )));
    }
    let len = V2_FIXED + address_bytes;
    let Some(addresses) = bytes.get(V2_FIXED..len) else {
        return MORE;
    };
    // What follows the addresses are extensions (TLVs): not ours to judge.
    Ok(Header::Present {
        source: family.source(addresses),
        len,
    })
}

/// What the address block of a version 2 header holds.
#[derive(Clone, Copy)]
enum Family {
    None,
    Inet,
    Inet6,
}

impl Family {
    fn bytes_min(self) -> usize {
        match self {
            Family::None => 0,
            Family::Inet => V2_INET_BYTES,
            Family::Inet6 => V2_INET6_BYTES,
        }
    }

    fn source(self, addresses: &[u8]) -> Option<SocketAddr> {
        let (ip, port): (IpAddr, &[u8]) = match self {
            Family::None => return None,
            Family::Inet => (
                Ipv4Addr::from(*addresses.first_chunk::<4>()?).into(),
                addresses.get(8..10)?,
            ),
            Family::Inet6 => (
                Ipv6Addr::from(*addresses.first_chunk::<16>()?).into(),
                addresses.get(32..34)?,
            ),
        };
        let port = u16::from_be_bytes(*port.first_chunk()?);
        Some(SocketAddr::new(ip, port))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::None => "no",
            Family::Inet => "IPv4",
            Family::Inet6 => "IPv6",
        })
    }
}

fn invalid<T>(what: &str) -> Result<T, ProxyError> {
    Err(ProxyError::Invalid(what.to_owned()))
}

fn unsupported<T>(what: &str) -> Result<T, ProxyError> {
    Err(ProxyError::Unsupported(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE, &[command, kind], &len, rest].concat()
    }

    fn present(source: &str, len: usize) -> Result<Header, ProxyError> {
        Ok(Header::Present {
            source: Some(source.parse().unwrap()),
            len,
        })
    }

    #[track_caller]
    fn assert_refused(bytes: &[u8], text: &str) {
        assert_eq!(parse(bytes).unwrap_err().to_string(), text);
    }

    #[test]
    fn text_names_the_client() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 4222\r\n";
        assert_eq!(parse(line), present("192.0.2.7:50000", line.len()));
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 4222\r\nCONNECT {}\r\n";
        assert_eq!(parse(line), present("[2001:db8::7]:1", 43));
        let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 9 10\r\n";
        assert_eq!(parse(mapped), present("[::ffff:192.0.2.7]:9", mapped.len()));
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        let nobody = |len| Ok(Header::Present { source: None, len });
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), nobody(15));
        assert_eq!(parse(b"PROXY UNKNOWN a b c\r\n"), nobody(21));
        assert_eq!(parse(&binary(0x20, 0, &[])), nobody(16));
        assert_eq!(parse(&binary(0x20, 0x11, &[9; 30])), nobody(46));
        assert_eq!(parse(&binary(0x21, 0x01, &[9; 3])), nobody(19));
    }

    #[test]
    fn binary_names_the_client_and_may_bring_extensions() {
        let mut addresses = vec![192, 0, 2, 7, 198, 51, 100, 1, 0xc3, 0x50, 0x10, 0x7e];
        let plain = binary(0x21, 0x11, &addresses);
        assert_eq!(parse(&plain), present("192.0.2.7:50000", 28));
        addresses.extend([0x04, 0, 2, 1, 2]);
        let extended = [binary(0x21, 0x11, &addresses), b"PING".to_vec()].concat();
        assert_eq!(parse(&extended), present("192.0.2.7:50000", 33));
        let mut six = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        six.extend([0; 16]);
        six.extend([0, 80, 0x10, 0x7e]);
        assert_eq!(
            parse(&binary(0x21, 0x21, &six)),
            present("[2001:db8::7]:80", 52)
        );
        let huge = binary(0x21, 0x11, &[1; u16::MAX as usize]);
        assert_eq!(huge.len(), HEADER_BYTES_MAX);
        assert_eq!(parse(&huge), present("1.1.1.1:257", HEADER_BYTES_MAX));
    }

    #[test]
    fn what_speaks_already_has_no_header() {
        for bytes in [
            &b"CONNECT {}\r\n"[..],
            b"PING\r\n",
            b"\x16\x03\x01",
            b"PROXI ",
            b"\r\n\r\n\r\n",
        ] {
            assert_eq!(parse(bytes), Ok(Header::Absent), "{bytes:?}");
        }
    }

    #[test]
    fn malformed_text_is_refused_in_the_words_of_nats_server() {
        let invalid = |what: &str| format!("invalid PROXY protocol header: {what}");
        let at_limit = |extra: usize| {
            [
                b"PROXY UNKNOWN ".to_vec(),
                vec![b'x'; 91 + extra],
                b"\r\n".to_vec(),
            ]
            .concat()
        };
        assert_eq!(
            parse(&at_limit(0)),
            Ok(Header::Present {
                source: None,
                len: 107
            })
        );
        assert_refused(&at_limit(1), &invalid("v1 line too long"));
        assert_refused(
            b"PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n",
            &invalid("invalid v1 format"),
        );
        assert_refused(b"PROXY \r\n", &invalid("invalid v1 format"));
        assert_refused(
            b"PROXY TCP4 1.2.3 5.6.7.8 9 10\r\n",
            &invalid("invalid address"),
        );
        assert_refused(
            b"PROXY TCP4 ::1 ::1 9 10\r\n",
            &invalid("TCP4 with IPv6 address"),
        );
        assert_refused(
            b"PROXY TCP6 1.2.3.4 ::1 9 10\r\n",
            &invalid("TCP6 with IPv4 address"),
        );
        assert_refused(
            b"PROXY UDP4 1.2.3.4 1.2.3.4 9 10\r\n",
            &invalid("invalid protocol UDP4"),
        );
        assert_refused(
            b"PROXY TCP4 1.2.3.4 5.6.7.8 +9 10\r\n",
            "invalid source port: strconv.ParseUint: parsing \"+9\": invalid syntax",
        );
        assert_refused(
            b"PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n",
            "invalid dest port: strconv.ParseUint: parsing \"65536\": value out of range",
        );
    }

    #[test]
    fn malformed_binary_is_refused_in_the_words_of_nats_server() {
        assert_refused(
            b"\r\n\r\n\0\r\nQUIX\n",
            "invalid PROXY protocol header: invalid signature",
        );
        assert_refused(
            &binary(0x11, 0x11, &[0; 12]),
            "invalid PROXY protocol header: invalid version 0x10",
        );
        assert_refused(
            &binary(0x22, 0x11, &[0; 12]),
            "unknown PROXY protocol command: 0x02",
        );
        assert_refused(
            &binary(0x21, 0x12, &[0; 12]),
            "unsupported PROXY protocol feature: only STREAM protocol supported",
        );
        assert_refused(
            &binary(0x21, 0x31, &[0; 216]),
            "unsupported PROXY protocol feature: unsupported address family 0x30",
        );
        assert_refused(
            &binary(0x21, 0x11, &[0; 11]),
            "IPv4 address data too short: 11 bytes",
        );
        assert_refused(
            &binary(0x21, 0x21, &[0; 35]),
            "IPv6 address data too short: 35 bytes",
        );
    }

    #[test]
    fn where_it_broke_off_is_told() {
        assert_eq!(unfinished(b"PRO"), "failed to read protocol version");
        assert_eq!(unfinished(b"PROXY TCP"), "failed to read v1 line");
        assert_eq!(
            unfinished(&V2_SIGNATURE[..8]),
            "failed to read v2 signature"
        );
        assert_eq!(unfinished(V2_SIGNATURE), "failed to read v2 header");
    }

    proptest! {
        /// However it is cut, a header is partial until it is whole, and then what it is in one piece.
        #[test]
        fn a_header_may_arrive_in_pieces(port: u16, kind in 0usize..3, tail in prop::collection::vec(any::<u8>(), 0..40)) {
            let header = match kind {
                0 => format!("PROXY TCP4 192.0.2.7 192.0.2.8 {port} 4222\r\n").into_bytes(),
                1 => binary(0x21, 0x11, &[&[1, 2, 3, 4, 5, 6, 7, 8][..], &port.to_be_bytes(), &[0, 1], &tail].concat()),
                _ => binary(0x20, 0x00, &tail),
            };
            for cut in 0..header.len() {
                let is_recognized = cut >= DETECTED_BY;
                prop_assert_eq!(parse(&header[..cut]), Ok(Header::Partial { is_recognized }));
            }
            let followed = [header.clone(), tail].concat();
            let Ok(Header::Present { source, len }) = parse(&followed) else {
                panic!("a whole header is present");
            };
            prop_assert_eq!(len, header.len());
            prop_assert_eq!(source.map(|source| source.port()), (kind < 2).then_some(port));
        }

        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), text: bool) {
            let bytes = [if text { V1_PREFIX } else { V2_SIGNATURE }, &bytes].concat();
            if let Ok(Header::Present { len, .. }) = parse(&bytes) {
                prop_assert!(len <= bytes.len());
            }
        }
    }
}
