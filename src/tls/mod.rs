//! Opening TLS: the authority in whose name certificates are minted, and the verification of origins in place of clients.
//!
//! Two halves that never meet here: [`Mint`] makes a certificate for one name and [`accept`] presents it to a client;
//! [`Origins`] shakes hands with an origin and believes it only as a browser would, the host name included. Who opens what
//! is policy's to say and `gateway`'s to do: the origin is always verified first, so that a bad certificate is never
//! turned into a good one.
//!
//! The authority's key is read from a file and stays in memory; it is never shown. Nothing here reads or keeps what is
//! inside a connection, and no session is resumed, on either side: each handshake is whole and belongs to one client.
//!
//! Type to read first: [`Inspection`].

mod authority;
mod client;
mod mint;
mod origins;
mod pinned;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

use crate::config;

pub use authority::{Authority, AuthorityError, Certificate, Made, Wish, make};
pub use client::{ClientFault, ClientStream, accept};
pub use mint::{Mint, MintError};
pub use origins::{ConnectError, Distrust, OriginTls, Origins, OriginsError};
pub use pinned::Pinned;

/// All that opening a connection needs.
pub struct Inspection {
    pub mint: Mint,
    pub origins: Origins,
}

/// Why the configured inspection cannot work.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Mint(#[from] MintError),
    #[error(transparent)]
    Origins(#[from] OriginsError),
}

impl Inspection {
    /// Reads the authority and whom we believe; `None` where no authority is configured.
    pub fn open(config: &config::Inspection) -> Result<Option<Inspection>, InspectionError> {
        let Some(files) = &config.authority else { return Ok(None) };
        let authority = Authority::open(&files.certificate, &files.key)?;
        let origins = Origins::open(config.origin_ca_file.as_deref())?;
        Ok(Some(Inspection { mint: Mint::new(authority)?, origins }))
    }
}

/// aws-lc-rs, the post-quantum key exchange first: rustls offers a share of the first group only.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}
