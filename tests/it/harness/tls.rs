//! A certificate authority made for one test, its origins' certificates, and a client that trusts it.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::client::{EchConfig, EchMode};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::crypto::aws_lc_rs::hpke::ALL_SUPPORTED_SUITES;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Signs what an origin of a test needs.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate");
        Authority { certificate: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Writes the authority's certificate for clients that read files.
    pub fn write_pem(&self, file: &Path) {
        std::fs::write(file, &self.pem).expect("a writable folder");
    }

    /// A TLS server for `names`, wildcards included.
    pub fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.server_config(names)))
    }

    pub fn server_config(&self, names: &[&str]) -> ServerConfig {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (leaf, key) = self.leaf(CertificateParams::new(names).expect("valid names"));
        serving_config(vec![leaf.der().clone()], &key)
    }

    /// A TLS server whose certificate is as `change` leaves it.
    pub fn acceptor_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("valid names");
        change(&mut params);
        let (leaf, key) = self.leaf(params);
        serving(vec![leaf.der().clone()], &key)
    }

    /// A TLS server whose certificate an authority between signed; with it in the chain, or without.
    pub fn acceptor_behind(&self, names: &[&str], is_complete: bool) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "Test authority between");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let between = params.signed_by(&key, &self.issuer).expect("a certificate");
        let issuer = Issuer::new(params, key);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf_key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names).expect("valid names").signed_by(&leaf_key, &issuer);
        let mut chain = vec![leaf.expect("a certificate").der().clone()];
        chain.extend(is_complete.then(|| between.der().clone()));
        serving(chain, &leaf_key)
    }

    /// A TLS server that vouches for itself.
    pub fn acceptor_alone(names: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names).expect("valid names").self_signed(&key).expect("a certificate");
        serving(vec![leaf.der().clone()], &key)
    }

    /// A TLS server that wants a certificate signed by `clients`.
    pub fn acceptor_for_clients_of(&self, names: &[&str], clients: &Authority) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(clients.certificate.clone()).expect("our own certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        let verifier = verifier.build().expect("an authority");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (leaf, key) = self.leaf(CertificateParams::new(names).expect("valid names"));
        let secret = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf.der().clone()], secret)
            .expect("a matching key");
        TlsAcceptor::from(Arc::new(config))
    }

    /// A client's certificate and key, as PEM.
    pub fn client(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (leaf, key) = self.leaf(params);
        (leaf.pem(), key.serialize_pem())
    }

    fn leaf(&self, params: CertificateParams) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }

    /// A client that trusts this authority and no other.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::new(self.client_config()))
    }

    /// A client that trusts the authority of this file (PEM) and no other.
    pub fn connector_of(file: &Path) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file).expect("a certificate")).expect("an authority");
        TlsConnector::from(Arc::new(client_config(roots)))
    }

    pub fn client_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("our own certificate");
        client_config(roots)
    }
}

/// A client of these versions that trusts the authority of this file (PEM) and no other.
pub fn client_config_of(file: &Path, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).expect("a certificate")).expect("an authority");
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .expect("versions that the provider has")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn client_config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn serving(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(serving_config(chain, key)))
}

fn serving_config(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    let secret = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .expect("a matching key")
}

/// An ECHConfigList of one key (RFC 9849 §4), which a client takes in earnest and nobody holds the other half of.
pub fn ech_configs(id: u8, public_name: &str) -> Vec<u8> {
    let vec16 = |content: &[u8]| [&(content.len() as u16).to_be_bytes(), content].concat();
    // The base point of X25519: a key like any other.
    let key = [&[9][..], &[0; 31]].concat();
    // DHKEM(X25519, HKDF-SHA256) with HKDF-SHA256 and AES-128-GCM.
    let (kem, suites) = ([0, 0x20], vec16(&[0, 1, 0, 1]));
    let name = [&[64, public_name.len() as u8], public_name.as_bytes()].concat();
    let contents = [&[id][..], &kem, &vec16(&key), &suites, &name, &vec16(&[])].concat();
    vec16(&[&[0xfe, 0x0d][..], &vec16(&contents)].concat())
}

impl Authority {
    /// A client that hides the names of its servers with the first key of an ECHConfigList.
    pub fn hiding_config(&self, configs: &[u8]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("our own certificate");
        let key = EchConfig::new(configs.to_vec().into(), ALL_SUPPORTED_SUITES).expect("a key that can be used");
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_ech(EchMode::Enable(key))
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// The bytes of a real ClientHello for `name`, as the first flight of a browser's connection.
pub fn client_hello(name: &str) -> Vec<u8> {
    hello_of(Authority::new().client_config(), name)
}

/// The bytes of a real ClientHello that hides its name with the first key of an ECHConfigList.
pub fn hiding_hello(configs: &[u8], name: &str) -> Vec<u8> {
    hello_of(Authority::new().hiding_config(configs), name)
}

fn hello_of(config: ClientConfig, name: &str) -> Vec<u8> {
    let name = name.to_owned().try_into().expect("a server name");
    let mut connection = tokio_rustls::rustls::ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).expect("a Vec takes everything");
    }
    bytes
}
