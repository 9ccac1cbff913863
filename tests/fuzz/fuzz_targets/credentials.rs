//! Whatever a client says of itself: no panic, and nobody is let in who cannot prove who they are. Signatures cannot be
//! guessed, so that nkey users get in by a signature of this target's own only.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trunkline::auth::{Attribute, CertificateFacts, Claim, Directory, Name, NonceKey, Verdict};
use trunkline::base::ids::{AccountId, ClientNumber};
use trunkline::config::authorization::{ConnectionType, Credentials};
use trunkline::config::tls::{HandshakeFirst, TlsVersion};
use trunkline::config::{Auth, Options, Secret, Tls, User};
use trunkline::protocol::connect::ConnectOptions;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    has_anonymous: bool,
    has_proxy: bool,
    maps: bool,
    /// The first is of the configuration.
    names: [&'a str; 2],
    passwords: [&'a str; 2],
    nkey: Option<&'a str>,
    signature: &'a str,
    proxy_signature: &'a str,
    token: &'a str,
    certificate: Option<Certificate<'a>>,
    number: u64,
    /// CONNECT as it is, behind all that.
    json: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Certificate<'a> {
    emails: Vec<&'a str>,
    subject: Vec<Vec<(u8, Option<&'a str>)>>,
}

/// A user nkey and a proxy's.
const KEYS: [&str; 2] = [
    "UCAVCHOS3DILPKF6G3D66EVRDANJNZFEL7FBY232K7MVZPWFCNDBWT3Q",
    "UD7NU2L7MSUZUHT55YQA3X6TCLTO44I247BDDI4QWN35YBNRWSTX4OBB",
];
const OIDS: [&str; 5] = [
    "2.5.4.3",
    "2.5.4.10",
    "2.5.4.6",
    "0.9.2342.19200300.100.1.25",
    "1.2.3",
];

fuzz_target!(|input: Input<'_>| {
    let directory = Directory::new(&options(&input), NonceKey::new([7; 32]));
    let client = ClientNumber(input.number);
    let nonce = directory.nonce(client);
    assert_eq!(nonce, directory.nonce(client));
    let mut connect = ConnectOptions {
        user: input.names[1].to_owned(),
        password: Secret::new(input.passwords[1]),
        token: Secret::new(input.token),
        nkey: input.nkey.unwrap_or(KEYS[0]).to_owned(),
        signature: Secret::new(input.signature),
        proxy_signature: Secret::new(input.proxy_signature),
        ..ConnectOptions::default()
    };
    let _ = connect.merge(input.json);
    let certificate = input.certificate.as_ref().map(facts);
    let verdict = directory.examine(&Claim {
        connect: &connect,
        nonce: nonce.as_ref(),
        connection_type: ConnectionType::Standard,
        certificate: certificate.as_ref(),
        peer: None,
    });
    let Verdict::Granted(identity) = verdict else {
        return;
    };
    assert_eq!(
        identity.account,
        AccountId(3),
        "a user of the configuration"
    );
    match identity.name {
        Some(Name::User(name)) => {
            assert_eq!(&*name, input.names[0]);
            let knows = connect.password.expose() == input.passwords[0];
            let is_named = connect.user == input.names[0];
            let says_nothing = connect.user.is_empty() && connect.password.is_empty();
            let is_anonymous = input.has_anonymous && says_nothing && connect.token.is_empty();
            let is_shown = input.maps && certificate.is_some();
            assert!(is_anonymous && !input.maps || knows && (is_named && !input.maps || is_shown));
        }
        other => panic!("{other:?} cannot have proven it"),
    }
});

fn options(input: &Input<'_>) -> Options {
    let user = |credentials| User {
        credentials,
        account: AccountId(3),
        permissions: None,
        connection_types: None,
        proxy_required: false,
    };
    let named = Credentials::Password {
        name: input.names[0].to_owned(),
        password: Secret::new(input.passwords[0]),
    };
    let tls = Tls {
        certificates: Vec::new(),
        ca_file: None,
        verify: true,
        map: true,
        timeout: std::time::Duration::ZERO,
        handshake_first: HandshakeFirst::No,
        min_version: TlsVersion::V1_2,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
        pinned_certs: None,
        connection_rate_limit: None,
    };
    Options {
        auth: Auth::Users(vec![
            user(named),
            user(Credentials::Nkey(KEYS[0].to_owned())),
        ]),
        no_auth_user: input.has_anonymous.then(|| input.names[0].to_owned()),
        trusted_proxies: if input.has_proxy {
            vec![KEYS[1].to_owned()]
        } else {
            Vec::new()
        },
        tls: input.maps.then_some(tls),
        ..Options::default()
    }
}

fn facts(certificate: &Certificate<'_>) -> CertificateFacts {
    let attribute = |(oid, value): &(u8, Option<&str>)| Attribute {
        oid: OIDS[usize::from(*oid) % OIDS.len()].to_owned(),
        value: value.map(str::to_owned),
    };
    let name = |attributes: &Vec<(u8, Option<&str>)>| attributes.iter().map(attribute).collect();
    CertificateFacts {
        emails: certificate
            .emails
            .iter()
            .map(|email| (*email).to_owned())
            .collect(),
        subject: certificate.subject.iter().map(name).collect(),
        ..CertificateFacts::default()
    }
}
