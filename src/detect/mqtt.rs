//! MQTT (OASIS MQTT 5.0 §3.1): a CONNECT packet that names the protocol.

use super::guess::Guess;

pub(super) fn client(bytes: &[u8]) -> Guess {
    if let Some(&first) = bytes.first()
        && first != 0x10
    {
        return Guess::No;
    }
    // The remaining length: up to four bytes, all but the last with their high bit set.
    let digits = bytes.get(1..).unwrap_or_default().iter().take(4);
    let Some(last) = digits.clone().position(|&b| b < 0x80) else {
        return if digits.len() < 4 { Guess::Perhaps } else { Guess::No };
    };
    let name = &bytes[last + 2..];
    Guess::begins(name, b"\0\x04MQTT").or(Guess::begins(name, b"\0\x06MQIsdp"))
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Mqtt, Other};
    use crate::detect::tests::from_client;

    #[test]
    fn a_device_that_reports_is_told_by_its_first_packet() {
        for first in
            [&b"\x10\x40\0\x06MQIsdp\x03\xc2\0\x14"[..], b"\x10\x9a\x02\0\x04MQTT\x04\xc0", b"\x10\x0c\0\x04MQTT\x05"]
        {
            assert_eq!(from_client(first), Mqtt);
        }
        for not in [&b"\x10\x0c\0\x04MQTX\x05"[..], b"\x10\xff\xff\xff\xff\x01\0\x04MQTT", b"\x20\x02\0\0"] {
            assert_eq!(from_client(not), Other);
        }
    }
}
