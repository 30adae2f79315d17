//! The gateway's key on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::chain::make_folder;
use crate::access::proof::{PublicKey, Signer};
use crate::store::embedded::{NO_FOLLOW, give_to_owner_of};

/// A key has 48 to 85 bytes in DER and some 120 in PEM.
const KEY_MAX: u64 = 4096;

/// Reads the configured key, or the folder's own, which is made where there is none.
pub(super) fn open(folder: &Path, configured: Option<&Path>) -> Result<Signer, String> {
    make_folder(folder).map_err(|e| e.to_string())?;
    let own = folder.join("gateway.key");
    let signer = match configured {
        Some(path) => read_key(path)?,
        None if own.exists() => read_key(&own)?,
        None => make(folder, &own)?,
    };
    tell(folder, &signer.public()).map_err(|e| format!("gateway.pub: {e}"))?;
    Ok(signer)
}

/// Reads a key, PKCS #8 in DER or PEM.
pub fn read_key(path: &Path) -> Result<Signer, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("the key {}: {e}", path.display());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(KEY_MAX).read_to_end(&mut bytes)).map_err(|e| wrong(&e))?;
    let der = match PrivatePkcs8KeyDer::from_pem_slice(&bytes) {
        Ok(der) => der.secret_pkcs8_der().to_vec(),
        Err(_) => bytes,
    };
    Signer::from_pkcs8(&der).map_err(|e| wrong(&e))
}

fn make(folder: &Path, path: &Path) -> Result<Signer, String> {
    let (signer, der) = Signer::generate().map_err(|e| e.to_string())?;
    let aside = folder.join("gateway.key.aside");
    write_new(folder, &aside, &der)
        // A name that was there meanwhile wins: both processes then have its key.
        .and_then(|()| match fs::hard_link(&aside, path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => fs::remove_file(&aside),
        })
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|e| format!("the key {} cannot be made: {e}", path.display()))?;
    tracing::info!(fingerprint = %signer.public().fingerprint(), file = %path.display(),
        "this gateway has a new key: note its fingerprint where those who verify will find it");
    read_key(path)
}

fn write_new(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW).open(path)?;
    give_to_owner_of(folder, &file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes the public half down, as `--trust` of `ecluse log verify` reads it.
fn tell(folder: &Path, key: &PublicKey) -> io::Result<()> {
    let path = folder.join("gateway.pub");
    let text = format!("ed25519 {key}\nfingerprint {}\n", key.fingerprint());
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let aside = folder.join("gateway.pub.aside");
    write_new(folder, &aside, text.as_bytes())?;
    fs::rename(&aside, &path)
}
