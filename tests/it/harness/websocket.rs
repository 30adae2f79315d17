//! A WebSocket server (RFC 6455) that says each short text back.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::net::TcpListener;

use super::raw::Line;
use super::reply::parse_head;

/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Starts one; its port. It stops with the test's runtime.
pub async fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    ecluse::tasks::spawn("websocket server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            ecluse::tasks::spawn("websocket", async move { serve(Line::over(stream)).await });
        }
    });
    port
}

async fn serve(mut line: Line) {
    let head = line.hear_head().await;
    let fields = parse_head(head.trim_end()).map(|(_, fields)| fields).unwrap_or_default();
    let Some(key) = super::reply::header(&fields, "sec-websocket-key") else {
        line.try_say(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        return;
    };
    line.say(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    ))
    .await;
    while let Some((opcode, payload)) = frame(&mut line).await {
        // A text is said back, a ping answered, a close closes.
        let answer = if opcode == 9 { 10 } else { opcode };
        let mut bytes = vec![0x80 | answer, payload.len() as u8];
        bytes.extend_from_slice(&payload);
        if !line.try_say(&bytes).await || opcode == 8 {
            return;
        }
    }
}

/// What the server answers to a client's key.
pub fn accept(key: &str) -> String {
    base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()).as_ref())
}

/// One masked frame of less than 126 bytes.
async fn frame(line: &mut Line) -> Option<(u8, Vec<u8>)> {
    let head = line.try_hear(2).await?;
    let length = usize::from(head[1] & 0x7f);
    assert!(length < 126, "a long frame");
    let mask = line.try_hear(4).await?;
    let payload = line.try_hear(length).await?;
    Some((head[0] & 0x0f, payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}
