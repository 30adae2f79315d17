//! Opens a connection to the first of several addresses that answers (Happy Eyeballs, RFC 8305).

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::memory::Memory;
use super::{Side, source};
use crate::policy::DialPermit;

/// How long one address may keep us waiting before the next is tried beside it (RFC 8305 §8, "Connection Attempt Delay").
const STAGGER: Duration = Duration::from_millis(250);

/// A connection to an origin.
#[derive(Debug)]
pub struct OriginStream {
    pub stream: TcpStream,
    /// The address that answered.
    pub peer: SocketAddr,
    /// Our outward address and port.
    pub local: SocketAddr,
}

/// Why no address could be reached: each attempt with its own reason, in the order in which they failed.
#[derive(Debug)]
pub struct DialError {
    pub attempts: Vec<(SocketAddr, io::Error)>,
}

impl DialError {
    /// Ours when this machine or its own network stood in the way of every attempt.
    pub fn side(&self) -> Side {
        let ours = !self.attempts.is_empty() && self.attempts.iter().all(|(_, error)| is_ours(error));
        if ours { Side::Ours } else { Side::Origin }
    }

    /// Whether the time ran out on an address.
    pub fn timed_out(&self) -> bool {
        self.attempts.iter().any(|(_, error)| error.kind() == io::ErrorKind::TimedOut)
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address could be reached")?;
        for (i, (address, error)) in self.attempts.iter().enumerate() {
            write!(f, "{}{address}: {error}", if i == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for DialError {}

/// Out of descriptors, ports or memory, forbidden by a firewall of our own, or no way out.
fn is_ours(error: &io::Error) -> bool {
    const OURS: [Errno; 9] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::PERM,
        Errno::ACCESS,
        Errno::NETUNREACH,
        Errno::NETDOWN,
    ];
    error.raw_os_error().is_some_and(|code| OURS.iter().any(|errno| errno.raw_os_error() == code))
}

/// Dials the addresses in their order, from `source` where it is given (see [`Memory::order`]), `within` a time for all of them together. Each may take
/// 250 ms before the next is tried beside it, and a failure does not wait for that. The first connection wins.
pub async fn dial(
    _permit: DialPermit,
    addresses: &[SocketAddr],
    source: Option<IpAddr>,
    within: Duration,
    memory: &Memory,
) -> Result<OriginStream, DialError> {
    let deadline = Instant::now() + within;
    let mut waiting = addresses.iter().copied();
    let mut attempts = Attempts { source, ..Attempts::default() };
    let mut next_start = Instant::now();
    loop {
        if attempts.running.is_empty() || next_start <= Instant::now() {
            match waiting.next() {
                Some(address) => attempts.start(address),
                None if attempts.running.is_empty() => return Err(attempts.into_error()),
                None => {}
            }
            next_start = if waiting.len() == 0 { deadline } else { Instant::now() + STAGGER };
        }
        tokio::select! {
            biased;
            ended = attempts.next() => match ended {
                Ok(stream) => {
                    attempts.teach(memory, &stream);
                    return Ok(stream);
                }
                // A failure starts the next one at once.
                Err(()) => next_start = Instant::now(),
            },
            () = sleep_until(deadline) => {
                attempts.time_out(waiting);
                return Err(attempts.into_error());
            }
            () = sleep_until(next_start) => {}
        }
    }
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<OriginStream>> + Send>>;

#[derive(Default)]
struct Attempts {
    source: Option<IpAddr>,
    running: Vec<(SocketAddr, Attempt)>,
    failed: Vec<(SocketAddr, io::Error)>,
    /// All of them, in order.
    begun: Vec<SocketAddr>,
}

impl Attempts {
    fn start(&mut self, address: SocketAddr) {
        self.begun.push(address);
        self.running.push((address, Box::pin(connect(address, self.source))));
    }

    /// The next of the running attempts that ends; a failed one is put with the others.
    async fn next(&mut self) -> Result<OriginStream, ()> {
        poll_fn(|cx| {
            for i in 0..self.running.len() {
                let (address, attempt) = &mut self.running[i];
                let Poll::Ready(ended) = attempt.as_mut().poll(cx) else { continue };
                let address = *address;
                drop(self.running.swap_remove(i));
                return Poll::Ready(ended.map_err(|error| self.failed.push((address, error))));
            }
            Poll::Pending
        })
        .await
    }

    /// A family works that has brought a connection. Another one, which was begun before and has not answered or could
    /// not even leave this network, does not seem to.
    fn teach(&self, memory: &Memory, won: &OriginStream) {
        memory.works(won.peer);
        let unreachable = self.failed.iter().filter(|(_, error)| is_of_the_network(error)).map(|(address, _)| address);
        let silent = self.running.iter().map(|(address, _)| address);
        for address in unreachable.chain(silent) {
            if address.is_ipv6() != won.peer.is_ipv6() && self.began_before(address, &won.peer) {
                memory.failed(*address);
            }
        }
    }

    fn began_before(&self, one: &SocketAddr, other: &SocketAddr) -> bool {
        let at = |address| self.begun.iter().position(|begun| begun == address);
        at(one) < at(other)
    }

    fn time_out(&mut self, never_tried: impl Iterator<Item = SocketAddr>) {
        let running = std::mem::take(&mut self.running).into_iter().map(|(address, _)| address);
        let late = |address| (address, io::Error::from(io::ErrorKind::TimedOut));
        self.failed.extend(running.chain(never_tried).map(late));
    }

    fn into_error(self) -> DialError {
        DialError { attempts: self.failed }
    }
}

/// No answer of the origin's machine: a refusal would be one.
fn is_of_the_network(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkDown | NetworkUnreachable | TimedOut)
}

async fn connect(peer: SocketAddr, source: Option<IpAddr>) -> io::Result<OriginStream> {
    let stream = match source {
        Some(source) if source.is_ipv4() == peer.is_ipv4() => source::connect_as(source, peer).await?,
        _ => TcpStream::connect(peer).await?,
    };
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok(OriginStream { stream, peer, local })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Nobody answers there, nor says so: a listener whose queue is full drops what comes.
    struct Mute(#[expect(dead_code, reason = "kept open")] Vec<socket2::Socket>, SocketAddr);

    impl Mute {
        fn new() -> Mute {
            Mute::of(socket2::Domain::IPV4, "127.0.0.1:0")
        }

        fn of(family: socket2::Domain, address: &str) -> Mute {
            let new = || socket2::Socket::new(family, socket2::Type::STREAM, None).unwrap();
            let listener = new();
            listener.bind(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap();
            let mut sockets = vec![listener];
            for _ in 0..4 {
                let filler = new();
                filler.set_nonblocking(true).unwrap();
                // In progress is all it has to be.
                let _ = filler.connect(&address);
                sockets.push(filler);
            }
            Mute(sockets, address.as_socket().unwrap())
        }
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// A port that was free a moment ago.
    async fn closed() -> SocketAddr {
        listener().await.1
    }

    async fn dialled(addresses: &[SocketAddr], within_ms: u64) -> Result<OriginStream, DialError> {
        dial(DialPermit::for_test(), addresses, None, Duration::from_millis(within_ms), &Memory::default()).await
    }

    #[tokio::test]
    async fn the_first_address_that_answers_wins() {
        let (_listener, address) = listener().await;
        let stream = dialled(&[closed().await, address], 5000).await.unwrap();
        assert_eq!(stream.peer, address);
        assert_eq!(stream.local, stream.stream.local_addr().unwrap());
        assert!(stream.stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn an_address_that_keeps_silent_delays_the_next_by_a_quarter_second() {
        let (_listener, address) = listener().await;
        let mute = Mute::new();
        let begun = Instant::now();
        let stream = dialled(&[mute.1, address], 5000).await.unwrap();
        assert_eq!(stream.peer, address);
        let took = begun.elapsed();
        assert!(took >= STAGGER && took < Duration::from_millis(2000), "{took:?}");
    }

    /// A family whose network drops everything, or has no way out, costs its quarter second once.
    #[tokio::test]
    async fn a_family_that_does_not_answer_is_remembered_and_one_that_refuses_is_not() {
        let memory = Memory::default();
        let (_listener, v4) = listener().await;
        let Ok(mute) = std::panic::catch_unwind(|| Mute::of(socket2::Domain::IPV6, "[::1]:0")) else { return };
        let dialled = async |addresses: &[SocketAddr]| {
            let addresses = memory.order(addresses);
            dial(DialPermit::for_test(), &addresses, None, Duration::from_secs(5), &memory).await.unwrap().peer
        };
        let refusing: SocketAddr = SocketAddr::new("::1".parse().unwrap(), closed().await.port());
        assert_eq!(dialled(&[refusing, v4]).await, v4);
        assert_eq!(memory.order(&[v4, mute.1])[0], mute.1, "a refusal is an answer");
        assert_eq!(dialled(&[mute.1, v4]).await, v4);
        assert_eq!(memory.order(&[mute.1, v4])[0], v4);
        let begun = Instant::now();
        assert_eq!(dialled(&[mute.1, v4]).await, v4);
        assert!(begun.elapsed() < STAGGER, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn every_address_is_named_with_its_own_reason() {
        let (mute, closed) = (Mute::new(), closed().await);
        let error = dialled(&[mute.1, closed], 600).await.unwrap_err();
        let reason = |address| error.attempts.iter().find(|(a, _)| *a == address).map(|(_, e)| e.kind());
        assert_eq!(error.attempts.len(), 2);
        assert_eq!(reason(closed), Some(io::ErrorKind::ConnectionRefused));
        assert_eq!(reason(mute.1), Some(io::ErrorKind::TimedOut));
        assert_eq!((error.side(), error.timed_out()), (Side::Origin, true));
        assert!(error.to_string().contains(&closed.to_string()), "{error}");
    }

    #[tokio::test]
    async fn addresses_that_were_not_reached_in_time_are_named_too() {
        let mutes = [Mute::new(), Mute::new(), Mute::new()];
        let addresses: Vec<SocketAddr> = mutes.iter().map(|m| m.1).collect();
        let begun = Instant::now();
        let error = dialled(&addresses, 300).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_millis(1500));
        assert_eq!(error.attempts.len(), 3);
    }

    #[tokio::test]
    async fn no_address_at_all_is_an_error_and_not_a_wait() {
        let error = dialled(&[], 60_000).await.unwrap_err();
        assert!(error.attempts.is_empty());
        assert_eq!(error.side(), Side::Origin);
    }

    #[test]
    fn a_machine_without_descriptors_or_a_way_out_is_our_own_fault() {
        let error = |errno: Errno| ("192.0.2.1:1".parse().unwrap(), io::Error::from_raw_os_error(errno.raw_os_error()));
        let side = |errnos: &[Errno]| DialError { attempts: errnos.iter().map(|e| error(*e)).collect() }.side();
        assert_eq!(side(&[Errno::MFILE]), Side::Ours);
        assert_eq!(side(&[Errno::NETUNREACH, Errno::NETUNREACH]), Side::Ours);
        assert_eq!(side(&[Errno::NETUNREACH, Errno::CONNREFUSED]), Side::Origin);
    }
}
