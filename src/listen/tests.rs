use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::{Listener, ListenerKind};

fn bind(address: &str) -> Result<Listener, super::BindError> {
    Listener::bind(address.parse().unwrap(), ListenerKind::Explicit)
}

#[tokio::test]
async fn a_client_comes_in_with_both_addresses() {
    let listener = bind("127.0.0.1:0").unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local()), listener.accept());
    let (client, accepted) = (client.unwrap(), accepted.unwrap());
    assert_eq!(accepted.client, client.local_addr().unwrap());
    assert_eq!(accepted.local, listener.local());
    assert!(accepted.stream.nodelay().unwrap());
    assert_eq!((accepted.listener, accepted.original), (ListenerKind::Explicit, None));
}

#[tokio::test]
async fn a_port_is_listened_on_in_both_families_at_once() {
    let v4 = bind("0.0.0.0:0").unwrap();
    match bind(&format!("[::]:{}", v4.local().port())) {
        Ok(v6) => assert_eq!(v6.local().port(), v4.local().port()),
        Err(error) => assert!(error.to_string().contains("no IPv6") || error.to_string().contains("no address")),
    }
}

#[tokio::test]
async fn a_connection_that_left_does_not_hide_the_next() {
    let listener = bind("127.0.0.1:0").unwrap();
    let gone = TcpStream::connect(listener.local()).await.unwrap();
    gone.set_zero_linger().unwrap();
    drop(gone);
    let client = TcpStream::connect(listener.local()).await.unwrap();
    let last = async {
        loop {
            let accepted = listener.accept().await.unwrap();
            if accepted.client == client.local_addr().unwrap() {
                return accepted;
            }
        }
    };
    assert_eq!(last.await.local, listener.local());
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_cure() {
    let first = bind("127.0.0.1:0").unwrap();
    let port = first.local().port();
    let error = bind(&format!("127.0.0.1:{port}")).unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} is taken")), "{error}");
    assert!(error.contains(&format!("ss -lntup 'sport = :{port}'")), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_named_with_its_cure() {
    let error = bind("192.0.2.1:3128").unwrap_err().to_string();
    assert!(error.contains("no address 192.0.2.1") && error.contains("0.0.0.0:3128"), "{error}");
}

#[test]
fn a_refused_port_names_the_capability() {
    let address: SocketAddr = "0.0.0.0:443".parse().unwrap();
    let error = super::BindError::new(address, std::io::ErrorKind::PermissionDenied.into()).to_string();
    assert!(error.contains("port 443") && error.contains("CAP_NET_BIND_SERVICE"), "{error}");
}

/// Runs itself again in a process that may open few files, since the others here need theirs.
#[test]
fn without_descriptors_it_waits_without_spinning_and_serves_when_there_are_some() {
    const STARVED: &str = "ECLUSE_TEST_STARVED";
    if std::env::var_os(STARVED).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(starve());
    }
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "listen::tests::without_descriptors_it_waits_without_spinning_and_serves_when_there_are_some",
    ]);
    let output = child.env(STARVED, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the name of this test has changed");
}

async fn starve() {
    let listener = bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local()).await.unwrap();
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    // One more is needed to read what was spent.
    files.pop();
    let before = on_cpu();
    files.push(std::fs::File::open("/dev/null").unwrap());
    let waiting = tokio::time::timeout(Duration::from_millis(450), listener.accept()).await;
    assert!(waiting.is_err(), "there was no descriptor to take it with");
    files.pop();
    let spent = on_cpu() - before;
    assert!(spent < Duration::from_millis(100), "{spent:?} of 450 ms were spent trying");
    drop(files);
    let accepted = listener.accept().await.unwrap();
    assert_eq!(accepted.client, client.local_addr().unwrap());
}

/// Time this thread was on a processor: the first figure of /proc/thread-self/schedstat, in nanoseconds.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
