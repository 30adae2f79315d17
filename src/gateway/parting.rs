//! How we part from a client: our side closed, and what it still sends listened to for a moment.
//!
//! What is unread when a socket closes makes the kernel reset it, and the answer on its way is lost (RFC 9112 §9.6).

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a parting may take, and how much is listened to.
pub const LINGER: Duration = Duration::from_secs(2);
pub const LINGER_BYTES: usize = 256 * 1024;

/// Says the last words, closes, listens; never longer than [`LINGER`].
pub async fn say_goodbye(mut client: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) {
    let goodbye = async {
        client.write_all(words).await?;
        client.shutdown().await?;
        let (mut scratch, mut left) = ([0; 1024], LINGER_BYTES);
        while left > 0 {
            match client.read(&mut scratch).await? {
                0 => break,
                n => left = left.saturating_sub(n),
            }
        }
        std::io::Result::Ok(())
    };
    // The client may be gone already, or take its time: what was to be said is said.
    let _ = tokio::time::timeout(LINGER, goodbye).await;
}

/// Resets the connection: the only word that everybody understands.
pub fn hang_up(client: TcpStream) {
    // A socket that cannot be told so is closed all the same.
    let _ = client.set_zero_linger();
}
