//! Answers requests, one after another.
//!
//! Who gets an answer, what is in it, and what is passed over in silence are nats-server's (`events.go`).

use super::AskReload;
use super::catalogue::{self, OfAccount, Service};
use super::conversation::Asked;
use super::envelope::{Content, Sender, json, object};
use super::go_json;
use super::options::{Form, Kind, Options};
use super::user::UserInfo;
use crate::base::ids::{AccountId, ClientNumber};
use crate::base::log::{Level, Record};
use crate::monitor::{AccountStat, Page, Site};
use crate::protocol::client_info::ClientInfo;
use crate::protocol::encoding::{ACCEPT_ENCODING, CONTENT_ENCODING, Encoding};
use crate::protocol::event::{EventKind, EventServer, Heading};
use crate::protocol::headers;
use crate::shard::errand::{Errand, Outcome};
use crate::shard::survey::WantedSubscriptions;
use crate::subject::Pattern;
use data_encoding::BASE64;
use serde::Serialize;
use std::rc::Rc;
use tokio::sync::oneshot;

/// Knows all the answers.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) site: Rc<Site>,
    pub(super) sender: Sender,
    services: Vec<Service>,
    reload: AskReload,
}

/// A message to be published.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) subject: String,
    pub(super) headers: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// What a request's body comes to.
enum Reading {
    /// Another server is meant.
    Elsewhere,
    Wrong(String),
    Meant(Options),
}

/// The event about how many clients an account has.
#[derive(Serialize)]
struct AccountConnections<'a> {
    #[serde(flatten)]
    heading: Heading<'a>,
    server: EventServer<'a>,
    #[serde(flatten)]
    stat: &'a AccountStat<'a>,
}

impl Publication {
    pub(super) fn plain(subject: &str, body: Vec<u8>) -> Publication {
        Publication {
            subject: subject.to_owned(),
            headers: Vec::new(),
            body,
        }
    }
}

impl Desk {
    pub(super) fn new(site: Rc<Site>, sender: Sender, reload: AskReload) -> Desk {
        Desk {
            site,
            sender,
            services: Vec::new(),
            reload,
        }
    }

    /// The subjects to subscribe to.
    pub(super) fn subjects(&mut self) -> Vec<String> {
        let all = catalogue::all(&self.site.facts().info.server_id);
        let (subjects, services) = all.into_iter().unzip();
        self.services = services;
        subjects
    }

    /// Which service is asked.
    pub(super) fn service(&self, asked: &Asked) -> Option<Service> {
        self.services.get(asked.subscription).copied()
    }

    /// Answers a request to a service, if there is an answer.
    pub(super) async fn answer(&self, service: Service, asked: &Asked) -> Option<Publication> {
        if asked.reply.is_empty() {
            return None;
        }
        let body = match service {
            Service::Id => self.id(),
            Service::Statistics => return self.statistics(&asked.reply, &asked.body).await,
            Service::OfAccount(OfAccount::Connections) => self.connections(asked).await?,
            Service::SubscriptionCount => self.subscription_count(&asked.body).await?,
            Service::Subscribers => self.subscribers(asked).await?,
            Service::UserInfo => self.sender.answer(&self.site, &self.user_info(asked).await),
            _ => return self.answer_in_envelope(service, asked).await,
        };
        Some(Publication::plain(&asked.reply, body))
    }

