//! Where client certificates are asked for, only good ones get in; the user may be the one that the certificate names; and
//! wrong files are named when the broker starts.

use std::process::Stdio;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, SanType};
use rustls::version::{TLS12, TLS13};

use super::tls_carries_everything::join;
use crate::cast::{PATIENCE, QUIET, is_served};
use crate::support::{Certificates, Launch, Server, wait_until};

on_1_2_and_4_shards!(
    only_good_certificates_get_in,
    only_pinned_keys_get_in,
    a_certificate_names_the_user,
    a_server_may_have_several_names,
    wrong_files_are_named
);
on_both_servers!(the_log_says_which_name_counts);

fn start(shards: u32, block: &str) -> Server {
    Launch::trunkline(shards)
        .flags(["-D"])
        .config_line(block)
        .start()
        .expect("a server")
}

/// Whether a client with this certificate is served.
fn gets_in(server: &Server, certificates: &Certificates, shown: Option<&str>) -> bool {
    let verdicts = [&TLS12, &TLS13].map(|version| {
        let mut client = server.connect();
        client.patience(PATIENCE);
        client.line().expect("INFO");
        let config = certificates.client_of(&[version], shown);
        // In TLS 1.3 a client learns only afterwards that it is not wanted.
        client.secure(&config, "localhost").is_ok()
            && client
                .send(format!("CONNECT {QUIET}\r\n").as_bytes())
                .is_ok()
            && is_served(&mut client).is_ok()
    });
    assert_eq!(verdicts[0], verdicts[1], "whichever version is spoken");
    verdicts[0]
}

fn only_good_certificates_get_in(shards: u32) {
    let certificates = Certificates::create();
    certificates.issue_client("alice", "alice@acme.de");
    let server = start(shards, &certificates.block("verify: true"));
    assert!(gets_in(&server, &certificates, Some("alice")));
    assert!(!gets_in(&server, &certificates, None));
    let told = "[ERR] 127.0.0.1:";
    let why = "TLS handshake error: tls: client didn't provide a certificate";
    let is_told = || {
        let log = server.log();
        log.lines()
            .any(|line| line.contains(told) && line.ends_with(why))
    };
    assert!(wait_until(PATIENCE, is_told), "{}", server.log());
    // A server's certificate is not for clients.
    assert!(!gets_in(&server, &certificates, Some("server")));
    let why = "x509: certificate specifies an incompatible key usage (CN=localhost SHA-256: ";
    assert!(server.logs_within(why, PATIENCE), "{}", server.log());
}

fn only_pinned_keys_get_in(shards: u32) {
    let certificates = Certificates::create();
    certificates.issue_client("alice", "alice@acme.de");
    certificates.issue_client("bob", "bob@acme.de");
    let verify = "verify: true, pinned_certs: [\"0000000000000000000000000000000000000000000000000000000000000000\"]";
    let server = start(shards, &certificates.block(verify));
    assert!(!gets_in(&server, &certificates, Some("alice")));
    assert!(server.logs_within("TLS handshake error: certificate not pinned", PATIENCE));
    let log = server.log();
    let (_, rest) = log
        .split_once("Failed pinned cert test for key id: ")
        .expect("the key is told");
    let pin = &rest[..64];
    let verify = format!("verify: true, pinned_certs: [\"{}\"]", pin.to_uppercase());
    let server = start(shards, &certificates.block(&verify));
    assert!(gets_in(&server, &certificates, Some("alice")));
    assert!(!gets_in(&server, &certificates, Some("bob")));
}

fn a_certificate_names_the_user(shards: u32) {
    let certificates = Certificates::create();
    certificates.issue_client("alice", "alice@acme.de");
    certificates.issue_client("eve", "eve@acme.de");
    let server = Launch::trunkline(shards)
        .config_line(&certificates.block("verify_and_map: true"))
        .config_line(
            "authorization { users: [{user: \"alice@acme.de\", permissions: {publish: \"a.>\"}}] }",
        )
        .start()
        .expect("a server");
    let mut alice = join(&server, &certificates.client_of(&[&TLS13], Some("alice")));
    alice.send(b"PUB b.c 0\r\n\r\n").expect("sent");
    alice.expect_line("-ERR 'Permissions Violation for Publish to \"b.c\"'");
    assert!(!gets_in(&server, &certificates, Some("eve")));
}

