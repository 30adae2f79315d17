//! Relays between sockets: what is large goes through a pipe, and nobody can tell.

use socket2::SockRef;

use super::*;
use crate::relay::pipes::{self, PIPE_BYTES};

/// More than all buffers on the way hold together.
const LARGE: usize = 8_000_001;

/// Bytes of which none stands where another could.
fn bytes(seed: usize, size: usize) -> Vec<u8> {
    (0..size).map(|i| ((i * 31 + i / 251 + seed) % 253) as u8).collect()
}

/// Says all of `said` on one side and hears it whole on the other.
async fn carry(from: &mut TcpStream, to: &mut TcpStream, said: &[u8]) {
    let mut heard = vec![0; said.len()];
    let (said_all, heard_all) = tokio::join!(from.write_all(said), to.read_exact(&mut heard));
    said_all.unwrap();
    heard_all.unwrap();
    assert!(heard == said, "other bytes came");
}

/// How many pipes wait on this thread, where the relays of a test run as well.
fn kept() -> usize {
    let pipes: Vec<_> = std::iter::from_fn(pipes::kept).collect();
    let kept = pipes.len();
    pipes.into_iter().for_each(pipes::give_back);
    kept
}

#[tokio::test]
async fn what_is_large_goes_through_a_pipe_that_is_given_back_for_the_next() {
    let mut scenes = Vec::new();
    for seed in 0..20 {
        let mut scene = Scene::open(LIMITS).await;
        let said = bytes(seed, 1_000_000);
        carry(&mut scene.client, &mut scene.origin, &said).await;
        carry(&mut scene.origin, &mut scene.client, &said).await;
        assert_eq!((scene.counts.up(), scene.counts.down()), (1_000_000, 1_000_000));
        scenes.push(scene);
    }
    // Twenty idle relays that have moved much, and one pipe.
    assert_eq!(kept(), 1);
}

#[tokio::test]
async fn what_is_small_takes_no_pipe() {
    let mut scene = Scene::open(LIMITS).await;
    for seed in 0..50 {
        carry(&mut scene.client, &mut scene.origin, &bytes(seed, 700)).await;
        carry(&mut scene.origin, &mut scene.client, &bytes(seed, 4000)).await;
    }
    assert_eq!(kept(), 0);
}

#[tokio::test]
async fn what_was_read_already_goes_first() {
    let (mut client, near) = connected().await;
    let (far, mut origin) = connected().await;
    let (counts, link) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    let shared = (counts.clone(), link.clone());
    let end = spawn(async move {
        let client = Side { first: Bytes::from_static(b"hello, "), stream: near };
        let origin = Side { first: Bytes::from_static(b"banner, "), stream: far };
        let tally = Tally { access: &shared.0, link: Some(&shared.1) };
        relay(RelayPermit::for_test(), client, origin, LIMITS, tally).await
    });
    client.write_all(b"origin").await.unwrap();
    origin.write_all(b"then more").await.unwrap();
    client.shutdown().await.unwrap();
    origin.shutdown().await.unwrap();
    assert_eq!(read_all(&mut origin).await, b"hello, origin");
    assert_eq!(read_all(&mut client).await, b"banner, then more");
    assert_eq!(end.await.unwrap(), RelayEnd::Complete);
    assert_eq!((counts.up(), counts.down()), (13, 17));
    // What had been read of the origin was counted by who read it.
    assert_eq!((link.up(), link.down()), (13, 9));
}

#[tokio::test]
async fn after_a_large_upload_the_origin_may_still_answer_largely() {
    for client_first in [true, false] {
        let scene = Scene::open(LIMITS).await;
        let (mut first, mut second) =
            if client_first { (scene.client, scene.origin) } else { (scene.origin, scene.client) };
        let said = bytes(7, LARGE);
        let saying = async {
            first.write_all(&said).await.unwrap();
            first.shutdown().await.unwrap();
            read_all(&mut first).await
        };
        let answering = async {
            let heard = read_all(&mut second).await;
            second.write_all(&heard).await.unwrap();
            drop(second);
            heard
        };
        let (answer, heard) = tokio::join!(saying, answering);
        assert!(heard == said && answer == said);
        assert_eq!(scene.end.await.unwrap(), RelayEnd::Complete);
        assert_eq!((scene.counts.up(), scene.counts.down()), (LARGE as u64, LARGE as u64));
    }
}

#[tokio::test]
async fn pieces_of_all_sizes_arrive_in_their_order() {
    let scene = Scene::open(LIMITS).await;
    scene.client.set_nodelay(true).unwrap();
    let (mut client, mut origin) = (scene.client, scene.origin);
    let said = bytes(3, 3_000_000);
    let saying = async {
        let (mut rest, mut size) = (&said[..], 1);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(size.min(rest.len()));
            client.write_all(now).await.unwrap();
            rest = later;
            // From single bytes to more than a pipe holds, and back.
            size = (size * 7 + 1) % 300_007;
            if size % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(client);
    };
    let ((), heard) = tokio::join!(saying, read_all(&mut origin));
    assert!(heard == said);
    drop(origin);
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Complete);
    assert_eq!(scene.counts.up(), said.len() as u64);
}