    async fn answer_in_envelope(&self, service: Service, asked: &Asked) -> Option<Publication> {
        if matches!(service, Service::Kick | Service::Warn)
            && let Err(why) = client_in(&asked.body)
        {
            self.complain(&format!("Error unmarshalling kick client request: {why}"));
            return None;
        }
        let content = match self.read(&form_of(service), &asked.body) {
            Reading::Elsewhere => return None,
            Reading::Wrong(text) => Content::BadRequest(text),
            Reading::Meant(options) => self.content(service, asked, options).await?,
        };
        let is_plain = matches!(content, Content::Data(_) | Content::Done);
        // A reload may have changed what the server says of itself.
        let body = self.sender.answer(&self.site.refreshed(), &content);
        let encoding = is_plain.then(|| accepted(&asked.headers)).flatten();
        let Some(encoding) = encoding else {
            return Some(Publication::plain(&asked.reply, body));
        };
        let (body, used) = encoding.apply(body, usize::MAX);
        Some(Publication {
            subject: asked.reply.clone(),
            headers: headers::with(b"", CONTENT_ENCODING, used.name().as_bytes()),
            body,
        })
    }

    fn read(&self, form: &Form, body: &[u8]) -> Reading {
        let info = &self.site.facts().info;
        match form.read(body) {
            Err(text) => Reading::Wrong(text),
            Ok(options) => {
                let filter = &options.filter;
                match filter.takes(&info.server_name, &info.host, &info.labels) {
                    true => Reading::Meant(options),
                    false => Reading::Elsewhere,
                }
            }
        }
    }

    /// What an answer holds; none where nats-server says nothing.
    async fn content(
        &self,
        service: Service,
        asked: &Asked,
        mut options: Options,
    ) -> Option<Content> {
        Some(match service {
            Service::Page(page) => self.page(page, &options).await,
            Service::Profile => profile(options.text("name")),
            Service::Reload => self.reload().await,
            Service::Kick => self.kick(&asked.body).await,
            Service::Warn => self.warn(&asked.body).await,
            Service::AllAccounts => return self.account_statistics(&options, None).await,
            Service::OfAccount(what) => {
                let account = account_in(&asked.subject)?;
                match what {
                    OfAccount::Page(page) => {
                        let about = vec![account.to_owned()];
                        options.arguments.insert("acc", about);
                        if page == Page::Subsz {
                            options.arguments.insert("subs", vec!["true".to_owned()]);
                        }
                        self.page(page, &options).await
                    }
                    OfAccount::Jetstream => Content::NoData("jetstream not enabled".to_owned()),
                    OfAccount::Info => match self.site.account_in_full(account).await {
                        Ok(data) => Content::Data(data),
                        Err(text) => Content::NoData(text),
                    },
                    // This subject is that of all accounts, too.
                    OfAccount::Statistics if account == "PING" => return None,
                    OfAccount::Statistics => {
                        return self.account_statistics(&options, Some(account)).await;
                    }
                    OfAccount::Connections => return None,
                }
            }
            Service::Id
            | Service::Statistics
            | Service::SubscriptionCount
            | Service::Subscribers
            | Service::UserInfo => return None,
        })
    }

    async fn page(&self, page: Page, options: &Options) -> Content {
        match self.site.answer_for(page, &options.arguments).await {
            Ok(data) => Content::Data(data),
            Err(text) => Content::NoData(text),
        }
    }

    async fn account_statistics(&self, options: &Options, of: Option<&str>) -> Option<Content> {
        let listed = options.arguments.get("acc").cloned().unwrap_or_default();
        let names = of.map_or(listed, |name| vec![name.to_owned()]);
        let with_unused = !options.text("unused").is_empty();
        match self.site.account_statistics(&names, with_unused).await {
            Ok(page) => page.map(Content::Data),
            Err(text) => Some(Content::NoData(text)),
        }
    }

