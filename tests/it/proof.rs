//! What the log says can be proven to somebody who has nothing but a package and a fingerprint.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};

use crate::harness::cli::{self, Said};
use crate::harness::gateway::Gateway;
use crate::harness::origin::Origin;
use crate::harness::school::School;
use crate::harness::site::Site;
use crate::harness::{dns::NameServer, eventually, skip, tool};

/// Exports until every row has its proof; each time into another folder.
pub async fn export(site: &Site, name: &str, more: &[&str]) -> PathBuf {
    let mut tries = 0;
    eventually("an export with all its proofs", async || {
        tries += 1;
        let folder = site.folder().join(format!("{name}-{tries}"));
        let out = folder.display().to_string();
        let mut words = vec!["log", "export", "--reason", "requisition 7/2026", "--out", &out];
        words.extend(more);
        let said = cli::run(Some(&site.config()), &site.state(), &words);
        assert!(matches!(said.code, Some(0 | 3)), "{said:?}");
        (said.code == Some(0)).then_some(folder)
    })
    .await
}

/// Verifies from another place, with neither configuration nor state.
pub fn verify(package: &Path, more: &[&str]) -> Said {
    let nowhere = tempfile::TempDir::new().unwrap();
    let package = package.display().to_string();
    let mut words = vec!["log", "verify", &package];
    words.extend(more);
    let said = cli::run(None, &nowhere.path().join("none"), &words);
    assert_eq!(std::fs::read_dir(nowhere.path()).unwrap().count(), 0, "verifying leaves nothing behind");
    said
}

pub fn fingerprint(site: &Site) -> String {
    let told = std::fs::read_to_string(site.state().join("proofs/gateway.pub")).unwrap();
    told.lines().find_map(|line| line.strip_prefix("fingerprint ")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_gateway_wrote_is_exported_whole_and_one_changed_byte_names_its_row() {
    let names = NameServer::start().await;
    let origin = Origin::http().await;
    let mut site = Site::new(Some(names.address));
    site.set("journal", "segment_seconds = 1");
    let gateway = Gateway::start(&mut site).await;
    for n in 0..6 {
        let mut browser = crate::harness::browser::Browser::at(crate::harness::site::PUPIL, gateway.proxy).await;
        browser.get(&origin.url(&format!("page{n}.test"), "/")).await;
    }
    gateway.kill();
    let config = site.write_config();
    let mut gateway = Gateway::spawn(Some(&config), &site.state(), site.proxy());
    gateway.wait_ready().await.unwrap_or_else(|not| panic!("no second start:\n{}", not.stderr));
    let mut browser = crate::harness::browser::Browser::at(crate::harness::site::PUPIL, gateway.proxy).await;
    browser.get(&origin.url("after.test", "/")).await;
    drop(browser);
    gateway.rows(7, &[]).await;

    let package = export(&site, "all", &[]).await;
    let trust = fingerprint(&site);
    let said = verify(&package, &["--trust", &trust]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("7 rows, 7 of them proven"), "{said:?}");
    let key_file = site.state().join("proofs/gateway.pub");
    assert_eq!(verify(&package, &["--trust", &key_file.display().to_string()]).code, Some(0));
    let said = verify(&package, &[]);
    assert_eq!(said.code, Some(67), "{said:?}");
    assert!(said.stdout.contains("signed by an unknown key: compare this fingerprint"), "{said:?}");
    assert!(said.stdout.contains(&trust), "{said:?}");

    let rows = package.join("rows.jsonl");
    let whole = std::fs::read_to_string(&rows).unwrap();
    let place = whole.find("page3.test").unwrap();
    let line = whole[..place].lines().count();
    std::fs::write(&rows, whole.replacen("page3.test", "page4.test", 1)).unwrap();
    let said = verify(&package, &["--trust", &trust]);
    assert_eq!(said.code, Some(65), "{said:?}");
    assert!(said.stderr.contains(&format!("ALTERED: row {line} (gateway ")), "{said:?}");

    // Nothing found is proven too, and the other stream is proven the same.
    let nobody = export(&site, "nobody", &["--client", "203.0.113.9", "--complete", "--to", "2100-01-01"]).await;
    let said = verify(&nobody, &["--trust", &trust]);
    assert!(said.stdout.contains("nothing found, and nothing was left out"), "{said:?}");
    let connections = export(&site, "connections", &["--stream", "connections"]).await;
    assert_eq!(verify(&connections, &["--trust", &trust]).code, Some(0));

    // And nobody needs the gateway for it.
    assert!(gateway.stop().await.success());
    let package = export(&site, "later", &["--host", ".test"]).await;
    assert_eq!(verify(&package, &["--trust", &trust]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_wants_a_reason_and_stands_in_the_trail_before_it_is_made() {
    let school = School::open_with(|site| {
        site.set("journal", "segment_seconds = 1");
    })
    .await;
    school.pupil().await.get(&school.url("one.test", "/")).await;
    school.gateway.row("one.test").await;
    let out = school.site.folder().join("package");
    let said = school.gateway.cli(&["log", "export", "--out", &out.display().to_string()]);
    assert_eq!(said.code, Some(64), "{said:?}");
    assert!(said.stderr.contains("--reason") && !out.exists(), "{said:?}");

    let package = export(&school.site, "package", &[]).await;
    let folder = school.site.state().join("trail");
    let trail: String = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(trail.contains("\"log export\"") && trail.contains("requisition 7/2026"), "{trail}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(package.join("manifest.json")).unwrap()).unwrap();
    let question = format!("\"question\":{},\"rows\":1,\"complete\":true", manifest["question"]);
    assert!(trail.contains(&question), "{question} in {trail}");
    let readme = std::fs::read_to_string(package.join("LISEZ-MOI.txt")).unwrap();
    assert!(readme.contains("requisition 7/2026") && readme.contains(&fingerprint(&school.site)), "{readme}");

    // Without a trail nothing leaves: a file stands where its folder must be.
    std::fs::rename(&folder, school.site.state().join("trail-before")).unwrap();
    std::fs::write(&folder, "").unwrap();
    let out = school.site.folder().join("unwritten");
    let said = school.gateway.cli(&["log", "export", "--reason", "x", "--out", &out.display().to_string()]);
    assert_eq!(said.code, Some(73), "{said:?}");
    assert!(!out.exists());
}

/// An authority over HTTP: `openssl ts` answers each question.
async fn serve_tsa(folder: PathBuf) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    ecluse::tasks::spawn("tsa", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let folder = folder.clone();
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let folder = folder.clone();
                async move {
                    assert_eq!(request.headers()["content-type"], "application/timestamp-query");
                    let question = request.into_body().collect().await?.to_bytes();
                    std::fs::write(folder.join("question"), question).unwrap();
                    let words =
                        "ts -reply -config tsa.cnf -queryfile question -signer cert.pem -inkey key.pem -out answer";
                    openssl(&folder, words);
                    let answer = std::fs::read(folder.join("answer")).unwrap();
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(answer))))
                }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        }
    });
    port
}

