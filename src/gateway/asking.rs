//! Who asks for a request and what for, in the browser's own words: rules of ad blockers may depend on it.

use ::http::header::{ACCEPT, HeaderMap, HeaderName, ORIGIN, REFERER};

use crate::access::{Host, HostName};
use crate::matcher::rules::{Context, RequestKind};

use super::http::split_port;

/// What the header fields say. A client may say what it likes: it changes the answers of such rules and of no others.
pub fn context(headers: &HeaderMap) -> Context {
    Context { page: page(headers), kind: kind(headers) }
}

/// The host of the page: of `Origin` where there is one (its `null` is a secret), else of `Referer`.
fn page(headers: &HeaderMap) -> Option<HostName> {
    let origin = headers.get(ORIGIN).filter(|origin| *origin != "null");
    let url = origin.or_else(|| headers.get(REFERER))?.to_str().ok()?;
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    match Host::parse(split_port(authority.rsplit('@').next()?)) {
        Ok(Host::Name(name)) => Some(name),
        _ => None,
    }
}

/// `Sec-Fetch-Dest` (Fetch Metadata). Browsers send it to secure origins only; elsewhere `Accept` tells three of them.
fn kind(headers: &HeaderMap) -> Option<RequestKind> {
    const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
    if let Some(dest) = headers.get(FETCH_DEST) {
        return match dest.to_str().ok()? {
            "document" => Some(RequestKind::Document),
            "iframe" | "frame" | "fencedframe" => Some(RequestKind::Frame),
            "script" | "worker" | "sharedworker" | "serviceworker" | "audioworklet" | "paintworklet" => {
                Some(RequestKind::Script)
            }
            "style" | "xslt" => Some(RequestKind::Style),
            "image" => Some(RequestKind::Image),
            "font" => Some(RequestKind::Font),
            "audio" | "video" | "track" => Some(RequestKind::Media),
            "empty" => Some(RequestKind::Fetch),
            "websocket" => Some(RequestKind::WebSocket),
            "report" => Some(RequestKind::Ping),
            "object" | "embed" => Some(RequestKind::Object),
            _ => Some(RequestKind::Other),
        };
    }
    let accept = headers.get(ACCEPT)?.to_str().ok()?;
    [("text/html", RequestKind::Document), ("text/css", RequestKind::Style), ("image/", RequestKind::Image)]
        .into_iter()
        .find_map(|(start, kind)| accept.starts_with(start).then_some(kind))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn said(fields: &[(&'static str, &'static str)]) -> String {
        let fields =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let Context { page, kind } = context(&fields.collect());
        format!("{} {kind:?}", page.as_ref().map_or("-", |page| page.as_str()))
    }

    #[test]
    fn what_the_browser_says_of_itself_is_read() {
        for (fields, expected) in [
            (&[][..], "- None"),
            (&[("referer", "https://WWW.Example.fr:8443/a?b")], "www.example.fr None"),
            (&[("referer", "https://a.fr/"), ("origin", "https://b.fr")], "b.fr None"),
            (&[("referer", "https://a.fr/"), ("origin", "null")], "a.fr None"),
            (&[("referer", "https://10.0.0.1/")], "- None"),
            (&[("referer", "nonsense")], "- None"),
            (&[("sec-fetch-dest", "script"), ("accept", "text/html")], "- Some(Script)"),
            (&[("sec-fetch-dest", "manifest")], "- Some(Other)"),
            (&[("accept", "text/css,*/*;q=0.1")], "- Some(Style)"),
            (&[("accept", "image/avif,image/webp,*/*")], "- Some(Image)"),
            (&[("accept", "text/html,application/xhtml+xml")], "- Some(Document)"),
            (&[("accept", "*/*")], "- None"),
        ] {
            assert_eq!(said(fields), expected, "{fields:?}");
        }
    }
}
