//! The rows of what stands inside blocks: users, permissions, accounts, TLS.
//!
//! *Control path.* Pure. Same rules as for the table: a key is spelled nowhere else, the first of several is the one that
//! documentation and readers know it by. A section is the name of a sort of block, wherever such blocks may stand.

use std::time::Duration;

use super::{
    Group, Kind, Reload, Row, Seconds, Shape, Sort, row, unsupported_key, unsupported_switch,
};

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
const TEXT_OR_INTEGER: Shape = Shape {
    sorts: &[Sort::Text, Sort::Integer],
    shown: "a name or a number",
};
const SWITCH: Shape = Shape {
    sorts: &[Sort::Boolean],
    shown: "true or false",
};
const INTEGER: Shape = Shape {
    sorts: &[Sort::Integer],
    shown: "a whole number",
};
pub(super) const TEXTS: Shape = Shape {
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

const SECONDS: Shape = Shape {
    sorts: &[Sort::Integer, Sort::Float, Sort::Text],
    shown: "a duration such as \"2s\", or seconds",
};
const SWITCH_OR_TEXT: Shape = Shape {
    sorts: &[Sort::Boolean, Sort::Text],
    shown: "true, false, auto or a duration in quotes",
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
const TLS: &str = "TLS, in `tls`";
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
    part(USER, &["user.peer_user"], TEXT_OR_INTEGER,
        "Instead of a password: who comes through the Unix socket as a process of this user of the machine, by name or number"),
    part(USER, &["user.peer_group"], TEXT_OR_INTEGER,
        "Instead of a password, or in addition to `peer_user`: whose process is in this group"),

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

    part(TLS, &["tls.cert_file"], TEXT, "File with the certificate (PEM), the server's own first"),
    part(TLS, &["tls.key_file"], TEXT, "File with its private key (PEM)"),
    part(TLS, &["tls.certs", "tls.certificates"], LIST,
        "Or several certificates: maps with `cert_file` and `key_file`, of which the first that fits is shown"),
    part(TLS, &["certificate.cert_file"], TEXT, "Of `certs`: the certificate"),
    part(TLS, &["certificate.key_file"], TEXT, "Of `certs`: the private key"),
    part(TLS, &["tls.ca_file"], TEXT, "File with the authorities of clients' certificates (PEM)"),
    part(TLS, &["tls.verify"], SWITCH, "Whether clients must show a certificate").default("false"),
    part(TLS, &["tls.verify_and_map"], SWITCH, "Whether clients are the user that their certificate names")
        .default("false").config(&["tls.verify_and_map"], Reload::Refused),
    part(TLS, &["tls.timeout"], SECONDS, "Time for a handshake").default("2s")
        .seconds(Seconds::Plain { unwarned_max: Duration::MAX }),
    part(TLS, &["tls.handshake_first", "tls.first", "tls.immediate"], SWITCH_OR_TEXT,
        "Whether TLS begins before `INFO`: true, false, a duration after which `INFO` is sent to clients that have not \
         begun, or `auto`: 50ms").default("false"),
    part(TLS, &["tls.min_version"], TEXT, "`1.2` or `1.3`, in quotes").default("1.2"),
    part(TLS, &["tls.cipher_suites"], LIST, "Suites of TLS 1.2, most wanted first; `--help_tls` names them"),
    part(TLS, &["tls.allow_insecure_cipher_suites"], SWITCH, "Has no effect: insecure suites are not there")
        .default("false"),
    part(TLS, &["tls.curve_preferences"], LIST, "Curves, most wanted first; `--help_tls` names them"),
    part(TLS, &["tls.pinned_certs"], LIST,
        "SHA-256 of the public keys (DER, in hexadecimal) that clients may have (default: any)"),
    part(TLS, &["tls.connection_rate_limit"], INTEGER, "Handshakes a second, 0 for any number").default("0")
        .config(&["tls.connection_rate_limit"], Reload::Refused),
    part(TLS, &["tls.verify_cert_and_check_known_urls"], SWITCH, "For other ports than that of clients: `false`")
        .default("false"),
    part(TLS, &["tls.insecure"], SWITCH, "Has no effect: it is for those who connect to others"),
    unsupported_key(&["tls.cert_store"]),
    unsupported_key(&["tls.cert_match_by"]),
    unsupported_key(&["tls.cert_match"]),
    unsupported_key(&["tls.ca_certs_match"]),
    unsupported_switch(&["tls.cert_match_skip_invalid"]),
    unsupported_switch(&["tls.ocsp_peer"]),

    part(PROXIES, &["proxies.trusted"], LIST, "Maps with the `key` of each"),
    part(PROXIES, &["proxy.key", "proxy.public_key"], TEXT, "The proxy's public nkey"),
];
