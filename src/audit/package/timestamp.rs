//! RFC 3161: a time-stamping authority says when it saw the sum of a manifest.
//!
//! Only what is needed of ASN.1 is read here, in DER with definite lengths. The limits, said in `docs/proof.md` too: SHA-256,
//! -384 and -512 and what webpki verifies (RSA, ECDSA, Ed25519); the certificate that is given is believed, or vouches for
//! one in the token that may stamp; nobody is asked whether it was revoked, and `ESSCertID` is not compared.

mod der;

use std::path::Path;

use aws_lc_rs::digest;
use aws_lc_rs::digest::{SHA256, SHA384, SHA512};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use self::der::{Reader, tlv};
use crate::access::Timestamp;
use crate::access::proof::Hash;

const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
/// 1.2.840.113549.1.7.2, RFC 5652.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4, RFC 3161.
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
/// 1.2.840.113549.1.9.4, RFC 5652 §11.2.
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// 1.2.840.113549.1.9.3, RFC 5652 §11.1.
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// 1.3.6.1.5.5.7.3.8, id-kp-timeStamping.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;

/// Why a token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("it is no time-stamp token: {0}")]
    Malformed(&'static str),
    #[error("it is a time-stamp of something else: its imprint is not the manifest's")]
    Imprint,
    #[error("its signature is not that of the given certificate, nor of one that it vouches for")]
    Signature,
    #[error("the authority refused, with status {0}")]
    Refused(u8),
    #[error("{0}")]
    Certificate(String),
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    pub at: Timestamp,
    /// Whether its signature was checked; without the authority's certificate only its imprint was.
    pub is_signature_checked: bool,
}

/// The certificate that is believed about time.
#[derive(Debug, Clone)]
pub struct Authority(CertificateDer<'static>);

impl Authority {
    /// Reads a certificate, PEM or DER: the authority's own, or the one that issued it.
    pub fn read(path: &Path) -> Result<Authority, TokenError> {
        let wrong = |e: &dyn std::fmt::Display| TokenError::Certificate(format!("{}: {e}", path.display()));
        let bytes = std::fs::read(path).map_err(|e| wrong(&e))?;
        let der = CertificateDer::from_pem_slice(&bytes).unwrap_or_else(|_| CertificateDer::from(bytes));
        EndEntityCert::try_from(&der).map_err(|e| wrong(&format!("it is no certificate: {e:?}")))?;
        Ok(Authority(der))
    }
}

/// The question (RFC 3161 §2.4.1): stamp this hash, answer with this nonce, add your certificate.
pub fn request(imprint: Hash, nonce: u64) -> Vec<u8> {
    let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[SHA256_OID]), &tlv(0x05, &[])]);
    let imprint = tlv(SEQUENCE, &[&algorithm, &tlv(OCTETS, &[&imprint.0])]);
    let version = tlv(INTEGER, &[&[1]]);
    tlv(SEQUENCE, &[&version, &imprint, &nonce_der(nonce), &tlv(0x01, &[&[0xff]])])
}

fn nonce_der(nonce: u64) -> Vec<u8> {
    let bytes = nonce.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(7);
    // A leading bit would make it negative.
    let pad: &[u8] = if bytes[zeros] & 0x80 != 0 { &[0] } else { &[] };
    tlv(INTEGER, &[pad, &bytes[zeros..]])
}

/// The token in an answer, if it is one to our question.
pub fn token_of_response(response: &[u8], imprint: Hash, nonce: u64) -> Result<Vec<u8>, TokenError> {
    let malformed = TokenError::Malformed("the answer is no TimeStampResp");
    let mut body = Reader(response).enter(SEQUENCE).ok_or(malformed.clone())?;
    let status = body.enter(SEQUENCE).and_then(|mut info| info.take(INTEGER)).ok_or(malformed.clone())?;
    // 0 granted, 1 granted with modifications.
    match status {
        [0 | 1] => {}
        _ => return Err(TokenError::Refused(status.last().copied().unwrap_or(0xff))),
    }
    let token = body.whole(SEQUENCE).ok_or(malformed)?;
    let parsed = Token::parse(token)?;
    let asked = nonce_der(nonce);
    if parsed.imprint != imprint.0 || parsed.nonce != Some(asked.as_slice()) {
        return Err(TokenError::Imprint);
    }
    Ok(token.to_vec())
}

/// Checks a token over `imprint`.
pub(super) fn check_token(token: &[u8], imprint: Hash, authority: Option<&Authority>) -> Result<Stamped, TokenError> {
    let parsed = Token::parse(token)?;
    if parsed.imprint != imprint.0 {
        return Err(TokenError::Imprint);
    }
    if let Some(authority) = authority {
        parsed.check_signature(authority)?;
    }
    Ok(Stamped { at: parsed.at, is_signature_checked: authority.is_some() })
}

/// The parts of a token that are looked at.
struct Token<'a> {
    content: &'a [u8],
    imprint: &'a [u8],
    at: Timestamp,
    nonce: Option<&'a [u8]>,
    certificates: Vec<CertificateDer<'a>>,
    digest: &'static digest::Algorithm,
    /// The signed attributes as they are signed.
    signed: Vec<u8>,
    content_type: Option<&'a [u8]>,
    message_digest: Option<&'a [u8]>,
    signature: &'a [u8],
}

