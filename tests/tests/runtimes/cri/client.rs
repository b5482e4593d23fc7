//! A gRPC client for calls with one message each way: HTTP/2 over a Unix socket, a message behind a five-byte prefix,
//! the status in the trailers ("gRPC over HTTP2").

use std::time::Duration;

use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

const SERVICE: &str = "runtime.v1.RuntimeService";
const DEADLINE: Duration = Duration::from_secs(60);
/// A flag that says whether the message is compressed, and its length in four bytes.
const PREFIX: usize = 5;

/// A connection to a container runtime.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

impl Client {
    pub(super) fn connect(socket: &str) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = UnixStream::connect(socket).await.unwrap();
            let (sender, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// Calls a method of the runtime service; an error is in the words of the runtime.
    pub(super) fn call<A: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<A, String> {
        let answer = async { timeout(DEADLINE, self.exchange(method, framed(request))).await };
        let answer = self.runtime.block_on(answer);
        let message = answer.map_err(|_| format!("{method}: no answer in {DEADLINE:?}"))??;
        A::decode(message).map_err(|error| format!("{method}: {error}"))
    }

    async fn exchange(&self, method: &str, message: Bytes) -> Result<Bytes, String> {
        let failed = |error: h2::Error| format!("{method}: {error}");
        let mut sender = self.sender.clone().ready().await.map_err(failed)?;
        let (response, mut body) = sender.send_request(head(method), false).map_err(failed)?;
        body.send_data(message, true).map_err(failed)?;
        let (head, mut body) = response.await.map_err(failed)?.into_parts();
        let message = receive(&mut body).await.map_err(failed)?;
        let trailers = body.trailers().await.map_err(failed)?;
        // A call that fails at once has its status in the header.
        check(&trailers.unwrap_or(head.headers)).map_err(|error| format!("{method}: {error}"))?;
        Ok(message.slice(PREFIX.min(message.len())..))
    }
}

fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

fn head(method: &str) -> Request<()> {
    Request::post(format!("http://localhost/{SERVICE}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

async fn receive(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut received = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        received.put(part);
    }
    Ok(received.freeze())
}

fn check(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match text("grpc-status").as_deref() {
        Some("0") => Ok(()),
        status => Err(format!("{} (status {status:?})", text("grpc-message").unwrap_or_default())),
    }
}
