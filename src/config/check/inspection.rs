//! `[inspection]`: with what TLS is opened, and the page that refused names get over it.

use std::path::PathBuf;

use super::super::{AuthorityFiles, BlockPageHttps, Inspection};
use super::{At, Check, WrittenInspection};

impl Check<'_> {
    pub(super) fn inspection(&mut self, written: WrittenInspection) -> Inspection {
        let certificate_at = written.certificate_file.as_ref().map(|at| at.span.clone());
        let key_at = written.key_file.as_ref().map(|at| at.span.clone());
        let authority = match (self.file(written.certificate_file), self.file(written.key_file)) {
            (Some(certificate), Some(key)) => Some(AuthorityFiles { certificate, key }),
            (None, None) => None,
            (certificate, _) => {
                let (at, missing) = match certificate {
                    Some(_) => (certificate_at, "key_file"),
                    None => (key_at, "certificate_file"),
                };
                let what = format!("an authority is a certificate and its key: `{missing}` is missing");
                self.document.problem(&at.unwrap_or_default(), what, "`ecluse authority init` makes both");
                None
            }
        };
        let page_at = written.block_page_https.as_ref().map(|at| at.span.clone());
        let wanted = self.text(written.block_page_https, "", |text| match text {
            // What can be shown is shown: an alert tells nobody why.
            "" => Ok(None),
            "page" => Ok(Some(BlockPageHttps::Page)),
            "alert" => Ok(Some(BlockPageHttps::Alert)),
            _ => Err((format!("`{text}` is none of: page, alert"), "empty: a page where there is an authority")),
        });
        let block_page_https = match (wanted, &authority) {
            (Some(BlockPageHttps::Page), None) => {
                let help = "set `certificate_file` and `key_file`; `ecluse authority init` makes both";
                self.document.problem(&page_at.unwrap_or_default(), "a page over TLS needs an authority", help);
                BlockPageHttps::Alert
            }
            (Some(wanted), _) => wanted,
            (None, Some(_)) => BlockPageHttps::Page,
            (None, None) => BlockPageHttps::Alert,
        };
        Inspection { authority, block_page_https, origin_ca_file: self.file(written.origin_ca_file) }
    }

    fn file(&self, written: Option<At<String>>) -> Option<PathBuf> {
        written.filter(|at| !at.value.is_empty()).map(|at| self.directory.join(at.value))
    }
}
