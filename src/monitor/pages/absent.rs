//! Pages of parts that do not exist yet: well-formed, empty, and as particular about their arguments as nats-server.

use crate::monitor::go_json::{Time, pretty};
use crate::monitor::query::Query;
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use serde::Serialize;
use serde_json::{Map, Value};

/// The list of something there is none of.
const NONE: [u8; 0] = [];

pub(super) fn routez(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    query.subscriptions()?;
    Ok(Reply::page(JSON, pretty(&Routez::new(site))))
}

#[derive(Debug, Serialize)]
pub(super) struct Routez<'a> {
    server_id: &'a str,
    server_name: &'a str,
    now: Time,
    num_routes: usize,
    routes: [u8; 0],
}

impl<'a> Routez<'a> {
    pub(super) fn new(site: &'a Site) -> Routez<'a> {
        Routez {
            server_id: &site.facts.info.server_id,
            server_name: &site.facts.info.server_name,
            now: Time(site.now()),
            num_routes: 0,
            routes: NONE,
        }
    }
}

pub(super) fn gatewayz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    #[derive(Debug, Serialize)]
    struct Gatewayz<'a> {
        server_id: &'a str,
        now: Time,
        outbound_gateways: Map<String, Value>,
        inbound_gateways: Map<String, Value>,
    }
    query.subscriptions()?;
    query.boolean("accs")?;
    let page = Gatewayz {
        server_id: &site.facts.info.server_id,
        now: Time(site.now()),
        outbound_gateways: Map::new(),
        inbound_gateways: Map::new(),
    };
    Ok(Reply::page(JSON, pretty(&page)))
}

pub(super) fn leafz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    #[derive(Debug, Serialize)]
    struct Leafz<'a> {
        server_id: &'a str,
        now: Time,
        leafnodes: usize,
        leafs: [u8; 0],
    }
    query.boolean("subs")?;
    let page = Leafz {
        server_id: &site.facts.info.server_id,
        now: Time(site.now()),
        leafnodes: 0,
        leafs: NONE,
    };
    Ok(Reply::page(JSON, pretty(&page)))
}

pub(super) fn jsz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    for switch in [
        "accounts",
        "streams",
        "consumers",
        "direct-consumers",
        "config",
    ] {
        query.boolean(switch)?;
    }
    query.page()?;
    for switch in ["leader-only", "raft", "stream-leader-only"] {
        query.boolean(switch)?;
    }
    Ok(Reply::page(JSON, pretty(&Jsz::new(site))))
}

#[derive(Debug, Serialize)]
struct Jsz<'a> {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    accounts: u64,
    ha_assets: u64,
    api: Api,
    server_id: &'a str,
    now: Time,
    disabled: bool,
    config: Config,
    streams: u64,
    consumers: u64,
    messages: u64,
    bytes: u64,
    total: u64,
}

#[derive(Debug, Default, Serialize)]
struct Api {
    level: u64,
    total: u64,
    errors: u64,
}

#[derive(Debug, Default, Serialize)]
struct Config {
    max_memory: u64,
    max_storage: u64,
}

impl<'a> Jsz<'a> {
    fn new(site: &'a Site) -> Jsz<'a> {
        Jsz {
            memory: 0,
            storage: 0,
            reserved_memory: 0,
            reserved_storage: 0,
            accounts: 0,
            ha_assets: 0,
            api: Api::default(),
            server_id: &site.facts.info.server_id,
            now: Time(site.now()),
            disabled: true,
            config: Config::default(),
            streams: 0,
            consumers: 0,
            messages: 0,
            bytes: 0,
            total: 0,
        }
    }
}
