//! Certificates for one name each, minted when they are first wanted.
//!
//! All bear one key, made at the start: what a certificate costs is one signature of the authority. They are short-lived
//! and kept for a while, so many and no more; who wants one that is being minted waits for that one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};

use super::authority::{Authority, DAY, serial, set_validity};
use super::provider;
use crate::access::{Host, Timestamp};

/// A certificate is given out for so long after it was made…
const SERVED: Duration = DAY;
/// …and valid for so long before and after: the clocks of tablets are off by a day.
const BEFORE: Duration = DAY;
const AFTER: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Certificates kept, of some 3 KB each: a school visits fewer inspected names in a day.
const KEPT_MAX: usize = 4096;
/// X.520: a common name is no longer.
const COMMON_NAME_MAX: usize = 64;

/// Why there is no certificate for a name.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MintError {
    #[error("the authority may not sign for this name")]
    NotAllowed,
    #[error("a certificate cannot be made: {0}")]
    Making(String),
}

impl From<rcgen::Error> for MintError {
    fn from(error: rcgen::Error) -> Self {
        MintError::Making(error.to_string())
    }
}

impl From<tokio_rustls::rustls::Error> for MintError {
    fn from(error: tokio_rustls::rustls::Error) -> Self {
        MintError::Making(error.to_string())
    }
}

/// Mints certificates and remembers them.
pub struct Mint {
    authority: Authority,
    /// Of every certificate.
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    provider: Arc<CryptoProvider>,
    kept: Mutex<HashMap<Host, Arc<Slot>>>,
}

/// One name's certificate, as the server that presents it. Empty while it is being minted.
struct Slot {
    made: Timestamp,
    server: OnceLock<Result<Arc<ServerConfig>, MintError>>,
}

impl Mint {
    pub fn new(authority: Authority) -> Result<Mint, MintError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signing = any_supported_type(&secret)?;
        Ok(Mint { authority, key, signing, provider: provider(), kept: Mutex::default() })
    }

    /// Whether clients would believe a certificate for this name.
    pub fn may_sign(&self, host: &Host) -> bool {
        self.authority.may_sign(host)
    }

    /// A server of TLS 1.2 and 1.3 that presents a certificate for this name and no other, and speaks HTTP/1.1.
    pub fn server(&self, host: &Host, now: Timestamp) -> Result<Arc<ServerConfig>, MintError> {
        if !self.may_sign(host) {
            return Err(MintError::NotAllowed);
        }
        let slot = self.slot(host, now);
        slot.server.get_or_init(|| self.mint(host, slot.made)).clone()
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn slot(&self, host: &Host, now: Timestamp) -> Arc<Slot> {
        // What is inside is whole whoever panicked.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = kept.get(host).filter(|slot| slot.made > now.minus(SERVED)) {
            return slot.clone();
        }
        if kept.len() >= KEPT_MAX {
            make_room(&mut kept);
        }
        let slot = Arc::new(Slot { made: now, server: OnceLock::new() });
        kept.insert(host.clone(), slot.clone());
        slot
    }

    fn mint(&self, host: &Host, now: Timestamp) -> Result<Arc<ServerConfig>, MintError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Host::Address(address) => SanType::IpAddress(*address),
        }];
        let text = host.to_text();
        if text.len() <= COMMON_NAME_MAX {
            params.distinguished_name.push(DnType::CommonName, text.as_ref());
        }
        params.serial_number = Some(serial());
        set_validity(&mut params, now.minus(BEFORE), now.plus(AFTER));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.key, &self.authority.issuer)?;
        let chain = vec![leaf.der().clone(), self.authority.certificate()];
        let mut server = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(chain, self.signing.clone())))));
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each handshake is whole: nothing of one is kept for another.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Arc::new(server))
    }
}

/// Drops the older half: names come in crowds, and one look through all of them is paid by two thousand that follow.
fn make_room(kept: &mut HashMap<Host, Arc<Slot>>) {
    let mut times: Vec<Timestamp> = kept.values().map(|slot| slot.made).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    kept.retain(|_, slot| slot.made > median);
}

/// Whatever name a client says, it was read and judged before.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
