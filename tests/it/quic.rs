//! QUIC without any setting on the client: the network brings its datagrams here by TPROXY; they are refused so that a
//! browser takes TCP at once, or relayed, and every attempt is in the log once, with its name.
//!
//! Each test makes its own network ([`Lab`]); the client and the server are quinn's.

mod browser;
mod hostile;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use quinn::ConnectionError;
use quinn::TransportErrorCode;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::harness::cli::{has_flag, number, text};
use crate::harness::dns::NameServer;
use crate::harness::gateway::Gateway;
use crate::harness::lab::{CLIENT_V4, CLIENT_V6, INTERNET, Lab, NOBODY_V4, Namespace, ORIGIN_V4, ORIGIN_V6, run};
use crate::harness::quic::{self, Client};
use crate::harness::raw::RawOrigin;
use crate::harness::school::School;
use crate::harness::site::{POLICY, Site};
use crate::harness::tls::Authority;
use crate::harness::{SOON, eventually, tool};

/// quinn sends its first packet again after that long (RFC 9002 §6.2.2): what was over before took one round trip.
const ONE_ROUND_TRIP: Duration = Duration::from_millis(900);

/// A lab with a gateway whose door for datagrams is open, and an origin that speaks QUIC.
struct Town {
    lab: Lab,
    gateway: Gateway,
    site: Site,
    authority: Authority,
}

impl Town {
    /// `None` outside the lab, see [`Lab::enter`]. `pupils`: more keys of the client's group; `rules`: more rules.
    async fn enter(test: &str, pupils: &str, rules: &str, limits: &str) -> Option<Town> {
        Town::enter_with(test, pupils, |site| {
            site.write_rule("policy.toml", &format!("{}{rules}", policy(pupils)));
            site.set("limits", limits);
        })
        .await
    }

    /// `change` sees the site before the gateway starts.
    async fn enter_with(test: &str, pupils: &str, change: impl FnOnce(&mut Site)) -> Option<Town> {
        let lab = Lab::enter(&format!("quic::{test}"))?;
        let names = NameServer::start().await;
        for name in ["allowed.test", "adult.test"] {
            names.answers(name, &[&[ORIGIN_V4, ORIGIN_V6]]);
        }
        let authority = Authority::new();
        quic::serve(lab.origin.datagrams("[::]:443"), &authority, &["allowed.test", "adult.test"]);
        let mut site = Site::new(Some(names.address));
        site.write_rule("policy.toml", &policy(pupils));
        site.set("guard", &format!("allow = [\"127.0.0.0/8\", \"::1/128\", {INTERNET}]"));
        site.set("listen", "transparent_udp = [\"0.0.0.0:443\", \"[::]:443\", \"0.0.0.0:8443\"]");
        site.set("transparent", "interfaces = [\"eth-c\"]");
        change(&mut site);
        let gateway = Gateway::start(&mut site).await;
        for (arguments, shell) in [(&["nftables"][..], "nft -f"), (&["nftables", "--routing"], "sh -e")] {
            let file = site.folder().join("firewall");
            std::fs::write(&file, gateway.cli(arguments).ok()).expect("a writable folder");
            run(&format!("{shell} {}", file.display()));
        }
        // What reaches the origin and the client, counted by their own kernels.
        lab.origin.run(&counting("udp dport 443"));
        lab.client.run(&counting("udp sport 443"));
        Some(Town { lab, gateway, site, authority })
    }

    fn client(&self, address: &str) -> Client {
        Client::new(self.lab.client.datagrams(address), &self.authority)
    }

    /// Payload bytes that reached the origin, and the client: those of IP without its header of `header` bytes and UDP's.
    async fn seen(&self, header: u64) -> (u64, u64) {
        (counted(&self.lab.origin, header).await, counted(&self.lab.client, header).await)
    }

    async fn assert_nothing_reached_the_origin(&self) {
        assert_eq!(counted(&self.lab.origin, 20).await, 0);
    }
}

/// More keys of the clients' group.
fn policy(pupils: &str) -> String {
    POLICY.replace("[groups.eleves]\n", &format!("[groups.eleves]\n{pupils}\n"))
}

fn counting(what: &str) -> String {
    format!(
        "nft add table inet seen
         nft add counter inet seen came
         nft add chain inet seen input '{{ type filter hook input priority 0; }}'
         nft add rule inet seen input {what} counter name came"
    )
}

async fn counted(namespace: &Namespace, header: u64) -> u64 {
    let said = namespace.say("nft", &["list", "counters"]).await;
    let figures: Vec<u64> = said.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [packets, bytes] = figures[..] else { panic!("two figures: {}{}", said.stdout, said.stderr) };
    bytes - packets * (header + 8)
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port)
}