    fn id(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Id<'a> {
            name: &'a str,
            host: &'a str,
            id: &'a str,
        }
        let info = &self.site.facts().info;
        json(&Id {
            name: &info.server_name,
            host: &info.host,
            id: &info.server_id,
        })
    }

    /// The statistics of the server, for `subject`.
    pub(super) async fn statistics(&self, subject: &str, body: &[u8]) -> Option<Publication> {
        let body = match self.read(&catalogue::STATISTICS, body) {
            Reading::Elsewhere => return None,
            Reading::Wrong(text) => self.sender.answer(&self.site, &Content::BadRequest(text)),
            Reading::Meant(_) => {
                let statistics = self.heard(self.site.statistics().await)?;
                let server = self.sender.server(&self.site);
                object(&[("server", server), ("statsz", statistics)])
            }
        };
        Some(Publication::plain(subject, body))
    }

    async fn reload(&self) -> Content {
        let (reply, outcome) = oneshot::channel();
        (self.reload)(reply);
        match outcome.await {
            Ok(Ok(())) => Content::Done,
            Ok(Err(text)) => Content::Failed(text),
            Err(_) => Content::Failed("server is not running".to_owned()),
        }
    }

    async fn kick(&self, body: &[u8]) -> Content {
        let client = client_in(body).unwrap_or(NOBODY);
        match self.site.run_for(client, Errand::Kick).await {
            Ok(Outcome::Nobody) => Content::Failed("no such client or leafnode id".to_owned()),
            Ok(_) => Content::Done,
            Err(text) => Content::Failed(text),
        }
    }

    async fn warn(&self, body: &[u8]) -> Content {
        let client = client_in(body).unwrap_or(NOBODY);
        match self.site.run_for(client, Errand::Warn).await {
            Ok(Outcome::Nobody) => Content::Failed("no such client id".to_owned()),
            Ok(Outcome::NotReady) => Content::Failed(
                "client does not support Lame Duck Mode or is not ready to receive the notification"
                    .to_owned(),
            ),
            Ok(_) => Content::Done,
            Err(text) => Content::Failed(text),
        }
    }

    /// How many clients an account has, if it has any.
    async fn connections(&self, asked: &Asked) -> Option<Vec<u8>> {
        const REQUEST: Form = Form {
            name: "accNumConnsReq",
            fields: &[("acc", Kind::Text, "acc")],
        };
        let name = account_in(&asked.subject)?;
        let options = match REQUEST.read(&asked.body) {
            Ok(options) => options,
            Err(why) => {
                self.complain(&format!(
                    "Error unmarshalling account connections request message: {why}"
                ));
                return None;
            }
        };
        if options.arguments.contains_key("acc") && options.text("acc") != name {
            self.complain("Error unmarshalled account does not match subject");
            return None;
        }
        let account = self.account_named(name)?;
        let figures = self.heard(self.site.figures_of(&[account]).await)?;
        let (_, stat) = figures.first()?;
        (stat.connections() > 0).then(|| self.account_event(stat))
    }

    /// The event about how many clients an account has.
    pub(super) fn account_event(&self, stat: &AccountStat<'_>) -> Vec<u8> {
        let time = Sender::time(&self.site);
        json(&AccountConnections {
            heading: Heading {
                kind: EventKind::AccountConnections,
                id: &self.sender.event_name(),
                timestamp: &time,
            },
            server: self.sender.stamp(&self.site, &time),
            stat,
        })
    }

    async fn subscription_count(&self, body: &[u8]) -> Option<Vec<u8>> {
        const REQUEST: Form = Form {
            name: "accNumSubsReq",
            fields: &[
                ("acc", Kind::Text, "acc"),
                ("subject", Kind::Text, "subject"),
                ("queue", Kind::Text, "queue"),
            ],
        };
        if body.is_empty() {
            self.complain("request requires a body");
            return None;
        }
        let options = REQUEST.read(body);
        let queue = |options: &Options| BASE64.decode(options.text("queue").as_bytes());
        let (options, queue) = match options.map(|options| (queue(&options), options)) {
            Ok((Ok(queue), options)) => (options, queue),
            Ok((Err(why), _)) => {
                self.complain(&format!(
                    "Error unmarshalling account nsubs request message: {why}"
                ));
                return None;
            }
            Err(why) => {
                self.complain(&format!(
                    "Error unmarshalling account nsubs request message: {why}"
                ));
                return None;
            }
        };
        let account = self.account_named(options.text("acc"))?;
        let facts = self.site.facts();
        let has_clients = facts.accounts.get(account)?.connections() > 0;
        if !has_clients {
            return None;
        }
        let queue = Some(queue).filter(|queue| !queue.is_empty());
        let count = self.count(account, options.text("subject"), queue).await?;
        Some(count.to_string().into_bytes())
    }

    async fn subscribers(&self, asked: &Asked) -> Option<Vec<u8>> {
        let requester = requester(&asked.headers).ok()?;
        let name = match (&*requester.service, &*requester.account) {
            ("", "") => None,
            ("", account) => Some(account),
            (service, _) => Some(service),
        };
        let account = match name {
            Some(name) => self.account_named(name)?,
            None => self.site.facts().options.system_account,
        };
        let text = String::from_utf8_lossy(&asked.body);
        let mut words = text.trim().split(' ');
        let subject = words.next().unwrap_or_default();
        let queue = words.next().map(|queue| queue.as_bytes().to_vec());
        let count = match queue {
            // No group is called that; nats-server looks for it nevertheless.
            Some(queue) if queue.is_empty() => 0,
            queue => self.count(account, subject, queue).await?,
        };
        Some(count.to_string().into_bytes())
    }

    /// How many subscriptions of an account messages of `subject` reach; of a pattern, how many lie within it.
    async fn count(
        &self,
        account: AccountId,
        subject: &str,
        queue: Option<Vec<u8>>,
    ) -> Option<usize> {
        let subject: Box<[u8]> = subject.as_bytes().into();
        let is_literal = Pattern::new(&subject).is_none_or(Pattern::is_literal);
        let (literal, pattern) = if is_literal {
            (Some(subject), None)
        } else {
            (None, Some(subject))
        };
        let wanted = WantedSubscriptions {
            account: Some(account),
            subject: literal,
            within: pattern,
            queue: queue.map(Into::into),
            ..WantedSubscriptions::default()
        };
        self.heard(self.site.subscribers(wanted).await)
    }

    async fn user_info(&self, asked: &Asked) -> Content {
        let Ok(requester) = requester(&asked.headers) else {
            return Content::BadRequest(String::new());
        };
        let permissions = match requester.id {
            0 => Ok(Outcome::Nobody),
            id => {
                self.site
                    .run_for(ClientNumber(id), Errand::Permissions)
                    .await
            }
        };
        let permissions = match permissions {
            Ok(Outcome::Permissions(permissions)) => permissions,
            Ok(_) => None,
            Err(text) => return Content::Failed(text),
        };
        let account_name = self.account_named(&requester.account);
        let account_name = account_name.map_or("", |_| &requester.account);
        Content::Data(json(&UserInfo {
            user: &requester.user,
            account: &requester.account,
            account_name,
            permissions: permissions.map(Into::into),
        }))
    }

    fn account_named(&self, name: &str) -> Option<AccountId> {
        self.site.account_named(name).map(|(id, _)| id)
    }

    /// What came, or a line in the log that it did not.
    pub(super) fn heard<T>(&self, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|why| self.complain(&why)).ok()
    }

    pub(super) fn complain(&self, text: &str) {
        let record = Record::new(Level::Error, format!("SYSTEM - {text}"));
        self.site.facts().logger.log(record);
    }
}

