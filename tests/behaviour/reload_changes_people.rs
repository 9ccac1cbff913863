//! A hundred configurations, one after another, in each of which users come and go, change their passwords, their accounts
//! and what they may do, while all of them publish and subscribe. A model that knows nothing of shards says what must arrive,
//! what may, and what must not: after the log says that a configuration is in force nothing else is.
//!
//! - A *settled* message is published while one configuration is in force everywhere: who gets it is known exactly.
//! - A message *between* two configurations is judged by either on each of its ways. It must arrive where both want it, and
//!   must not where neither does.
//! - Each listener gets each message of a publisher once, and in order; of a queue group one member does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::cast::{Chance, PATIENCE, join_as, knock, write_publish};
use crate::support::{Launch, RawClient, Server, wait_until};

on_both_servers!(what_is_allowed_arrives_and_nothing_else);

const RELOADS: usize = 100;
const SEED: u64 = 41;
const USERS: usize = 6;
const CHANNELS: usize = 4;
/// How often everybody says something at once, and how often they do that while one configuration is read.
const BURST: usize = 5;
const BURSTS_MAX: usize = 50;

/// What the second account imports of the first one's last channel.
const IMPORTED: &str = "imported";

/// A subscription that each listener has if it may.
struct Wish {
    subject: &'static str,
    queue: &'static str,
    /// The permission that it needs: a bit of [`User::may_hear`].
    bit: usize,
}

const WISHES: [Wish; 6] = [
    Wish::plain("c.0", 0),
    Wish::plain("c.1", 1),
    Wish::plain("c.2", 2),
    Wish::plain("c.3", 3),
    Wish::plain(IMPORTED, 4),
    Wish {
        subject: "c.1",
        queue: "group",
        bit: 1,
    },
];
const IN_GROUP: usize = 5;

