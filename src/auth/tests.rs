//! Who gets in, and who does not.

use super::*;
use crate::base::ids::{AccountId, ClientNumber};
use crate::base::origin::Peer;
use crate::config::authorization::{ConnectionType, Credentials, PeerRule};
use crate::config::tls::{HandshakeFirst, TlsVersion};
use crate::config::{Auth, Options, Secret, Tls, User};
use crate::protocol::connect::ConnectOptions;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use nkeys::KeyPair;
use std::time::Duration;

const CLIENT: ClientNumber = ClientNumber(7);

fn directory(change: impl FnOnce(&mut Options)) -> Directory {
    let mut options = Options::default();
    change(&mut options);
    Directory::new(&options, NonceKey::new([3; 32]))
}

fn user(name: &str, password: &str) -> User {
    User {
        credentials: Credentials::Password {
            name: name.to_owned(),
            password: Secret::new(password),
        },
        account: AccountId::GLOBAL,
        permissions: None,
        connection_types: None,
        proxy_required: false,
    }
}

fn nkey_user(key: &KeyPair) -> User {
    User {
        credentials: Credentials::Nkey(key.public_key()),
        ..user("", "")
    }
}

fn ask(directory: &Directory, json: &str) -> Verdict {
    let mut connect = ConnectOptions::default();
    connect.merge(json.as_bytes()).expect("json");
    let nonce = directory.nonce(CLIENT);
    directory.examine(&Claim {
        connect: &connect,
        nonce: nonce.as_ref(),
        connection_type: ConnectionType::Standard,
        certificate: None,
        peer: None,
    })
}

fn granted(directory: &Directory, json: &str) -> Option<Identity> {
    match ask(directory, json) {
        Verdict::Granted(identity) => Some(identity),
        Verdict::Refused(_) => None,
        Verdict::Check(check, identity) => check.run().then_some(identity),
    }
}

fn name_of(directory: &Directory, json: &str) -> Option<String> {
    match granted(directory, json)?.name? {
        Name::User(name) => Some(name.to_string()),
        Name::Nkey(key) => Some(key.to_string()),
    }
}

#[test]
fn without_users_everybody_gets_in() {
    let open = directory(|_| {});
    assert!(!open.wants_credentials() && open.nonce(CLIENT).is_none());
    for json in ["{}", r#"{"user":"x","pass":"y"}"#] {
        let identity = granted(&open, json).expect("everybody");
        assert_eq!(identity.account, AccountId::GLOBAL);
        assert!(identity.name.is_none() && identity.permissions.is_none());
    }
}

