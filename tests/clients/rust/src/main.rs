//! The official Rust client (async-nats) against a server binary: one function per behaviour.
//!
//! Usage: `trunkline-client-rust SERVER_BINARY [server flags...]`
//!
//! Every behaviour gets a server of its own on a free port of 127.0.0.1, so a server that dies fails
//! one behaviour and not the rest. Prints `ok` or `FAIL` per behaviour and a total; exits 1 if
//! anything failed. The suites of the other languages beside this one have the same behaviours under
//! the same names.

mod server;

use std::env;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::client::{PublishErrorKind, Request};
use async_nats::connection::State;
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, RequestErrorKind,
    Subscriber,
};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use server::{Server, Servers};

/// Why a behaviour failed. Everything the client reports as an error is one.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Failure>;

#[tokio::main]
async fn main() -> ExitCode {
    let command: Vec<String> = env::args().skip(1).collect();
    if command.is_empty() {
        eprintln!("usage: trunkline-client-rust SERVER_BINARY [server flags...]");
        return ExitCode::from(2);
    }
    let mut failed = 0;
    for (name, behaviour) in BEHAVIOURS {
        let started = Instant::now();
        let servers = Arc::new(Servers::new(command.clone()));
        let mut outcome = timeout(BEHAVIOUR_MAX, behaviour(servers.clone()))
            .await
            .unwrap_or_else(|_| Err(format!("not within {BEHAVIOUR_MAX:?}").into()));
        if outcome.is_ok() && !servers.alive() {
            outcome = Err("the server died".into());
        }
        let took = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("ok   rust    {name} ({took:.2} s)"),
            Err(reason) => {
                failed += 1;
                println!(
                    "FAIL rust    {name} ({took:.2} s): {reason}\n{}",
                    servers.log_tails()
                );
            }
        }
    }
    println!(
        "rust: {} passed, {failed} failed",
        BEHAVIOURS.len() - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

type Behaviour = fn(Arc<Servers>) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), (|servers| Box::pin($name(servers))) as Behaviour)),*]
    };
}

const BEHAVIOURS: [(&str, Behaviour); 16] = behaviours![
    pub_sub,
    wildcards,
    queue_groups,
    request_reply,
    requests_1000_at_once,
    no_responders,
    headers,
    auto_unsubscribe,
    drain,
    reconnect,
    user_and_password,
    token,
    large_payload,
    over_large_payload,
    flow_in_order,
    lame_duck,
];

const BEHAVIOUR_MAX: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Long enough for a message that should not come to come.
const QUIET: Duration = Duration::from_millis(100);
const FLOW_MESSAGES: usize = 100_000;
const MIB: usize = 1024 * 1024;

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn check_equal<T: PartialEq + std::fmt::Debug>(seen: T, wanted: T, what: &str) -> Outcome {
    if seen == wanted {
        return Ok(());
    }
    let show = |value: &T| format!("{value:?}").chars().take(200).collect::<String>();
    Err(format!("{what}: wanted {}, saw {}", show(&wanted), show(&seen)).into())
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

async fn connect(server: &Server) -> Result<Client, Failure> {
    connect_with(server, ConnectOptions::new()).await
}

async fn connect_with(server: &Server, options: ConnectOptions) -> Result<Client, Failure> {
    // The client's own default capacity is smaller than the bursts below, and a full subscription drops.
    Ok(options
        .subscription_capacity(FLOW_MESSAGES * 2)
        .connect(server.url())
        .await?)
}

async fn next(subscription: &mut Subscriber) -> Result<Message, Failure> {
    timeout(WAIT_MAX, subscription.next())
        .await
        .map_err(|_| "no message came")?
        .ok_or_else(|| "the subscription ended".into())
}

async fn texts(subscription: &mut Subscriber, count: usize) -> Result<Vec<String>, Failure> {
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let message = next(subscription)
            .await
            .map_err(|reason| format!("{reason}: {} of {count} so far", texts.len()))?;
        texts.push(String::from_utf8(message.payload.to_vec())?);
    }
    Ok(texts)
}

async fn nothing_more(subscription: &mut Subscriber, what: &str) -> Outcome {
    match timeout(QUIET, subscription.next()).await {
        Ok(Some(message)) => {
            Err(format!("{what}: one message too many, on {}", message.subject).into())
        }
        Ok(None) | Err(_) => Ok(()),
    }
}

