//! The monitor's thread: accepts connections and lets hyper speak HTTP/1.1 on them, or HTTP/2 (`http2`).
//!
//! Limits: so many connections at a time, and those who ask for nothing make room for others (`seats`); a request's head must
//! come in time and not be too long; a client that takes nothing of its page for a while is closed.

use super::http2;
use super::seats::{Seat, Seats};
use super::site::Site;
use super::targets::Escaped;
use super::{Beside, Facts, HTTP2};
use crate::base::log::{Level, Record};
use futures_lite::future::or;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

const CONNECTIONS_MAX: usize = 256;
/// How long a request's head may take, also that of the next on the same connection (nats-server: 5 s, the next any time).
const HEAD_WITHIN: Duration = Duration::from_secs(10);
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take nothing of what is sent.
pub(super) const STUCK_MAX: Duration = Duration::from_secs(10);
/// How long to wait before accepting again when the process is out of descriptors.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Pages may wait, messages may not: where they share a core the shards get nearly all of it.
const NICENESS: i32 = 10;

/// Starts the thread.
///
/// # Errors
/// When it cannot be made.
pub(super) fn spawn(
    door: Option<(OwnedFd, Option<watch::Receiver<Arc<ServerConfig>>>)>,
    facts: watch::Receiver<Arc<Facts>>,
    beside: Option<Beside>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    std::thread::Builder::new()
        .name("monitor".to_owned())
        .spawn(move || {
            // A thread's number is a process's for the scheduler. Where it may not be changed, it stays as it is.
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            let logger = facts.borrow().logger.clone();
            let site = Rc::new(Site::new(facts));
            let local = LocalSet::new();
            if let Some(beside) = beside {
                local.spawn_local(beside(Rc::clone(&site)));
            }
            let served = local.block_on(&runtime, async {
                match door {
                    Some((socket, tls)) => serve(socket, tls, site, stop).await,
                    None => {
                        // Either way it is over.
                        let _ = stop.await;
                        Ok(())
                    }
                }
            });
            if let Err(error) = served {
                let text = format!("Error starting monitor: {error}");
                logger.log(Record::new(Level::Error, text));
            }
        })?;
    Ok(())
}

async fn serve(
    socket: OwnedFd,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    site: Rc<Site>,
    mut stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(socket.into())?;
    let seats = Seats::new(CONNECTIONS_MAX);
    loop {
        let next = async {
            // Whoever is at the door is let in first: nobody has to go for one who does not come.
            let accepted = listener.accept().await;
            Some((seats.take().await, accepted))
        };
        let stopped = async {
            // Either way the monitor is over.
            let _ = (&mut stop).await;
            None
        };
        let Some((seat, accepted)) = or(next, stopped).await else {
            return Ok(());
        };
        match accepted {
            Ok((stream, _)) => {
                let tls = tls.as_ref().map(|tls| Arc::clone(&tls.borrow()));
                let (site, tls) = (Rc::clone(&site), tls.map(TlsAcceptor::from));
                tokio::task::spawn_local(async move {
                    let dismissed = seat.dismissed();
                    or(welcome(stream, tls, site, &seat), dismissed).await;
                });
            }
            Err(_) => {
                drop(seat);
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// Takes a connection in: a limit on its stuckness, TLS where there is TLS, then requests. What goes wrong on it is the
/// client's affair.
async fn welcome(stream: TcpStream, tls: Option<TlsAcceptor>, site: Rc<Site>, seat: &Rc<Seat>) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STUCK_MAX));
    let stream = Box::pin(stream);
    match tls {
        None => talk(stream, site, seat).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEAD_WITHIN, tls.accept(stream)).await {
                if stream.get_ref().1.alpn_protocol() == Some(HTTP2) {
                    http2::talk(stream, site, seat).await;
                } else {
                    talk(stream, site, seat).await;
                }
            }
        }
    }
}

/// Answers requests until the client or a limit ends the connection.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: Rc<Site>,
    seat: &Rc<Seat>,
) {
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(Escaped::new(reader), writer);
    let answer = service_fn(|request| {
        let (site, asking) = (Rc::clone(&site), seat.asks());
        async move {
            let mut response = site.current().answer(&request).await;
            response.body_mut().asked_by(asking);
            Ok::<_, Infallible>(response)
        }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        // As Go writes them, for tools that look for the letters.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// An address as it is written in logs and errors.
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
