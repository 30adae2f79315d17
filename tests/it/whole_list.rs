//! The real thing: the whole UT1 set, real clients, and the plug pulled between asking and searching.

use std::path::Path;
use std::process::Command;

use crate::harness::cli::text;
use crate::harness::dns::NameServer;
use crate::harness::gateway::{Gateway, search};
use crate::harness::origin::Origin;
use crate::harness::site::{Site, UT1_CATALOGUE};
use crate::harness::tls::Authority;
use crate::harness::{data, tool, unpack};

/// Adds a rule for whatever of UT1's categories this test refuses.
const RULES: &str = r#"
name = "Essai UT1"
time_zone = "Europe/Paris"
default = "allow"

[categories.gambling]
label = "jeux d'argent"
label_en = "gambling"
forbids = true

[categories.bank]
label = "banques"
label_en = "banks"
forbids = false

[groups.eleves]
label = "Élèves"
networks = ["127.0.0.0/8", "::1/128"]
default = true

[[rule]]
name = "argent"
label = "Jeux d'argent"
categories = ["gambling"]
action = "refuse"
reason = "Interdits aux mineurs."
"#;

/// The first plain name of a category's `domains`.
fn listed(lists: &Path, category: &str) -> String {
    let text = std::fs::read_to_string(lists.join("ut1").join(category).join("domains")).expect("a UT1 folder");
    let plain = |line: &&str| line.contains('.') && line.bytes().all(|b| b.is_ascii_lowercase() || b == b'.');
    text.lines().find(plain).expect("a plain name").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_served_and_refused_with_all_of_ut1_and_both_are_found_after_a_kill() {
    let (Some(data), Some(curl)) = (data(), tool("curl")) else { return };
    let names = NameServer::start().await;
    let origin = Origin::http().await;
    let mut site = Site::new(Some(names.address));
    let lists = site.rules().join("lists");
    std::fs::remove_file(lists.join("essai.toml")).unwrap();
    unpack(&data.join("ut1-full.tar.zst"), &lists);
    site.write_rule("lists/ut1.toml", UT1_CATALOGUE);
    site.write_rule("policy.toml", RULES);
    let refused = listed(&lists, "gambling");

    let compiled = crate::harness::cli::run(Some(&site.write_config()), &site.state(), &["lists", "compile"]);
    assert_eq!(compiled.code, Some(0), "{}", compiled.stderr);
    let gateway = Gateway::start(&mut site).await;
    let ask = |url: String| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--max-time", "20", "--write-out", "\n%{http_code}", "--noproxy", ""]);
        command.arg("--proxy").arg(format!("http://{}", gateway.proxy)).arg(url);
        String::from_utf8_lossy(&command.output().expect("curl runs").stdout).into_owned()
    };
    let passed = ask(origin.url("plain.test", "/"));
    assert!(passed.starts_with("hello from plain.test") && passed.ends_with("200"), "{passed}");
    let page = ask(format!("http://{refused}/"));
    assert!(page.ends_with("403") && page.contains("jeux d"), "{page}");

    gateway.kill();
    let rows = search(Some(&site.config()), &site.state(), &[]);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    let row = rows.iter().find(|row| text(row, "host") == refused).expect("the refused access");
    assert_eq!(text(row, "category"), "gambling");
    assert_eq!(text(row, "list"), "ut1/gambling");
    assert!(text(row, "entry").contains("gambling/domains:"), "{row:#}");
    let row = rows.iter().find(|row| text(row, "host") == "plain.test").expect("the allowed access");
    assert_eq!(text(row, "action"), "forward");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reaches_a_secure_origin_through_the_gateway() {
    let Some(curl) = tool("curl") else { return };
    let school = crate::harness::school::School::open().await;
    let authority = Authority::new();
    let origin = Origin::https(authority.acceptor(&["secure.test", "adult.test"])).await;
    let trust = school.site.folder().join("authority.pem");
    authority.write_pem(&trust);
    let ask = |host: &str| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "", "--cacert"]).arg(&trust);
        command.arg("--proxy").arg(format!("http://{}", school.gateway.proxy));
        command.arg(format!("https://{host}:{}/", origin.port())).output().expect("curl runs")
    };
    let passed = ask("secure.test");
    assert!(String::from_utf8_lossy(&passed.stdout).starts_with("hello from secure.test"), "{passed:?}");
    let refused = ask("adult.test");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("403"), "{refused:?}");
}
