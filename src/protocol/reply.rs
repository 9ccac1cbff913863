//! What the server says besides messages and INFO. The texts are nats-server's, to the letter: clients compare them.

pub const PING: &[u8] = b"PING\r\n";
pub const PONG: &[u8] = b"PONG\r\n";
pub const OK: &[u8] = b"+OK\r\n";

/// A complaint to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorReply<'a> {
    AuthorizationViolation,
    AuthenticationTimeout,
    ControlLineExceeded,
    ConnectionsExceeded,
    ConnectionThrottled,
    AccountConnectionsExceeded,
    SubscriptionsExceeded,
    PayloadViolation,
    UnknownOperation,
    InvalidClientProtocol,
    NoRespondersRequiresHeaders,
    StaleConnection,
    InvalidPublishSubject,
    InvalidSubject,
    SubscriptionTooDeep(&'a [u8]),
    SubscriptionRefused {
        subject: &'a [u8],
        queue: &'a [u8],
    },
    /// What was allowed when it was subscribed to is not allowed any more.
    SubscriptionRevoked {
        subject: &'a [u8],
        queue: &'a [u8],
        sid: &'a [u8],
    },
    PublishRefused(&'a [u8]),
    ReplyReserved(&'a [u8]),
}

impl ErrorReply<'_> {
    /// The text between the quotes of `-ERR '…'`.
    pub fn text(&self) -> String {
        use ErrorReply as E;
        match self {
            E::AuthorizationViolation => "Authorization Violation".into(),
            E::AuthenticationTimeout => "Authentication Timeout".into(),
            E::ControlLineExceeded => "maximum control line exceeded".into(),
            E::ConnectionsExceeded => "maximum connections exceeded".into(),
            E::ConnectionThrottled => {
                "Connection throttling is active. Please try again later.".into()
            }
            E::AccountConnectionsExceeded => "maximum account active connections exceeded".into(),
            E::SubscriptionsExceeded => "maximum subscriptions exceeded".into(),
            E::PayloadViolation => "Maximum Payload Violation".into(),
            E::UnknownOperation => "Unknown Protocol Operation".into(),
            E::InvalidClientProtocol => "invalid client protocol".into(),
            E::NoRespondersRequiresHeaders => "no responders requires headers support".into(),
            E::StaleConnection => "Stale Connection".into(),
            E::InvalidPublishSubject => "Invalid Publish Subject".into(),
            E::InvalidSubject => "Invalid Subject".into(),
            E::SubscriptionTooDeep(subject) => format!(
                "Permissions Violation for Subscription to {}, too many tokens",
                quoted(subject)
            ),
            E::SubscriptionRefused {
                subject,
                queue: b"",
            } => format!(
                "Permissions Violation for Subscription to {}",
                quoted(subject)
            ),
            E::SubscriptionRefused { subject, queue } => format!(
                "Permissions Violation for Subscription to {} using queue {}",
                quoted(subject),
                quoted(queue)
            ),
            E::SubscriptionRevoked {
                subject,
                queue,
                sid,
            } => {
                let refused = E::SubscriptionRefused { subject, queue };
                format!("{} (sid {})", refused.text(), quoted(sid))
            }
            E::PublishRefused(subject) => {
                format!("Permissions Violation for Publish to {}", quoted(subject))
            }
            E::ReplyReserved(reply) => {
                format!(
                    "Permissions Violation for Publish with Reply of {}",
                    quoted(reply)
                )
            }
        }
    }

    pub fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(b"-ERR '");
        into.extend_from_slice(self.text().as_bytes());
        into.extend_from_slice(b"'\r\n");
    }
}

/// A subject between double quotes, with what is not printable escaped (Go's `%q`, near enough for ASCII).
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => text.extend(['\\', character]),
                '\t' => text.push_str("\\t"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\u{7}' => text.push_str("\\a"),
                '\u{8}' => text.push_str("\\b"),
                '\u{b}' => text.push_str("\\v"),
                '\u{c}' => text.push_str("\\f"),
                control if control.is_ascii_control() => {
                    text.push_str(&format!("\\x{:02x}", u32::from(control)));
                }
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text.push('"');
    text
}

/// Header block and its length for a request that nobody serves (nats-server ≥ 2.12).
pub fn no_responders_headers(subject: &[u8]) -> Vec<u8> {
    [b"NATS/1.0 503\r\nNats-Subject: ", subject, b"\r\n\r\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_quoted_and_ends_the_line() {
        let mut out = Vec::new();
        ErrorReply::SubscriptionTooDeep(b"a.\"b\x01\xff").write(&mut out);
        let expected: &[u8] =
            br#"-ERR 'Permissions Violation for Subscription to "a.\"b\x01\xff", too many tokens'"#;
        assert_eq!(out, [expected, b"\r\n"].concat());
    }

    #[test]
    fn the_503_block_is_32_bytes_and_the_subject() {
        assert_eq!(no_responders_headers(b"a.b").len(), 32 + 3);
    }
}
