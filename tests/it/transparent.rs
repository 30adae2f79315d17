//! A client without any setting is filtered: the network brings its connections here, by REDIRECT and by TPROXY, in both
//! families of addresses, and every attempt is in the log.
//!
//! Each test makes its own network ([`Lab`]); the rules of the firewall are those that `ecluse nftables` prints.

use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::harness::cli::{self, has_flag, number, text};
use crate::harness::dns::NameServer;
use crate::harness::gateway::Gateway;
use crate::harness::lab::{
    CLIENT_V4, CLIENT_V6, GATEWAY_V4, INTERNET, Lab, NOBODY_V4, NOBODY_V6, ORIGIN_V4, ORIGIN_V6, run,
};
use crate::harness::origin::Origin;
use crate::harness::quic;
use crate::harness::raw::{End, RawOrigin};
use crate::harness::site::{POLICY, Site};
use crate::harness::tls::Authority;
use crate::harness::{eventually, tool};
use crate::inspection::{INSPECT, make_authority};
use crate::names::A;

/// Of `[listen]`.
const DOORS: &str =
    "transparent_http = [\"0.0.0.0:3129\", \"[::]:3129\"]\ntransparent_tls = [\"0.0.0.0:3130\", \"[::]:3130\"]";

/// A lab with a gateway whose doors are open and whose rules are loaded, and origins over HTTP and HTTPS.
struct Town {
    lab: Lab,
    gateway: Gateway,
    names: NameServer,
    site: Site,
    web: Origin,
    secure: Origin,
}

impl Town {
    /// `None` outside the lab, see [`Lab::enter`].
    async fn enter(test: &str, transparent: &str) -> Option<Town> {
        Town::enter_with(test, transparent, |_| {}).await
    }

    /// `change` sees the site before the gateway starts.
    async fn enter_with(test: &str, transparent: &str, change: impl FnOnce(&mut Site)) -> Option<Town> {
        let lab = Lab::enter(&format!("transparent::{test}"))?;
        let names = NameServer::start().await;
        for name in ["allowed.test", "www.adult.test", "adult.test"] {
            names.answers(name, &[&[ORIGIN_V4, ORIGIN_V6]]);
        }
        let authority = Authority::new();
        let web = Origin::serving(lab.origin.listen("[::]:80"), None);
        let acceptor = authority.acceptor(&["allowed.test", "adult.test"]);
        let secure = Origin::serving(lab.origin.listen("[::]:443"), Some(acceptor));
        let mut site = Site::new(Some(names.address));
        authority.write_pem(&site.folder().join("authority.pem"));
        site.set("guard", &format!("allow = [\"127.0.0.0/8\", \"::1/128\", {INTERNET}]"));
        site.set("listen", DOORS);
        site.set("transparent", &format!("interfaces = [\"eth-c\"]\n{transparent}"));
        change(&mut site);
        let gateway = Gateway::start(&mut site).await;
        for (arguments, shell) in [(&["nftables"][..], "nft -f"), (&["nftables", "--routing"], "sh -e")] {
            let file = site.folder().join("firewall");
            std::fs::write(&file, gateway.cli(arguments).ok()).expect("a writable folder");
            run(&format!("{shell} {}", file.display()));
        }
        Some(Town { lab, gateway, names, site, web, secure })
    }

    /// curl on the client, which takes `name` to be at `address`.
    async fn curl(&self, name: &str, address: &str, url: &str) -> cli::Said {
        let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let authority = self.site.folder().join("authority.pem").display().to_string();
        let resolve: Vec<String> = [80, 443, 3129].iter().map(|port| format!("{name}:{port}:{address}")).collect();
        let mut arguments = vec!["-sS", "--max-time", "15", "--cacert", &authority, "-w", "\n%{http_code}"];
        arguments.extend(resolve.iter().flat_map(|one| ["--resolve", one]));
        arguments.push(url);
        self.lab.client.say("curl", &arguments).await
    }

