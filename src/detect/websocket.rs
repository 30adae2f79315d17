//! WebSocket (RFC 6455 §4.1): a GET that asks to be upgraded.

/// Whether a field asks for it. Several words may stand there.
pub(super) fn is_upgrade(name: &[u8], value: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"upgrade") && value.split(|&b| b == b',').any(|word| is_websocket(word.trim_ascii()))
}

fn is_websocket(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"websocket")
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Http, WebSocket};
    use crate::detect::tests::from_client;

    #[test]
    fn a_websocket_is_told_by_its_upgrade() {
        for fields in ["Upgrade: websocket", "upgrade:WebSocket", "Connection: Upgrade\r\nUpgrade: h2c, websocket"] {
            let request = format!("GET /chat HTTP/1.1\r\nHost: a\r\n{fields}\r\nSec-WebSocket-Version: 13\r\n\r\n");
            assert_eq!(from_client(&request), WebSocket, "{fields}");
        }
        for fields in ["Upgrade: h2c", "X-Upgrade: websocket", "Upgrade: websockets", "A: b\r\n\r\nUpgrade: websocket"]
        {
            let request = format!("GET /chat HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            assert_eq!(from_client(&request), Http, "{fields}");
        }
        assert_eq!(from_client("POST /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"), Http, "only a GET is upgraded");
        assert_eq!(from_client("PUT /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"), Http, "only a GET is upgraded");
    }
}
