//! The doors of the DNS guard: datagrams, and streams for what does not fit into one.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::dns::Transport;
use crate::listen::{Accepted, DatagramDoor};
use crate::tasks;

use super::super::allowances::Standing;
use super::super::{Gateway, drain_begins};
use super::answer::{Asker, Reply};

/// A question with options is a few hundred bytes; what is longer is cut and then malformed.
const MESSAGE_MAX: usize = 4096;
/// A stream may stand idle this long (RFC 7766 §6.2.3: a few seconds), and a message in it may take as long.
const STREAM_IDLE: Duration = Duration::from_secs(10);

/// Answers datagrams until the gateway drains.
pub async fn datagrams(gateway: Arc<Gateway>, door: DatagramDoor) {
    let door = Arc::new(door);
    let mut draining = gateway.draining.subscribe();
    let mut datagram = vec![0; MESSAGE_MAX];
    let mut out = Vec::with_capacity(MESSAGE_MAX);
    loop {
        let received = tokio::select! {
            received = door.receive(&mut datagram) => received,
            () = drain_begins(&mut draining) => return,
        };
        let (n, client) = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(door = %door.local(), %error, "no question can be received");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let asker = Asker { client, local: door.local().ip(), by: Transport::Datagram };
        match gateway.answer_names(&datagram[..n], asker, &mut out) {
            Reply::Nothing => {}
            Reply::Now => door.send(&out, client),
            Reply::Later(pending) => {
                let (gateway, door) = (gateway.clone(), door.clone());
                tasks::spawn("answer to a question of names", async move {
                    let mut out = Vec::new();
                    gateway.answer_pending(*pending, &mut out).await;
                    door.send(&out, client);
                });
            }
        }
    }
}

/// Answers the questions of one stream, one after the other (RFC 7766), until it ends, stands idle or the gateway drains.
pub async fn stream(gateway: Arc<Gateway>, accepted: Accepted) {
    let limits = gateway.snapshot().config.limits;
    let taken = gateway.allowances.take(accepted.client.ip().to_canonical(), &limits);
    if taken.standing != Standing::Within {
        return;
    }
    let mut draining = gateway.draining.subscribe();
    tokio::select! {
        () = answer_all(&gateway, accepted) => {}
        () = drain_begins(&mut draining) => {}
    }
}

async fn answer_all(gateway: &Arc<Gateway>, accepted: Accepted) {
    let Accepted { mut stream, client, local, .. } = accepted;
    let asker = Asker { client, local: local.ip(), by: Transport::Stream };
    let mut message = vec![0; MESSAGE_MAX];
    let mut out = Vec::new();
    loop {
        let read = async {
            let length = usize::from(stream.read_u16().await?);
            let Some(message) = message.get_mut(..length) else {
                return Err(std::io::ErrorKind::InvalidData.into());
            };
            stream.read_exact(message).await
        };
        let Ok(Ok(length)) = timeout(STREAM_IDLE, read).await else { return };
        match gateway.answer_names(&message[..length], asker, &mut out) {
            Reply::Nothing => return,
            Reply::Now => {}
            Reply::Later(pending) => gateway.answer_pending(*pending, &mut out).await,
        }
        let Ok(length) = u16::try_from(out.len()) else { return };
        let framed = [&length.to_be_bytes()[..], &out].concat();
        match timeout(STREAM_IDLE, stream.write_all(&framed)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}
