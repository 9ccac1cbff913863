//! `/healthz`: whether clients may come. What is asked of JetStream is as in a server without it.

use crate::base::log::{Level, Record};
use crate::config::go_text::go_quote;
use crate::monitor::query::Query;
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use hyper::StatusCode;
use serde::Serialize;

pub(super) async fn page(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let (status, health) = examine(site, query).await?;
    Ok(Reply {
        status,
        // Plain data: it always turns into JSON.
        ..Reply::page(JSON, serde_json::to_vec(&health).unwrap_or_default())
    })
}

/// The same for those who do not see the status of an answer.
pub(super) async fn with_code(site: &Site, query: &Query) -> Result<Vec<u8>, Refusal> {
    let (status, mut health) = examine(site, query).await?;
    health.status_code = Some(status.as_u16());
    Ok(serde_json::to_vec(&health).unwrap_or_default())
}

async fn examine(site: &Site, query: &Query) -> Result<(StatusCode, Health), Refusal> {
    for switch in [
        "js-enabled",
        "js-enabled-only",
        "js-server-only",
        "js-meta-only",
    ] {
        query.boolean(switch)?;
    }
    let with_details = query.boolean("details")?;
    let missing = |what: &str, of: &str| {
        let text = format!("\"{what}\" must not be empty when checking {of} health");
        Some((StatusCode::BAD_REQUEST, "BAD_REQUEST", text))
    };
    let is_set = |name: &str| !query.text(name).is_empty();
    let failure = if is_set("stream") && !is_set("account") {
        missing("account", "stream")
    } else if is_set("consumer") && !is_set("stream") {
        missing("stream", "consumer")
    } else {
        readiness(site).await
    };
    Ok(verdict(site, failure, with_details))
}

type Failure = (StatusCode, &'static str, String);

/// Why clients may not come, if they may not: the server is about to go, or a shard does not answer.
async fn readiness(site: &Site) -> Option<Failure> {
    let failed = |what: &str| {
        let text = format!("failed to be ready for connections after 1ms: {what}");
        Some((StatusCode::INTERNAL_SERVER_ERROR, "CONNECTION", text))
    };
    match site.surveyor.counts().await {
        Ok(shards) if shards.iter().any(|shard| shard.counts.in_lame_duck) => failed("server"),
        Ok(_) => None,
        Err(Refusal::Unavailable(text)) => failed(&text),
        Err(_) => failed("server"),
    }
}

fn verdict(site: &Site, failure: Option<Failure>, with_details: bool) -> (StatusCode, Health) {
    let mut health = Health {
        status: "ok",
        status_code: None,
        error: String::new(),
        errors: Vec::new(),
    };
    let mut status = StatusCode::OK;
    if let Some((code, kind, error)) = failure {
        let text = if with_details {
            "Healthcheck failed: 1 errors".to_owned()
        } else {
            format!("Healthcheck failed: {}", go_quote(&error))
        };
        site.facts.logger.log(Record::new(Level::Warn, text));
        status = code;
        health.status = "error";
        if with_details {
            health.errors.push(Fault { kind, error });
        } else {
            health.error = error;
        }
    }
    (status, health)
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct Fault {
    #[serde(rename = "type")]
    kind: &'static str,
    error: String,
}