async fn eventually(mut holds: impl FnMut() -> bool, what: &str) -> Outcome {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > WAIT_MAX {
            return Err(format!("not within {WAIT_MAX:?}: {what}").into());
        }
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn publish_texts(client: &Client, subject: &'static str, texts: &[String]) -> Outcome {
    for text in texts {
        client.publish(subject, Bytes::from(text.clone())).await?;
    }
    Ok(())
}

async fn round_trip(client: &Client) -> Outcome {
    let mut own = client.subscribe("round.trip").await?;
    client
        .publish("round.trip", "there and back".into())
        .await?;
    check_equal(
        texts(&mut own, 1).await?,
        vec!["there and back".to_owned()],
        "a round trip",
    )
}

async fn nobody_answers(client: &Client, subject: &'static str) -> Outcome {
    let started = Instant::now();
    let Err(error) = client.request(subject, "?".into()).await else {
        return Err("a request to nobody was answered".into());
    };
    check_equal(
        error.kind(),
        RequestErrorKind::NoResponders,
        "the reason told",
    )?;
    check(
        started.elapsed() < Duration::from_secs(2),
        "the answer comes at once, not at the time-out",
    )
}

async fn pub_sub(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let mut subscriptions = Vec::new();
    let mut subscribers = Vec::new();
    for _ in 0..4 {
        let client = connect(&server).await?;
        subscriptions.push(client.subscribe("greet.all").await?);
        client.flush_to_server().await?;
        subscribers.push(client);
    }
    let publishers = [connect(&server).await?, connect(&server).await?];
    for client in &publishers {
        publish_texts(client, "greet.all", &numbers(50)).await?;
        client.publish("greet.nobody", "unheard".into()).await?;
        client.flush_to_server().await?;
    }
    let mut wanted = [numbers(50), numbers(50)].concat();
    wanted.sort();
    for subscription in &mut subscriptions {
        let mut seen = texts(subscription, 100).await?;
        seen.sort();
        check_equal(seen, wanted.clone(), "what one subscription got")?;
        nothing_more(subscription, "a subscription").await?;
    }
    // A connection hears itself unless it asked not to.
    let mut own = publishers[0].subscribe("echo").await?;
    publishers[0].publish("echo", Bytes::new()).await?;
    check_equal(
        texts(&mut own, 1).await?,
        vec![String::new()],
        "an empty message to oneself",
    )?;
    let deaf = connect_with(&server, ConnectOptions::new().no_echo()).await?;
    let mut own = deaf.subscribe("echo").await?;
    deaf.publish("echo", "mine".into()).await?;
    nothing_more(&mut own, "a connection without echo").await
}

async fn wildcards(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let subscriber = connect(&server).await?;
    let publisher = connect(&server).await?;
    let everything = ["a", "a.b", "a.b.c", "a.x.c", "a.b.c.d", "b"];
    let wanted: [(&str, &[&str]); 7] = [
        ("a.*", &["a.b"]),
        ("a.*.c", &["a.b.c", "a.x.c"]),
        ("*.b.*", &["a.b.c"]),
        ("a.>", &["a.b", "a.b.c", "a.x.c", "a.b.c.d"]),
        (">", &everything),
        ("*", &["a", "b"]),
        ("a.b", &["a.b"]),
    ];
    let mut subscriptions = Vec::new();
    for (pattern, _) in wanted {
        subscriptions.push(subscriber.subscribe(pattern).await?);
    }
    subscriber.flush_to_server().await?;
    for subject in everything {
        publisher.publish(subject, Bytes::new()).await?;
    }
    for ((pattern, subjects), subscription) in wanted.into_iter().zip(&mut subscriptions) {
        if pattern == ">" {
            // The message with which the flush waited.
            next(subscription).await?;
        }
        let mut seen = Vec::new();
        for _ in subjects {
            seen.push(next(subscription).await?.subject.to_string());
        }
        check_equal(
            seen,
            subjects.iter().map(|subject| subject.to_string()).collect(),
            pattern,
        )?;
        nothing_more(subscription, pattern).await?;
    }
    Ok(())
}

async fn queue_groups(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let mut clients = Vec::new();
    let mut members = Vec::new();
    for number in 0..6 {
        let client = connect(&server).await?;
        for _ in 0..if number == 0 { 2 } else { 1 } {
            members.push(client.queue_subscribe("work.*", "crew".to_owned()).await?);
        }
        client.flush_to_server().await?;
        clients.push(client);
    }
    let beside = connect(&server).await?;
    let mut watcher = beside.subscribe("work.>").await?;
    let mut second = beside
        .queue_subscribe("work.now", "second-crew".to_owned())
        .await?;
    beside.flush_to_server().await?;
    let mut wanted = Vec::new();
    for batch in 0..3 {
        let publisher = connect(&server).await?;
        let batch: Vec<String> = (0..1000)
            .map(|number| format!("{batch}.{number}"))
            .collect();
        publish_texts(&publisher, "work.now", &batch).await?;
        publisher.flush_to_server().await?;
        wanted.extend(batch);
        clients.push(publisher);
    }
    wanted.sort();
    for beside in [&mut watcher, &mut second] {
        let mut seen = texts(beside, 3000).await?;
        seen.sort();
        check_equal(seen, wanted.clone(), "each message once beside the group")?;
    }
    let mut seen = Vec::new();
    for member in &mut members {
        let before = seen.len();
        while let Ok(Some(message)) = timeout(QUIET, member.next()).await {
            seen.push(String::from_utf8(message.payload.to_vec())?);
        }
        check(seen.len() > before, "every member gets a share")?;
    }
    seen.sort();
    check_equal(seen.len(), 3000, "messages in the group")?;
    check_equal(seen, wanted, "each message once in the group")
}

/// Answers every request of a subscription until the connection ends.
fn serve(client: Client, mut requests: Subscriber, answer: fn(&[u8]) -> Vec<u8>) {
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                // A failed answer shows as a request without one.
                client
                    .publish(reply, answer(&request.payload).into())
                    .await
                    .ok();
            }
        }
    });
}

