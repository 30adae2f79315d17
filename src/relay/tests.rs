mod sockets;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const LIMITS: RelayLimits = RelayLimits { idle: Duration::from_secs(60), total: None };

/// A relay between a client and an origin, each on a real socket.
struct Scene {
    client: TcpStream,
    origin: TcpStream,
    counts: Arc<Counts>,
    end: JoinHandle<RelayEnd>,
}

impl Scene {
    async fn open(limits: RelayLimits) -> Scene {
        let (client, gateway_to_client) = connected().await;
        let (gateway_to_origin, origin) = connected().await;
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        let end = spawn(async move { between(gateway_to_client, gateway_to_origin, limits, &shared).await });
        Scene { client, origin, counts, end }
    }
}

/// A relay of which nothing was read before.
fn between<'a, C: Stream, O: Stream>(client: C, origin: O, limits: RelayLimits, counts: &'a Counts) -> Relay<'a, C, O> {
    let (client, origin) = (Side { first: Bytes::new(), stream: client }, Side { first: Bytes::new(), stream: origin });
    relay(RelayPermit::for_test(), client, origin, limits, Tally { access: counts, link: None })
}

/// No socket: what goes through it is copied.
impl Stream for DuplexStream {
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

#[expect(clippy::disallowed_methods, reason = "a panic in a test's task fails the test that awaits it")]
fn spawn<F: Future<Output = RelayEnd> + Send + 'static>(future: F) -> JoinHandle<RelayEnd> {
    tokio::spawn(future)
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn what_the_client_ends_first_the_origin_may_still_answer() {
    let mut scene = Scene::open(LIMITS).await;
    scene.client.write_all(b"question").await.unwrap();
    scene.client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut scene.origin).await, b"question");
    scene.origin.write_all(b"a longer answer").await.unwrap();
    drop(scene.origin);
    assert_eq!(read_all(&mut scene.client).await, b"a longer answer");
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Complete);
    assert_eq!((scene.counts.up(), scene.counts.down()), (8, 15));
}

#[tokio::test]
async fn what_the_origin_ends_first_the_client_may_still_finish() {
    let mut scene = Scene::open(LIMITS).await;
    scene.origin.write_all(b"banner").await.unwrap();
    scene.origin.shutdown().await.unwrap();
    assert_eq!(read_all(&mut scene.client).await, b"banner");
    scene.client.write_all(b"last words").await.unwrap();
    drop(scene.client);
    assert_eq!(read_all(&mut scene.origin).await, b"last words");
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Complete);
    assert_eq!((scene.counts.up(), scene.counts.down()), (10, 6));
}

/// Bytes move, and then no more.
async fn full(count: &AtomicU64) {
    let mut before = 0;
    while count.load(Ordering::Relaxed) == 0 || count.load(Ordering::Relaxed) != before {
        before = count.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn counts_are_exact_and_bytes_whole_when_both_sides_push_and_read_late() {
    const SIZE: usize = 3_000_001;
    let scene = Scene::open(LIMITS).await;
    let (mut client_in, mut client_out) = scene.client.into_split();
    let (mut origin_in, mut origin_out) = scene.origin.into_split();
    let bytes = |seed: usize| (0..SIZE).map(|i| ((i * 31 + seed) % 251) as u8).collect::<Vec<u8>>();
    let (up, down) = (bytes(1), bytes(2));
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    tokio::join!(
        async {
            client_out.write_all(&up).await.unwrap();
            drop(client_out);
        },
        async {
            origin_out.write_all(&down).await.unwrap();
            drop(origin_out);
        },
        // Read only once the pipes are full.
        async {
            full(&scene.counts.up).await;
            origin_in.read_to_end(&mut got_up).await.unwrap()
        },
        async {
            full(&scene.counts.down).await;
            client_in.read_to_end(&mut got_down).await.unwrap()
        },
    );
    assert!(got_up == up && got_down == down);
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Complete);
    assert_eq!((scene.counts.up(), scene.counts.down()), (SIZE as u64, SIZE as u64));
}

#[tokio::test]
async fn counts_are_read_while_it_runs() {
    let mut scene = Scene::open(LIMITS).await;
    scene.client.write_all(b"12345").await.unwrap();
    let mut got = [0; 5];
    scene.origin.read_exact(&mut got).await.unwrap();
    assert_eq!((scene.counts.up(), scene.counts.down()), (5, 0));
    scene.end.abort();
}

#[tokio::test]
async fn a_reset_says_whose_it_was() {
    let mut scene = Scene::open(LIMITS).await;
    scene.client.write_all(b"x").await.unwrap();
    scene.origin.read_u8().await.unwrap();
    scene.client.set_zero_linger().unwrap();
    drop(scene.client);
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Client(io::ErrorKind::ConnectionReset));
    assert_eq!(read_all(&mut scene.origin).await, b"");

    let mut scene = Scene::open(LIMITS).await;
    scene.origin.write_all(b"x").await.unwrap();
    scene.client.read_u8().await.unwrap();
    scene.origin.set_zero_linger().unwrap();
    drop(scene.origin);
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Origin(io::ErrorKind::ConnectionReset));
    assert_eq!((scene.counts.up(), scene.counts.down()), (0, 1));
}

