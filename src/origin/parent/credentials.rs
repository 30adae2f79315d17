//! `user:password` from a file into the field that carries it (RFC 7617).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ::http::HeaderValue;

/// A line; anything longer is another file.
const MAX_BYTES: u64 = 4096;

/// Why the credentials cannot be used. Says what to do, and never what stands in the file.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the parent proxy's credentials {file} cannot be read: {error}")]
    Unreadable { file: PathBuf, error: io::Error },
    #[error("the parent proxy's credentials {file} can be read by others\n  help: `chmod 600 {file}`")]
    Open { file: PathBuf },
    #[error("{file} is not one line `user:password`, of printable characters")]
    Malformed { file: PathBuf },
}

/// `Basic …`, marked as a secret: it shows in no diagnostics.
pub(super) fn read(file: &Path) -> Result<HeaderValue, CredentialsError> {
    let unreadable = |error| CredentialsError::Unreadable { file: file.to_owned(), error };
    let malformed = || CredentialsError::Malformed { file: file.to_owned() };
    let mut text = String::new();
    let open = File::open(file).map_err(unreadable)?;
    if open.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
        return Err(CredentialsError::Open { file: file.to_owned() });
    }
    open.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let right = line.find(':').is_some_and(|at| at > 0) && !line.chars().any(char::is_control);
    if !right || text.len() as u64 > MAX_BYTES {
        return Err(malformed());
    }
    let mut value = HeaderValue::try_from(format!("Basic {}", base64(line.as_bytes()))).map_err(|_| malformed())?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0u32, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i) & 0x3f) as usize;
            text.push(if i <= three.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, mode: u32) -> Result<String, CredentialsError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&file).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        let vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (n, encoded) in vectors.into_iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..n]), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn one_line_is_read_with_or_without_its_end() {
        for text in ["Aladdin:open sesame", "Aladdin:open sesame\n", "Aladdin:open sesame\r\n"] {
            // The example of RFC 7617 §2.
            assert_eq!(written(text, 0o600).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        }
        assert!(written("user:pass:with:colons é\n", 0o400).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for (text, mode, what) in [
            ("user:hunter2", 0o644, "chmod 600"),
            ("user:hunter2", 0o640, "chmod 600"),
            ("hunter2", 0o600, "is not one line"),
            (":hunter2", 0o600, "is not one line"),
            ("", 0o600, "is not one line"),
            ("user:hunter2\nmore", 0o600, "is not one line"),
            (&format!("user:{}", "hunter2".repeat(1000)), 0o600, "is not one line"),
        ] {
            let error = written(text, mode).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains("hunter2"), "{error}");
        }
        let missing = read(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/at/all"), "{missing}");
    }
}