async fn request_reply(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let service = connect(&server).await?;
    let asker = connect(&server).await?;
    serve(
        service.clone(),
        service.subscribe("shout").await?,
        <[u8]>::to_ascii_uppercase,
    );
    service.flush_to_server().await?;
    for word in ["one", "two", ""] {
        let reply = asker.request("shout", word.into()).await?;
        check_equal(
            &reply.payload[..],
            word.to_uppercase().as_bytes(),
            "the reply",
        )?;
    }
    let inbox = asker.new_inbox();
    let reply = asker
        .send_request("shout", Request::new().payload("old".into()).inbox(inbox))
        .await?;
    check_equal(
        &reply.payload[..],
        b"OLD",
        "the reply on an inbox of its own",
    )
}

async fn requests_1000_at_once(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    for _ in 0..3 {
        let service = connect(&server).await?;
        let requests = service.queue_subscribe("echo", "echoes".to_owned()).await?;
        serve(service.clone(), requests, |request| {
            [b"re:", request].concat()
        });
        service.flush_to_server().await?;
    }
    let askers = [connect(&server).await?, connect(&server).await?];
    let replies = join_all((0..1000).map(|number| {
        let asker = &askers[number % 2];
        async move { asker.request("echo", number.to_string().into()).await }
    }))
    .await;
    for (number, reply) in replies.into_iter().enumerate() {
        check_equal(
            &reply?.payload[..],
            format!("re:{number}").as_bytes(),
            "the reply",
        )?;
    }
    Ok(())
}

async fn no_responders(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let asker = connect(&server).await?;
    nobody_answers(&asker, "nobody.home").await?;
    // Interest that has gone is no interest, also when it was on another connection.
    let service = connect(&server).await?;
    let mut subscription = service.subscribe("nobody.home").await?;
    service.flush_to_server().await?;
    subscription.unsubscribe().await?;
    service.flush_to_server().await?;
    nobody_answers(&asker, "nobody.home").await
}

async fn headers(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let subscriber = connect(&server).await?;
    let publisher = connect(&server).await?;
    let mut subscription = subscriber.subscribe("with.headers").await?;
    subscriber.flush_to_server().await?;
    let mut sent = HeaderMap::new();
    sent.insert("Trace-Id", "4711");
    sent.append("Colour", "blue: and: green");
    sent.append("Colour", "red");
    publisher
        .publish_with_headers("with.headers", sent.clone(), "body".into())
        .await?;
    let mut only = HeaderMap::new();
    only.insert("Only", "headers");
    publisher
        .publish_with_headers("with.headers", only.clone(), Bytes::new())
        .await?;
    publisher.publish("with.headers", "plain".into()).await?;
    for (headers, body) in [(Some(sent), "body"), (Some(only), ""), (None, "plain")] {
        let message = next(&mut subscription).await?;
        check_equal(message.headers, headers, "the headers")?;
        check_equal(&message.payload[..], body.as_bytes(), "the body")?;
    }
    Ok(())
}

