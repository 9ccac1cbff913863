//! A client for monitoring pages that speaks HTTP/2 over TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// A connection to a server whose certificate is for `localhost`.
#[derive(Debug)]
pub(crate) struct Http2Client {
    runtime: Runtime,
    requests: SendRequest<String>,
    connection: JoinHandle<()>,
}

impl Http2Client {
    pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let (requests, connection) = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            let stream = TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(io::Error::other("HTTP/2 was not agreed on"));
            }
            let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            Ok((requests, connection))
        })?;
        Ok(Self {
            runtime,
            requests,
            connection,
        })
    }

    /// Asks for all of these pages before it looks at the first reply; gives their statuses and texts.
    pub(crate) fn get(&mut self, pages: &[&str]) -> io::Result<Vec<(u16, String)>> {
        let asked: Vec<_> = pages.iter().map(|page| self.ask(page)).collect();
        self.runtime.block_on(async {
            let mut replies = Vec::new();
            for reply in asked {
                let mut reply = reply.await.map_err(io::Error::other)?;
                let body = read(reply.body_mut()).await?;
                let text = String::from_utf8_lossy(&body).into_owned();
                replies.push((reply.status().as_u16(), text));
            }
            Ok(replies)
        })
    }

    /// Asks for a page and takes nothing of it but the head, until the server ends the connection. The error says that it
    /// did not `within` that time.
    pub(crate) fn starve(mut self, page: &str, within: Duration) -> io::Result<()> {
        let asked = self.ask(page);
        self.runtime.block_on(async {
            let reply = asked.await.map_err(io::Error::other)?;
            let ended = tokio::time::timeout(within, &mut self.connection).await;
            drop(reply);
            ended.map(drop).map_err(io::Error::other)
        })
    }

    /// Takes what comes of a page for as long as that. The error says that it ended earlier.
    pub(crate) fn watch(&mut self, page: &str, span: Duration) -> io::Result<()> {
        let asked = self.ask(page);
        self.runtime.block_on(async {
            let mut reply = asked.await.map_err(io::Error::other)?;
            match tokio::time::timeout(span, read(reply.body_mut())).await {
                Err(_) => Ok(()),
                Ok(ended) => Err(io::Error::other(format!("{ended:?}"))),
            }
        })
    }

    /// Asks for nothing, until the server ends the connection.
    pub(crate) fn rest(mut self, within: Duration) -> io::Result<()> {
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(within, &mut self.connection).await });
        ended.map(drop).map_err(io::Error::other)
    }

    fn ask(
        &mut self,
        page: &str,
    ) -> impl Future<Output = hyper::Result<hyper::Response<Incoming>>> + use<> {
        let request = Request::get(format!("https://localhost{page}")).body(String::new());
        self.requests.send_request(request.expect("a request"))
    }
}

async fn read(body: &mut Incoming) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
    {
        let frame = frame.map_err(io::Error::other)?;
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}
