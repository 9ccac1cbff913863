//! Many nkey users at once: each signs a nonce of its own, and a signature is good for that connection only.

use std::collections::BTreeSet;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use nkeys::KeyPair;

use crate::cast::PATIENCE;
use crate::support::{Launch, RawClient};

on_1_2_and_4_shards!(a_signature_is_good_for_one_connection);

fn nonce_of(client: &mut RawClient) -> String {
    client.patience(PATIENCE);
    let line = client.line().expect("INFO");
    let json = line.strip_prefix(b"INFO ").expect("INFO");
    let info: serde_json::Value = serde_json::from_slice(json).expect("JSON");
    info["nonce"].as_str().expect("a nonce").to_owned()
}

fn a_signature_is_good_for_one_connection(shards: u32) {
    let key = KeyPair::new_user();
    let public = key.public_key();
    let block = format!("authorization {{ users: [ {{ nkey: {public} }} ] }}");
    let launch = Launch::trunkline(shards).config_line(&block);
    let server = launch.start().expect("a server");
    let mut nonces = BTreeSet::new();
    let mut last = String::new();
    for index in 0..60 {
        let mut client = server.connect();
        let nonce = nonce_of(&mut client);
        let signature = key.sign(nonce.as_bytes()).expect("signed");
        assert_eq!(nonce.len(), 15);
        assert!(nonces.insert(nonce), "a nonce twice");
        let signature = match index % 3 {
            0 => BASE64URL_NOPAD.encode(&signature),
            1 => BASE64.encode(&signature),
            _ => last.clone(),
        };
        let json = format!(r#"{{"verbose":false,"nkey":"{public}","sig":"{signature}"}}"#);
        client
            .send(format!("CONNECT {json}\r\nPING\r\n").as_bytes())
            .expect("sent");
        let answer = match index % 3 {
            2 => "-ERR 'Authorization Violation'",
            _ => "PONG",
        };
        client.expect_line(answer);
        last = signature;
    }
}
