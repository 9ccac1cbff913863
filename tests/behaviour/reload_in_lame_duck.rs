//! A server that is about to go reads its configuration like any other, and goes on going: nobody is let in, clients are
//! closed in time, and the process ends. (nats-server begins to take the file over, gets stuck, and hears no signal any more.)

use std::io;

use crate::cast::{PATIENCE, is_served, join};
use crate::support::{Launch, RawClient, Server};

on_1_2_and_4_shards!(it_takes_effect_and_nobody_comes, it_ends_in_time);

fn refuses(server: &Server) {
    let refused = RawClient::connect(server.address()).and_then(|mut late| late.line());
    let refused = refused.expect_err("new connections are refused");
    assert_ne!(refused.kind(), io::ErrorKind::TimedOut, "{refused}");
}

fn it_takes_effect_and_nobody_comes(shards: u32) {
    let times = "lame_duck_duration: 60s\nlame_duck_grace_period: 30s";
    let mut server = Launch::trunkline(shards)
        .config_line(&format!("{times}\nmax_payload: 100"))
        .start()
        .expect("a server");
    let mut clients: Vec<_> = (0..8).map(|_| join(server.address())).collect();
    let mut told = server.join(r#"{"verbose":false,"protocol":1}"#);
    told.patience(PATIENCE)
        .sync()
        .expect("its second INFO is past");
    server.signal("USR2").expect("signalled");
    assert!(server.logs_within("Entering lame duck mode", PATIENCE));
    let info = String::from_utf8(told.line().expect("INFO")).expect("text");
    assert!(info.contains("\"ldm\":true"), "{info}");
    refuses(&server);

    assert_eq!(
        server.reload(&format!("{times}\nmax_payload: 50")),
        Ok(true)
    );
    assert_eq!(server.reload("max_payload {"), Ok(false));
    refuses(&server);
    for client in &mut clients {
        is_served(client).expect("it is served");
        client.send(b"PUB a 51\r\n").expect("sent");
        client.expect_line("-ERR 'Maximum Payload Violation'");
        client.end().expect("it is closed");
    }
    is_served(&mut told).expect("it has still time");
    let status = server.stop("INT", PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0));
}

fn it_ends_in_time(shards: u32) {
    let mut server = Launch::trunkline(shards)
        .flags([
            "--lame_duck_duration",
            "2s",
            "--lame_duck_grace_period",
            "1s",
        ])
        .config_line("max_payload: 100")
        .start()
        .expect("a server");
    let mut clients: Vec<_> = (0..12).map(|_| join(server.address())).collect();
    server.signal("USR2").expect("signalled");
    assert!(server.logs_within("Entering lame duck mode", PATIENCE));
    for payload in 101..120 {
        let config = format!("max_payload: {payload}");
        assert_eq!(server.reload(&config), Ok(true), "{}", server.log());
    }
    for client in &mut clients {
        while client.line().is_ok() {}
        assert!(client.has_ended(), "it is closed");
    }
    let status = server.exit_status(PATIENCE).expect("it ends by itself");
    assert_eq!(status.code(), Some(0));
}
