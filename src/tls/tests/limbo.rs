//! x509-limbo's cases through our verifier: nothing is believed that rustls-webpki, asked directly, refuses.

use serde_json::Value;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::pki_types::ServerName;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::*;

/// What is asked of both.
struct Case {
    roots: Vec<CertificateDer<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    leaf: CertificateDer<'static>,
    name: ServerName<'static>,
    time: UnixTime,
}

impl Case {
    fn read(case: &Value, now: UnixTime) -> Option<Case> {
        let pem = |value: &Value| CertificateDer::from_pem_slice(value.as_str()?.as_bytes()).ok();
        let all = |key: &str| case[key].as_array()?.iter().map(pem).collect::<Option<Vec<_>>>();
        let time = match case["validation_time"].as_str() {
            Some(text) => {
                let time: jiff::Timestamp = text.parse().ok()?;
                UnixTime::since_unix_epoch(Duration::from_secs(time.as_second().try_into().ok()?))
            }
            None => now,
        };
        Some(Case {
            roots: all("trusted_certs")?,
            intermediates: all("untrusted_intermediates")?,
            leaf: pem(&case["peer_certificate"])?,
            name: ServerName::try_from(case["expected_peer_name"]["value"].as_str()?.to_owned()).ok()?,
            time,
        })
    }

    fn ours(&self) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.roots.iter().cloned());
        let Ok(verifier) = verifier(roots) else { return false };
        verifier.verify_server_cert(&self.leaf, &self.intermediates, &self.name, &[], self.time).is_ok()
    }

    fn webpki(&self) -> bool {
        let anchors: Vec<_> = self.roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
        let Ok(leaf) = EndEntityCert::try_from(&self.leaf) else { return false };
        let usage = KeyUsage::server_auth();
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &self.intermediates, self.time, usage, None, None)
            .is_ok()
            && leaf.verify_is_valid_for_subject_name(&self.name).is_ok()
    }
}

#[test]
fn nothing_is_believed_that_webpki_refuses() {
    let Some(folder) = std::env::var_os("ECLUSE_TEST_DATA") else {
        let required = std::env::var("REQUIRE").is_ok_and(|all| all.split(',').any(|one| one.trim() == "data"));
        assert!(!required, "`data` is required here: set ECLUSE_TEST_DATA to the folder with limbo-sample.json");
        eprintln!("SKIPPED nothing_is_believed_that_webpki_refuses: ECLUSE_TEST_DATA is not set");
        return;
    };
    let file = std::path::Path::new(&folder).join("limbo-sample.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let limbo: Value = serde_json::from_str(&text).unwrap();
    let (mut asked, mut believed, mut good) = (0, 0, 0);
    for case in limbo["testcases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        // What cannot be read as a certificate or a name reaches no verifier.
        let Some(read) = Case::read(case, UnixTime::now()) else { continue };
        let (ours, webpki) = (read.ours(), read.webpki());
        assert!(!ours || webpki, "{id}: believed here and refused by webpki");
        assert_eq!(ours, webpki, "{id}: the same chain, roots and time give the same answer");
        asked += 1;
        believed += u32::from(ours);
        good += u32::from(ours && case["expected_result"] == "SUCCESS");
    }
    eprintln!("{asked} cases, {believed} believed, {good} of them rightly by the judgement of limbo");
    assert!(asked >= 40 && believed >= 5 && good >= 5, "{asked} {believed} {good}");
}
