//! A tunnel through the parent proxy (RFC 9110 §9.3.6): CONNECT, its answer, and not a byte more.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Parent;
use crate::access::Host;

/// An answer to CONNECT is a few lines.
const HEAD_MAX: usize = 16 * 1024;

/// Why the parent proxy opened no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    #[error("it wants other credentials (407)")]
    Denied,
    #[error("it answered {0}")]
    Answered(u16),
    #[error("its answer is no HTTP")]
    Invalid,
    #[error("it did not answer in time")]
    TimedOut,
    #[error("it hung up: {0}")]
    HungUp(#[from] io::Error),
}

impl Parent {
    /// Asks for a tunnel to a host over a connection to the parent. When it is there, the stream is the tunnel.
    pub async fn open_tunnel(
        &self,
        stream: &mut TcpStream,
        host: &Host,
        port: u16,
        within: Duration,
    ) -> Result<(), TunnelError> {
        match timeout(within, self.ask(stream, host, port)).await.map_err(|_| TunnelError::TimedOut)?? {
            200..=299 => Ok(()),
            407 => Err(TunnelError::Denied),
            status => Err(TunnelError::Answered(status)),
        }
    }

    async fn ask(&self, stream: &mut TcpStream, host: &Host, port: u16) -> Result<u16, TunnelError> {
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
        if let Some(authorization) = self.authorization() {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        let head = read_head(stream).await?;
        status(&head).ok_or(TunnelError::Invalid)
    }
}

/// Everything up to and with the empty line. What follows is the tunnel's, so it is looked at before it is taken.
async fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>, TunnelError> {
    let mut head = Vec::new();
    let mut seen = [0; 1024];
    loop {
        let n = stream.peek(&mut seen).await?;
        if n == 0 {
            return Err(TunnelError::HungUp(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = head.len();
        head.extend_from_slice(&seen[..n]);
        let from = before.saturating_sub(3);
        let end = head[from..].windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 4);
        head.truncate(end.unwrap_or(head.len()));
        stream.read_exact(&mut seen[..head.len() - before]).await?;
        match end {
            Some(_) => return Ok(head),
            None if head.len() > HEAD_MAX => return Err(TunnelError::Invalid),
            None => {}
        }
    }
}

/// `HTTP/1.1 200 Connection established`
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    let (digits, after) = rest.split_at_checked(3)?;
    let ends = matches!(after.first(), Some(b' ' | b'\r'));
    let number = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    number.parse().ok().filter(|status| ends && (200..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What a reader makes of an answer that comes in two pieces, and what is left for the tunnel.
    async fn read(first: &[u8], second: &[u8]) -> (Result<Option<u16>, TunnelError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut parent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut ours, _) = listener.accept().await.unwrap();
        let said = async {
            parent.write_all(first).await.unwrap();
            tokio::task::yield_now().await;
            // The reader may have left after the first piece.
            let _ = parent.write_all(second).await;
            parent.shutdown().await.unwrap();
        };
        let heard = async {
            let head = read_head(&mut ours).await.map(|head| status(&head));
            let mut rest = Vec::new();
            ours.read_to_end(&mut rest).await.unwrap();
            (head, rest)
        };
        tokio::join!(said, heard).1
    }

    #[tokio::test]
    async fn an_answer_cut_at_every_byte_leaves_the_tunnel_its_own_bytes() {
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 parent\r\n\r\nSSH-2.0-x\r\n\r\n";
        for cut in 0..answer.len() {
            let (status, rest) = read(&answer[..cut], &answer[cut..]).await;
            assert_eq!(
                (status.unwrap(), rest.as_slice()),
                (Some(200), b"SSH-2.0-x\r\n\r\n".as_slice()),
                "cut at {cut}"
            );
        }
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_has_an_end_here() {
        assert!(matches!(read(&b"a".repeat(HEAD_MAX + 2048), b"").await.0, Err(TunnelError::Invalid)));
        assert!(matches!(read(b"HTTP/1.1 200 OK\r\n", b"").await.0, Err(TunnelError::HungUp(_))));
    }

    #[test]
    fn a_status_is_three_digits_in_its_place() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.0 503 \r\n\r\n", Some(503)),
            ("HTTP/1.1 407\r\n\r\n", Some(407)),
            ("HTTP/1.1 2000 OK\r\n\r\n", None),
            ("HTTP/1.1 +20 OK\r\n\r\n", None),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 20", None),
            ("SSH-2.0\r\n\r\n", None),
        ] {
            assert_eq!(status(head.as_bytes()), expected, "{head:?}");
        }
    }
}
