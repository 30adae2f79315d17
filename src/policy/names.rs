//! What a group's names are answered with: search engines that filter, a restricted YouTube, no HTTP/3; and whether it may
//! speak HTTP/3 at all.

use super::written::WrittenGroup;
use crate::config::written::Document;

/// How much of YouTube is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Youtube {
    #[default]
    Free,
    Moderate,
    Strict,
}

/// What the answers to a client's questions are changed by. Of several groups the strictest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameLimits {
    /// Search engines are reached by the names under which they filter.
    pub safe_search: bool,
    pub youtube: Youtube,
    /// No answer says that a site speaks HTTP/3.
    pub without_h3: bool,
    /// QUIC is judged like TLS, and passes where rules allow it. Else it is refused, upon which browsers use TCP.
    pub quic: bool,
}

impl NameLimits {
    pub(super) fn and(self, other: NameLimits) -> NameLimits {
        NameLimits {
            safe_search: self.safe_search || other.safe_search,
            youtube: self.youtube.max(other.youtube),
            without_h3: self.without_h3 || other.without_h3,
            quic: self.quic && other.quic,
        }
    }

    pub(super) fn of(written: &WrittenGroup, document: &mut Document<'_>) -> NameLimits {
        let youtube = match &written.youtube {
            None => Youtube::Free,
            Some(at) => match at.value.as_str() {
                "free" => Youtube::Free,
                "moderate" => Youtube::Moderate,
                "strict" => Youtube::Strict,
                other => {
                    document.problem(&at.span, format!("`{other}` is none of: free, moderate, strict"), "");
                    Youtube::Free
                }
            },
        };
        NameLimits {
            safe_search: written.safe_search.as_ref().is_some_and(|at| at.value),
            youtube,
            without_h3: written.http3.as_ref().is_some_and(|at| !at.value),
            quic: written.http3.as_ref().is_some_and(|at| at.value),
        }
    }
}
