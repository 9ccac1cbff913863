//! What an answer looks like: the server that gives it, and what was asked for or why there is none (nats-server
//! `ServerAPIResponse`).

use crate::base::rng::Rng;
use crate::base::sequence::Sequence;
use crate::monitor::Site;
use crate::protocol::client_info::rfc3339;
use crate::protocol::event::EventServer;
use serde::Serialize;
use std::cell::RefCell;
use std::time::SystemTime;

/// Says who the server is, anew for each answer.
#[derive(Debug)]
pub(super) struct Sender {
    sequence: Sequence,
    names: RefCell<Rng>,
}

/// What an answer holds beside the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// JSON.
    Data(Vec<u8>),
    /// It was done.
    Done,
    /// What was done has failed.
    Failed(String),
    /// There is nothing to show, and why.
    NoData(String),
    /// The request is wrong.
    BadRequest(String),
}

#[derive(Serialize)]
struct Fault<'a> {
    code: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
}

impl Sender {
    /// `seed` decides the names of its events.
    pub(super) fn new(sequence: Sequence, seed: u64) -> Sender {
        Sender {
            sequence,
            names: RefCell::new(Rng::from_seed(seed)),
        }
    }

    /// A name for an event.
    pub(super) fn event_name(&self) -> String {
        self.names.borrow_mut().name()
    }

    /// The time as events have it.
    pub(super) fn time(site: &Site) -> String {
        let since_epoch = site.time().duration_since(SystemTime::UNIX_EPOCH);
        rfc3339(since_epoch.unwrap_or_default())
    }

    /// The server as it is now; `time` is that.
    pub(super) fn stamp<'a>(&self, site: &'a Site, time: &'a str) -> EventServer<'a> {
        EventServer::new(&site.facts().info, self.sequence.next_number(), time)
    }

    /// The server, as JSON.
    pub(super) fn server(&self, site: &Site) -> Vec<u8> {
        json(&self.stamp(site, &Sender::time(site)))
    }

    /// A whole answer.
    pub(super) fn answer(&self, site: &Site, content: &Content) -> Vec<u8> {
        let mut fields = vec![("server", self.server(site))];
        let fault = |code, description| json(&Fault { code, description });
        match content {
            Content::Data(data) => fields.push(("data", data.clone())),
            Content::Done => {}
            Content::Failed(text) => fields.push(("error", fault(500, text))),
            Content::NoData(text) => {
                fields.push(("data", b"null".to_vec()));
                fields.push(("error", fault(500, text)));
            }
            Content::BadRequest(text) => fields.push(("error", fault(400, text))),
        }
        object(&fields)
    }
}

/// An object of fields that are JSON already.
pub(super) fn object(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut whole = vec![b'{'];
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            whole.push(b',');
        }
        whole.extend_from_slice(format!("\"{name}\":").as_bytes());
        whole.extend_from_slice(value);
    }
    whole.push(b'}');
    whole
}

/// Plain data as JSON.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