#[test]
fn one_user_or_one_token() {
    let single = directory(|options| {
        options.auth = Auth::UserPassword {
            user: "bob".to_owned(),
            password: Secret::new("secret"),
        };
    });
    assert!(single.wants_credentials() && single.announces_credentials());
    assert!(granted(&single, r#"{"user":"bob","pass":"secret"}"#).is_some());
    for wrong in [
        "{}",
        r#"{"user":"bob"}"#,
        r#"{"user":"bob","pass":"secre"}"#,
        r#"{"user":"bo","pass":"secret"}"#,
        r#"{"auth_token":"secret"}"#,
    ] {
        assert!(granted(&single, wrong).is_none(), "{wrong}");
    }
    let token = directory(|options| options.auth = Auth::Token(Secret::new("t")));
    assert!(granted(&token, r#"{"auth_token":"t","user":"whoever"}"#).is_some());
    assert!(granted(&token, r#"{"auth_token":"T"}"#).is_none());
    assert!(granted(&token, "{}").is_none());
}

#[test]
fn users_belong_to_their_accounts() {
    let users = directory(|options| {
        let other = User {
            account: AccountId(2),
            ..user("bob", "b")
        };
        options.auth = Auth::Users(vec![user("ann", "a"), other]);
    });
    let account = |json| granted(&users, json).map(|identity| identity.account);
    assert_eq!(
        account(r#"{"user":"ann","pass":"a"}"#),
        Some(AccountId::GLOBAL)
    );
    assert_eq!(account(r#"{"user":"bob","pass":"b"}"#), Some(AccountId(2)));
    for wrong in [
        r#"{"user":"bob","pass":"a"}"#,
        r#"{"user":"eve","pass":"a"}"#,
        r#"{"pass":"a"}"#,
        r#"{"user":""}"#,
    ] {
        assert_eq!(account(wrong), None, "{wrong}");
    }
}

#[test]
fn bcrypt_is_left_to_whoever_has_the_time() {
    let hash = bcrypt::hash("secret", 4).expect("a hash");
    let users = directory(|options| options.auth = Auth::Users(vec![user("ann", &hash)]));
    let right = r#"{"user":"ann","pass":"secret"}"#;
    assert!(matches!(ask(&users, right), Verdict::Check(..)));
    assert_eq!(name_of(&users, right).as_deref(), Some("ann"));
    let hash_itself = format!(r#"{{"user":"ann","pass":"{hash}"}}"#);
    assert_eq!(name_of(&users, &hash_itself), None);
    assert_eq!(name_of(&users, r#"{"user":"ann"}"#), None);
    // What four bits of the salt say does not matter.
    let (salt, rest) = hash.split_at("$2b$04$".len() + 21);
    let last = rest.chars().next().expect("a salt");
    let noisy = match last {
        '.' => "N",
        'O' => "d",
        'e' => "t",
        _ => "9",
    };
    let noisy = format!("{salt}{noisy}{}", &rest[1..]);
    let users_noisy = directory(|options| options.auth = Auth::Users(vec![user("ann", &noisy)]));
    assert_eq!(name_of(&users_noisy, right).as_deref(), Some("ann"));
    let damaged =
        directory(|options| options.auth = Auth::Token(Secret::new("$2a$04$damaged hash")));
    assert!(granted(&damaged, r#"{"auth_token":""}"#).is_none());
}

#[test]
fn an_nkey_user_signs_the_nonce() {
    let (key, other) = (KeyPair::new_user(), KeyPair::new_user());
    let users = directory(|options| options.auth = Auth::Users(vec![nkey_user(&key)]));
    let nonce = users.nonce(CLIENT).expect("a nonce");
    assert_eq!(nonce.as_str().len(), 15);
    assert_ne!(users.nonce(ClientNumber(8)), Some(nonce));
    let public = key.public_key();
    let signature = key.sign(nonce.as_bytes()).expect("a signature");
    let foreign = other.sign(nonce.as_bytes()).expect("a signature");
    let stale = key.sign(b"another nonce").expect("a signature");
    let say =
        |nkey: &str, sig: &str| name_of(&users, &format!(r#"{{"nkey":"{nkey}","sig":"{sig}"}}"#));
    for right in [
        BASE64URL_NOPAD.encode(&signature),
        BASE64.encode(&signature),
    ] {
        assert_eq!(say(&public, &right).as_ref(), Some(&public));
        assert_eq!(say(&other.public_key(), &right), None);
    }
    for wrong in [&foreign, &stale, &signature[..63].to_vec(), &Vec::new()] {
        assert_eq!(say(&public, &BASE64URL_NOPAD.encode(wrong)), None);
    }
    assert_eq!(say(&public, "%%%"), None);
    assert_eq!(say("", &BASE64URL_NOPAD.encode(&signature)), None);
}

#[test]
fn a_user_for_those_who_say_nothing() {
    let hash = bcrypt::hash("secret", 4).expect("a hash");
    let users = directory(|options| {
        options.auth = Auth::Users(vec![user("ann", "a"), user("guest", &hash)]);
        options.no_auth_user = Some("guest".to_owned());
    });
    assert!(users.wants_credentials() && !users.announces_credentials());
    assert_eq!(name_of(&users, "{}").as_deref(), Some("guest"));
    assert_eq!(
        name_of(&users, r#"{"user":"ann","pass":"a"}"#).as_deref(),
        Some("ann")
    );
    // Who says a name must prove it, the guest too.
    assert_eq!(name_of(&users, r#"{"user":"guest"}"#), None);
    assert_eq!(name_of(&users, r#"{"user":"ann"}"#), None);
    assert_eq!(name_of(&users, r#"{"pass":"x"}"#), None);
    assert!(users.greet(ConnectionType::Standard).is_some());
    let key = KeyPair::new_user();
    let keyed = directory(|options| {
        options.auth = Auth::Users(vec![user("ann", "a"), nkey_user(&key)]);
        options.no_auth_user = Some(key.public_key());
    });
    assert_eq!(name_of(&keyed, "{}"), Some(key.public_key()));
    assert!(keyed.greet(ConnectionType::Standard).is_none());
}

#[test]
fn some_users_may_only_come_by_certain_ways() {
    let only = |types: &[ConnectionType]| User {
        connection_types: Some(types.to_vec()),
        ..user("ann", "a")
    };
    for (types, may) in [
        (&[ConnectionType::Mqtt][..], false),
        (&[ConnectionType::Mqtt, ConnectionType::Standard], true),
    ] {
        let users = directory(|options| {
            options.auth = Auth::Users(vec![only(types)]);
            options.no_auth_user = Some("ann".to_owned());
        });
        assert_eq!(
            name_of(&users, r#"{"user":"ann","pass":"a"}"#).is_some(),
            may
        );
        assert_eq!(name_of(&users, "{}").is_some(), may);
        assert_eq!(users.greet(ConnectionType::Standard).is_some(), may);
    }
}

#[test]
fn a_proxy_vouches_for_some_users() {
    let (proxy, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let users = directory(|options| {
        let proxied = User {
            proxy_required: true,
            ..user("ann", "a")
        };
        options.auth = Auth::Users(vec![proxied, user("bob", "b")]);
        options.trusted_proxies = vec![KeyPair::new_user().public_key(), proxy.public_key()];
    });
    let nonce = users.nonce(CLIENT).expect("a nonce, for the proxies' sake");
    let sign = |key: &KeyPair| BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()).expect("signed"));
    let say = |name: &str, password: &str, sig: &str| {
        let json = format!(r#"{{"user":"{name}","pass":"{password}","proxy_sig":"{sig}"}}"#);
        match ask(&users, &json) {
            Verdict::Refused(why) => Some(why),
            _ => None,
        }
    };
    assert_eq!(say("ann", "a", &sign(&proxy)), None);
    assert_eq!(say("bob", "b", &sign(&proxy)), None);
    assert_eq!(say("bob", "b", ""), None);
    assert_eq!(say("ann", "a", ""), Some(Refusal::ProxyRequired));
    assert_eq!(
        say("bob", "b", &sign(&stranger)),
        Some(Refusal::ProxyNotTrusted)
    );
    assert_eq!(say("bob", "b", "%"), Some(Refusal::ProxyNotTrusted));
    assert_eq!(
        say("ann", "x", &sign(&proxy)),
        Some(Refusal::Credentials(""))
    );
}

#[test]
fn no_secret_is_printed() {
    let users = directory(|options| options.auth = Auth::Users(vec![user("ann", "hunter2")]));
    let mut connect = ConnectOptions::default();
    connect
        .merge(
            br#"{"pass":"hunter2","auth_token":"hunter2","sig":"hunter2","proxy_sig":"hunter2"}"#,
        )
        .expect("json");
    let printed = format!("{users:?} {connect:?} {:?}", NonceKey::new([b'x'; 32]));
    assert!(!printed.contains("hunter2") && !printed.contains("120, 120"));
}

#[test]
fn a_certificate_takes_the_place_of_a_name() {
    let users = directory(|options| {
        let mqtt = User {
            connection_types: Some(vec![ConnectionType::Mqtt]),
            ..user("x@x", "")
        };
        let users = vec![
            user("CN=ann, O=X", ""),
            user("ann", "a"),
            user("bob@x", "b"),
            mqtt,
        ];
        options.auth = Auth::Users(users);
        options.tls = Some(Tls {
            certificates: Vec::new(),
            ca_file: None,
            verify: true,
            map: true,
            timeout: Duration::ZERO,
            handshake_first: HandshakeFirst::No,
            min_version: TlsVersion::V1_2,
            cipher_suites: Vec::new(),
            curves: Vec::new(),
            pinned_certs: None,
            connection_rate_limit: None,
        });
    });
    let attribute = |oid: &str, value: &str| {
        vec![Attribute {
            oid: oid.to_owned(),
            value: Some(value.to_owned()),
        }]
    };
    let by_subject = CertificateFacts {
        emails: vec!["x@x".to_owned()],
        subject: vec![attribute("2.5.4.3", "ann"), attribute("2.5.4.10", "X")],
        ..CertificateFacts::default()
    };
    let by_email = CertificateFacts {
        emails: vec!["bob@x".to_owned()],
        ..by_subject.clone()
    };
    let say = |json: &str, certificate: Option<&CertificateFacts>| {
        let mut connect = ConnectOptions::default();
        connect.merge(json.as_bytes()).expect("json");
        let verdict = users.examine(&Claim {
            connect: &connect,
            nonce: None,
            connection_type: ConnectionType::Standard,
            certificate,
            peer: None,
        });
        match verdict {
            Verdict::Granted(identity) => identity.name,
            Verdict::Refused(_) | Verdict::Check(..) => None,
        }
    };
    let ann = Some(Name::User("CN=ann, O=X".into()));
    assert_eq!(say("{}", Some(&by_subject)), ann);
    assert_eq!(say(r#"{"user":"bob@x"}"#, Some(&by_subject)), ann);
    // A password that is configured must still be known.
    assert_eq!(say("{}", Some(&by_email)), None);
    let bob = Some(Name::User("bob@x".into()));
    assert_eq!(say(r#"{"pass":"b"}"#, Some(&by_email)), bob);
    // Without a certificate nobody gets in, whatever they say.
    assert_eq!(say(r#"{"user":"ann","pass":"a"}"#, None), None);
    assert_eq!(say("{}", Some(&CertificateFacts::default())), None);
}

#[test]
fn a_check_is_wanted_while_its_claimant_lives() {
    let token = directory(|options| options.auth = Auth::Token(Secret::new("$2a$04$x")));
    let Verdict::Check(mut check, _) = ask(&token, "{}") else {
        panic!("a hash is compared later");
    };
    assert!(!check.is_wanted());
    let claimant = check.claim();
    assert!(check.is_wanted() && check.clone().is_wanted());
    drop(claimant);
    assert!(!check.is_wanted());
}

#[test]
fn processes_are_users_by_the_kernels_word() {
    let process = |name: &str, of: Option<u32>, group: Option<u32>| User {
        credentials: Credentials::Process {
            name: name.to_owned(),
            rule: PeerRule { user: of, group },
        },
        ..user("", "")
    };
    let auth = Auth::Users(vec![
        user("ann", "p"),
        process("admin", Some(0), None),
        process("dba", Some(1000), Some(50)),
        process("staff", None, Some(20)),
        process("nobody", None, None),
    ]);
    let users = directory(|options| options.auth = auth.clone());
    let mapped = directory(|options| {
        options.auth = auth.clone();
        options.tls = Some(Tls {
            verify: true,
            map: true,
            ..Tls::default()
        });
    });
    let peer = |user, group, groups: &[u32]| Peer {
        pid: 1,
        user,
        group,
        groups: groups.to_vec(),
    };
    let certificate = CertificateFacts {
        emails: vec!["admin".to_owned()],
        ..CertificateFacts::default()
    };
    let who = |directory: &Directory, json: &str, peer: Option<&Peer>| {
        let mut connect = ConnectOptions::default();
        connect.merge(json.as_bytes()).expect("json");
        let verdict = directory.examine(&Claim {
            connect: &connect,
            nonce: None,
            connection_type: ConnectionType::Standard,
            // A connection is of one kind.
            certificate: peer.is_none().then_some(&certificate),
            peer,
        });
        match verdict {
            Verdict::Granted(identity) => match identity.name {
                Some(Name::User(name)) => name.to_string(),
                other => panic!("{other:?} is no user"),
            },
            _ => "-".to_owned(),
        }
    };
    let (root, both) = (peer(0, 0, &[]), peer(1000, 7, &[20, 50]));
    let (half, stranger) = (peer(1000, 20, &[]), peer(1001, 7, &[]));
    for (json, from, wanted) in [
        ("{}", Some(&root), "admin"),
        ("{}", Some(&both), "dba"),
        (r#"{"user":"staff"}"#, Some(&both), "staff"),
        ("{}", Some(&half), "staff"),
        (r#"{"user":"dba"}"#, Some(&half), "-"),
        (r#"{"user":"admin"}"#, Some(&both), "-"),
        ("{}", Some(&stranger), "-"),
        (r#"{"user":"nobody"}"#, Some(&stranger), "-"),
        ("{}", None, "-"),
        (r#"{"user":"admin"}"#, None, "-"),
        (r#"{"user":"admin","pass":""}"#, None, "-"),
    ] {
        assert_eq!(who(&users, json, from), wanted, "{json} {from:?}");
        assert_eq!(who(&mapped, json, from), wanted, "mapped: {json} {from:?}");
    }
    let ann = r#"{"user":"ann","pass":"p"}"#;
    assert_eq!(who(&users, ann, Some(&root)), "ann");
    assert_eq!(
        who(&mapped, ann, Some(&root)),
        "-",
        "users of certificates have no passwords that count"
    );
    // Whoever forgets that the configuration refuses it lets nobody in.
    let open = directory(|options| {
        options.auth = auth.clone();
        options.no_auth_user = Some("admin".to_owned());
    });
    assert_eq!(who(&open, "{}", None), "-");
    assert!(open.greet(ConnectionType::Standard).is_none());
}
