//! TLS to the server: a private authority is believed and no other, and the client shows its certificate.

use std::path::PathBuf;
use std::sync::Arc;

use ecluse::access::Stream;
use ecluse::store::suite::{self, batch, everything, sample, search};
use ecluse::store::{RecordStore, StoreError};

use super::between::{Between, Fault};
use super::{Rig, fresh_name, open, server};
use crate::harness::tls::Authority;

fn written(rig: &Rig, name: &str, text: &str) -> PathBuf {
    let file = rig.path(name);
    std::fs::write(&file, text).expect("a writable folder");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_authority_is_believed_and_our_certificate_is_shown() {
    let Some(rig) = Rig::start() else { return };
    let database = fresh_name();
    rig.store(&database).await;
    let (ours, strange) = (Authority::new(), Authority::new());
    let acceptor = Arc::new(ours.acceptor_for_clients_of(&["localhost"], &ours));
    let front = Between::start(rig.engine.port(), Some((*acceptor).clone()), || Fault::Pass).await;
    let url = format!("https://localhost:{}", front.address.port());

    let ca = rig.path("ca.pem");
    ours.write_pem(&ca);
    let other_ca = rig.path("other.pem");
    strange.write_pem(&other_ca);
    let (certificate, key) = ours.client("gw-1");
    let identity = (written(&rig, "cert.pem", &certificate), written(&rig, "key.pem", &key));
    let (certificate, key) = strange.client("gw-1");
    let strange_identity = (written(&rig, "cert2.pem", &certificate), written(&rig, "key2.pem", &key));

    let rows = sample::rows(&mut sample::Dice::seeded(31), Stream::Accesses, 30);
    let with = |ca: Option<PathBuf>, identity: Option<(PathBuf, PathBuf)>| {
        let mut settings = server(std::slice::from_ref(&url), &database);
        (settings.ca_file, settings.identity) = (ca, identity);
        open(&settings)
    };
    for (what, store) in [
        ("the machine's authorities", with(None, Some(identity.clone()))),
        ("another authority", with(Some(other_ca), Some(identity.clone()))),
        ("no certificate", with(Some(ca.clone()), None)),
        ("a stranger's certificate", with(Some(ca.clone()), Some(strange_identity))),
    ] {
        let answer = store.insert(&batch(&rows)).await;
        assert!(matches!(answer, Err(StoreError::Retry(_))), "{what}: {answer:?}");
    }
    assert_eq!(front.requests(), 0, "nothing was said before both sides were sure");

    let store = with(Some(ca), Some(identity));
    suite::insert(&store, &rows).await;
    assert_eq!(search(&store, &everything(Stream::Accesses)).await.len(), 30);
}
