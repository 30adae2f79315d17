//! The authority of a school: made once, believed by its devices, read at each start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use x509_parser::extensions::{GeneralName, NameConstraints as ReadConstraints, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::access::{Host, HostName, Timestamp};

/// What an authority is to be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Whose it is: what a device's settings show.
    pub name: String,
    pub days: u32,
    /// The names it may sign, with all below them; none: all.
    pub only: Vec<HostName>,
    /// Names it may not sign, with all below them.
    pub except: Vec<HostName>,
}

/// A new authority, in PEM.
pub struct Made {
    pub certificate: String,
    pub key: String,
}

/// Why there is no authority. It names the file and never shows what is in a key.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("the authority's {what} {} cannot be read: {why}\n  help: `ecluse authority init` makes both files", path.display())]
    Unreadable { what: &'static str, path: PathBuf, why: String },
    #[error("{} is no certificate of an authority: {why}\n  help: `ecluse authority init` makes one", path.display())]
    NoAuthority { path: PathBuf, why: String },
    #[error("the key {} does not belong to the certificate {}", key.display(), certificate.display())]
    OtherKey { key: PathBuf, certificate: PathBuf },
    #[error("a key or a certificate cannot be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// Makes a key (P-256) and the certificate that it signs itself.
pub fn make(wish: &Wish, now: Timestamp) -> Result<Made, AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, wish.name.as_str());
    // No intermediate authorities: it signs leaves.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial());
    set_validity(&mut params, now.minus(DAY), now.plus(DAY * wish.days));
    let subtrees =
        |names: &[HostName]| names.iter().map(|name| GeneralSubtree::DnsName(name.as_str().to_owned())).collect();
    if !(wish.only.is_empty() && wish.except.is_empty()) {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: subtrees(&wish.only),
            excluded_subtrees: subtrees(&wish.except),
        });
    }
    let certificate = params.self_signed(&key)?;
    Ok(Made { certificate: certificate.pem(), key: key.serialize_pem() })
}

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn set_validity(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    // Before 1970 our clock is wrong, and certificates are the least of it.
    let since = |time: Timestamp| Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(0));
    params.not_before = date_time_ymd(1970, 1, 1) + since(from);
    params.not_after = date_time_ymd(1970, 1, 1) + since(until);
}

/// RFC 5280 §4.1.2.2: unique, positive, at most 20 bytes. Browsers refuse two certificates with the same one.
pub(super) fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    // aws-lc's generator does not fail once it is seeded.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// The public half of an authority.
pub struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
}

impl Certificate {
    /// Reads a certificate (PEM) and checks that it is an authority's.
    pub fn open(path: &Path) -> Result<Certificate, AuthorityError> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable("certificate", path, &error))?;
        let der = CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|_| unreadable("certificate", path, &"it holds no certificate in PEM"))?;
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let block = text.find(BEGIN).zip(text.find(END)).and_then(|(from, to)| text.get(from..to));
        let pem = format!("{}{END}\n", block.unwrap_or_default());
        let certificate = Certificate { der, pem };
        certificate.constraints(path)?;
        Ok(certificate)
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As it was read, this certificate alone.
    pub fn pem(&self) -> String {
        self.pem.clone()
    }

    fn constraints(&self, path: &Path) -> Result<Constraints, AuthorityError> {
        let no_authority = |why: String| AuthorityError::NoAuthority { path: path.to_owned(), why };
        let (_, parsed) = X509Certificate::from_der(&self.der).map_err(|error| no_authority(error.to_string()))?;
        if !parsed.is_ca() {
            return Err(no_authority("it says itself that it is none".to_owned()));
        }
        let mut constraints = Constraints::default();
        for extension in parsed.extensions() {
            if let ParsedExtension::NameConstraints(read) = extension.parsed_extension() {
                constraints = Constraints::read(read).ok_or_else(|| {
                    no_authority("it constrains names in a way that is not understood here".to_owned())
                })?;
            }
        }
        Ok(constraints)
    }
}

/// Which names an authority may sign (RFC 5280 §4.2.1.10), as far as host names go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Constraints {
    only: Vec<HostName>,
    except: Vec<HostName>,
}

impl Constraints {
    fn read(read: &ReadConstraints<'_>) -> Option<Constraints> {
        let names = |subtrees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
            let subtrees = subtrees.iter().flatten();
            let name = |subtree: &x509_parser::extensions::GeneralSubtree<'_>| match &subtree.base {
                GeneralName::DNSName(name) => HostName::parse(name.trim_start_matches('.')).ok(),
                _ => None,
            };
            subtrees.map(name).collect::<Option<Vec<HostName>>>()
        };
        Some(Constraints { only: names(&read.permitted_subtrees)?, except: names(&read.excluded_subtrees)? })
    }

    fn allow(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => {
                let within = |names: &[HostName]| names.iter().any(|parent| name.is_within(parent));
                (self.only.is_empty() || within(&self.only)) && !within(&self.except)
            }
            // Constraints of names leave addresses free; who constrains means names.
            Host::Address(_) => self.only.is_empty(),
        }
    }
}

/// An authority that can sign.
pub struct Authority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    constraints: Constraints,
}

impl Authority {
    /// Reads both files (PEM) and checks that they belong together.
    pub fn open(certificate_file: &Path, key_file: &Path) -> Result<Authority, AuthorityError> {
        let certificate = Certificate::open(certificate_file)?;
        let constraints = certificate.constraints(certificate_file)?;
        let text = std::fs::read_to_string(key_file).map_err(|error| unreadable("key", key_file, &error))?;
        let secret = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| unreadable("key", key_file, &"it holds no key in PEM"))?;
        let signing =
            any_supported_type(&secret).map_err(|_| unreadable("key", key_file, &"a kind of key unknown here"))?;
        let pair = CertifiedKey::new(vec![certificate.der.clone()], signing);
        if pair.keys_match().is_err() {
            return Err(AuthorityError::OtherKey {
                key: key_file.to_owned(),
                certificate: certificate_file.to_owned(),
            });
        }
        let key = KeyPair::from_pem(&text).map_err(|_| unreadable("key", key_file, &"it is no PKCS #8 key"))?;
        let issuer = Issuer::from_ca_cert_der(&certificate.der, key).map_err(|error| AuthorityError::NoAuthority {
            path: certificate_file.to_owned(),
            why: error.to_string(),
        })?;
        Ok(Authority { issuer, certificate, constraints })
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.der.clone()
    }

    /// Whether a certificate of this name would be believed by who believes the authority.
    pub fn may_sign(&self, host: &Host) -> bool {
        self.constraints.allow(host)
    }
}

fn unreadable(what: &'static str, path: &Path, why: &dyn std::fmt::Display) -> AuthorityError {
    AuthorityError::Unreadable { what, path: path.to_owned(), why: why.to_string() }
}
