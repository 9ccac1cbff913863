//! Where log lines go and what they look like, as options say it.
//!
//! *Control path.* Pure: a server is looked up when the log is opened.

use std::fmt;
use std::path::PathBuf;

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// nats-server's lines.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub fn parse(text: &str) -> Option<LogFormat> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteSyslog {
    /// `host:port`, as a resolver takes it.
    Udp(String),
    Tcp(String),
    /// The path of a stream socket.
    Unix(PathBuf),
}

impl RemoteSyslog {
    /// Reads `udp://host:port`, `tcp://host:port` or `unix:///path`; the port may be left out. `None` is anything else:
    /// nats-server takes that, and does not start.
    pub fn parse(text: &str) -> Option<RemoteSyslog> {
        let (scheme, rest) = text.split_once(':')?;
        if scheme == "unix" {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return path
                .starts_with('/')
                .then(|| RemoteSyslog::Unix(path.into()));
        }
        let address = with_port(rest.strip_prefix("//")?)?;
        match scheme {
            "udp" => Some(RemoteSyslog::Udp(address)),
            "tcp" => Some(RemoteSyslog::Tcp(address)),
            _ => None,
        }
    }
}

impl fmt::Display for RemoteSyslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemoteSyslog::Udp(address) => write!(f, "udp://{address}"),
            RemoteSyslog::Tcp(address) => write!(f, "tcp://{address}"),
            RemoteSyslog::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// `host:port`, with the port that syslog has if there is none.
fn with_port(authority: &str) -> Option<String> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '@', '?', '#']) {
        return None;
    }
    let is_bracketed = authority.starts_with('[');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !is_bracketed || host.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, SYSLOG_PORT),
    };
    let is_whole = match is_bracketed {
        true => host.ends_with(']') && host.len() > 2,
        false => !host.is_empty() && !host.contains(':'),
    };
    (is_whole && port > 0).then(|| format!("{host}:{port}"))
}

const SYSLOG_PORT: u16 = 514;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_url() {
        let shown = |text| RemoteSyslog::parse(text).map(|server| server.to_string());
        for (text, wanted) in [
            ("udp://127.0.0.1:514", "udp://127.0.0.1:514"),
            ("udp://logs.example.com", "udp://logs.example.com:514"),
            ("tcp://[::1]:6514", "tcp://[::1]:6514"),
            ("tcp://[::1]", "tcp://[::1]:514"),
            ("unix:///dev/log", "unix:///dev/log"),
            ("unix:/dev/log", "unix:///dev/log"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(wanted), "{text}");
        }
        for text in [
            "",
            "localhost:514",
            "http://localhost:514",
            "udp:localhost:514",
            "udp://",
            "udp://:514",
            "udp://localhost:0",
            "udp://localhost:70000",
            "udp://localhost:port",
            "udp://::1:514",
            "udp://[::1",
            "udp://user@localhost",
            "tcp://localhost/path",
            "unix://relative",
            "unix:",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