/// A connection that was refused in the client's own language, at once.
async fn assert_refused(client: &Client, name: &str, address: SocketAddr) {
    let begun = Instant::now();
    match client.connect(name, address).await {
        Err(ConnectionError::ConnectionClosed(close)) => {
            assert_eq!(close.error_code, TransportErrorCode::CONNECTION_REFUSED, "{name}");
        }
        other => panic!("{name} at {address}: {other:?}"),
    }
    let took = begun.elapsed();
    assert!(took < ONE_ROUND_TRIP, "{name} at {address} took {took:?}");
}

fn is_quic(row: &Value, action: &str, rule: &str) -> bool {
    (text(row, "protocol"), text(row, "action"), text(row, "rule")) == ("quic", action, rule)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_takes_the_refusal_as_the_end_of_its_connection() {
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("a bound socket");
    let client = Client::new(UdpSocket::bind("127.0.0.1:0").expect("a port"), &Authority::new());
    let refusing = async {
        let mut datagram = [0; 2000];
        let (n, from) = server.recv_from(&mut datagram).await.expect("an open socket");
        let refusal = ecluse::detect::quic_refusal(&datagram[..n]).expect("a client's first packet");
        server.send_to(&refusal, from).await.expect("a way there");
    };
    tokio::join!(refusing, assert_refused(&client, "allowed.test", address));
}

#[tokio::test(flavor = "multi_thread")]
async fn quic_is_refused_within_a_round_trip_and_its_name_is_in_the_log_once() {
    let test = "quic_is_refused_within_a_round_trip_and_its_name_is_in_the_log_once";
    let Some(town) = Town::enter(test, "", "", "").await else { return };
    let ends = [("0.0.0.0:0", ORIGIN_V4, CLIENT_V4), ("[::]:0", ORIGIN_V6, CLIENT_V6)];
    for (any, address, _) in ends {
        // Each from a port of its own: as many flows.
        assert_refused(&town.client(any), "allowed.test", at(address, 443)).await;
        assert_refused(&town.client(any), "adult.test", at(address, 443)).await;
    }
    // The same two again from one port: what was refused there does not answer for another name.
    let client = town.client("0.0.0.0:0");
    assert_refused(&client, "allowed.test", at(ORIGIN_V4, 443)).await;
    assert_refused(&client, "adult.test", at(ORIGIN_V4, 443)).await;

    let rows = town.gateway.rows(6, &[]).await;
    let connections = town.gateway.rows(6, &["--stream", "connections"]).await;
    for (_, _, client) in ends {
        let own: Vec<&Value> = rows.iter().filter(|row| text(row, "client_address") == client).collect();
        let is = |host: &str, rule: &str| {
            own.iter().any(|row| {
                text(row, "host") == host && text(row, "host_source") == "sni" && is_quic(row, "refuse", rule)
            })
        };
        assert!(is("allowed.test", "gateway-quic") && is("adult.test", "adultes"), "{own:#?}");
    }
    for row in &rows {
        assert_eq!(number(row, "port"), 443, "{row:#}");
        let joined = connections.iter().filter(|one| number(one, "sequence") == number(row, "connection")).count();
        assert_eq!(joined, 1, "{row:#}\n{connections:#?}");
    }
    town.assert_nothing_reached_the_origin().await;

    // Who asks for help is told to come by TCP like everybody, and named like nobody.
    assert_refused(&town.client("0.0.0.0:0"), "help.test", at(ORIGIN_V4, 443)).await;
    let row = town.gateway.row("help.test").await;
    assert!(
        has_flag(&row, "help-line") && row["client_address"].is_null() && is_quic(&row, "refuse", "gateway-quic"),
        "{row:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_nobody_can_open_is_offered_one_that_can_be() {
    let test = "a_version_that_nobody_can_open_is_offered_one_that_can_be";
    let Some(town) = Town::enter(test, "http3 = true", "", "detect_ms = 300").await else { return };
    let socket = town.lab.client.datagrams("0.0.0.0:0");
    socket.connect(at(ORIGIN_V4, 443)).expect("a way there");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    let asked = [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 9][..], &[0; 1184]].concat();
    socket.send(&asked).expect("a way there");
    let mut heard = [0; 100];
    let n = socket.recv(&mut heard).expect("an answer");
    let offered = [&[0xc0, 0, 0, 0, 0, 1, 9, 8, 1, 2, 3, 4, 5, 6, 7, 8][..], &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]];
    assert_eq!(&heard[..n], offered.concat());
    // It insists, and nobody knows whom it names.
    let row = town.gateway.rows(1, &[]).await.remove(0);
    assert!(is_quic(&row, "refuse", "gateway-hidden-name"), "{row:#}");
    town.assert_nothing_reached_the_origin().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_flow_passes_with_every_byte_counted_and_a_refused_name_does_not() {
    let test = "an_allowed_flow_passes_with_every_byte_counted_and_a_refused_name_does_not";
    let Some(town) = Town::enter(test, "http3 = true", "", "datagram_idle_ms = 1000").await else { return };
    let words: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for (any, address, header) in [("0.0.0.0:0", ORIGIN_V4, 20), ("[::]:0", ORIGIN_V6, 40)] {
        let client = town.client(any);
        let connection = client.connect("allowed.test", at(address, 443)).await.expect("it is allowed");
        assert!(quic::echo(&connection, &words).await == words, "the echo differs");
        client.leave().await;
        let of_it = async || {
            let rows = town.gateway.search(&["--host", "allowed.test"]);
            rows.into_iter().find(|row| {
                text(row, "asked").is_empty() && number(row, "bytes_up") > 0 && {
                    text(row, "client_address") == if header == 20 { CLIENT_V4 } else { CLIENT_V6 }
                }
            })
        };
        let row = eventually("the row of the flow", of_it).await;
        assert!(is_quic(&row, "tunnel", "default") && text(&row, "ending") == "complete", "{row:#}");
        let (up, down) = town.seen(header).await;
        assert_eq!((number(&row, "bytes_up"), number(&row, "bytes_down")), (up, down), "{row:#}");
        assert!(up > 1_000_000 && down > 1_000_000);
        town.lab.origin.run("nft reset counters");
        town.lab.client.run("nft reset counters");
    }
    let client = town.client("0.0.0.0:0");
    assert_refused(&client, "adult.test", at(ORIGIN_V4, 443)).await;
    let row = town.gateway.row("adult.test").await;
    assert!(is_quic(&row, "refuse", "adultes"), "{row:#}");
    town.assert_nothing_reached_the_origin().await;
    // Both ends of what passed are known.
    let connections = town.gateway.search(&["--stream", "connections"]);
    let passed = connections.iter().filter(|row| text(row, "origin_address") == ORIGIN_V4);
    assert_eq!(passed.map(|row| number(row, "origin_port")).collect::<Vec<_>>(), [443]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_an_allowed_name_no_other_is_reached_from_the_same_port() {
    let test = "behind_an_allowed_name_no_other_is_reached_from_the_same_port";
    let Some(town) = Town::enter(test, "http3 = true", "", "").await else { return };
    let client = town.client("0.0.0.0:0");
    let connection = client.connect("allowed.test", at(ORIGIN_V4, 443)).await.expect("it is allowed");
    assert_eq!(quic::echo(&connection, b"words").await, b"words");
    assert_refused(&client, "adult.test", at(ORIGIN_V4, 443)).await;

    // Nor behind datagrams that are nothing, and pass.
    let socket = town.lab.client.datagrams("0.0.0.0:0");
    let other = socket.try_clone().expect("a descriptor");
    other.send_to(b"ZZ-a protocol of nobody", at(ORIGIN_V4, 443)).expect("a way there");
    let client = Client::new(socket, &town.authority);
    assert_refused(&client, "adult.test", at(ORIGIN_V4, 443)).await;
    // And what is allowed is so after what was not.
    let connection = client.connect("allowed.test", at(ORIGIN_V4, 443)).await.expect("it is allowed");
    assert_eq!(quic::echo(&connection, b"words").await, b"words");
    let rows = town.gateway.rows(2, &["--host", "adult.test"]).await;
    assert!(rows.iter().all(|row| is_quic(row, "refuse", "adultes")), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_at_another_address_is_reached_where_our_resolver_finds_it() {
    let test = "a_name_at_another_address_is_reached_where_our_resolver_finds_it";
    let Some(town) = Town::enter(test, "http3 = true", "", "datagram_idle_ms = 1000\ndrain_ms = 0").await else {
        return;
    };
    let client = town.client("0.0.0.0:0");
    let connection = client.connect("allowed.test", at(NOBODY_V4, 443)).await.expect("it is allowed");
    assert_eq!(quic::echo(&connection, b"words").await, b"words");
    drop(connection);
    client.leave().await;
    let row = town.gateway.row("allowed.test").await;
    assert!(text(&row, "asked") == NOBODY_V4 && has_flag(&row, "origin-mismatch"), "{row:#}");
    // The gateway itself, and what it guards, are nobody's.
    for guarded in ["10.9.0.1", "169.254.169.254"] {
        assert_refused(&town.client("0.0.0.0:0"), "allowed.test", at(guarded, 443)).await;
    }
    let rows = town.gateway.rows(3, &["--host", "allowed.test"]).await;
    assert_eq!(rows.iter().filter(|row| is_quic(row, "refuse", "gateway-guard")).count(), 2, "{rows:#?}");
    // A flow that is open when the gateway leaves says so.
    let client = town.client("0.0.0.0:0");
    let connection = client.connect("allowed.test", at(ORIGIN_V4, 443)).await.expect("it is allowed");
    assert_eq!(quic::echo(&connection, b"words").await, b"words");
    let (config, state) = (town.site.config(), town.site.state());
    town.gateway.stop().await;
    let rows = crate::harness::gateway::search(Some(&config), &state, &["--host", "allowed.test"]);
    assert_eq!(rows.iter().filter(|row| text(row, "ending") == "drained").count(), 1, "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_speaks_no_quic_is_left_within_a_round_trip() {
    let test = "a_site_that_speaks_no_quic_is_left_within_a_round_trip";
    let Some(town) = Town::enter(test, "http3 = true", "", "").await else { return };
    // Nobody is at that port, and its machine says so; the name that is nowhere is not even looked for there.
    assert_refused(&town.client("0.0.0.0:0"), "allowed.test", at(ORIGIN_V4, 8443)).await;
    assert_refused(&town.client("0.0.0.0:0"), "gone.test", at(ORIGIN_V4, 8443)).await;
    let row = town.gateway.row("allowed.test").await;
    assert_eq!((text(&row, "ending"), number(&row, "port")), ("origin-closed", 8443), "{row:#}");
    assert_eq!(text(&town.gateway.row("gone.test").await, "ending"), "origin-unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_systemd_opened_takes_and_answers_without_any_capability() {
    let test = "a_socket_that_systemd_opened_takes_and_answers_without_any_capability";
    if tool("setpriv").is_none() {
        return;
    }
    let Some(town) = Town::enter_with(test, "http3 = true", |site| {
        // As `Transparent=yes` of `ecluse-datagrams.socket` makes it.
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        socket.set_ip_transparent_v4(true).expect("this namespace is ours");
        socket.bind(&at("0.0.0.0", 443).into()).expect("a free port");
        site.handed = Some(socket.into());
        site.set("listen", "transparent_udp = [\"0.0.0.0:443\"]");
    })
    .await
    else {
        return;
    };
    let status = std::fs::read_to_string(format!("/proc/{}/status", town.gateway.pid())).expect("a living process");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert_refused(&town.client("0.0.0.0:0"), "adult.test", at(ORIGIN_V4, 443)).await;
    let client = town.client("0.0.0.0:0");
    let connection = client.connect("allowed.test", at(ORIGIN_V4, 443)).await.expect("it is allowed");
    assert_eq!(quic::echo(&connection, b"words").await, b"words");
    let row = town.gateway.row("adult.test").await;
    assert!(is_quic(&row, "refuse", "adultes"), "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_flow_has_a_row_while_it_lasts() {
    let test = "a_long_flow_has_a_row_while_it_lasts";
    let change = |site: &mut Site| {
        site.set("journal", "slice_seconds = 10");
    };
    let Some(town) = Town::enter_with(test, "http3 = true", change).await else { return };
    let client = town.client("0.0.0.0:0");
    let connection = client.connect("allowed.test", at(ORIGIN_V4, 443)).await.expect("it is allowed");
    let row = eventually("a row of a flow that goes on", async || {
        assert_eq!(quic::echo(&connection, b"words").await, b"words");
        town.gateway.search(&["--host", "allowed.test"]).into_iter().next()
    });
    let row = row.await;
    assert_eq!((text(&row, "ending"), number(&row, "slice")), ("continues", 0), "{row:#}");
    assert!(number(&row, "bytes_up") > 1200 && number(&row, "bytes_down") > 1200, "{row:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_clear_says_nothing_of_http3_to_who_may_not_speak_it() {
    for (pupils, offered) in [("", Some("h2=\":443\"")), ("http3 = true", Some("h3=\":443\"; ma=86400, h2=\":443\""))] {
        let school = School::open_with(|site| {
            site.write_rule("policy.toml", &policy(pupils));
        })
        .await;
        let origin = RawOrigin::listen().await;
        let mut browser = school.pupil().await;
        let url = format!("http://allowed.test:{}/", origin.address.port());
        let asking = browser.get(&url);
        let answering = async {
            let mut line = origin.accept().await;
            line.hear_head().await;
            line.say("HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"; ma=86400, h2=\":443\"\r\nContent-Length: 2\r\n\r\nok")
                .await;
            line
        };
        let (reply, _line) = tokio::join!(asking, answering);
        assert_eq!((reply.status, reply.header("alt-svc")), (200, offered));
    }
}
