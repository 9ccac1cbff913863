//! Certificates are read again with the file, whether their names have changed or not: connections that are there live on,
//! new handshakes see the new ones, and a certificate that is no good refuses the whole reload. The same on both servers.

use std::fs;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

use super::tls_carries_everything::{join, say_hello};
use crate::cast::{PATIENCE, QUIET, is_served, subscribe};
use crate::support::{Certificates, Launch, RawClient, Server};

on_both_servers!(
    new_handshakes_see_the_new_certificate,
    a_broken_certificate_refuses_the_reload,
    clients_need_certificates_from_now_on,
    tls_begins_and_ends,
);

const CLIENTS: usize = 4;

fn start(launch: Launch, config: &str) -> Server {
    launch.config_line(config).start().expect("a server")
}

fn reload(server: &Server, config: &str) {
    let is_taken = server.reload(config).expect("an outcome");
    assert!(is_taken, "{}", server.log());
}

/// What the server shows a new client.
fn shown(server: &Server, certificates: &Certificates) -> CertificateDer<'static> {
    let mut client = join(server, &certificates.client());
    shown_to(&mut client)
}

fn shown_to(client: &mut RawClient) -> CertificateDer<'static> {
    let chain = client.tls().peer_certificates().expect("a certificate");
    chain[0].clone().into_owned()
}

fn in_file(certificates: &Certificates) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(certificates.path("server.pem")).expect("a certificate")
}

fn many(server: &Server, config: &Arc<ClientConfig>) -> Vec<RawClient> {
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| join(server, config)).collect();
    for client in &mut clients {
        subscribe(client, "a 1");
    }
    clients
}

fn talk(clients: &mut [RawClient]) {
    for publisher in 0..clients.len() {
        clients[publisher].send(b"PUB a 1\r\nx\r\n").expect("sent");
        for client in &mut *clients {
            assert_eq!(client.message().expect("a message").body, b"x");
        }
    }
}

fn new_handshakes_see_the_new_certificate(launch: Launch) {
    let certificates = Certificates::create();
    let server = start(launch, &certificates.block(""));
    // Both know sessions of the first certificate that they would resume.
    let versions = [&TLS12, &TLS13].map(|version| certificates.client_of(&[version], None));
    let mut clients: Vec<_> = versions
        .iter()
        .flat_map(|config| many(&server, config))
        .collect();
    let first = shown(&server, &certificates);
    assert_eq!(first, in_file(&certificates));
    for round in 0..3 {
        certificates.issue_server("server", "localhost");
        let next = in_file(&certificates);
        assert_ne!(first, next);
        assert_eq!(shown_to(&mut join(&server, &certificates.client())), {
            // Files alone change nothing.
            if round == 0 {
                first.clone()
            } else {
                shown(&server, &certificates)
            }
        });
        reload(&server, &certificates.block(""));
        assert!(server.log().contains("[INF] Reloaded: tls = enabled"));
        for config in &versions {
            for _ in 0..CLIENTS {
                assert_eq!(shown_to(&mut join(&server, config)), next);
            }
        }
        assert_eq!(shown(&server, &certificates), next);
        talk(&mut clients);
    }
}

