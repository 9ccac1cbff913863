//! The monitoring port at the start: where it is, what the log says, what makes the start fail.

use std::net::TcpListener;
use std::process::Stdio;

use crate::support::http::get;
use crate::support::{Launch, Server};

fn both() -> [Launch; 2] {
    [
        Launch::trunkline(2),
        Launch::nats_server().expect("a reference"),
    ]
}

fn statuses(server: &Server, pages: &[&str]) -> Vec<u16> {
    let status = |page: &&str| get(server.monitor(), page).expect("a reply").status;
    pages.iter().map(status).collect()
}

#[test]
fn it_is_where_it_was_asked_for_and_the_log_says_so() {
    for launch in both() {
        let server = launch.flags(["-m", "-1"]).start().expect("a server");
        let line = format!("Starting http monitor on {}", server.monitor());
        assert!(server.log().contains(&line), "{}", server.log());
        let page = get(server.monitor(), "/varz").expect("a reply").json();
        assert_eq!(
            (&page["http_host"], &page["http_port"]),
            (&"127.0.0.1".into(), &(-1).into())
        );
    }
    for launch in both() {
        let server = launch
            .config_line("http: \"localhost:-1\"")
            .start()
            .expect("a server");
        let page = get(server.monitor(), "/varz").expect("a reply").json();
        assert_eq!(page["http_host"], "localhost");
    }
}

#[test]
fn pages_begin_where_the_base_path_says() {
    for written in ["mon/x", "/mon/x", "/mon//x/"] {
        for launch in both() {
            let server = launch
                .flags(["-m", "-1"])
                .config_line(&format!("http_base_path: \"{written}\""))
                .start()
                .expect("a server");
            let pages = [
                "/mon/x",
                "/mon/x/varz",
                "/mon/x/debug/vars",
                "/mon/x/",
                "/varz",
                "/mon",
                "/",
                "/mon/xx/varz",
            ];
            assert_eq!(
                statuses(&server, &pages),
                [200, 200, 200, 404, 404, 404, 404, 404],
                "{written}"
            );
            let page = get(server.monitor(), "/mon/x/varz")
                .expect("a reply")
                .json();
            assert_eq!(page["http_base_path"], written);
            // Every link of the first page leads somewhere.
            let index = get(server.monitor(), "/mon/x").expect("a reply").text();
            assert!(index.contains("/mon/x/connz"), "{index}");
        }
    }
}

#[test]
fn links_of_the_first_page_lead_to_pages() {
    let server = Launch::trunkline(2)
        .flags(["-m", "-1", "-n", "<&\">"])
        .start()
        .expect("a server");
    let index = get(server.monitor(), "/").expect("a reply").text();
    assert!(
        index.contains("&lt;&amp;&quot;&gt;") && !index.contains("<&"),
        "{index}"
    );
    let links: Vec<&str> = index
        .split("href=\"/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(links.len() > 10, "{index}");
    for link in links {
        let status = get(server.monitor(), &format!("/{link}"))
            .expect("a reply")
            .status;
        assert!(status == 200 || link == "raftz", "{link}: {status}");
    }
}

#[test]
fn nothing_is_served_unless_it_is_asked_for() {
    for launch in both() {
        let server = launch.flags(["-m", "0"]).start().expect("a server");
        assert!(!server.log().contains("monitor"), "{}", server.log());
    }
}

#[test]
fn a_port_that_cannot_be_had_is_told_and_the_start_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for launch in both() {
        let output = launch
            .flags(["-a", "127.0.0.1", "-p", "-1", "-m", &port])
            .command()
            .stdout(Stdio::null())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let why = format!(
            "[FTL] Can't start monitoring: can't listen to the monitor port: listen tcp 127.0.0.1:{port}: bind: address already in use"
        );
        assert!(text.contains(&why), "{text}");
        assert!(!text.contains("Listening for client connections"), "{text}");
    }
}