/// What the body of a request to a service may say.
fn form_of(service: Service) -> Form {
    match service {
        Service::Page(page) | Service::OfAccount(OfAccount::Page(page)) => catalogue::form(page),
        Service::Profile => catalogue::PROFILE,
        Service::AllAccounts | Service::OfAccount(OfAccount::Statistics) => {
            catalogue::ACCOUNT_STATISTICS
        }
        Service::OfAccount(OfAccount::Info) => catalogue::ACCOUNT_INFO,
        Service::OfAccount(OfAccount::Jetstream) => catalogue::form(Page::Jsz),
        _ => catalogue::ORDER,
    }
}

/// There are no profiles here.
fn profile(name: &str) -> Content {
    #[derive(Serialize)]
    struct Profile {
        profile: Option<()>,
        error: String,
    }
    let error = match name {
        "" => "Profile name not specified".to_owned(),
        name => format!("Profile {name:?} not found"),
    };
    Content::Data(json(&Profile {
        profile: None,
        error,
    }))
}

/// The account that a subject names.
fn account_in(subject: &str) -> Option<&str> {
    let tokens: Vec<&str> = subject.split('.').collect();
    match tokens[..] {
        [_, _, _, account, _] => Some(account),
        _ => None,
    }
}

/// The client that a body names.
fn client_in(body: &[u8]) -> Result<ClientNumber, String> {
    const REQUEST: Form = Form {
        name: "KickClientReq",
        fields: &[("cid", Kind::Unsigned, "cid")],
    };
    if body.is_empty() {
        // Go's text for no JSON at all.
        return go_json::read(body).map(|_| NOBODY);
    }
    let options = REQUEST.read(body)?;
    Ok(options.text("cid").parse().map_or(NOBODY, ClientNumber))
}

