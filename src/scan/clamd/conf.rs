//! What of `clamd.conf` must fit ours (clamd.conf(5)). clamd has no command that tells its settings: where the file is
//! named they are read from it, and where it is not, [`super::takes_at_once`] asks by trying.

/// 100 MiB: clamd's own default since version 1.0.
const STREAM_MAX_LENGTH: u64 = 100 * 1024 * 1024;

/// The settings that are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClamdConf {
    /// The most that INSTREAM takes, in bytes.
    pub stream_max_length: u64,
    /// Encrypted archives and documents are told (`Heuristics.Encrypted…`).
    pub alert_encrypted: bool,
    /// So is what its own limits kept it from scanning (`Heuristics.Limits.Exceeded…`).
    pub alert_exceeds_max: bool,
}

/// Reads the settings from the text of a `clamd.conf`; those that are absent have clamd's defaults.
pub fn parse(text: &str) -> ClamdConf {
    let mut conf = ClamdConf { stream_max_length: STREAM_MAX_LENGTH, alert_encrypted: false, alert_exceeds_max: false };
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        match name {
            "StreamMaxLength" => {
                if let Some(bytes) = size(value) {
                    conf.stream_max_length = bytes;
                }
            }
            "AlertEncrypted" | "AlertEncryptedArchive" => conf.alert_encrypted |= yes(value),
            "AlertExceedsMax" => conf.alert_exceeds_max = yes(value),
            _ => {}
        }
    }
    conf
}

fn yes(value: &str) -> bool {
    ["yes", "true", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// `25M`, `4000k`, `123456`.
fn size(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(['k', 'K', 'm', 'M']);
    let unit = match &value[digits.len()..] {
        "" => 1,
        "k" | "K" => 1024,
        "m" | "M" => 1024 * 1024,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_fit_ours_is_read_as_clamd_reads_it() {
        for (line, bytes) in [
            ("StreamMaxLength 25M", 25 << 20),
            ("StreamMaxLength\t4000k", 4000 << 10),
            ("StreamMaxLength 1234", 1234),
            ("# StreamMaxLength 1", 100 << 20),
            ("StreamMaxLength 1G", 100 << 20),
            ("StreamMaxLengthX 1", 100 << 20),
        ] {
            assert_eq!(parse(line).stream_max_length, bytes, "{line}");
        }
        assert!(parse("AlertEncrypted true").alert_encrypted && parse("AlertEncryptedArchive yes").alert_encrypted);
        assert!(!parse("AlertEncrypted false\n#AlertEncrypted yes").alert_encrypted);
        assert!(parse("AlertExceedsMax yes").alert_exceeds_max);
    }
}