    /// The one row about a host with these words in it.
    async fn row(&self, host: &str, method: &str) -> Value {
        let rows = self.gateway.rows(1, &["--host", host]).await;
        assert_eq!(text(&rows[0], "method"), method, "{rows:#?}");
        rows.into_iter().next().expect("one row")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_settings_is_filtered_when_it_is_redirected() {
    filtered("a_client_without_settings_is_filtered_when_it_is_redirected", "mode = \"redirect\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_settings_is_filtered_when_its_packets_are_kept() {
    filtered("a_client_without_settings_is_filtered_when_its_packets_are_kept", "mode = \"tproxy\"").await;
}

async fn filtered(test: &str, mode: &str) {
    let Some(town) = Town::enter(test, mode).await else { return };
    let mut rows = 0;
    for (address, client) in [(ORIGIN_V4, CLIENT_V4), (ORIGIN_V6, CLIENT_V6)] {
        let said = town.curl("allowed.test", address, "http://allowed.test/").await;
        assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
        let said = town.curl("allowed.test", address, "https://allowed.test/").await;
        assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
        let reached = (town.web.requests().len(), town.secure.ledger.connections().len());

        // Refused: in clear with the page, otherwise with an alert of TLS, and no origin sees anything of it.
        let said = town.curl("www.adult.test", address, "http://www.adult.test/secret?q=1").await;
        assert!(said.stdout.ends_with("\n403") && said.stdout.contains("Collège des Essais"), "{}", said.stdout);
        let said = town.curl("adult.test", address, "https://adult.test/").await;
        assert_eq!(said.code, Some(35), "a handshake that fails: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains("alert"), "{}", said.stderr);
        assert_eq!((town.web.requests().len(), town.secure.ledger.connections().len()), reached);

        rows += 4;
        let all = town.gateway.rows(rows, &[]).await;
        let own: Vec<&Value> = all.iter().filter(|row| text(row, "client_address") == client).collect();
        let is = |host: &str, method: &str, source: &str, action: &str| {
            own.iter().any(|row| {
                text(row, "host") == host
                    && text(row, "method") == method
                    && text(row, "host_source") == source
                    && text(row, "action") == action
                    && !has_flag(row, "origin-mismatch")
            })
        };
        assert!(is("allowed.test", "GET", "clear", "forward"), "{own:#?}");
        assert!(is("allowed.test", "", "sni", "tunnel"), "{own:#?}");
        assert!(is("www.adult.test", "GET", "clear", "refuse"), "{own:#?}");
        assert!(is("adult.test", "", "sni", "refuse"), "{own:#?}");
    }
    // Both ends of what passed are known, and the origin saw ours.
    let connections = town.gateway.search(&["--stream", "connections"]);
    let outward = town.web.ledger.connections()[0];
    let row = connections.iter().find(|row| number(row, "outward_port") == u64::from(outward.port()));
    let row = row.unwrap_or_else(|| panic!("no row for {outward}: {connections:#?}"));
    assert_eq!((text(row, "origin_address"), number(row, "origin_port")), (ORIGIN_V4, 80));
    assert_eq!(outward.ip().to_canonical().to_string(), "198.51.100.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_name_shows_its_page_over_tls_where_devices_believe_the_authority() {
    let test = "a_refused_name_shows_its_page_over_tls_where_devices_believe_the_authority";
    let change = |site: &mut Site| {
        std::fs::write(site.folder().join("world.pem"), std::fs::read(site.folder().join("authority.pem")).unwrap())
            .expect("a writable folder");
        make_authority(site, "");
        std::fs::copy(site.state().join("authority.pem"), site.folder().join("authority.pem")).expect("a copy");
    };
    let Some(town) = Town::enter_with(test, "", change).await else { return };
    // curl believes the school's authority now, and no other.
    let said = town.curl("adult.test", ORIGIN_V4, "https://adult.test/secret").await;
    assert!(said.stdout.ends_with("\n403") && said.stdout.contains("Collège des Essais"), "{said:?}");
    let row = town.row("adult.test", "").await;
    assert!(said.stdout.contains(text(&row, "reference")), "{row:#}{}", said.stdout);
    assert_eq!((text(&row, "action"), text(&row, "host_source")), ("refuse", "sni"));
    assert_eq!((text(&row, "ending"), &row["status"]), ("answered", &Value::Null));
    assert!(town.secure.ledger.connections().is_empty());
    // What is allowed bears its own certificate, which this curl does not know.
    let said = town.curl("allowed.test", ORIGIN_V4, "https://allowed.test/").await;
    assert_eq!(said.code, Some(60), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_of_a_client_without_settings_is_opened_where_policy_says_so() {
    let test = "tls_of_a_client_without_settings_is_opened_where_policy_says_so";
    let change = |site: &mut Site| {
        std::fs::copy(site.folder().join("authority.pem"), site.folder().join("world.pem")).expect("a copy");
        make_authority(site, "");
        std::fs::copy(site.state().join("authority.pem"), site.folder().join("authority.pem")).expect("a copy");
        site.write_rule("policy.toml", &format!("{POLICY}{INSPECT}"));
    };
    let Some(town) = Town::enter_with(test, "", change).await else { return };
    for (address, client) in [(ORIGIN_V4, CLIENT_V4), (ORIGIN_V6, CLIENT_V6)] {
        // curl believes the school's authority and no other.
        let said = town.curl("allowed.test", address, "https://allowed.test/").await;
        assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
        let rows = town.gateway.rows(if client == CLIENT_V4 { 2 } else { 4 }, &["--host", "allowed.test"]).await;
        let own: Vec<&Value> = rows.iter().filter(|row| text(row, "client_address") == client).collect();
        let is = |method: &str, source: &str, action: &str| {
            let found = own.iter().filter(|row| {
                (text(row, "method"), text(row, "host_source"), text(row, "action")) == (method, source, action)
            });
            found.count() == 1
        };
        assert!(is("", "sni", "inspect") && is("GET", "inspected", "forward"), "{own:#?}");
    }
    let connections = town.gateway.search(&["--stream", "connections"]);
    assert!(connections.iter().any(|row| text(row, "origin_address") == ORIGIN_V6), "{connections:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_speaks_through_the_gateway_and_hears_the_alert() {
    let test = "openssl_speaks_through_the_gateway_and_hears_the_alert";
    let Some(town) = Town::enter(test, "").await else { return };
    if tool("openssl").is_none() {
        return;
    }
    let at = format!("{ORIGIN_V4}:443");
    let handshake = |name: &'static str| {
        let arguments = ["s_client", "-connect", &at, "-servername", name].map(str::to_owned);
        let client = &town.lab.client;
        async move { client.say("openssl", &arguments.each_ref().map(String::as_str)).await }
    };
    let said = handshake("allowed.test").await;
    assert!(said.stdout.contains("CN") && said.stdout.contains("BEGIN CERTIFICATE"), "{}{}", said.stdout, said.stderr);
    let said = handshake("adult.test").await;
    assert!(said.stderr.contains("alert access denied"), "{}", said.stderr);
    assert_eq!(text(&town.row("allowed.test", "").await, "protocol"), "tls");
    assert_eq!(text(&town.row("adult.test", "").await, "ending"), "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_at_another_address_is_reached_where_our_resolver_finds_it_and_the_row_says_so() {
    let test = "a_name_at_another_address_is_reached_where_our_resolver_finds_it_and_the_row_says_so";
    let Some(town) = Town::enter(test, "").await else { return };
    for (count, nobody, origin) in [(2, NOBODY_V4, ORIGIN_V4), (4, NOBODY_V6, ORIGIN_V6)] {
        for url in ["http://allowed.test/", "https://allowed.test/"] {
            let said = town.curl("allowed.test", nobody, url).await;
            assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
        }
        let rows = town.gateway.rows(count, &["--host", "allowed.test"]).await;
        let own: Vec<&Value> = rows.iter().filter(|row| text(row, "asked") == nobody).collect();
        assert_eq!(own.len(), 2, "{rows:#?}");
        assert!(own.iter().all(|row| has_flag(row, "origin-mismatch")), "{own:#?}");
        let connections = town.gateway.search(&["--stream", "connections"]);
        assert!(connections.iter().any(|row| text(row, "origin_address") == origin), "{connections:#?}");
        assert!(connections.iter().all(|row| text(row, "origin_address") != nobody), "{connections:#?}");
    }
    // A name that does not resolve is refused, however well its address answers.
    let said = town.curl("gone.test", ORIGIN_V4, "http://gone.test/").await;
    assert!(said.stdout.ends_with("\n502"), "{}", said.stdout);
    let said = town.curl("gone.test", ORIGIN_V4, "https://gone.test/").await;
    assert_ne!(said.code, Some(0));
    let rows = town.gateway.rows(2, &["--host", "gone.test"]).await;
    assert!(rows.iter().all(|row| text(row, "ending") == "origin-unreachable"), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_at_another_address_is_refused_where_the_operator_says_so() {
    let test = "a_name_at_another_address_is_refused_where_the_operator_says_so";
    let Some(town) = Town::enter(test, "origin_mismatch = \"refuse\"").await else { return };
    let said = town.curl("allowed.test", NOBODY_V4, "http://allowed.test/").await;
    assert!(said.stdout.ends_with("\n403"), "{}", said.stdout);
    let said = town.curl("allowed.test", NOBODY_V4, "https://allowed.test/").await;
    assert!(said.stderr.contains("alert"), "{}", said.stderr);
    let rows = town.gateway.rows(2, &["--host", "allowed.test"]).await;
    for row in &rows {
        assert_eq!((text(row, "action"), text(row, "rule")), ("refuse", "gateway-origin-mismatch"), "{row:#}");
        assert!(has_flag(row, "origin-mismatch") && text(row, "asked") == NOBODY_V4, "{row:#}");
    }
    let said = town.curl("allowed.test", ORIGIN_V4, "https://allowed.test/").await;
    assert_eq!(said.stdout, "hello from allowed.test\n\n200", "what agrees passes: {}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_at_another_address_is_reached_there_where_the_operator_allows_it() {
    let test = "a_name_at_another_address_is_reached_there_where_the_operator_allows_it";
    let Some(town) = Town::enter(test, "origin_mismatch = \"allow\"").await else { return };
    town.lab.origin.run("ip addr add 198.51.100.20/24 dev eth0");
    let said = town.curl("allowed.test", "198.51.100.20", "http://allowed.test/").await;
    assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
    let row = town.row("allowed.test", "GET").await;
    assert!(has_flag(&row, "origin-mismatch") && text(&row, "asked") == "198.51.100.20", "{row:#}");
    let connections = town.gateway.search(&["--stream", "connections"]);
    assert!(connections.iter().any(|row| text(row, "origin_address") == "198.51.100.20"), "{connections:#?}");
    // What is refused by its name stays so.
    let said = town.curl("adult.test", "198.51.100.20", "http://adult.test/").await;
    assert!(said.stdout.ends_with("\n403"), "{}", said.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_name_goes_to_its_address_and_http_is_http_on_any_port() {
    let test = "what_has_no_name_goes_to_its_address_and_http_is_http_on_any_port";
    let Some(town) = Town::enter(test, "").await else { return };
    // A server that speaks first, to a client that waits for it.
    let mail = RawOrigin::on(town.lab.origin.listen("[::]:25"));
    let mut client = town.lab.client.connect(format!("{ORIGIN_V4}:25").parse().expect("an address"));
    let mut server = mail.accept().await;
    server.say("220 mail.test ESMTP\r\n").await;
    client.expect("220 mail.test ESMTP\r\n").await;
    client.say("QUIT\r\n").await;
    server.expect("QUIT\r\n").await;
    drop((client, server));

    // A client that speaks first, and not HTTP.
    let other = RawOrigin::on(town.lab.origin.listen("[::]:4000"));
    let mut client = town.lab.client.connect(format!("[{ORIGIN_V6}]:4000").parse().expect("an address"));
    client.say(b"ZZ-a protocol of nobody, with some words to be told by; 0123456789\n").await;
    let mut server = other.accept().await;
    server.expect(b"ZZ-a protocol of nobody, with some words to be told by; 0123456789\n").await;
    drop((client, server));

    // HTTP where nobody expects it: refused with its page, and its row names the host.
    let mut client = town.lab.client.connect(format!("{ORIGIN_V4}:4000").parse().expect("an address"));
    client.say("GET / HTTP/1.1\r\nHost: adult.test:4000\r\n\r\n").await;
    assert_eq!(client.reply("GET").await.status, 403);
    other.expect_nobody(Duration::from_millis(100)).await;
    // The same from one who was silent at first.
    let mut late = town.lab.client.connect(format!("{ORIGIN_V4}:4000").parse().expect("an address"));
    let mut looked_at = other.accept().await;
    late.say("GET / HTTP/1.1\r\nHost: adult.test:4000\r\n\r\n").await;
    assert_eq!(late.reply("GET").await.status, 403);
    assert!(looked_at.hear_all().await.is_empty(), "nothing goes to an origin before it is judged");

    // By its address: the row has no name.
    let said = town.curl("allowed.test", ORIGIN_V4, &format!("http://{ORIGIN_V4}/")).await;
    assert!(said.stdout.ends_with("\n200"), "{}", said.stdout);

    let rows = town.gateway.rows(3, &["--host", ORIGIN_V4]).await;
    assert!(rows.iter().all(|row| text(row, "host_source") == "address"), "{rows:#?}");
    let mail = rows.iter().find(|row| number(row, "port") == 25).expect("a row for the mail");
    assert_eq!((text(mail, "action"), number(mail, "bytes_up"), number(mail, "bytes_down")), ("tunnel", 6, 21));
    let row = town.row(ORIGIN_V6, "").await;
    assert_eq!((number(&row, "port"), number(&row, "bytes_up")), (4000, 67));
    let rows = town.gateway.rows(2, &["--host", "adult.test"]).await;
    assert!(rows.iter().all(|row| text(row, "action") == "refuse" && number(row, "port") == 4000), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_with_a_name_gains_nothing() {
    let test = "who_waits_with_a_name_gains_nothing";
    let Some(town) = Town::enter(test, "").await else { return };
    let elsewhere = RawOrigin::on(town.lab.origin.listen("[::]:8443"));
    let at = format!("{ORIGIN_V4}:8443").parse().expect("an address");
    let mut client = town.lab.client.connect(at);
    let mut looked_at = elsewhere.accept().await;
    client.say(crate::harness::tls::client_hello("adult.test")).await;
    let (said, _) = client.hear_end().await;
    assert_eq!(said.first(), Some(&0x15), "an alert of TLS: {said:?}");
    assert!(looked_at.hear_all().await.is_empty(), "nothing goes to an origin before it is judged");
    assert_eq!(text(&town.row("adult.test", "").await, "action"), "refuse");
    // An allowed name is dialled anew.
    let mut client = town.lab.client.connect(at);
    let mut looked_at = elsewhere.accept().await;
    let hello = crate::harness::tls::client_hello("allowed.test");
    client.say(&hello).await;
    assert!(looked_at.hear_all().await.is_empty());
    elsewhere.accept().await.expect(&hello).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_the_gateway_itself_nor_the_inner_network() {
    let test = "nobody_reaches_the_gateway_itself_nor_the_inner_network";
    let Some(town) = Town::enter(test, "").await else { return };
    // Its doors, dialled directly: a loop, or somebody who tries.
    let said = town.curl("allowed.test", GATEWAY_V4, "http://allowed.test:3129/").await;
    assert!(said.stdout.ends_with("\n403"), "{}", said.stdout);
    let mut client = town.lab.client.connect(format!("{GATEWAY_V4}:3130").parse().expect("an address"));
    client.say(crate::harness::tls::client_hello("allowed.test")).await;
    let (_, end) = client.hear_end().await;
    assert!(matches!(end, End::Closed | End::Reset));
    // An address of the inner network behind it, and one that no gateway dials.
    for guarded in ["10.77.0.1", "169.254.169.254"] {
        let said = town.curl("allowed.test", guarded, "http://allowed.test/").await;
        assert!(said.stdout.ends_with("\n403"), "{guarded}: {}{}", said.stdout, said.stderr);
    }
    // Nor is it anybody's proxy.
    let mut client = town.lab.client.connect(format!("{ORIGIN_V4}:80").parse().expect("an address"));
    client.say("CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n").await;
    assert_eq!(client.reply("CONNECT").await.status, 501);
    assert!(town.web.requests().is_empty() && town.secure.ledger.connections().is_empty());
    let rows = town.gateway.rows(5, &["--host", "allowed.test"]).await;
    let guarded = rows.iter().filter(|row| text(row, "rule") == "gateway-guard").count();
    assert_eq!(guarded, 4, "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_see_the_clients_own_address_where_it_is_kept() {
    let test = "origins_see_the_clients_own_address_where_it_is_kept";
    let Some(town) = Town::enter(test, "mode = \"tproxy\"\nkeep_client_address = true").await else { return };
    for (address, client) in [(ORIGIN_V4, CLIENT_V4), (ORIGIN_V6, CLIENT_V6)] {
        for url in ["http://allowed.test/", "https://allowed.test/"] {
            let said = town.curl("allowed.test", address, url).await;
            assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
        }
        for origin in [&town.web, &town.secure] {
            let last = *origin.ledger.connections().last().expect("a connection");
            assert_eq!(last.ip().to_canonical().to_string(), client);
        }
    }
    let connections = town.gateway.rows(4, &["--stream", "connections"]).await;
    let kept = |row: &Value| text(row, "outward_address") == text(row, "client_address");
    assert!(connections.iter().all(kept), "{connections:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_systemd_opened_takes_connections_without_any_capability() {
    let test = "a_door_that_systemd_opened_takes_connections_without_any_capability";
    if tool("setpriv").is_none() {
        return;
    }
    let Some(town) = Town::enter_with(test, "mode = \"tproxy\"", |site| {
        // As `Transparent=yes` of `ecluse-transparent.socket` makes it.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_ip_transparent_v4(true).expect("this namespace is ours");
        let door: std::net::SocketAddr = "0.0.0.0:3130".parse().expect("an address");
        socket.bind(&door.into()).expect("a free port");
        socket.listen(128).expect("a bound socket");
        site.handed = Some(socket.into());
        site.set("listen", "transparent_tls = [\"0.0.0.0:3130\"]");
    })
    .await
    else {
        return;
    };
    let status = std::fs::read_to_string(format!("/proc/{}/status", town.gateway.pid())).expect("a living process");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    let said = town.curl("allowed.test", ORIGIN_V4, "https://allowed.test/").await;
    assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
    assert_eq!(town.curl("adult.test", ORIGIN_V4, "https://adult.test/").await.code, Some(35));
    let row = town.gateway.row("allowed.test").await;
    assert_eq!((text(&row, "action"), text(&row, "host_source")), ("tunnel", "sni"), "{row:#}");
    assert!(!has_flag(&row, "origin-mismatch"), "{row:#}");
    assert_eq!(text(&town.gateway.row("adult.test").await, "action"), "refuse");
}

/// The first byte waits for what is asked: only what decides where the connection goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_costs_one_question_and_none_where_our_dns_gave_its_address() {
    let test = "a_name_costs_one_question_and_none_where_our_dns_gave_its_address";
    if tool("dig").is_none() {
        return;
    }
    let doors = format!("{DOORS}\ndns = [\"{GATEWAY_V4}:5300\"]");
    let town = Town::enter_with(test, "", |site| {
        site.set("listen", &doors);
        site.set("dns", "private_names = [\"test\"]");
    });
    let Some(town) = town.await else { return };
    let asked = || town.names.questions("allowed.test").iter().map(|asked| asked.kind).collect::<Vec<_>>();
    let page = async |rows: usize| {
        let said = town.curl("allowed.test", ORIGIN_V4, "https://allowed.test/").await;
        assert_eq!(said.stdout, "hello from allowed.test\n\n200", "{}", said.stderr);
        let rows = town.gateway.rows(rows, &["--host", "allowed.test"]).await;
        assert!(rows.iter().all(|row| !has_flag(row, "origin-mismatch")), "{rows:#?}");
        // It is just up: what it gave before, if anything, nobody knows.
        assert!(rows.iter().all(|row| !has_flag(row, "no-dns")), "{rows:#?}");
    };
    page(1).await;
    assert_eq!(asked(), [A], "the other family would change nothing");
    let dug = town.lab.client.say("dig", &[&format!("@{NOBODY_V4}"), "+time=5", "+tries=1", "allowed.test", "A"]).await;
    assert!(dug.stdout.contains(ORIGIN_V4), "{}", dug.stdout);
    assert_eq!(asked(), [A, A]);
    // Whatever the name server says now: the device was told otherwise, by us.
    town.names.answers("allowed.test", &[&[NOBODY_V4]]);
    page(2).await;
    assert_eq!(asked(), [A, A], "nobody is asked what we said ourselves");
}

/// It found the address somewhere else: the name that it says is allowed, and has that very address.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_round_our_dns_is_refused_where_a_rule_says_so_and_who_asks_it_is_not() {
    let test = "who_goes_round_our_dns_is_refused_where_a_rule_says_so_and_who_asks_it_is_not";
    if tool("dig").is_none() {
        return;
    }
    let doors = format!("{DOORS}\ntransparent_udp = [\"0.0.0.0:443\"]\ndns = [\"{GATEWAY_V4}:5300\"]");
    let rule = "\n[[rule]]\nname = \"sans-dns\"\nlabel = \"Sans DNS\"\nno_dns = true\naction = \"refuse\"\n\
                reason = \"Cette adresse vient d'ailleurs.\"\n";
    let town = Town::enter_with(test, "", |site| {
        let policy = POLICY.replace("[groups.eleves]\n", "[groups.eleves]\nhttp3 = true\n");
        site.write_rule("policy.toml", &format!("{policy}{rule}"));
        site.set("listen", &doors);
        site.set("dns", "private_names = [\"test\"]\nno_dns_after_seconds = 0");
        site.set("limits", "datagram_idle_ms = 1000");
    });
    let Some(town) = town.await else { return };
    let authority = Authority::new();
    quic::serve(town.lab.origin.datagrams("[::]:443"), &authority, &["allowed.test"]);
    let quic = async || {
        let client = quic::Client::new(town.lab.client.datagrams("0.0.0.0:0"), &authority);
        let connected = client.connect("allowed.test", format!("{ORIGIN_V4}:443").parse().expect("an address")).await;
        let passes = match &connected {
            Ok(connection) => quic::echo(connection, b"words").await == b"words",
            Err(_) => false,
        };
        drop(connected);
        client.leave().await;
        passes
    };
    // In clear, over TLS and QUIC; by IPv6 as well, where the device asks by IPv4 what it dials.
    let passes = async || {
        let mut passes = vec![quic().await];
        for address in [ORIGIN_V4, ORIGIN_V6] {
            for url in ["http://allowed.test/", "https://allowed.test/"] {
                passes.push(town.curl("allowed.test", address, url).await.stdout == "hello from allowed.test\n\n200");
            }
        }
        passes
    };
    assert_eq!(passes().await, [false; 5]);
    assert!(town.web.requests().is_empty() && town.secure.ledger.connections().is_empty());
    let rows = town.gateway.rows(5, &["--host", "allowed.test"]).await;
    let is_refused =
        |row: &Value| (text(row, "action"), text(row, "rule")) == ("refuse", "sans-dns") && has_flag(row, "no-dns");
    assert!(rows.len() == 5 && rows.iter().all(is_refused), "{rows:#?}");
    eventually("the rows of their connections", async || {
        let connections = town.gateway.search(&["--stream", "connections"]);
        (connections.len() == 5 && connections.iter().all(|row| has_flag(row, "no-dns"))).then_some(())
    })
    .await;
    for kind in ["A", "AAAA"] {
        let asked = [&format!("@{NOBODY_V4}"), "+time=5", "+tries=1", "allowed.test", kind];
        let dug = town.lab.client.say("dig", &asked).await;
        assert!(dug.stdout.contains("NOERROR"), "{}", dug.stdout);
    }
    assert_eq!(passes().await, [true; 5]);
    let rows = town.gateway.rows(10, &["--host", "allowed.test"]).await;
    assert_eq!(rows.iter().filter(|row| is_refused(row)).count(), 5, "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| !has_flag(row, "no-dns")).count(), 5, "{rows:#?}");
    // Another address than it was given for whatever name, and it says none.
    let mut line = town.lab.client.connect(format!("{NOBODY_V4}:22").parse().expect("an address"));
    line.say("SSH-2.0-client\r\n").await;
    line.hear_all().await;
    assert!(is_refused(&town.gateway.row(NOBODY_V4).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_without_any_setting_loads_what_is_allowed_and_nothing_else() {
    let test = "chromium_without_any_setting_loads_what_is_allowed_and_nothing_else";
    if tool("chromium").is_none() {
        return;
    }
    let doors = format!("{DOORS}\ndns = [\"{GATEWAY_V4}:5300\"]");
    let town = Town::enter_with(test, "", |site| {
        site.set("listen", &doors);
        // The documentation's networks are nobody's, and no name of the Internet leads there.
        site.set("dns", "private_names = [\"test\"]");
    });
    let Some(town) = town.await else { return };
    // A browser gives up on a page when an address of its machine comes into use meanwhile.
    eventually("settled addresses", async || {
        let tentative = town.lab.client.say("ip", &["-6", "addr", "show", "tentative"]).await;
        tentative.stdout.trim().is_empty().then_some(())
    })
    .await;
    // As DHCP would say: the network's resolver. In a mount namespace of the browser's own.
    let folder = town.site.folder();
    let resolver = folder.join("resolv.conf");
    std::fs::write(&resolver, format!("nameserver {GATEWAY_V4}\n")).expect("a writable folder");
    let load = async |url: &str| {
        let script = format!(
            "mount --bind {} $(readlink -f /etc/resolv.conf) && exec chromium --headless --no-sandbox --disable-gpu \
             --no-first-run --disable-background-networking --disable-component-update --disable-sync \
             --disable-dev-shm-usage --ignore-certificate-errors --user-data-dir={} --virtual-time-budget=10000 \
             --timeout=30000 --dump-dom {url}",
            resolver.display(),
            folder.join("profile").display(),
        );
        town.lab.client.say("unshare", &["-m", "timeout", "60", "sh", "-ec", &script]).await
    };
    for url in ["http://allowed.test/", "https://allowed.test/"] {
        let said = load(url).await;
        assert!(said.stdout.contains("hello from allowed.test"), "{url}: {}{}", said.stdout, said.stderr);
    }
    let reached = (town.web.requests().len(), town.secure.ledger.connections().len());
    for url in ["http://adult.test/", "https://adult.test/"] {
        let said = load(url).await;
        assert!(!said.stdout.contains("hello from"), "{url}: {}", said.stdout);
    }
    assert_eq!((town.web.requests().len(), town.secure.ledger.connections().len()), reached);
    // How many requests a page and its icon make is the browser's business.
    let rows_of = async |host: &str, enough: &dyn Fn(&[Value]) -> bool| {
        let search = async || Some(town.gateway.search(&["--host", host])).filter(|rows| enough(rows));
        eventually(host, search).await
    };
    let is = |row: &Value, source: &str, action: &str| {
        text(row, "host_source") == source
            && text(row, "action") == action
            && [CLIENT_V4, CLIENT_V6].contains(&text(row, "client_address"))
            && !has_flag(row, "origin-mismatch")
    };
    let has = |rows: &[Value], source: &str, action: &str| rows.iter().any(|row| is(row, source, action));
    rows_of("allowed.test", &|rows| has(rows, "clear", "forward") && has(rows, "sni", "tunnel")).await;
    let rows = rows_of("adult.test", &|rows| !rows.is_empty()).await;
    assert!(rows.iter().all(|row| text(row, "action") == "refuse" && number(row, "port") == 53), "{rows:#?}");
}
