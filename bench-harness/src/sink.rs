//! Servers that do next to nothing, to measure the generator itself: one counts what is published, one hands it on to
//! every subscriber. They speak as little NATS as the load needs, a thread to a connection, and trust what they get.
//!
//! The bare ping-pong beside them is the ruler for the generator's times: the same bytes through the same server, with
//! nothing but sockets, an epoll and a clock.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

use crate::latency::Histograms;
use crate::load::{Clock, Timer};

/// What a server does with a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Count,
    /// Deliver it to every connection that has subscribed, whatever to.
    Echo,
}

/// A server on a loopback port of its own, for as long as the process lives.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    manner: Manner,
    messages: AtomicU64,
    subscribers: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn subscribers(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    /// Listens; port 0 is any that is free.
    pub fn start(manner: Manner, port: u16) -> io::Result<Sink> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            manner,
            messages: AtomicU64::new(0),
            subscribers: Mutex::default(),
        });
        let of_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_threads);
                // A client that leaves ends its thread; nobody needs to know.
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Ok(Sink { address, shared })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes so far.
    pub fn messages(&self) -> u64 {
        self.shared.messages.load(Relaxed)
    }
}

/// Counts what comes to this port for ever, and prints the number every second in which it changed.
pub fn run(port: u16) -> io::Result<()> {
    let sink = Sink::start(Manner::Count, port)?;
    println!("counting publishes on {}", sink.address());
    let mut before = 0;
    loop {
        thread::sleep(Duration::from_secs(1));
        let messages = sink.messages();
        if messages != before {
            println!("{messages} messages, {} more", messages - before);
            before = messages;
        }
    }
}

/// Sends one message at a time to an echoing sink and waits for it: sockets, an epoll and a timer as the generator has them, and
/// nothing else.
pub fn ping_pong(
    address: SocketAddr,
    count: u32,
    interval: Duration,
    payload: usize,
) -> io::Result<Histogram<u64>> {
    let mut mouth = TcpStream::connect(address)?;
    mouth.set_nodelay(true)?;
    let mut poll = Poll::new()?;
    let mut ears = ears(address)?;
    poll.registry()
        .register(&mut ears, EARS, Interest::READABLE)?;
    let mut timer = Timer::new(poll.registry(), TIMER)?;
    let mut message = format!("PUB ping {payload}\r\n").into_bytes();
    message.resize(message.len() + payload, b'x');
    message.extend_from_slice(b"\r\n");
    let answer = message.len() + b" 1".len();
    let mut buffer = vec![0; 64 << 10];
    let mut events = Events::with_capacity(8);
    let mut histogram = Histograms::default().service;
    let clock = Clock::start();
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    timer.wake_at(interval_ns, &clock)?;
    let mut is_due = false;
    for ordinal in 1..=u64::from(count) {
        while !mem::take(&mut is_due) {
            poll.poll(&mut events, None)?;
            is_due = events.iter().any(|event| event.token() == TIMER);
        }
        timer.gone_off();
        let began_ns = clock.now_ns();
        mouth.write_all(&message)?;
        // The next time is asked for before the answer is here: an open loop does not wait for it.
        timer.wake_at((ordinal + 1) * interval_ns, &clock)?;
        let mut heard = 0;
        while heard < answer {
            poll.poll(&mut events, None)?;
            is_due |= events.iter().any(|event| event.token() == TIMER);
            if events.iter().any(|event| event.token() == EARS) {
                heard += ears.read(&mut buffer)?;
            }
        }
        histogram.saturating_record(clock.now_ns() - began_ns);
    }
    Ok(histogram)
}

/// A connection that has subscribed.
fn ears(address: SocketAddr) -> io::Result<mio::net::TcpStream> {
    let mut ears = TcpStream::connect(address)?;
    ears.write_all(b"SUB ping 1\r\nPING\r\n")?;
    let mut said = Vec::new();
    while !said.ends_with(b"PONG\r\n") {
        let mut byte = [0];
        ears.read_exact(&mut byte)?;
        said.extend_from_slice(&byte);
    }
    ears.set_nonblocking(true)?;
    Ok(mio::net::TcpStream::from_std(ears))
}

