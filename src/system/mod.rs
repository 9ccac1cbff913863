//! What the server tells of itself in its system account, and what it answers there: `$SYS`. *Control path.*
//!
//! The service is a client of the system account that lives in the process: one end of a pair of sockets is with shard 0,
//! which hosts it (`Client::reside`), the other one here, on the thread that also serves the monitor's pages. So
//! subscriptions, imports, queue groups and order are everybody's, and nothing on a message's path knows of it.
//!
//! What happens to one client (it comes, goes, is refused) is not told here but by the shard where it happens
//! (`session::client::events`).
//!
//! Invariants
//! - Requests are answered one after another, from what the shards say for the monitor's pages. Who asks for more than can
//!   be answered makes the connection overflow: it is closed, begun anew, and what was asked is lost.
//! - Nothing is told at intervals that nobody wants.
//! - When the server goes, the last that is told leaves before any client is closed.
//!
//! | file | what |
//! |---|---|
//! | `conversation` | the protocol, from the client's end |
//! | `catalogue` | which subjects have answers, and what bodies they take |
//! | `desk` | the answers |
//! | `envelope` | what all answers look like |
//! | `options`, `go_json` | bodies of requests, and Go's words for what is wrong with them |
//! | `user` | what a user may know of itself |
//! | `cadence`, `heartbeat` | what is told at intervals |

mod cadence;
mod catalogue;
mod conversation;
mod desk;
mod envelope;
mod go_json;
mod heartbeat;
mod options;
mod user;

use crate::base::ids::{AccountId, ShardId};
use crate::base::sequence::Sequence;
use crate::monitor::{Beside, Site};
use crate::runtime::account_changes::AccountChanges;
use crate::runtime::doorbell::Doorbells;
use crate::runtime::thread::Directive;
use cadence::Cadence;
use catalogue::Service;
use conversation::{Asked, Conversation, Heard};
use desk::{Desk, Publication};
use envelope::Sender;
use futures_lite::future::or;
use heartbeat::Heartbeat;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

/// How long the supervisor waits for the services to begin. The machine may be busy, and the thread is a polite one.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// How long it waits for something to be told before it goes on.
const TELL_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait before a lost connection is begun anew.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Accounts that are told of together when their time has come.
const ACCOUNTS_AT_ONCE: usize = 256;

/// Where to say whether the configuration has been taken over, and if not, why.
pub type ReloadReply = oneshot::Sender<Result<(), String>>;

/// Has the configuration read again, and says what came of it.
pub struct AskReload(pub Box<dyn Fn(ReloadReply) + Send>);

/// What the services need of the rest of the server.
#[derive(Debug)]
pub struct Means {
    pub bells: Doorbells,
    /// Numbers what the server says.
    pub events: Sequence,
    /// Decides the names of its events.
    pub seed: u64,
    pub account_changes: AccountChanges,
    pub reload: AskReload,
}

/// The supervisor's end of the services.
#[derive(Debug)]
pub struct Services {
    orders: mpsc::UnboundedSender<Order>,
    ready: Receiver<()>,
}

/// What the server is about to do, for everybody who looks after it to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    LameDuck,
    Shutdown,
}

#[derive(Debug)]
struct Order {
    tell: Departure,
    done: SyncSender<()>,
}

/// Makes the services; they begin when the monitor's thread does.
pub fn services(means: Means) -> (Services, Beside) {
    let (orders, receiver) = mpsc::unbounded_channel();
    let (begun, ready) = sync_channel(1);
    let beside: Beside = Box::new(move |site| {
        let attendant = Attendant::new(site, means);
        Box::pin(attendant.attend(receiver, begun))
    });
    (Services { orders, ready }, beside)
}

impl Services {
    /// Waits until requests are answered; says whether they are.
    pub fn wait_until_ready(&self) -> bool {
        self.ready.recv_timeout(BEGIN_WITHIN).is_ok()
    }

    /// Tells what the server is about to do; comes back when all shards can have heard it.
    pub fn tell(&self, departure: Departure) {
        let (done, told) = sync_channel(1);
        let order = Order {
            tell: departure,
            done,
        };
        if self.orders.send(order).is_ok() {
            let _ = told.recv_timeout(TELL_WITHIN);
        }
    }
}

impl std::ops::Deref for AskReload {
    type Target = dyn Fn(ReloadReply) + Send;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl std::fmt::Debug for AskReload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskReload")
    }
}

