//! What a user may know of itself: `$SYS.REQ.USER.INFO`.

use crate::config::Permissions;
use crate::config::authorization::SubjectRules;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct UserInfo<'a> {
    pub(super) user: &'a str,
    pub(super) account: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) account_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) permissions: Option<Allowed>,
}

/// Permissions, as nats-server shows them.
#[derive(Debug, Serialize)]
pub(super) struct Allowed {
    publish: Subjects,
    subscribe: Subjects,
    #[serde(skip_serializing_if = "Option::is_none")]
    responses: Option<Responses>,
}

#[derive(Debug, Serialize)]
struct Subjects {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deny: Vec<String>,
}

/// -1 is unlimited.
#[derive(Debug, Serialize)]
struct Responses {
    max: i64,
    ttl: i64,
}

impl From<Permissions> for Allowed {
    fn from(permissions: Permissions) -> Allowed {
        let responses = permissions.responses.map(|limits| Responses {
            max: limits.max.map_or(-1, i64::from),
            ttl: limits.expires.map_or(-1, |expires| {
                i64::try_from(expires.as_nanos()).unwrap_or(i64::MAX)
            }),
        });
        Allowed {
            publish: permissions.publish.into(),
            subscribe: permissions.subscribe.into(),
            responses,
        }
    }
}

impl From<SubjectRules> for Subjects {
    fn from(rules: SubjectRules) -> Subjects {
        Subjects {
            allow: rules.allow.unwrap_or_default(),
            deny: rules.deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::authorization::AllowResponses;
    use std::time::Duration;

    #[test]
    fn permissions_are_shown_as_nats_server_shows_them() {
        let mut permissions = Permissions {
            publish: SubjectRules {
                allow: Some(vec!["a".to_owned()]),
                deny: vec!["a.b".to_owned()],
            },
            responses: Some(AllowResponses {
                max: Some(1),
                expires: Some(Duration::from_secs(120)),
            }),
            ..Permissions::default()
        };
        let shown = |permissions: &Permissions| {
            let info = UserInfo {
                user: "u",
                account: "A",
                account_name: "",
                permissions: Some(permissions.clone().into()),
            };
            serde_json::to_string(&info).expect("plain data")
        };
        assert_eq!(
            shown(&permissions),
            r#"{"user":"u","account":"A","permissions":{"publish":{"allow":["a"],"deny":["a.b"]},"subscribe":{},"responses":{"max":1,"ttl":120000000000}}}"#
        );
        permissions.responses = Some(AllowResponses {
            max: None,
            expires: None,
        });
        assert!(shown(&permissions).contains(r#""responses":{"max":-1,"ttl":-1}"#));
    }
}
