//! Each default once, with its reason. `systemd/ecluse.toml` shows them all; a test compares the two.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Loopback: a gateway that nobody configured serves nobody else. 3128 is what squid's users have in their settings.
pub const EXPLICIT: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3128), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 3128)];
/// Redirected connections need no capability and no policy routing.
pub const TRANSPARENT_MODE: &str = "redirect";
/// A site behind several addresses is reached all the same, and nobody is reached under another's name.
pub const ORIGIN_MISMATCH: &str = "dial-resolved";
/// A client that speaks first does so within a round trip; whoever has not by then waits for the other side (SSH, mail).
pub const TRANSPARENT_SILENCE_MS: u64 = 300;
/// Who may ask our DNS: every network that is nobody's on the Internet (RFC 1918, RFC 4193), and this machine. Whoever else
/// could make of it a weapon against others (RFC 5358).
pub const DNS_CLIENTS: [&str; 7] =
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"];
/// Some 10,000 names are all that a college asks in an hour, in two kinds; at 4 KiB at most each.
pub const DNS_CACHE_ENTRIES: u64 = 32_768;
/// A page of a newspaper asks for 50 names in three kinds; a classroom behind one address opens 30 of them.
pub const DNS_QUESTIONS_PER_SECOND: u64 = 200;
/// Such a classroom when the lesson begins.
pub const DNS_QUESTION_BURST: u64 = 2_000;
/// The longest that an answer may be used, and the minutes for which devices use it beyond: who was told an address before the
/// gateway started is past it by then.
pub const DNS_NO_DNS_AFTER_SECONDS: u64 = 3_600 + 600;
/// A well-formed code that no school bears, so that rows of a trial can't be taken for a school's.
pub const COLLEGE_CODE: &str = "0000000A";
pub const COLLEGE_NAME: &str = "Collège";
pub const GATEWAY_NAME: &str = "passerelle";
/// A browser gives up on a name after about 10 s: two servers can be asked before.
pub const RESOLVER_TIMEOUT_MS: u64 = 4_000;
/// A college asks for a few thousand names a day.
pub const RESOLVER_CACHE_ENTRIES: u64 = 16_384;
/// A lost disk loses one small file. (What is synced ships at once, also from a segment that is still written.)
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// A closed segment gets its signed root: what is older is provable. At five minutes a day's roots are a third of a megabyte for
/// each stream; at ten seconds they were ten.
pub const SEGMENT_SECONDS: u64 = 300;
/// An access survives our death at once (the kernel has it); a power cut loses at most this window. At 0 each intent is on
/// the disk before its origin is reached, at the price of one fsync a request.
pub const SYNC_MS: u64 = 50;
/// Seven days of 600 tablets (2 million accesses of 400 bytes a day) with the centre away, and half as much again.
pub const JOURNAL_MAX_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// As IPFIX's active time-out (RFC 5102, common practice): no search waits for the end of a long tunnel.
pub const SLICE_SECONDS: u64 = 600;
pub const STORE_DATABASE: &str = "ecluse";
/// Two lost SYNs and a TLS handshake over a bad line.
pub const STORE_CONNECT_MS: u64 = 5_000;
/// 256 KiB over the slowest line of a college.
pub const STORE_SEND_MS: u64 = 30_000;
/// A loaded server that merges takes seconds; after a minute it is not going to answer.
pub const STORE_ANSWER_MS: u64 = 60_000;
/// Each insert makes a part that the server must merge: fewer and larger ones are cheaper, and one block may have 1,048,449.
pub const STORE_BATCH_ROWS: u64 = 20_000;
/// What somebody looks for in the centre is found after this time at most; 133 colleges then make four inserts a second.
pub const STORE_BATCH_SECONDS: u64 = 30;
/// Time for a server to lose what it had, and for it to be missed: each segment is looked for before it is deleted.
pub const STORE_KEEP_HOURS: u64 = 7 * 24;
/// Six months: CNIL 2021-122 asks for 6 to 12; visits are the more intrusive of the two streams.
pub const ACCESSES_DAYS: u64 = 183;
/// One year: CPCE art. R. 10-13.
pub const CONNECTIONS_DAYS: u64 = 365;
/// A slow tablet sends its request head in well under a second; a slow-loris never does.
pub const HEADER_MS: u64 = 10_000;
/// Browsers and origins keep below 16 KiB; single sign-on cookies go beyond.
pub const HEADER_BYTES: u64 = 65_536;
/// hyper's own limit as well.
pub const HEADER_FIELDS: u64 = 100;
/// Browsers reuse an idle proxy connection within this time.
pub const KEEP_ALIVE_MS: u64 = 60_000;
/// A long poll answers or says something within five minutes.
pub const BODY_IDLE_MS: u64 = 300_000;
/// 1 KiB in this time: the slowest modem was faster, and who is slower holds a connection for nothing.
pub const PACE_MS: u64 = 60_000;
/// Push channels of tablets send a sign of life every 15 to 29 minutes.
pub const TUNNEL_IDLE_MS: u64 = 3_600_000;
/// Two minutes are the least that applications over UDP count on (RFC 4787 §4.3); browsers give up QUIC after 30 s.
pub const DATAGRAM_IDLE_MS: u64 = 120_000;
/// Two lost SYNs (1 s, 2 s, 4 s) and what a browser waits.
pub const DIAL_MS: u64 = 10_000;
/// A browser that asked for a tunnel speaks at once; who waits for the other side first has a protocol of its own.
pub const DETECT_MS: u64 = 2_000;
/// 700 tablets with 16 connections each, and the long tunnels of their push channels as many again. Two descriptors a
/// flow stay within `LimitNOFILE` of the unit.
pub const FLOWS: u64 = 30_000;
/// A browser opens 32 to a proxy, and some devices run several; a classroom server of its own network asks for many.
pub const CONNECTIONS_PER_CLIENT: u64 = 512;
/// A page of a newspaper is 150 requests in two seconds.
pub const REQUESTS_PER_SECOND: u64 = 200;
/// Several such pages that open at once when a browser starts.
pub const REQUEST_BURST: u64 = 400;
/// systemd kills after 90 s (`TimeoutStopSec`): downloads have most of that.
pub const DRAIN_MS: u64 = 60_000;
/// Who wants bodies scanned does not want them unscanned.
pub const ANTIVIRUS_ON_FAILURE: &str = "block";
/// An image of a system is larger than what any scanner takes, and schools install systems.
pub const ANTIVIRUS_OVER_LIMIT: &str = "allow";
/// What nobody can look into is how what would be found is sent.
pub const ANTIVIRUS_ENCRYPTED: &str = "block";
/// Origins are asked for the codings that we know; another one is a fault or a way round.
pub const ANTIVIRUS_UNKNOWN_CODING: &str = "block";
/// On this machine it takes no time; a lost SYN is sent again after one second.
pub const ANTIVIRUS_CONNECT_MS: u64 = 2_000;
/// 100 MiB of an archive take clamd some ten seconds on a small machine.
pub const ANTIVIRUS_VERDICT_MS: u64 = 30_000;
/// clamd has 10 threads and a queue of 100 (`MaxThreads`, `MaxQueue`).
pub const ANTIVIRUS_AT_ONCE: u64 = 50;
/// Pages of text reach 50; what is made to unpack reaches 1,000 (zlib) and far more.
pub const ANTIVIRUS_MAX_RATIO: u64 = 200;
/// One is what servers do; two is what some do by mistake.
pub const ANTIVIRUS_MAX_CODINGS: u64 = 2;
/// 100 MiB are decoded in a second.
pub const ANTIVIRUS_DECODE_MS: u64 = 10_000;
pub const LOG_LEVEL: &str = "info";
/// An origin on this machine, for a trial: the only exception the embedded defaults make.
pub const TRIAL_GUARD_ALLOW: [&str; 2] = ["127.0.0.0/8", "::1/128"];
