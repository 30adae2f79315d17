//! A real browser that is told of HTTP/3 tries it, is refused and shows its page all the same.

use super::{Town, is_quic};
use crate::harness::cli::text;
use crate::harness::lab::{ORIGIN_V4, run};
use crate::harness::{eventually, tool};

/// An origin over TCP that says it speaks HTTP/3, and a page that asks it for more.
const OFFERS_H3: &str = r#"
import http.server, ssl, sys
PAGE = b"""<pre id=heard></pre><script>(async () => { for (let i = 0; i < 8; i++) {
const answer = await fetch("/" + i, {cache: "no-store"}); heard.textContent += await answer.text() + " ";
await new Promise(soon => setTimeout(soon, 100)) } heard.textContent += "done" })()</script>"""
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = PAGE if self.path == "/" else b"ok"
        self.send_response(200)
        self.send_header("Alt-Svc", 'h3=":443"; ma=3600')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer((sys.argv[1], 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn chromium_tries_quic_and_has_its_page_over_tcp() {
    let test = "browser::chromium_tries_quic_and_has_its_page_over_tcp";
    if ["chromium", "python3", "openssl"].map(tool).iter().any(Option::is_none) {
        return;
    }
    let Some(town) = Town::enter(test, "", "", "").await else { return };
    let pem = town.site.folder().join("origin.pem").display().to_string();
    run(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=allowed.test \
         -addext subjectAltName=DNS:allowed.test -keyout {pem}.key -out {pem} 2> /dev/null
         openssl x509 -in {pem} -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary \
         | base64 > {pem}.pin
         cat {pem}.key >> {pem}"
    ));
    let pin = std::fs::read_to_string(format!("{pem}.pin")).expect("openssl wrote it");
    let mut origin = town.lab.origin.command("python3");
    let mut origin = origin.args(["-c", OFFERS_H3, ORIGIN_V4, &pem]).spawn().expect("python starts");
    let page = eventually("the origin is there", async || {
        let said = town.lab.client.say("curl", &["-sk", &format!("https://{ORIGIN_V4}/")]).await;
        Some(said.stdout).filter(|page| !page.is_empty())
    });
    assert!(page.await.contains("heard"));
    let profile = town.site.folder().join("profile").display().to_string();
    let (pin, profile) =
        (format!("--ignore-certificate-errors-spki-list={}", pin.trim()), format!("--user-data-dir={profile}"));
    let resolve = format!("--host-resolver-rules=MAP allowed.test {ORIGIN_V4}");
    let arguments = [
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update",
        "--disable-sync --disable-dev-shm-usage --enable-quic --virtual-time-budget=20000 --timeout=60000 --dump-dom",
    ];
    let plain = arguments.iter().flat_map(|line| line.split(' '));
    let arguments: Vec<&str> = plain.chain([&*pin, &*profile, &*resolve, "https://allowed.test/"]).collect();
    let said = town.lab.client.say("chromium", &arguments).await;
    let _ = origin.kill();
    let _ = origin.wait();
    assert!(said.stdout.contains("ok ok ok ok ok ok ok ok done"), "{}{}", said.stdout, said.stderr);
    let rows = eventually("the attempt by QUIC", async || {
        Some(town.gateway.search(&["--host", "allowed.test"])).filter(|rows| !rows.is_empty())
    });
    for row in rows.await {
        assert!(is_quic(&row, "refuse", "gateway-quic") && text(&row, "host_source") == "sni", "{row:#}");
    }
    town.assert_nothing_reached_the_origin().await;
}