fn a_broken_certificate_refuses_the_reload(launch: Launch) {
    let certificates = Certificates::create();
    let block = certificates.block("");
    let server = start(launch, &format!("max_payload: 1000\n{block}"));
    let first = shown(&server, &certificates);
    let mut clients = many(&server, &certificates.client());
    let path = |file: &str| certificates.path(file);
    let whole = ["server.pem", "server.key", "ca.pem"]
        .map(|file| (path(file), fs::read(path(file)).expect("a file")));
    let key = || fs::read(path("other.key")).expect("a file");
    certificates.issue_server("other", "localhost");
    let breaks: [(&str, &dyn Fn()); 6] = [
        ("garbage", &|| {
            fs::write(path("server.pem"), "no certificate").expect("written")
        }),
        ("half of it", &|| {
            let text = fs::read_to_string(path("server.pem")).expect("a file");
            fs::write(path("server.pem"), &text[..text.len() / 2]).expect("written");
        }),
        ("a certificate that is gone", &|| {
            fs::remove_file(path("server.pem")).expect("removed")
        }),
        ("the key of another", &|| {
            fs::write(path("server.key"), key()).expect("written")
        }),
        ("an empty key", &|| {
            fs::write(path("server.key"), "").expect("written")
        }),
        ("an authority that is none", &|| {
            fs::write(path("ca.pem"), "nobody").expect("written")
        }),
    ];
    for (what, spoil) in breaks {
        spoil();
        let is_taken = server.reload(&format!("max_payload: 10\n{block}"));
        assert_eq!(is_taken, Ok(false), "{what}: {}", server.log());
        assert_eq!(shown(&server, &certificates), first, "{what}");
        talk(&mut clients);
        for client in &mut clients {
            client.send(b"PUB b 11\r\n12345678901\r\n").expect("sent");
            client.sync().expect("the rest of the file was not taken");
        }
        for (file, bytes) in &whole {
            fs::write(file, bytes).expect("written");
        }
    }
    certificates.issue_server("server", "localhost");
    reload(&server, &block);
    assert_eq!(shown(&server, &certificates), in_file(&certificates));
}

/// Whether a client of this configuration is served.
fn gets_in(server: &Server, config: &Arc<ClientConfig>) -> bool {
    let mut client = server.connect();
    client.patience(PATIENCE);
    client.line().expect("INFO");
    // In TLS 1.3 a client learns only afterwards that it is not wanted.
    client.secure(config, "localhost").is_ok()
        && client
            .send(format!("CONNECT {QUIET}\r\n").as_bytes())
            .is_ok()
        && is_served(&mut client).is_ok()
}

/// Not even with a session of before.
fn clients_need_certificates_from_now_on(launch: Launch) {
    let certificates = Certificates::create();
    certificates.issue_client("alice", "alice@acme.de");
    let stranger = Certificates::create();
    stranger.issue_client("alice", "alice@acme.de");
    let server = start(launch, &certificates.block(""));
    for version in [&TLS12, &TLS13] {
        reload(&server, &certificates.block(""));
        let nobody = certificates.client_of(&[version], None);
        let alice = certificates.client_of(&[version], Some("alice"));
        let mut clients = many(&server, &nobody);
        reload(&server, &certificates.block("verify: true"));
        assert!(gets_in(&server, &alice));
        for _ in 0..CLIENTS {
            assert!(!gets_in(&server, &nobody), "without a certificate");
        }
        talk(&mut clients);
        // Another authority: whom the first one knows is a stranger now.
        let authority = format!("verify: true, ca_file: \"{}\"", stranger.path("ca.pem"));
        reload(&server, &certificates.block(&authority));
        assert!(!gets_in(&server, &alice), "of the authority of before");
        talk(&mut clients);
    }
}

fn tls_begins_and_ends(launch: Launch) {
    let certificates = Certificates::create();
    let server = start(launch, "max_payload: 1000");
    let mut plain: Vec<_> = (0..CLIENTS)
        .map(|_| crate::cast::join(server.address()))
        .collect();
    for client in &mut plain {
        subscribe(client, "a 1");
    }
    reload(&server, &certificates.block(""));
    talk(&mut plain);
    let mut sealed = many(&server, &certificates.client());
    let mut late = server.connect();
    late.patience(PATIENCE).line().expect("INFO");
    late.send(format!("CONNECT {QUIET}\r\nPING\r\n").as_bytes())
        .expect("sent");
    assert!(
        late.line().is_err() && late.has_ended(),
        "TLS is wanted now"
    );
    reload(&server, "max_payload: 1000");
    assert!(server.log().contains("[INF] Reloaded: tls = disabled"));
    let mut all: Vec<_> = plain.drain(..).chain(sealed.drain(..)).collect();
    talk(&mut all);
    let mut last = server.connect();
    last.patience(PATIENCE);
    let info = String::from_utf8(last.line().expect("INFO")).expect("text");
    assert!(!info.contains("\"tls_required\":true"), "{info}");
    say_hello(&mut last);
}