/// Who asks, as far as the broker has said so. Whoever asks in the system account itself has not been introduced.
///
/// # Errors
/// When there are headers, and that one is not among them.
fn requester(block: &[u8]) -> Result<ClientInfo, ()> {
    if block.is_empty() {
        return Ok(ClientInfo::default());
    }
    let found = headers::iter(block).find(|(name, _)| *name == REQUEST_INFO);
    let (_, value) = found.ok_or(())?;
    serde_json::from_slice(value).map_err(|_| ())
}

/// How the requester would like its answer to be written, if it has said so.
fn accepted(block: &[u8]) -> Option<Encoding> {
    let name = ACCEPT_ENCODING.as_bytes();
    let (_, value) = headers::iter(block).find(|(known, _)| *known == name)?;
    let value = String::from_utf8_lossy(value);
    (!value.is_empty()).then(|| Encoding::accepted(&value))
}

/// No client has it.
const NOBODY: ClientNumber = ClientNumber(0);
const REQUEST_INFO: &[u8] = b"Nats-Request-Info";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_read_from_the_headers() {
        assert_eq!(requester(b""), Ok(ClientInfo::default()));
        assert_eq!(requester(b"NATS/1.0\r\nA: b\r\n\r\n"), Err(()));
        assert_eq!(
            requester(b"NATS/1.0\r\nNats-Request-Info: {\r\n\r\n"),
            Err(())
        );
        let block = b"NATS/1.0\r\nNats-Request-Info: {\"acc\":\"A\",\"id\":7}\r\n\r\n";
        let info = requester(block).expect("introduced");
        assert_eq!((info.account.as_str(), info.id), ("A", 7));
    }

    #[test]
    fn clients_are_named_by_number() {
        assert_eq!(client_in(br#"{"cid":5}"#), Ok(ClientNumber(5)));
        assert_eq!(client_in(b"{}"), Ok(NOBODY));
        let text = client_in(b"").expect_err("nothing");
        assert_eq!(text, "unexpected end of JSON input");
        assert!(client_in(br#"{"cid":"5"}"#).is_err());
    }

    #[test]
    fn encodings_are_taken_as_they_are_spelled() {
        let block = |value: &str| format!("NATS/1.0\r\nAccept-Encoding: {value}\r\n\r\n");
        for (value, encoding) in [
            ("gzip", Some(Encoding::Gzip)),
            ("GZIP, deflate", Some(Encoding::Gzip)),
            ("S2", Some(Encoding::Snappy)),
            ("deflate", Some(Encoding::Identity)),
            ("", None),
        ] {
            assert_eq!(accepted(block(value).as_bytes()), encoding, "{value}");
        }
        assert_eq!(accepted(b"NATS/1.0\r\naccept-encoding: gzip\r\n\r\n"), None);
    }
}
