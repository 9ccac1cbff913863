//! Whoever asks for pages may be slow, greedy or confused: it gets a clear answer or is closed, and clients of the broker
//! do not notice.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::cast::{Bystanders, PATIENCE, join};
use crate::support::http::{get, receive};
use crate::support::{Launch, Server, wait_until};

fn monitored() -> Server {
    Launch::trunkline(2)
        .flags(["-m", "-1"])
        .start()
        .expect("a server")
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.monitor()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

#[test]
fn a_reader_that_does_not_read_is_closed() {
    let server = monitored();
    let mut many = join(server.address());
    let long = "x".repeat(500);
    let mut said = Vec::new();
    for sid in 0..30_000 {
        said.extend_from_slice(format!("SUB {long}.{sid} {sid}\r\n").as_bytes());
    }
    many.send(&said).expect("it is sent");
    many.sync().expect("it is taken");
    let bystanders = Bystanders::start(server.address());
    bystanders.expect_progress();
    let files = server.open_files();
    let ask = b"GET /connz?subs=detail HTTP/1.1\r\nHost: m\r\n\r\n";
    let mut slow: Vec<TcpStream> = (0..4).map(|_| connect(&server)).collect();
    for stream in &mut slow {
        stream.write_all(ask).expect("it is sent");
    }
    bystanders.expect_progress();
    // Another one gets its page meanwhile.
    assert_eq!(get(server.monitor(), "/varz").expect("a reply").status, 200);
    let are_closed = wait_until(PATIENCE * 3, || server.open_files() <= files);
    assert!(are_closed, "they are still served");
    for mut stream in slow {
        let mut taken = Vec::new();
        // What the kernels held, and no more; then the end, or a reset.
        let _ = stream.read_to_end(&mut taken);
        assert!(
            taken.len() < 15_000_000,
            "it was sent whole: {}",
            taken.len()
        );
    }
    bystanders.finish();
}

#[test]
fn whoever_says_nothing_makes_room_for_whoever_asks() {
    let server = monitored();
    let bystanders = Bystanders::start(server.address());
    // Four times as many as are served at a time; each has been let in when the next ones come.
    let mut silent: Vec<TcpStream> = (0..1024).map(|_| connect(&server)).collect();
    bystanders.expect_progress();
    for _ in 0..20 {
        // Only a server that lets it wait for all the others' time to be over lets this fail, by the patience of the read.
        assert_eq!(
            get(server.monitor(), "/healthz").expect("a reply").status,
            200
        );
    }
    let mut nothing = Vec::new();
    silent[0]
        .read_to_end(&mut nothing)
        .expect("the first one had to go");
    // A connection that has asked and is kept open says nothing either.
    let mut keeper = connect(&server);
    keeper
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: m\r\n\r\n")
        .expect("it is sent");
    let mut head = [0; 15];
    keeper.read_exact(&mut head).expect("a reply");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    silent.extend((0..512).map(|_| connect(&server)));
    keeper.read_to_end(&mut nothing).expect("it had to go, too");
    bystanders.finish();
}

#[test]
fn whoever_is_answered_keeps_its_place() {
    let server = monitored();
    let mut watcher = connect(&server);
    watcher
        .write_all(b"GET /dashboard/events HTTP/1.1\r\nHost: m\r\n\r\n")
        .expect("it is sent");
    let mut head = [0; 15];
    watcher.read_exact(&mut head).expect("a reply");
    let _silent: Vec<TcpStream> = (0..1024).map(|_| connect(&server)).collect();
    assert_eq!(get(server.monitor(), "/varz").expect("a reply").status, 200);
    let mut events = [0; 4000];
    watcher.read_exact(&mut events).expect("more events");
}

#[test]
fn a_head_that_does_not_come_or_does_not_end_is_refused() {
    let server = monitored();
    let mut silent = connect(&server);
    let mut nothing = Vec::new();
    // Only a server that never gives up lets this fail, by the patience of the read.
    silent
        .read_to_end(&mut nothing)
        .expect("the connection is closed");

    let mut endless = connect(&server);
    let _ = endless.write_all(b"GET /varz HTTP/1.1\r\nX: ");
    let _ = endless.write_all(&[b'x'; 200_000]);
    let reply = receive(&mut endless);
    // The reset for what was not read may overtake the answer.
    assert!(reply.is_err() || reply.is_ok_and(|reply| reply.status == 431));

    let mut confused = connect(&server);
    confused
        .write_all(b"HELO monitor\r\n\r\n")
        .expect("it is sent");
    assert_eq!(receive(&mut confused).expect("a reply").status, 400);
    assert_eq!(get(server.monitor(), "/varz").expect("a reply").status, 200);
}

#[test]
fn a_connection_may_ask_again_and_leave_in_the_middle() {
    let server = monitored();
    let _clients: Vec<_> = (0..20).map(|_| join(server.address())).collect();
    let mut keeper = connect(&server);
    for _ in 0..3 {
        keeper
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: m\r\n\r\n")
            .expect("it is sent");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"{\"status\":\"ok\"}") {
            keeper.read_exact(&mut byte).expect("the reply");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    for _ in 0..100 {
        let mut hasty = connect(&server);
        hasty
            .write_all(b"GET /connz?subs=1 HTTP/1.1\r\nHost: m\r\n\r\n")
            .expect("it is sent");
        hasty.shutdown(Shutdown::Both).expect("it leaves");
    }
    assert_eq!(
        get(server.monitor(), "/connz").expect("a reply").json()["total"],
        20
    );
}

#[test]
fn pages_are_answered_while_publishers_flood() {
    let server = monitored();
    let bystanders = Bystanders::start(server.address());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = crate::cast::StopAtEnd(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                let mut flood = join(server.address());
                let block = b"PUB flood 16\r\n0123456789abcdef\r\n".repeat(1000);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    flood.send(&block).expect("it is taken");
                }
            });
        }
        for page in [
            "/varz",
            "/connz?subs=1",
            "/subsz?subs=1",
            "/metrics",
            "/accstatz",
            "/healthz",
        ]
        .repeat(5)
        {
            assert_eq!(
                get(server.monitor(), page).expect("a reply").status,
                200,
                "{page}"
            );
        }
    });
    bystanders.finish();
}

