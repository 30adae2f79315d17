//! What unpacks to far more than it is.

use std::process::{Command, Stdio};

use flate2::Compression;

use super::shelf::Item;
use super::{SCAN, Scanned};
use crate::harness::cli::text;
use crate::harness::{amount, full, tool};

/// What a body may cost beside the others, in KiB.
const MORE_KIB: u64 = 64 * 1024;

/// Zeros, so many, without ever having them.
struct Zeros(u64);

impl std::io::Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(usize::try_from(self.0).unwrap_or(usize::MAX));
        buffer[..n].fill(0);
        self.0 -= n as u64;
        Ok(n)
    }
}

/// Node has a real encoder. `None`: it is not here, and that has been said.
fn brotli_of(input: &str, stdin: &[u8]) -> Option<Vec<u8>> {
    let script = format!(
        "const z=require('zlib'),s=require('stream');\
         const b=z.createBrotliCompress({{params:{{[z.constants.BROTLI_PARAM_QUALITY]:2}}}});\
         s.pipeline({input},b,process.stdout,()=>{{}});"
    );
    let mut child = Command::new(tool("node")?)
        .args(["-e", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), stdin).expect("node reads");
    let output = child.wait_with_output().expect("node ends");
    assert!(output.status.success() && !output.stdout.is_empty());
    Some(output.stdout)
}

/// Text in Brotli.
pub fn brotli(text: Vec<u8>) -> Option<Vec<u8>> {
    brotli_of("process.stdin", &text)
}

fn bombs(bytes: u64) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::read::GzEncoder::new(Zeros(bytes), Compression::fast());
    let mut zlib = flate2::read::ZlibEncoder::new(Zeros(bytes), Compression::fast());
    let (mut gzipped, mut deflated) = (Vec::new(), Vec::new());
    std::io::copy(&mut gzip, &mut gzipped).expect("memory");
    std::io::copy(&mut zlib, &mut deflated).expect("memory");
    let zstd = zstd::encode_all(Zeros(bytes), 1).expect("memory");
    let twice = zstd::encode_all(&gzipped[..], 1).expect("memory");
    let chunk = 1 << 20;
    let script = format!(
        "s.Readable.from((function*(){{const c=Buffer.alloc({chunk});for(let i=0;i<{};i++)yield c}})())",
        bytes / chunk
    );
    let mut all = vec![("gzip", gzipped), ("deflate", deflated), ("zstd", zstd), ("gzip, zstd", twice)];
    all.extend(brotli_of(&script, b"").map(|body| ("br", body)));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_in_any_coding_is_refused_and_costs_no_memory() {
    let megabytes = amount("ECLUSE_TEST_BOMB_MB", if full() { 10_240 } else { 256 });
    let bombs = tokio::task::spawn_blocking(move || bombs(megabytes << 20)).await.expect("no panic");
    // Told by its ratio; and where that is no limit, by the size that is scanned.
    for (settings, finding) in [("", "bomb"), ("max_ratio = 100000\nover_limit = \"block\"", "over-limit")] {
        let Some(scanned) = Scanned::open_with("", settings, SCAN).await else { return };
        let gateway = &scanned.school.gateway;
        for (coding, body) in &bombs {
            let url = scanned.shelf.put("/clean", Item::of("hello").coded("identity"));
            assert_eq!(scanned.school.pupil().await.get(&url).await.status, 200);
            let before = gateway.memory_kib("VmRSS");
            let url = scanned.shelf.put("/bomb", Item::of(body.clone()).coded(coding));
            let reply = scanned.school.pupil().await.get(&url).await;
            assert!(reply.status == 403 || !reply.whole, "{coding}: {}", reply.status);
            let more = gateway.memory_kib("VmHWM").saturating_sub(before);
            eprintln!("{megabytes} MB in {coding} ({} bytes): {more} KiB more, {finding}", body.len());
            assert!(more <= MORE_KIB, "{coding} took {more} KiB");
        }
        let rows = gateway.rows(2 * bombs.len(), &["--host", "files.test"]).await;
        let found = |finding: &str| rows.iter().filter(|row| text(row, "finding") == finding).count();
        // Some unpack to so much more that they are bombs by any ratio.
        assert_eq!(found("bomb") + found("over-limit"), bombs.len(), "{rows:#?}");
        assert!(found(finding) >= 3, "{finding}: {rows:#?}");
    }
}
