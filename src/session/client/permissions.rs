//! What a client may publish, remembered subject by subject. *Hot path*, for clients with permissions only.
//!
//! Invariants
//! - A run of messages is one question; a subject that was asked about lately costs a look into a small table.
//! - Permission to respond is used up by asking ([`Granted::may_publish`]), one message at a time.
//! - Both memories are bounded. When they are full the oldest knowledge goes: a subject is looked at anew, a response
//!   that comes that late is refused.

use super::{Client, Turn};
use crate::auth::Permissions;
use crate::base::clock::Now;
use crate::base::limits::{REMEMBERED_REPLIES_MAX, REMEMBERED_SUBJECTS_MAX};
use crate::config::authorization::AllowResponses;
use hashbrown::HashMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;

/// A client's permissions, and what it has lately asked of them.
#[derive(Debug)]
pub(super) struct Granted {
    permissions: Arc<Permissions>,
    last: Vec<u8>,
    last_is_allowed: bool,
    remembered: HashMap<Box<[u8]>, bool, RandomState>,
    responses: Option<Responses>,
}

impl Granted {
    pub(super) fn new(permissions: Arc<Permissions>) -> Granted {
        let responses = permissions.responses();
        Granted {
            permissions,
            last: Vec::new(),
            last_is_allowed: false,
            remembered: HashMap::default(),
            responses: responses.map(|limits| Responses::new(limits, REMEMBERED_REPLIES_MAX)),
        }
    }

    pub(super) fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Whether messages to `subject` may always be published, so that any number of them is one question.
    #[inline]
    pub(super) fn may_always_publish(&mut self, subject: &[u8]) -> bool {
        if self.last == subject && !subject.is_empty() {
            return self.last_is_allowed;
        }
        self.look_up(subject)
    }

    /// Whether one message may be published to `subject`; if it is a response, that counts.
    pub(super) fn may_publish(&mut self, subject: &[u8], now: Now) -> bool {
        self.may_always_publish(subject)
            || self
                .responses
                .as_mut()
                .is_some_and(|responses| responses.may_respond(subject, now))
    }

    /// Whether it may respond at all, so that messages must be asked for one by one.
    pub(super) fn may_respond(&self) -> bool {
        self.responses.is_some()
    }

    /// A message with this reply subject was delivered: it may be answered.
    pub(super) fn note_reply(&mut self, reply: &[u8], now: Now) {
        if !self.may_always_publish(reply)
            && let Some(responses) = &mut self.responses
        {
            responses.note(reply, now);
        }
    }

    #[inline(never)]
    fn look_up(&mut self, subject: &[u8]) -> bool {
        let is_allowed = match self.remembered.get(subject) {
            Some(is_allowed) => *is_allowed,
            None => {
                let is_allowed = self.permissions.may_publish(subject);
                if self.remembered.len() >= REMEMBERED_SUBJECTS_MAX {
                    self.remembered.clear();
                }
                self.remembered.insert(subject.into(), is_allowed);
                is_allowed
            }
        };
        self.last.clear();
        self.last.extend_from_slice(subject);
        self.last_is_allowed = is_allowed;
        is_allowed
    }
}

impl Client {
    /// From now on it may do what `permissions` say. If it has subscriptions, answers that are remembered are wrong now.
    pub(super) fn take_permissions(
        &mut self,
        permissions: Option<Arc<Permissions>>,
        turn: &mut Turn<'_>,
    ) {
        if permissions.is_none() && self.granted.is_none() {
            return;
        }
        let granted = permissions.as_deref();
        let hidden = granted.and_then(Permissions::hidden).cloned();
        let may_respond = granted.is_some_and(|granted| granted.responses().is_some());
        turn.router.hide(self.id.slot, hidden);
        turn.router.watch_replies(self.id.slot, may_respond);
        self.granted = permissions.map(|permissions| Box::new(Granted::new(permissions)));
    }

    /// A message with this reply subject was delivered to it.
    pub fn may_answer(&mut self, reply: &[u8], now: Now) {
        if let Some(granted) = &mut self.granted {
            granted.note_reply(reply, now);
        }
    }
}

/// Reply subjects of messages that were delivered, in two generations: when the younger one is full, or as old as a reply
/// may get, it takes the place of the older one.
#[derive(Debug)]
struct Responses {
    limits: AllowResponses,
    generation_max: usize,
    young: HashMap<Box<[u8]>, Response, RandomState>,
    old: HashMap<Box<[u8]>, Response, RandomState>,
    young_since: Now,
}

#[derive(Clone, Copy, Debug)]
struct Response {
    asked_at: Now,
    given: u32,
}

impl Responses {
    fn new(limits: AllowResponses, replies_max: usize) -> Responses {
        Responses {
            limits,
            generation_max: (replies_max / 2).max(1),
            young: HashMap::default(),
            old: HashMap::default(),
            young_since: Now::ZERO,
        }
    }

    fn note(&mut self, reply: &[u8], now: Now) {
        let is_aged = |limit| now.since(self.young_since) > limit;
        if self.young.len() >= self.generation_max || self.limits.expires.is_some_and(is_aged) {
            self.old = std::mem::take(&mut self.young);
            self.young_since = now;
        }
        let response = Response {
            asked_at: now,
            given: 0,
        };
        self.old.remove(reply);
        self.young.insert(reply.into(), response);
    }

