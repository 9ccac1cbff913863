//! HTTP/2 on the port for HTTPS: many requests on one connection, and what becomes of a connection that does not move.

use std::time::Duration;

use crate::cast::{Bystanders, PATIENCE, join};
use crate::http2_client::Http2Client;
use crate::support::{Certificates, Launch, Server};

fn monitored(certificates: &Certificates) -> Server {
    Launch::trunkline(2)
        .flags(["-ms", "-1"])
        .config_line(&certificates.block(""))
        .config_line("allow_non_tls: true")
        .start()
        .expect("a server")
}

#[test]
fn pages_are_answered_side_by_side() {
    let certificates = Certificates::create();
    let server = monitored(&certificates);
    let _clients: Vec<_> = (0..20).map(|_| join(server.address())).collect();
    let mut client =
        Http2Client::connect(server.monitor(), &certificates.client()).expect("a connection");
    for _ in 0..3 {
        let pages = [
            "/connz?subs=1",
            "/varz",
            "/nothing",
            "/healthz",
            "/connz?limit=x",
        ];
        let replies = client.get(&pages).expect("replies");
        let statuses: Vec<u16> = replies.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [200, 200, 404, 200, 400]);
        let connz: serde_json::Value = serde_json::from_str(&replies[0].1).expect("JSON");
        assert_eq!(connz["total"], 20);
    }
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let certificates = Certificates::create();
    let server = monitored(&certificates);
    let mut many = join(server.address());
    let long = "x".repeat(500);
    let said: String = (0..2000)
        .map(|sid| format!("SUB {long}.{sid} {sid}\r\n"))
        .collect();
    many.send(said.as_bytes()).expect("it is sent");
    many.sync().expect("it is taken");
    let bystanders = Bystanders::start(server.address());
    let connect = || Http2Client::connect(server.monitor(), &certificates.client());
    let (idle, slow) = (connect().expect("one"), connect().expect("another"));
    // Only a server that never gives up lets these fail.
    slow.starve("/connz?subs=detail", PATIENCE * 3)
        .expect("what does not take its page is closed");
    idle.rest(PATIENCE * 3)
        .expect("what asks for nothing is closed");
    // One that goes on taking is not.
    let mut watcher = connect().expect("a third");
    watcher
        .watch("/dashboard/events", Duration::from_secs(25))
        .expect("events go on");
    bystanders.finish();
}