impl<'a> Token<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Token<'a>, TokenError> {
        let mut outer = Reader(bytes);
        let token = Token::read(&mut outer).ok_or(TokenError::Malformed("it is not the DER of RFC 3161"))?;
        if outer.is_empty() { Ok(token) } else { Err(TokenError::Malformed("bytes follow it")) }
    }

    fn read(outer: &mut Reader<'a>) -> Option<Token<'a>> {
        let mut info = outer.enter(SEQUENCE)?;
        (info.take(OID)? == SIGNED_DATA).then_some(())?;
        let mut signed_data = info.enter(CONTEXT_0)?.enter(SEQUENCE)?;
        signed_data.take(INTEGER)?;
        signed_data.take(SET)?;
        let mut encapsulated = signed_data.enter(SEQUENCE)?;
        (encapsulated.take(OID)? == TST_INFO).then_some(())?;
        let content = encapsulated.enter(CONTEXT_0)?.take(OCTETS)?;
        let mut certificates = Vec::new();
        if let Some(mut set) = signed_data.enter(CONTEXT_0) {
            while let Some(certificate) = set.whole(SEQUENCE) {
                certificates.push(CertificateDer::from(certificate));
            }
        }
        signed_data.take(0xa1);
        let mut signer = signed_data.enter(SET)?.enter(SEQUENCE)?;
        signer.take(INTEGER)?;
        signer.any()?; // whose it is: every certificate is tried
        let digest = match signer.enter(SEQUENCE)?.take(OID)? {
            oid if oid == SHA256_OID => &SHA256,
            oid if oid == SHA384_OID => &SHA384,
            oid if oid == SHA512_OID => &SHA512,
            _ => return None,
        };
        let attributes = signer.take(CONTEXT_0)?;
        signer.take(SEQUENCE)?;
        let signature = signer.take(OCTETS)?;
        let attribute = |wanted: &[u8], tag| {
            let mut all = Reader(attributes);
            while let Some(mut attribute) = all.enter(SEQUENCE) {
                if attribute.take(OID)? == wanted {
                    return attribute.enter(SET)?.take(tag);
                }
            }
            None
        };
        let (content_type, message_digest) = (attribute(CONTENT_TYPE, OID), attribute(MESSAGE_DIGEST, OCTETS));
        let (imprint, at, nonce) = tst_info(content)?;
        // RFC 5652 §5.4: signed is the SET itself, not its implicit tag.
        let signed = tlv(SET, &[attributes]);
        Some(Token {
            content,
            imprint,
            at,
            nonce,
            certificates,
            digest,
            signed,
            content_type,
            message_digest,
            signature,
        })
    }

    fn check_signature(&self, authority: &Authority) -> Result<(), TokenError> {
        let digest = digest::digest(self.digest, self.content);
        if self.content_type != Some(TST_INFO) || self.message_digest != Some(digest.as_ref()) {
            return Err(TokenError::Signature);
        }
        if self.is_signed_by(&authority.0) || self.certificates.iter().any(|signer| self.is_vouched(signer, authority))
        {
            return Ok(());
        }
        Err(TokenError::Signature)
    }

    fn is_signed_by(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
        let verifies = |algorithm: &&dyn tokio_rustls::rustls::pki_types::SignatureVerificationAlgorithm| {
            certificate.verify_signature(*algorithm, &self.signed, self.signature).is_ok()
        };
        ALL_VERIFICATION_ALGS.iter().any(verifies)
    }

    /// Whether a certificate of the token signed it, and the authority's vouches for that one as a stamper at that time.
    fn is_vouched(&self, signer: &CertificateDer<'_>, authority: &Authority) -> bool {
        let (Ok(end), Ok(anchor)) = (EndEntityCert::try_from(signer), webpki::anchor_from_trusted_cert(&authority.0))
        else {
            return false;
        };
        let seconds = u64::try_from(self.at.as_micros() / 1_000_000).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let usage = KeyUsage::required(TIME_STAMPING);
        let anchors = [anchor];
        let chain = end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &self.certificates, time, usage, None, None);
        chain.is_ok() && self.is_signed_by(signer)
    }
}

/// Imprint, time and nonce.
type TstInfo<'a> = (&'a [u8], Timestamp, Option<&'a [u8]>);

/// What a TSTInfo says, if its imprint is of SHA-256.
fn tst_info(content: &[u8]) -> Option<TstInfo<'_>> {
    let mut info = Reader(content).enter(SEQUENCE)?;
    info.take(INTEGER)?;
    info.take(OID)?;
    let mut imprint = info.enter(SEQUENCE)?;
    (imprint.enter(SEQUENCE)?.take(OID)? == SHA256_OID).then_some(())?;
    let imprint = imprint.take(OCTETS)?;
    info.take(INTEGER)?;
    let at = generalized_time(info.take(TIME)?)?;
    info.take(SEQUENCE); // accuracy
    info.take(0x01); // ordering
    Some((imprint, at, info.whole(INTEGER)))
}

/// `20261125021530Z`, perhaps with decimals (RFC 3161 §2.4.2).
fn generalized_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let part = |range: std::ops::Range<usize>| &whole[range];
    let (date, time) = ([part(0..4), part(4..6), part(6..8)], [part(8..10), part(10..12), part(12..14)]);
    format!("{}T{}.{fraction}Z", date.join("-"), time.join(":")).parse().ok()
}

#[cfg(test)]
mod tests;
