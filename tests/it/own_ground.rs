//! The harness holds its own weight: what it says about a gateway it can say about nothing in between.

use crate::harness::Dice;
use crate::harness::browser::{Browser, SecureLine};
use crate::harness::dns::NameServer;
use crate::harness::origin::{Origin, pattern};
use crate::harness::raw::{Line, RawOrigin};
use crate::harness::site::Site;
use crate::harness::tls::{Authority, client_hello};

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_answers_a_browser_without_a_gateway() {
    let origin = Origin::http().await;
    let mut browser = Browser::to(origin.address).await;
    let reply = browser.get(&origin.url("direct.test", "/bytes/200000")).await;
    assert!(reply.whole && reply.body == pattern(200_000));
    assert_eq!(browser.post(&origin.url("direct.test", "/echo"), b"body").await.text(), "body");
    assert_eq!(browser.get(&origin.url("direct.test", "/status/204")).await.status, 204);
    let seen = origin.requests();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.peer == browser.line.local()));
    assert_eq!((origin.ledger.sent(), origin.ledger.received()), (200_000, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secure_origin_notes_the_name_before_the_handshake_ends() {
    let authority = Authority::new();
    let origin = Origin::https(authority.acceptor(&["*.load.test"])).await;
    let mut raw = Line::to(origin.address).await;
    raw.say(client_hello("s1.load.test")).await;
    assert!(!raw.hear(5).await.is_empty());
    assert_eq!(origin.ledger.server_names()[0].1, "s1.load.test");

    let line = Line::to(origin.address).await;
    let local = line.local();
    let stream = authority.connector().connect("s2.load.test".try_into().unwrap(), line.stream).await.unwrap();
    let mut page = SecureLine { stream, local };
    assert_eq!(page.get("s2.load.test", "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_held_byte_by_byte() {
    let origin = RawOrigin::listen().await;
    let mut near = Line::from("127.0.0.9".parse().unwrap(), origin.address).await;
    let mut far = origin.accept().await;
    assert_eq!(far.peer().ip().to_string(), "127.0.0.9");
    near.say("GET / HTTP/1.1\r\nA: b\r\n\r\nrest").await;
    assert_eq!(far.hear_head().await, "GET / HTTP/1.1\r\nA: b\r\n\r\n");
    far.expect("rest").await;
    far.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 No\r\n\r\n").await;
    assert_eq!(near.reply("GET").await.text(), "abc");
    assert_eq!(near.reply("GET").await.status, 204);
    drop(far);
    near.expect_close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_answers_what_the_gateways_resolver_asks() {
    use ecluse::access::HostName;
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    let server = NameServer::start().await;
    let mut one = NameServerConfig::udp(server.address.ip());
    one.connections.iter_mut().for_each(|connection| connection.port = server.address.port());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![one]);
    let provider = hickory_resolver::net::runtime::TokioRuntimeProvider::default();
    let resolver = hickory_resolver::TokioResolver::builder_with_config(config, provider).build().unwrap();
    let name = HostName::parse("a.test").unwrap();
    let found = resolver.lookup_ip(format!("{}.", name.as_str())).await.unwrap();
    assert_eq!(found.iter().map(|a| a.to_string()).collect::<Vec<_>>(), ["127.0.0.1"]);
    assert!(resolver.lookup_ip("gone.test.").await.is_err());
    assert_eq!(server.times_asked("a.test"), 1);
}

#[test]
fn a_site_is_written_as_toml() {
    let mut site = Site::new(Some("127.0.0.1:53".parse().unwrap()));
    site.set("limits", "dial_ms = 5");
    let value: toml::Table = site.text().parse().expect("TOML");
    assert_eq!(value["limits"]["dial_ms"].as_integer(), Some(5));
    assert!(value["listen"]["explicit"].as_array().is_some_and(|all| !all.is_empty()));
    for file in ["policy.toml", "lists/essai.toml"] {
        let text = std::fs::read_to_string(site.rules().join(file)).unwrap();
        text.parse::<toml::Table>().unwrap_or_else(|e| panic!("{file}: {e}"));
    }
    let mut dice = Dice(1);
    assert_ne!(dice.next(), dice.next());
}
