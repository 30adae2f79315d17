use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::*;

/// An authority made by `openssl ts`; `None`, and said loudly, where there is no openssl.
struct Tsa(TempDir);

const CONFIG: &str = "[tsa]\ndefault_tsa = one\n[one]\nserial = SERIAL\nsigner_digest = sha256\n\
    default_policy = 1.2.3.4.1\ndigests = sha256\naccuracy = secs:1\ntsa_name = yes\ness_cert_id_alg = sha256\n";

impl Tsa {
    fn new(name: &str) -> Option<Tsa> {
        let folder = TempDir::new().unwrap();
        let tsa = Tsa(folder);
        let made = Command::new("openssl")
            .current_dir(tsa.0.path())
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"])
            .args(["-days", "30", "-subj", &format!("/CN={name}"), "-addext", "extendedKeyUsage=critical,timeStamping"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature"])
            .output();
        let Ok(made) = made else {
            assert!(!std::env::var("REQUIRE").is_ok_and(|all| all.split(',').any(|one| one == "openssl")));
            eprintln!("SKIPPED: `openssl` is missing");
            return None;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(tsa.0.path().join("tsa.cnf"), CONFIG.replace("SERIAL", "serial")).unwrap();
        std::fs::write(tsa.0.path().join("serial"), "01\n").unwrap();
        Some(tsa)
    }

    fn answer(&self, question: &[u8]) -> Vec<u8> {
        std::fs::write(self.0.path().join("question"), question).unwrap();
        let made = Command::new("openssl")
            .current_dir(self.0.path())
            .args(["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "question", "-signer", "cert.pem"])
            .args(["-inkey", "key.pem", "-out", "answer"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read(self.0.path().join("answer")).unwrap()
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }
}

#[test]
fn a_token_of_openssl_is_read_and_its_signature_checked() {
    let (Some(tsa), Some(other)) = (Tsa::new("tsa.test"), Tsa::new("other.test")) else { return };
    let imprint = Hash::of(&[b"manifest"]);
    for nonce in [1, 0x7f, 0x80, 0x1234_5678_9abc_def0, u64::MAX] {
        let answer = tsa.answer(&request(imprint, nonce));
        let token = token_of_response(&answer, imprint, nonce).unwrap();
        let stamped = check_token(&token, imprint, Some(&Authority::read(&tsa.certificate()).unwrap())).unwrap();
        assert!(stamped.is_signature_checked && stamped.at > Timestamp::from_micros(1_700_000_000_000_000));
        assert!(!check_token(&token, imprint, None).unwrap().is_signature_checked);
        let others = Authority::read(&other.certificate()).unwrap();
        assert_eq!(check_token(&token, imprint, Some(&others)), Err(TokenError::Signature));
        assert_eq!(check_token(&token, Hash::of(&[b"other"]), None), Err(TokenError::Imprint));
        assert_eq!(token_of_response(&answer, imprint, nonce ^ 1), Err(TokenError::Imprint));
        assert!(token_of_response(&answer[..answer.len() / 2], imprint, nonce).is_err());
    }
    assert!(Authority::read(&tsa.0.path().join("key.pem")).is_err());
}

#[test]
fn a_token_that_is_changed_or_cut_is_never_taken_for_another_and_never_a_panic() {
    let Some(tsa) = Tsa::new("tsa.test") else { return };
    let imprint = Hash::of(&[b"manifest"]);
    let token = token_of_response(&tsa.answer(&request(imprint, 5)), imprint, 5).unwrap();
    let authority = Authority::read(&tsa.certificate()).unwrap();
    let whole = check_token(&token, imprint, Some(&authority)).unwrap();
    for at in 0..token.len() {
        assert!(check_token(&token[..at], imprint, Some(&authority)).is_err(), "cut at {at}");
        let mut changed = token.clone();
        changed[at] ^= 0x20;
        // Certificates that nobody needs may change; what is signed may not.
        if let Ok(stamped) = check_token(&changed, imprint, Some(&authority)) {
            assert_eq!(stamped, whole, "byte {at}");
        }
    }
}

#[test]
fn what_is_no_answer_is_none() {
    let imprint = Hash::of(&[b"manifest"]);
    for bytes in [&b""[..], b"\x30", b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"<html>"] {
        assert!(token_of_response(bytes, imprint, 1).is_err());
        assert!(check_token(bytes, imprint, None).is_err());
    }
    // Status 2: rejection.
    assert_eq!(token_of_response(b"\x30\x05\x30\x03\x02\x01\x02", imprint, 1), Err(TokenError::Refused(2)));
}