fn the_log_says_which_name_counts(launch: Launch) {
    let certificates = Certificates::create();
    certificates.issue_client("alice", "alice@acme.de");
    let mut bob = CertificateParams::default();
    bob.distinguished_name = DistinguishedName::new();
    bob.distinguished_name
        .push(DnType::OrganizationName, "acme");
    bob.distinguished_name.push(DnType::CommonName, "bob");
    bob.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    certificates.issue("bob", &bob);
    let mut eve = bob.clone();
    eve.subject_alt_names = vec![SanType::DnsName("eve.org".try_into().expect("a name"))];
    eve.distinguished_name.push(DnType::CommonName, "eve");
    certificates.issue("eve", &eve);
    let server = launch
        .flags(["-D"])
        .config_line(&certificates.block("verify_and_map: true"))
        .config_line(
            "authorization { users: [ {user: \"alice@acme.de\"}, {user: \"O=acme,CN=bob\"} ] }",
        )
        .start()
        .expect("a server");
    let connect = |shown: &str, said: &str, answer: &str| {
        let mut client = server.connect();
        client.patience(PATIENCE);
        client.line().expect("INFO");
        let config = certificates.client_of(&[&TLS12], Some(shown));
        client.secure(&config, "localhost").expect("a handshake");
        let words = format!("CONNECT {{\"verbose\":false{said}}}\r\nPING\r\n");
        client.send(words.as_bytes()).expect("sent");
        client.expect_line(answer);
    };
    let refused = "-ERR 'Authorization Violation'";
    connect("alice", "", "PONG");
    connect("bob", "", "PONG");
    connect("eve", "", refused);
    connect("alice", r#","user":"x","pass":"y""#, refused);
    for line in [
        r#" - Using email found in cert for auth ["alice@acme.de"]"#,
        r#" - "$G/user:alice@acme.de" - Client connection closed: Client Closed"#,
        r#" - Using DistinguishedNameMatch for auth ["O=acme,CN=bob"]"#,
        r#" - "$G/user:O=acme,CN=bob" - Client connection closed: Client Closed"#,
        r#" - DistinguishedNameMatch could not be used for auth ["CN=eve,O=acme"]"#,
        r#" - User in cert ["CN=eve,O=acme"], not found"#,
        r#" - authentication error"#,
        r#"[WRN] User "x" found in connect proto, but user required from cert"#,
        r#" - authentication error - User "alice@acme.de""#,
    ] {
        let is_told = || server.log().lines().any(|told| told.ends_with(line));
        assert!(wait_until(PATIENCE, is_told), "{line}: {}", server.log());
    }
}

fn a_server_may_have_several_names(shards: u32) {
    let certificates = Certificates::create();
    certificates.issue_server("other", "other.example");
    let [first, first_key, second, second_key] =
        ["server.pem", "server.key", "other.pem", "other.key"].map(|file| certificates.path(file));
    let block = format!(
        "tls {{ certs: [{{cert_file: \"{first}\", key_file: \"{first_key}\"}}, \
         {{cert_file: \"{second}\", key_file: \"{second_key}\"}}] }}"
    );
    let server = start(shards, &block);
    for name in ["localhost", "other.example"] {
        let mut client = server.connect();
        client.line().expect("INFO");
        let secured = client.secure(&certificates.client(), name);
        secured.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn wrong_files_are_named(shards: u32) {
    let certificates = Certificates::create();
    certificates.issue_server("other", "other.example");
    let refusal = |certificate: &str, key: &str, authority: &str| {
        let [certificate, key, authority] =
            [certificate, key, authority].map(|file| certificates.path(file));
        let launch = Launch::trunkline(shards).flags([
            "-a",
            "127.0.0.1",
            "-p",
            "-1",
            "--tlsverify",
            "--tlscert",
            &certificate,
            "--tlskey",
            &key,
            "--tlscacert",
            &authority,
        ]);
        let output = launch
            .command()
            .stdout(Stdio::null())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(!text.contains("BEGIN"), "no secret is shown: {text}");
        text
    };
    let text = refusal("gone.pem", "server.key", "ca.pem");
    let gone = certificates.path("gone.pem");
    assert!(
        text.contains(&format!("open {gone}: no such file or directory")),
        "{text}"
    );
    let text = refusal("server.pem", "other.key", "ca.pem");
    assert!(text.contains("does not match the public key in"), "{text}");
    let text = refusal("server.pem", "server.pem", "ca.pem");
    assert!(
        text.contains("server.pem has no private key in it (PEM)"),
        "{text}"
    );
    let text = refusal("server.pem", "server.key", "server.key");
    assert!(
        text.contains("server.key has no certificate in it (PEM)"),
        "{text}"
    );
}
