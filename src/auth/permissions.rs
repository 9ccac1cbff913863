//! What a user may publish and subscribe to, compiled.

use crate::config;
use crate::config::authorization::{AllowResponses, SubjectRules};
use crate::subject::{Pattern, PatternSet};
use std::sync::Arc;

/// The permissions of a user. What is denied wins.
#[derive(Debug)]
pub struct Permissions {
    publish: Rules,
    subscribe: Rules,
    responses: Option<AllowResponses>,
    written: config::Permissions,
}

#[derive(Debug)]
struct Rules {
    /// `None` is everything.
    allow: Option<PatternSet>,
    deny: Arc<PatternSet>,
}

impl Permissions {
    /// # Panics
    /// When a subject is none: the configuration has checked them.
    pub(super) fn new(permissions: &config::Permissions) -> Permissions {
        Permissions {
            publish: Rules::new(&permissions.publish),
            subscribe: Rules::new(&permissions.subscribe),
            responses: permissions.responses,
            written: permissions.clone(),
        }
    }

    /// Whether messages may be published to `subject`, apart from responses.
    pub fn may_publish(&self, subject: &[u8]) -> bool {
        let Rules { allow, deny } = &self.publish;
        allow
            .as_ref()
            .is_none_or(|allow| allow.matches(subject, b""))
            && !deny.matches(subject, b"")
    }

    /// Whether there may be a subscription to `pattern`, as a member of `queue` unless that is empty.
    ///
    /// A pattern that is wider than what is allowed is refused. One that is wider than what is denied is not: what is
    /// denied is not delivered to it ([`Permissions::hidden`]).
    ///
    /// nats-server reads the `>` of a subscription as a token, and so lets a client that is allowed `foo.*` subscribe to
    /// `foo.>`. Here it may not.
    pub fn may_subscribe(&self, pattern: &[u8], queue: &[u8]) -> bool {
        let Rules { allow, deny } = &self.subscribe;
        allow
            .as_ref()
            .is_none_or(|allow| allow.covers(pattern, queue))
            && !deny.matches(pattern, queue)
    }

    /// Subjects whose messages are not delivered, whatever was subscribed to.
    pub fn hidden(&self) -> Option<&Arc<PatternSet>> {
        Some(&self.subscribe.deny).filter(|deny| !deny.is_empty())
    }

    /// As they are in the configuration.
    pub fn written(&self) -> &config::Permissions {
        &self.written
    }

    /// How it may answer messages whose reply subjects it may not publish to otherwise.
    pub fn responses(&self) -> Option<AllowResponses> {
        self.responses
    }
}

impl Rules {
    fn new(rules: &SubjectRules) -> Rules {
        Rules {
            allow: rules.allow.as_deref().map(set),
            deny: Arc::new(set(&rules.deny)),
        }
    }
}

fn set(entries: &[String]) -> PatternSet {
    let mut set = PatternSet::default();
    for entry in entries {
        let mut words = entry.split_ascii_whitespace().map(str::as_bytes);
        let pattern = words.next().and_then(Pattern::new);
        let pattern = pattern.expect("the configuration has checked its subjects");
        set.insert(pattern, words.next().unwrap_or_default());
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: Option<&[&str]>, deny: &[&str]) -> SubjectRules {
        let owned = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
        SubjectRules {
            allow: allow.map(owned),
            deny: owned(deny),
        }
    }

    fn publishing(allow: Option<&[&str]>, deny: &[&str]) -> Permissions {
        Permissions::new(&config::Permissions {
            publish: rules(allow, deny),
            ..config::Permissions::default()
        })
    }

    fn subscribing(allow: Option<&[&str]>, deny: &[&str]) -> Permissions {
        Permissions::new(&config::Permissions {
            subscribe: rules(allow, deny),
            ..config::Permissions::default()
        })
    }

    #[test]
    fn what_is_denied_wins() {
        let some = publishing(Some(&["foo.>", "bar"]), &["foo.*.secret", "bar"]);
        assert!(some.may_publish(b"foo.a") && some.may_publish(b"foo.a.b"));
        for refused in ["foo.a.secret", "bar", "baz", "foo", "foo..a", ""] {
            assert!(!some.may_publish(refused.as_bytes()), "{refused}");
        }
        let all_but = publishing(None, &["foo.>"]);
        assert!(all_but.may_publish(b"bar") && !all_but.may_publish(b"foo.a"));
        // Nobody wants it, so it does no harm.
        assert!(all_but.may_publish(b"foo..a"));
        let nothing = publishing(Some(&[]), &[]);
        assert!(!nothing.may_publish(b"foo"));
        assert!(nothing.may_subscribe(b">", b"q") && nothing.hidden().is_none());
    }

    #[test]
    fn a_subscription_must_be_allowed_whole() {
        let some = subscribing(Some(&["foo.*", "bar v1"]), &["foo.secret", "foo.* v2"]);
        for (pattern, queue, may) in [
            ("foo.a", "", true),
            ("foo.a", "v1", true),
            ("foo.*", "", true),
            ("foo.*", "v2", false),
            ("foo.a", "v2", false),
            ("foo.secret", "", false),
            ("foo.secret", "v1", false),
            ("foo.>", "", false),
            ("bar", "", false),
            ("bar", "v1", true),
            (">", "", false),
        ] {
            let found = some.may_subscribe(pattern.as_bytes(), queue.as_bytes());
            assert_eq!(found, may, "{pattern} {queue}");
        }
        let hidden = some.hidden().expect("something is denied");
        assert!(hidden.matches(b"foo.secret", b"") && hidden.matches(b"foo.a", b"v2"));
        assert!(!hidden.matches(b"foo.a", b""));
        let all_but = subscribing(None, &["foo.*"]);
        for (pattern, may) in [(">", true), ("*", true), ("foo.>", false), ("*.a", true)] {
            assert_eq!(
                all_but.may_subscribe(pattern.as_bytes(), b""),
                may,
                "{pattern}"
            );
        }
    }
}