#[test]
fn every_end_has_its_word_in_the_log() {
    use io::ErrorKind::ConnectionReset;
    for (end, ending) in [
        (RelayEnd::Complete, Ending::Complete),
        (RelayEnd::Client(ConnectionReset), Ending::ClientClosed),
        (RelayEnd::Origin(ConnectionReset), Ending::OriginClosed),
        (RelayEnd::Idle, Ending::TimedOut),
        (RelayEnd::Total, Ending::TimedOut),
    ] {
        assert_eq!(end.ending(), ending);
    }
}

/// A relay on pipes in memory, for paused time.
fn in_memory(limits: RelayLimits) -> (DuplexStream, DuplexStream, Arc<Counts>, JoinHandle<RelayEnd>) {
    let (client, near) = duplex(1000);
    let (far, origin) = duplex(1000);
    let counts = Arc::new(Counts::default());
    let shared = counts.clone();
    let end = spawn(async move { between(near, far, limits, &shared).await });
    (client, origin, counts, end)
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nothing_moved_for_the_idle_limit() {
    let (mut client, mut origin, _, end) = in_memory(LIMITS);
    let begun = Instant::now();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        client.write_all(b"x").await.unwrap();
        origin.read_u8().await.unwrap();
    }
    assert_eq!(end.await.unwrap(), RelayEnd::Idle);
    assert_eq!(begun.elapsed().as_secs(), 250 + 60);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_moves_nothing_wakes_it_but_its_limit() {
    let (_client, near) = duplex(1000);
    let (far, _origin) = duplex(1000);
    let counts = Counts::default();
    let mut idle = between(near, far, LIMITS, &counts);
    let mut woken = 0;
    let end = poll_fn(|cx| {
        woken += 1;
        Pin::new(&mut idle).poll(cx)
    });
    assert_eq!(end.await, RelayEnd::Idle);
    assert_eq!(woken, 2, "at the beginning and at the end");
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_the_total_limit_though_bytes_move() {
    let limits = RelayLimits { total: Some(Duration::from_secs(95)), ..LIMITS };
    let (_client, mut origin, counts, end) = in_memory(limits);
    let begun = Instant::now();
    let talker = async {
        while origin.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    };
    let (_, (end, took)) = tokio::join!(talker, async { (end.await.unwrap(), begun.elapsed()) });
    assert_eq!(end, RelayEnd::Total);
    assert_eq!((took.as_secs(), counts.down()), (95, 10));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_holds_no_more_than_a_buffer_and_not_for_ever() {
    let (_client, mut origin, counts, end) = in_memory(LIMITS);
    let flood = async {
        let mut taken = 0;
        while let Ok(n) = origin.write(&[0; 500]).await {
            taken += n;
        }
        taken
    };
    let (taken, end) = tokio::join!(flood, end);
    assert_eq!(end.unwrap(), RelayEnd::Idle);
    assert_eq!(counts.down(), 1000, "what the client's pipe holds");
    assert!(taken <= 2 * 1000 + 32 * 1024, "{taken}");
}

/// An origin that takes no more, with an answer still to be read.
struct Refusing(&'static [u8]);

impl AsyncRead for Refusing {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (now, later) = self.0.split_at(self.0.len().min(4));
        buf.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Refusing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Refusing {
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

#[tokio::test]
async fn an_origin_that_refuses_an_upload_has_its_answer_brought_to_the_client() {
    let (mut client, near) = duplex(1000);
    client.write_all(b"a large upload").await.unwrap();
    let counts = Counts::default();
    let origin = Refusing(b"413 too large");
    let end = between(near, origin, LIMITS, &counts).await;
    assert_eq!(end, RelayEnd::Origin(io::ErrorKind::BrokenPipe));
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "413 too large");
    assert_eq!((counts.up(), counts.down()), (0, 13));
}
