//! The rows of what stands inside blocks: users, permissions, accounts.
//!
//! *Control path.* Pure. Same rules as for the table: a key is spelled nowhere else, the first of several is the one that
//! documentation and readers know it by. A section is the name of a sort of block, wherever such blocks may stand.

use super::{Group, Kind, Reload, Row, Shape, Sort, row};

pub(super) const TEXT: Shape = Shape {
    sorts: &[Sort::Text],
    shown: "a text",
};
pub(super) const MAP: Shape = Shape {
    sorts: &[Sort::Map],
    shown: "a map",
};
pub(super) const LIST: Shape = Shape {
    sorts: &[Sort::List],
    shown: "a list",
};
pub(super) const LIST_OR_MAP: Shape = Shape {
    sorts: &[Sort::List, Sort::Map],
    shown: "a map or a list of names",
};
pub(super) const ANY: Shape = Shape {
    sorts: &[
        Sort::Text,
        Sort::Boolean,
        Sort::Integer,
        Sort::Float,
        Sort::List,
        Sort::Map,
    ],
    shown: "a value",
};
const SWITCH: Shape = Shape {
    sorts: &[Sort::Boolean],
    shown: "true or false",
};
const INTEGER: Shape = Shape {
    sorts: &[Sort::Integer],
    shown: "a whole number",
};
const TEXTS: Shape = Shape {
    sorts: &[Sort::Text, Sort::List],
    shown: "a text or a list of texts",
};
const SUBJECTS: Shape = Shape {
    sorts: &[Sort::Text, Sort::List],
    shown: "a subject or a list of subjects",
};
const RULES: Shape = Shape {
    sorts: &[Sort::Text, Sort::List, Sort::Map],
    shown: "a subject, a list of subjects, or a map with allow and deny",
};
const SWITCH_OR_MAP: Shape = Shape {
    sorts: &[Sort::Boolean, Sort::Map],
    shown: "true, false or a map",
};
const TEXT_OR_MAP: Shape = Shape {
    sorts: &[Sort::Text, Sort::Map],
    shown: "a subject or a map",
};
const PERCENT: Shape = Shape {
    sorts: &[Sort::Integer, Sort::Text],
    shown: "a number of 1 to 100, or a percentage in quotes",
};

const PERCENT_OR_NONE: Shape = Shape {
    sorts: &[Sort::Integer, Sort::Text],
    shown: "a number of 0 to 100, or a percentage in quotes",
};

const fn part(
    heading: &'static str,
    keys: &'static [&'static str],
    shape: Shape,
    help: &'static str,
) -> Row {
    row(Group::Part(heading), &[], "", Kind::Part(shape), help).config(keys, Reload::Live)
}

/// Headings of the documentation, in its order.
pub const HEADINGS: &[&str] = &[USER, PERMISSIONS, ACCOUNT, EXPORT, IMPORT, MAPPING, PROXIES];

const USER: &str = "A user, in `users`";
const PERMISSIONS: &str = "Permissions";
const ACCOUNT: &str = "An account, in `accounts`";
const EXPORT: &str = "An export, in `exports`";
const IMPORT: &str = "An import, in `imports`";
const MAPPING: &str = "A destination, in `mappings`";
const PROXIES: &str = "Proxies";

