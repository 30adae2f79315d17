use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::{NamedGroup, RootCertStore, ServerConfig};

use super::origins::verifier;
use super::*;
use crate::access::{Host, HostName, Timestamp};
use crate::clock::Clock;
use crate::policy::RelayPermit;

mod limbo;

const SOON: Duration = Duration::from_secs(10);

fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

fn wish() -> Wish {
    Wish { name: "Écluse, essai".to_owned(), days: 30, only: Vec::new(), except: Vec::new() }
}

/// An authority in files.
struct Files(TempDir);

impl Files {
    fn of(wish: &Wish) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let made = make(wish, Clock::System.now()).unwrap();
        std::fs::write(folder.path().join("a.pem"), made.certificate).unwrap();
        std::fs::write(folder.path().join("a.key"), made.key).unwrap();
        Files(folder)
    }

    fn open(&self) -> Authority {
        Authority::open(&self.0.path().join("a.pem"), &self.0.path().join("a.key")).unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.0.path().join("a.pem")).unwrap()).unwrap();
        roots
    }
}

/// A server of TLS and the same verifier that origins meet: what it says of the server as `name`.
async fn meet(server: Arc<ServerConfig>, roots: RootCertStore, name: &Host) -> Result<(), ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = crate::tasks::spawn("server", async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = TlsAcceptor::from(server).accept(stream).await {
            let _ = stream.write_all(b"hello").await;
            let _ = stream.shutdown().await;
        }
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let origins = Origins::with_roots(roots).unwrap();
    let mut stream = origins.connect(&RelayPermit::for_test(), stream, name, SOON).await?;
    let group = stream.get_ref().1.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768), "safe from those who record now and break later");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"hello");
    serving.await.unwrap();
    Ok(())
}

#[tokio::test]
async fn a_minted_certificate_is_believed_by_who_believes_the_authority_and_for_its_name_alone() {
    let files = Files::of(&wish());
    let mint = Mint::new(files.open()).unwrap();
    let now = Clock::System.now();
    for name in ["www.exemple.fr", "192.0.2.7", "2001:db8::7", &format!("{}.fr", vec!["a".repeat(60); 4].join("."))[..]]
    {
        let name = host(name);
        let server = mint.server(&name, now).unwrap();
        assert_eq!(meet(server.clone(), files.roots(), &name).await, Ok(()), "{name}");
        let other = host("autre.exemple.fr");
        assert_eq!(meet(server.clone(), files.roots(), &other).await, Err(Distrust::OtherName.into()), "{name}");
        let strangers = Files::of(&wish()).roots();
        assert_eq!(meet(server, strangers, &name).await, Err(Distrust::UnknownIssuer.into()), "{name}");
    }
}

#[test]
fn a_certificate_is_minted_once_for_all_who_want_it_at_the_same_time_and_anew_after_a_day() {
    let mint = Mint::new(Files::of(&wish()).open()).unwrap();
    let now = Clock::System.now();
    let name = host("www.exemple.fr");
    let servers: Vec<Arc<ServerConfig>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| mint.server(&name, now).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(servers.iter().all(|server| Arc::ptr_eq(server, &servers[0])));
    let later = |hours: u64| mint.server(&name, now.plus(Duration::from_secs(hours * 3600))).unwrap();
    assert!(Arc::ptr_eq(&later(23), &servers[0]));
    assert!(!Arc::ptr_eq(&later(25), &servers[0]));
}

#[test]
fn however_many_names_are_asked_for_so_many_certificates_are_kept() {
    let mint = Mint::new(Files::of(&wish()).open()).unwrap();
    let now = Clock::System.now();
    for i in 0..9_000u64 {
        let made = now.plus(Duration::from_micros(i));
        mint.server(&host(&format!("a{i}.exemple.fr")), made).unwrap();
        assert!(mint.kept() <= 4096, "{i}");
    }
    assert!(mint.kept() > 1000);
}

#[test]
fn an_authority_signs_the_names_that_it_was_made_for_and_no_others() {
    let name = |text: &str| HostName::parse(text).unwrap();
    let files = Files::of(&Wish { only: vec![name("exemple.fr")], except: vec![name("banque.exemple.fr")], ..wish() });
    let authority = files.open();
    for (asked, may) in [
        ("exemple.fr", true),
        ("www.exemple.fr", true),
        ("exemple.org", false),
        ("unexemple.fr", false),
        ("banque.exemple.fr", false),
        ("www.banque.exemple.fr", false),
        ("192.0.2.1", false),
    ] {
        assert_eq!(authority.may_sign(&host(asked)), may, "{asked}");
    }
    let mint = Mint::new(authority).unwrap();
    assert!(matches!(mint.server(&host("exemple.org"), Clock::System.now()), Err(MintError::NotAllowed)));
}

#[tokio::test]
async fn an_authority_that_is_constrained_is_believed_within_its_constraints() {
    let files = Files::of(&Wish { only: vec![HostName::parse("exemple.fr").unwrap()], ..wish() });
    let mint = Mint::new(files.open()).unwrap();
    let name = host("www.exemple.fr");
    let server = mint.server(&name, Clock::System.now()).unwrap();
    assert_eq!(meet(server, files.roots(), &name).await, Ok(()));
}

#[test]
fn files_that_do_not_belong_together_are_refused_and_the_words_show_no_key() {
    let (one, other) = (Files::of(&wish()), Files::of(&wish()));
    let path = |files: &Files, name: &str| files.0.path().join(name);
    let refused = |certificate: &std::path::Path, key: &std::path::Path| match Authority::open(certificate, key) {
        Ok(_) => panic!("taken"),
        Err(error) => error.to_string(),
    };
    assert!(refused(&path(&one, "a.pem"), &path(&other, "a.key")).contains("does not belong"));
    assert!(refused(&path(&one, "none"), &path(&one, "a.key")).contains("ecluse authority init"));
    assert!(refused(&path(&one, "a.pem"), &path(&one, "a.pem")).contains("no key"));
    // A leaf is no authority.
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["a.fr".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(path(&one, "leaf.pem"), leaf.pem()).unwrap();
    std::fs::write(path(&one, "leaf.key"), key.serialize_pem()).unwrap();
    let said = refused(&path(&one, "leaf.pem"), &path(&one, "leaf.key"));
    assert!(said.contains("no certificate of an authority") && !said.contains("PRIVATE"), "{said}");
}

#[test]
fn a_host_is_pinned_after_three_failures_of_two_clients_and_for_a_day() {
    let pinned = Pinned::default();
    let at = |hours: u64| Timestamp::from_micros(1_800_000_000_000_000).plus(Duration::from_secs(hours * 3600));
    let client = |n: u8| IpAddr::from([10, 0, 0, n]);
    let bank = host("appli.exemple.fr");
    for _ in 0..5 {
        assert!(!pinned.failed(&bank, client(1), at(0)));
    }
    assert!(!pinned.is_pinned(&bank, at(0)), "one client alone");
    assert!(pinned.failed(&bank, client(2), at(1)));
    assert!(!pinned.failed(&bank, client(3), at(2)), "told once");
    assert!(pinned.is_pinned(&bank, at(24)) && !pinned.is_pinned(&host("exemple.fr"), at(2)));
    assert_eq!(pinned.names(at(2)), ["appli.exemple.fr"]);
    assert!(!pinned.is_pinned(&bank, at(26)), "forgotten");

    // Whatever names clients fail at, so many are remembered.
    for n in 0..5_000u64 {
        pinned.failed(&host(&format!("a{n}.exemple.fr")), client(1), at(30).plus(Duration::from_micros(n)));
    }
    assert!(pinned.remembered() <= 1024);
}
