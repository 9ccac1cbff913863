//! Whole configurations: no panic, the same options for the same bytes, and options in which everything fits together.
//!
//! `scripts/fuzz-smoke` begins with the files of `tests/config`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline::config::account::ImportKind;
use trunkline::config::language::Surroundings;
use trunkline::config::{Action, Auth, FileRequest, Identity, Options, parse_command_line};
use trunkline::subject::Pattern;

struct OneFile<'a>(&'a [u8]);

impl Surroundings for OneFile<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "a" => Ok(self.0.to_vec()),
            _ => Err(format!("open {path}: no such file or directory")),
        }
    }

    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}

fn request() -> FileRequest {
    let words = ["-c", "a"].map(Into::into);
    match parse_command_line(&Identity::from_argument_zero(None), &words) {
        Ok(Action::Configure(request)) => *request,
        other => panic!("{other:?}"),
    }
}

/// What nobody checks again behind the configuration.
fn check(options: &Options) {
    let accounts = &options.accounts;
    assert_eq!(
        (accounts[0].name.as_str(), accounts[1].name.as_str()),
        ("$G", "$SYS")
    );
    assert!(options.system_account.index() < accounts.len());
    for account in accounts {
        for export in &account.exports {
            assert!(Pattern::new(export.subject.as_bytes()).is_some());
            for importer in export.accounts.iter().flatten() {
                assert!(importer.index() < accounts.len());
            }
        }
        for import in &account.imports {
            assert!(import.from.index() < accounts.len());
            let (ImportKind::Stream { to } | ImportKind::Service { to, .. }) = &import.kind;
            let local = to.as_ref().unwrap_or(&import.subject);
            assert!(Pattern::new(local.as_bytes()).is_some());
        }
    }
    if let Auth::Users(users) = &options.auth {
        assert!(
            users
                .iter()
                .all(|user| user.account.index() < accounts.len())
        );
        let guest = options.no_auth_user.as_ref();
        assert!(guest.is_none_or(|name| users.iter().any(|user| user.is_called(name))));
    }
    assert!(
        options
            .tls
            .as_ref()
            .is_none_or(|tls| !tls.certificates.is_empty())
    );
}

fuzz_target!(|file: &[u8]| {
    let request = request();
    match request.configure(&OneFile(file)) {
        Ok(configured) => {
            check(&configured.options);
            let again = request.configure_again(&OneFile(file), &configured.options.accounts);
            let again = again.expect("what was right is right again").options;
            assert_eq!(again, configured.options);
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "a refusal says why");
            for fault in faults {
                assert!(
                    !fault.to_string().contains('\u{1b}'),
                    "control characters are not shown"
                );
            }
        }
    }
});
