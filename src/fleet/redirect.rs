//! Where a redirect leads, if anywhere.

use url::Url;

/// The address of a `Location`, relative or not, or why it is not followed.
pub fn follow(from: &Url, location: Option<&str>) -> Result<Url, &'static str> {
    let location = location.ok_or("a redirect without an address")?;
    let to = from.join(location).map_err(|_| "a redirect to what is no address")?;
    if !to.username().is_empty() || to.password().is_some() {
        return Err("a redirect that names a user");
    }
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        ("https", "http") => Err("a redirect from https to http"),
        _ => Err("a redirect to another protocol"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_to_https_only_and_never_away_from_it() {
        for (from, location, expected) in [
            ("https://a.fr/x/y", Some("z"), Ok("https://a.fr/x/z")),
            ("https://a.fr/x/y", Some("/z?q#f"), Ok("https://a.fr/z?q#f")),
            ("https://a.fr/", Some("//b.fr/z"), Ok("https://b.fr/z")),
            ("http://a.fr/", Some("https://a.fr/"), Ok("https://a.fr/")),
            ("http://a.fr/", Some("http://b.fr/"), Ok("http://b.fr/")),
            ("https://a.fr/", Some("http://a.fr/"), Err("a redirect from https to http")),
            ("https://a.fr/", Some("HTTP://a.fr/"), Err("a redirect from https to http")),
            ("https://a.fr/", Some("file:///etc/passwd"), Err("a redirect to another protocol")),
            ("https://a.fr/", Some("https://me:secret@a.fr/"), Err("a redirect that names a user")),
            ("https://a.fr/", Some("https://["), Err("a redirect to what is no address")),
            ("https://a.fr/", None, Err("a redirect without an address")),
        ] {
            let from = Url::parse(from).unwrap();
            assert_eq!(follow(&from, location).as_ref().map(Url::as_str), expected.as_ref().copied(), "{location:?}");
        }
    }
}