impl Wish {
    const fn plain(subject: &'static str, bit: usize) -> Wish {
        Wish {
            subject,
            queue: "",
            bit,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct User {
    account: usize,
    password: u64,
    may_publish: [bool; CHANNELS],
    may_hear: [bool; CHANNELS + 1],
}

/// A configuration.
#[derive(Debug, Clone)]
struct Rules {
    users: [Option<User>; USERS],
    imports: bool,
}

impl Rules {
    fn first(chance: &mut Chance) -> Rules {
        Rules {
            users: std::array::from_fn(|_| Some(User::new(chance))),
            imports: true,
        }
    }

    fn next(&self, chance: &mut Chance) -> Rules {
        let mut next = self.clone();
        next.imports ^= chance.below(3) == 0;
        for user in &mut next.users {
            match (chance.below(12), user.as_mut()) {
                (0, _) => *user = None,
                (1..=4, None) => *user = Some(User::new(chance)),
                (1, Some(user)) => user.password = chance.next() % 1000,
                (2, Some(user)) => user.account = 1 - user.account,
                (3..=5, Some(user)) => {
                    let bit = chance.below(CHANNELS + 1);
                    user.may_hear[bit] ^= true;
                }
                (6..=8, Some(user)) => {
                    let bit = chance.below(CHANNELS);
                    user.may_publish[bit] ^= true;
                }
                _ => {}
            }
        }
        next
    }

    fn config(&self) -> String {
        let mut lists = [String::new(), String::new()];
        for (name, user) in self.users.iter().enumerate() {
            let Some(user) = user else { continue };
            let publish = (0..CHANNELS).filter(|channel| user.may_publish[*channel]);
            let publish: String = publish
                .map(|channel| format!(", \"c.{channel}\""))
                .collect();
            let hear = WISHES[..=CHANNELS]
                .iter()
                .filter(|wish| user.may_hear[wish.bit]);
            let hear: String = hear.map(|wish| format!(", \"{}\"", wish.subject)).collect();
            let password = user.password;
            writeln!(
                lists[user.account],
                "{{ user: u{name}, password: \"{password}\", permissions {{ \
                 publish: [ \"nothing\"{publish} ], subscribe: [ \"nothing\"{hear} ] }} }}"
            )
            .expect("memory takes it");
        }
        let [first, second] = lists;
        let last = CHANNELS - 1;
        let import = match self.imports {
            true => {
                format!("{{ stream {{ account: FIRST, subject: \"c.{last}\" }}, to: {IMPORTED} }}")
            }
            false => String::new(),
        };
        format!(
            "accounts {{\nFIRST {{ users: [\n{first}], exports: [ {{ stream: \"c.{last}\" }} ] }}\n\
             SECOND {{ users: [\n{second}], imports: [ {import} ] }}\n}}\n"
        )
    }

    /// Whether what `publisher` says on a channel is for that wish of `listener`.
    fn allow(&self, publisher: usize, channel: usize, listener: usize, wish: usize) -> bool {
        let (Some(from), Some(to)) = (&self.users[publisher], &self.users[listener]) else {
            return false;
        };
        from.may_publish[channel]
            && to.may_hear[WISHES[wish].bit]
            && self.connect(from.account, channel, to.account, wish)
    }

    /// Whether a channel of one account is what is wished for in another.
    fn connect(&self, from: usize, channel: usize, to: usize, wish: usize) -> bool {
        match WISHES[wish].subject {
            IMPORTED => self.imports && (from, to) == (0, 1) && channel == CHANNELS - 1,
            subject => from == to && subject == format!("c.{channel}"),
        }
    }
}

impl User {
    fn new(chance: &mut Chance) -> User {
        User {
            account: chance.below(2),
            password: chance.next() % 1000,
            may_publish: std::array::from_fn(|_| chance.below(3) > 0),
            may_hear: std::array::from_fn(|_| chance.below(3) > 0),
        }
    }

    /// Whether its connections live on under another configuration.
    fn stays(before: Option<&User>, after: Option<&User>) -> bool {
        matches!((before, after), (Some(before), Some(after))
            if (before.account, before.password) == (after.account, after.password))
    }
}

/// A message that was published; its body is its place among all.
#[derive(Debug)]
struct Said {
    publisher: usize,
    channel: usize,
}

/// The two connections of a user.
struct Person {
    talker: RawClient,
    listener: RawClient,
    subscribed: [bool; WISHES.len()],
    /// What has come since the last look: wish and message.
    heard: Vec<(usize, usize)>,
}

impl Person {
    fn join(address: SocketAddr, name: usize, user: &User) -> Person {
        let (name, password) = (format!("u{name}"), user.password.to_string());
        Person {
            talker: join_as(address, &name, &password),
            listener: join_as(address, &name, &password),
            subscribed: [false; WISHES.len()],
            heard: Vec::new(),
        }
    }

    /// Asks for all that it does not have, and gets what it may.
    fn subscribe(&mut self, user: &User) {
        for (sid, wish) in WISHES.iter().enumerate() {
            if self.subscribed[sid] {
                continue;
            }
            let Wish {
                subject,
                queue,
                bit,
            } = wish;
            let words = format!("SUB {subject} {queue} {sid}\r\n");
            self.listener.send(words.as_bytes()).expect("sent");
            self.subscribed[sid] = user.may_hear[*bit];
            if !self.subscribed[sid] {
                self.listener.expect_line(&refusal(wish));
            }
        }
        self.listener.sync().expect("all are taken");
    }

    /// Takes in all that there is for its listener; the errors among it.
    fn listen(&mut self) -> Vec<String> {
        self.listener.send(b"PING\r\n").expect("it is there");
        let (heard, errors) = read_on(&mut self.listener, "PONG");
        self.heard.extend(heard);
        errors
    }
}

fn refusal(wish: &Wish) -> String {
    let using = match wish.queue {
        "" => String::new(),
        queue => format!(" using queue \"{queue}\""),
    };
    let subject = wish.subject;
    format!("-ERR 'Permissions Violation for Subscription to \"{subject}\"{using}'")
}

fn revocation(sid: usize) -> String {
    let refusal = refusal(&WISHES[sid]);
    let text = refusal.strip_suffix('\'').expect("a quote at its end");
    format!("{text} (sid \"{sid}\")'")
}

/// What comes before that line, or before the end of the connection: messages, by wish and number, and errors.
fn read_on(client: &mut RawClient, last: &str) -> (Vec<(usize, usize)>, Vec<String>) {
    let (mut heard, mut errors) = (Vec::new(), Vec::new());
    loop {
        let line = match client.line() {
            Ok(line) => String::from_utf8(line).expect("text"),
            Err(_) if client.has_ended() => return (heard, errors),
            Err(error) => panic!("{error}"),
        };
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["MSG", _, sid, size] => {
                let size: usize = size.parse().expect("a size");
                let body = client.exactly(size + 2).expect("a payload");
                let body = String::from_utf8(body).expect("text");
                let number = body.trim_end().parse().expect("a number");
                heard.push((sid.parse().expect("a sid"), number));
            }
            ["PING"] => client.send(b"PONG\r\n").expect("sent"),
            [word] if word == last => return (heard, errors),
            _ => errors.push(line.trim_end().to_owned()),
        }
    }
}

struct Play {
    server: Server,
    rules: Rules,
    people: Vec<Option<Person>>,
    said: Vec<Said>,
}

fn what_is_allowed_arrives_and_nothing_else(launch: Launch) {
    let mut chance = Chance::new(SEED);
    let rules = Rules::first(&mut chance);
    let launch = launch.config_line(&rules.config());
    let mut play = Play {
        server: launch.start().expect("a server"),
        people: (0..USERS).map(|_| None).collect(),
        rules,
        said: Vec::new(),
    };
    play.settle();
    for _ in 0..RELOADS {
        let next = play.rules.next(&mut chance);
        play.reload(next);
        play.settle();
    }
    assert_eq!(play.server.reloads().len(), RELOADS);
    // Otherwise all this has shown little.
    assert!(play.said.len() > RELOADS * USERS * CHANNELS);
}

impl Play {
    /// From the configuration in force to the next, with everyone talking meanwhile.
    fn reload(&mut self, next: Rules) {
        let done = self.server.reloads().len();
        self.server.write_config(&next.config());
        let first_between = self.said.len();
        let is_staying: Vec<bool> = (0..USERS)
            .map(|user| User::stays(self.rules.users[user].as_ref(), next.users[user].as_ref()))
            .collect();
        burst(&mut self.people, &mut self.said, &is_staying);
        self.server.signal("HUP").expect("signalled");
        let mut bursts = 0;
        let is_over = || {
            bursts += 1;
            if bursts < BURSTS_MAX {
                burst(&mut self.people, &mut self.said, &is_staying);
            }
            self.server.reloads().len() > done
        };
        assert!(wait_until(PATIENCE, is_over), "{}", self.server.log());
        assert_eq!(self.server.reloads().last(), Some(&true));
        self.hear_out(&next, &is_staying);
        self.judge_between(first_between, &next, &is_staying);
        self.rules = next;
        for (person, stays) in self.people.iter_mut().zip(is_staying) {
            person.take_if(|_| !stays);
            if let Some(person) = person {
                person.heard.clear();
            }
        }
    }

    /// Whoever stays is told what was taken away, whoever does not is closed.
    fn hear_out(&mut self, next: &Rules, is_staying: &[bool]) {
        // What anybody has said is handed to all before they are asked what they have heard.
        for (person, stays) in self.people.iter_mut().zip(is_staying) {
            let Some(person) = person else { continue };
            if *stays {
                person.talker.send(b"PING\r\n").expect("it is there");
                read_on(&mut person.talker, "PONG");
                assert!(!person.talker.has_ended(), "its talker stays");
            } else {
                read_on(&mut person.talker, "");
            }
        }
        for (user, stays) in is_staying.iter().enumerate() {
            let Some(person) = &mut self.people[user] else {
                continue;
            };
            if !*stays {
                let (heard, errors) = read_on(&mut person.listener, "");
                person.heard.extend(heard);
                assert_eq!(errors, farewell(&self.rules.users[user], &next.users[user]));
                continue;
            }
            let mut errors = person.listen();
            errors.sort();
            let after = next.users[user].as_ref().expect("it stays");
            let mut revoked = Vec::new();
            for (sid, wish) in WISHES.iter().enumerate() {
                if person.subscribed[sid] && !after.may_hear[wish.bit] {
                    person.subscribed[sid] = false;
                    revoked.push(revocation(sid));
                }
            }
            revoked.sort();
            assert_eq!(errors, revoked, "what is not allowed any more");
        }
    }

    /// One configuration is in force: all of it, and nothing else.
    fn settle(&mut self) {
        let address = self.server.address();
        for (name, user) in self.rules.users.iter().enumerate() {
            let Some(user) = user else { continue };
            let person = &mut self.people[name];
            if person.is_none() {
                let wrong = format!("\"user\":\"u{name}\",\"pass\":\"{}\"", user.password + 1000);
                knock(address, &wrong).expect_line("-ERR 'Authorization Violation'");
            }
            let person = person.get_or_insert_with(|| Person::join(address, name, user));
            person.subscribe(user);
        }
        let first = self.said.len();
        for publisher in 0..USERS {
            let Some(person) = &mut self.people[publisher] else {
                continue;
            };
            let user = self.rules.users[publisher].as_ref().expect("it is there");
            let mut bytes = Vec::new();
            say_everywhere(&mut bytes, &mut self.said, publisher);
            bytes.extend_from_slice(b"PING\r\n");
            person.talker.send(&bytes).expect("sent");
            let (_, errors) = read_on(&mut person.talker, "PONG");
            let refused: Vec<String> = (0..CHANNELS)
                .filter(|channel| !user.may_publish[*channel])
                .map(|channel| {
                    format!("-ERR 'Permissions Violation for Publish to \"c.{channel}\"'")
                })
                .collect();
            assert_eq!(errors, refused);
        }
        for person in self.people.iter_mut().flatten() {
            assert_eq!(person.listen(), [""; 0]);
        }
        self.judge_settled(first);
    }

    fn judge_settled(&mut self, first: usize) {
        let mut copies: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for listener in 0..USERS {
            let Some(person) = &mut self.people[listener] else {
                continue;
            };
            let mut heard = std::mem::take(&mut person.heard);
            let account = self.rules.users[listener]
                .as_ref()
                .expect("it is there")
                .account;
            for (_, number) in heard.extract_if(.., |(wish, _)| *wish == IN_GROUP) {
                *copies.entry((account, number)).or_default() += 1;
            }
            self.assert_order(&heard);
            heard.sort_unstable();
            let wanted = (0..IN_GROUP).flat_map(|wish| {
                let (said, rules) = (&self.said, &self.rules);
                (first..said.len())
                    .filter(move |number| rules.allow_said(&said[*number], listener, wish))
                    .map(move |number| (wish, number))
            });
            assert_eq!(heard, wanted.collect::<Vec<_>>(), "for {listener}");
        }
        for (number, said) in self.said.iter().enumerate().skip(first) {
            for account in 0..2 {
                let is_member = |user: &usize| {
                    let known = self.rules.users[*user].as_ref();
                    known.is_some_and(|user| user.account == account)
                        && self.rules.allow_said(said, *user, IN_GROUP)
                };
                let wanted = usize::from((0..USERS).any(|user| is_member(&user)));
                let got = copies.get(&(account, number)).copied().unwrap_or_default();
                assert_eq!(got, wanted, "one copy for the group of {account}");
            }
        }
    }

    /// What was said since `first`, while `next` was on its way.
    fn judge_between(&self, first: usize, next: &Rules, is_staying: &[bool]) {
        let rules = &self.rules;
        let mut copies: BTreeMap<usize, usize> = BTreeMap::new();
        for listener in 0..USERS {
            let Some(person) = &self.people[listener] else {
                continue;
            };
            let mut times: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            for (wish, number) in &person.heard {
                *times.entry((*wish, *number)).or_default() += 1;
                if *wish == IN_GROUP {
                    *copies.entry(*number).or_default() += 1;
                }
                let said = &self.said[*number];
                assert!(*number >= first, "it was for others before");
                assert!(
                    rules.may_let(next, said, listener, *wish),
                    "{listener} heard {said:?}:\n{rules:?}\n{next:?}"
                );
            }
            assert!(times.values().all(|times| *times == 1), "each once");
            self.assert_order(&person.heard);
            for (number, said) in self.said.iter().enumerate().skip(first) {
                for wish in 0..IN_GROUP {
                    let is_wanted = is_staying[said.publisher]
                        && is_staying[listener]
                        && rules.allow_said(said, listener, wish)
                        && next.allow_said(said, listener, wish);
                    assert!(
                        !is_wanted || times.contains_key(&(wish, number)),
                        "{listener} did not hear {said:?}:\n{rules:?}\n{next:?}"
                    );
                }
            }
        }
        assert!(copies.values().all(|copies| *copies == 1), "one copy");
        for (number, said) in self.said.iter().enumerate().skip(first) {
            let goes_on = |user: usize| {
                rules.allow_said(said, user, IN_GROUP) && next.allow_said(said, user, IN_GROUP)
            };
            let is_closed =
                |user: usize| !is_staying[user] && rules.allow_said(said, user, IN_GROUP);
            // What is on its way to a connection that is closed goes with it.
            if is_staying[said.publisher]
                && (0..USERS).any(|user| is_staying[user] && goes_on(user))
                && !(0..USERS).any(is_closed)
            {
                assert!(copies.contains_key(&number), "a member gets {said:?}");
            }
        }
    }

    /// Each publisher's messages come in the order of their numbers, to each subscription.
    fn assert_order(&self, heard: &[(usize, usize)]) {
        let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (wish, number) in heard {
            let publisher = self.said[*number].publisher;
            let before = last.insert((*wish, publisher), *number);
            // Members of a group leave: then a message may overtake one that is handed on.
            assert!(*wish == IN_GROUP || before.is_none_or(|before| before < *number));
        }
    }
}

impl Rules {
    fn allow_said(&self, said: &Said, listener: usize, wish: usize) -> bool {
        self.allow(said.publisher, said.channel, listener, wish)
    }

    /// Whether a message between this configuration and the `next` may come to a subscription that `listener` has had.
    fn may_let(&self, next: &Rules, said: &Said, listener: usize, wish: usize) -> bool {
        let user = |of: &'_ Rules, user: usize| of.users[user].clone();
        let (Some(from), Some(to)) = (user(self, said.publisher), user(self, listener)) else {
            return false;
        };
        let after =
            user(next, said.publisher).filter(|after| User::stays(Some(&from), Some(after)));
        let may_publish = |user: &User| user.may_publish[said.channel];
        (may_publish(&from) || after.is_some_and(|after| may_publish(&after)))
            && to.may_hear[WISHES[wish].bit]
            && [self, next]
                .iter()
                .any(|rules| rules.connect(from.account, said.channel, to.account, wish))
    }
}

/// What a listener is told that is closed.
fn farewell(before: &Option<User>, after: &Option<User>) -> Vec<String> {
    let is_doubted = matches!((before, after), (Some(before), Some(after))
        if before.account == after.account);
    let text = is_doubted.then(|| "-ERR 'Authorization Violation'".to_owned());
    text.into_iter().collect()
}

/// Everyone says something on every channel, allowed or not, several times.
fn burst(people: &mut [Option<Person>], said: &mut Vec<Said>, is_staying: &[bool]) {
    for (publisher, person) in people.iter_mut().enumerate() {
        let Some(person) = person else { continue };
        let mut bytes = Vec::new();
        for _ in 0..BURST {
            say_everywhere(&mut bytes, said, publisher);
        }
        let sent = person.talker.send(&bytes);
        assert!(sent.is_ok() || !is_staying[publisher], "its talker stays");
    }
}

fn say_everywhere(bytes: &mut Vec<u8>, said: &mut Vec<Said>, publisher: usize) {
    for channel in 0..CHANNELS {
        let number = said.len().to_string();
        write_publish(bytes, &format!("c.{channel}"), number.as_bytes());
        said.push(Said { publisher, channel });
    }
}