#[test]
fn thousands_of_watchers_are_refused_and_disturb_nobody() {
    let server = monitored();
    let bystanders = Bystanders::start(server.address());
    let mut watchers = Vec::new();
    for _ in 0..2000 {
        let mut stream = connect(&server);
        stream
            .write_all(b"GET /dashboard/events HTTP/1.1\r\nHost: m\r\n\r\n")
            .expect("it is sent");
        watchers.push(stream);
    }
    let watching = watchers.iter_mut().filter_map(|stream| {
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
        match &status {
            b"HTTP/1.1 200" => Some(()),
            b"HTTP/1.1 503" => None,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    });
    assert_eq!(watching.count(), 32);
    bystanders.expect_progress();
    assert_eq!(get(server.monitor(), "/varz").expect("a reply").status, 200);
    bystanders.finish();
}

#[test]
fn numbers_beyond_all_lists_are_no_pages() {
    let server = monitored();
    let mut client = join(server.address());
    client.send(b"SUB a 1\r\n").expect("it is sent");
    client.sync().expect("it is taken");
    let most = i64::MAX;
    for (page, list) in [
        (format!("/connz?offset={most}"), "connections"),
        (format!("/connz?offset={most}&limit={most}"), "connections"),
        (
            format!("/connz?state=any&offset={most}&limit={most}&subs=1"),
            "connections",
        ),
        (format!("/subsz?subs=1&offset={most}"), "subscriptions_list"),
        (
            format!("/subsz?subs=1&offset={most}&limit={most}"),
            "subscriptions_list",
        ),
        (
            format!("/dashboard/connections?offset={most}&limit={most}"),
            "connections",
        ),
    ] {
        let reply = get(server.monitor(), &page).expect("a reply");
        assert_eq!(reply.status, 200, "{page}");
        let json = reply.json();
        let listed = json[list].as_array().map_or(0, Vec::len);
        assert_eq!((listed, &json["total"]), (0, &1.into()), "{page}: {json}");
    }
    for page in [
        format!("/connz?limit={most}"),
        format!("/subsz?subs=1&limit={most}"),
    ] {
        let json = get(server.monitor(), &page).expect("a reply").json();
        let listed = json["connections"]
            .as_array()
            .or_else(|| json["subscriptions_list"].as_array());
        assert_eq!(listed.map(Vec::len), Some(1), "{page}");
    }
    let deep = "a.".repeat(20_000);
    for page in [
        format!("/subsz?subs=1&test={deep}b"),
        format!("/dashboard/subjects?below={deep}"),
        format!("/dashboard/connections?search={deep}"),
        format!("/connz?user={deep}"),
    ] {
        let reply = get(server.monitor(), &page).expect("a reply");
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

#[test]
fn requests_while_the_server_ends_are_answered_or_refused() {
    for signal in ["TERM", "INT"] {
        let mut server = monitored();
        let _clients: Vec<_> = (0..20).map(|_| join(server.address())).collect();
        let address = server.monitor();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let status = std::thread::scope(|scope| {
            let _stop = crate::cast::StopAtEnd(&stop);
            for page in ["/varz", "/connz?subs=1", "/metrics", "/dashboard/subjects"] {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        // Once it has gone nobody answers; what comes before that is whole.
                        if let Ok(reply) = get(address, page) {
                            assert!(matches!(reply.status, 200 | 503), "{}", reply.status);
                            let length = reply.header("content-length");
                            assert_eq!(length, Some(&*reply.body.len().to_string()), "{page}");
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(300));
            server
                .stop(signal, Duration::from_secs(20))
                .expect("it ends")
        });
        assert!(status.success(), "{}", server.log());
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
}

#[test]
fn the_pages_go_with_the_server() {
    let mut server = monitored();
    let address = server.monitor();
    let _idle = TcpStream::connect(address).expect("a connection");
    let _client = join(server.address());
    let status = server
        .stop("TERM", Duration::from_secs(20))
        .expect("it ends");
    assert!(status.success());
    assert!(get(address, "/varz").is_err());
}

/// What a request comes to, byte for byte as it was written: the status of each answer on the connection.
fn statuses(address: std::net::SocketAddr, request: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    // A connection that was closed before all was read ends in a reset.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let heads = text.match_indices("HTTP/1.");
    let number = |at: usize| text.get(at + 9..at + 12)?.parse::<u16>().ok();
    heads.filter_map(|(at, _)| number(at)).collect()
}

/// Requests that two readers could understand in two ways: no second request may come out of the first one's body.
#[test]
fn what_can_be_read_in_two_ways_is_one_request_or_none() {
    let server = monitored();
    let post = "POST /healthz HTTP/1.1\r\nHost: m\r\n";
    let hidden = "GET /varz HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
    let (bad, one, two) = (&[400][..], &[200][..], &[200, 200][..]);
    for (what, rest, wanted) in [
        (
            "two lengths",
            format!("Content-Length: 5\r\nContent-Length: 90\r\n\r\nabcde{hidden}"),
            &[bad][..],
        ),
        (
            "a length with a sign",
            format!("Content-Length: +5\r\n\r\nabcde{hidden}"),
            &[bad],
        ),
        (
            "a negative length",
            format!("Content-Length: -5\r\n\r\nabcde{hidden}"),
            &[bad],
        ),
        (
            "a length beyond all",
            format!("Content-Length: 99999999999999999999\r\n\r\nabcde{hidden}"),
            &[bad],
        ),
        (
            "chunks and a length",
            format!("Content-Length: 90\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
            &[bad, one, two],
        ),
        (
            "chunks twice",
            "Transfer-Encoding: gzip, chunked, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
                .to_owned(),
            &[bad, one],
        ),
        (
            "no chunks",
            format!("Transfer-Encoding: gzip\r\n\r\n{hidden}"),
            &[bad],
        ),
        (
            "a chunk without a size",
            format!("Transfer-Encoding: chunked\r\n\r\nzz\r\n{hidden}"),
            &[bad, one],
        ),
        (
            "a folded line",
            format!("X: a\r\n b\r\nConnection: close\r\n\r\n{hidden}"),
            &[bad],
        ),
        (
            "a space before the colon",
            format!("Content-Length : 5\r\n\r\nabcde{hidden}"),
            &[bad],
        ),
        ("a NUL", format!("X: a\0b\r\n\r\n{hidden}"), &[bad]),
        ("a bare return", format!("X: a\rb\r\n\r\n{hidden}"), &[bad]),
        (
            "a body that is read",
            format!("Content-Length: 5\r\n\r\nabcde{hidden}"),
            &[two],
        ),
        (
            "a body that does not come",
            "Content-Length: 999999999999\r\nConnection: close\r\n\r\nabcde".to_owned(),
            &[one],
        ),
    ] {
        let request = format!("{post}{rest}");
        let got = statuses(server.monitor(), request.as_bytes());
        assert!(wanted.contains(&&got[..]), "{what}: {got:?}");
    }
    for (request, wanted) in [
        ("GET /healthz\r\n\r\n", 400),
        ("GET /healthz HTTP/3.0\r\nHost: m\r\n\r\n", 400),
        ("GET varz HTTP/1.0\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.0\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
            400,
        ),
        ("GET /varz%zz HTTP/1.0\r\n\r\n", 400),
        ("GET /%76arz HTTP/1.0\r\n\r\n", 200),
        ("GET /varz%2f HTTP/1.0\r\n\r\n", 404),
        ("GET /%2e%2e/varz HTTP/1.0\r\n\r\n", 404),
        ("GET /./\\evil.example HTTP/1.0\r\n\r\n", 307),
        ("GET http://evil.example/varz HTTP/1.0\r\n\r\n", 200),
        ("OPTIONS /varz HTTP/1.0\r\n\r\n", 200),
        ("DELETE /varz HTTP/1.0\r\n\r\n", 200),
    ] {
        assert_eq!(
            statuses(server.monitor(), request.as_bytes()),
            [wanted],
            "{request:?}"
        );
    }
    assert_eq!(get(server.monitor(), "/varz").expect("a reply").status, 200);
}
