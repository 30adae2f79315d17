use std::collections::HashMap;
use std::sync::Mutex;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, SOA};
use hickory_resolver::proto::rr::{RData, Record};
use tokio::net::UdpSocket;

use super::*;

/// What a name server says to a question.
#[derive(Clone)]
enum Says {
    Addresses(Vec<&'static str>),
    Alias(&'static str),
    Code(ResponseCode),
    Nothing,
}

/// A name server on a real socket, with a book of answers; it counts the questions.
struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl NameServer {
    async fn start(book: &[(&str, RecordType, Says)]) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let book: Vec<_> = book.iter().map(|(n, k, s)| (format!("{n}."), *k, s.clone())).collect();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let counter = asked.clone();
        tasks::spawn("name server of a test", async move {
            let mut datagram = [0; 2000];
            while let Ok((n, from)) = socket.recv_from(&mut datagram).await {
                let question = Message::from_vec(&datagram[..n]).unwrap();
                let name = question.queries[0].name().to_string();
                *counter.lock().unwrap().entry(name).or_default() += 1;
                if let Some(answer) = answer(&question, &book) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        NameServer { address, asked }
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(&[self.address], Duration::from_millis(1500), 100).unwrap()
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(&format!("{name}.")).copied().unwrap_or(0)
    }
}

fn answer(question: &Message, book: &[(String, RecordType, Says)]) -> Option<Vec<u8>> {
    let query = &question.queries[0];
    let name = query.name().clone();
    let find = |(n, k, _): &&(String, RecordType, Says)| *n == name.to_string() && *k == query.query_type();
    let says = book.iter().find(find).map_or(Says::Code(ResponseCode::NoError), |(.., says)| says.clone());
    let mut message = Message::response(question.metadata.id, question.metadata.op_code);
    message.add_query(query.clone());
    let root = || Name::from_ascii("test.").unwrap();
    match says {
        Says::Nothing => return None,
        Says::Code(code) => {
            message.metadata.response_code = code;
            let soa = SOA::new(root(), root(), 1, 60, 60, 60, 60);
            message.add_authority(Record::from_rdata(root(), 60, RData::SOA(soa)));
        }
        Says::Alias(to) => {
            let to = Name::from_ascii(format!("{to}.")).unwrap();
            message.add_answer(Record::from_rdata(name, 60, RData::CNAME(CNAME(to))));
        }
        Says::Addresses(addresses) => {
            for address in addresses {
                let address: IpAddr = address.parse().unwrap();
                message.add_answer(Record::from_rdata(name.clone(), 60, RData::from(address)));
            }
        }
    }
    Some(message.to_vec().unwrap())
}

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn addresses_of(text: &str) -> Vec<IpAddr> {
    text.split(' ').map(|a| a.parse().unwrap()).collect()
}

#[tokio::test]
async fn both_families_are_found_and_take_turns() {
    let server = NameServer::start(&[
        ("both.test", RecordType::A, Says::Addresses(vec!["192.0.2.1", "192.0.2.2", "192.0.2.1"])),
        ("both.test", RecordType::AAAA, Says::Addresses(vec!["2001:db8::1", "::ffff:192.0.2.2"])),
        ("one.test", RecordType::A, Says::Addresses(vec!["192.0.2.3"])),
        ("alias.test", RecordType::A, Says::Alias("one.test")),
    ])
    .await;
    let resolver = server.resolver();
    assert_eq!(resolver.resolve(&host("both.test")).await, Ok(addresses_of("2001:db8::1 192.0.2.2 192.0.2.1")));
    assert_eq!(resolver.resolve(&host("one.test")).await, Ok(addresses_of("192.0.2.3")));
    assert_eq!(resolver.resolve(&host("alias.test")).await, Ok(addresses_of("192.0.2.3")));
}

#[tokio::test]
async fn what_was_answered_is_not_asked_again_nor_what_is_missing() {
    let server = NameServer::start(&[
        ("one.test", RecordType::A, Says::Addresses(vec!["192.0.2.3"])),
        ("missing.test", RecordType::A, Says::Code(ResponseCode::NXDomain)),
        ("missing.test", RecordType::AAAA, Says::Code(ResponseCode::NXDomain)),
    ])
    .await;
    let resolver = server.resolver();
    for _ in 0..5 {
        assert!(resolver.clone().resolve(&host("one.test")).await.is_ok());
        assert_eq!(resolver.resolve(&host("missing.test")).await, Err(ResolveError::NoSuchName));
    }
    assert_eq!((server.asked("one.test"), server.asked("missing.test")), (2, 2), "once for each family");
}

#[tokio::test]
async fn a_failure_says_what_failed() {
    let server = NameServer::start(&[
        ("empty.test", RecordType::A, Says::Code(ResponseCode::NoError)),
        ("missing.test", RecordType::A, Says::Code(ResponseCode::NXDomain)),
        ("broken.test", RecordType::A, Says::Code(ResponseCode::ServFail)),
        ("mute.test", RecordType::A, Says::Nothing),
        ("mute.test", RecordType::AAAA, Says::Nothing),
    ])
    .await;
    let resolver = server.resolver();
    for (name, error, side) in [
        ("empty.test", ResolveError::NoAddress, Side::Origin),
        ("missing.test", ResolveError::NoSuchName, Side::Origin),
        ("broken.test", ResolveError::ServerFailed, Side::Dependency),
        ("mute.test", ResolveError::TimedOut, Side::Dependency),
        ("x.onion", ResolveError::NoSuchName, Side::Origin),
        ("x.invalid", ResolveError::NoSuchName, Side::Origin),
    ] {
        assert_eq!(resolver.resolve(&host(name)).await, Err(error), "{name}");
        assert_eq!(error.side(), side);
    }
    assert_eq!(server.asked("x.onion"), 0, "RFC 7686: such a name is not asked of anybody");
}

#[tokio::test]
async fn a_family_that_keeps_silent_does_not_hold_up_the_other() {
    let server = NameServer::start(&[
        ("half.test", RecordType::A, Says::Addresses(vec!["192.0.2.4"])),
        ("half.test", RecordType::AAAA, Says::Nothing),
    ])
    .await;
    let begun = Instant::now();
    assert_eq!(server.resolver().resolve(&host("half.test")).await, Ok(addresses_of("192.0.2.4")));
    assert!(begun.elapsed() < Duration::from_millis(1000), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nothing_is_appended_to_a_name() {
    let server = NameServer::start(&[]).await;
    let _ = server.resolver().resolve(&host("intranet")).await;
    assert_eq!(server.asked.lock().unwrap().keys().collect::<Vec<_>>(), ["intranet."]);
}

#[tokio::test]
async fn this_machine_is_itself_without_a_question() {
    let server = NameServer::start(&[]).await;
    for name in ["localhost", "a.localhost"] {
        let found = server.resolver().resolve(&host(name)).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{name}: {found:?}");
        assert_eq!(server.asked(name), 0);
    }
}

#[tokio::test]
async fn the_hosts_file_goes_first_and_alone() {
    let server = NameServer::start(&[("printer.test", RecordType::AAAA, Says::Addresses(vec!["2001:db8::1"]))]).await;
    let mut resolver = server.resolver();
    let mut hosts = Hosts::default();
    hosts.read_hosts_conf(&b"192.0.2.9 printer.test Printer\n"[..]).unwrap();
    resolver.hosts = Arc::new(hosts);
    assert_eq!(resolver.resolve(&host("printer.test")).await, Ok(addresses_of("192.0.2.9")));
    assert_eq!(resolver.resolve(&host("PRINTER")).await, Ok(addresses_of("192.0.2.9")));
    assert_eq!(server.asked("printer.test"), 0);
}

#[test]
fn no_more_than_sixteen_addresses_are_kept() {
    let many: Vec<IpAddr> = (0..2000u32).map(|i| IpAddr::from((0x0b00_0000 + i).to_be_bytes())).collect();
    assert_eq!(ordered(&many).len(), 16);
}