async fn auto_unsubscribe(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let subscriber = connect(&server).await?;
    let publisher = connect(&server).await?;
    let mut subscription = subscriber.subscribe("limited").await?;
    subscription.unsubscribe_after(5).await?;
    subscriber.flush_to_server().await?;
    publish_texts(&publisher, "limited", &numbers(10)).await?;
    publisher.flush_to_server().await?;
    check_equal(
        texts(&mut subscription, 5).await?,
        numbers(5),
        "the first five",
    )?;
    nothing_more(&mut subscription, "a limited subscription").await?;
    // The server has forgotten the subscription.
    nobody_answers(&publisher, "limited").await
}

async fn drain(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let subscriber = connect(&server).await?;
    let publisher = connect(&server).await?;
    let mut subscription = subscriber.subscribe("stream").await?;
    subscriber.flush_to_server().await?;
    publish_texts(&publisher, "stream", &numbers(2000)).await?;
    publisher.flush_to_server().await?;
    // This client's drain does not wait for the server's answer: it drops what has not reached it when it looks next.
    subscriber.flush_to_server().await?;
    subscriber.drain().await?;
    check_equal(
        texts(&mut subscription, 2000).await?,
        numbers(2000),
        "messages in order",
    )?;
    let end = timeout(WAIT_MAX, subscription.next())
        .await
        .map_err(|_| "the drain never ends")?;
    check(end.is_none(), "a drained subscription ends")?;
    // What is published just before a drain is delivered too.
    let reader = connect(&server).await?;
    let mut subscription = reader.subscribe("last.words").await?;
    reader.flush_to_server().await?;
    publish_texts(&publisher, "last.words", &numbers(500)).await?;
    publisher.drain().await?;
    check_equal(
        texts(&mut subscription, 500).await?,
        numbers(500),
        "the last words",
    )
}

/// The events of a connection, in order, as their text.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    fn follow(&self, options: ConnectOptions) -> ConnectOptions {
        let events = self.clone();
        options
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .event_callback(move |event| {
                let events = events.clone();
                async move {
                    events
                        .0
                        .lock()
                        .expect("no panic under the lock")
                        .push(event.to_string())
                }
            })
    }

    fn count(&self, event: &Event) -> usize {
        let wanted = event.to_string();
        let events = self.0.lock().expect("no panic under the lock");
        events.iter().filter(|seen| **seen == wanted).count()
    }

    async fn wait(&self, event: Event, count: usize) -> Outcome {
        eventually(
            || self.count(&event) >= count,
            &format!("event {event:?}, {count} times"),
        )
        .await
    }
}

async fn reconnect(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let events = [Events::default(), Events::default()];
    let subscriber = connect_with(&server, events[0].follow(ConnectOptions::new())).await?;
    let publisher = connect_with(&server, events[1].follow(ConnectOptions::new())).await?;
    let mut subscriptions = [
        subscriber.subscribe("news.*").await?,
        subscriber
            .queue_subscribe("news.local", "desk".to_owned())
            .await?,
    ];
    subscriber.flush_to_server().await?;
    publisher.publish("news.local", "before".into()).await?;
    for subscription in &mut subscriptions {
        check_equal(
            texts(subscription, 1).await?,
            vec!["before".to_owned()],
            "before the restart",
        )?;
    }
    server.kill();
    for events in &events {
        events.wait(Event::Disconnected, 1).await?;
    }
    server.restart().await?;
    for events in &events {
        events.wait(Event::Connected, 2).await?;
    }
    subscriber.flush_to_server().await?;
    publish_texts(&publisher, "news.local", &numbers(100)).await?;
    for subscription in &mut subscriptions {
        check_equal(
            texts(subscription, 100).await?,
            numbers(100),
            "after the restart",
        )?;
    }
    Ok(())
}

async fn refused(server: &Server, options: ConnectOptions) -> Outcome {
    match options.connect(server.url()).await {
        Ok(_) => Err("accepted with wrong credentials".into()),
        Err(error) => check_equal(
            error.kind(),
            ConnectErrorKind::AuthorizationViolation,
            "the reason told",
        ),
    }
}

fn user(name: &str, password: &str) -> ConnectOptions {
    ConnectOptions::with_user_and_password(name.to_owned(), password.to_owned())
}

