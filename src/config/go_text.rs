//! How Go prints things, for the texts that people and tools compare with nats-server's.
//!
//! *Control path.* Pure.

use std::io;

/// An operating-system error as Go shows it: `no such file or directory`, without a number and in lower case.
pub fn go_error(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .split_once(" (os error")
        .map_or(text.as_str(), |(before, _)| before);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// `text` between double quotes with escapes, as Go's `%q` prints plain text.
pub fn go_quote(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_go_prints_them() {
        let missing = io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(go_error(&missing), "no such file or directory");
        assert_eq!(
            go_error(&io::Error::from_raw_os_error(libc::ESRCH)),
            "no such process"
        );
    }
}
