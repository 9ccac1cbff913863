//! Reads the pages of a monitor port, again and again, on a thread of its own.
//!
//! - A server that does not answer is told as a fault, and asked again at the next turn; nothing here gives up.
//! - An answer may take [`ANSWER_MAX`] and weigh [`PAGE_MAX`]: what listens there need not be a NATS server.

use super::request::Source;
use super::sample::Sample;
use super::state::Wishes;
use rustls::crypto::aws_lc_rs;
use serde::de::DeserializeOwned;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Time for a page.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Bytes of a page: the most connections that can be asked for, at a KiB each.
const PAGE_MAX: u64 = 128 << 20;

/// A thread that reads pages.
#[derive(Debug)]
pub(super) struct Fetcher {
    wishes: Sender<Wishes>,
    readings: Receiver<Result<Sample, String>>,
}

impl Fetcher {
    /// Starts to read at once, and then at the pace of `every`.
    ///
    /// # Errors
    /// A file of certificates cannot be used, or the thread cannot be made.
    pub(super) fn start(
        source: &Source,
        wishes: Wishes,
        every: Duration,
    ) -> Result<Fetcher, String> {
        let reader = Reader::new(source)?;
        let (wishes_sender, changes) = channel();
        let (sender, readings) = channel();
        std::thread::Builder::new()
            .name("fetcher".to_owned())
            .spawn(move || run(&reader, wishes, every, &changes, &sender))
            .map_err(|error| error.to_string())?;
        Ok(Fetcher {
            wishes: wishes_sender,
            readings,
        })
    }

    /// Asks in another way from now on, starting at once.
    pub(super) fn change(&self, wishes: &Wishes) {
        // The thread is there as long as this is.
        let _ = self.wishes.send(wishes.clone());
    }

    /// What has been read since the last call, if anything.
    pub(super) fn reading(&self) -> Option<Result<Sample, String>> {
        self.readings.try_recv().ok()
    }

    /// Waits for what is read next.
    pub(super) fn next_reading(&self) -> Result<Sample, String> {
        self.readings
            .recv()
            .unwrap_or_else(|_| Err("the thread that reads has ended".to_owned()))
    }
}

fn run(
    reader: &Reader,
    mut wishes: Wishes,
    every: Duration,
    changes: &Receiver<Wishes>,
    readings: &Sender<Result<Sample, String>>,
) {
    loop {
        if readings.send(reader.read(&wishes)).is_err() {
            return;
        }
        match changes.recv_timeout(every) {
            Ok(changed) => wishes = changes.try_iter().last().unwrap_or(changed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Reads pages one after the other, over a connection that it keeps.
struct Reader {
    agent: ureq::Agent,
    base: String,
    started: Instant,
}

impl Reader {
    #[allow(
        clippy::disallowed_methods,
        reason = "rates need the time, and no shard runs in this process"
    )]
    fn new(source: &Source) -> Result<Reader, String> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_MAX))
            // What is looked at is near, and a proxy that the environment names is for what is not.
            .proxy(None)
            .user_agent(concat!("trunkline-top/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls_config(source)?)
            .build();
        Ok(Reader {
            agent: config.new_agent(),
            base: source.base.clone(),
            started: Instant::now(),
        })
    }

    fn read(&self, wishes: &Wishes) -> Result<Sample, String> {
        let Wishes {
            sort,
            limit,
            with_subscriptions,
            ..
        } = wishes;
        let sort = sort.of_server();
        let subscriptions = u8::from(*with_subscriptions);
        let connections = self.page(&format!(
            "/connz?limit={limit}&sort={sort}&subs={subscriptions}&auth=1"
        ))?;
        let server = self.page("/varz")?;
        Ok(Sample {
            at: self.started.elapsed(),
            server,
            connections,
        })
    }

    fn page<T: DeserializeOwned>(&self, page: &str) -> Result<T, String> {
        let url = format!("{}{page}", self.base);
        let response = self.agent.get(&url).call().map_err(|error| why(&error))?;
        let body = response.into_body().into_with_config().limit(PAGE_MAX);
        let mut text = Vec::new();
        body.reader()
            .read_to_end(&mut text)
            .map_err(|error| why(&ureq::Error::from(error)))?;
        serde_json::from_slice(&text).map_err(|error| {
            let name = page.split_once('?').map_or(page, |(name, _)| name);
            format!("{name} is not a page of a NATS server: {error}")
        })
    }
}

/// What went wrong, in the words of the system where it was the system.
fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(404) => "there is no monitor at this address (404)".to_owned(),
        ureq::Error::StatusCode(code) => format!("the server answers with status {code}"),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        error => error.to_string(),
    }
}

fn tls_config(source: &Source) -> Result<TlsConfig, String> {
    let mut config = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .disable_verification(source.is_unverified);
    if !source.base.starts_with("https:") {
        return Ok(config.build());
    }
    let authorities = match &source.authorities {
        Some(path) => certificates(path)?,
        None => rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect(),
    };
    config = config.root_certs(RootCerts::Specific(Arc::new(authorities)));
    if let (Some(certificate), Some(key)) = (&source.certificate, &source.key) {
        let shown = ClientCert::new_with_certs(&certificates(certificate)?, private_key(key)?);
        config = config.client_cert(Some(shown));
    }
    Ok(config.build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let text = read(path)?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let certificates: Vec<_> = parse_pem(&text).filter_map(certificate).collect();
    if certificates.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, String> {
    PrivateKey::from_pem(&read(path)?).map_err(|_| format!("{} holds no key", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error: io::Error| format!("{}: {error}", path.display());
    std::fs::read(path).map_err(told)
}
