//! `ecluse authority`: what is made, who may read it, and in which forms devices get it.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::site::Site;
use crate::harness::{cli, tool};

/// What openssl says.
fn openssl(arguments: &[&str]) -> Option<String> {
    let said = cli::Said::of(Command::new(tool("openssl")?).args(arguments).output().expect("openssl starts"));
    assert_eq!(said.code, Some(0), "openssl {arguments:?}: {}{}", said.stdout, said.stderr);
    Some(said.stdout)
}

#[test]
fn an_authority_is_made_once_its_key_is_for_its_owner_and_every_form_holds_the_same_certificate() {
    let site = Site::new(None);
    let config = site.write_config();
    let run = |arguments: &[&str]| cli::run(Some(&config), &site.state(), arguments);

    let said = run(&["authority", "init", "--days", "30", "--only", "exemple.fr"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let (certificate, key) = (site.state().join("authority.pem"), site.state().join("authority.key"));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    // What it says can be put into the configuration as it is.
    assert!(said.stdout.contains(&format!("certificate_file = \"{}\"", certificate.display())), "{}", said.stdout);
    let secret = std::fs::read_to_string(&key).unwrap();
    assert!(!said.stdout.contains("PRIVATE") && !said.stderr.contains("PRIVATE"));

    let again = run(&["authority", "init"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("not overwritten"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(&key).unwrap(), secret);

    let pem = run(&["authority", "export"]).ok();
    assert_eq!(pem, std::fs::read_to_string(&certificate).unwrap());
    let der_file = site.folder().join("a.der");
    let der_path = der_file.display().to_string();
    run(&["authority", "export", "--format", "der", "--out", &der_path]).ok();
    let profile = run(&["authority", "export", "--format", "mobileconfig"]).ok();
    assert!(profile.contains("com.apple.security.root") && profile.contains("Collège des Essais"), "{profile}");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(profile.contains(&format!("<data>{body}</data>")), "{profile}");
    for text in [&pem, &profile] {
        assert!(!text.contains("PRIVATE"), "{text}");
    }

    let Some(text) = openssl(&["x509", "-inform", "DER", "-in", &der_path, "-noout", "-text"]) else { return };
    for word in ["CA:TRUE, pathlen:0", "prime256v1", "Certificate Sign", "Permitted:", "DNS:exemple.fr"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let again = openssl(&["x509", "-inform", "DER", "-in", &der_path]).unwrap();
    assert_eq!(again.trim(), pem.trim());
}

#[test]
fn half_an_authority_and_a_page_without_one_are_problems_with_their_cure() {
    let mut site = Site::new(None);
    for (table, word) in [
        ("certificate_file = \"a.pem\"", "`key_file` is missing"),
        ("key_file = \"a.key\"", "`certificate_file` is missing"),
        ("block_page_https = \"page\"", "needs an authority"),
        ("block_page_https = \"seite\"", "none of: page, alert"),
    ] {
        site.set("inspection", table);
        let said = cli::run(Some(&site.write_config()), &site.state(), &["check"]);
        assert_eq!(said.code, Some(64), "{table}");
        assert!(said.stderr.contains(word), "{table}: {}", said.stderr);
    }
}
