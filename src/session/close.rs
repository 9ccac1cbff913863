//! Why a connection ends.

use crate::protocol::reply::ErrorReply;
use std::fmt;

/// nats-server's close reasons, as far as they can happen here (`monitor.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    ClientClosed,
    AuthenticationTimeout,
    AuthenticationFailure,
    SlowConsumerPendingBytes,
    SlowConsumerWriteDeadline,
    WriteError,
    ReadError,
    TlsHandshakeFailure,
    ParseError,
    StaleConnection,
    ProtocolViolation,
    BadClientProtocolVersion,
    MaximumConnectionsExceeded,
    /// More TLS handshakes than are allowed in a second; nats-server's reason is the one above.
    ConnectionThrottled,
    MaximumAccountConnectionsExceeded,
    MaximumSubscriptionsExceeded,
    MaximumPayloadExceeded,
    MaximumControlLineExceeded,
    NoRespondersRequiresHeaders,
    ServerShutdown,
    /// Somebody who looks after the server wants it so.
    Kicked,
    ProxyNotTrusted,
    ProxyRequired,
}

impl CloseReason {
    /// The farewell that goes with it, when one does.
    pub fn farewell(self) -> Option<ErrorReply<'static>> {
        match self {
            CloseReason::AuthenticationTimeout => Some(ErrorReply::AuthenticationTimeout),
            CloseReason::AuthenticationFailure
            | CloseReason::ProxyNotTrusted
            | CloseReason::ProxyRequired => Some(ErrorReply::AuthorizationViolation),
            CloseReason::StaleConnection => Some(ErrorReply::StaleConnection),
            CloseReason::BadClientProtocolVersion => Some(ErrorReply::InvalidClientProtocol),
            CloseReason::MaximumConnectionsExceeded => Some(ErrorReply::ConnectionsExceeded),
            CloseReason::ConnectionThrottled => Some(ErrorReply::ConnectionThrottled),
            CloseReason::MaximumAccountConnectionsExceeded => {
                Some(ErrorReply::AccountConnectionsExceeded)
            }
            CloseReason::MaximumSubscriptionsExceeded => Some(ErrorReply::SubscriptionsExceeded),
            CloseReason::MaximumPayloadExceeded => Some(ErrorReply::PayloadViolation),
            CloseReason::MaximumControlLineExceeded => Some(ErrorReply::ControlLineExceeded),
            CloseReason::NoRespondersRequiresHeaders => {
                Some(ErrorReply::NoRespondersRequiresHeaders)
            }
            CloseReason::ClientClosed
            | CloseReason::SlowConsumerPendingBytes
            | CloseReason::SlowConsumerWriteDeadline
            | CloseReason::WriteError
            | CloseReason::ReadError
            | CloseReason::TlsHandshakeFailure
            | CloseReason::ParseError
            | CloseReason::ProtocolViolation
            | CloseReason::ServerShutdown
            | CloseReason::Kicked => None,
        }
    }

    /// Whether the client did not keep up.
    pub fn is_slowness(self) -> bool {
        matches!(
            self,
            CloseReason::SlowConsumerPendingBytes | CloseReason::SlowConsumerWriteDeadline
        )
    }

    /// Whether what is still in the outbox can go nowhere.
    pub fn is_beyond_sending(self) -> bool {
        matches!(
            self,
            CloseReason::ClientClosed
                | CloseReason::ReadError
                | CloseReason::WriteError
                | CloseReason::TlsHandshakeFailure
                | CloseReason::SlowConsumerPendingBytes
                | CloseReason::SlowConsumerWriteDeadline
        )
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::ClientClosed => "Client Closed",
            CloseReason::AuthenticationTimeout => "Authentication Timeout",
            CloseReason::AuthenticationFailure => "Authentication Failure",
            CloseReason::SlowConsumerPendingBytes => "Slow Consumer (Pending Bytes)",
            CloseReason::SlowConsumerWriteDeadline => "Slow Consumer (Write Deadline)",
            CloseReason::WriteError => "Write Error",
            CloseReason::ReadError => "Read Error",
            CloseReason::TlsHandshakeFailure => "TLS Handshake Failure",
            CloseReason::ParseError => "Parse Error",
            CloseReason::StaleConnection => "Stale Connection",
            CloseReason::ProtocolViolation => "Protocol Violation",
            CloseReason::BadClientProtocolVersion => "Bad Client Protocol Version",
            CloseReason::MaximumConnectionsExceeded | CloseReason::ConnectionThrottled => {
                "Maximum Connections Exceeded"
            }
            CloseReason::MaximumAccountConnectionsExceeded => {
                "Maximum Account Connections Exceeded"
            }
            CloseReason::MaximumSubscriptionsExceeded => "Maximum Subscriptions Exceeded",
            CloseReason::MaximumPayloadExceeded => "Maximum Message Payload Exceeded",
            CloseReason::MaximumControlLineExceeded => "Maximum Control Line Exceeded",
            CloseReason::NoRespondersRequiresHeaders => "No Responders Requires Headers",
            CloseReason::ServerShutdown => "Server Shutdown",
            CloseReason::Kicked => "Kicked",
            CloseReason::ProxyNotTrusted => "Proxy Not Trusted",
            CloseReason::ProxyRequired => "Proxy Required",
        })
    }
}