/// Lives on the monitor's thread.
#[derive(Debug)]
struct Attendant {
    desk: Desk,
    bells: Doorbells,
    account_changes: AccountChanges,
    cadence: Cadence,
    heartbeat: Heartbeat,
}

enum Event {
    Ordered(Option<Order>),
    /// Something is due.
    Due,
    AccountsChanged,
    Heard(io::Result<Heard>),
}

impl Attendant {
    fn new(site: Rc<Site>, means: Means) -> Attendant {
        let now = site.clock();
        Attendant {
            desk: Desk::new(site, Sender::new(means.events, means.seed), means.reload),
            bells: means.bells,
            account_changes: means.account_changes,
            cadence: Cadence::starting(now),
            heartbeat: Heartbeat::starting(now),
        }
    }

    /// Serves until there is nobody any more to give orders.
    async fn attend(mut self, mut orders: mpsc::UnboundedReceiver<Order>, begun: SyncSender<()>) {
        loop {
            match self.serve(&mut orders, &begun).await {
                Ok(()) => return,
                Err(error) => {
                    let text = format!("The system services begin anew: {error}");
                    self.desk.complain(&text);
                    sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    /// Serves on one connection.
    ///
    /// # Errors
    /// When it is lost.
    async fn serve(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        begun: &SyncSender<()>,
    ) -> io::Result<()> {
        let mut conversation = self.begin().await?;
        // Only the first time somebody waits for it.
        let _ = begun.try_send(());
        loop {
            let due_in = self.due_in();
            let ordered = async { Event::Ordered(orders.recv().await) };
            let due = async {
                sleep(due_in).await;
                Event::Due
            };
            let changed = async {
                self.account_changes.wait().await;
                Event::AccountsChanged
            };
            let heard = async { Event::Heard(conversation.hear().await) };
            let event = or(or(ordered, due), or(changed, heard)).await;
            self.refresh(&mut conversation).await?;
            match event {
                Event::Ordered(None) => return Ok(()),
                Event::Ordered(Some(order)) => self.follow(order, &mut conversation).await?,
                Event::Due => self.tell_what_is_due(&mut conversation).await?,
                Event::AccountsChanged => {
                    let accounts = self.account_changes.take();
                    self.tell_of_accounts(&accounts, &mut conversation).await?;
                }
                Event::Heard(Ok(Heard::Message(asked))) => {
                    self.answer(&asked, &mut conversation).await?;
                }
                Event::Heard(Ok(Heard::Pong)) => {}
                Event::Heard(Err(error)) => return Err(error),
            }
            self.refresh(&mut conversation).await?;
        }
    }

    /// Goes on with the newest facts. If the server is called otherwise now, it tells its statistics: they say so.
    async fn refresh(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let newest = self.desk.site.refreshed();
        let before = std::mem::replace(&mut self.desk.site, newest);
        if before.facts().info.labels == self.desk.site.facts().info.labels {
            return Ok(());
        }
        self.cadence.is_asked_for(self.desk.site.clock());
        self.tell_statistics(conversation).await
    }

    /// A new connection, with all subscriptions.
    async fn begin(&mut self) -> io::Result<Conversation> {
        let (mut conversation, theirs) = Conversation::open()?;
        let mut waiting = Some(Directive::Host(theirs));
        while let Some(directive) = waiting.take() {
            waiting = self.bells.tell(ShardId(0), directive);
            if waiting.is_some() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        conversation.subscribe(&self.desk.subjects()).await?;
        self.wait_for_pong(&mut conversation).await?;
        Ok(conversation)
    }

    /// Waits until all that was said has been taken in. Answers what comes meanwhile.
    async fn wait_for_pong(&self, conversation: &mut Conversation) -> io::Result<()> {
        conversation.ping().await?;
        loop {
            match conversation.hear().await? {
                Heard::Pong => return Ok(()),
                Heard::Message(asked) => self.answer_plainly(&asked, conversation).await?,
            }
        }
    }

    async fn answer(&mut self, asked: &Asked, conversation: &mut Conversation) -> io::Result<()> {
        let is_broadcast =
            self.desk.service(asked) == Some(Service::Statistics) && asked.reply.is_empty();
        if is_broadcast {
            // Everybody who listens anyway is meant.
            self.cadence.is_asked_for(self.desk.site.clock());
            let subject = self.statistics_subject();
            let publication = self.desk.statistics(&subject, &asked.body).await;
            return publish(publication, conversation).await;
        }
        self.answer_plainly(asked, conversation).await
    }

    async fn answer_plainly(
        &self,
        asked: &Asked,
        conversation: &mut Conversation,
    ) -> io::Result<()> {
        match self.desk.service(asked) {
            Some(service) => publish(self.desk.answer(service, asked).await, conversation).await,
            None => Ok(()),
        }
    }

    async fn follow(&mut self, order: Order, conversation: &mut Conversation) -> io::Result<()> {
        let name = match order.tell {
            Departure::LameDuck => "LAMEDUCK",
            Departure::Shutdown => "SHUTDOWN",
        };
        let subject = self.server_subject(name);
        let server = self.desk.sender.server(&self.desk.site);
        conversation.publish(&subject, b"", &server).await?;
        self.wait_for_pong(conversation).await?;
        let _ = order.done.send(());
        Ok(())
    }

    fn due_in(&self) -> Duration {
        let now = self.desk.site.clock();
        let next_at = self.cadence.next_at().min(self.heartbeat.next_at());
        next_at.since(now)
    }

    async fn tell_what_is_due(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let now = self.desk.site.clock();
        if self.cadence.is_due(now) {
            self.tell_statistics(conversation).await?;
        }
        let accounts = self.desk.site.facts().accounts.iter();
        let in_use = accounts.filter(|(_, account)| account.connections() > 0);
        let in_use: Vec<AccountId> = in_use.map(|(id, _)| id).collect();
        for accounts in self.heartbeat.due(now, in_use).chunks(ACCOUNTS_AT_ONCE) {
            self.tell_of_accounts(accounts, conversation).await?;
        }
        Ok(())
    }

    /// Tells the statistics of the server, if somebody listens.
    async fn tell_statistics(&self, conversation: &mut Conversation) -> io::Result<()> {
        let subject = self.statistics_subject();
        let wanted = self.desk.site.wanted(vec![subject.as_bytes().into()]).await;
        if self.desk.heard(wanted) != Some(vec![true]) {
            return Ok(());
        }
        publish(self.desk.statistics(&subject, b"").await, conversation).await
    }

    /// Tells how many clients these accounts have, where somebody wants to know.
    async fn tell_of_accounts(
        &mut self,
        accounts: &[AccountId],
        conversation: &mut Conversation,
    ) -> io::Result<()> {
        self.heartbeat.tell(self.desk.site.clock(), accounts);
        let subjects = accounts
            .iter()
            .flat_map(|account| self.subjects_of(*account));
        let subjects = subjects
            .map(|subject| subject.into_bytes().into())
            .collect();
        let wanted = self.desk.heard(self.desk.site.wanted(subjects).await);
        let wanted = wanted.unwrap_or_default();
        let pairs = accounts.iter().zip(wanted.chunks(2));
        let wanted = pairs.filter(|(_, wanted)| wanted.contains(&true));
        let wanted: Vec<AccountId> = wanted.map(|(account, _)| *account).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let site = Rc::clone(&self.desk.site);
        let Some(figures) = self.desk.heard(site.figures_of(&wanted).await) else {
            return Ok(());
        };
        for (account, stat) in figures {
            let event = self.desk.account_event(&stat);
            for subject in self.subjects_of(account) {
                conversation.publish(&subject, b"", &event).await?;
            }
        }
        Ok(())
    }

    /// The old and the new name.
    fn subjects_of(&self, account: AccountId) -> [String; 2] {
        let facts = self.desk.site.facts();
        let name = facts.accounts.name(account);
        [
            format!("$SYS.SERVER.ACCOUNT.{name}.CONNS"),
            format!("$SYS.ACCOUNT.{name}.SERVER.CONNS"),
        ]
    }

    fn statistics_subject(&self) -> String {
        self.server_subject("STATSZ")
    }

    fn server_subject(&self, name: &str) -> String {
        let id = &self.desk.site.facts().info.server_id;
        format!("$SYS.SERVER.{id}.{name}")
    }
}

async fn publish(
    publication: Option<Publication>,
    conversation: &mut Conversation,
) -> io::Result<()> {
    match publication {
        Some(Publication {
            subject,
            headers,
            body,
        }) => conversation.publish(&subject, &headers, &body).await,
        None => Ok(()),
    }
}
