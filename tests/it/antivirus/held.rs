//! Bodies that are held whole: the page names what was found, and what is clean comes as it was.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::shelf::Item;
use super::{SCAN, Scanned};
use crate::harness::clamd::{EICAR_NAME, eicar};
use crate::harness::cli::{has_flag, number, text};

use crate::harness::origin::Origin;
use crate::harness::site::PUPIL;
use crate::harness::soon;
use crate::inspection::{INSPECT, Opened};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virus_is_refused_and_the_page_and_the_row_name_it() {
    let Some(scanned) = Scanned::open().await else { return };
    let url = scanned.shelf.put("/eicar.com", Item::of(eicar()).header("content-type", "application/octet-stream"));
    let mut pupil = scanned.school.pupil().await;
    let page = pupil.get_with(&url, &[("Accept-Language", "fr")]).await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains(EICAR_NAME) && page.text().contains("contient un virus"), "{}", page.text());
    assert!(!page.text().contains("EICAR-STANDARD"), "nothing of the file is in the page");
    let row = scanned.school.gateway.row("files.test").await;
    let reference = text(&row, "reference");
    assert!(page.text().contains(reference) && !reference.is_empty());
    assert_eq!(text(&row, "finding"), format!("virus: {EICAR_NAME}"));
    assert_eq!((text(&row, "action"), text(&row, "rule")), ("refuse", "gateway-antivirus"));
    assert_eq!((text(&row, "earlier_rule"), number(&row, "status")), ("antivirus", 403));
    assert_eq!((number(&row, "bytes_down"), text(&row, "ending")), (0, "answered"));
    // Who is not scanned gets it: it was the scan that refused.
    let reply = scanned.school.teacher().await.get(&url).await;
    assert_eq!((reply.status, reply.body), (200, eicar()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_clean_comes_byte_for_byte_with_its_head_and_trailers() {
    let Some(scanned) = Scanned::open().await else { return };
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = Item::of(bytes.clone()).header("etag", "\"one\"").header("content-type", "image/png");
    let url = scanned.shelf.put("/clean", file.header("accept-ranges", "bytes").header("last-modified", "x"));
    let mut pupil = scanned.school.pupil().await;
    let reply = pupil.get_with(&url, &[("Range", "bytes=100-200"), ("Accept-Encoding", "gzip, dcb")]).await;
    assert!(reply.status == 200 && reply.whole && reply.body == bytes);
    for (name, value) in
        [("content-length", "300000"), ("etag", "\"one\""), ("content-type", "image/png"), ("accept-ranges", "none")]
    {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    // The whole was asked for, in what can be decoded.
    let (_, asked, _) = scanned.shelf.asked().remove(0);
    assert!(!asked.contains_key("range"));
    assert_eq!(asked["accept-encoding"], "gzip");
    // Its length not said; on the same connection.
    let coded = gzip(&bytes);
    let item = Item::of(coded[..1000].to_vec()).then(coded[1000..].to_vec()).coded("gzip").chunked();
    let url = scanned.shelf.put("/chunked", item);
    pupil
        .line
        .say(format!("GET {url} HTTP/1.1\r\nHost: files.test:{}\r\nTE: trailers\r\n\r\n", scanned.shelf.port))
        .await;
    let reply = pupil.line.reply("GET").await;
    assert!(reply.status == 200 && reply.whole && reply.body == coded, "{:?}", reply.headers);
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let rows = scanned.school.gateway.rows(2, &["--host", "files.test"]).await;
    for row in &rows {
        assert_eq!((text(row, "finding"), text(row, "action"), text(row, "ending")), ("clean", "forward", "complete"));
    }
    // Both went over one connection to the origin.
    assert_eq!(rows[0]["connection"], rows[1]["connection"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virus_is_found_in_every_coding_and_in_two_of_them() {
    let Some(scanned) = Scanned::open().await else { return };
    let (raw, zlib) = {
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&eicar()).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&eicar()).unwrap();
        (raw.finish().unwrap(), zlib.finish().unwrap())
    };
    let zstd = zstd::encode_all(&eicar()[..], 3).unwrap();
    let brotli = super::bombs::brotli(eicar());
    let twice = zstd::encode_all(&gzip(&eicar())[..], 3).unwrap();
    let mut bodies = vec![
        ("gzip", gzip(&eicar())),
        ("deflate", raw),
        ("deflate", zlib),
        ("zstd", zstd),
        ("gzip, zstd", twice),
        ("identity", eicar()),
    ];
    bodies.extend(brotli.map(|body| ("br", body)));
    let mut pupil = scanned.school.pupil().await;
    for (coding, body) in bodies {
        let url = scanned.shelf.put("/coded", Item::of(body).coded(coding));
        let reply = pupil.get(&url).await;
        assert!(reply.status == 403 && reply.text().contains(EICAR_NAME), "{coding}: {}", reply.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_that_is_opened_the_page_names_it_too_and_the_bank_stays_closed() {
    let Some(clamd) = crate::harness::clamd::Clamd::start("").await else { return };
    let antivirus = clamd.settings_tcp("");
    let opened = Opened::with_site(&format!("{INSPECT}{SCAN}"), |site| {
        site.set("antivirus", &antivirus);
    })
    .await;
    let origin = Origin::https(opened.world.acceptor(&["secure.test", "bank.test"])).await;
    origin.serve_page(String::from_utf8(eicar()).unwrap());
    let url = format!("https://secure.test:{}/page", origin.port());
    let Some(said) = opened.curl(PUPIL, &opened.ours, &[&url]).await else { return };
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.ends_with("403") && said.stdout.contains(EICAR_NAME), "{}", said.stdout);
    let bank = format!("https://bank.test:{}/page", origin.port());
    let said = opened.curl(PUPIL, &opened.theirs, &[&bank]).await.expect("curl");
    assert!(said.stdout.contains("EICAR") && said.stdout.ends_with("200"), "{}{}", said.stdout, said.stderr);
    let rows = opened.school.gateway.rows(2, &["--host", "secure.test"]).await;
    let inside = rows.iter().find(|row| text(row, "host_source") == "inspected").unwrap_or_else(|| panic!("{rows:#?}"));
    assert_eq!(text(inside, "finding"), format!("virus: {EICAR_NAME}"));
    let bank = opened.school.gateway.row("bank.test").await;
    assert_eq!((text(&bank, "action"), text(&bank, "finding")), ("tunnel", ""));
    assert!(!has_flag(&bank, "not-scanned"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_come_behind_a_body_that_was_held_and_behind_one_that_was_not() {
    let Some(scanned) = Scanned::open().await else { return };
    for size in [5, 2_000_000] {
        let chunks = format!("{size:x}\r\n{}\r\n0\r\nX-Sum: 42\r\n\r\n", "a".repeat(size));
        let reply = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{chunks}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        ecluse::tasks::spawn("origin", async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.read(&mut head).await;
        });
        let mut pupil = scanned.school.pupil().await;
        let host = format!("files.test:{port}");
        let head = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nTE: trailers\r\nConnection: close\r\n\r\n");
        pupil.line.say(head).await;
        let mut heard = Vec::new();
        soon("the end", pupil.line.stream.read_to_end(&mut heard)).await.unwrap();
        let heard = String::from_utf8(heard).unwrap();
        assert!(heard.to_ascii_lowercase().ends_with("\r\n0\r\nx-sum: 42\r\n\r\n"), "{}", &heard[heard.len() - 60..]);
        assert!((size..size + 100).contains(&heard.matches('a').count()), "{size}");
    }
}
