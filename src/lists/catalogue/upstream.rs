//! Where a source is fetched from, and what a fetched list must be like to be taken.

use std::path::{Component, Path};

use url::Url;

use super::super::Problem;
use super::written::{Fault, Written};

/// A list that lost more than this since last time was cut off or emptied: UT1 moves by single percents in a month.
const MAXIMUM_LOSS_PERCENT: u32 = 30;
/// Three times what there was: a list that refuses half the web by mistake looks like this.
const MAXIMUM_GROWTH_PERCENT: u32 = 200;
/// An empty list is never an update; a source that is larger says so with `minimum_entries`.
const MINIMUM_ENTRIES: u64 = 1;

/// One list on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Mirrors of the same list, in the order in which they are tried.
    pub urls: Vec<Url>,
    /// What the fetched bytes must hash to, for a list that does not change.
    pub sha256: Option<[u8; 32]>,
    /// A file of `sha256sum` or `md5sum` that has a line for the fetched file's name.
    pub sums_url: Option<Url>,
    pub minimum_entries: u64,
    pub maximum_loss_percent: u32,
    pub maximum_growth_percent: u32,
}

impl Upstream {
    /// `None` where nothing is to be fetched.
    pub(super) fn check(written: &Written) -> Result<Option<Upstream>, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut url = |text: &String| parse_url(text).map_err(|fault| faults.push(fault)).ok();
        let urls: Vec<Url> = written.urls.iter().filter_map(&mut url).collect();
        let sums_url = written.sums_url.as_ref().and_then(&mut url);
        let sha256 = match written.sha256.as_deref().map(parse_sha256) {
            Some(None) => {
                let help = "it has 64 hexadecimal digits, as `sha256sum` prints them";
                faults.push(("`sha256` is no SHA-256 sum".to_owned(), help));
                None
            }
            sum => sum.flatten(),
        };
        let maximum_loss_percent = written.maximum_loss_percent.unwrap_or(MAXIMUM_LOSS_PERCENT);
        if maximum_loss_percent > 100 {
            faults.push(("`maximum_loss_percent` is over 100".to_owned(), "100 allows a list to lose everything"));
        }
        let upstream = Upstream {
            urls,
            sha256,
            sums_url,
            minimum_entries: written.minimum_entries.unwrap_or(MINIMUM_ENTRIES),
            maximum_loss_percent,
            maximum_growth_percent: written.maximum_growth_percent.unwrap_or(MAXIMUM_GROWTH_PERCENT),
        };
        faults.extend(upstream.faults(written));
        match faults.is_empty() {
            true => Ok(Some(upstream).filter(|upstream| !upstream.urls.is_empty())),
            false => Err(faults),
        }
    }

    fn faults(&self, written: &Written) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !written.urls.is_empty() && !is_plain_path(&written.path) {
            let help = "a fetched list has a relative path of plain names, which lies among the downloaded lists";
            faults.push((format!("`{}` is no place for a fetched list", written.path), help));
        }
        if self.sums_url.as_ref().is_some_and(|url| url.scheme() != "https") {
            let help = "use https: a sum that anybody on the way can change proves nothing";
            faults.push(("`sums_url` is not secure".to_owned(), help));
        }
        if self.sha256.is_none() && self.urls.iter().any(|url| url.scheme() != "https") {
            let help = "use https, or give the `sha256` of a list that does not change";
            faults.push(("a list fetched over http can be changed by anybody on the way".to_owned(), help));
        }
        faults
    }
}

fn parse_url(text: &String) -> Result<Url, Fault> {
    let help = "write `https://host/path`, without user or password";
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none() =>
        {
            Ok(url)
        }
        // What stands before an `@` may be a password.
        _ if text.contains('@') => Err(("an address of `urls` names a user".to_owned(), help)),
        _ => Err((format!("`{text}` is no address to fetch from"), help)),
    }
}

/// 64 hexadecimal digits.
pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(sum)
}

/// Names alone, none of them hidden: what is hidden belongs to the update itself.
fn is_plain_path(path: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().starts_with(b"."));
    !path.is_empty() && Path::new(path).components().all(plain)
}

/// A source beside the catalogue is the operator's own: what `update` would fetch would never be read.
pub(super) fn hidden(file: &Path, written: &Written, beside: &Path) -> Problem {
    let what = format!("`{}` is read from {}: what `update` fetches would not be", written.name, beside.display());
    let help = "remove that copy to let `ecluse lists update` fetch the list, or remove `urls`";
    Problem { line: Some(written.line), ..Problem::in_file(file, what, help) }
}