#[tokio::test]
async fn an_urgent_byte_holds_nothing_up() {
    let mut scene = Scene::open(LIMITS).await;
    let said = bytes(5, 1_000_000);
    for _ in 0..3 {
        carry(&mut scene.client, &mut scene.origin, &said).await;
        // It goes beside the stream (RFC 9293 §3.8.5), and what reads the stream does not see it.
        SockRef::from(&scene.client).send_out_of_band(b"!").unwrap();
    }
    carry(&mut scene.client, &mut scene.origin, &said).await;
    assert_eq!(scene.counts.up(), 4_000_000);
}

/// A relay whose client reads nothing, as full as it gets; what the origin had to keep back, it keeps back.
async fn stuck() -> (Scene, Arc<Counts>) {
    let (client, near) = connected().await;
    let (far, origin) = connected().await;
    for socket in [&client, &near, &far, &origin] {
        SockRef::from(socket).set_recv_buffer_size(64 * 1024).unwrap();
        SockRef::from(socket).set_send_buffer_size(64 * 1024).unwrap();
    }
    let (counts, link) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    let shared = (counts.clone(), link.clone());
    let end = spawn(async move {
        let (client, origin) = (Side { first: Bytes::new(), stream: near }, Side { first: Bytes::new(), stream: far });
        let tally = Tally { access: &shared.0, link: Some(&shared.1) };
        relay(RelayPermit::for_test(), client, origin, LIMITS, tally).await
    });
    let scene = Scene { client, origin, counts, end };
    let flood = vec![7; 1 << 20];
    loop {
        let written = tokio::time::timeout(Duration::from_millis(200), scene.origin.writable()).await;
        if written.is_err() {
            return (scene, link);
        }
        let _ = scene.origin.try_write(&flood);
        assert!(link.down() < 64 << 20, "nothing holds the origin back");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_the_origin_back() {
    let (scene, link) = stuck().await;
    let held = link.down() - scene.counts.down();
    assert!(held > 0 && held <= PIPE_BYTES as u64, "{held} bytes are on their way");
    // One each way at most, and here it is in use.
    assert_eq!(kept(), 0);
    drop(scene.origin);
    let mut client = scene.client;
    let heard = read_all(&mut client).await.len() as u64;
    drop(client);
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Complete);
    assert_eq!((heard, link.down()), (scene.counts.down(), scene.counts.down()));
    assert_eq!(kept(), 1);
}

#[tokio::test]
async fn a_pipe_with_bytes_in_it_is_lent_to_nobody_else() {
    let (scene, _) = stuck().await;
    scene.client.set_zero_linger().unwrap();
    drop(scene.client);
    assert_eq!(scene.end.await.unwrap(), RelayEnd::Client(io::ErrorKind::ConnectionReset));
    assert_eq!(kept(), 0);
}

#[tokio::test]
async fn a_reset_in_the_middle_of_much_says_whose_it_was() {
    let scene = Scene::open(LIMITS).await;
    let (mut client, mut origin) = (scene.client, scene.origin);
    let said = bytes(1, LARGE);
    let saying = async {
        // It fails when the other side is gone.
        let _ = origin.write_all(&said).await;
    };
    let leaving = async {
        let mut heard = vec![0; 2_000_000];
        client.read_exact(&mut heard).await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
    };
    tokio::join!(saying, leaving);
    let end = scene.end.await.unwrap();
    assert!(matches!(end, RelayEnd::Client(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)), "{end:?}");
    assert!((2_000_000..LARGE as u64).contains(&scene.counts.down()));
}

/// Runs itself again in a process that may open few files, since the others here need theirs.
#[test]
fn without_descriptors_for_a_pipe_it_copies() {
    const STARVED: &str = "ECLUSE_TEST_STARVED_OF_PIPES";
    if std::env::var_os(STARVED).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(starve());
    }
    let name = "relay::tests::sockets::without_descriptors_for_a_pipe_it_copies";
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name]).env(STARVED, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the name of this test has changed");
}

async fn starve() {
    let mut scene = Scene::open(LIMITS).await;
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    // A pipe has two ends.
    files.pop();
    let said = bytes(9, 2_000_000);
    carry(&mut scene.client, &mut scene.origin, &said).await;
    assert_eq!((open_pipes(), scene.counts.up()), (0, 2_000_000));
    // As soon as there are some, they are taken.
    drop(files);
    carry(&mut scene.client, &mut scene.origin, &said).await;
    assert_eq!((open_pipes(), scene.counts.up()), (1, 4_000_000));
}

#[test]
fn so_many_pipes_are_allowed_and_no_more() {
    assert!(pipes::open(0).is_none());
    assert_eq!(allow_pipes(usize::MAX), 256, "what the kernel gives in full size");
    pipes::give_back(pipes::take().unwrap());
    assert_eq!(kept(), 1);
}

#[test]
fn a_relay_is_small_while_it_lasts() {
    let size = size_of::<Relay<'_, TcpStream, TcpStream>>();
    assert!(size <= 512, "{size} bytes");
}