/// Every part of a block.
#[rustfmt::skip] // As in the table.
pub static BLOCKS: &[Row] = &[
    part(USER, &["user.user", "user.username"], TEXT, "Name"),
    part(USER, &["user.password", "user.pass"], TEXT, "Password, or its bcrypt hash"),
    part(USER, &["user.nkey"], TEXT, "Public nkey of the user (`U…`), instead of name and password"),
    part(USER, &["user.permissions", "user.permission", "user.authorization"], MAP,
        "What the user may do (default: everything)"),
    part(USER, &["user.allowed_connection_types", "user.connection_types", "user.clients"], TEXTS,
        "How the user may connect: `STANDARD`, `WEBSOCKET`, `LEAFNODE`, `LEAFNODE_WS`, `MQTT`, `MQTT_WS`, `IN_PROCESS` \
         (default: any way)"),
    part(USER, &["user.proxy_required"], SWITCH, "Whether the user must come through a trusted proxy"),

    part(PERMISSIONS, &["permissions.publish", "permissions.pub", "permissions.import"], RULES,
        "Subjects that may be published to"),
    part(PERMISSIONS, &["permissions.subscribe", "permissions.sub", "permissions.export"], RULES,
        "Subjects that may be subscribed to; with a space and a queue group, only as its member"),
    part(PERMISSIONS, &["permissions.allow_responses", "permissions.publish_allow_responses"], SWITCH_OR_MAP,
        "Whether replies may be published to the reply subjects of messages received; nothing else then, \
         unless `publish` allows it"),
    part(PERMISSIONS, &["rules.allow"], SUBJECTS, "Of `publish` and `subscribe`: what is allowed (default: everything)"),
    part(PERMISSIONS, &["rules.deny"], SUBJECTS, "Of `publish` and `subscribe`: what is denied, even if it is allowed"),
    part(PERMISSIONS, &["responses.max", "responses.max_msgs", "responses.max_messages", "responses.max_responses"],
        INTEGER, "Of `allow_responses`: replies to each message, below 0 for any number").default("1"),
    part(PERMISSIONS, &["responses.expires", "responses.expiration", "responses.ttl"], TEXT,
        "Of `allow_responses`: how long, below 0 for ever").default("2m"),

    part(ACCOUNT, &["account.users"], LIST, "Users of the account"),
    part(ACCOUNT, &["account.exports"], LIST, "What other accounts may import"),
    part(ACCOUNT, &["account.imports"], LIST, "What is taken from other accounts"),
    part(ACCOUNT, &["account.mappings", "account.maps"], MAP,
        "From subjects to those that messages are routed by instead; a subject, or destinations with weights"),
    part(ACCOUNT, &["account.nkey"], TEXT, "Public nkey of the account (`A…`)"),
    part(ACCOUNT, &["account.default_permissions"], MAP, "For users of the account that have none of their own"),
    part(ACCOUNT, &["account.limits"], MAP, "Limits of the account; their parts are the next four"),
    part(ACCOUNT, &["limits.max_connections", "limits.max_conn"], INTEGER,
        "Connections of the account at one time, -1 for any number").default("-1"),
    part(ACCOUNT, &["limits.max_subscriptions", "limits.max_subs"], INTEGER,
        "Subscriptions of one connection, -1 for any number").default("-1"),
    part(ACCOUNT, &["limits.max_payload", "limits.max_pay"], INTEGER, "Largest message, -1 for the server's limit").default("-1"),
    part(ACCOUNT, &["limits.max_leafnodes", "limits.max_leafs"], INTEGER, "Leaf nodes, -1 for any number").default("-1"),
    part(ACCOUNT, &["account.msg_trace", "account.trace_dest"], TEXT_OR_MAP,
        "Subject that messages with a sampled `traceparent` are traced to, or the next two"),
    part(ACCOUNT, &["trace.dest"], TEXT, "Of `msg_trace`: the subject"),
    part(ACCOUNT, &["trace.sampling"], PERCENT, "Of `msg_trace`: how many of a hundred such messages").default("100"),
    part(ACCOUNT, &["account.jetstream"], ANY, "`disabled`; anything else is not supported yet").default("disabled"),

    part(EXPORT, &["export.stream"], TEXT, "Subjects whose messages may be imported"),
    part(EXPORT, &["export.service"], TEXT, "Or subjects that requests may be sent to"),
    part(EXPORT, &["export.accounts"], TEXTS, "Who may import it (default: every account)"),
    part(EXPORT, &["export.account_token_position"], INTEGER,
        "Which token, counted from 1, must be the name of the importing account; it is a `*` here"),
    part(EXPORT, &["export.response_type", "export.response"], TEXT,
        "Of a service: `singleton`, `stream` or `chunked` responses to a request").default("singleton"),
    part(EXPORT, &["export.response_threshold", "export.threshold", "export.response_max_time", "export.response_time"],
        TEXT, "Of a service: how long a response may take").default("2m"),
    part(EXPORT, &["export.latency"], TEXT_OR_MAP, "Of a service: subject of its measurements, or the next two"),
    part(EXPORT, &["latency.subject"], TEXT, "Of `latency`: the subject"),
    part(EXPORT, &["latency.sampling"], PERCENT,
        "Of `latency`: how many of a hundred requests, or `headers`: those whose headers ask for it").default("100"),
    part(EXPORT, &["export.allow_trace"], SWITCH, "Of a service: whether traces of messages go on in this account"),

    part(IMPORT, &["import.stream"], MAP, "Messages of another account"),
    part(IMPORT, &["import.service"], MAP, "Or requests to another account"),
    part(IMPORT, &["origin.account"], TEXT, "Of both: the other account"),
    part(IMPORT, &["origin.subject"], TEXT, "Of both: the subject there"),
    part(IMPORT, &["import.to"], TEXT,
        "The subject here, with `$1` or `{{wildcard(1)}}` for its wildcards (default: the same subject)"),
    part(IMPORT, &["import.prefix"], TEXT, "Of a stream: tokens before the subject, instead of `to`"),
    part(IMPORT, &["import.share"], SWITCH, "Of a service: whether the other account is told who asks"),
    part(IMPORT, &["import.allow_trace"], SWITCH, "Of a stream: whether traces of messages go on in this account"),

    part(MAPPING, &["destination.destination", "destination.dest"], TEXT,
        "Subject, with `$1` for wildcards of the source, and functions such as `{{partition(10,1)}}`"),
    part(MAPPING, &["destination.weight"], PERCENT_OR_NONE, "Of a hundred messages; what is left keeps its subject"),
    part(MAPPING, &["destination.cluster"], TEXT, "Only for servers of this cluster"),

    part(PROXIES, &["proxies.trusted"], LIST, "Maps with the `key` of each"),
    part(PROXIES, &["proxy.key", "proxy.public_key"], TEXT, "The proxy's public nkey"),
];