fn openssl(folder: &Path, words: &str) {
    let made = std::process::Command::new("openssl").current_dir(folder).args(words.split(' ')).output().unwrap();
    assert!(made.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_stamped_by_the_authority_that_is_configured() {
    if tool("openssl").is_none() {
        return skip("openssl", "the time-stamping authority of this test is `openssl ts`");
    }
    let folder = tempfile::TempDir::new().unwrap();
    let config = "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_digest = sha256\n\
        default_policy = 1.2.3.4.1\ndigests = sha256\naccuracy = secs:1\ness_cert_id_alg = sha256\n\
        [ca]\nbasicConstraints = critical,CA:TRUE\n\
        [stamp]\nextendedKeyUsage = critical,timeStamping\nbasicConstraints = critical,CA:FALSE\n\
        [req]\ndistinguished_name = name\n[name]\n";
    std::fs::write(folder.path().join("tsa.cnf"), config).unwrap();
    std::fs::write(folder.path().join("serial"), "01\n").unwrap();
    for words in [
        "req -x509 -config tsa.cnf -extensions ca -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj /CN=ca.test",
        "req -new -config tsa.cnf -newkey rsa:2048 -nodes -keyout key.pem -out tsa.csr -subj /CN=tsa.test",
        "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -set_serial 2 -days 9 -extfile tsa.cnf -extensions stamp -out cert.pem",
    ] {
        openssl(folder.path(), words);
    }
    let port = serve_tsa(folder.path().to_owned()).await;
    let school = School::open_with(|site| {
        site.set("journal", "segment_seconds = 1");
        site.set("proof", &format!("tsa = \"http://127.0.0.1:{port}/tsr\""));
    })
    .await;
    school.pupil().await.get(&school.url("one.test", "/")).await;
    school.gateway.row("one.test").await;
    let package = export(&school.site, "package", &[]).await;
    let trust = fingerprint(&school.site);
    let stamped = |certificate: &str| {
        let certificate = folder.path().join(certificate).display().to_string();
        verify(&package, &["--trust", &trust, "--tsa", &certificate])
    };
    for certificate in ["cert.pem", "ca.pem"] {
        let said = stamped(certificate);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.stdout.contains("\ntime-stamped 2"), "{said:?}");
    }
    let said = verify(&package, &["--trust", &trust]);
    assert!(said.stdout.contains("its signature was not checked: give --tsa CERTIFICATE"), "{said:?}");
    openssl(
        folder.path(),
        "req -x509 -config tsa.cnf -extensions stamp -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 9 -subj /CN=o",
    );
    let said = stamped("other.pem");
    assert_eq!(said.code, Some(65), "{said:?}");
    assert!(said.stderr.contains("manifest.tsr"), "{said:?}");
}