    fn may_respond(&mut self, subject: &[u8], now: Now) -> bool {
        let AllowResponses { max, expires } = self.limits;
        for generation in [&mut self.young, &mut self.old] {
            let Some(response) = generation.get_mut(subject) else {
                continue;
            };
            response.given = response.given.saturating_add(1);
            let is_over = max.is_some_and(|max| response.given > max)
                || expires.is_some_and(|limit| now.since(response.asked_at) > limit);
            if is_over || max == Some(response.given) {
                generation.remove(subject);
            }
            return !is_over;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Claim, Directory, NonceKey, Verdict};
    use crate::config::authorization::{ConnectionType, Credentials, SubjectRules};
    use crate::config::{Auth, Options, Permissions as Configured, Secret, User};
    use crate::protocol::connect::ConnectOptions;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn granted(allow: &[&str], responses: Option<AllowResponses>) -> Granted {
        let permissions = Configured {
            publish: SubjectRules {
                allow: Some(allow.iter().map(|entry| (*entry).to_owned()).collect()),
                deny: Vec::new(),
            },
            responses,
            ..Configured::default()
        };
        let user = User {
            credentials: Credentials::Password {
                name: "ann".to_owned(),
                password: Secret::default(),
            },
            account: crate::base::ids::AccountId::GLOBAL,
            permissions: Some(permissions),
            connection_types: None,
            proxy_required: false,
        };
        let options = Options {
            auth: Auth::Users(vec![user]),
            ..Options::default()
        };
        let connect = ConnectOptions {
            user: "ann".to_owned(),
            ..ConnectOptions::default()
        };
        let verdict = Directory::new(&options, NonceKey::new([0; 32])).examine(&Claim {
            connect: &connect,
            nonce: None,
            connection_type: ConnectionType::Standard,
            certificate: None,
            peer: None,
        });
        let Verdict::Granted(identity) = verdict else {
            panic!("she gets in");
        };
        Granted::new(identity.permissions.expect("permissions"))
    }

    #[test]
    fn the_memory_of_subjects_gives_the_same_answers_and_is_bounded() {
        let mut granted = granted(&["a.*", "b"], None);
        for _ in 0..2 {
            for number in 0..REMEMBERED_SUBJECTS_MAX * 2 + 3 {
                let (yes, no) = (format!("a.{number}"), format!("c.{number}"));
                assert!(granted.may_always_publish(yes.as_bytes()));
                assert!(granted.may_always_publish(yes.as_bytes()));
                assert!(!granted.may_always_publish(no.as_bytes()));
                assert!(!granted.may_publish(no.as_bytes(), Now::ZERO));
                assert!(granted.may_always_publish(b"b"));
                assert!(!granted.may_always_publish(b""));
                assert!(granted.remembered.len() <= REMEMBERED_SUBJECTS_MAX);
            }
        }
    }

    #[test]
    fn a_response_is_allowed_so_often_and_so_long() {
        let limits = AllowResponses {
            max: Some(2),
            expires: Some(10 * SECOND),
        };
        let mut granted = granted(&["a"], Some(limits));
        let start = Now::ZERO.after(SECOND);
        assert!(!granted.may_publish(b"r", start));
        granted.note_reply(b"r", start);
        granted.note_reply(b"a", start);
        assert!(granted.may_publish(b"r", start.after(10 * SECOND)));
        assert!(granted.may_publish(b"r", start));
        assert!(!granted.may_publish(b"r", start));
        assert!(granted.may_publish(b"a", start.after(100 * SECOND)));
        granted.note_reply(b"s", start);
        assert!(!granted.may_publish(b"s", start.after(11 * SECOND)));
        assert!(!granted.may_publish(b"s", start));
        // Asked once more, it may answer once more.
        granted.note_reply(b"t", start);
        assert!(granted.may_publish(b"t", start));
        granted.note_reply(b"t", start.after(9 * SECOND));
        assert!(granted.may_publish(b"t", start.after(19 * SECOND)));
        assert!(granted.may_publish(b"t", start.after(19 * SECOND)));
        assert!(!granted.may_publish(b"t", start.after(19 * SECOND)));
    }

    #[test]
    fn without_limits_a_response_is_allowed_for_ever_but_not_too_many_are_remembered() {
        let limits = AllowResponses {
            max: None,
            expires: None,
        };
        let mut responses = Responses::new(limits, 10);
        let reply = |number: u32| format!("r.{number}").into_bytes();
        for number in 0..100 {
            responses.note(&reply(number), Now::ZERO);
            assert!(responses.young.len() + responses.old.len() <= 10);
            for latest in number.saturating_sub(4)..=number {
                let late = Now::ZERO.after(1_000_000 * SECOND);
                assert!(responses.may_respond(&reply(latest), late), "{latest}");
            }
            if let Some(oldest) = number.checked_sub(10) {
                assert!(!responses.may_respond(&reply(oldest), Now::ZERO));
            }
        }
    }

    #[test]
    fn replies_that_have_expired_are_forgotten() {
        let limits = AllowResponses {
            max: Some(1),
            expires: Some(SECOND),
        };
        let mut responses = Responses::new(limits, 1000);
        let mut now = Now::ZERO;
        for number in 0..100u32 {
            now = now.after(SECOND);
            responses.note(&number.to_be_bytes(), now);
            assert!(responses.young.len() + responses.old.len() <= 4);
        }
    }
}