async fn user_and_password(servers: Arc<Servers>) -> Outcome {
    let server = servers
        .start(&["--user", "alice", "--pass", "s3cret"])
        .await?;
    round_trip(&connect_with(&server, user("alice", "s3cret")).await?).await?;
    refused(&server, user("alice", "wrong")).await?;
    refused(&server, user("bob", "s3cret")).await?;
    refused(&server, ConnectOptions::with_token("s3cret".to_owned())).await?;
    refused(&server, ConnectOptions::new()).await
}

async fn token(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&["--auth", "t0ken"]).await?;
    let right = ConnectOptions::with_token("t0ken".to_owned());
    round_trip(&connect_with(&server, right).await?).await?;
    refused(&server, ConnectOptions::with_token("wrong".to_owned())).await?;
    refused(&server, ConnectOptions::new()).await
}

async fn large_payload(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let subscriber = connect(&server).await?;
    let publisher = connect(&server).await?;
    let mut subscription = subscriber.subscribe("large").await?;
    subscriber.flush_to_server().await?;
    let block = |number: u8| -> Vec<u8> { (0..MIB).map(|at| (at % 251) as u8 ^ number).collect() };
    for number in 0..8 {
        publisher.publish("large", block(number).into()).await?;
    }
    for number in 0..8 {
        let whole = next(&mut subscription).await?.payload == block(number);
        check(whole, &format!("payload {number} of 1 MiB arrives whole"))?;
    }
    Ok(())
}

async fn over_large_payload(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let publisher = connect(&server).await?;
    check_equal(publisher.max_payload(), MIB, "the limit the server tells")?;
    match publisher.publish("large", vec![0; MIB + 1].into()).await {
        Ok(()) => return Err("the client sent more than the limit".into()),
        Err(error) => {
            check_equal(
                error.kind(),
                PublishErrorKind::MaxPayloadExceeded,
                "the reason told",
            )?;
        }
    }
    round_trip(&publisher).await
}

async fn flow_in_order(servers: Arc<Servers>) -> Outcome {
    let server = servers.start(&[]).await?;
    let subscriber = connect(&server).await?;
    let publisher = connect(&server).await?;
    let mut subscription = subscriber.subscribe("flow").await?;
    subscriber.flush_to_server().await?;
    let sent = numbers(FLOW_MESSAGES);
    publish_texts(&publisher, "flow", &sent).await?;
    check_equal(
        texts(&mut subscription, FLOW_MESSAGES).await?,
        sent,
        "all messages in order",
    )?;
    nothing_more(&mut subscription, "the flow").await
}

async fn lame_duck(servers: Arc<Servers>) -> Outcome {
    let flags = std::env::var("LAME_DUCK_FLAGS")?;
    let server = servers.start(&flags.split(' ').collect::<Vec<_>>()).await?;
    let events = Events::default();
    let client = connect_with(&server, events.follow(ConnectOptions::new())).await?;
    let mut subscription = client.subscribe("still.here").await?;
    client.flush_to_server().await?;
    server.signal(libc::SIGUSR2);
    events.wait(Event::LameDuckMode, 1).await?;
    check(
        events.count(&Event::Disconnected) == 0,
        "the notice comes before the connection is closed",
    )?;
    client.publish("still.here", "yes".into()).await?;
    check_equal(
        texts(&mut subscription, 1).await?,
        vec!["yes".to_owned()],
        "the grace period",
    )?;
    events.wait(Event::Disconnected, 1).await?;
    eventually(|| !server.alive(), "the server ends by itself").await?;
    server.restart().await?;
    events.wait(Event::Connected, 2).await?;
    eventually(
        || client.connection_state() == State::Connected,
        "the client is back",
    )
    .await?;
    client.publish("still.here", "again".into()).await?;
    check_equal(
        texts(&mut subscription, 1).await?,
        vec!["again".to_owned()],
        "the next server",
    )
}

/// `flush` of this client only reaches the socket; a promise about the server needs its `PONG`, which
/// no public call waits for. A message to oneself comes back after everything sent before it.
trait FlushToServer {
    async fn flush_to_server(&self) -> Outcome;
}

impl FlushToServer for Client {
    async fn flush_to_server(&self) -> Outcome {
        let inbox = self.new_inbox();
        let mut own = self.subscribe(inbox.clone()).await?;
        self.publish(inbox, Bytes::new()).await?;
        next(&mut own).await?;
        Ok(())
    }
}
