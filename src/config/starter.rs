//! The rules that come with the program: a starting policy, people and small lists, for a trial and as a pattern.

use std::io;
use std::path::Path;

/// One file of `rules/`: where it goes, and its text.
pub type StarterFile = (&'static str, &'static str);

/// Every file under `rules/`. A test compares it with the directory.
pub const FILES: &[StarterFile] = &[
    ("README.md", include_str!("../../rules/README.md")),
    ("lists/local.toml", include_str!("../../rules/lists/local.toml")),
    ("lists/local/autorises", include_str!("../../rules/lists/local/autorises")),
    ("lists/local/refuses", include_str!("../../rules/lists/local/refuses")),
    ("lists/starter.toml", include_str!("../../rules/lists/starter.toml")),
    ("lists/starter/adult/domains", include_str!("../../rules/lists/starter/adult/domains")),
    ("lists/starter/agressif/domains", include_str!("../../rules/lists/starter/agressif/domains")),
    ("lists/starter/arjel/domains", include_str!("../../rules/lists/starter/arjel/domains")),
    ("lists/starter/bank/domains", include_str!("../../rules/lists/starter/bank/domains")),
    ("lists/starter/child/domains", include_str!("../../rules/lists/starter/child/domains")),
    ("lists/starter/cryptojacking/domains", include_str!("../../rules/lists/starter/cryptojacking/domains")),
    ("lists/starter/dangerous_material/domains", include_str!("../../rules/lists/starter/dangerous_material/domains")),
    ("lists/starter/dating/domains", include_str!("../../rules/lists/starter/dating/domains")),
    ("lists/starter/ddos/domains", include_str!("../../rules/lists/starter/ddos/domains")),
    ("lists/starter/device-service/domains", include_str!("../../rules/lists/starter/device-service/domains")),
    ("lists/starter/doh/domains", include_str!("../../rules/lists/starter/doh/domains")),
    ("lists/starter/drogue/domains", include_str!("../../rules/lists/starter/drogue/domains")),
    ("lists/starter/gambling/domains", include_str!("../../rules/lists/starter/gambling/domains")),
    ("lists/starter/games/domains", include_str!("../../rules/lists/starter/games/domains")),
    ("lists/starter/hacking/domains", include_str!("../../rules/lists/starter/hacking/domains")),
    ("lists/starter/health/domains", include_str!("../../rules/lists/starter/health/domains")),
    ("lists/starter/help-line/domains", include_str!("../../rules/lists/starter/help-line/domains")),
    ("lists/starter/malware/domains", include_str!("../../rules/lists/starter/malware/domains")),
    ("lists/starter/phishing/domains", include_str!("../../rules/lists/starter/phishing/domains")),
    ("lists/starter/press/domains", include_str!("../../rules/lists/starter/press/domains")),
    ("lists/starter/public-service/domains", include_str!("../../rules/lists/starter/public-service/domains")),
    ("lists/starter/redirector/domains", include_str!("../../rules/lists/starter/redirector/domains")),
    ("lists/starter/school-service/domains", include_str!("../../rules/lists/starter/school-service/domains")),
    ("lists/starter/sect/domains", include_str!("../../rules/lists/starter/sect/domains")),
    ("lists/starter/sexual_education/domains", include_str!("../../rules/lists/starter/sexual_education/domains")),
    ("lists/starter/shortener/domains", include_str!("../../rules/lists/starter/shortener/domains")),
    ("lists/starter/social_networks/domains", include_str!("../../rules/lists/starter/social_networks/domains")),
    ("lists/starter/time-service/domains", include_str!("../../rules/lists/starter/time-service/domains")),
    ("lists/starter/trust-service/domains", include_str!("../../rules/lists/starter/trust-service/domains")),
    ("lists/starter/union/domains", include_str!("../../rules/lists/starter/union/domains")),
    ("lists/starter/vpn/domains", include_str!("../../rules/lists/starter/vpn/domains")),
    ("lists/starter/warez/domains", include_str!("../../rules/lists/starter/warez/domains")),
    ("lists/starter/webmail/domains", include_str!("../../rules/lists/starter/webmail/domains")),
    ("lists/ut1.toml", include_str!("../../rules/lists/ut1.toml")),
    ("people.csv", include_str!("../../rules/people.csv")),
    ("policy.toml", include_str!("../../rules/policy.toml")),
];

/// Written last: names the set that the directory holds.
const STAMP: &str = ".version";

/// Writes the starter rules to `directory` when they are absent or of another version. Says whether it wrote.
///
/// # Errors
/// The directory cannot be written.
pub fn write_to(directory: &Path) -> io::Result<bool> {
    let version = version();
    let stamp = directory.join(STAMP);
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == version) {
        return Ok(false);
    }
    for (path, text) in FILES {
        let file = directory.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, text)?;
    }
    std::fs::create_dir_all(directory)?;
    std::fs::write(stamp, version)?;
    Ok(true)
}

/// Changes with any file of the set.
fn version() -> String {
    let mut sum = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for (path, text) in FILES {
        for part in [path, text] {
            sum.update(&(part.len() as u64).to_be_bytes());
            sum.update(part.as_bytes());
        }
    }
    sum.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
