//! Sums of fetched bytes, and the files that publish them.

use aws_lc_rs::digest::{Context, SHA256};
use md5::{Digest, Md5};

use crate::lists::parse_sha256;

use super::hex;

/// A sum that somebody published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sum {
    Sha256(String),
    /// Finds accidents. An attacker makes two files of one MD5: who is trusted is https's affair.
    Md5(String),
}

/// The line for `name` in a file of `sha256sum` or `md5sum`; a lone sum is the sum of the only file there is.
pub fn published(text: &str, name: &str) -> Option<Sum> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = lines.clone().find_map(|line| {
        let (sum, file) = line.split_once(char::is_whitespace)?;
        let file = file.trim_start().trim_start_matches('*');
        (file.rsplit('/').next() == Some(name)).then(|| parse(sum)).flatten()
    });
    named.or_else(|| match (lines.next(), lines.next()) {
        (Some(sum), None) => parse(sum),
        _ => None,
    })
}

fn parse(text: &str) -> Option<Sum> {
    let text = text.to_ascii_lowercase();
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.len() {
        64 => parse_sha256(&text).map(|_| Sum::Sha256(text)),
        32 if is_hex => Some(Sum::Md5(text)),
        _ => None,
    }
}

/// Both sums of what passes.
pub struct Summing {
    sha256: Context,
    md5: Md5,
}

/// The sums of a body, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    pub sha256: String,
    pub md5: String,
}

impl Default for Summing {
    fn default() -> Self {
        Summing { sha256: Context::new(&SHA256), md5: Md5::new() }
    }
}

impl Summing {
    pub fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
    }

    pub fn finish(self) -> Sums {
        Sums { sha256: hex(self.sha256.finish().as_ref()), md5: hex(self.md5.finalize().as_ref()) }
    }
}

impl Sums {
    pub fn agree_with(&self, sum: &Sum) -> bool {
        match sum {
            Sum::Sha256(sum) => *sum == self.sha256,
            Sum::Md5(sum) => *sum == self.md5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const SHA: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_line_of_the_file_is_found_in_either_kind_of_sums() {
        let md5 = Some(Sum::Md5(MD5.to_owned()));
        let sha = Some(Sum::Sha256(SHA.to_owned()));
        for (text, expected) in [
            (format!("00000000000000000000000000000000  adult.tar.gz\n{MD5}  blacklists.tar.gz\n"), &md5),
            (format!("{MD5} *blacklists.tar.gz\r\n"), &md5),
            (format!("{}\t./download/blacklists.tar.gz", SHA.to_uppercase()), &sha),
            (format!("{SHA}\n"), &sha),
            (format!("{SHA}\n{SHA}\n"), &None),
            (format!("{MD5}  other.tar.gz\n{MD5}  my-blacklists.tar.gz\n"), &None),
            ("<html>maintenance</html>".to_owned(), &None),
            (format!("{}é  blacklists.tar.gz", &MD5[..30]), &None),
            (String::new(), &None),
        ] {
            assert_eq!(&published(&text, "blacklists.tar.gz"), expected, "{text}");
        }
    }

    #[test]
    fn the_sums_of_nothing_are_the_known_ones() {
        let sums = Summing::default().finish();
        assert!(sums.agree_with(&Sum::Md5(MD5.to_owned())) && sums.agree_with(&Sum::Sha256(SHA.to_owned())));
        assert!(!sums.agree_with(&Sum::Md5(SHA[..32].to_owned())));
    }
}