const EARS: Token = Token(0);
const TIMER: Token = Token(1);

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(
        b"INFO {\"version\":\"0\",\"trunkline\":\"sink\",\"max_payload\":67108864}\r\n",
    )?;
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    let (mut answers, mut deliveries) = (Vec::new(), Vec::new());
    loop {
        if kept == buffer.len() {
            buffer.resize(2 * kept, 0);
        }
        let read = stream.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(());
        }
        let received = &buffer[..kept + read];
        let mut taken = 0;
        let mut messages = 0;
        while let Some((length, frame)) = frame(&received[taken..]) {
            match frame {
                Frame::Publish { subject, payload } => {
                    messages += 1;
                    if shared.manner == Manner::Echo {
                        deliver(&mut deliveries, subject, payload);
                    }
                }
                Frame::Ping => answers.extend_from_slice(b"PONG\r\n"),
                Frame::Subscribe => shared.subscribers().push(stream.try_clone()?),
                Frame::Other => {}
            }
            taken += length;
        }
        shared.messages.fetch_add(messages, Relaxed);
        let end = kept + read;
        buffer.copy_within(taken..end, 0);
        kept = end - taken;
        if !deliveries.is_empty() {
            // Who has left is forgotten.
            let mut subscribers = shared.subscribers();
            subscribers.retain_mut(|subscriber| subscriber.write_all(&deliveries).is_ok());
            deliveries.clear();
        }
        stream.write_all(&answers)?;
        answers.clear();
    }
}

enum Frame<'a> {
    Publish {
        subject: &'a [u8],
        payload: &'a [u8],
    },
    Subscribe,
    Ping,
    Other,
}

fn frame(received: &[u8]) -> Option<(usize, Frame<'_>)> {
    let end = memchr::memchr(b'\n', received)? + 1;
    let line = received[..end].trim_ascii_end();
    let Some(publish) = line.strip_prefix(b"PUB ") else {
        let frame = match line {
            b"PING" => Frame::Ping,
            _ if line.starts_with(b"SUB ") => Frame::Subscribe,
            _ => Frame::Other,
        };
        return Some((end, frame));
    };
    let space = memchr::memrchr(b' ', publish)?;
    let digits = &publish[space + 1..];
    let length = digits.iter().fold(0, |sum, digit| {
        10 * sum + usize::from(digit.wrapping_sub(b'0'))
    });
    let payload = received.get(end..end + length + 2)?;
    let subject = publish.split(|byte| *byte == b' ').next()?;
    let payload = &payload[..length];
    Some((end + length + 2, Frame::Publish { subject, payload }))
}

fn deliver(out: &mut Vec<u8>, subject: &[u8], payload: &[u8]) {
    out.extend_from_slice(b"MSG ");
    out.extend_from_slice(subject);
    // A Vec takes every byte.
    let _ = write!(out, " 1 {}\r\n", payload.len());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart_and_halves_are_not() {
        let bytes = b"PUB a.b 3\r\nx\ny\r\nPING\r\n";
        for length in 0..bytes.len() - 6 {
            assert!(frame(&bytes[..length]).is_none(), "{length}");
        }
        let Some((16, Frame::Publish { subject, payload })) = frame(bytes) else {
            panic!("a publish of 16 bytes");
        };
        assert_eq!((subject, payload), (&b"a.b"[..], &b"x\ny"[..]));
        assert!(matches!(frame(&bytes[16..]), Some((6, Frame::Ping))));
    }

    #[test]
    fn every_ping_comes_back() {
        let sink = Sink::start(Manner::Echo, 0).unwrap();
        let times = ping_pong(sink.address(), 20, Duration::from_micros(200), 16).unwrap();
        assert_eq!(times.len(), 20);
        assert_eq!(sink.messages(), 20);
    }
}
