//! First bytes read from a stream: time-outs, ends, limits.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{hellos, name};
use crate::access::Protocol;
use crate::detect::{FIRST_BYTES_MAX, Fault, Prefixed, Signature, Stop, read_first_bytes};

const WITHIN: Duration = Duration::from_secs(3);

#[tokio::test]
async fn what_was_read_is_given_back() {
    let hello = hellos::browser("www.example.fr");
    let (mut client, mut ours) = duplex(300);
    let sent = hello.clone();
    let sender = async move {
        client.write_all(&sent).await.unwrap();
        client.write_all(b"more").await.unwrap();
        client
    };
    let (detected, client) = tokio::join!(read_first_bytes(&mut ours, WITHIN, FIRST_BYTES_MAX), sender);
    let detected = detected.unwrap();
    assert_eq!((detected.signature.sni.clone(), detected.stop), (name("www.example.fr"), Stop::Recognised));
    drop(client);
    let mut all = Vec::new();
    Prefixed::new(detected.bytes, ours).read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [&hello[..], b"more"].concat());
}

#[tokio::test(start_paused = true)]
async fn silence_is_an_answer_when_the_time_is_over() {
    let (_client, mut ours) = duplex(64);
    let begun = tokio::time::Instant::now();
    let detected = read_first_bytes(&mut ours, WITHIN, FIRST_BYTES_MAX).await.unwrap();
    assert_eq!((detected.signature, detected.stop), (Signature::of(Protocol::Silent), Stop::TimedOut));
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_slow_beginning_ends_at_the_deadline_too() {
    let (mut client, mut ours) = duplex(64);
    let sender = async move {
        for byte in b"GET /slowly-and-slowly" {
            client.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let reader = async { (read_first_bytes(&mut ours, WITHIN, FIRST_BYTES_MAX).await.unwrap(), ours) };
    let (_, (detected, _ours)) = tokio::join!(sender, reader);
    assert_eq!(detected.signature, Signature::faulty(Protocol::Http, Fault::Incomplete));
    assert_eq!((&detected.bytes[..], detected.stop), (&b"GET /s"[..], Stop::TimedOut));
}

#[tokio::test]
async fn a_client_that_leaves_is_an_answer() {
    for (sent, protocol) in [(&b""[..], Protocol::Silent), (b"GET /", Protocol::Http), (b"\x16", Protocol::Other)] {
        let (mut client, mut ours) = duplex(64);
        client.write_all(sent).await.unwrap();
        drop(client);
        let detected = read_first_bytes(&mut ours, WITHIN, FIRST_BYTES_MAX).await.unwrap();
        assert_eq!((detected.signature.protocol, detected.stop), (protocol, Stop::Closed));
        assert_eq!(detected.bytes, sent);
    }
}

#[tokio::test]
async fn no_more_than_the_limit_is_read() {
    let (mut client, mut ours) = duplex(FIRST_BYTES_MAX * 2);
    client.write_all(b"GET /").await.unwrap();
    client.write_all(&vec![b'a'; FIRST_BYTES_MAX]).await.unwrap();
    let detected = read_first_bytes(&mut ours, WITHIN, 10_000).await.unwrap();
    assert_eq!(detected.signature, Signature::faulty(Protocol::Http, Fault::TooLong));
    assert_eq!((detected.bytes.len(), detected.stop), (10_000, Stop::Full));
}
