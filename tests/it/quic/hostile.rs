//! Datagrams that nobody sends in earnest, and more of them than anybody needs.

use std::net::UdpSocket;

use super::{Town, at};
use crate::harness::cli::{number, text};
use crate::harness::eventually;
use crate::harness::lab::ORIGIN_V4;
use crate::harness::quic;

/// Pupils speak what browsers speak, and nothing else.
const WEB_ONLY: &str = "[[rule]]\nname = \"web-seulement\"\nlabel = \"Le web seulement\"\nwho = [\"eleves\"]\n\
                        protocols = [\"!web\"]\naction = \"refuse\"\nreason = \"Le web, et rien d'autre.\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_datagrams_get_no_answer_and_neither_memory_nor_rows_without_bound() {
    let test = "hostile::hostile_datagrams_get_no_answer_and_neither_memory_nor_rows_without_bound";
    let limits = "connections_per_client = 50\ndetect_ms = 200\ndrain_ms = 0";
    let Some(town) = Town::enter(test, "http3 = true", WEB_ONLY, limits).await else { return };
    let from = |words: &[u8]| {
        let socket = town.lab.client.datagrams("0.0.0.0:0");
        socket.send_to(words, at(ORIGIN_V4, 443)).expect("a way there");
        socket
    };
    let mut begins = vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x9a];
    begins.resize(1200, 7);
    // Nothing, as much as there can be, noise, a STUN request, and a first packet that opens to nothing.
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[9; 12]].concat();
    let hostile = [&[][..], &[0x5a; 60_000], &[0xff; 1200], &stun, &begins];
    let sockets: Vec<UdpSocket> = hostile.iter().map(|words| from(words)).collect();
    let rows = town.gateway.rows(hostile.len(), &[]).await;
    let of = |protocol: &str| rows.iter().filter(|row| text(row, "protocol") == protocol).count();
    assert_eq!((of("other"), of("stun"), of("quic")), (3, 1, 1), "{rows:#?}");
    assert!(rows.iter().all(|row| text(row, "action") == "refuse"), "{rows:#?}");
    for socket in &sockets[..4] {
        socket.set_nonblocking(true).expect("an open socket");
        assert!(socket.recv(&mut [0; 100]).is_err(), "what is not QUIC has no answer");
    }
    // The same again from the same ports is no other attempt.
    for (socket, words) in sockets.iter().zip(hostile) {
        socket.send_to(words, at(ORIGIN_V4, 443)).expect("a way there");
    }

    let before = town.gateway.memory_kib("VmRSS");
    const PORTS: usize = 2000;
    for n in 0..PORTS {
        drop(from(&[b"ZZ", &n.to_be_bytes()[..], &[0; 1000]].concat()));
    }
    let all = hostile.len() + PORTS;
    let flows = eventually("the gateway has seen them", async || {
        Some(number(&town.gateway.status()["figures"], "datagram_flows")).filter(|flows| *flows >= 50)
    });
    assert_eq!(flows.await, 50);
    let grown = town.gateway.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    town.assert_nothing_reached_the_origin().await;
    // The device beside it notices nothing.
    town.lab.client.run("ip addr add 10.9.0.3/24 dev eth0");
    let neighbour = town.client("10.9.0.3:0");
    let connection = neighbour.connect("allowed.test", at(ORIGIN_V4, 443)).await.expect("it is allowed");
    assert_eq!(quic::echo(&connection, b"words").await, b"words");
    // One row for each flow within the limit, one for the first beyond it, one that counts the rest; and the neighbour's.
    let (config, state) = (town.site.config(), town.site.state());
    town.gateway.stop().await;
    let rows = crate::harness::gateway::search(Some(&config), &state, &[]);
    assert_eq!(rows.len(), 53, "{rows:#?}");
    let count: u64 = rows.iter().map(|row| number(row, "count")).sum();
    assert!(count <= all as u64 && count > 1000, "{count} of {all}: the kernel may lose some of a flood");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_places_are_taken_the_row_accuses_nobody() {
    let test = "hostile::when_all_places_are_taken_the_row_accuses_nobody";
    // Half of it are places for datagrams, and half of these one client may have.
    let Some(town) = Town::enter(test, "", WEB_ONLY, "flows = 8\ndrain_ms = 0").await else { return };
    for n in 3..6 {
        town.lab.client.run(&format!("ip addr add 10.9.0.{n}/24 dev eth0"));
        for _ in 0..2 {
            let socket = town.lab.client.datagrams(&format!("10.9.0.{n}:0"));
            socket.send_to(b"ZZ-a protocol of nobody", at(ORIGIN_V4, 443)).expect("a way there");
        }
    }
    let rows = town.gateway.rows(5, &[]).await;
    let mut clients: Vec<&str> = rows.iter().map(|row| text(row, "client_address")).collect();
    clients.sort_unstable();
    assert_eq!(clients, ["0.0.0.0", "10.9.0.3", "10.9.0.3", "10.9.0.4", "10.9.0.4"], "{rows:#?}");
    let nobodys = rows.iter().find(|row| text(row, "client_address") == "0.0.0.0").expect("one row");
    assert_eq!(text(nobodys, "ending"), "over-limit", "{nobodys:#}");
    // Who speaks TCP has places of their own.
    assert_eq!(number(&town.gateway.status()["figures"], "connections_open"), 0);
    let (config, state) = (town.site.config(), town.site.state());
    town.gateway.stop().await;
    let rows = crate::harness::gateway::search(Some(&config), &state, &[]);
    assert_eq!(rows.len(), 6, "the second one too many is counted in a row of its own: {rows:#?}");
}
