//! What people call the server beside its name: tags, by which requests choose servers, and facts for those who look.
//!
//! *Control path.* Pure. Both are told in the system account and on `/varz`, never to clients.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// In lower case, each one once, in the order of the configuration.
    tags: Vec<String>,
    pub metadata: BTreeMap<String, String>,
}

impl Labels {
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Adds a tag. An empty one, or one that is there already, changes nothing, as in nats-server.
    pub fn add_tag(&mut self, text: &str) {
        let tag = plain(text);
        if !tag.is_empty() && !self.tags.contains(&tag) {
            self.tags.push(tag);
        }
    }

    /// Whether the server has a tag, however it is written.
    pub fn has_tag(&self, text: &str) -> bool {
        self.tags.contains(&plain(text))
    }
}

fn plain(tag: &str) -> String {
    tag.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_kept_once_whatever_their_case() {
        let mut labels = Labels::default();
        for text in [" AZ:1 ", "ssd", "az:1", "", "  "] {
            labels.add_tag(text);
        }
        assert_eq!(labels.tags(), ["az:1", "ssd"]);
        assert!(labels.has_tag("Ssd ") && !labels.has_tag("hdd") && !labels.has_tag(""));
    }
}
