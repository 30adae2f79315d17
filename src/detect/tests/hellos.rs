//! ClientHellos made by hand, so that each test says what is in them.

/// A body with the given extensions.
pub fn body(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, content) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend(vec16(content));
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([&[32], &[9; 32][..]].concat());
    body.extend(vec16(&[0x13, 0x01, 0xc0, 0x2b]));
    body.extend([1, 0]);
    body.extend(vec16(&all));
    body
}

/// A handshake message of type ClientHello.
pub fn message(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[1], &length[1..], body].concat()
}

/// The message in records of at most `size` bytes.
pub fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(record).collect()
}

pub fn record(fragment: &[u8]) -> Vec<u8> {
    [&[22, 3, 1], &vec16(fragment)[..]].concat()
}

/// A whole ClientHello in one record.
pub fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    record(&message(&body(extensions)))
}

pub fn server_names(names: &[(u8, &[u8])]) -> (u16, Vec<u8>) {
    let list: Vec<u8> = names.iter().flat_map(|(kind, name)| [&[*kind], &vec16(name)[..]].concat()).collect();
    (0, vec16(&list))
}

pub fn server_name(name: &str) -> (u16, Vec<u8>) {
    server_names(&[(0, name.as_bytes())])
}

pub fn alpn(names: &[&str]) -> (u16, Vec<u8>) {
    let list: Vec<u8> = names.iter().flat_map(|n| [&[n.len() as u8], n.as_bytes()].concat()).collect();
    (16, vec16(&list))
}

pub fn versions(versions: &[u16]) -> (u16, Vec<u8>) {
    let list: Vec<u8> = versions.iter().flat_map(|v| v.to_be_bytes()).collect();
    (43, [&[list.len() as u8], &list[..]].concat())
}

pub fn ech_outer(config_id: u8) -> (u16, Vec<u8>) {
    let content = [&[0, 0, 1, 0, 1, config_id], &vec16(&[5; 32])[..], &vec16(&[6; 144])[..]].concat();
    (0xfe0d, content)
}

/// What a browser of today sends, in kind and in size.
pub fn browser(host: &str) -> Vec<u8> {
    hello(&browser_extensions(host))
}

pub fn browser_extensions(host: &str) -> Vec<(u16, Vec<u8>)> {
    let key_share = vec16(&[&[0x11, 0xec], &vec16(&[8; 1216])[..]].concat());
    vec![
        (0x3a3a, vec![]),
        server_name(host),
        (23, vec![]),
        (10, vec16(&[0x11, 0xec, 0, 29])),
        alpn(&["h2", "http/1.1"]),
        (13, vec16(&[4, 3, 8, 4])),
        versions(&[0x2a2a, 0x0304, 0x0303]),
        (51, key_share),
        ech_outer(77),
        (0x1a1a, vec![0]),
    ]
}

pub fn vec16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}
