//! What every account may ask the server: services that the system account exports and all accounts import, without
//! anybody writing so (nats-server `addSystemAccountExports`, `registerSystemImports`).
//!
//! Invariants
//! - What an operator has written for one of these subjects stands; nothing comes in beside it.
//! - An account asks of itself only: the server puts its name into the subject that the system account sees.
//! - They are kept once, not per account, and cost nothing for messages of other subjects than `$SYS.…`.

use super::export::{ExportId, ServiceExport};
use super::service::ServiceImport;
use super::{Account, Accounts};
use crate::base::ids::AccountId;
use crate::config::account::{RESPONSE_THRESHOLD, ResponseKind};
use crate::subject::Pattern;

/// The imports that all accounts have. Their numbers come after all others an account could have.
#[derive(Debug, Default)]
pub(super) struct SystemServices(Vec<(&'static Service, ServiceImport)>);

/// A service of the system account.
#[derive(Debug)]
pub(super) struct Service {
    /// With a wildcard where the name of the asking account is.
    exported: &'static str,
    responses: ResponseKind,
    /// Which token that is; 0 where nobody looks.
    account_token_position: usize,
    /// What accounts call it; none where accounts import it only if they say so.
    local: &'static [&'static str],
    /// Whether the server learns who asks.
    share: bool,
}

const SERVICES: [Service; 4] = [
    Service {
        exported: "$SYS.REQ.ACCOUNT.*.CONNZ",
        responses: ResponseKind::Stream,
        account_token_position: 4,
        local: &["$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.SERVER.PING.CONNZ"],
        share: false,
    },
    Service {
        exported: "$SYS.REQ.ACCOUNT.*.STATZ",
        responses: ResponseKind::Stream,
        account_token_position: 4,
        local: &["$SYS.REQ.ACCOUNT.PING.STATZ"],
        share: false,
    },
    Service {
        exported: "$SYS.DEBUG.SUBSCRIBERS",
        responses: ResponseKind::Singleton,
        account_token_position: 0,
        local: &[],
        share: false,
    },
    Service {
        exported: "$SYS.REQ.USER.*.INFO",
        responses: ResponseKind::Singleton,
        account_token_position: 0,
        local: &[USER_INFO],
        share: true,
    },
];
/// The one service that the system account asks itself, too.
const USER_INFO: &str = "$SYS.REQ.USER.INFO";
/// How the names of all of them begin.
const PREFIX: &[u8] = b"$SYS.REQ.";
/// The number of the first of them among the imports of an account.
const FIRST: usize = 1 << 32;

impl Accounts {
    /// Lets every account ask the system account what it may ask.
    #[must_use]
    pub fn with_system_services(mut self) -> Accounts {
        let (system, generation) = (self.system, self.generation);
        let Some(exporter) = self.list.get_mut(system.index()) else {
            return self;
        };
        let imports = SERVICES.iter().flat_map(|service| {
            let export = exporter.exports.add_service(
                service.exported,
                service.account_token_position,
                ServiceExport {
                    responses: service.responses,
                    response_threshold: RESPONSE_THRESHOLD,
                    latency: None,
                    allow_trace: false,
                },
            );
            let export = ExportId::new(system, export, generation);
            service.local.iter().map(move |local| {
                let import = ServiceImport::of_all(local, service.exported, service.share, export);
                (service, import)
            })
        });
        self.system_services = SystemServices(imports.collect());
        self
    }

    /// Calls `found` with the services that `account` asks with messages of `subject`: with their numbers, and with what
    /// that is called there.
    pub fn services_for(
        &self,
        account: AccountId,
        subject: &[u8],
        found: &mut impl FnMut(usize, &[u8]),
    ) {
        let Some(asking) = self.get(account) else {
            return;
        };
        asking.services.matching(subject, found);
        if !subject.starts_with(PREFIX) {
            return;
        }
        for (index, (_, import)) in self.system_services.0.iter().enumerate() {
            if import.here() == subject
                && let Some(there) = self.system_subject(account, asking, import)
            {
                found(FIRST + index, &there);
            }
        }
    }

    /// The service import of an account with this number.
    pub fn service(&self, account: AccountId, number: usize) -> Option<&ServiceImport> {
        match number.checked_sub(FIRST) {
            None => self.get(account)?.services.get(number),
            Some(index) => self.system_services.0.get(index).map(|(_, import)| import),
        }
    }

    /// The services that an account asks though it does not say so: what they are called there, what here, and whether
    /// the server learns who asks.
    pub fn system_services_of(&self, account: AccountId) -> Vec<(String, &'static str, bool)> {
        let Some(asking) = self.get(account) else {
            return Vec::new();
        };
        let all = self.system_services.0.iter();
        let asked = all.filter_map(|(service, import)| {
            let local = service
                .local
                .iter()
                .find(|local| local.as_bytes() == import.here())?;
            let there = self.system_subject(account, asking, import)?;
            let there = String::from_utf8(there).ok()?;
            Some((there, *local, service.share))
        });
        asked.collect()
    }

    /// The services that the system account exports though it does not say so, and whether they answer more than once.
    pub fn system_exports(&self) -> impl Iterator<Item = (&'static str, ResponseKind)> {
        let system = self.get(self.system);
        SERVICES.iter().filter_map(move |service| {
            let has = system?.exports.has_added(service.exported);
            has.then_some((service.exported, service.responses))
        })
    }

    /// What a service is called in the system account when `asking` asks; `None` when it may not, has one of its own by
    /// that name, or has a name that no subject can have.
    fn system_subject(
        &self,
        account: AccountId,
        asking: &Account,
        import: &ServiceImport,
    ) -> Option<Vec<u8>> {
        let here = import.here();
        let is_asked = account != self.system || here == USER_INFO.as_bytes();
        if !is_asked || asking.services.has_literal(here) || !is_token(&asking.name) {
            return None;
        }
        let there = std::str::from_utf8(import.there()).ok()?;
        let there = there.replacen('*', &asking.name, 1);
        let exports = &self.get(self.system)?.exports;
        let export = exports.service_for(&there, account, &asking.name)?;
        // An operator's own export of the same may be for a few only.
        (ExportId::new(self.system, export, self.generation) == import.export)
            .then(|| there.into_bytes())
    }
}

fn is_token(name: &str) -> bool {
    let is_plain = !name.contains(|c: char| c == '.' || c.is_whitespace());
    is_plain && Pattern::new(name.as_bytes()).is_some_and(Pattern::is_literal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::account::{Export, ExportKind, Import, ImportKind};

    fn compiled(names: &[&str], change: impl FnOnce(&mut Vec<config::Account>)) -> Accounts {
        let mut list = config::account::predefined();
        list.extend(names.iter().map(|name| config::Account {
            name: (*name).to_owned(),
            ..config::Account::default()
        }));
        change(&mut list);
        let accounts = Accounts::compile(&list, AccountId::SYSTEM).expect("valid");
        accounts.with_system_services()
    }

    fn there(accounts: &Accounts, account: u16, subject: &str) -> Vec<String> {
        let mut all = Vec::new();
        accounts.services_for(
            AccountId(account),
            subject.as_bytes(),
            &mut |number, there| {
                let import = accounts.service(AccountId(account), number);
                assert_eq!(import.expect("it is there").from, AccountId::SYSTEM);
                all.push(String::from_utf8_lossy(there).into_owned());
            },
        );
        all
    }

    fn export(subject: &str, accounts: Option<Vec<AccountId>>) -> Export {
        Export {
            subject: subject.to_owned(),
            accounts,
            account_token_position: 0,
            kind: ExportKind::Service {
                responses: ResponseKind::Singleton,
                response_threshold: RESPONSE_THRESHOLD,
                latency: None,
            },
            allow_trace: false,
        }
    }

    #[test]
    fn every_account_asks_for_itself_and_the_system_account_for_its_users_only() {
        let accounts = compiled(&["A"], |_| {});
        for (account, subject, expected) in [
            (2, "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.A.CONNZ"),
            (2, "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT.A.CONNZ"),
            (2, "$SYS.REQ.ACCOUNT.PING.STATZ", "$SYS.REQ.ACCOUNT.A.STATZ"),
            (2, "$SYS.REQ.USER.INFO", "$SYS.REQ.USER.A.INFO"),
            (0, "$SYS.REQ.USER.INFO", "$SYS.REQ.USER.$G.INFO"),
            (1, "$SYS.REQ.USER.INFO", "$SYS.REQ.USER.$SYS.INFO"),
        ] {
            assert_eq!(there(&accounts, account, subject), [expected], "{subject}");
        }
        for (account, subject) in [
            (1, "$SYS.REQ.ACCOUNT.PING.CONNZ"),
            (1, "$SYS.REQ.SERVER.PING.CONNZ"),
            (2, "$SYS.REQ.ACCOUNT.$G.CONNZ"),
            (2, "$SYS.REQ.SERVER.PING.VARZ"),
            (2, "$SYS.DEBUG.SUBSCRIBERS"),
            (9, "$SYS.REQ.USER.INFO"),
        ] {
            assert_eq!(there(&accounts, account, subject), [""; 0], "{subject}");
        }
        assert_eq!(accounts.system_services_of(AccountId(2)).len(), 4);
        assert_eq!(accounts.system_exports().count(), 4);
    }

    #[test]
    fn what_is_written_stands() {
        let few = Some(vec![AccountId(2)]);
        let accounts = compiled(&["A", "B"], |list| {
            list[1].exports = vec![export("$SYS.REQ.ACCOUNT.*.*", few), export("mine", None)];
            list[2].imports.push(Import {
                from: AccountId::SYSTEM,
                subject: "mine".to_owned(),
                kind: ImportKind::Service {
                    to: Some(USER_INFO.to_owned()),
                    share: false,
                },
                allow_trace: false,
            });
        });
        assert_eq!(there(&accounts, 2, USER_INFO), ["mine"]);
        assert_eq!(
            there(&accounts, 2, "$SYS.REQ.ACCOUNT.PING.STATZ"),
            ["$SYS.REQ.ACCOUNT.A.STATZ"]
        );
        assert_eq!(there(&accounts, 3, "$SYS.REQ.ACCOUNT.PING.STATZ"), [""; 0]);
        assert_eq!(there(&accounts, 3, USER_INFO), ["$SYS.REQ.USER.B.INFO"]);
    }

    #[test]
    fn names_that_are_no_tokens_and_servers_without_the_services_ask_nothing() {
        let accounts = compiled(&["a.b", "a b", "*", ">"], |_| {});
        for account in 2..6 {
            assert_eq!(there(&accounts, account, USER_INFO), [""; 0]);
        }
        let list = config::account::predefined();
        let accounts = Accounts::compile(&list, AccountId::SYSTEM).expect("valid");
        assert_eq!(there(&accounts, 0, USER_INFO), [""; 0]);
        assert_eq!(accounts.system_exports().count(), 0);
    }
}
