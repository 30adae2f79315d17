//! A profile that makes Apple's devices believe the authority (Apple, Configuration Profile Reference, "Certificate
//! Payload": `com.apple.security.root`).

use crate::tls::Certificate;

/// The whole profile. The same certificate gives the same profile: a device replaces it and does not hold two.
pub fn profile(certificate: &Certificate, school: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    let (inner, outer) = (uuid(&digest.as_ref()[..16]), uuid(&digest.as_ref()[16..]));
    let pem = certificate.pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let school = escape(school);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>authority.cer</string>
			<key>PayloadContent</key>
			<data>{base64}</data>
			<key>PayloadDisplayName</key>
			<string>Autorité du filtre, {school}</string>
			<key>PayloadIdentifier</key>
			<string>fr.ecluse.authority.{inner}</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>{inner}</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDisplayName</key>
	<string>Filtre du collège, {school}</string>
	<key>PayloadDescription</key>
	<string>L’appareil croit les certificats que le filtre présente.</string>
	<key>PayloadIdentifier</key>
	<string>fr.ecluse.authority</string>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>{outer}</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
"#
    )
}

/// RFC 9562 §5.8: 16 bytes of a digest as an identifier of its own version.
fn uuid(bytes: &[u8]) -> String {
    let mut bytes: Vec<u8> = bytes.to_vec();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
